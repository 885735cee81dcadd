"""EfficientNetV2."""

import keras

from supcon_tf._checks import check_choice
from supcon_tf.encoders.keras_applications import (
    build_application,
    change_layer,
    replace_layers,
)

_VARIANTS = {
    "b0": keras.applications.EfficientNetV2B0,
    "b1": keras.applications.EfficientNetV2B1,
    "b2": keras.applications.EfficientNetV2B2,
    "b3": keras.applications.EfficientNetV2B3,
    "s": keras.applications.EfficientNetV2S,
    "m": keras.applications.EfficientNetV2M,
    "l": keras.applications.EfficientNetV2L,
}


def efficientnet_v2(
    variant: str,
    *,
    stem: str = "imagenet",
    input_shape: tuple[int, int, int] | None = None,
) -> keras.Model:
    """Builds an EfficientNetV2 encoder from `keras.applications`.

    The encoder has random weights and ends with global average pooling. It does not scale its
    inputs, so the images must be standardized. The models of this library raise an error for pixels
    up to 255.

    References: Tan and Le, "EfficientNetV2", 2021 (https://arxiv.org/abs/2104.00298). The code of
    Kim et al., 2022, gives the teacher a stem of stride 1 for CIFAR.

    Examples:
        >>> import supcon_tf
        >>> encoder = supcon_tf.encoders.efficientnet_v2("b0", stem="cifar")
        >>> encoder.input_shape, encoder.output_shape
        ((None, 32, 32, 3), (None, 1280))

    Args:
        variant: `"b0"` to `"b3"`, `"s"`, `"m"` or `"l"`.
        stem: `"imagenet"`, a first convolution of stride 2, or `"cifar"`, a first convolution of
            stride 1 for images of about 32 pixels.
        input_shape: `(height, width, channels)`. Both sides are at least 32 pixels. Defaults to
            `(224, 224, 3)` for the ImageNet stem and `(32, 32, 3)` for the CIFAR stem.

    Returns:
        A model from images `[batch, height, width, channels]` to representations `[batch, dim]`.
        `dim` is 1408 for `"b2"`, 1536 for `"b3"`, and 1280 for all other variants.

    Raises:
        ValueError: if `variant` or `stem` is not one of the above, or a side of `input_shape` is
            below 32 pixels.
    """
    check_choice("variant", variant, tuple(_VARIANTS))
    model = build_application(_VARIANTS[variant], stem=stem, input_shape=input_shape)

    def replace(layer: keras.Layer) -> keras.Layer | None:
        if stem == "cifar" and layer.name == "stem_conv":
            return change_layer(layer, strides=(1, 1))
        return None

    return replace_layers(model, replace)
