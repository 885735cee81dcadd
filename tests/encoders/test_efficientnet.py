import keras
import pytest

from supcon_tf.encoders import efficientnet_v2


@pytest.mark.slow
def test_only_the_stride_of_the_stem_differs():
    with keras.StatelessScope():  # weights have shapes and no values, which takes less time
        imagenet = efficientnet_v2("b0")
        cifar = efficientnet_v2("b0", stem="cifar")
        small = efficientnet_v2("b0", stem="cifar", input_shape=(40, 36, 3))
        expected = keras.applications.EfficientNetV2B0(
            include_top=False, weights=None, input_shape=(32, 32, 3), include_preprocessing=False
        )
    for encoder, height, width, stride in (
        (imagenet, 224, 224, 2),  # the default sizes
        (cifar, 32, 32, 1),
        (small, 40, 36, 1),
    ):
        assert encoder.input_shape == (None, height, width, 3)
        after_stem = encoder.get_layer("stem_conv").output.shape[1:3]
        assert after_stem == (height // stride, width // stride)
        assert encoder.get_layer("block2a_expand_conv").output.shape[1] == height // stride // 2
        assert encoder.output_shape == (None, 1280)
        shapes = [tuple(weight.shape) for weight in encoder.weights]
        assert shapes == [tuple(weight.shape) for weight in expected.weights]


@pytest.mark.slow
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
