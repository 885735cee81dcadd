"""Residual networks, version 1."""

from collections.abc import Sequence
from typing import NamedTuple

import keras
from keras import layers

from supcon_tf._checks import check_choice
from supcon_tf.encoders.l2_normalization import L2Normalization
from supcon_tf.encoders.pixels import Pixels


class _Architecture(NamedTuple):
    block: str
    stages: tuple[int, int, int, int]


_ARCHITECTURES = {
    10: _Architecture("basic", (1, 1, 1, 1)),
    18: _Architecture("basic", (2, 2, 2, 2)),
    34: _Architecture("basic", (3, 4, 6, 3)),
    50: _Architecture("bottleneck", (3, 4, 6, 3)),
    101: _Architecture("bottleneck", (3, 4, 23, 3)),
    152: _Architecture("bottleneck", (3, 8, 36, 3)),
    200: _Architecture("bottleneck", (3, 24, 36, 3)),
}
_EXPANSION = {"basic": 1, "bottleneck": 4}
# The ratio between the side of the image and the side of the last feature map, for each stem.
_REDUCTIONS = {"imagenet": 32, "cifar": 8}
# Arguments of keras.initializers.VarianceScaling.
_INITIALIZERS = {
    "he_fan_out": (2.0, "fan_out", "untruncated_normal"),
    "lecun_normal": (1.0, "fan_in", "truncated_normal"),
}
_POOL_PADDINGS = ("symmetric", "same")


