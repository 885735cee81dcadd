"""Compiles the loss and training steps for a TPU, without a TPU, and prints their memory.

    pip install supcon-tf[tpu-check]
    TPU_SKIP_MDS_QUERY=1 python -m experiments.benchmarks.tpu_compile

compiles for one TPU v5e chip, and prints the memory that the compiler plans:

- `streaming` and `dense`: the SupCon loss of 65,536 rows of 128 numbers and its gradient. Expected:
  tens of MB for `streaming`; the compiler rejects `dense`, which exceeds the 16 GB of the chip.
- `cifar_step`: a whole training step of `SupConModel` with a ResNet-50 for CIFAR-10, 1024 images of
  2 views and mixed_bfloat16, including the update of the weights. Expected: 15.5 GB.
- `imagenet_step`: the same with 224 pixels and the share of one core in the batch of the paper,
  6144 images on 128 cores. Expected: 3.6 GB.

    TPU_SKIP_MDS_QUERY=1 python -m experiments.benchmarks.tpu_compile --rows=4096 --form=n_pairs \
        --form=semi_hard_triplets --form=hard_triplets --form=max_margin_pairs

compiles the losses of `supcon_tf.similarity.pair_losses`, which hold all pairs. Expected: less than
nine matrices of all pairs in float32, which is 600 MB for 4096 rows.

The first command takes about ten minutes on two cores, the second three. The interfaces used here
are not stable, which is why the extra pins their versions.
"""

import os
import re

from absl import app, flags

os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

_ROWS = flags.DEFINE_integer("rows", 65536, "Number of rows.")
_DIM = flags.DEFINE_integer("dim", 128, "Dimension of an embedding.")
_TEMPERATURE = flags.DEFINE_float("temperature", 0.1, "Temperature.")
_FORM_NAMES = ["streaming", "dense", "cifar_step", "imagenet_step"]
_PAIR_LOSSES = ["n_pairs", "semi_hard_triplets", "hard_triplets", "max_margin_pairs"]
_FORMS = flags.DEFINE_multi_enum(
    "form", _FORM_NAMES, [*_FORM_NAMES, *_PAIR_LOSSES], "What to compile; repeatable."
)
_TOPOLOGY = flags.DEFINE_string("topology", "v5e:2x2", "The name of a TPU topology in libtpu.")


def training_step_hlo(stem: str, size: int, batch_size: int) -> str:
    """Returns the HLO of a training step of ResNet-50 with two views per image.

    Args:
        stem: `"cifar"` or `"imagenet"`.
        size: side of an image in pixels.
        batch_size: images on one chip.
    """
    import keras
    import tensorflow as tf

    import supcon_tf

    keras.config.set_dtype_policy("mixed_bfloat16")
    encoder = supcon_tf.encoders.resnet(50, stem=stem, input_shape=(size, size, 3))
    model = supcon_tf.SupConModel(encoder)
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    model.compile(optimizer, loss=supcon_tf.SupConLoss(_TEMPERATURE.value))
    optimizer.build(model.trainable_variables)
    views = tf.TensorSpec([batch_size, 2, size, size, 3], tf.bfloat16)
    labels = tf.TensorSpec([batch_size], tf.int32)
    step = tf.function(lambda x, y: model.train_step((x, y)), jit_compile=True)
    return step.experimental_get_compiler_ir(views, labels)(stage="hlo")


def loss_hlo(form: str) -> str:
    """Returns the HLO of the loss and its gradient."""
    import tensorflow as tf

    from supcon_tf.similarity import make_rows, pair_losses, supcon
    from supcon_tf.similarity.dense import supcon_dense

    def losses(z, ids):
        samples = tf.range(_ROWS.value)
        if form == "dense":
            return supcon_dense(z, ids, samples, _TEMPERATURE.value)
        rows = make_rows(z, ids, samples)
        if form == "streaming":
            return supcon(rows, None, _TEMPERATURE.value, unit_length=True)
        margins = [] if form == "n_pairs" else [1.0]
        return getattr(pair_losses, form)(rows, rows, *margins)

    @tf.function(jit_compile=True)
    def step(z, ids):
        with tf.GradientTape() as tape:
            tape.watch(z)
            loss = tf.reduce_mean(losses(z, ids))
        return loss, tape.gradient(loss, z)

    z = tf.TensorSpec([_ROWS.value, _DIM.value], tf.float32)
    ids = tf.TensorSpec([_ROWS.value], tf.int32)
    return step.experimental_get_compiler_ir(z, ids)(stage="hlo")


def compile_for_tpu(hlo: str):
    """Compiles HLO text for a topology and returns the memory statistics of the compiler."""
    import numpy as np

    from supcon_tf._requirements import require_extra

    with require_extra("experiments.benchmarks.tpu_compile", "jax", "tpu-check"):
        from jax._src.interpreters import mlir
        from jax._src.lib import xla_client
        from jax._src.lib.mlir import ir
        from jax.experimental import topologies
        from jaxlib import _hlo

    # The parser confuses an operation named `copy` with the instruction.
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


def hlo_text(form: str) -> str:
    """Returns the HLO of a form."""
    if form == "cifar_step":
        return training_step_hlo("cifar", 32, 1024)
    if form == "imagenet_step":
        return training_step_hlo("imagenet", 224, 6144 // 128)
    return loss_hlo(form)


def main(_) -> None:
    """Prints one line per form."""
    for form in _FORMS.value:
        try:
            memory = compile_for_tpu(hlo_text(form))
        except Exception as error:  # The class depends on the compiler.
            print(f"{form}: rejected: {str(error).splitlines()[0][:300]}", flush=True)
        else:
            print(
                f"{form}: accepted, {memory.temp_size_in_bytes / 1e6:.0f} MB of temporaries and "
                f"{memory.argument_size_in_bytes / 1e6:.0f} MB of arguments",
                flush=True,
            )


if __name__ == "__main__":
    app.run(main)
