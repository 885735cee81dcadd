"""Compiled models that together hold everything public that can be a part of a model."""

import contextlib

import keras
import numpy as np
import tensorflow as tf
from keras import layers

import supcon_tf
from supcon_tf.optimizers import LARS, AdamW, RMSpropWithL2, SGDWithL2, WarmUp

CLASSES = 4
RNG = np.random.default_rng(0)
VIEWS = RNG.normal(size=[16, 2, 8, 8, 1]).astype("float32")
IDS = np.arange(16) % CLASSES
SAME_CLASS = (IDS[:, None] == IDS).astype("float32")


def encoder():
    return keras.Sequential(
        [
            keras.Input([8, 8, 1]),
            layers.Conv2D(8, 3),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.GlobalAveragePooling2D(),
        ]
    )


def head():
    return supcon_tf.projection_head((8,))


def contrastive(model, loss, optimizer="sgd", metrics=supcon_tf.metrics.HEALTH):
    model.compile(optimizer, loss=loss, metrics=metrics)
    return model


def classifier(model, optimizer="sgd"):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss=loss, metrics=["accuracy"])
    return model


def distilled():
    teacher = keras.Sequential(
        [keras.Input([8, 8, 1]), layers.Flatten(), layers.Dense(CLASSES, "softmax")]
    )
    mixing = supcon_tf.MixingLayer("mixup", CLASSES, seed=0)
    distillation = supcon_tf.Distillation(teacher)
    return supcon_tf.SupConModel(encoder(), head(), mixing=mixing, distillation=distillation)


def warm_up():
    cosine = keras.optimizers.schedules.CosineDecay(0.1, decay_steps=10)
    return WarmUp(cosine, steps=2)


CASES = {
    "supcon": lambda: contrastive(
        supcon_tf.SupConModel(encoder(), head()),
        supcon_tf.SupConLoss(0.2, summation="inside"),
        LARS(warm_up(), momentum=0.8, weight_decay=1e-3),
    ),
    "distilled": lambda: contrastive(
        distilled(),
        supcon_tf.GeneralizedSupConLoss(0.2),
        SGDWithL2(0.1, momentum=0.8, weight_decay=1e-3),
    ),
    "momentum": lambda: contrastive(
        supcon_tf.MomentumSupConModel(encoder(), head(), queue_size=32, momentum=0.5),
        supcon_tf.SupConLoss(0.2),
        RMSpropWithL2(0.01, weight_decay=1e-3),
    ),
    "cross_batch": lambda: contrastive(
        supcon_tf.CrossBatchSupConModel(encoder(), head(), memory_size=48),
        supcon_tf.SupConLoss(0.2),
        AdamW(0.01, weight_decay=warm_up()),
    ),
    "joint": lambda: contrastive(
        supcon_tf.JointSupConModel(encoder(), CLASSES, head()), supcon_tf.SupConLoss(0.2)
    ),
    "pairwise": lambda: contrastive(
        supcon_tf.SupConModel(encoder(), head()),
        supcon_tf.PairwiseSupConLoss(0.2),
        metrics=[supcon_tf.metrics.alignment, supcon_tf.metrics.uniformity],
    ),
    "n_pairs": lambda: contrastive(
        supcon_tf.SupConModel(encoder(), head()), supcon_tf.NPairsLoss(normalize=True)
    ),
    "triplet": lambda: contrastive(
        supcon_tf.SupConModel(encoder(), head()), supcon_tf.TripletLoss(margin=0.5)
    ),
    "max_margin": lambda: contrastive(
        supcon_tf.SupConModel(encoder(), head()), supcon_tf.MaxMarginLoss(margin=0.5)
    ),
    "cross_entropy": lambda: classifier(supcon_tf.CrossEntropyModel(encoder(), CLASSES)),
    "linear": lambda: classifier(
        supcon_tf.LinearClassifier(encoder(), CLASSES, batch_statistics=True)
    ),
    "averaged": lambda: classifier(
        supcon_tf.AveragedCrossEntropyModel(encoder(), CLASSES, momentum=0.5)
    ),
}


def inputs(model):
    return VIEWS if hasattr(model, "projection_head") else VIEWS[:, 0]


def labels(model):
    return SAME_CLASS if isinstance(model.loss, supcon_tf.PairwiseSupConLoss) else IDS


@contextlib.contextmanager
def operation_by_operation():
    """Compiles nothing, which takes longer than all else here."""
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(before)


def train(model):
    with operation_by_operation():
        model.fit(inputs(model), labels(model), batch_size=16, shuffle=False, verbose=0)


def behavior(model):
    """What a model gives, and what it gives after another step of training."""
    with operation_by_operation():
        logs = model.evaluate(
            inputs(model), labels(model), batch_size=16, return_dict=True, verbose=0
        )
        outputs = model.predict(VIEWS[:, 0], verbose=0)
        train(model)
        later = model.predict(VIEWS[:, 0], verbose=0)
    return {**logs, "outputs": outputs, "outputs_later": later}
