"""RandAugment: operations drawn uniformly, all of one magnitude."""

import dataclasses
import functools

import tensorflow as tf

from supcon_tf._checks import check_integer
from supcon_tf.augmentation import geometry
from supcon_tf.augmentation.base import ImageTransform, in_turn
from supcon_tf.augmentation.operations import operations, to_float, to_uint8


@dataclasses.dataclass(frozen=True)
class RandAugment(ImageTransform):
    """Applies operations drawn uniformly from 17, one of which changes nothing.

    Operations, levels and defaults are those of the TF model garden's `RandAugment()`. Pixels are
    rounded to uint8 first.

    Reference: Cubuk et al., 2020 (https://arxiv.org/abs/1909.13719).

    Examples:
        >>> from supcon_tf import augmentation
        >>> augmentation.RandAugment(num_ops=2, magnitude=5.0).num_draws
        6

    Args:
        num_ops: how many operations an image gets, N in the paper.
        magnitude: level of all of them, from 0 to 10, M in the paper.
        translation: pixels that level 10 shifts an image by.
        cutout: half of the side in pixels of the square that level 10 cuts out.

    Raises:
        ValueError: if `num_ops` is less than 1 or `magnitude` is not between 0 and 10.
    """

    num_ops: int = 2
    magnitude: float = 10.0
    translation: float = 100.0
    cutout: float = 40.0

    def __post_init__(self) -> None:
        check_integer("num_ops", self.num_ops)
        if not 0 <= self.magnitude <= 10:
            raise ValueError(f"`magnitude` must be between 0 and 10. Received: {self.magnitude}")

    @property
    def num_draws(self) -> int:
        """Three for each operation: which, and two for its sign or place."""
        return 3 * self.num_ops

    def transform(self, image: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        """Changes a `[height, width, channels]` image."""
        by_name = operations(self.translation)
        half_side = int(self.cutout * self.magnitude / 10)
        by_step = tf.reshape(draws, [self.num_ops, 3])

        def change(step: tf.Tensor, image: tf.Tensor) -> tf.Tensor:
            which, first, second = tf.unstack(by_step[step])
            branches = [
                functools.partial(tf.identity, image),
                functools.partial(geometry.cutout, image, half_side, first, second),
            ]
            for operation in by_name.values():
                argument = tf.constant(operation.argument(self.magnitude))
                if operation.signed:
                    argument = tf.where(first < 0.5, -argument, argument)
                branches.append(functools.partial(operation.apply, image, argument))
            return tf.switch_case(tf.cast(which * len(branches), tf.int32), branches)

        return to_float(in_turn(change, self.num_ops, to_uint8(image)))
