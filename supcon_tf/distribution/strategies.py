"""Strategies of tf.distribute by name, and what several workers share."""

from collections.abc import Callable

import tensorflow as tf

STRATEGIES = ("auto", "one_device", "mirrored", "multi_worker", "tpu")


def strategy(name: str = "auto", *, tpu: str = "local") -> tf.distribute.Strategy:
    """Makes the strategy under which models are created and trained.

    Examples:
        >>> import supcon_tf
        >>> strategy = supcon_tf.distribution.strategy("one_device")
        >>> with strategy.scope():
        ...     encoder = supcon_tf.encoders.resnet(10, stem="cifar", width=0.125)
        ...     model = supcon_tf.SupConModel(encoder)

    Args:
        name: one of

            - `"auto"`: `"mirrored"` where there are several GPUs, and otherwise `"one_device"`;
            - `"one_device"`: TensorFlow's default, the first GPU or else the CPU;
            - `"mirrored"`: all GPUs of this host, or its logical CPUs if it has none;
            - `"multi_worker"`: this process as one worker of a cluster, which the environment
              variable TF_CONFIG describes, or Slurm. Every worker runs the same program; this must
              come before any other TensorFlow operation;
            - `"tpu"`: the cores of a TPU.
        tpu: address of the TPU: `"local"` on a TPU virtual machine (Colab and Kaggle give such
            ones), otherwise the name or the gRPC address of a TPU. Only `"tpu"` looks at it.

    Returns:
        The strategy.

    Raises:
        ValueError: for another name, or `"multi_worker"` where no cluster is described.
    """
    if name == "auto":
        several = len(tf.config.list_logical_devices("GPU")) > 1
        return strategy("mirrored" if several else "one_device")
    if name == "one_device":
        return tf.distribute.get_strategy()
    if name == "mirrored":
        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    if name == "multi_worker":
        return tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=_cluster())
    if name == "tpu":
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=tpu)
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
        return tf.distribute.TPUStrategy(resolver)
    raise ValueError(f"`name` must be one of {STRATEGIES}. Received: {name!r}")


def distribute_batches(
    strategy: tf.distribute.Strategy,
    make_batches: Callable[[tf.distribute.InputContext | None], tf.data.Dataset],
) -> tf.data.Dataset | tf.distribute.DistributedDataset:
    """Lets each of several workers make its own rows of every batch and no others.

    Of a dataset that is handed to `fit` every worker makes whole batches and keeps its part.

    Examples:
        >>> import supcon_tf
        >>> strategy = supcon_tf.distribution.strategy("one_device")
        >>> images = supcon_tf.data.load_digits("train")
        >>> batches = supcon_tf.distribution.distribute_batches(
        ...     strategy,
        ...     lambda context: supcon_tf.data.multi_view_batches(
        ...         images,
        ...         supcon_tf.augmentation.crop_flip(8),
        ...         batch_size=64,
        ...         epochs=2,
        ...         input_context=context,
        ...     ),
        ... )

    Args:
        strategy: a strategy, see `strategy`.
        make_batches: makes the batches that `multi_view_batches` makes for an input context.

    Returns:
        What `fit` of this library's models takes. With `"multi_worker"` it has no end, so that
        `fit` needs `steps_per_epoch`; otherwise it is what `make_batches(None)` makes.
    """
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return make_batches(None)
    # Of a dataset that ends TensorFlow expects empty batches, and forgets their static size.
    return strategy.distribute_datasets_from_function(
        lambda context: make_batches(context).repeat()
    )


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Tells whether this process is the one that writes files: the only one, or the first worker.

    Examples:
        >>> import supcon_tf
        >>> supcon_tf.distribution.is_chief(supcon_tf.distribution.strategy("one_device"))
        True

    Args:
        strategy: a strategy, see `strategy`.

    Returns:
        Whether it is.
    """
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return True
    resolver = strategy.cluster_resolver
    return resolver.task_type == "chief" or (
        "chief" not in resolver.cluster_spec().jobs and resolver.task_id == 0
    )


def _cluster() -> tf.distribute.cluster_resolver.ClusterResolver:
    resolvers = tf.distribute.cluster_resolver
    resolver = resolvers.TFConfigClusterResolver()
    if resolver.cluster_spec():
        return resolver
    try:
        return resolvers.SlurmClusterResolver()
    except Exception as error:
        raise ValueError(
            "`multi_worker` needs a cluster: set the environment variable TF_CONFIG of every "
            "worker (https://www.tensorflow.org/guide/distributed_training#TF_CONFIG), or start "
            f"the workers with Slurm. Received: no TF_CONFIG, and from Slurm: {error!r}"
        ) from error
