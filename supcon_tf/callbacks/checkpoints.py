"""Checkpoints from which a training goes on at the exact step."""

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
from supcon_tf.distribution import is_chief

_NAME = "checkpoint"


class Checkpoints(keras.callbacks.Callback):
    """Saves the whole state of a training every so many steps and at its end, and restores it.

    The state is the weights, the optimizer, the state of random layers, a queue of embeddings, a
    temperature that is a variable, and the running means of the epoch's metrics. With data that can
    start at any step (`supcon_tf.data.multi_view_batches(start_step=...)`) a training that was
    killed and goes on ends with bitwise the weights of one that was not (on CPU; other devices as
    far as they repeat themselves).

    Weights that are not finite are not saved: the last good checkpoint remains.

    Given to another `fit`, this callback goes on with the model that it knows; another model, or a
    new optimizer, begins with the newest checkpoint.

    A checkpoint is complete or not there: `tf.train.CheckpointManager` names it last. A damaged one
    is reported by name, and the one before it is used.

    With several workers all make this callback with the same `directory`, which all must be able to
    read; the first one writes.

    Examples:
        >>> import tempfile, supcon_tf
        >>> checkpoints = supcon_tf.callbacks.Checkpoints(tempfile.mkdtemp(), every=100)
        >>> checkpoints.step  # give it to `start_step` of the data
        0

    Args:
        directory: where the checkpoints are and go; made if needed.
        every: how many steps lie between two of them, at most so many are lost. With
            `steps_per_execution` above 1 the first step after.
        keep: how many to keep, the newest.

    Attributes:
        step: how many steps have been made: those of the newest checkpoint that is not damaged, and
            0 without one. It is restored when `fit` begins. With `steps_per_execution` above 1 the
            optimizer counts, as the last execution of an epoch may make fewer or more steps than
            the epoch has left. A `LossScaleOptimizer`, as of mixed_float16, does not count the
            steps that it skips; `steps_per_execution` must then divide the steps of an epoch.

    Raises:
        ValueError: if `every` or `keep` is below 1.
        RuntimeError: if there are checkpoints and all are damaged.
        ValueError: in `fit`, if a LossScaleOptimizer leaves the steps uncounted, see `step`.
        FloatingPointError: in `fit`, if a checkpoint is due and weights are not finite.
    """

    def __init__(self, directory: str | os.PathLike[str], *, every: int = 1000, keep: int = 2):
        super().__init__()
        self.directory = pathlib.Path(directory)
        self.every = check_integer("every", every)
        self.keep = check_integer("keep", keep)
        self._newest = _newest_sound(self.directory)
        self.step = 0 if self._newest is None else _step(self._newest)
        self._saved = self.step
        self._restored: tuple[keras.Model, keras.Optimizer] | None = None
        self._scratch: tempfile.TemporaryDirectory[str] | None = None

    def restore(self, model: keras.Model) -> None:
        """Restores the newest checkpoint, or makes sure that new ones can be written.

        `fit` does it when it begins; before it, only to find out about errors, or without it, if
        the training is complete.

        Args:
            model: the compiled model. Running means of metrics are a part of the state only as far
                as the metrics are built, see `build_from` of this library's models.

        Raises:
            OSError: if files cannot be written to the directory, or its disk has no room for as
                many checkpoints as wanted.
            ValueError: if the checkpoint is that of another model or optimizer.
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
            # Workers save together, since values may be spread over them; one copy is kept.
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
            max_to_keep=self.keep,
            checkpoint_name=_NAME,
        )
        if self._newest is not None:
            self._read(self._newest)
        self.step = self._saved
        self._trained = model.trainable_variables
        self._restored = model, model.optimizer
        self._restored_metrics = [
            tf.identity(value) if self._checkpoint.within_epoch else tf.zeros_like(value)
            for value in self._checkpoint.metrics
        ]

    def on_train_begin(self, logs: Any = None) -> None:
        """Restores the newest checkpoint, unless that was done.

        Raises:
            ValueError: if the steps cannot be counted, see the attribute `step`.
        """
        if self._restored != (self.model, self.model.optimizer):
            self.restore(self.model)
        self._require_countable_steps()
        self._not_counted = self.step - self._counted_steps()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Puts back the running means of an epoch that goes on, which `fit` has reset."""
        for variable, value in zip(self._checkpoint.metrics, self._restored_metrics, strict=True):
            variable.assign(value)
        self._restored_metrics = [tf.zeros_like(value) for value in self._restored_metrics]
        self._first_step = self.step

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Saves if a checkpoint is due; at the end of an epoch after its logs are written."""
        if self.model.steps_per_execution == 1 or _skips_steps(self.model.optimizer):
            self.step += self.model.steps_per_execution
        else:
            self.step = self._not_counted + self._counted_steps()
        if self.within_epoch:
            self._save_if_due(within_epoch=True)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Saves if a checkpoint is due."""
        self._save_if_due(within_epoch=False)

    def on_train_end(self, logs: Any = None) -> None:
        """Saves the end of the training."""
        self.save(within_epoch=False)

    @property
    def within_epoch(self) -> bool:
        """Whether the epoch of `fit` goes on after the last step."""
        steps = self.params["steps"]
        return steps is None or self.step - self._first_step < steps

    def save(self, *, within_epoch: bool) -> None:
        """Saves the state now, unless this step's is saved already.

        Args:
            within_epoch: whether the epoch goes on.

        Raises:
            FloatingPointError: if a weight that is trained is not finite.
        """
        if self.step == self._saved:
            return
        self._require_finite_weights()
        self._checkpoint.step.assign(self.step)
        self._checkpoint.within_epoch.assign(within_epoch)
        self._newest = self._manager.save(checkpoint_number=self.step)
        self._saved = self.step

    def _save_if_due(self, within_epoch: bool) -> None:
        if self.step // self.every > self._saved // self.every:
            self.save(within_epoch=within_epoch)

    def _counted_steps(self) -> int:
        # `iterations` is how often gradients were applied, which may be every so many steps.
        return int(keras.ops.convert_to_numpy(self.model.optimizer._iterations))

    def _require_finite_weights(self) -> None:
        for weight in self._trained:
            if not tf.reduce_all(tf.math.is_finite(weight.value)):
                raise FloatingPointError(
                    f"{weight.path} is not finite after step {self.step}, which is not saved; the "
                    f"newest checkpoint is {self._newest}"
                )

    def _require_countable_steps(self) -> None:
        execution, steps = self.model.steps_per_execution, self.params["steps"]
        uneven = steps is None or steps % execution
        if execution > 1 and uneven and _skips_steps(self.model.optimizer):
            raise ValueError(
                "With a LossScaleOptimizer, as of mixed_float16, which does not count the steps "
                "that it skips, `steps_per_execution` must divide the steps of an epoch. Received: "
                f"steps_per_execution={execution}, {steps} steps"
            )

    def _read(self, path: str) -> None:
        try:
            self._checkpoint.restore(path).assert_consumed()
        except (AssertionError, ValueError, tf.errors.OpError) as error:
            raise ValueError(
                f"{path} is not a checkpoint of this model and optimizer; choose another directory "
                f"or remove the checkpoints there. Received: {error}"
            ) from error

    def _require_room(self, size: int) -> None:
        """Raises `OSError` unless the checkpoints that are still to come fit on the disk."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=self.directory):
            pass
        missing = self.keep + 1 - len(_all(self.directory))
        free = shutil.disk_usage(self.directory).free
        if free < missing * size:
            raise OSError(
                errno.ENOSPC,
                f"{missing} checkpoints of {size / 1e6:.0f} MB are to be kept, but the disk has "
                f"{free / 1e6:.0f} MB left",
                str(self.directory),
            )


def _skips_steps(optimizer: keras.Optimizer) -> bool:
    return isinstance(optimizer, keras.optimizers.LossScaleOptimizer)


def _all(directory: pathlib.Path) -> list[str]:
    """Checkpoints from the newest to the oldest; the index of one is written last."""
    found = {
        int(match[1]): str(path.with_suffix(""))
        for path in directory.glob(f"{_NAME}-*.index")
        if (match := re.fullmatch(rf"{_NAME}-(\d+)", path.stem))
    }
    return [found[number] for number in sorted(found, reverse=True)]


def _newest_sound(directory: pathlib.Path) -> str | None:
    paths = _all(directory)
    for path in paths:
        try:
            reader = tf.train.load_checkpoint(path)
            for name in reader.get_variable_to_shape_map():
                reader.get_tensor(name)  # compares checksums
            return path
        except Exception as error:  # TensorFlow raises errors of many kinds
            warnings.warn(
                f"{path} is damaged and left out; the checkpoint before it is used. Received: "
                f"{error}",
                stacklevel=3,
            )
    if paths:
        raise RuntimeError(
            f"All checkpoints are damaged; remove them to start anew. Received: {paths}"
        )
    return None


def _step(path: str) -> int:
    return int(tf.train.load_variable(path, "step/.ATTRIBUTES/VARIABLE_VALUE"))
