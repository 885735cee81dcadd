"""AutoAugment: pairs of operations found by search, of which each image gets one."""

import dataclasses
import functools
from collections.abc import Callable

import tensorflow as tf

from supcon_tf.augmentation.base import ImageTransform, in_turn
from supcon_tf.augmentation.operations import operations, to_float, to_uint8

# The policy "v0" of the TF model garden: (operation, probability, level), twice per sub-policy.
_POLICY = (
    (("Equalize", 0.8, 1), ("ShearY", 0.8, 4)),
    (("Color", 0.4, 9), ("Equalize", 0.6, 3)),
    (("Color", 0.4, 1), ("Rotate", 0.6, 8)),
    (("Solarize", 0.8, 3), ("Equalize", 0.4, 7)),
    (("Solarize", 0.4, 2), ("Solarize", 0.6, 2)),
    (("Color", 0.2, 0), ("Equalize", 0.8, 8)),
    (("Equalize", 0.4, 8), ("SolarizeAdd", 0.8, 3)),
    (("ShearX", 0.2, 9), ("Rotate", 0.6, 8)),
    (("Color", 0.6, 1), ("Equalize", 1.0, 2)),
    (("Invert", 0.4, 9), ("Rotate", 0.6, 0)),
    (("Equalize", 1.0, 9), ("ShearY", 0.6, 3)),
    (("Color", 0.4, 7), ("Equalize", 0.6, 0)),
    (("Posterize", 0.4, 6), ("AutoContrast", 0.4, 7)),
    (("Solarize", 0.6, 8), ("Color", 0.6, 9)),
    (("Solarize", 0.2, 4), ("Rotate", 0.8, 9)),
    (("Rotate", 1.0, 7), ("TranslateY", 0.8, 9)),
    (("ShearX", 0.0, 0), ("Solarize", 0.8, 4)),
    (("ShearY", 0.8, 0), ("Color", 0.6, 4)),
    (("Color", 1.0, 0), ("Rotate", 0.6, 2)),
    (("Equalize", 0.8, 4), ("Equalize", 0.0, 8)),
    (("Equalize", 1.0, 4), ("AutoContrast", 0.6, 2)),
    (("ShearY", 0.4, 7), ("SolarizeAdd", 0.6, 7)),
    (("Posterize", 0.8, 2), ("Solarize", 0.6, 10)),
    (("Solarize", 0.6, 8), ("Equalize", 0.6, 1)),
    (("Color", 0.8, 6), ("Rotate", 0.4, 5)),
)


@dataclasses.dataclass(frozen=True)
class AutoAugment(ImageTransform):
    """Applies one of 25 pairs of operations, each operation with its own probability.

    The policy and the levels are those of the TF model garden's `AutoAugment()`, with which the
    reference code trained on ImageNet. Pixels are rounded to uint8 first.

    Reference: Cubuk et al., 2019 (https://arxiv.org/abs/1805.09501).

    Examples:
        >>> from supcon_tf import augmentation
        >>> augmentation.AutoAugment(translation=35.0).num_draws
        5

    Args:
        translation: pixels that level 10 shifts an image by. The policy's single shift is one of
            level 9, beyond the border of a 224-pixel image: the view is gray.
    """

    translation: float = 250.0

    num_draws = 5  # the sub-policy; whether to apply its operations; the signs of both

    def transform(self, image: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        """Changes a `[height, width, channels]` image."""
        by_name = operations(self.translation)
        names = sorted({name for pair in _POLICY for name, _, _ in pair})
        pair = tf.cast(draws[0] * len(_POLICY), tf.int32)

        def of_pair(entry: Callable[[str, float, int], float | bool]) -> tf.Tensor:
            return tf.gather([[entry(*step) for step in pair] for pair in _POLICY], pair)

        chosen = of_pair(lambda name, *_: names.index(name))
        probability = of_pair(lambda name, probability, level: probability)
        argument = of_pair(lambda name, probability, level: by_name[name].argument(level))
        signed = of_pair(lambda name, *_: by_name[name].signed)
        argument = tf.where(signed & (draws[3:5] < 0.5), -argument, argument)
        chosen = tf.where(draws[1:3] < probability, chosen, len(names))

        def change(step: tf.Tensor, image: tf.Tensor) -> tf.Tensor:
            branches = [
                functools.partial(by_name[name].apply, image, argument[step]) for name in names
            ]
            branches.append(functools.partial(tf.identity, image))
            return tf.switch_case(chosen[step], branches)

        return to_float(in_turn(change, 2, to_uint8(image)))
