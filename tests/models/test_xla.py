"""XLA has a kernel for every operation of the steps of all models, losses and metrics.

Keras compiles steps by default where there is a GPU.
"""

import keras
import pytest
import tensorflow as tf

import supcon_tf
from experiments.lib.xla_kernels import find_missing_kernel
from supcon_tf import GeneralizedSupConLoss, MixingLayer, SupConLoss
from supcon_tf.metrics import HEALTH

BATCH, CLASSES = 8, 4
IDS = tf.TensorSpec([BATCH], tf.int64)
ROWS = tf.TensorSpec([BATCH, CLASSES], tf.float32)
WEIGHTS = tf.TensorSpec([BATCH], tf.float32)
CROSS_ENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def encoder():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5),
            keras.layers.Flatten(),
        ]
    )


def teacher():
    return keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(CLASSES)]
    )


def supcon(**options):
    return supcon_tf.SupConModel(encoder(), supcon_tf.projection_head((8,)), **options)


def momentum(**options):
    return supcon_tf.MomentumSupConModel(encoder(), queue_size=2 * BATCH, **options)


def mixing():
    return MixingLayer("mixup_cutmix", CLASSES, per_sample=True, label_smoothing=0.1)


# The model, its loss, and the specs of labels and weights.
CASES = {
    "one-hot": (supcon, SupConLoss, ROWS, WEIGHTS),
    "joint, capped": (
        lambda: supcon_tf.JointSupConModel(encoder(), CLASSES),
        lambda: SupConLoss(positives_cap=2),
        IDS,
        WEIGHTS,
    ),
    "mixing, a teacher and micro-batches": (
        lambda: supcon(
            mixing=mixing(),
            distillation=supcon_tf.Distillation(teacher()),
            micro_batch_size=BATCH // 2,
        ),
        GeneralizedSupConLoss,
        IDS,
    ),
    "queue": (momentum, lambda: SupConLoss(denominator="only_negatives"), IDS),
    "queue of distributions": (
        lambda: momentum(
            num_classes=CLASSES,
            distillation=supcon_tf.Distillation(teacher()),
            micro_batch_size=BATCH // 2,
        ),
        lambda: GeneralizedSupConLoss(weighting="contrast_count"),
        ROWS,
    ),
    "streaming": (supcon, lambda: SupConLoss(block_size=4, product_dtype="bfloat16"), IDS),
    "inside": (supcon, lambda: SupConLoss(summation="inside", anchors="first_view"), IDS),
    "pairs": (supcon, supcon_tf.NPairsLoss, IDS),
    "triplets": (supcon, supcon_tf.TripletLoss, IDS),
    "margin": (supcon, supcon_tf.MaxMarginLoss, IDS),
}
# One case for each kind of labels that the metrics take: one-hot, distributions, class ids.
WITH_METRICS = ["one-hot", "mixing, a teacher and micro-batches", "pairs"]


def images(views=True):
    return tf.TensorSpec([BATCH, 2, 8, 8, 1] if views else [BATCH, 8, 8, 1], tf.float32)


def missing(model, loss, metrics, *specs):
    model.compile("adam", loss=loss, metrics=metrics)
    model.optimizer.build(model.trainable_variables)
    return find_missing_kernel(model, *specs)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_contrastive_models(name):
    make, loss, *specs = CASES[name]
    metrics = HEALTH if name in WITH_METRICS else None
    assert missing(make(), loss(), metrics, images(), *specs) is None


@pytest.mark.parametrize(
    "make",
    [supcon_tf.CrossEntropyModel, supcon_tf.AveragedCrossEntropyModel, supcon_tf.LinearClassifier],
)
def test_classifiers(make):
    assert (
        missing(make(encoder(), CLASSES), CROSS_ENTROPY, ["accuracy"], images(False), IDS) is None
    )


@pytest.mark.slow
def test_an_operation_without_a_kernel_is_found():
    def counts(y_true, y_pred):
        return tf.cast(tf.unique_with_counts(y_true).count, tf.float32)

    assert missing(supcon(), SupConLoss(), [counts], images(), IDS).startswith(
        "UniqueWithCounts in train_step, supcon_tf/models/"
    )
