"""The operations of AutoAugment and RandAugment by name, with the meaning of their levels."""

import dataclasses
from collections.abc import Callable

import tensorflow as tf

from supcon_tf.augmentation import color_ops, geometry

# Changes a `[height, width, channels]` uint8 image by a float32 argument.
_Change = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


@dataclasses.dataclass(frozen=True)
class Operation:
    """An operation whose strength is a level between 0 and 10.

    Attributes:
        apply: changes a `[height, width, channels]` uint8 image by a float32 argument.
        lowest: the argument at level 0.
        highest: the argument at level 10.
        whole: whether the argument is cut off to an integer.
        signed: whether the argument is negated for half of the images.
    """

    apply: _Change
    lowest: float = 0.0
    highest: float = 0.0
    whole: bool = False
    signed: bool = False

    def argument(self, level: float) -> float:
        """The argument at a level."""
        value = self.lowest + (self.highest - self.lowest) * level / 10
        return float(int(value)) if self.whole else value


def operations(translation: float) -> dict[str, Operation]:
    """Makes the operations that both policies have.

    Levels as in the TF model garden's `augment.py`.

    Args:
        translation: pixels that an image is shifted by at level 10.
    """

    def enhance(function: _Change) -> Operation:
        return Operation(function, lowest=0.1, highest=1.9)

    def fixed(function: Callable[[tf.Tensor], tf.Tensor]) -> Operation:
        return Operation(lambda image, _: function(image))

    def move(function: _Change, most: float) -> Operation:
        return Operation(function, highest=most, signed=True)

    return {
        "AutoContrast": fixed(color_ops.autocontrast),
        "Equalize": fixed(color_ops.equalize),
        "Invert": fixed(color_ops.invert),
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
    """Rounds [0, 1] to the levels of uint8."""
    return tf.cast(image * 255.0 + 0.5, tf.uint8)


def to_float(image: tf.Tensor) -> tf.Tensor:
    """Turns uint8 into float32 in [0, 1]."""
    return tf.cast(image, tf.float32) / 255.0
