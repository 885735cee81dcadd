import keras
import numpy as np
import pytest

from supcon_tf import projection_head


def layer_kinds(head):
    return [type(layer).__name__ for layer in head.layers]


def test_linear_form():
    head = projection_head((128,))
    head.build((None, 2048))
    assert layer_kinds(head) == ["Dense"]
    assert head.count_params() == 2048 * 128  # no bias


def test_multi_layer_form():
    head = projection_head((2048, 128))
    head.build((None, 2048))
    assert layer_kinds(head) == ["Dense", "ReLU", "Dense"]
    assert head.count_params() == 2048 * 2048 + 2048 + 2048 * 128


def test_batch_norm_form():
    head = projection_head((64, 64, 32), batch_norm=True)
    hidden = ["Dense", "BatchNormalization", "ReLU"]
    assert layer_kinds(head) == [*hidden, *hidden, "Dense"]
    assert not head.layers[0].use_bias


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_the_projection_is_float32_under_every_policy(policy):
    keras.config.set_dtype_policy(policy)
    head = projection_head((16, 8))
    assert head(np.ones([2, 4])).dtype == "float32"
    assert head.layers[0].compute_dtype == policy.removeprefix("mixed_")


@pytest.mark.parametrize("widths", [(), (0,), (128, -1), (128.0,), 128])
def test_bad_widths(widths):
    with pytest.raises(ValueError, match="`widths`.*Received"):
        projection_head(widths)
