"""The operations of AutoAugment and RandAugment by name, with the arguments of their levels."""

import dataclasses
from collections.abc import Callable

import tensorflow as tf

from supcon_tf.augmentation import color_ops, geometry

# Function of a `[height, width, channels]` uint8 image and a float32 argument.
_Function = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


@dataclasses.dataclass(frozen=True)
class Operation:
    """An operation whose strength is a level between 0 and 10.

    Attributes:
        apply: function of a `[height, width, channels]` uint8 image and a float32 argument.
        lowest: argument at level 0.
        highest: argument at level 10.
        whole: whether the argument is truncated to an integer.
        signed: whether the argument is negated for a random half of the images.
    """

    apply: _Function
    lowest: float = 0.0
    highest: float = 0.0
    whole: bool = False
    signed: bool = False

    def argument(self, level: float) -> float:
        """Returns the argument at a level."""
        value = self.lowest + (self.highest - self.lowest) * level / 10
        return float(int(value)) if self.whole else value


def operations(translation: float) -> dict[str, Operation]:
    """Returns the operations that AutoAugment and RandAugment share.

    The levels follow the TF Model Garden's `augment.py`.

    Args:
        translation: shift in pixels at level 10.
    """

    def enhance(function: _Function) -> Operation:
        return Operation(function, lowest=0.1, highest=1.9)

    def without_level(function: Callable[[tf.Tensor], tf.Tensor]) -> Operation:
        return Operation(lambda image, _: function(image))

    def move(function: _Function, highest: float) -> Operation:
        return Operation(function, highest=highest, signed=True)

    return {
        "AutoContrast": without_level(color_ops.autocontrast),
        "Equalize": without_level(color_ops.equalize),
        "Invert": without_level(color_ops.invert),
        "Posterize": Operation(color_ops.posterize, highest=4, whole=True),
        "Solarize": Operation(color_ops.solarize, highest=256, whole=True),
        "SolarizeAdd": Operation(color_ops.solarize_add, highest=110, whole=True),
        "Color": enhance(color_ops.color),
        "Contrast": enhance(color_ops.contrast),
        "Brightness": enhance(color_ops.brightness),
        "Sharpness": enhance(color_ops.sharpness),
        "Rotate": move(geometry.rotate, 30.0),
        "ShearX": move(geometry.shear_x, 0.3),
        "ShearY": move(geometry.shear_y, 0.3),
        "TranslateX": move(geometry.translate_x, translation),
        "TranslateY": move(geometry.translate_y, translation),
    }


def to_uint8(image: tf.Tensor) -> tf.Tensor:
    """Converts numbers in [0, 1] to uint8, with rounding."""
    return tf.cast(image * 255.0 + 0.5, tf.uint8)


def to_float(image: tf.Tensor) -> tf.Tensor:
    """Converts uint8 to float32 in [0, 1]."""
    return tf.cast(image, tf.float32) / 255.0
