"""What an encoder makes of another data set: frozen, or fine-tuned."""

import itertools
import math
import pathlib
from collections.abc import Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf

import supcon_tf
from experiments.lib import representations, saved_models
from experiments.lib.divergence import Diverged, StopIfDiverged, require_finite_weights
from experiments.lib.transfer_datasets import METRICS, Part, TransferSet
from supcon_tf import evaluation
from supcon_tf.augmentation import crop_flip
from supcon_tf.data import image_batches, multi_view_batches


def frozen_scores(
    encoder: keras.Model,
    entry: TransferSet,
    train: Part,
    test: Part,
    *,
    penalties: int,
    batch_size: int,
    short_side: int | None,
    seed: int,
) -> np.ndarray:
    """Classifies by logistic regression on an encoder's representations.

    Args:
        encoder: the encoder.
        entry: what is known of the data set.
        train: what the regression is fitted to.
        test: what is classified.
        penalties: how many penalties, from 1e-6 to 1e5, to choose from.
        batch_size: images at the same time.
        short_side: as of `image_batches`.
        seed: decides on which training images a penalty is chosen.

    Returns:
        `[test images, classes]`, higher for images that are rather of a class.
    """
    features, test_features = (
        representations.of_images(encoder, part.images, batch_size, short_side=short_side)
        for part in (train, test)
    )

    def probabilities(labels: np.ndarray, classes: int) -> np.ndarray:
        regression = evaluation.logistic_regression(
            features, labels, penalties=np.logspace(-6, 5, penalties), seed=seed
        )
        columns = np.zeros([len(test_features), classes])
        columns[:, regression.classes_] = regression.predict_proba(test_features)
        return columns

    if entry.multi_label:
        decisions = train.targets.astype(int).T
        return np.stack([probabilities(shown, 2)[:, 1] for shown in decisions], axis=1)
    return probabilities(train.targets.argmax(axis=1), train.targets.shape[1])


def fine_tuned_scores(
    encoder: pathlib.Path,
    entry: TransferSet,
    train: Part,
    test: Part,
    *,
    steps: int,
    learning_rates: Sequence[float],
    weight_decays: Sequence[float],
    batch_size: int,
    short_side: int | None,
    seed: int,
) -> tuple[np.ndarray, dict[str, float]]:
    """Classifies with an encoder that is trained on, together with a linear layer.

    Args:
        encoder: the file of the encoder.
        entry: what is known of the data set.
        train: what to train on.
        test: what is classified.
        steps: length of a training.
        learning_rates: learning rates in the beginning, to choose from.
        weight_decays: what the weights shrink by in the beginning, in a step, to choose from.
        batch_size: images in a batch; fewer if there are not so many.
        short_side: as of `image_batches`.
        seed: decides what is drawn and on which training images settings are chosen.

    Returns:
        `[test images, classes]` logits, and the chosen settings.

    Raises:
        Diverged: if the training with the chosen settings does; others are not chosen.
    """

    def train_and_classify(train: Part, test: Part, settings: dict[str, float]) -> np.ndarray:
        model = fine_tune(
            saved_models.load(encoder),
            train,
            multi_label=entry.multi_label,
            steps=steps,
            batch_size=batch_size,
            seed=seed,
            **settings,
        )
        images = image_batches(
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
        held_out, rest = (train.take(part) for part in np.split(order, [len(order) // 5]))

        def figure(settings: dict[str, float]) -> float:
            try:
                scores = train_and_classify(rest, held_out, settings)
            except Diverged:
                return -math.inf
            return METRICS[entry.metric](scores, held_out.targets, held_out.difficult)

        chosen = max(grid, key=figure)
    return train_and_classify(train, test, chosen), chosen


def fine_tune(
    encoder: keras.Model,
    train: Part,
    *,
    multi_label: bool,
    steps: int,
    learning_rate: float,
    weight_decay: float,
    batch_size: int,
    seed: int,
) -> supcon_tf.CrossEntropyModel:
    """Trains an encoder and a new linear layer on top.

    Reference: Chen et al., 2020, appendix B.8 (https://arxiv.org/abs/2002.05709).

    Args:
        encoder: the encoder, which changes.
        train: what to train on.
        multi_label: whether each class is a decision of its own, by a sigmoid.
        steps: length of the training.
        learning_rate: in the beginning; it falls to 0 as a cosine.
        weight_decay: what the weights shrink by in the beginning, in a step. As in the paper, this
            divided by the learning rate is added to the gradient, times the weights.
        batch_size: images in a batch; fewer if there are not so many.
        seed: decides order, views and the new layer's weights.

    Returns:
        The trained model.

    Raises:
        Diverged: after the first step whose loss is not finite, or if the trained weights are not.
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
        epochs=math.ceil(steps / steps_per_epoch),
        num_views=1,
        seed=seed,
    )
    batches = views.take(steps).map(
        lambda images, positions: (images[:, 0], tf.gather(targets, positions))
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
    model.fit(batches, callbacks=[StopIfDiverged()], verbose=0)
    require_finite_weights(model)
    return model


def _layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """The layers of a model and of the models in it."""
    for layer in model.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from _layers(layer)
