import keras
import pytest

from supcon_tf.encoders import efficientnet_v2


@pytest.mark.slow
@pytest.mark.parametrize(("stem", "stride"), [("cifar", 1), ("imagenet", 2)])
def test_only_the_stride_of_the_stem_differs(stem, stride):
    encoder = efficientnet_v2("b0", stem=stem, input_shape=(32, 32, 1))
    assert encoder.get_layer("stem_conv").output.shape[1:3] == (32 // stride, 32 // stride)
    assert encoder.get_layer("block2a_expand_conv").output.shape[1] == 32 // stride // 2
    assert encoder.output_shape == (None, 1280)
    expected = keras.applications.EfficientNetV2B0(
        include_top=False, weights=None, input_shape=(32, 32, 1), include_preprocessing=False
    )
    shapes = [tuple(weight.shape) for weight in encoder.weights]
    assert shapes == [tuple(weight.shape) for weight in expected.weights]


@pytest.mark.slow
def test_default_image_sizes():
    assert efficientnet_v2("b0", stem="cifar").input_shape == (None, 32, 32, 3)
    assert efficientnet_v2("b0").input_shape == (None, 224, 224, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"variant": "xl"}, "`variant` must be one of .*'m'.*Received: 'xl'"),
        ({"variant": "b0", "stem": "tiny"}, "`stem` must be one of .*Received: 'tiny'"),
        ({"variant": "b0", "input_shape": (16, 16, 3)}, "at least 32"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        efficientnet_v2(**arguments)
