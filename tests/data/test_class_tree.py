import numpy as np
import pytest

import supcon_tf
from supcon_tf.data import class_tree

PATHS = [
    ("animal", "dog", "poodle"),
    ("animal", "dog", "beagle"),
    ("animal", "cat", "siamese"),
    ("vehicle", "dog", "hot dog cart"),  # the name of a node below another one
    ("plant",),
]


def cosines(labels):
    unit = labels / np.linalg.norm(labels, axis=1, keepdims=True)
    return unit @ unit.T


def test_the_similarity_is_the_weight_of_the_shared_levels():
    expected = np.eye(5)
    expected[0, 1] = expected[1, 0] = 2 / 3
    expected[[0, 1, 2, 2], [2, 2, 0, 1]] = 1 / 3
    np.testing.assert_allclose(cosines(class_tree(PATHS)), expected, atol=1e-6)
    expected[0, 1] = expected[1, 0] = 3 / 7
    expected[[0, 1, 2, 2], [2, 2, 0, 1]] = 1 / 7
    labels = class_tree(PATHS, level_weights=(1, 2, 4))
    np.testing.assert_allclose(cosines(labels), expected, atol=1e-6)


def test_the_loss_equals_that_of_given_weights():
    ids = np.random.default_rng(0).integers(0, 5, 12)
    z = np.random.default_rng(1).normal(size=[12, 2, 4])
    labels = class_tree(PATHS)
    weights = cosines(labels)[ids][:, ids]
    actual = supcon_tf.GeneralizedSupConLoss(0.2)(labels[ids], z)
    expected = supcon_tf.PairwiseSupConLoss(0.2)(weights, z)
    assert float(actual) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize(
    ("paths", "options", "message"),
    [
        ([], {}, "`paths` must hold.*Received"),
        (["cat", "dog"], {}, "`paths` must hold.*Received"),
        ([("a",), ()], {}, "`paths` must hold"),
        ([("a", "b"), ("a", "b")], {}, "a different list of names"),
        (PATHS, {"level_weights": (1, 2)}, "each of 3 levels"),
        (PATHS, {"level_weights": (1, 0, 2)}, "`level_weights` must be.*0"),
    ],
)
def test_bad_trees(paths, options, message):
    with pytest.raises(ValueError, match=message):
        class_tree(paths, **options)
