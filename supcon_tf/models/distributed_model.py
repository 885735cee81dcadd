"""Training, evaluation and prediction on one or several replicas.

Keras alone fails or computes wrong results with several workers, and with several steps per
execution on several replicas. In steps that XLA compiles, checks of values do not run. This module
overrides the methods in which Keras builds the functions that `fit`, `evaluate` and `predict` call.
Everything else remains Keras's.
"""

import functools
import inspect
import itertools
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

from supcon_tf._epochs import DATASETS, find_epochs, first_epoch
from supcon_tf._keras_internals import (
    first_batch,
    has_built_metrics,
    keras_hook,
    symbolic_build,
)
from supcon_tf.models.arguments import require_no_accumulation
from supcon_tf.models.batch_specs import array_batch_spec, global_batch_spec, rows_per_replica
from supcon_tf.models.class_order import warn_if_sorted_by_class
from supcon_tf.models.finite import nan_unless_finite
from supcon_tf.models.fit_data import check_data
from supcon_tf.models.resuming import find_first_step, join, split_at_epochs
from supcon_tf.models.views import first_array

Logs = dict[str, Any]

# Runs one step on a batch.
_Step = Callable[[Any], Logs]

# Draws up to `steps_per_execution` batches from an iterator and runs a step on each.
_Execution = Callable[[Any], Logs]


