import importlib
import sys

import numpy as np
import pytest
import tensorflow as tf

from supcon_tf._tensorflow_internals import fold_in_each, require_internal, xla_dot

pytestmark = pytest.mark.versions


def test_xla_dot():
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=[3, 4]), rng.normal(size=[5, 3])
    dot = tf.function(lambda x, y: xla_dot(x, y, (0, 1), tf.float64), jit_compile=True)
    np.testing.assert_allclose(dot(left, right), left.T @ right.T, rtol=1e-12)


def test_xla_dot_accumulates_in_the_dtype_of_the_result():
    left, right = tf.fill([1, 512], tf.constant(1, tf.bfloat16)), tf.ones([1, 512], tf.bfloat16)
    dot = tf.function(lambda x, y: xla_dot(x, y, (1, 1), tf.float32), jit_compile=True)
    assert dot(left, right).dtype == tf.float32
    assert dot(left, right).numpy() == 512  # bfloat16 stops at 256


def test_a_missing_module_is_explained(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow.compiler.tf2xla.python.xla", None)
    with pytest.raises(RuntimeError, match=r"needs `tensorflow.compiler.tf2xla.python.xla`"):
        xla_dot(tf.eye(2), tf.eye(2), (1, 1), tf.float32)


@pytest.mark.parametrize("name", ["dot_general", "xla_data_pb2"])
def test_a_missing_function_is_explained(monkeypatch, name):
    xla = importlib.import_module("tensorflow.compiler.tf2xla.python.xla")
    monkeypatch.delattr(xla, name)
    with pytest.raises(RuntimeError, match=rf"needs `.*{name}`"):
        xla_dot(tf.eye(2), tf.eye(2), (1, 1), tf.float32)


def test_a_missing_attribute_is_explained_by_the_installed_versions():
    message = rf"`numpy.ndarray._secret`.*Received: tensorflow {tf.__version__}.* and keras \d"
    for owner in (np.ndarray, np.zeros(2)):
        with pytest.raises(RuntimeError, match=message):
            require_internal(owner, "_secret")


@pytest.mark.parametrize("dtype", [tf.int32, tf.int64])
def test_fold_in_each(dtype):
    seed, numbers = tf.constant([3, -7], dtype), tf.constant([0, 5, 123456], dtype)
    expected = [tf.random.experimental.stateless_fold_in(seed, number) for number in numbers]
    np.testing.assert_array_equal(fold_in_each(seed, numbers), expected)
