"""The equal values that docs/migration.md promises, against outputs of the other libraries."""

import pathlib
import re

import numpy as np
import pytest
import tensorflow as tf

import supcon_tf

ROOT = pathlib.Path(__file__).parents[2]
OUTPUTS = {
    file: np.load(ROOT / "tests" / "data" / f"{file}.npz")
    for file in ("supcon_outside", "other_libraries", "addons_metric_losses")
}
# Of each code of another library on the page: where its output is.
CASES = {
    "SupConLoss(temperature=0.5)(z, labels)": "supcon_outside/2",
    "SupConLoss(temperature=0.1, base_temperature=0.1)(z, labels)": "supcon_outside/0",
    'SupConLoss(temperature=0.1, contrast_mode="one", base_temperature=0.1)(z, labels)': (
        "supcon_outside/3"
    ),
    "SupConLoss()(embeddings, labels)": "other_libraries/pml_all_positives",
    "SupConLoss()(torch.cat([z[:, 0], z[:, 1]]), torch.cat([labels, labels]))": (
        "other_libraries/pml_views"
    ),
    "NTXentLoss()(embeddings, labels)": "other_libraries/pml_ntxent",
    "NTXentLoss()(z[:, 0], z[:, 1])": "other_libraries/lightly_ntxent",
    "SimCLRLoss(temperature=0.5)(z[:, 0], z[:, 1])": "other_libraries/tfsim_simclr",
    'TripletLoss(distance="l2", negative_mining_strategy="hard", margin=1.0)(labels, embeddings)': (
        "other_libraries/tfsim_triplet"
    ),
    "TripletSemiHardLoss()(labels, embeddings)": "addons_metric_losses/0/triplet_semihard_",
    "TripletHardLoss()(labels, embeddings)": "addons_metric_losses/0/triplet_hard_",
    "NpairsLoss()(labels, embeddings @ embeddings.T)": "addons_metric_losses/0/npairs_",
}
PAIRS = dict(
    re.findall(
        r"^\| `(.*?\))`.*? \| `(.*?\))`.*? \|$",
        (ROOT / "docs" / "migration.md").read_text(),
        re.MULTILINE,
    )
)


def outputs(case):
    """Returns embeddings, class ids, the loss and its gradient."""
    file, case, prefix = [*case.split("/"), ""][:3]
    embeddings = "features" if file == "supcon_outside" else "embeddings"
    names = (embeddings, "class_ids", f"{prefix}loss", f"{prefix}gradient")
    return [OUTPUTS[file][f"{case}/{name}"] for name in names]


@pytest.mark.slow
@pytest.mark.parametrize("theirs", CASES)
def test_equal_values(theirs, uncompiled):
    embeddings, ids, expected, expected_gradient = outputs(CASES[theirs])
    embeddings = tf.constant(embeddings, tf.float32)
    names = {"embeddings": embeddings, "z": embeddings, "labels": ids}
    names["unlabeled"] = np.full(len(ids), -1)
    with tf.GradientTape() as tape:
        tape.watch(embeddings)
        value = eval(PAIRS[theirs], vars(supcon_tf) | names)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    if "(z, labels)" not in theirs:  # SupContrast does not normalize within the loss
        scale = np.abs(expected_gradient).max()
        gradient = tape.gradient(value, embeddings)
        np.testing.assert_allclose(gradient, expected_gradient, atol=1e-5 * scale)


@pytest.fixture(scope="module")
def pairs_and_memory():
    return np.load(ROOT / "tests" / "data" / "pairs_and_memory.npz")


def value_and_gradient(function, inputs):
    inputs = tf.constant(inputs)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        value = function(inputs)
    return value, tape.gradient(value, inputs)


@pytest.mark.parametrize("case", ["mask_symmetric", "mask_asymmetric"])
def test_masks_equal_those_of_supcontrast(pairs_and_memory, uncompiled, case):
    z, mask, expected, gradient = (
        pairs_and_memory[f"{case}/{name}"] for name in ("features", "mask", "loss", "gradient")
    )
    loss = supcon_tf.PairwiseSupConLoss(0.1, normalize=False, dtype="float64")
    value, own_gradient = value_and_gradient(lambda z: loss(mask, z), z)
    # Their code casts the mask to float32.
    np.testing.assert_allclose(value, expected, rtol=1e-7)
    np.testing.assert_allclose(own_gradient, gradient, atol=1e-6)


def test_the_memory_equals_that_of_pytorch_metric_learning(pairs_and_memory, uncompiled):
    loss = supcon_tf.SupConLoss(0.1, dtype="float64")
    memory, memory_ids = np.zeros([0, 5]), np.zeros([0], int)
    for step in range(4):
        embeddings, ids, expected = (
            pairs_and_memory[f"memory_{step}/{name}"]
            for name in ("embeddings", "class_ids", "loss")
        )
        value = loss.contrast(embeddings, ids, memory, memory_ids, include_batch=True)
        np.testing.assert_allclose(value, expected, rtol=1e-9)
        # Their memory of 12 rows also holds the batch, as constants, so the gradients differ.
        memory = np.concatenate([memory, embeddings])[-8:]
        memory_ids = np.concatenate([memory_ids, ids])[-8:]


def test_pytorch_metric_learning_leaves_out_anchors_without_positives(uncompiled):
    embeddings, ids, expected, _ = outputs("other_libraries/pml_single_samples")
    losses = supcon_tf.SupConLoss(0.1, reduction=None)(ids, embeddings).numpy()
    assert losses[losses != 0].mean() == pytest.approx(expected, rel=1e-4)
    assert np.count_nonzero(losses == 0) == 4
