"""Random horizontal flip."""

import dataclasses

import tensorflow as tf

from supcon_tf.augmentation.base import ImageTransform


@dataclasses.dataclass(frozen=True)
class RandomHorizontalFlip(ImageTransform):
    """Mirrors an image left to right.

    Examples:
        >>> from supcon_tf import augmentation
        >>> augmentation.RandomHorizontalFlip(probability=0.5).num_draws
        1

    Args:
        probability: probability that an image is mirrored.
    """

    probability: float = 0.5

    num_draws = 1

    def transform(self, image: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        """Mirrors a `[height, width, channels]` image with the given probability."""
        return tf.cond(
            draws[0] < self.probability, lambda: tf.reverse(image, axis=[1]), lambda: image
        )
