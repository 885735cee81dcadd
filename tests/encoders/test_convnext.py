import keras
import numpy as np
import pytest

from supcon_tf.encoders import convnext
from supcon_tf.encoders.pixels import find_pixels


def layer(encoder, name):
    return encoder.get_layer(f"convnext_tiny_{name}")


@pytest.fixture(scope="module")
def cifar():
    return convnext("tiny", stem="cifar", drop_path_rate=0.34)


@pytest.mark.slow
def test_only_the_stem_differs(cifar):
    with keras.StatelessScope():  # weights have shapes and no values, which takes less time
        imagenet = convnext("tiny")
    # 28,589,128 parameters in the authors' code, of which 769,000 are those of the classifier.
    assert imagenet.count_params() == 28_589_128 - 769_000
    assert cifar.count_params() == imagenet.count_params() - (4 * 4 - 3 * 3) * 3 * 96
    assert [w.shape for w in cifar.weights[1:]] == [w.shape for w in imagenet.weights[1:]]
    for encoder, side, stride in ((imagenet, 224, 4), (cifar, 32, 1)):
        assert encoder.input_shape == (None, side, side, 3)
        assert layer(encoder, "stem").output.shape == (None, side // stride, side // stride, 96)
        sides = [layer(encoder, f"stage_{k}_block_2_drop_path").output.shape[1] for k in range(4)]
        assert sides == [side // stride // 2**k for k in range(4)]
        assert encoder.output_shape == (None, 768)
        assert find_pixels(encoder).standardized


@pytest.mark.slow
def test_stochastic_depth_drops_the_branches_of_whole_images(cifar):
    depths = (3, 3, 9, 3)
    blocks = [f"stage_{k}_block_{j}_drop_path" for k in range(4) for j in range(depths[k])]
    rates = [layer(cifar, block).rate for block in blocks]
    np.testing.assert_allclose(rates, 0.02 * np.arange(18))  # 0.34 / 17 more in each block
    drop_path = layer(cifar, blocks[-1])
    branch = np.ones([200, 2, 2, 3], "float32")
    kept = keras.ops.convert_to_numpy(drop_path(branch, training=True))
    np.testing.assert_allclose(kept, np.broadcast_to(kept[:, :1, :1, :1], kept.shape))
    np.testing.assert_allclose(np.unique(kept), [0, 1 / 0.66], rtol=1e-6)
    assert 40 < np.sum(kept[:, 0, 0, 0] == 0) < 100  # 68 on average
    np.testing.assert_array_equal(drop_path(branch, training=False), branch)


def test_save_and_load(cifar, tmp_path):
    """A part with one layer of each kind, which is saved in less time than the encoder."""
    part = keras.Model(cifar.input, layer(cifar, "stage_0_block_1_drop_path").output)
    layer(part, "stage_0_block_1_layer_scale").gamma.assign(np.linspace(0, 1, 96))
    part.save(tmp_path / "encoder.keras")
    loaded = keras.saving.load_model(tmp_path / "encoder.keras")
    for ours, expected in zip(loaded.get_weights(), part.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, expected)
    assert [type(each) for each in loaded.layers] == [type(each) for each in part.layers]
    assert layer(loaded, "stage_0_block_1_drop_path").rate == pytest.approx(0.02)
    assert layer(loaded, "stem").output.shape == (None, 32, 32, 96)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"variant": "nano"}, "`variant` must be one of .*'base'.*Received: 'nano'"),
        ({"variant": "tiny", "stem": "tiny"}, "`stem` must be one of .*Received: 'tiny'"),
        ({"variant": "tiny", "input_shape": (16, 16, 3)}, "at least 32"),
        ({"variant": "tiny", "drop_path_rate": 1.0}, "`drop_path_rate` .* below 1. Received: 1.0"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        convnext(**arguments)
