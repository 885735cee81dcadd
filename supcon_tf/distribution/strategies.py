"""Strategies of tf.distribute by name, and functions for training with several workers."""

import dataclasses
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from supcon_tf._epochs import Epochs, find_epochs, remember_epochs

STRATEGIES = ("auto", "one_device", "mirrored", "multi_worker", "tpu")


def strategy(name: str = "auto", *, tpu: str = "local") -> tf.distribute.Strategy:
    """Creates a strategy of tf.distribute, in whose scope models are created and trained.

    Examples:
        >>> import supcon_tf
        >>> strategy = supcon_tf.distribution.strategy("one_device")
        >>> with strategy.scope():
        ...     encoder = supcon_tf.encoders.resnet(10, stem="cifar", width=0.125)
        ...     model = supcon_tf.SupConModel(encoder)

    Args:
        name: one of

            - `"auto"`: `"mirrored"` if this host has several GPUs, otherwise `"one_device"`;
            - `"one_device"`: TensorFlow's default device, the first GPU or else the CPU;
            - `"mirrored"`: all GPUs of this host, or its logical CPUs if it has none;
            - `"multi_worker"`: this process is one worker of a cluster, described by the
              environment variable TF_CONFIG or by Slurm. Every worker runs the same program, and
              calls this function before any other TensorFlow operation;
            - `"tpu"`: the cores of a TPU.
        tpu: the address of the TPU: `"local"` on a TPU virtual machine, as on Colab and Kaggle,
            otherwise the name or the gRPC address of a TPU. Other strategies ignore it.

    Returns:
        The strategy.

    Raises:
        ValueError: for another name, or for `"multi_worker"` without a description of the cluster.
        RuntimeError: for `"tpu"` without a TPU at the address.
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
        return _tpu_strategy(tpu)
    raise ValueError(f"`name` must be one of {STRATEGIES}. Received: {name!r}")


def distribute_batches(
    strategy: tf.distribute.Strategy,
    make_batches: Callable[[tf.distribute.InputContext | None], tf.data.Dataset],
) -> tf.data.Dataset | tf.distribute.DistributedDataset:
    """Creates a dataset from which every worker loads only its own rows of each batch.

    When `fit` receives a `tf.data.Dataset`, every worker builds whole batches and keeps only its
    share.

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
        ...         input_context=context,
        ...     ),
        ... )

    Args:
        strategy: a strategy, as from `strategy`.
        make_batches: a function from an input context to the batches of this worker, as
            `multi_view_batches` returns them.

    Returns:
        A dataset for `fit` of the models of this library. With `"multi_worker"` it is a
        `tf.distribute.DistributedDataset`. With other strategies it is `make_batches(None)`.

    Raises:
        ValueError: if `make_batches` does not return batches of `multi_view_batches`.
    """
    batches = make_batches(None)
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return batches
    epochs = find_epochs(batches)
    if epochs is None:
        raise ValueError(
            "`make_batches` must return batches of `supcon_tf.data.multi_view_batches`, changed "
            f"only with functions of `supcon_tf.data`, such as `map_batches`. Received: {batches}"
        )
    worker_epochs = _WorkerEpochs(strategy, make_batches, epochs.steps_per_epoch)
    return remember_epochs(worker_epochs.from_step(0), worker_epochs)


@dataclasses.dataclass
class _WorkerEpochs:
    """The batches of all epochs, of which every worker loads its own rows."""

    strategy: tf.distribute.Strategy
    make_batches: Callable[[tf.distribute.InputContext | None], tf.data.Dataset]
    steps_per_epoch: int

    def from_step(self, step: int) -> tf.distribute.DistributedDataset:
        return self._distribute(lambda epochs: epochs.from_step(step))

    def epoch(self, number: int) -> tf.distribute.DistributedDataset:
        return self._distribute(lambda epochs: epochs.epoch(number))

    def _distribute(
        self, read: Callable[[Epochs], tf.data.Dataset]
    ) -> tf.distribute.DistributedDataset:
        def own_batches(context: tf.distribute.InputContext) -> tf.data.Dataset:
            epochs = find_epochs(self.make_batches(context))
            assert epochs is not None  # The batches without a context have epochs.
            return read(epochs)

        return self.strategy.distribute_datasets_from_function(own_batches)


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Returns whether this process writes files: the only process, or the first worker.

    Examples:
        >>> import supcon_tf
        >>> supcon_tf.distribution.is_chief(supcon_tf.distribution.strategy("one_device"))
        True

    Args:
        strategy: a strategy, as from `strategy`.

    Returns:
        Whether this process is the chief.
    """
    worker, _ = find_worker(strategy)
    return worker == 0


def find_worker(strategy: tf.distribute.Strategy) -> tuple[int, int]:
    """Returns the number of this worker, from 0, and how many workers there are.

    A process without a cluster is worker 0 of 1.
    """
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return 0, 1
    resolver = strategy.cluster_resolver
    cluster = resolver.cluster_spec()
    chiefs, others = (
        cluster.num_tasks(job) if job in cluster.jobs else 0 for job in ("chief", "worker")
    )
    first = 0 if resolver.task_type == "chief" else chiefs
    return first + resolver.task_id, chiefs + others


def local_strategy(cluster: tf.distribute.Strategy) -> tf.distribute.Strategy:
    """Returns the strategy of this worker alone, for work that the workers do independently."""
    several = isinstance(cluster, tf.distribute.MultiWorkerMirroredStrategy)
    return strategy("auto") if several else cluster


def wait_for_workers(strategy: tf.distribute.Strategy) -> None:
    """Waits until every worker calls this function.

    Raises:
        RuntimeError: if a worker has ended.
    """
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return

    @tf.function  # TensorFlow warns of eager calls.
    def run() -> Any:
        return strategy.run(lambda: tf.constant(1.0))

    try:
        ones = run()
        strategy.reduce(tf.distribute.ReduceOp.SUM, ones, axis=None)
    except tf.errors.OpError as error:
        raise RuntimeError(
            "All workers must run until the end, and another one has ended. Its output states why. "
            "Start all workers again with the same command. "
            f"Received: {str(error).splitlines()[0]}"
        ) from error


def _tpu_strategy(tpu: str) -> tf.distribute.TPUStrategy:
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=tpu)
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (tf.errors.OpError, ValueError, OSError) as error:
        raise RuntimeError(
            f"The strategy `tpu` needs a TPU at the address {tpu!r}: use a machine with a TPU and "
            "the TensorFlow package for TPUs, or another strategy. "
            f"Received: {str(error).splitlines()[0]}"
        ) from error
    return tf.distribute.TPUStrategy(resolver)


def _cluster() -> tf.distribute.cluster_resolver.ClusterResolver:
    resolvers = tf.distribute.cluster_resolver
    resolver = resolvers.TFConfigClusterResolver()
    if resolver.cluster_spec():
        return resolver
    try:
        return resolvers.SlurmClusterResolver()
    except Exception as error:
        raise ValueError(
            "`multi_worker` needs a cluster: set the environment variable TF_CONFIG on every "
            "worker (https://www.tensorflow.org/guide/distributed_training#TF_CONFIG), or start "
            f"the workers with Slurm. Received: no TF_CONFIG, and from Slurm: {error!r}"
        ) from error
