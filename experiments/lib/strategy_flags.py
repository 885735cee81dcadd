"""The flags that choose a distribution strategy."""

from absl import flags

_STRATEGY = flags.DEFINE_enum(
    "strategy",
    "auto",
    ["auto", "one_device", "mirrored", "multi_worker", "tpu"],
    "The distribution strategy, see supcon_tf.distribution.strategy. It splits a batch of a "
    "training across all replicas.",
)
_TPU = flags.DEFINE_string("tpu", "local", "The address of the TPU for --strategy=tpu.")


def create_strategy():
    """Creates the strategy of tf.distribute that the flags choose."""
    import supcon_tf

    return supcon_tf.distribution.strategy(_STRATEGY.value, tpu=_TPU.value)
