import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from supcon_tf.encoders import resnet


def without_values(*args, **kwargs):
    """Builds a ResNet whose weights have shapes and no values, which takes less time and memory."""
    with keras.StatelessScope():
        return resnet(*args, **kwargs)


@functools.cache
def narrow_resnet50():
    """One encoder for all tests that only read it."""
    return resnet(50, width=1 / 64)


def trainable_parameters(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


# Known counts without the classifier. 18, 34, 50, 101, 152: torchvision's totals of
# 11,689,512, 21,797,672, 25,557,032, 44,549,160 and 60,192,808 less a layer of 1000 classes.
# 200: resnet200 of timm, 64,673,832, less the same. 10: one basic block per stage: ResNet-18 less
# one identity block per stage, each with two 3 x 3 convolutions and two batch normalizations
# (18 c^2 + 4 c parameters).
IMAGENET_COUNTS = {
    10: 11_176_512 - sum(18 * c * c + 4 * c for c in (64, 128, 256, 512)),
    18: 11_689_512 - 513_000,
    34: 21_797_672 - 513_000,
    50: 23_508_032,
    101: 44_549_160 - 2_049_000,
    152: 60_192_808 - 2_049_000,
    200: 64_673_832 - 2_049_000,
}
# The 7 x 7 stem has 9,408 weights, the 3 x 3 stem 1,728.
STEM_DIFFERENCE = 9_408 - 1_728


@pytest.mark.slow
@pytest.mark.parametrize("depth", IMAGENET_COUNTS)
def test_parameter_counts(depth):
    encoder = without_values(depth)
    assert trainable_parameters(encoder) == IMAGENET_COUNTS[depth]
    assert encoder.output_shape == (None, 512 if depth < 50 else 2048)


@pytest.mark.slow
@pytest.mark.parametrize("depth", [18, 50])
def test_parameter_counts_of_the_cifar_stem(depth):
    encoder = without_values(depth, stem="cifar")
    assert trainable_parameters(encoder) == IMAGENET_COUNTS[depth] - STEM_DIFFERENCE


@pytest.mark.slow
@pytest.mark.parametrize(("depth", "width", "dim"), [(50, 2, 4096), (10, 0.25, 128)])
def test_width_multiplies_the_representation(depth, width, dim):
    assert without_values(depth, width=width).output_shape == (None, dim)


@pytest.mark.parametrize(
    ("stem", "size", "last"), [("imagenet", 224, 7), ("imagenet", 64, 2), ("cifar", 32, 4)]
)
def test_strides(stem, size, last):
    encoder = without_values(10, stem=stem, input_shape=(size, size, 3))
    assert encoder.get_layer("pool").input.shape[1:] == (last, last, 512)


@pytest.mark.slow
def test_the_stride_of_a_bottleneck_is_on_its_3x3_convolution():
    encoder = narrow_resnet50()
    strides = [encoder.get_layer(f"stage2_block1_conv{i}").strides for i in (1, 2, 3)]
    assert strides == [(1, 1), (2, 2), (1, 1)]


@pytest.mark.slow
def test_shortcuts_are_strided_convolutions():
    encoder = resnet(50, width=1 / 64, input_shape=(36, 52, 3))
    encoder.set_weights([np.random.default_rng(0).random(w.shape) for w in encoder.get_weights()])
    for stage in (2, 3, 4):
        shortcut = encoder.get_layer(f"stage{stage}_block1_shortcut")
        before = encoder.get_layer(f"stage{stage}_block1_conv1").input
        seen, actual = keras.Model(encoder.input, [before, shortcut.output])(
            tf.ones([1, 36, 52, 3])
        )
        kernel = shortcut.kernel.numpy()[0, 0].astype("float64")
        # The definition: output (i, j) reads pixel (2 i, 2 j), of odd and of even sides.
        expected = np.zeros([1, -(-seen.shape[1] // 2), -(-seen.shape[2] // 2), kernel.shape[1]])
        for i, j in np.ndindex(*expected.shape[1:3]):
            expected[:, i, j] = seen[:, 2 * i, 2 * j].numpy().astype("float64") @ kernel
        np.testing.assert_allclose(actual, expected, rtol=1e-5)


@pytest.mark.slow
def test_no_convolution_of_one_pixel_has_a_stride():
    narrow = resnet(18, width=0.125)
    for encoder in (resnet(10, width=1 / 64), narrow, narrow_resnet50()):
        kernels = [x for x in encoder.layers if isinstance(x, keras.layers.Conv2D)]
        assert all(x.strides == (1, 1) for x in kernels if x.kernel_size == (1, 1))
    # With few channels the gradient of such a convolution would crash the interpreter.
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(narrow(tf.ones([2, 224, 224, 3]), training=True) ** 2)
    assert all(np.isfinite(x).all() for x in tape.gradient(loss, narrow.trainable_variables))


@pytest.mark.parametrize("side", [64, 46])  # feature maps of 32 and, an odd side, 23 pixels
def test_padding_of_the_stems_pooling(side):
    images = np.random.default_rng(0).normal(size=[2, side, side, 3]).astype("float32")
    for padding, tfs in (("symmetric", [[0, 0], [1, 1], [1, 1], [0, 0]]), ("same", "SAME")):
        encoder = resnet(10, width=0.125, input_shape=(side, side, 3), pool_padding=padding)
        layers = [encoder.get_layer(f"stem_{name}").output for name in ("relu", "pool")]
        before, actual = keras.Model(encoder.input, layers)(images)
        np.testing.assert_array_equal(actual, tf.nn.max_pool2d(before, 3, 2, tfs))


@pytest.mark.slow
def test_initial_kernels():
    # 3 x 3 with 128 inputs and 256 outputs: fan in 1152, fan out 2304.
    for initializer, expected in (
        ("he_fan_out", stats.norm(scale=np.sqrt(2 / 2304))),
        (
            "lecun_normal",
            stats.truncnorm(-2, 2, scale=np.sqrt(1 / 1152) / stats.truncnorm(-2, 2).std()),
        ),
    ):
        encoder = resnet(10, stem="cifar", kernel_initializer=initializer)
        kernel = encoder.get_layer("stage3_block1_conv1").kernel.numpy()
        assert kernel.shape == (3, 3, 128, 256)
        assert stats.kstest(kernel.ravel(), expected.cdf).statistic < 0.005


def test_unknown_image_size():
    encoder = resnet(10, stem="cifar", width=0.125, input_shape=(None, None, 1))
    assert encoder(np.zeros([2, 28, 20, 1])).shape == (2, 64)


def test_synchronized_batch_norm():
    for synchronized in (False, True):
        encoder = resnet(10, width=1 / 64, synchronized_batch_norm=synchronized)
        norms = [x for x in encoder.layers if isinstance(x, keras.layers.BatchNormalization)]
        assert norms
        assert all(norm.synchronized == synchronized for norm in norms)


@pytest.mark.slow
def test_zero_init_last_gamma_makes_every_block_the_identity():
    for zero_init in (False, True):
        encoder = (
            resnet(50, width=1 / 64, zero_init_last_gamma=True) if zero_init else narrow_resnet50()
        )
        zero = {
            layer.name
            for layer in encoder.layers
            if isinstance(layer, keras.layers.BatchNormalization)
            and not np.any(layer.gamma.numpy())
        }
        blocks = [
            f"stage{s + 1}_block{b + 1}" for s, n in enumerate((3, 4, 6, 3)) for b in range(n)
        ]
        assert zero == ({f"{block}_conv3_norm" for block in blocks} if zero_init else set())


def test_representations_of_unit_length():
    encoder = resnet(10, stem="cifar", width=0.125, normalize=True)
    images = np.random.default_rng(0).random([3, 32, 32, 3], "float32")
    plain = keras.Model(encoder.input, encoder.get_layer("pool").output)(images)
    expected = plain / np.linalg.norm(plain, axis=1, keepdims=True)
    np.testing.assert_allclose(encoder(images), expected, rtol=1e-5)


@pytest.mark.slow
def test_save_and_load(tmp_path):
    encoder = resnet(10, stem="cifar", width=0.125)
    encoder.save(tmp_path / "encoder.keras")
    images = np.random.default_rng(0).random([2, 32, 32, 3], "float32")
    loaded = keras.saving.load_model(tmp_path / "encoder.keras")
    np.testing.assert_array_equal(loaded(images), encoder(images))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depth": 20}, "`depth`.*Received: 20"),
        ({"depth": 50, "stem": "tiny"}, "`stem`.*Received: 'tiny'"),
        ({"depth": 50, "kernel_initializer": "zeros"}, "`kernel_initializer`.*Received: 'zeros'"),
        ({"depth": 50, "pool_padding": "valid"}, "`pool_padding`.*Received: 'valid'"),
        ({"depth": 50, "input_shape": (32, 32)}, r"\(height, width, channels\).*\(32, 32\)"),
        ({"depth": 50, "input_shape": 32}, r"\(height, width, channels\). Received: 32"),
        ({"depth": 50, "width": 0}, "`width`.*Received: 0"),
        ({"depth": 50, "input_shape": (28, 32, 3)}, "at least 32 pixels.*28, 32, 3"),
        ({"depth": 50, "stem": "cifar", "input_shape": (8, 7, 1)}, "at least 8 pixels.*8, 7, 1"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        resnet(**arguments)