class DistributedModel(keras.Model):
    """A model that trains, evaluates and predicts correctly under every strategy.

    Create the model inside `strategy.scope()`. With several replicas, training batches must have a
    static size that the number of replicas divides (`dataset.batch(size, drop_remainder=True)`).
    Under a strategy XLA cannot compile whole steps (`jit_compile=True`), but it still compiles the
    computation of similarities.

    The logged loss is NaN if the images of a batch or the weights after its step are not finite,
    even if the loss function hides this.
    """

    train_function: _Execution | None
    test_function: _Execution | None
    predict_function: Callable[[list[Any]], Any] | None

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._created_under = tf.distribute.get_strategy()
        self._is_distributed = tf.distribute.has_strategy()
        self._steps_read: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        self._execution_sizes: Iterator[int] | None = None
        self._train_rows: int | None = None  # of a batch, on every replica
        self._test_rows: int | None = None

    def fit(
        self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any
    ) -> keras.callbacks.History:
        """Trains the model, like `keras.Model.fit`.

        With batches of `supcon_tf.data`, every epoch has new views in a new order, and epoch
        `initial_epoch` has the same batches as in a training from the start. A second call without
        `initial_epoch` continues with the next epoch. Validation on such batches always reads
        their first epoch. With a `Checkpoints` callback, training resumes at the step of the
        newest checkpoint, and `epochs` is the number of epochs of the whole training.

        The first call warns if each of the first batches of a `tf.data.Dataset` holds a single
        class, because the dataset is then not shuffled.

        Raises:
            ValueError: if the data is missing, a `supcon_tf.data.Source` or a dataset without
                batches, or labels are a list or names. If the model was not created inside the
                scope of the strategy. On several replicas, if `x` is neither a `tf.data.Dataset`
                nor a `tf.distribute.DistributedDataset`, or if its batches have no static size that
                the number of replicas divides. Under a strategy that mirrors variables, if the
                optimizer accumulates gradients. With a `Checkpoints` callback, if `initial_epoch`
                is another epoch than that of the newest checkpoint.
        """
        self._require_own_strategy()
        arguments = inspect.signature(super().fit).bind(x, y, *args, **kwargs).arguments
        check_data(x, y, arguments.get("validation_data"))
        if self._is_distributed:
            replicas = self.distribute_strategy.num_replicas_in_sync
            rows = rows_per_replica(x, replicas)
            if rows is None and replicas > 1:
                raise ValueError(
                    "On several replicas all training batches must have the same static size, and "
                    "the number of replicas must divide it: use `tf.data.Dataset.batch(size, "
                    "drop_remainder=True)`. With several workers, the datasets of "
                    "`distribute_datasets_from_function` must also be infinite "
                    "(`tf.data.Dataset.repeat()`), because TensorFlow drops the static size of "
                    f"finite ones. Received: {getattr(x, 'element_spec', type(x))} for {replicas} "
                    "replicas"
                )
            if rows != self._train_rows:
                self._train_rows, self.train_function = rows, None
        if isinstance(x, DATASETS):
            self.build_from(x)
            arguments.setdefault("shuffle", False)  # Keras warns that it cannot shuffle a dataset.
        else:
            self._build_from_arrays(x, y, arguments.get("sample_weight"))
        if "validation_data" in arguments:
            arguments["validation_data"] = first_epoch(arguments["validation_data"])
        epochs = find_epochs(x)
        if epochs is None:
            if isinstance(x, tf.data.Dataset) and self.train_function is None:
                warn_if_sorted_by_class(x)
            return super().fit(**arguments)
        return self._fit_epochs(epochs, arguments)

    def _fit_epochs(self, batches: Any, arguments: dict[str, Any]) -> keras.callbacks.History:
        """Trains on one dataset that spans all epochs, from the step of a checkpoint on.

        Args:
            batches: the batches of all epochs.
            arguments: arguments of `keras.Model.fit`.
        """
        dataset = arguments.pop("x")
        epochs = arguments.get("epochs", 1)
        steps_per_epoch = arguments.get("steps_per_epoch") or batches.steps_per_epoch
        step, skipped = find_first_step(self, arguments, steps_per_epoch), 0
        if step is None:
            step = arguments.get("initial_epoch", 0) * steps_per_epoch
            skipped = 0 if step else self._steps_read.get(dataset, 0)
        histories = []
        for call in split_at_epochs(step, epochs, steps_per_epoch):
            part = batches.from_step(step + skipped)
            self._execution_sizes = _split_epoch(call["steps_per_epoch"], self.steps_per_execution)
            try:
                histories.append(super().fit(part, **{**arguments, **call}))
            finally:
                self._execution_sizes = None
            step += len(histories[-1].epoch) * call["steps_per_epoch"]
            if self.stop_training:
                break
        self._steps_read[dataset] = step + skipped
        self.history = join(histories)
        return self.history

    def evaluate(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Evaluates the model, like `keras.Model.evaluate`. Checks the data as `fit` does."""
        self._require_own_strategy()
        check_data(x, y)
        x = first_epoch(x)
        if self._is_distributed:
            rows = rows_per_replica(x, self.distribute_strategy.num_replicas_in_sync)
            if rows != self._test_rows:
                self._test_rows, self.test_function = rows, None
        if isinstance(x, DATASETS):
            self.build_from(x, training=False)
        return super().evaluate(x, y, *args, **kwargs)

    def build_from(
        self,
        dataset: tf.data.Dataset | tf.distribute.DistributedDataset,
        *,
        training: bool = True,
    ) -> None:
        """Builds the optimizer and the metrics from the shapes of the batches of a dataset.

        `fit` and `evaluate` call this method first, so that callbacks find the complete state when
        training begins. Keras alone builds the optimizer and the metrics in the first step, or
        under a strategy from the average of the first batches of all replicas, in which class ids
        have no meaning.

        Args:
            dataset: a dataset to train or evaluate on. No batch is drawn from it.
            training: whether the dataset is for training, for which subclasses can have further
                requirements.

        Raises:
            ValueError: if the model is not compiled, or cannot train on batches of these shapes.
        """
        if not self.compiled:
            raise ValueError(
                "The model must be compiled first: `model.compile(optimizer, loss=...)`. "
                f"Received: {self.name}, which is not compiled"
            )
        with self.distribute_strategy.scope():
            spec = global_batch_spec(dataset, self.distribute_strategy.num_replicas_in_sync)
            symbolic_build(self, self._symbolic_batch(spec))

    def _build_from_arrays(self, x: Any, y: Any, sample_weight: Any) -> None:
        """Builds the optimizer and the metrics from arrays, before the first step.

        TensorFlow traces a step twice if the first trace creates variables.
        """
        if not self.compiled or self.run_eagerly or self._is_distributed:
            return
        spec = array_batch_spec(x, y, sample_weight)
        if spec is not None:
            symbolic_build(self, self._symbolic_batch(spec))

    def compute_loss(self, x: Any = None, *args: Any, **kwargs: Any) -> tf.Tensor:
        """Computes the loss, which is 0 on a replica without rows of an incomplete batch."""
        loss = super().compute_loss(x, *args, **kwargs)
        rows = tf.shape(first_array(x))[0]
        return tf.where(rows > 0, loss, tf.zeros_like(loss))

    # Extension points of subclasses.

    def _check_batch(self, data: Any) -> list[tf.Tensor]:
        """Checks the values of a batch before its step, outside of what XLA compiles.

        Args:
            data: the argument of `train_step` and `test_step`.

        Returns:
            Tensors that can be computed only if the batch is valid. The step waits for them.
        """
        return []

    def _prepare_specs(self, specs: Any) -> Any:
        """Returns the specs of the images, labels and weights that a step passes to the model."""
        return specs

    # Methods that Keras calls.

    @keras_hook
    def make_train_function(self, force: bool = False) -> None:
        """Builds the function that `fit` calls for every execution."""
        require_no_accumulation(self.optimizer, self.distribute_strategy)
        if self.train_function is None or force:
            self.train_function = self._build_execution(
                self.train_step, self._train_rows, self._next_execution_size
            )

    @keras_hook
    def make_test_function(self, force: bool = False) -> None:
        """Builds the function that `evaluate` calls for every execution."""
        if self.test_function is None or force:
            self.test_function = self._build_execution(
                self.test_step, self._test_rows, lambda: self.steps_per_execution
            )

    @keras_hook
    def make_predict_function(self, force: bool = False) -> None:
        """Builds the function that `predict` calls for every execution."""
        self._require_own_strategy()
        if self.predict_function is not None and not force:
            return
        if self._is_distributed:
            self.predict_function = self._build_distributed_prediction()
        else:
            self.predict_function = _for_each_rank(self._build_prediction)

    @keras_hook
    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        if has_built_metrics(self):
            return  # `build_from` has built them without drawing a batch.
        if iterator is not None and self._is_distributed:
            # The batch of one replica has the right shapes.
            strategy = self.distribute_strategy
            batch = tf.nest.map_structure(
                lambda x: strategy.experimental_local_results(x)[0], first_batch(iterator)
            )
            iterator, data_batch = None, self._symbolic_batch(batch)
        elif data_batch is not None and not self._is_distributed:
            self._build_from_arrays(*data_batch)
        super()._maybe_symbolic_build(iterator, data_batch)

    def _recompile(self) -> None:
        """Builds the train and test functions again, after a constant in them has changed."""
        if self.train_function is not None:
            self.make_train_function(force=True)
        if self.test_function is not None:
            self.make_test_function(force=True)

    def _require_own_strategy(self) -> None:
        """Raises `ValueError` inside the scope of a strategy that the model was not created in."""
        strategy = tf.distribute.get_strategy()
        if tf.distribute.has_strategy() and strategy is not self._created_under:
            raise ValueError(
                "The model must be created inside the scope of the strategy that trains it: create "
                "the strategy first, then the model under `with strategy.scope():`. "
                f"Received: a model created under {type(self._created_under).__name__}, used under "
                f"{type(strategy).__name__}"
            )

    def _symbolic_batch(self, batch: Any) -> Any:
        """Returns symbolic tensors of the shapes that a step passes to the model."""

        def to_symbolic(spec: Any) -> keras.KerasTensor | None:
            return None if spec is None else keras.KerasTensor(spec.shape, spec.dtype.name)

        return self._prepare_specs(tf.nest.map_structure(to_symbolic, batch))

    # The loop over the steps of an execution.

    def _next_execution_size(self) -> int:
        """Returns the number of steps of the next execution of `fit`."""
        sizes = self._execution_sizes
        return self.steps_per_execution if sizes is None else next(sizes)

    def _build_execution(
        self, step: _Step, rows: int | None, next_size: Callable[[], int]
    ) -> _Execution:
        """Builds a function that runs a step on up to `steps_per_execution` batches.

        Args:
            step: `train_step` or `test_step`.
            rows: the rows of a batch on every replica, if they are static.
            next_size: returns the number of batches of the next execution, if the data has as many.
        """
        self._require_own_strategy()
        step = self._with_nan_loss(step)
        if self._is_distributed:
            run_step = self._run_on_replicas(step, rows)
        else:
            run_step = self._run_on_one_device(step)

        def run(batch: Any) -> Logs:
            return run_step(tf.nest.map_structure(_none_if_optional, batch))

        def final_logs(logs: Logs) -> Logs:
            # Outside of the replicas, the results of metrics are sums over all replicas.
            return self.get_metrics_result() if self._is_distributed else logs

        def run_one(batch: Any) -> Logs:
            return final_logs(run(batch))

        def run_several(
            iterator: tf.data.Iterator | tf.distribute.DistributedIterator, size: tf.Tensor
        ) -> Logs:
            logs = run(next(iterator))
            if self.steps_per_execution > 1:  # otherwise tracing the loop would waste time
                for _ in tf.range(size - 1):
                    batch = iterator.get_next_as_optional()  # empty at the end of the data
                    if batch.has_value():
                        logs = run(batch.get_value())
            return final_logs(logs)

        execute_one: Callable[..., Logs] = run_one
        execute_several: Callable[..., Logs] = run_several
        if not self.run_eagerly:
            execute_one = _compile_for_each_rank(run_one)
            execute_several = _compile_for_each_rank(run_several)

        def execute(batches: Any) -> Logs:
            if isinstance(batches, (tf.data.Iterator, tf.distribute.DistributedIterator)):
                return execute_several(batches, tf.constant(next_size()))
            # `train_on_batch` and `test_on_batch` pass an iterator over one batch.
            return execute_one(next(batches))

        return execute

    def _with_nan_loss(self, step: _Step) -> _Step:
        """Sets the logged loss to NaN if images, or weights after the step, are not finite."""

        def step_with_nan_loss(batch: Any) -> Logs:
            logs = step(batch)
            images, _, _ = keras.utils.unpack_x_y_sample_weight(batch)
            nan_or_0 = nan_unless_finite(images, [weight.value for weight in self.weights])
            mean_loss = loss_metric(self)
            if mean_loss is not None:
                mean_loss.total.assign_add(tf.cast(nan_or_0, mean_loss.total.dtype))
            if "loss" in logs:
                loss = tf.convert_to_tensor(logs["loss"])
                logs = {**logs, "loss": loss + tf.cast(nan_or_0, loss.dtype)}
            return logs

        return step_with_nan_loss

    def _with_checks(self, step: _Step) -> _Step:
        """Delays a step until its batch is checked."""

        def step_with_checks(batch: Any) -> Logs:
            with tf.control_dependencies(self._check_batch(batch)):
                return step(batch)

        return step_with_checks

    def _run_on_one_device(self, step: _Step) -> _Step:
        """Checks a batch, and then runs a step that XLA compiles if `jit_compile` is true."""
        # Keras does not apply AutoGraph to steps either.
        step = tf.autograph.experimental.do_not_convert(step)
        if not self.run_eagerly:
            step = _compile_for_each_rank(step, self.jit_compile)
        return tf.autograph.experimental.do_not_convert(self._with_checks(step))

    def _run_on_replicas(self, step: _Step, rows: int | None) -> _Step:
        """Checks a batch and runs a step on every replica, without logs."""
        strategy = self.distribute_strategy
        if self.jit_compile is True:
            raise ValueError(
                "`jit_compile=True` cannot compile a whole step under a strategy. Leave it at "
                '"auto": XLA still compiles the computation of similarities. Received: '
                f"jit_compile=True under {type(strategy).__name__}"
            )
        step = self._with_checks(step)

        @tf.autograph.experimental.do_not_convert  # as Keras does
        def replica_step(batch: Any) -> None:
            # Distribution drops static sizes with several workers and with optional batches.
            step(tf.nest.map_structure(lambda x: tf.ensure_shape(x, [rows, *x.shape[1:]]), batch))

        def run(batch: Any) -> Logs:
            strategy.run(replica_step, (batch,))
            return {}

        return run

    def _build_prediction(self) -> Any:
        """Builds Keras's own function for `predict`."""
        current = self.predict_function
        super().make_predict_function(force=True)
        built, self.predict_function = self.predict_function, current
        return built

    def _build_distributed_prediction(self) -> Callable[[list[Any]], Any]:
        """Builds a function for `predict` that gathers the outputs of all replicas."""
        strategy = self.distribute_strategy

        def replica_step(batch: Any) -> Any:
            replica = tf.distribute.get_replica_context()
            outputs = self.predict_step(batch)
            return tf.nest.map_structure(lambda x: replica.all_gather(x, axis=0), outputs)

        def predict_batch(batch: Any) -> Any:
            outputs = strategy.run(replica_step, (batch,))
            return tf.nest.map_structure(
                lambda x: strategy.experimental_local_results(x)[0], outputs
            )

        if not self.run_eagerly:
            predict_batch = tf.function(predict_batch)

        def predict(batches: list[Any]) -> Any:
            outputs = [predict_batch(batch) for batch in batches]
            return tf.nest.map_structure(lambda *parts: tf.concat(parts, axis=0), *outputs)

        return predict


def _split_epoch(steps: int, steps_per_execution: int) -> Iterator[int]:
    """Yields the numbers of steps of all executions, epoch after epoch.

    The data of `fit` has no end, so the last execution of an epoch must not run further steps.
    """
    full, rest = divmod(steps, steps_per_execution)
    return itertools.cycle([steps_per_execution] * full + [rest] * (rest > 0))


def loss_metric(model: keras.Model) -> Any:
    """Returns the mean that Keras logs as `loss`, `None` if `model.metrics` lacks it."""
    return next((metric for metric in model.metrics if metric.name == "loss"), None)


def _none_if_optional(x: Any) -> Any:
    """Restores the `None` of a generator, which Keras represents by an optional tensor."""
    return None if isinstance(x, tf.experimental.Optional) else x


def _compile_for_each_rank(
    function: Callable[..., Any], jit_compile: bool | str | None = None
) -> Callable[..., Any]:
    """Compiles a function to one graph for each combination of the ranks of its tensors."""
    return _for_each_rank(
        functools.partial(tf.function, function, reduce_retracing=True, jit_compile=jit_compile)
    )


def _for_each_rank(build: Callable[[], Callable[..., Any]]) -> Callable[..., Any]:
    """Builds separate functions for batches of different ranks, such as images and views.

    With `reduce_retracing` TensorFlow otherwise traces the second of them with tensors of unknown
    rank, which encoders do not accept.

    Args:
        build: builds a function of a batch, of several batches, or of an iterator, and of further
            arguments.

    Returns:
        A function with the same arguments.
    """
    built: dict[Any, Callable[..., Any]] = {}

    def call(batches: Any, *args: Any) -> Any:
        tensors = tf.nest.flatten(getattr(batches, "element_spec", batches), expand_composites=True)
        ranks = tuple(tf.TensorShape(getattr(x, "shape", None)).rank for x in tensors)
        if ranks not in built:
            built[ranks] = build()
        return built[ranks](batches, *args)

    return call
