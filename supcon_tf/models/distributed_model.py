"""The training loop that all models share, on one replica and on many.

Keras alone trains, evaluates and predicts wrongly or not at all with several workers, or with
several steps in one execution on several replicas. Where XLA compiles the step, no check inside of
it runs. This mends both in the places where Keras lets a model build its own step functions, and
leaves everything else to Keras.
"""

import functools
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from supcon_tf._keras_internals import (
    first_batch,
    has_built_metrics,
    keras_hook,
    symbolic_build,
)
from supcon_tf.models.arguments import require_no_accumulation
from supcon_tf.models.finite import nan_unless_finite
from supcon_tf.models.views import first_array

Logs = dict[str, Any]

# Makes a step with a batch, and returns the logs.
_Step = Callable[[Any], Logs]

# Draws the batches of one execution, makes their steps, and returns the logs.
_Execution = Callable[[Any], Logs]

# What says of which shape batches are before there are any.
_DATASETS = (tf.data.Dataset, tf.distribute.DistributedDataset)


class DistributedModel(keras.Model):
    """A model whose `fit`, `evaluate` and `predict` are correct under every strategy.

    Under a strategy the model is created inside `strategy.scope()`, and a whole step cannot be
    compiled by XLA (`jit_compile=True`); the similarity core is compiled all the same. With several
    replicas the training batches have a static size that the replicas divide
    (`dataset.batch(size, drop_remainder=True)`).

    The logged loss is NaN as soon as the images of a batch or the weights after its step hold NaN
    or infinite numbers, whatever the loss function makes of them.
    """

    train_function: _Execution | None
    test_function: _Execution | None
    predict_function: Callable[[list[Any]], Any] | None

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._created_under = tf.distribute.get_strategy()
        self._created_under_scope = tf.distribute.has_strategy()
        self._train_rows: int | None = None
        self._test_rows: int | None = None

    def fit(self, x: Any = None, *args: Any, **kwargs: Any) -> keras.callbacks.History:
        """Trains, as `keras.Model.fit` does.

        Raises:
            ValueError: on several replicas, if `x` is neither a `tf.data.Dataset` with batches of a
                static size that the number of replicas divides, nor a
                `tf.distribute.DistributedDataset` with batches of a static size; under a strategy
                that mirrors variables, if the optimizer accumulates gradients.
        """
        if self._is_distributed():
            rows = self._rows_per_replica(x)
            replicas = self.distribute_strategy.num_replicas_in_sync
            if rows is None and replicas > 1:
                raise ValueError(
                    "On several replicas all training batches must have the same size, and the "
                    "number of replicas must divide it: use `tf.data.Dataset.batch(size, "
                    "drop_remainder=True)`. With several workers, what "
                    "`distribute_datasets_from_function` makes must also be endless "
                    "(`tf.data.Dataset.repeat()`): TensorFlow forgets the size of other batches. "
                    f"Received: {getattr(x, 'element_spec', type(x))} for {replicas} replicas"
                )
            if rows != self._train_rows:
                self._train_rows, self.train_function = rows, None
        if isinstance(x, _DATASETS):
            self.build_from(x)
            kwargs.setdefault("shuffle", False)  # Keras cannot, and says so if it is asked
        return super().fit(x, *args, **kwargs)

    def evaluate(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Evaluates, as `keras.Model.evaluate` does."""
        if self._is_distributed() and self._rows_per_replica(x) != self._test_rows:
            self._test_rows, self.test_function = self._rows_per_replica(x), None
        if isinstance(x, _DATASETS):
            self.build_from(x, training=False)
        return super().evaluate(x, *args, **kwargs)

    @keras_hook
    def make_train_function(self, force: bool = False) -> None:
        """Builds the function that `fit` calls for every execution."""
        require_no_accumulation(self.optimizer, self.distribute_strategy)
        if self.train_function is None or force:
            self.train_function = self._execution(self.train_step, self._train_rows)

    @keras_hook
    def make_test_function(self, force: bool = False) -> None:
        """Builds the function that `evaluate` calls for every execution."""
        if self.test_function is None or force:
            self.test_function = self._execution(self.test_step, self._test_rows)

    @keras_hook
    def make_predict_function(self, force: bool = False) -> None:
        """Builds the function that `predict` calls for every execution."""
        distributed = self._is_distributed()  # or in a wrong scope, which is an error
        if self.predict_function is None or force:
            self.predict_function = (
                self._predict_on_replicas()
                if distributed
                else _for_each_rank(self._predict_function_of_keras)
            )

    def _recompile(self) -> None:
        """Builds the step functions again, where they hold constants that have changed."""
        if self.train_function is not None:
            self.make_train_function(force=True)
        if self.test_function is not None:
            self.make_test_function(force=True)

    def _check_batch(self, data: Any) -> list[tf.Tensor]:
        """Checks the values of a batch before anything is written, where XLA compiles nothing.

        Inside a compiled step no check runs. Inside a graph the checks of a loss run beside the
        step.

        Args:
            data: what `train_step` and `test_step` take.

        Returns:
            Tensors that come to be only if the batch is valid. The step waits for them.
        """
        return []

    def compute_loss(self, x: Any = None, *args: Any, **kwargs: Any) -> tf.Tensor:
        """Computes the loss; 0 on a replica that got nothing of an incomplete batch."""
        loss = super().compute_loss(x, *args, **kwargs)
        rows = tf.shape(first_array(x))[0]
        return tf.where(rows > 0, loss, tf.zeros_like(loss))

    def _is_distributed(self) -> bool:
        strategy = tf.distribute.get_strategy()
        if tf.distribute.has_strategy() and strategy is not self._created_under:
            raise ValueError(
                "The model must be created inside the scope of the strategy that trains it: create "
                "the strategy first, then the model under `with strategy.scope():`. "
                f"Received: a model created under {type(self._created_under).__name__}, used under "
                f"{type(strategy).__name__}"
            )
        return self._created_under_scope

    def _rows_per_replica(self, data: Any) -> int | None:
        """Returns how many rows of every batch a replica gets, or `None` if that may vary."""
        if not isinstance(data, _DATASETS):
            return None
        specs = tf.nest.flatten(self.batch_spec(data))
        sizes = {spec.shape[0] if spec.shape.rank else None for spec in specs}
        replicas = self.distribute_strategy.num_replicas_in_sync
        if len(sizes) > 1 or None in sizes or next(iter(sizes)) % replicas:
            return None
        return sizes.pop() // replicas

    def batch_spec(self, dataset: tf.data.Dataset | tf.distribute.DistributedDataset) -> Any:
        """Returns the specs of a global batch."""
        if isinstance(dataset, tf.data.Dataset):
            return dataset.element_spec
        replicas = self.distribute_strategy.num_replicas_in_sync

        def of_all_replicas(spec: tf.TypeSpec) -> tf.TensorSpec:
            one, *_ = tf.nest.flatten(spec, expand_composites=True)
            rows = one.shape[0] and one.shape[0] * replicas
            return tf.TensorSpec(tf.TensorShape([rows]).concatenate(one.shape[1:]), one.dtype)

        return tf.nest.map_structure(of_all_replicas, dataset.element_spec)

    def _execution(self, step: _Step, rows: int | None) -> _Execution:
        """Makes up to `steps_per_execution` steps for each call."""
        step = self._reporting(step)
        on_devices = self._on_replicas(step, rows) if self._is_distributed() else self._alone(step)

        def make_step(batch: Any) -> Logs:
            return on_devices(tf.nest.map_structure(_or_none, batch))

        def logs_after(logs: Logs) -> Logs:
            # Out here metrics are added up over the replicas.
            return self.get_metrics_result() if self._is_distributed() else logs

        def one_step(batch: Any) -> Logs:
            return logs_after(make_step(batch))

        def steps(iterator: tf.data.Iterator | tf.distribute.DistributedIterator) -> Logs:
            logs = make_step(next(iterator))
            if self.steps_per_execution > 1:  # the body of a loop takes time to trace
                for _ in tf.range(self.steps_per_execution - 1):
                    batch = iterator.get_next_as_optional()  # the data may end in between
                    if batch.has_value():
                        logs = make_step(batch.get_value())
            return logs_after(logs)

        execute_one: _Execution = one_step
        execute: _Execution = steps
        if not self.run_eagerly:
            execute_one = _for_each_rank(functools.partial(_compiled, one_step))
            execute = _for_each_rank(functools.partial(_compiled, steps))

        def execute_next(batches: Any) -> Logs:
            if isinstance(batches, (tf.data.Iterator, tf.distribute.DistributedIterator)):
                return execute(batches)
            return execute_one(next(batches))  # of train_on_batch and test_on_batch

        return execute_next

    def _reporting(self, step: _Step) -> _Step:
        """Makes the loss NaN where images, or weights after the step, are not finite."""

        def reporting_step(batch: Any) -> Logs:
            logs = step(batch)
            images, _, _ = keras.utils.unpack_x_y_sample_weight(batch)
            nan_or_0 = nan_unless_finite(images, [weight.value for weight in self.weights])
            for metric in self.metrics:
                if metric.name == "loss":
                    metric.total.assign_add(tf.cast(nan_or_0, metric.total.dtype))
            if "loss" in logs:
                loss = tf.convert_to_tensor(logs["loss"])
                logs = {**logs, "loss": loss + tf.cast(nan_or_0, loss.dtype)}
            return logs

        return reporting_step

    def _alone(self, step: _Step) -> _Step:
        """Makes a step on one device, compiled if `jit_compile` says so, once its batch is checked.

        As in Keras, AutoGraph does not convert it.
        """
        step = tf.autograph.experimental.do_not_convert(step)
        if not self.run_eagerly:
            step = _for_each_rank(functools.partial(_compiled, step, self.jit_compile))
        return tf.autograph.experimental.do_not_convert(self._checked(step))

    def _checked(self, step: _Step) -> _Step:
        """Makes a step that waits for the checks of its batch."""

        def checked_step(batch: Any) -> Logs:
            with tf.control_dependencies(self._check_batch(batch)):
                return step(batch)

        return checked_step

    def _on_replicas(self, step: _Step, rows: int | None) -> _Step:
        """Makes a step on every replica."""
        if self.jit_compile is True:
            raise ValueError(
                "`jit_compile=True` cannot compile a whole step under a strategy; leave it at "
                '"auto": the similarity core is compiled all the same. Received: jit_compile=True '
                f"under {type(self.distribute_strategy).__name__}"
            )
        strategy = self.distribute_strategy
        step = self._checked(step)

        def replica_step(batch: Any) -> None:
            # Distribution forgets static sizes, with several workers and with optional batches.
            step(tf.nest.map_structure(lambda x: tf.ensure_shape(x, [rows, *x.shape[1:]]), batch))

        def step_on_all(batch: Any) -> Logs:
            strategy.run(replica_step, (batch,))
            return {}

        return step_on_all

    def _predict_function_of_keras(self) -> Any:
        ours = self.predict_function
        super().make_predict_function(force=True)
        made, self.predict_function = self.predict_function, ours
        return made

    def _predict_on_replicas(self) -> Callable[[list[Any]], Any]:
        strategy = self.distribute_strategy

        def step(batch: Any) -> Any:
            replica = tf.distribute.get_replica_context()
            outputs = self.predict_step(batch)
            return tf.nest.map_structure(lambda x: replica.all_gather(x, axis=0), outputs)

        def predict_one(batch: Any) -> Any:
            outputs = strategy.run(step, (batch,))
            return tf.nest.map_structure(
                lambda x: strategy.experimental_local_results(x)[0], outputs
            )

        if not self.run_eagerly:
            predict_one = tf.function(predict_one)

        def predict(batches: list[Any]) -> Any:
            outputs = [predict_one(batch) for batch in batches]
            return tf.nest.map_structure(lambda *parts: tf.concat(parts, axis=0), *outputs)

        return predict

    def build_from(
        self,
        dataset: tf.data.Dataset | tf.distribute.DistributedDataset,
        *,
        training: bool = True,
    ) -> None:
        """Builds metrics and optimizer before the first step, from the shapes of the batches.

        Callbacks find them complete when a training begins. Keras builds them in the first step, or
        under a strategy from the average of the replicas' first batches, whose labels mean nothing.
        `fit` and `evaluate` do this first.

        Args:
            dataset: what to train or to evaluate on; nothing is read from it.
            training: whether to train on it, for which batches may have to meet more conditions.

        Raises:
            ValueError: if the model is not compiled, or cannot train on batches of these shapes.
        """
        if not self.compiled:
            raise ValueError(
                "The model must be compiled first: `model.compile(optimizer, loss=...)`. "
                f"Received: {self.name}, which is not"
            )
        with self.distribute_strategy.scope():
            symbolic_build(self, self._symbols(self.batch_spec(dataset)))

    def _symbols(self, batch: Any) -> Any:
        """Returns what a step makes of a batch of these shapes before it calls the model."""
        return self._as_seen_by_metrics(
            tf.nest.map_structure(lambda x: keras.KerasTensor(x.shape, x.dtype.name), batch)
        )

    def _as_seen_by_metrics(self, specs: Any) -> Any:
        """Returns what a step makes of a batch before it calls the model."""
        return specs

    @keras_hook
    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        if has_built_metrics(self):
            return  # from a dataset, and a batch is not drawn for its shape alone
        # One replica's part is all that it takes.
        if iterator is not None and self._is_distributed():
            strategy = self.distribute_strategy
            data_batch = self._symbols(
                tf.nest.map_structure(
                    lambda x: strategy.experimental_local_results(x)[0], first_batch(iterator)
                )
            )
            iterator = None
        super()._maybe_symbolic_build(iterator, data_batch)


def _or_none(x: Any) -> Any:
    """Gives back the None of a generator, which Keras hands over as an optional tensor."""
    return None if isinstance(x, tf.experimental.Optional) else x


def _compiled(function: Callable[[Any], Any], jit_compile: Any = None) -> Callable[[Any], Any]:
    return tf.function(function, reduce_retracing=True, jit_compile=jit_compile)


def _for_each_rank(make: Callable[[], Callable[[Any], Any]]) -> Callable[[Any], Any]:
    """Makes a function for batches of images and another for batches of views.

    Given both, a function that TensorFlow retraces as little as it can takes tensors of unknown
    rank, which no encoder does.

    Args:
        make: makes the function.

    Returns:
        A function of a batch, of several batches, or of an iterator.
    """
    made: dict[Any, Callable[[Any], Any]] = {}

    def call(batches: Any) -> Any:
        tensors = tf.nest.flatten(getattr(batches, "element_spec", batches), expand_composites=True)
        ranks = tuple(tf.TensorShape(getattr(x, "shape", None)).rank for x in tensors)
        if ranks not in made:
            made[ranks] = make()
        return made[ranks](batches)

    return call
