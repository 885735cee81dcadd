"""ConvNeXt."""

import keras
import numpy as np

from supcon_tf._checks import check_choice, check_fraction
from supcon_tf.encoders.keras_applications import (
    build_application,
    change_layer,
    replace_layers,
)

_VARIANTS = {
    "tiny": keras.applications.ConvNeXtTiny,
    "small": keras.applications.ConvNeXtSmall,
    "base": keras.applications.ConvNeXtBase,
    "large": keras.applications.ConvNeXtLarge,
    "xlarge": keras.applications.ConvNeXtXLarge,
}


def convnext(
    variant: str,
    *,
    stem: str = "imagenet",
    drop_path_rate: float = 0.0,
    input_shape: tuple[int, int, int] | None = None,
) -> keras.Model:
    r"""Builds a ConvNeXt encoder from `keras.applications`.

    The encoder has random weights and ends with global average pooling and a layer normalization.
    It does not scale its inputs, so the images must be standardized. The models of this library
    raise an error for pixels up to 255.

    Stochastic depth leaves out the residual branch $f$ of a block, for each image and step anew. In
    training, block $k$ of $n$, counted from 0, is

    $$y = x + \frac{b}{1 - p_k} f(x), \qquad b \sim \mathrm{Bernoulli}(1 - p_k), \qquad
      p_k = \frac{k}{n - 1} \, \mathrm{rate}$$

    The original stem divides an image of 32 pixels into 8 x 8 patches, which leaves one pixel for
    the last stage. The CIFAR stem keeps the resolution, so that the last stage has 4 x 4 pixels.
    Filip Basara measured F1 scores on CIFAR-10 that are about 6 and 12 points lower with patches of
    2 and 4 pixels than without patches (https://github.com/filipbasara0/simple-convnext). The
    kernel has 3 x 3 pixels, because the layer normalization after a 1 x 1 convolution would remove
    most of the brightness of each pixel.

    References: Liu et al., "A ConvNet for the 2020s", 2022 (https://arxiv.org/abs/2201.03545);
    Huang et al., "Deep Networks with Stochastic Depth", 2016 (https://arxiv.org/abs/1603.09382).

    Examples:
        >>> import supcon_tf
        >>> encoder = supcon_tf.encoders.convnext("tiny", stem="cifar", drop_path_rate=0.1)
        >>> encoder.input_shape, encoder.output_shape
        ((None, 32, 32, 3), (None, 768))

    Args:
        variant: `"tiny"`, `"small"`, `"base"`, `"large"` or `"xlarge"`.
        stem: `"imagenet"`, a first convolution of 4 x 4 pixels and stride 4, or `"cifar"`, a first
            convolution of 3 x 3 pixels and stride 1 for images of about 32 pixels.
        drop_path_rate: the rate of stochastic depth in the last block, at least 0 and below 1. The
            paper trains on ImageNet with 0.1 (tiny), 0.4 (small) and 0.5 (base and large).
        input_shape: `(height, width, channels)`. Both sides are at least 32 pixels. Defaults to
            `(224, 224, 3)` for the ImageNet stem and `(32, 32, 3)` for the CIFAR stem.

    Returns:
        A model from images `[batch, height, width, channels]` to representations `[batch, dim]`.
        `dim` is 768 for `"tiny"` and `"small"`, 1024 for `"base"`, 1536 for `"large"` and 2048 for
        `"xlarge"`.

    Raises:
        ValueError: if `variant`, `stem` or `drop_path_rate` is not one of the above, or a side of
            `input_shape` is below 32 pixels.
    """
    check_choice("variant", variant, tuple(_VARIANTS))
    rate = check_fraction("drop_path_rate", drop_path_rate)
    model = build_application(_VARIANTS[variant], stem=stem, input_shape=input_shape)
    # Keras's models have no stochastic depth: their residual branches end with an identity.
    branches = [layer.name for layer in model.layers if layer.name.endswith("_identity")]
    rates = dict(zip(branches, np.linspace(0.0, rate, len(branches)).tolist(), strict=True))

    def replace(layer: keras.Layer) -> keras.Layer | None:
        if stem == "cifar" and layer.name.endswith("_stem_conv"):
            return change_layer(layer, kernel_size=(3, 3), strides=(1, 1), padding="same")
        if layer.name in rates:
            name = layer.name.replace("_identity", "_drop_path")
            return keras.layers.Dropout(rates[layer.name], (None, 1, 1, 1), name=name)
        return None

    return replace_layers(model, replace)
