"""TensorFlow functionality that has no public API.

No other file of the library imports non-public modules of TensorFlow or relies on undocumented
results. This file imports no Keras, so that `supcon_tf.similarity` can use it;
`supcon_tf._keras_internals` does the same for Keras.
"""

import importlib
import importlib.metadata
from typing import Any

import tensorflow as tf


def require_internal(owner: Any, name: str) -> Any:
    """Returns an attribute that is not part of a public API.

    Args:
        owner: the object or class that has the attribute.
        name: the name of the attribute.

    Raises:
        RuntimeError: if the installed version of TensorFlow or Keras lacks the attribute.
    """
    try:
        return getattr(owner, name)
    except AttributeError as error:
        kind = owner if isinstance(owner, type) else type(owner)
        raise RuntimeError(_unsupported(f"{kind.__module__}.{kind.__qualname__}.{name}")) from error


def xla_dot(left: tf.Tensor, right: tf.Tensor, axes: tuple[int, int], dtype: tf.DType) -> tf.Tensor:
    """Contracts two matrices in XLA, at the highest precision of the device.

    Why: a TPU rounds the float32 operands of `tf.matmul` to bfloat16, and a GPU can round them to
    TensorFloat-32. Public API: `tf.config.experimental.enable_tensor_float_32_execution` sets the
    precision of a whole process on GPUs, and nothing sets the precision on TPUs. Not guaranteed:
    the module `tensorflow.compiler.tf2xla.python.xla` and the signature of its `dot_general`.

    Args:
        left: a floating-point matrix.
        right: a matrix of the same dtype.
        axes: the axis of `left` and the axis of `right` to contract.
        dtype: the dtype of the result, in which XLA accumulates the sums.

    Returns:
        A matrix of the remaining axis of `left` times the remaining axis of `right`.

    Raises:
        RuntimeError: if the installed version of TensorFlow has no such function.
    """
    try:
        xla = importlib.import_module("tensorflow.compiler.tf2xla.python.xla")
    except ImportError as error:
        raise RuntimeError(_unsupported("tensorflow.compiler.tf2xla.python.xla")) from error
    protos = require_internal(xla, "xla_data_pb2")
    precision = protos.PrecisionConfig
    return require_internal(xla, "dot_general")(
        left,
        right,
        protos.DotDimensionNumbers(
            lhs_contracting_dimensions=[axes[0]], rhs_contracting_dimensions=[axes[1]]
        ),
        precision(operand_precision=[precision.HIGHEST, precision.HIGHEST]),
        dtype,
    )


def fold_in_each(seed: tf.Tensor, numbers: tf.Tensor) -> tf.Tensor:
    """Folds every number into a seed.

    Why: `tf.random.experimental.stateless_fold_in` takes one number, and a loop over the numbers
    costs more than drawing the random numbers. Not guaranteed: the layout of its result, a pair of
    a value that depends on the seed only and of the number.

    Args:
        seed: `[2]` integers.
        numbers: `[count]` integers of the same dtype.

    Returns:
        `[count, 2]` seeds, equal to `stateless_fold_in(seed, number)` of each number.
    """
    from_seed = tf.random.experimental.stateless_fold_in(seed, tf.zeros_like(numbers[0]))[0]
    return tf.stack([tf.fill(tf.shape(numbers), from_seed), numbers], axis=1)


def _unsupported(name: str) -> str:
    """Returns the message of an error about a missing name."""
    installed = " and ".join(
        f"{package} {importlib.metadata.version(package)}" for package in ("tensorflow", "keras")
    )
    return (
        f"supcon_tf needs `{name}`, a non-public API that the installed versions lack. Upgrade "
        "supcon-tf, or install earlier versions of TensorFlow and Keras. "
        f"Received: {installed}"
    )
