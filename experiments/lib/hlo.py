"""Translates training steps to HLO, the language of XLA."""

import re
from collections.abc import Callable
from typing import Any

import tensorflow as tf


class MissingKernelError(NotImplementedError):
    """XLA has no kernel for an operation; the message names it and the line that created it."""


def translate(
    step: Callable[[Any], Any], *specs: tf.TensorSpec, device_type: str | None = None
) -> bytes:
    """Translates a function of a batch to serialized HLO, which is not compiled.

    On a machine without an accelerator, TensorFlow translates every operation as for a CPU.
    Variables are arguments of the program.

    Args:
        step: a function of a tuple of tensors.
        *specs: the specs of these tensors.
        device_type: where to place the operations, such as `"GPU"`. The machine does not need such
            a device. The losses of the library choose their tiles for it.

    Raises:
        MissingKernelError: if XLA has no kernel for an operation.
    """

    def placed(*batch: Any) -> Any:
        with tf.device(device_type and f"{device_type}:0"):
            return step(tf.nest.map_structure(tf.identity, batch))

    compiled = tf.function(placed, jit_compile=True, autograph=False)
    try:
        return compiled.experimental_get_compiler_ir(*specs)(stage="hlo_serialized")
    except ValueError as error:
        operation = re.search(r"No registered '(\w+)' OpKernel", str(error))
        if operation is None:
            raise
        lines = re.findall(r'File "[^"]*(supcon_tf[^"]*)", line (\d+)', str(error))
        where = ":".join(lines[-1]) if lines else "no line of supcon_tf"
        raise MissingKernelError(f"{operation[1]} in {step.__name__}, {where}") from error
