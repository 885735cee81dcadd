import json

import numpy as np
import pytest
import tensorflow as tf

from supcon_tf import augmentation, data, distribution
from supcon_tf.distribution.strategies import find_worker, local_strategy, wait_for_workers


def test_one_device_is_the_default_strategy():
    for name in ("one_device", "auto"):  # tests see no GPU
        assert distribution.strategy(name) is tf.distribute.get_strategy()
    assert distribution.is_chief(tf.distribute.get_strategy())


def test_an_unknown_name_raises():
    with pytest.raises(ValueError, match="must be one of.*Received: 'parallel'"):
        distribution.strategy("parallel")


def test_multi_worker_requires_a_cluster(monkeypatch):
    for name in ("TF_CONFIG", "SLURM_PROCID", "SLURM_STEP_NODELIST"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ValueError, match="TF_CONFIG"):
        distribution.strategy("multi_worker")


class Worker(tf.distribute.MultiWorkerMirroredStrategy):
    """The second of three workers of two replicas each, without a server."""

    def __init__(self):
        pass

    cluster_resolver = None

    def distribute_datasets_from_function(self, function):
        return function(tf.distribute.InputContext(3, 1, 6))


@pytest.mark.parametrize(
    ("chiefs", "job", "index", "number"),
    [
        ([], "worker", 0, (0, 2)),
        ([], "worker", 1, (1, 2)),
        (["c:1"], "chief", 0, (0, 3)),
        (["c:1"], "worker", 0, (1, 3)),
    ],
)
def test_the_first_worker_is_the_chief(monkeypatch, chiefs, job, index, number):
    cluster = {"worker": ["a:1", "b:1"]} | ({"chief": chiefs} if chiefs else {})
    task = {"cluster": cluster, "task": {"type": job, "index": index}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(task))
    strategy = Worker()
    strategy.cluster_resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    assert find_worker(strategy) == number
    assert distribution.is_chief(strategy) is (number[0] == 0)


def test_a_process_without_a_cluster_is_the_only_worker():
    strategy = tf.distribute.get_strategy()
    assert find_worker(strategy) == (0, 1)
    assert local_strategy(strategy) is strategy
    wait_for_workers(strategy)


def test_a_worker_of_a_cluster_works_alone_on_its_devices():
    assert local_strategy(Worker()) is distribution.strategy("auto")


def test_waiting_for_a_worker_that_has_ended_raises(monkeypatch):
    def fail(self, *arguments, **options):
        raise tf.errors.UnavailableError(None, None, "the connection is lost\ndetails")

    monkeypatch.setattr(Worker, "run", lambda self, function: function())
    monkeypatch.setattr(Worker, "reduce", fail)
    with pytest.raises(RuntimeError, match="Start all workers again.*Received: the con.* lost$"):
        wait_for_workers(Worker())


def digits(context):
    images = data.load_digits("train")
    return data.multi_view_batches(
        images, augmentation.crop_flip(8), batch_size=96, input_context=context
    )


@pytest.mark.slow
def test_workers_load_their_own_rows_without_end():
    own = distribution.distribute_batches(Worker(), digits)
    assert own.cardinality() == tf.data.INFINITE_CARDINALITY
    rows = np.concatenate([views for views, _ in own.take(2)])
    views, _ = next(iter(digits(None)))
    np.testing.assert_array_equal(rows, views[32:64])


def test_a_single_worker_loads_whole_batches():
    whole = distribution.distribute_batches(tf.distribute.get_strategy(), digits)
    assert whole.element_spec[0].shape == (96, 2, 8, 8, 1)
    assert len(whole) == 1437 // 96


def test_without_a_tpu_the_error_names_the_way_out(monkeypatch):
    def fail(tpu):
        raise ValueError(f"Please provide a TPU Name to connect to.\nUnsupported: {tpu}")

    monkeypatch.setattr(tf.distribute.cluster_resolver, "TPUClusterResolver", fail)
    with pytest.raises(RuntimeError, match="a TPU at the address 'mine'.*Received: Please.*to.$"):
        distribution.strategy("tpu", tpu="mine")
