"""EfficientNetV2 of keras.applications as an encoder, also for small images."""

import keras

from supcon_tf._checks import check_choice

_VARIANTS = {
    "b0": keras.applications.EfficientNetV2B0,
    "b1": keras.applications.EfficientNetV2B1,
    "b2": keras.applications.EfficientNetV2B2,
    "b3": keras.applications.EfficientNetV2B3,
    "s": keras.applications.EfficientNetV2S,
    "m": keras.applications.EfficientNetV2M,
    "l": keras.applications.EfficientNetV2L,
}
_STEM_STRIDES = {"imagenet": 2, "cifar": 1}


def efficientnet_v2(
    variant: str,
    *,
    stem: str = "imagenet",
    input_shape: tuple[int, int, int] | None = None,
) -> keras.Model:
    """Builds EfficientNetV2, of `keras.applications`, that ends with global average pooling.

    It begins with random weights and does not scale its input: standardize the images before.

    Reference: Tan and Le, "EfficientNetV2", 2021 (https://arxiv.org/abs/2104.00298); Kim et al.,
    2022, whose code gives the teacher a stem of stride 1 for CIFAR.

    Examples:
        >>> import supcon_tf
        >>> encoder = supcon_tf.encoders.efficientnet_v2("b0", stem="cifar")
        >>> encoder.input_shape, encoder.output_shape
        ((None, 32, 32, 3), (None, 1280))

    Args:
        variant: `"b0"` to `"b3"`, `"s"`, `"m"` or `"l"`.
        stem: `"imagenet"`, whose first convolution has stride 2, or `"cifar"`, with stride 1, for
            images of about 32 pixels.
        input_shape: `(height, width, channels)`, with sides of at least 32 pixels. By default
            `(224, 224, 3)` for the ImageNet stem and `(32, 32, 3)` for the CIFAR stem.

    Returns:
        A model from images `[batch, height, width, channels]` to representations `[batch, 1280]`,
        1408 for `"b2"` and 1536 for `"b3"`.

    Raises:
        ValueError: if `variant` or `stem` is not one of the above, or images are smaller than 32
            pixels.
    """
    check_choice("variant", variant, tuple(_VARIANTS))
    check_choice("stem", stem, tuple(_STEM_STRIDES))
    side = 224 if stem == "imagenet" else 32
    model = _VARIANTS[variant](
        include_top=False,
        weights=None,
        input_shape=input_shape or (side, side, 3),
        pooling="avg",
        include_preprocessing=False,
    )
    strides = _STEM_STRIDES[stem]

    def with_strides(layer: keras.Layer) -> keras.Layer:
        config = layer.get_config()
        if layer.name == "stem_conv":
            config["strides"] = (strides, strides)
        return type(layer).from_config(config)

    return keras.models.clone_model(model, clone_function=with_strides)
