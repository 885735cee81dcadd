import keras
import numpy as np
import pytest

from supcon_tf.models.encoders import resnet


def trainable_parameters(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


# Known counts without the classifier. 18, 34, 50, 101: torchvision's totals of 11,689,512,
# 21,797,672, 25,557,032 and 44,549,160 less a layer of 1000 classes. 200: timm's resnet200,
# 64,673,832, less the same. 10: one basic block a stage, so ResNet-18 less one identity block a
# stage, each of two 3 x 3 convolutions and two batch normalisations (18 c^2 + 4 c parameters).
IMAGENET_COUNTS = {
    10: 11_176_512 - sum(18 * c * c + 4 * c for c in (64, 128, 256, 512)),
    18: 11_689_512 - 513_000,
    34: 21_797_672 - 513_000,
    50: 23_508_032,
    101: 44_549_160 - 2_049_000,
    200: 64_673_832 - 2_049_000,
}
# The 7 x 7 stem has 9,408 weights, the 3 x 3 stem 1,728.
STEM_DIFFERENCE = 9_408 - 1_728


@pytest.mark.parametrize("depth", IMAGENET_COUNTS)
def test_parameter_counts(depth):
    assert trainable_parameters(resnet(depth)) == IMAGENET_COUNTS[depth]


@pytest.mark.parametrize("depth", [18, 50])
def test_parameter_counts_of_the_cifar_stem(depth):
    encoder = resnet(depth, stem="cifar")
    assert trainable_parameters(encoder) == IMAGENET_COUNTS[depth] - STEM_DIFFERENCE


@pytest.mark.parametrize(
    ("depth", "width", "dim"), [(18, 1, 512), (50, 1, 2048), (50, 2, 4096), (10, 0.25, 128)]
)
def test_width_multiplies_the_representation(depth, width, dim):
    assert resnet(depth, width=width).output_shape == (None, dim)


@pytest.mark.parametrize(
    ("stem", "size", "last"), [("imagenet", 224, 7), ("imagenet", 64, 2), ("cifar", 32, 4)]
)
def test_strides(stem, size, last):
    encoder = resnet(18, stem=stem, input_shape=(size, size, 3))
    assert encoder.get_layer("pool").input.shape[1:] == (last, last, 512)


def test_the_stride_of_a_bottleneck_is_on_its_3x3_convolution():
    encoder = resnet(50, width=1 / 64)
    strides = [encoder.get_layer(f"stage2_block1_conv{i}").strides for i in (1, 2, 3)]
    assert strides == [(1, 1), (2, 2), (1, 1)]


def test_unknown_image_size():
    encoder = resnet(10, stem="cifar", width=0.125, input_shape=(None, None, 1))
    assert encoder(np.zeros([2, 28, 20, 1])).shape == (2, 64)


def test_synchronized_batch_norm():
    for synchronized in (False, True):
        encoder = resnet(10, width=1 / 64, synchronized_batch_norm=synchronized)
        norms = [x for x in encoder.layers if isinstance(x, keras.layers.BatchNormalization)]
        assert norms
        assert all(norm.synchronized == synchronized for norm in norms)


def test_zero_init_last_gamma_makes_every_block_the_identity():
    for zero_init in (False, True):
        encoder = resnet(50, width=1 / 64, zero_init_last_gamma=zero_init)
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
