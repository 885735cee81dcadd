"""Learning rate schedules."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="supcon_tf")
class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up followed by another schedule.

    Large batches need large learning rates. Contrastive training that starts with a large learning
    rate tends to collapse.

    Examples:
        >>> import keras, supcon_tf
        >>> cosine = keras.optimizers.schedules.CosineDecay(0.4, decay_steps=1000)
        >>> schedule = supcon_tf.optimizers.WarmUp(cosine, steps=100)
        >>> [round(float(schedule(step)), 3) for step in (0, 50, 100, 600)]
        [0.0, 0.2, 0.4, 0.2]

    Args:
        schedule: the schedule after the warm-up. Its step 0 is the end of the warm-up.
        steps: number of steps of the warm-up; 0 for none.
        start: learning rate at step 0.
        name: name of the schedule.

    Raises:
        ValueError: if `schedule` is not a learning rate schedule, or `steps` is negative.
    """

    def __init__(
        self,
        schedule: keras.optimizers.schedules.LearningRateSchedule,
        steps: int,
        *,
        start: float = 0.0,
        name: str = "warm_up",
    ):
        if not isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
            raise ValueError(
                "`schedule` must be a learning rate schedule, such as "
                f"`keras.optimizers.schedules.CosineDecay(0.1, 1000)`. Received: {schedule!r}"
            )
        if steps < 0:
            raise ValueError(f"`steps` must not be negative. Received: {steps!r}")
        super().__init__()
        self.schedule = schedule
        self.steps = steps
        self.start = start
        self.name = name

    def __call__(self, step: Any) -> Any:
        """Returns the learning rate of a step."""
        step = ops.cast(step, "float32")
        peak = self.schedule(ops.zeros_like(step))
        rising = self.start + (peak - self.start) * step / max(self.steps, 1)
        after = self.schedule(ops.maximum(step - self.steps, 0.0))
        return ops.where(step < self.steps, rising, after)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that rebuild this schedule."""
        return {
            "schedule": keras.optimizers.schedules.serialize(self.schedule),
            "steps": self.steps,
            "start": self.start,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "WarmUp":
        """Rebuilds a schedule from `get_config`."""
        schedule = keras.optimizers.schedules.deserialize(config["schedule"])
        return cls(**{**config, "schedule": schedule})
