"""Layer-wise adaptive rate scaling."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from supcon_tf.optimizers.decay import NORMALIZATIONS, CoupledWeightDecay


@keras.saving.register_keras_serializable(package="supcon_tf")
class LARS(CoupledWeightDecay):
    r"""SGD with momentum, whose step in each weight is in proportion to the weight's length.

    With learning rate $\alpha$, weights $w$ and gradient $g$ of one variable, and momentum buffer
    $v$, initially 0:

    $$g \leftarrow g + \beta w, \qquad
      v \leftarrow m v + \alpha \, \eta \frac{|w|}{|g|} \, g, \qquad w \leftarrow w - v$$

    where $\beta$ is the weight decay. Excluded variables take the ratio for 1 and $\beta$ for 0;
    where $|w|$ or $|g|$ is 0 the ratio is 1. The learning rate stands inside of the momentum buffer
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
        momentum: m, from 0 and below 1.
        eta: the trust coefficient, above 0.
        weight_decay: beta, from 0, or `None` for 0: added to the gradient before the ratio is
            taken, unlike that of Keras's optimizers.
        exclude: regular expressions; variables in whose path one is found are neither scaled nor
            decayed. By default scales and offsets of normalizations; biases are scaled. What
            `exclude_from_weight_decay` excludes is scaled all the same.
        name: name of the optimizer.
        **kwargs: clipping, averaging and gradient accumulation, see `keras.optimizers.Optimizer`.

    Raises:
        ValueError: if `momentum`, `eta` or `weight_decay` is out of range, or `exclude` is a
            string.
    """

    def __init__(
        self,
        learning_rate: Any = 0.4,
        *,
        momentum: float = 0.9,
        eta: float = 0.001,
        weight_decay: float | None = None,
        exclude: Sequence[str] = NORMALIZATIONS,
        name: str = "lars",
        **kwargs: Any,
    ):
        if not 0 <= momentum < 1:
            raise ValueError(f"`momentum` must be from 0 and below 1. Received: {momentum!r}")
        if not eta > 0:
            raise ValueError(f"`eta` must be above 0. Received: {eta!r}")
        super().__init__(
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            exclude=exclude,
            name=name,
            **kwargs,
        )
        self.momentum = momentum
        self.eta = eta

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Makes the momentum buffers."""
        if self.built:
            return
        super().build(variables)
        self._momentums = self.add_optimizer_variables(variables, "momentum")

    def update_step(self, gradient: Any, variable: keras.Variable, learning_rate: Any) -> None:
        """Makes one step in one variable."""
        buffer = self._momentums[self._get_variable_index(variable)]
        learning_rate = ops.cast(learning_rate, variable.dtype)
        gradient = self.decayed(gradient, variable)
        if not self.is_excluded(variable):
            learning_rate *= self._trust_ratio(variable, gradient)
        self.assign(buffer, self.momentum * buffer + learning_rate * gradient)
        self.assign_sub(variable, buffer)

    def _trust_ratio(self, variable: keras.Variable, gradient: Any) -> Any:
        weight_norm = ops.norm(ops.reshape(variable, [-1]))
        gradient_norm = ops.norm(ops.reshape(gradient, [-1]))
        defined = ops.logical_and(weight_norm > 0, gradient_norm > 0)
        ratio = self.eta * weight_norm / ops.where(defined, gradient_norm, 1.0)
        return ops.where(defined, ratio, 1.0)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that rebuild this optimizer."""
        return {
            **super().get_config(),
            "momentum": self.momentum,
            "eta": self.eta,
        }
