"""Transfers an encoder to another data set: frozen, or fine-tuned."""

import itertools
import math
import pathlib
from collections.abc import Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf

import supcon_tf
from experiments.lib.transfer_datasets import METRICS, Split, TransferDataset
from supcon_tf import evaluation
from supcon_tf.augmentation import crop_flip
from supcon_tf.commands.divergence import (
    StopOnDivergence,
    TrainingDiverged,
    require_finite_weights,
)
from supcon_tf.commands.representations import compute_representations
from supcon_tf.commands.saved_models import load_encoder
from supcon_tf.data import batches_from_step, evaluation_batches, multi_view_batches


def frozen_scores(
    encoder: keras.Model,
    dataset: TransferDataset,
    train: Split,
    test: Split,
    *,
    penalties: int,
    batch_size: int,
    short_side: int | None,
    seed: int,
) -> np.ndarray:
    """Classifies by logistic regression on the representations of a frozen encoder.

    Args:
        encoder: the encoder.
        dataset: the data set.
        train: the images that the regression is fitted to.
        test: the images to classify.
        penalties: number of penalties, from 1e-6 to 1e5, to choose from.
        batch_size: number of images in a batch.
        short_side: as in `evaluation_batches`.
        seed: determines the held-out training images on which the penalty is chosen.

    Returns:
        `[test images, classes]` scores; a higher score means that the class is more probable.
    """
    features, test_features = (
        compute_representations(encoder, split.images, batch_size, short_side=short_side)
        for split in (train, test)
    )

    def probabilities(labels: np.ndarray, classes: int) -> np.ndarray:
        regression = evaluation.logistic_regression(
            features, labels, penalties=np.logspace(-6, 5, penalties), seed=seed
        )
        columns = np.zeros([len(test_features), classes])
        columns[:, regression.classes_] = regression.predict_proba(test_features)
        return columns

    if dataset.multi_label:
        columns = train.targets.astype(int).T
        return np.stack([probabilities(column, 2)[:, 1] for column in columns], axis=1)
    return probabilities(train.targets.argmax(axis=1), train.targets.shape[1])


def fine_tuned_scores(
    encoder: pathlib.Path,
    dataset: TransferDataset,
    train: Split,
    test: Split,
    *,
    steps: int,
    learning_rates: Sequence[float],
    weight_decays: Sequence[float],
    batch_size: int,
    short_side: int | None,
    seed: int,
) -> tuple[np.ndarray, dict[str, float]]:
    """Classifies with an encoder that is fine-tuned together with a linear layer.

    Args:
        encoder: the file of the encoder.
        dataset: the data set.
        train: the images to train on.
        test: the images to classify.
        steps: number of steps of a training.
        learning_rates: initial learning rates to choose from.
        weight_decays: initial relative decrease of the weights per step, to choose from.
        batch_size: number of images in a batch, at most the number of training images.
        short_side: as in `evaluation_batches`.
        seed: determines the views, the new weights and the held-out training images.

    Returns:
        `[test images, classes]` logits, and the chosen settings.

    Raises:
        TrainingDiverged: if the training with the chosen settings diverges. Settings that diverge
            on the held-out images are not chosen.
    """

    def train_and_classify(train: Split, test: Split, settings: dict[str, float]) -> np.ndarray:
        model = fine_tune(
            load_encoder(encoder),
            train,
            multi_label=dataset.multi_label,
            steps=steps,
            batch_size=batch_size,
            seed=seed,
            **settings,
        )
        images = evaluation_batches(
            test.images,
            size=model.encoder.input_shape[1],
            short_side=short_side,
            batch_size=batch_size,
        )
        return model.predict(images, verbose=0)

    grid = [
        {"learning_rate": rate, "weight_decay": decay}
        for rate, decay in itertools.product(learning_rates, weight_decays)
    ]
    chosen = grid[0]
    if len(grid) > 1:
        order = np.random.default_rng(seed).permutation(len(train.targets))
        held_out, rest = (train.take(each) for each in np.split(order, [len(order) // 5]))

        def held_out_score(settings: dict[str, float]) -> float:
            try:
                scores = train_and_classify(rest, held_out, settings)
            except TrainingDiverged:
                return -math.inf
            return METRICS[dataset.metric](scores, held_out.targets, held_out.difficult)

        chosen = max(grid, key=held_out_score)
    return train_and_classify(train, test, chosen), chosen


def fine_tune(
    encoder: keras.Model,
    train: Split,
    *,
    multi_label: bool,
    steps: int,
    learning_rate: float,
    weight_decay: float,
    batch_size: int,
    seed: int,
) -> supcon_tf.CrossEntropyModel:
    """Trains an encoder and a new linear layer on top of it.

    Reference: Chen et al., 2020, appendix B.8 (https://arxiv.org/abs/2002.05709).

    Args:
        encoder: the encoder, whose weights are trained.
        train: the images to train on.
        multi_label: whether every class has a sigmoid of its own instead of a common softmax.
        steps: number of steps of the training.
        learning_rate: the initial learning rate, which decays to 0 with a cosine.
        weight_decay: the initial relative decrease of the weights per step. As in the paper, the
            coefficient of the L2 penalty is this decrease divided by the learning rate.
        batch_size: number of images in a batch, at most the number of training images.
        seed: determines the order, the views and the weights of the new layer.

    Returns:
        The trained model.

    Raises:
        TrainingDiverged: after the first step whose loss is not finite, or if a trained weight is
            not finite.
    """
    keras.utils.set_random_seed(seed)
    batch_size = min(batch_size, len(train.images))
    steps_per_epoch = len(train.images) // batch_size
    for layer in _layers(encoder):
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = max(1 - 10 / steps_per_epoch, 0.9)
    targets = tf.constant(train.targets)
    views = multi_view_batches(
        train.images,
        crop_flip(encoder.input_shape[1]),
        batch_size=batch_size,
        num_views=1,
        seed=seed,
    )
    batches = (
        batches_from_step(views, 0)
        .take(steps)
        .map(lambda images, positions: (images[:, 0], tf.gather(targets, positions)))
    )
    losses = keras.losses
    loss = losses.BinaryCrossentropy if multi_label else losses.CategoricalCrossentropy
    model = supcon_tf.CrossEntropyModel(encoder, train.targets.shape[1])
    model.compile(
        supcon_tf.optimizers.SGDWithL2(
            keras.optimizers.schedules.CosineDecay(learning_rate, steps),
            momentum=0.9,
            nesterov=True,
            weight_decay=weight_decay / learning_rate,
        ),
        loss(from_logits=True),
    )
    model.fit(batches, callbacks=[StopOnDivergence()], verbose=0)
    require_finite_weights(model)
    return model


def _layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Yields the layers of a model, including the layers of nested models."""
    for layer in model.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from _layers(layer)
