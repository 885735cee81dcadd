"""Random horizontal flip."""

import dataclasses

import tensorflow as tf

from supcon_tf._checks import check_probability
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

    Raises:
        ValueError: if `probability` is not between 0 and 1.
    """

    probability: float = 0.5

    num_draws = 1

    def __post_init__(self) -> None:
        check_probability("probability", self.probability)

    def transform(self, image: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        """Mirrors a `[height, width, channels]` image with the given probability."""
        return tf.cond(
            draws[0] < self.probability, lambda: tf.reverse(image, axis=[1]), lambda: image
        )
