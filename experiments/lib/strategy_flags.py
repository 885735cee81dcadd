"""The flags that say where to train."""

from absl import flags

_STRATEGY = flags.DEFINE_enum(
    "strategy",
    "auto",
    ["auto", "one_device", "mirrored", "multi_worker", "tpu"],
    "Where to train: see supcon_tf.distribution.strategy. The batch is split over all replicas.",
)
_TPU = flags.DEFINE_string("tpu", "local", "Address of the TPU of --strategy=tpu.")


def make_strategy():
    """Makes the strategy of tf.distribute that the flags name."""
    import supcon_tf

    return supcon_tf.distribution.strategy(_STRATEGY.value, tpu=_TPU.value)
