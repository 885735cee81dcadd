"""Checkpoints from which training resumes at the exact step."""

import errno
import math
import os
import pathlib
import re
import shutil
import tempfile
import warnings
from typing import Any

import keras
import tensorflow as tf

from supcon_tf._checks import check_integer
from supcon_tf._keras_internals import count_steps
from supcon_tf.distribution import is_chief

_NAME = "checkpoint"


class Checkpoints(keras.callbacks.Callback):
    """Saves the complete training state periodically and restores it when training resumes.

    The state consists of the weights, the optimizer, the state of random layers, a queue of keys, a
    temperature that is a variable, and the running means of the epoch's metrics. If the data can
    start at any step (`supcon_tf.data.multi_view_batches(start_step=...)`), a run that is killed
    and resumed ends with bitwise the same weights as an uninterrupted run. This holds on CPU, and
    on other devices as far as their operations are deterministic.

    Weights that are not finite are not saved. The last good checkpoint remains.

    A second `fit` with the same callback and the same model continues from the current weights.
    With another model or a new optimizer it starts from the newest checkpoint.

    `tf.train.CheckpointManager` writes the index of a checkpoint last, so an interrupted save
    leaves no partial checkpoint. If a checkpoint is damaged, a warning names it and the previous
    one is used.

    With several workers, create this callback on every worker, with the same `directory`. All
    workers must be able to read it. Only the chief writes.

    Examples:
        >>> import tempfile, supcon_tf
        >>> checkpoints = supcon_tf.callbacks.Checkpoints(tempfile.mkdtemp(), save_freq=100)
        >>> checkpoints.step  # pass it to `start_step` of the data
        0

    Args:
        directory: directory of the checkpoints. It is created if it does not exist.
        save_freq: number of steps between two checkpoints, which is also the largest number of
            steps that an interruption loses. With `steps_per_execution` above 1, a checkpoint is
            saved at the end of the execution in which it is due.
        max_to_keep: number of newest checkpoints to keep.

    Attributes:
        step: number of training steps in the run so far. Before `fit` it is the step of the newest
            checkpoint that is not damaged, or 0 without one. With `steps_per_execution` above 1 it
            follows the optimizer's count, because the last execution of an epoch can run fewer or
            more steps than the epoch has left. A `LossScaleOptimizer`, which mixed_float16 uses,
            does not count the steps that it skips. `steps_per_execution` must then divide the
            number of steps of an epoch.

    Raises:
        ValueError: if `save_freq` or `max_to_keep` is below 1.
        RuntimeError: if the directory holds checkpoints and all of them are damaged.
        ValueError: in `fit`, if a LossScaleOptimizer leaves steps uncounted, see `step`.
        FloatingPointError: in `fit`, if a checkpoint is due and weights are not finite.
    """

    def __init__(
        self, directory: str | os.PathLike[str], *, save_freq: int = 1000, max_to_keep: int = 2
    ):
        super().__init__()
        self.directory = pathlib.Path(directory)
        self.save_freq = check_integer("save_freq", save_freq)
        self.max_to_keep = check_integer("max_to_keep", max_to_keep)
        self._newest = _find_newest_intact(self.directory)
        self.step = 0 if self._newest is None else _read_step(self._newest)
        self._saved_step = self.step
        self._restored: tuple[keras.Model, keras.Optimizer] | None = None
        self._scratch: tempfile.TemporaryDirectory[str] | None = None

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
            ValueError: if the checkpoint belongs to another model or optimizer.
        """
        with model.distribute_strategy.scope():
            model.optimizer.build(model.trainable_variables)
        state = [*model.variables, *model.optimizer.variables]
        metrics = model.metrics_variables
        size = sum(math.prod(x.shape) * tf.as_dtype(x.dtype).size for x in (*state, *metrics))
        chief = is_chief(model.distribute_strategy)
        if chief:
            self._require_room(size)
        elif self._scratch is None:
            # All workers must save, because variables can be distributed over them. Only the copy
            # of the chief is kept.
            self._scratch = tempfile.TemporaryDirectory()
        self._checkpoint = tf.train.Checkpoint(
            state=[variable.value for variable in state] + getattr(model.loss, "variables", []),
            metrics=[variable.value for variable in metrics],
            within_epoch=tf.Variable(False, trainable=False),
            step=tf.Variable(0, dtype=tf.int64, trainable=False),
        )
        self._manager = tf.train.CheckpointManager(
            self._checkpoint,
            str(self.directory) if self._scratch is None else self._scratch.name,
            max_to_keep=self.max_to_keep,
            checkpoint_name=_NAME,
        )
        if self._newest is not None:
            self._read(self._newest)
        self.step = self._saved_step
        self._trained = model.trainable_variables
        self._restored = model, model.optimizer
        self._restored_metrics = [
            tf.identity(value) if self._checkpoint.within_epoch else tf.zeros_like(value)
            for value in self._checkpoint.metrics
        ]

    def on_train_begin(self, logs: Any = None) -> None:
        """Restores the newest checkpoint, unless this model is already restored.

        Raises:
            ValueError: if the steps cannot be counted, see the attribute `step`.
        """
        if self._restored != (self.model, self.model.optimizer):
            self.restore(self.model)
        self._require_countable_steps()
        self._step_offset = self.step - self._count_optimizer_steps()

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

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Saves a checkpoint if one is due, after earlier callbacks have written their logs."""
        self._save_if_due(within_epoch=False)

    def on_train_end(self, logs: Any = None) -> None:
        """Saves the final state."""
        self.save(within_epoch=False)

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
        """
        if self.step == self._saved_step:
            return
        self._require_finite_weights()
        self._checkpoint.step.assign(self.step)
        self._checkpoint.within_epoch.assign(within_epoch)
        self._newest = self._manager.save(checkpoint_number=self.step)
        self._saved_step = self.step

    def _save_if_due(self, within_epoch: bool) -> None:
        if self.step // self.save_freq > self._saved_step // self.save_freq:
            self.save(within_epoch=within_epoch)

    def _count_optimizer_steps(self) -> int:
        return count_steps(self.model.optimizer)

    def _require_finite_weights(self) -> None:
        for weight in self._trained:
            if not tf.reduce_all(tf.math.is_finite(weight.value)):
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

    def _read(self, path: str) -> None:
        try:
            self._checkpoint.restore(path).assert_consumed()
        except (AssertionError, ValueError, tf.errors.OpError) as error:
            raise ValueError(
                f"{path} is not a checkpoint of this model and optimizer. Choose another directory "
                f"or remove the checkpoints there. Received: {error}"
            ) from error

    def _require_room(self, size: int) -> None:
        """Raises `OSError` unless the disk has room for all checkpoints that are to be kept."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=self.directory):
            pass
        # The manager writes a new checkpoint before it deletes the oldest one.
        missing = self.max_to_keep + 1 - len(_list_newest_first(self.directory))
        free = shutil.disk_usage(self.directory).free
        if free < missing * size:
            raise OSError(
                errno.ENOSPC,
                f"The disk must have room for {missing} more checkpoints of {size / 1e6:.0f} MB. "
                f"Received: a disk with {free / 1e6:.0f} MB left",
                str(self.directory),
            )


