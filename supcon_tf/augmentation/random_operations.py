"""RandAugment: each image gets random operations of one magnitude."""

import dataclasses
import functools

import tensorflow as tf

from supcon_tf._checks import check_integer
from supcon_tf.augmentation import geometry
from supcon_tf.augmentation.base import ImageTransform, for_loop
from supcon_tf.augmentation.operations import operations, to_float, to_uint8


@dataclasses.dataclass(frozen=True)
class RandomOperations(ImageTransform):
    """Applies random operations of RandAugment: 17, one of which is the identity.

    Operations, levels and defaults follow the TF Model Garden's `RandAugment()`. Pixels are first
    rounded to uint8.

    Reference: Cubuk et al., 2020 (https://arxiv.org/abs/1909.13719).

    Args:
        num_ops: number of operations per image, N in the paper.
        magnitude: level of every operation, from 0 to 10, M in the paper.
        translation: shift in pixels at level 10.
        cutout: half the side in pixels of the square that is cut out at level 10.

    Raises:
        ValueError: if `num_ops` is below 1, or `magnitude` is not between 0 and 10.
    """

    num_ops: int = 2
    magnitude: float = 10.0
    translation: float = 100.0
    cutout: float = 40.0

    def __post_init__(self) -> None:
        check_integer("num_ops", self.num_ops)
        if not 0 <= self.magnitude <= 10:
            raise ValueError(f"`magnitude` must be between 0 and 10. Received: {self.magnitude}")

    channels = (1, 3)

    @property
    def num_draws(self) -> int:
        """Three per operation: one for the choice, two for its sign or position."""
        return 3 * self.num_ops

    def transform(self, image: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        """Applies random operations to a `[height, width, channels]` image."""
        by_name = operations(self.translation)
        half_side = int(self.cutout * self.magnitude / 10)
        draws_of_step = tf.reshape(draws, [self.num_ops, 3])

        def apply(step: tf.Tensor, image: tf.Tensor) -> tf.Tensor:
            choice, first, second = tf.unstack(draws_of_step[step])
            branches = [
                functools.partial(tf.identity, image),
                functools.partial(geometry.cutout, image, half_side, first, second),
            ]
            for operation in by_name.values():
                argument = tf.constant(operation.argument(self.magnitude))
                if operation.signed:
                    argument = tf.where(first < 0.5, -argument, argument)
                branches.append(functools.partial(operation.apply, image, argument))
            return tf.switch_case(tf.cast(choice * len(branches), tf.int32), branches)

        return to_float(for_loop(self.num_ops, apply, to_uint8(image)))
