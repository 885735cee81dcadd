"""Random erasing of a rectangle."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from supcon_tf._checks import check_probability, check_range
from supcon_tf.augmentation.base import to_tuples
from supcon_tf.augmentation.crop_windows import draw_windows


@dataclasses.dataclass(frozen=True)
class RandomErasing:
    r"""Sets the pixels of a random rectangle to one value.

    Let $S$ be the area of an image of height $H$ and width $W$. The rectangle has the height
    $h = \sqrt{s S r}$ and the width $w = \sqrt{s S / r}$, rounded to pixels, where $s$ and
    $\log r$ are uniform within `scale` and the logarithms of `ratio`. It is drawn again until
    $h < H$ and $w < W$. After ten failed attempts nothing is erased. Its position is uniform. This
    is the distribution of torchvision's `RandomErasing`.

    torchvision erases after normalization, where the default value 0 is the mean pixel. The pixels
    of a `Transform` are in [0, 1]. The default value 0.5 is the middle of this range, close to the
    mean of natural images. For the exact mean, pass one value per channel.

    Reference: Zhong et al., "Random Erasing Data Augmentation", 2017
    (https://arxiv.org/abs/1708.04896).

    Examples:
        >>> import tensorflow as tf
        >>> from supcon_tf import augmentation
        >>> erase = augmentation.RandomErasing(probability=1.0, value=(0.5, 0.75, 0.25))
        >>> draws = tf.random.stateless_uniform([2, erase.num_draws], seed=[0, 1])
        >>> erase(tf.zeros([2, 12, 10, 3]), draws)[0].numpy().max(axis=(0, 1)).tolist()
        [0.5, 0.75, 0.25]

    Args:
        probability: probability that an image loses a rectangle.
        scale: smallest and largest area of the rectangle, as fractions of the image's area.
        ratio: smallest and largest aspect ratio of the rectangle, height / width.
        value: value of the erased pixels in [0, 1], a number or one number per channel.

    Raises:
        ValueError: if `probability` is not between 0 and 1, `scale` or `ratio` is not a range of
            positive numbers with the smaller one first, `scale` exceeds 1, or `value` is not as
            described; in a call, if the number of values is not that of the channels.
    """

    probability: float = 0.5
    scale: tuple[float, float] = (0.02, 0.33)
    ratio: tuple[float, float] = (0.3, 3.3)
    value: float | Sequence[float] = 0.5

    num_draws = 5

    def __post_init__(self) -> None:
        check_probability("probability", self.probability)
        check_range("scale", self.scale, limit=1.0)
        check_range("ratio", self.ratio)
        per_channel = np.ndim(self.value) == 1 and np.size(self.value) > 0
        values: Any = self.value if per_channel else [self.value]
        for value in values:
            check_probability("value", value)
        to_tuples(self, "scale", "ratio", *(["value"] if per_channel else []))

    def __call__(self, images: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        """Erases at most one rectangle of each image.

        Args:
            images: `[batch, height, width, channels]` float32 in [0, 1].
            draws: `[batch, 5]` float32, uniform in [0, 1).

        Returns:
            Images of the same shape and dtype.

        Raises:
            ValueError: if the number of values is not that of the channels.
        """
        images = tf.convert_to_tensor(images)
        values = np.atleast_1d(self.value)
        if len(values) not in (1, images.shape[-1]):
            raise ValueError(
                "`value` must be a number or one number per channel of the images. "
                f"Received: value={self.value}, images of shape {images.shape}"
            )
        height, width = tf.shape(images)[1], tf.shape(images)[2]
        windows = draw_windows(draws[:, 1:], height, width, self.scale, self.ratio, "erasing")
        top, left, rows, columns = tf.unstack(windows[:, :, None], axis=1)
        is_erased = (
            (draws[:, 0] < self.probability)[:, None, None]
            & _are_inside(top, rows, height)[:, :, None]
            & _are_inside(left, columns, width)[:, None, :]
        )
        return tf.where(is_erased[..., None], tf.cast(values, images.dtype), images)


def _are_inside(first: tf.Tensor, length: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Returns which of `size` positions are in ranges `[batch, 1]`, as `[batch, size]`."""
    positions = tf.range(size)
    return (positions >= first) & (positions < first + length)
