"""Whether the TPU compiler accepts the loss, and how much memory it would need: no TPU needed.

    pip install supcon-tf[tpu-check]
    TPU_SKIP_MDS_QUERY=1 python -m experiments.benchmarks.tpu_compile

compiles the SupCon loss and its gradient for one TPU v5e chip, streaming and dense, and prints the
temporary memory that the compiler plans. Expected for 65,536 rows of 128: some tens of MB for the
streaming form; the dense form is refused, since it does not fit into the chip's 16 GB. About three
minutes.

The interfaces used here are not stable, hence the pinned versions of the extra.
"""

import os
import re

from absl import app, flags

os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

_ROWS = flags.DEFINE_integer("rows", 65536, "Number of rows.")
_DIM = flags.DEFINE_integer("dim", 128, "Size of an embedding.")
_TEMPERATURE = flags.DEFINE_float("temperature", 0.1, "Temperature.")
_FORMS = flags.DEFINE_multi_enum(
    "form", ["streaming", "dense"], ["streaming", "dense"], "What to compile; repeatable."
)
_TOPOLOGY = flags.DEFINE_string("topology", "v5e:2x2", "A TPU topology, as libtpu names it.")


def hlo_text(form: str) -> str:
    """Returns the HLO of loss and gradient, as TensorFlow hands it to XLA."""
    import tensorflow as tf

    from supcon_tf.similarity import describe_square, supcon
    from supcon_tf.similarity.dense import supcon_dense

    @tf.function(jit_compile=True)
    def step(z, ids):
        samples = tf.range(_ROWS.value)
        with tf.GradientTape() as tape:
            tape.watch(z)
            if form == "dense":
                losses = supcon_dense(z, ids, samples, _TEMPERATURE.value)
            else:
                rows = describe_square(z, ids, samples)
                losses = supcon(rows, None, _TEMPERATURE.value, unit_length=True)
            loss = tf.reduce_mean(losses)
        return loss, tape.gradient(loss, z)

    z = tf.TensorSpec([_ROWS.value, _DIM.value], tf.float32)
    ids = tf.TensorSpec([_ROWS.value], tf.int32)
    return step.experimental_get_compiler_ir(z, ids)(stage="hlo")


def compile_for_tpu(hlo: str):
    """Compiles HLO text for a described topology; returns the compiler's memory plan."""
    import numpy as np
    from jax._src.interpreters import mlir
    from jax._src.lib import xla_client
    from jax._src.lib.mlir import ir
    from jax.experimental import topologies
    from jaxlib import _hlo

    # The parser takes an operation named `copy` for the instruction.
    hlo = re.sub(r"(=\s*\S+\s+)copy\(", r"\1reshape(", hlo)
    module = _hlo.hlo_module_from_text(hlo)
    computation = xla_client.XlaComputation(module.as_serialized_hlo_module_proto())
    text = xla_client._xla.mlir.xla_computation_to_mlir_module(computation)
    with mlir.make_ir_context():
        stablehlo = ir.Module.parse(text)
    topology = topologies.get_topology_desc(_TOPOLOGY.value, "tpu")
    device = topology.devices[0]
    options = xla_client.CompileOptions()
    options.device_assignment = xla_client.DeviceAssignment.create(np.array([[device.id]]))
    executable = device.client.compile(stablehlo, xla_client.DeviceList((device,)), options)
    return executable.get_compiled_memory_stats()


def main(_) -> None:
    """Prints one line per form."""
    for form in _FORMS.value:
        try:
            memory = compile_for_tpu(hlo_text(form))
        except Exception as error:  # whatever class the compiler raises, its message says why
            print(f"{form}: refused: {str(error).splitlines()[0][:300]}")
        else:
            print(f"{form}: accepted, {memory.temp_size_in_bytes / 1e6:.0f} MB of temporaries")


if __name__ == "__main__":
    app.run(main)