def resnet(
    depth: int,
    *,
    stem: str = "imagenet",
    width: float = 1,
    input_shape: tuple[int | None, int | None, int] | None = None,
    synchronized_batch_norm: bool = False,
    zero_init_last_gamma: bool = False,
    kernel_initializer: str = "he_fan_out",
    pool_padding: str = "symmetric",
    normalize: bool = False,
    name: str | None = None,
) -> keras.Model:
    """Builds a ResNet encoder that ends with global average pooling.

    Convolutions have no biases. The 3 x 3 convolution of a bottleneck has the stride of the block.
    Padding is symmetric, so weights of other implementations fit. Batch normalization has momentum
    0.9 and epsilon 1e-5. The official TensorFlow code corresponds to `zero_init_last_gamma=True`,
    `kernel_initializer="lecun_normal"` and `pool_padding="same"`.

    Reference: He et al., "Deep Residual Learning for Image Recognition", 2015
    (https://arxiv.org/abs/1512.03385); Khosla et al., 2020, section 3.1.

    Examples:
        >>> import supcon_tf
        >>> encoder = supcon_tf.encoders.resnet(18, stem="cifar", input_shape=(32, 32, 3))
        >>> encoder.output_shape
        (None, 512)

    Args:
        depth: 10, 18 or 34 (basic blocks), 50, 101, 152 or 200 (bottlenecks).
        stem: `"imagenet"`, a 7 x 7 convolution of stride 2 and max-pooling of stride 2, or
            `"cifar"`, a 3 x 3 convolution of stride 1, for images of about 32 pixels.
        width: the number of channels of every layer is multiplied by this factor, which can be
            below 1.
        input_shape: `(height, width, channels)`. Height and width can be `None`. Defaults to
            `(224, 224, 3)` for the ImageNet stem and `(32, 32, 3)` for the CIFAR stem.
        synchronized_batch_norm: whether several replicas normalize with the statistics of the
            global batch, as in the ImageNet recipes of the paper. Otherwise every replica uses the
            statistics of its own rows.
        zero_init_last_gamma: whether the scale of the last batch normalization of each block is
            initially 0. The block is then initially the identity.
        kernel_initializer: initializer of the convolutions. `"he_fan_out"` is the normal
            distribution with variance 2 / fan out of He et al. `"lecun_normal"` is the truncated
            normal distribution with variance 1 / fan in, the default variance scaling of
            TensorFlow.
        pool_padding: padding of the max-pooling in the ImageNet stem. `"symmetric"` adds one pixel
            on every side. `"same"` is the padding of TensorFlow, which pads even sides at their end
            only.
        normalize: whether to scale representations to unit length, in float32, as in the ImageNet
            recipes of the paper.
        name: name of the model.

    Returns:
        A model from images `[batch, height, width, channels]`, in [0, 1] or standardized, to
        representations `[batch, dim]`. The models of this library raise an error for pixels up to
        255. `dim` is 512 x `width` for basic blocks and 2048 x `width` for bottlenecks.

    Raises:
        ValueError: if `depth`, `stem`, `width`, `kernel_initializer` or `pool_padding` is not one
            of the above, or a side of `input_shape` is below 8 pixels (CIFAR stem) or 32 pixels
            (ImageNet stem).
    """
    check_choice("depth", depth, tuple(_ARCHITECTURES))
    check_choice("stem", stem, tuple(_REDUCTIONS))
    check_choice("kernel_initializer", kernel_initializer, tuple(_INITIALIZERS))
    check_choice("pool_padding", pool_padding, _POOL_PADDINGS)
    base = round(64 * width)
    if base < 1:
        raise ValueError(
            f"`width` must be at least 1/64, which leaves one of 64 channels. Received: {width!r}"
        )
    if input_shape is None:
        input_shape = (224, 224, 3) if stem == "imagenet" else (32, 32, 3)
    if not isinstance(input_shape, Sequence) or len(input_shape) != 3:
        raise ValueError(
            f"`input_shape` must be (height, width, channels). Received: {input_shape!r}"
        )
    if any(side is not None and side < _REDUCTIONS[stem] for side in input_shape[:2]):
        raise ValueError(
            f"`input_shape` must have sides of at least {_REDUCTIONS[stem]} pixels for the {stem} "
            f"stem. Received: input_shape={input_shape}"
        )
    block, stages = _ARCHITECTURES[depth]

    def conv(
        x: keras.KerasTensor, filters: int, kernel: int, stride: int, name: str
    ) -> keras.KerasTensor:
        if stride > 1:
            # "same" pads a strided convolution on one side only.
            x = layers.ZeroPadding2D(kernel // 2, name=f"{name}_pad")(x)
        return layers.Conv2D(
            filters,
            kernel,
            stride,
            padding="valid" if stride > 1 else "same",
            use_bias=False,
            kernel_initializer=keras.initializers.VarianceScaling(
                *_INITIALIZERS[kernel_initializer]
            ),
            name=name,
        )(x)

    def norm(x: keras.KerasTensor, name: str, zero_init: bool = False) -> keras.KerasTensor:
        return layers.BatchNormalization(
            momentum=0.9,
            epsilon=1e-5,
            gamma_initializer="zeros" if zero_init else "ones",
            synchronized=synchronized_batch_norm,
            name=f"{name}_norm",
        )(x)

    def residual_block(
        x: keras.KerasTensor, channels: int, stride: int, name: str
    ) -> keras.KerasTensor:
        outputs = channels * _EXPANSION[block]
        # Slicing before a 1 x 1 convolution has the same result as a stride. oneDNN crashes in the
        # gradient of strided 1 x 1 convolutions with few channels.
        shortcut = x[:, ::stride, ::stride] if stride > 1 else x
        if stride > 1 or x.shape[-1] != outputs:
            shortcut = conv(shortcut, outputs, 1, 1, name=f"{name}_shortcut")
            shortcut = norm(shortcut, f"{name}_shortcut")
        if block == "basic":
            sizes = [(channels, 3, stride), (channels, 3, 1)]
        else:
            sizes = [(channels, 1, 1), (channels, 3, stride), (outputs, 1, 1)]
        for i, (filters, kernel, conv_stride) in enumerate(sizes, start=1):
            last = i == len(sizes)
            x = conv(x, filters, kernel, conv_stride, name=f"{name}_conv{i}")
            x = norm(x, f"{name}_conv{i}", zero_init=last and zero_init_last_gamma)
            if not last:
                x = layers.ReLU(name=f"{name}_relu{i}")(x)
        x = layers.Add(name=f"{name}_add")([shortcut, x])
        return layers.ReLU(name=f"{name}_relu")(x)

    inputs = layers.Input(input_shape, name="images")
    x = Pixels(name="pixels")(inputs)
    if stem == "imagenet":
        x = conv(x, base, 7, 2, name="stem_conv")
    else:
        x = conv(x, base, 3, 1, name="stem_conv")
    x = layers.ReLU(name="stem_relu")(norm(x, "stem"))
    if stem == "imagenet":
        if pool_padding == "symmetric":
            # Zeros do not change the maximum, because the pooled values are outputs of a ReLU.
            x = layers.ZeroPadding2D(1, name="stem_pad")(x)
        padding = "same" if pool_padding == "same" else "valid"
        x = layers.MaxPooling2D(3, 2, padding=padding, name="stem_pool")(x)
    for stage, num_blocks in enumerate(stages):
        for i in range(num_blocks):
            stride = 2 if stage > 0 and i == 0 else 1
            x = residual_block(x, base * 2**stage, stride, name=f"stage{stage + 1}_block{i + 1}")
    outputs = layers.GlobalAveragePooling2D(name="pool")(x)
    if normalize:
        outputs = L2Normalization(dtype="float32", name="unit_length")(outputs)
    return keras.Model(inputs, outputs, name=name or f"resnet{depth}")
