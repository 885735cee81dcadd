import pytest

import supcon_tf
from experiments.benchmarks.communication import Collective, collectives, received_bytes


@pytest.mark.slow
def test_ids_cost_one_gather_of_embeddings_and_vectors(two_replicas):
    loss = supcon_tf.SupConLoss(summation="inside", denominator="one_positive")
    forward, backward = collectives(loss, "ids", 32, 16, 10, two_replicas)
    assert forward == [
        Collective("gather", "float32", (32, 16)),
        Collective("gather", "int64", (32,)),
    ]
    assert backward
    for collective in backward:  # Vectors, no embeddings.
        assert collective.kind == "gather"
        assert collective.shape[0] == 32
        assert collective.shape[1] <= 6


@pytest.mark.slow
def test_many_distributions_cost_two_sums_of_moments(two_replicas):
    loss = supcon_tf.GeneralizedSupConLoss()
    forward, backward = collectives(loss, "distributions", 256, 16, 10, two_replicas)
    moments = Collective("sum", "float64", (160,))
    assert [x for x in forward if len(x.shape) == 2] == [Collective("gather", "float32", (256, 16))]
    assert forward.count(moments) == 1
    assert backward.count(moments) == 1
    assert all(x.shape[1:] in ((), (2,)) for x in backward)


@pytest.mark.slow
def test_few_distributions_are_gathered(two_replicas):
    loss = supcon_tf.GeneralizedSupConLoss()
    forward, backward = collectives(loss, "distributions", 32, 16, 10, two_replicas)
    assert Collective("gather", "float32", (32, 10)) in forward
    vector = Collective("gather", "float64", (32,))
    assert backward == [vector, vector, Collective("gather", "float32", (32, 2))]


def test_bytes_in_a_ring():
    gather = Collective("gather", "float32", (32, 16))
    assert received_bytes(gather, 32, rows=128, replicas=4) == 3 * 32 * 16 * 4
    total = Collective("sum", "float64", (160,))
    assert received_bytes(total, 32, rows=128, replicas=4) == 2 * 3 / 4 * 160 * 8
