"""Layer-wise adaptive rate scaling."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops
from keras.optimizers.schedules import LearningRateSchedule

from supcon_tf._keras_internals import variable_index
from supcon_tf.optimizers.coupled_weight_decay import NORMALIZATIONS, CoupledWeightDecay


@keras.saving.register_keras_serializable(package="supcon_tf")
class LARS(CoupledWeightDecay):
    r"""SGD with momentum whose step in each variable is proportional to the variable's norm.

    For weights $w$ and gradient $g$ of one variable, learning rate $\alpha$, trust coefficient
    $\eta$, weight decay $\beta$, momentum $m$, and momentum buffer $v$, initially 0:

    $$g \leftarrow g + \beta w, \qquad
      v \leftarrow m v + \alpha \, \eta \frac{|w|}{|g|} \, g, \qquad w \leftarrow w - v$$

    Excluded variables have $\beta = 0$ and the trust ratio $\eta |w| / |g|$ replaced by 1. The
    trust ratio is also 1 where $|w|$ or $|g|$ is 0. The learning rate is inside the momentum buffer
    (classic momentum), as in the official code of SupCon and SimCLR.

    Reference: You et al., "Large Batch Training of Convolutional Networks", 2017
    (https://arxiv.org/abs/1708.03888).

    Examples:
        >>> import keras, supcon_tf
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        >>> model.compile(supcon_tf.LARS(0.4, weight_decay=1e-4), loss="mse")

    Args:
        learning_rate: a number or a schedule. SupCon's ImageNet recipes peak at 0.4 per 256 images
            of the batch.
        momentum: $m$, at least 0 and below 1.
        trust_coefficient: $\eta$, positive.
        weight_decay: $\beta$, non-negative, or a schedule of it
            (`keras.optimizers.schedules.LearningRateSchedule`), or `None` for 0. It is coupled: it
            is added to the gradient before the trust ratio is computed.
        exclude: regular expressions. A variable is neither scaled nor decayed if one of them
            matches a part of its path. By default scales and offsets of normalization layers;
            biases are scaled and decayed. `exclude_from_weight_decay` excludes from decay only.
        name: name of the optimizer.
        **kwargs: clipping, averaging and gradient accumulation, see `keras.optimizers.Optimizer`.

    Raises:
        ValueError: if `momentum`, `trust_coefficient` or `weight_decay` is out of range, or
            `exclude` is a string.
    """

    def __init__(
        self,
        learning_rate: Any = 0.4,
        *,
        momentum: float = 0.9,
        trust_coefficient: float = 0.001,
        weight_decay: float | LearningRateSchedule | None = None,
        exclude: Sequence[str] = NORMALIZATIONS,
        name: str = "lars",
        **kwargs: Any,
    ):
        if not 0 <= momentum < 1:
            raise ValueError(f"`momentum` must be at least 0 and below 1. Received: {momentum!r}")
        if not trust_coefficient > 0:
            raise ValueError(
                f"`trust_coefficient` must be positive. Received: {trust_coefficient!r}"
            )
        super().__init__(
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            exclude=exclude,
            name=name,
            **kwargs,
        )
        self.momentum = momentum
        self.trust_coefficient = trust_coefficient

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Creates the momentum buffers."""
        if self.built:
            return
        super().build(variables)
        self._momentums = self.add_optimizer_variables(variables, "momentum")

    def update_step(self, gradient: Any, variable: keras.Variable, learning_rate: Any) -> None:
        """Updates one variable and its momentum buffer."""
        buffer = self._momentums[variable_index(self, variable)]
        learning_rate = ops.cast(learning_rate, variable.dtype)
        gradient = self._add_weight_decay(gradient, variable)
        if not self._is_excluded(variable):
            learning_rate *= self._trust_ratio(variable, gradient)
        self.assign(buffer, self.momentum * buffer + learning_rate * gradient)
        self.assign_sub(variable, buffer)

    def _trust_ratio(self, variable: keras.Variable, gradient: Any) -> Any:
        weight_norm = ops.norm(ops.reshape(variable, [-1]))
        gradient_norm = ops.norm(ops.reshape(gradient, [-1]))
        defined = ops.logical_and(weight_norm > 0, gradient_norm > 0)
        ratio = self.trust_coefficient * weight_norm / ops.where(defined, gradient_norm, 1.0)
        return ops.where(defined, ratio, 1.0)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that rebuild this optimizer."""
        return {
            **super().get_config(),
            "momentum": self.momentum,
            "trust_coefficient": self.trust_coefficient,
        }