def _skips_steps(optimizer: keras.Optimizer) -> bool:
    return isinstance(optimizer, keras.optimizers.LossScaleOptimizer)


def _list_newest_first(directory: pathlib.Path) -> list[str]:
    """Returns the paths of the complete checkpoints, whose index is written last."""
    paths = {
        int(match[1]): str(path.with_suffix(""))
        for path in directory.glob(f"{_NAME}-*.index")
        if (match := re.fullmatch(rf"{_NAME}-(\d+)", path.stem))
    }
    return [paths[number] for number in sorted(paths, reverse=True)]


def _find_newest_intact(directory: pathlib.Path) -> str | None:
    paths = _list_newest_first(directory)
    for path in paths:
        try:
            reader = tf.train.load_checkpoint(path)
            for name in reader.get_variable_to_shape_map():
                reader.get_tensor(name)  # Verifies the checksum.
            return path
        except Exception as error:  # TensorFlow raises errors of many types.
            warnings.warn(
                f"{path} is damaged and skipped. The previous checkpoint is used. Received: "
                f"{error}",
                stacklevel=3,
            )
    if paths:
        raise RuntimeError(
            f"All checkpoints are damaged. Remove them to start a new run. Received: {paths}"
        )
    return None


def _read_step(path: str) -> int:
    step = tf.Variable(0, dtype=tf.int64, trainable=False)
    tf.train.Checkpoint(step=step).restore(path).expect_partial().assert_existing_objects_matched()
    return int(step)
