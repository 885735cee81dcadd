"""AutoAugment: each image gets a random sub-policy, a pair of operations found by search."""

import dataclasses
import functools
from collections.abc import Callable

import tensorflow as tf

from supcon_tf.augmentation.base import ImageTransform, for_loop
from supcon_tf.augmentation.operations import operations, to_float, to_uint8

# The policy "v0" of the TF Model Garden: two (operation, probability, level) per sub-policy.
_SUB_POLICIES = (
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
class RandomSubPolicy(ImageTransform):
    """Applies one of the 25 sub-policies of AutoAugment, each operation with its own probability.

    The policy and the levels follow the TF Model Garden's `AutoAugment()`, which the reference code
    uses on ImageNet. Pixels are first rounded to uint8.

    Reference: Cubuk et al., 2019 (https://arxiv.org/abs/1805.09501).

    Args:
        translation: shift in pixels at level 10. The only shift in the policy has level 9. With
            250 pixels it moves a 224-pixel image out of the view, which is then gray.
    """

    translation: float = 250.0

    channels = (1, 3)
    num_draws = (
        5  # one for the sub-policy, one for the probability and one for the sign of each operation
    )

    def transform(self, image: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        """Applies a random sub-policy to a `[height, width, channels]` image."""
        by_name = operations(self.translation)
        names = sorted({name for pair in _SUB_POLICIES for name, _, _ in pair})
        sub_policy = tf.cast(draws[0] * len(_SUB_POLICIES), tf.int32)

        def look_up(entry: Callable[[str, float, int], float | bool]) -> tf.Tensor:
            """Returns the two entries of the sub-policy."""
            table = [[entry(*operation) for operation in pair] for pair in _SUB_POLICIES]
            return tf.gather(table, sub_policy)

        chosen = look_up(lambda name, *_: names.index(name))
        probability = look_up(lambda name, probability, level: probability)
        argument = look_up(lambda name, probability, level: by_name[name].argument(level))
        signed = look_up(lambda name, *_: by_name[name].signed)
        argument = tf.where(signed & (draws[3:5] < 0.5), -argument, argument)
        chosen = tf.where(draws[1:3] < probability, chosen, len(names))

        def apply(step: tf.Tensor, image: tf.Tensor) -> tf.Tensor:
            branches = [
                functools.partial(by_name[name].apply, image, argument[step]) for name in names
            ]
            branches.append(functools.partial(tf.identity, image))
            return tf.switch_case(chosen[step], branches)

        return to_float(for_loop(2, apply, to_uint8(image)))
