"""Counts the bytes that replicas exchange per step for the loss, from the traced graph.

    python -m experiments.benchmarks.communication

traces the loss and its gradient on two replicas (logical CPUs), lists every collective operation of
a replica with the shape that it contributes, and prints the bytes for more replicas and rows.
Expected: one gather of the embeddings and gathers of a few numbers per row. Label distributions add
two sums of moments (classes x dim), or a gather of the labels. Takes half a minute. The tables are
in docs/scaling.md.
"""

import math
from typing import NamedTuple

from absl import app, flags

_DIM = flags.DEFINE_integer("dim", 128, "Dimension of an embedding.")
_CLASSES = flags.DEFINE_integer("classes", 1000, "Number of classes of label distributions.")
_ROWS = [4096, 8192, 16384, 32768, 65536]
_REPLICAS = [8, 64, 512]


class Collective(NamedTuple):
    """A collective operation of a replica.

    Attributes:
        kind: `"gather"` or `"sum"`.
        dtype: the name of the dtype.
        shape: the shape of the tensor that the replica contributes.
    """

    kind: str
    dtype: str
    shape: tuple[int, ...]


def collectives(loss, labels: str, rows: int, dim: int, classes: int, strategy):
    """Traces a loss and its gradient, and lists the collectives of the first replica.

    Args:
        loss: a loss of supcon_tf.
        labels: `"ids"` or `"distributions"`.
        rows: number of rows on each replica.
        dim: dimension of an embedding.
        classes: number of classes.
        strategy: a MirroredStrategy of two logical CPUs.

    Returns:
        The `Collective`s of the forward pass and of the backward pass.
    """
    import tensorflow as tf

    before_gradient = []

    def step():
        z = tf.random.normal([rows, dim])
        y = tf.zeros([rows], tf.int64) if labels == "ids" else tf.ones([rows, classes])
        with tf.GradientTape() as tape:
            tape.watch(z)
            value = tf.reduce_mean(loss.call(y, z))
        before_gradient.extend(op.name for op in value.graph.get_operations())
        return tape.gradient(value, z)

    graph = tf.function(lambda: strategy.run(step), autograph=False).get_concrete_function().graph
    passes: tuple[list[Collective], list[Collective]] = ([], [])
    for op in graph.get_operations():
        kind = {"CollectiveGatherV2": "gather", "CollectiveReduceV2": "sum"}.get(op.type)
        if kind is None or not op.device.endswith(("CPU:0", "cpu:0")):
            continue
        sent = op.inputs[0]
        while sent.shape.num_elements() is None:  # The tensor that TensorFlow pads to gather it.
            sent = sent.op.inputs[0]
        shape = tuple(sent.shape)
        if sent.dtype == tf.int32 and shape[0] == 1:
            continue  # TensorFlow exchanges the sizes before it pads: a few bytes.
        passes[op.name not in before_gradient].append(Collective(kind, sent.dtype.name, shape))
    return passes


def received_bytes(collective: Collective, traced_rows: int, rows: int, replicas: int) -> float:
    """Returns the number of bytes that a replica receives in a ring, and also sends.

    Args:
        collective: the traced collective.
        traced_rows: number of rows on each replica in the traced graph.
        rows: number of rows on all replicas together.
        replicas: number of replicas.
    """
    import tensorflow as tf

    size = tf.as_dtype(collective.dtype).size
    others = (replicas - 1) / replicas
    if collective.kind == "gather":
        return others * rows * size * math.prod(collective.shape) / traced_rows
    return 2 * others * size * math.prod(collective.shape)


def main(_) -> None:
    """Prints the collectives, and the bytes for more replicas."""
    import tensorflow as tf

    devices = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], devices)
    import supcon_tf

    strategy = supcon_tf.distribution.strategy("mirrored")
    traced_rows = 2048
    for title, loss, labels in (
        ("SupConLoss", supcon_tf.SupConLoss(), "ids"),
        ("GeneralizedSupConLoss", supcon_tf.GeneralizedSupConLoss(), "distributions"),
    ):
        passes = collectives(loss, labels, traced_rows, _DIM.value, _CLASSES.value, strategy)
        print(f"\n{title}: tensors that a replica with {traced_rows} rows contributes")
        for name, operations in zip(("forward", "backward"), passes, strict=True):
            for operation in operations:
                print(f"  {name:8s}  {operation.kind:6s}  {operation.dtype} {operation.shape}")
        print("\n| rows |" + "".join(f" {replicas} replicas |" for replicas in _REPLICAS))
        print("|---|" + "---|" * len(_REPLICAS))
        for rows in _ROWS:
            cells = [
                sum(
                    received_bytes(x, traced_rows, rows, replicas) for x in (*passes[0], *passes[1])
                )
                for replicas in _REPLICAS
            ]
            print(f"| {rows:,} |" + "".join(f" {cell / 1e6:.1f} MB |" for cell in cells))


if __name__ == "__main__":
    app.run(main)
