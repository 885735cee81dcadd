"""Checkpoints from which training resumes at the exact step."""

import errno
import math
import os
import pathlib
import shutil
import signal
import tempfile
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from supcon_tf._checks import check_integer
from supcon_tf._files import lock_directory, make_directory
from supcon_tf._keras_internals import count_steps
from supcon_tf.callbacks._checkpoint_files import (
    find_newest_intact,
    list_newest_first,
    read_variable,
    remove_oldest,
    remove_partial_checkpoints,
    write_checkpoint,
)
from supcon_tf.callbacks._signals import DeferredSignals
from supcon_tf.distribution import is_chief
from supcon_tf.models.resuming import ResumingCallback


class Checkpoints(ResumingCallback):
    """Saves the complete training state periodically and restores it when training resumes.

    The state consists of the weights, the optimizer, the state of random layers, a queue of keys, a
    temperature that is a variable, and the running means of the epoch's metrics. With batches of
    `supcon_tf.data`, `fit` of this library's models resumes at the exact step: a run that is killed
    and repeated ends with bitwise the same weights as an uninterrupted run. This holds on CPU, and
    on other devices as far as their operations are deterministic.

    Weights that are not finite are neither saved nor restored. The last good checkpoint remains.

    On SIGTERM and on Ctrl-C, `fit` completes the current step, saves a checkpoint and ends as the
    signal demands: with `SystemExit`, `KeyboardInterrupt` or the handler that the program has
    installed. A second Ctrl-C ends `fit` at once. With several workers, a signal to one
    ends all workers after the same step. Signals wait for the end of the current step or
    validation.

    A second `fit` with the same callback, model and optimizer continues from the current weights.
    With another model or a new optimizer it starts from the newest checkpoint. With batches of
    `supcon_tf.data`, the argument `epochs` of `fit` is the number of epochs of the whole run.

    A checkpoint takes its name when its content is on the disk, so a kill or a power loss leaves no
    partial checkpoint. If a checkpoint is damaged later, a warning names it and the previous one is
    used. The process locks the directory, so that no other process writes to it.

    Place this callback last, so that other callbacks have written their logs when it ends `fit`.

    With several workers, create this callback on every worker, with the same `directory`. All
    workers must be able to read it. Only the chief writes.

    Examples:
        >>> import tempfile, supcon_tf
        >>> checkpoints = supcon_tf.callbacks.Checkpoints(tempfile.mkdtemp(), save_freq=100)
        >>> checkpoints.step  # the step at which `fit` begins
        0

    Args:
        directory: directory of the checkpoints. It is created if it does not exist.
        save_freq: number of steps between two checkpoints. An interruption loses at most this
            number of steps. With `steps_per_execution` above 1, a checkpoint is saved at the end of
            the execution in which it is due, so up to one execution more can be lost.
        max_to_keep: number of newest checkpoints to keep.
        fingerprint: a text that identifies the run, for example its configuration as JSON. Every
            checkpoint contains it, and only a checkpoint with the same text is restored.

    Attributes:
        step: number of training steps in the run so far. Before `fit` it is the step of the newest
            checkpoint that is not damaged, or 0 without one. With mixed_float16 and
            `steps_per_execution` above 1, the latter must divide the number of steps of an epoch,
            because a `LossScaleOptimizer` does not count the steps that it skips.
        saved_fingerprint: the fingerprint in the newest checkpoint when this callback was created,
            or `None` without a checkpoint.

    Raises:
        ValueError: if `save_freq` or `max_to_keep` is below 1, or if another program wrote the
            checkpoints.
        TypeError: if `fingerprint` is not a string.
        NotADirectoryError: if `directory` is a file.
        RuntimeError: if the directory holds checkpoints and all of them are damaged.
        ValueError: in `fit`, if a LossScaleOptimizer leaves steps uncounted, see `step`.
        FloatingPointError: in `fit`, if a checkpoint is due and weights are not finite.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        save_freq: int = 1000,
        max_to_keep: int = 2,
        fingerprint: str = "",
    ):
        super().__init__()
        self.directory = pathlib.Path(directory)
        self.save_freq = check_integer("save_freq", save_freq)
        self.max_to_keep = check_integer("max_to_keep", max_to_keep)
        if not isinstance(fingerprint, str):
            raise TypeError(f"`fingerprint` must be a string. Received: {fingerprint!r}")
        self.fingerprint = fingerprint
        if self.directory.exists() and not self.directory.is_dir():
            make_directory(self.directory)  # Raises an error that names the file.
        self._newest = find_newest_intact(self.directory)
        self.step = 0 if self._newest is None else int(read_variable(self._newest, "step"))
        self._saved_step = self.step
        self.saved_fingerprint = (
            None if self._newest is None else read_variable(self._newest, "fingerprint").decode()
        )
        self._restored: tuple[keras.Model, keras.Optimizer] | None = None
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self._signals = DeferredSignals()

    def restore(self, model: keras.Model) -> None:
        """Restores the newest checkpoint, and checks that new checkpoints can be written.

        `fit` calls this method when it begins. Call it yourself to find errors before `fit`, or to
        load the weights of a finished run without `fit`.

        Args:
            model: the compiled model. Running means of metrics are restored only for metrics that
                are built, see `build_from` of this library's models.

        Raises:
            OSError: if the directory is not writable, or its disk has no room for `max_to_keep`
                checkpoints.
            RuntimeError: if another process uses the directory.
            ValueError: if the model is not built, or the checkpoint belongs to another model or
                optimizer, has another fingerprint, or has trainable weights that are not finite.
        """
        if not model.built:
            raise ValueError(
                "A model with a `Checkpoints` callback must be built: add an `Input`, or call it "
                f"once on a batch. Received: {model.name}, which is not built"
            )
        with model.distribute_strategy.scope():
            model.optimizer.build(model.trainable_variables)
        state = [*model.variables, *model.optimizer.variables]
        metrics = model.metrics_variables
        size = sum(math.prod(x.shape) * tf.as_dtype(x.dtype).size for x in (*state, *metrics))
        if is_chief(model.distribute_strategy):
            lock_directory(self.directory)
            remove_partial_checkpoints(self.directory)
            self._require_room(size)
        elif self._scratch is None:
            # All workers must save, because variables can be distributed over them. Only the copy
            # of the chief is kept.
            self._scratch = tempfile.TemporaryDirectory()
        with tf.device("CPU:0"):  # GPUs hold no strings.
            fingerprint = tf.Variable(self.fingerprint, trainable=False)
        self._checkpoint = tf.train.Checkpoint(
            state=[variable.value for variable in state] + getattr(model.loss, "variables", []),
            metrics=[variable.value for variable in metrics],
            within_epoch=tf.Variable(False, trainable=False),
            step=tf.Variable(0, dtype=tf.int64, trainable=False),
            fingerprint=fingerprint,
        )
        self._trained = model.trainable_variables
        if self._newest is not None:
            self._restore(self._newest)
        self.step = self._saved_step
        self._restored = model, model.optimizer
        self._sum_over_workers = _make_sum(model.distribute_strategy)
        self._restored_metrics = [
            tf.identity(value) if self._checkpoint.within_epoch else tf.zeros_like(value)
            for value in self._checkpoint.metrics
        ]

    def resume(self, model: keras.Model) -> int:
        """Restores the newest checkpoint, unless this model and its optimizer are already restored.

        Args:
            model: as in `restore`.

        Returns:
            The number of training steps in the run so far.
        """
        if self._restored != (model, model.optimizer):
            self.restore(model)
        return self.step

    def on_train_begin(self, logs: Any = None) -> None:
        """Restores the newest checkpoint, unless this model is already restored.

        Raises:
            ValueError: if the steps cannot be counted, see the attribute `step`.
        """
        self.resume(self.model)
        self._require_countable_steps()
        self._step_offset = self.step - self._count_optimizer_steps()
        self._signals.start(self._announce)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Restores the running means of a resumed epoch, which `fit` has just reset."""
        for variable, value in zip(self._checkpoint.metrics, self._restored_metrics, strict=True):
            variable.assign(value)
        self._restored_metrics = [tf.zeros_like(value) for value in self._restored_metrics]
        self._first_step = self.step

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Saves a checkpoint if one is due before the end of the epoch."""
        if self.model.steps_per_execution == 1 or _skips_steps(self.model.optimizer):
            self.step += self.model.steps_per_execution
        else:
            self.step = self._step_offset + self._count_optimizer_steps()
        if self.within_epoch:
            self._save_if_due(within_epoch=True)
            self._end_if_signaled(within_epoch=True)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Saves a checkpoint if one is due, after earlier callbacks have written their logs."""
        self._save_if_due(within_epoch=False)
        self._end_if_signaled(within_epoch=False)

    def on_train_end(self, logs: Any = None) -> None:
        """Saves the final state."""
        self.save(within_epoch=False)
        self._end_if_signaled(within_epoch=False)
        self._signals.stop()

    @property
    def within_epoch(self) -> bool:
        """Whether the epoch of `fit` has further steps."""
        steps = self.params["steps"]
        return steps is None or self.step - self._first_step < steps

    def save(self, *, within_epoch: bool) -> None:
        """Saves the current state, unless the state of this step is already saved.

        Args:
            within_epoch: whether the epoch has further steps.

        Raises:
            FloatingPointError: if a trainable weight is not finite.
            OSError: if the checkpoint cannot be written. The previous checkpoints remain.
        """
        if self.step == self._saved_step:
            return
        self._require_finite_weights()
        self._checkpoint.step.assign(self.step)
        self._checkpoint.within_epoch.assign(within_epoch)
        self._write()
        self._saved_step = self.step

    def _write(self) -> None:
        directory = self.directory if self._scratch is None else pathlib.Path(self._scratch.name)
        try:
            self._newest = write_checkpoint(self._checkpoint, directory, self.step)
            remove_oldest(directory, self.max_to_keep)
        except (OSError, tf.errors.OpError) as error:
            raise OSError(
                f"The checkpoint of step {self.step} cannot be written. Training resumes from the "
                f"newest checkpoint, {self._newest}. Received: {error}"
            ) from error

    def _save_if_due(self, within_epoch: bool) -> None:
        if self.step // self.save_freq > self._saved_step // self.save_freq:
            self.save(within_epoch=within_epoch)

    def _count_optimizer_steps(self) -> int:
        return count_steps(self.model.optimizer)

    def _announce(self, number: int) -> None:
        if self._scratch is None:
            again = "; Ctrl-C again stops at once" if number == signal.SIGINT else ""
            print(f"\nstopping after this step{again}", flush=True)

    def _end_if_signaled(self, *, within_epoch: bool) -> None:
        number = self._agree_on_signal()
        if number:
            self.save(within_epoch=within_epoch)
            if self._scratch is None:
                print(f"stopped at step {self.step}, saved in {self.directory}", flush=True)
            self._signals.deliver(number)

    def _agree_on_signal(self) -> int:
        """Returns the signal that ends the training, the same on all workers, or 0."""
        received = self._signals.received or 0
        if not self._sum_over_workers(tf.constant(received)):
            return 0
        return received or signal.SIGTERM

    def _find_non_finite_weight(self) -> keras.Variable | None:
        for weight in self._trained:
            if not tf.reduce_all(tf.math.is_finite(weight.value)):
                return weight
        return None

    def _require_finite_weights(self) -> None:
        weight = self._find_non_finite_weight()
        if weight is not None:
            raise FloatingPointError(
                f"{weight.path} is not finite after step {self.step}, so this step is not "
                f"saved. The newest checkpoint is {self._newest}"
            )

    def _require_countable_steps(self) -> None:
        execution, steps = self.model.steps_per_execution, self.params["steps"]
        uneven = steps is None or steps % execution
        if execution > 1 and uneven and _skips_steps(self.model.optimizer):
            raise ValueError(
                "`steps_per_execution` must divide the number of steps of an epoch if the "
                "optimizer is a LossScaleOptimizer, as with mixed_float16, because it does not "
                "count the steps that it skips. Received: "
                f"steps_per_execution={execution}, {steps} steps"
            )

    def _restore(self, path: str) -> None:
        fingerprint = read_variable(path, "fingerprint").decode()
        if fingerprint != self.fingerprint:
            raise ValueError(
                f"{path} is a checkpoint of another run. Choose another directory or remove the "
                f"checkpoints there. Received: the fingerprint {fingerprint!r}, where "
                f"{self.fingerprint!r} was expected"
            )
        try:
            self._checkpoint.read(path).assert_consumed()
        except (AssertionError, ValueError, tf.errors.OpError) as error:
            raise ValueError(
                f"{path} is not a checkpoint of this model and optimizer. Choose another directory "
                f"or remove the checkpoints there. Received: {str(error)[:300]}"
            ) from error
        weight = self._find_non_finite_weight()
        if weight is not None:
            raise ValueError(
                f"{path} must have finite weights. Remove it to resume from the previous "
                f"checkpoint. Received: NaN or infinity in {weight.path}"
            )

    def _require_room(self, size: int) -> None:
        """Raises `OSError` unless the disk has room for all checkpoints that are to be kept."""
        # A new checkpoint is written before the oldest one is deleted.
        missing = self.max_to_keep + 1 - len(list_newest_first(self.directory))
        free = shutil.disk_usage(self.directory).free
        if free < missing * size:
            raise OSError(
                errno.ENOSPC,
                f"The disk must have room for {missing} more checkpoints of {size / 1e6:.0f} MB. "
                f"Received: a disk with {free / 1e6:.0f} MB left",
                str(self.directory),
            )


def _make_sum(strategy: tf.distribute.Strategy) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns a function that adds up a number over the workers, all of which must call it."""
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return tf.identity

    @tf.function
    def sum_over_workers(value: tf.Tensor) -> tf.Tensor:
        per_replica = strategy.run(lambda: value)
        return strategy.reduce(tf.distribute.ReduceOp.SUM, per_replica, axis=None)

    return sum_over_workers


def _skips_steps(optimizer: keras.Optimizer) -> bool:
    return isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
