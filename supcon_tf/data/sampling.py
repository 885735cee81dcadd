"""Samplers, which select the images of every step as a pure function of the step and a seed."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

# Function of a step of the epoch and a seed. It returns the int64 indices of a batch of images, and
# a number for each that differs between occurrences of an image in the batch.
Sampler = Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


def permutation_sampler(num_images: int, batch_size: int) -> Sampler:
    """Returns a sampler that draws without replacement, in an order that the seed determines.

    Args:
        num_images: number of images.
        batch_size: number of images in a batch.
    """

    def sample(step_in_epoch: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        positions = step_in_epoch * batch_size + tf.range(batch_size, dtype=tf.int64)
        indices = tf.random.experimental.index_shuffle(
            positions, seed, tf.constant(num_images - 1, tf.int64)
        )
        return indices, indices

    return sample


def block_sampler(num_images: int, batch_size: int, steps_per_window: int) -> Sampler:
    """Returns a sampler for images that are read in blocks of adjacent ones.

    The blocks of an epoch have a random order, in which every window of steps takes the next ones.
    The images of a window are shuffled, so that the steps of a window together read whole blocks.
    A block is only for some rows of the batches, so that workers read different blocks. In every
    epoch, the first block starts at a random image; the first image follows the last one.

    Args:
        num_images: number of images.
        batch_size: number of images in a batch.
        steps_per_window: number of steps between which images are shuffled.
    """
    block_size = _block_size(batch_size)
    blocks_per_step = batch_size // block_size
    num_blocks = num_images // block_size
    steps_per_epoch = num_images // batch_size
    shuffle = tf.random.experimental.index_shuffle
    fold_in = tf.random.experimental.stateless_fold_in

    def sample(step_in_epoch: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        window = step_in_epoch // steps_per_window
        first_step = window * steps_per_window
        steps = tf.minimum(steps_per_epoch - first_step, steps_per_window)
        places = (step_in_epoch - first_step) * block_size + tf.range(block_size, dtype=tf.int64)
        window_seed = fold_in(seed, window)
        first_image = tf.random.stateless_uniform([], seed, 0, num_images, tf.int64)

        # The rows of a step are groups of the size of a block. A group has a block for each step of
        # the window, and the images of these blocks are shuffled.
        def sample_group(group: tf.Tensor) -> tf.Tensor:
            shuffled = shuffle(places, fold_in(window_seed, group), steps * block_size - 1)
            blocks = (first_step + shuffled // block_size) * blocks_per_step + group
            blocks = shuffle(blocks, seed, tf.constant(num_blocks - 1, tf.int64))
            return (first_image + blocks * block_size + shuffled % block_size) % num_images

        groups = tf.range(blocks_per_step, dtype=tf.int64)
        indices = tf.reshape(tf.map_fn(sample_group, groups), [batch_size])
        return indices, indices

    return sample


def _block_size(batch_size: int) -> int:
    """Returns the smallest divisor of the batch size that is not less than 64, or the batch size.

    Blocks of 64 photos have about 7 MB, which a disk in the network reads at its full speed.
    """
    return min(
        size
        for size in range(1, batch_size + 1)
        if batch_size % size == 0 and (size >= 64 or size == batch_size)
    )


def balanced_sampler(labels: NDArray[Any], batch_size: int, images_per_class: int) -> Sampler:
    """Returns a sampler of `images_per_class` images of each of several classes.

    A batch has `batch_size / images_per_class` different classes. Batches are independent of each
    other. The images of a class are different, unless it has fewer than `images_per_class`. Such a
    class repeats each of its images equally often, up to one.

    Args:
        labels: `[images]` class ids; distributions raise an error.
        batch_size: number of images in a batch.
        images_per_class: number of images of a class in a batch.

    Raises:
        ValueError: if the labels are distributions, an image has no label, `images_per_class` does
            not divide `batch_size`, or there are too few classes.
    """
    if labels.ndim != 1:
        raise ValueError(
            "`images_per_class` requires one class id for every image. Received: "
            f"images_per_class={images_per_class}, label distributions of shape {labels.shape}"
        )
    if labels.min() < 0:
        raise ValueError(
            "`images_per_class` requires a label for every image. Received: "
            f"images_per_class={images_per_class}, {np.sum(labels < 0)} unlabeled images"
        )
    classes, counts = np.unique(labels, return_counts=True)
    num_sampled = batch_size // images_per_class if images_per_class > 0 else 0
    if num_sampled * images_per_class != batch_size or not 0 < num_sampled <= len(classes):
        raise ValueError(
            "`images_per_class` must divide `batch_size`, and the quotient must not exceed the "
            f"number of classes. Received: images_per_class={images_per_class}, "
            f"batch_size={batch_size}, {len(classes)} classes"
        )
    by_class = tf.constant(np.argsort(labels, kind="stable"), tf.int64)
    first = tf.constant(np.cumsum(counts) - counts, tf.int64)
    sizes = tf.constant(counts, tf.int64)
    shuffle = tf.random.experimental.index_shuffle
    fold_in = tf.random.experimental.stateless_fold_in

    def sample(step_in_epoch: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        seed = fold_in(seed, step_in_epoch)
        sampled_classes = shuffle(
            tf.range(num_sampled, dtype=tf.int64), seed, tf.constant(len(classes) - 1, tf.int64)
        )

        def sample_class(number: tf.Tensor) -> tf.Tensor:
            size = sizes[number]
            places = tf.range(images_per_class, dtype=tf.int64)
            positions = shuffle(places % size, fold_in(seed, number), size - 1)
            indices = tf.gather(by_class, first[number] + positions)
            return tf.stack([indices, indices + places // size * len(labels)], axis=1)

        sampled = tf.reshape(tf.map_fn(sample_class, sampled_classes), [batch_size, 2])
        return sampled[:, 0], sampled[:, 1]

    return sample
