"""Learning rates that differ between the layers of a model."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from supcon_tf._checks import check_non_negative
from supcon_tf._keras_internals import keras_hook, uses_weight_decay, variable_index
from supcon_tf.optimizers.adamw import AdamW
from supcon_tf.optimizers.coupled_weight_decay import (
    CoupledWeightDecay,
    RMSpropWithL2,
    SGDWithL2,
)
from supcon_tf.optimizers.lars import LARS


class ScaledLearningRates(keras.optimizers.Optimizer):
    """Base class of optimizers with a factor of the learning rate for each variable.

    Args:
        *args: positional arguments of the optimizer.
        factors: one factor for each trainable variable, in the order in which the optimizer
            receives them.
        **kwargs: other arguments of the optimizer.
    """

    def __init__(self, *args: Any, factors: Sequence[float], **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.factors = tuple(factors)

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Creates the optimizer's variables.

        Raises:
            ValueError: if the number of variables differs from that of the factors.
        """
        if self.built:
            return
        if len(variables) != len(self.factors):
            raise ValueError(
                "The trainable variables must be those for which `scale_learning_rates` created "
                "the optimizer. Call it again after you freeze or unfreeze layers. Received: "
                f"{len(variables)} variables, {len(self.factors)} factors"
            )
        super().build(variables)
        # `CoupledWeightDecay` adds the decay to the gradient, which the learning rate multiplies.
        decays = self.weight_decay is not None and not isinstance(self, CoupledWeightDecay)
        self._decays = [decays and uses_weight_decay(self, variable) for variable in variables]

    def update_step(self, gradient: Any, variable: keras.Variable, learning_rate: Any) -> None:
        """Decays and updates one variable with its own learning rate."""
        index = variable_index(self, variable)
        learning_rate = ops.cast(learning_rate, variable.dtype) * self.factors[index]
        if self._decays[index]:
            weight_decay = ops.cast(self.weight_decay, variable.dtype)
            self.assign_sub(variable, variable * weight_decay * learning_rate)
        super().update_step(gradient, variable, learning_rate)

    @keras_hook
    def _apply_weight_decay(self, variables: Sequence[keras.Variable]) -> None:
        """Disables Keras's decay, which has the same learning rate for all variables."""

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that rebuild this optimizer."""
        return {**super().get_config(), "factors": list(self.factors)}


def _scaled(base: type[keras.optimizers.Optimizer]) -> type[ScaledLearningRates]:
    """Creates the subclass of an optimizer that scales its learning rates."""
    name = f"Scaled{base.__name__}"
    scaled = type(name, (ScaledLearningRates, base), {"__module__": __name__})
    return keras.saving.register_keras_serializable(package="supcon_tf", name=name)(scaled)


# Created in every process, so that a file with any of them loads.
_SCALED = {
    base: _scaled(base)
    for base in (
        keras.optimizers.SGD,
        keras.optimizers.RMSprop,
        keras.optimizers.Adagrad,
        keras.optimizers.Adam,
        AdamW,
        keras.optimizers.Adamax,
        keras.optimizers.Nadam,
        keras.optimizers.Lion,
        keras.optimizers.Lamb,
        SGDWithL2,
        RMSpropWithL2,
        LARS,
    )
}
_SCALED[keras.optimizers.AdamW] = _SCALED[AdamW]  # For a number, both take the same steps.


def scale_learning_rates(
    optimizer: keras.optimizers.Optimizer,
    model: keras.Model,
    factors: Mapping[keras.Layer, float],
) -> keras.optimizers.Optimizer:
    """Multiplies the learning rate of some layers by a factor, for example to fine-tune a backbone.

    The factor multiplies the learning rate itself, and with it the decoupled weight decay of
    `AdamW`. To multiply the gradient would have no effect in Adam, which divides it by its size.

    Examples:
        >>> import keras, supcon_tf
        >>> backbone, head = keras.layers.Dense(8), keras.layers.Dense(2)
        >>> model = keras.Sequential([keras.Input((4,)), backbone, head])
        >>> optimizer = supcon_tf.optimizers.scale_learning_rates(
        ...     keras.optimizers.AdamW(1e-3), model, {backbone: 0.1}
        ... )
        >>> model.compile(optimizer, loss="mse")
        >>> isinstance(optimizer, keras.optimizers.AdamW), optimizer.factors
        (True, (0.1, 0.1, 1.0, 1.0))

    Args:
        optimizer: a new optimizer with a number or a schedule as its learning rate: `SGD`,
            `RMSprop`, `Adagrad`, `Adam`, `AdamW`, `Adamax`, `Nadam`, `Lion` or `Lamb` of Keras, or
            one of this library.
        model: the model to train. Freeze and unfreeze its layers before this call.
        factors: the factors, at least 0, of layers or models within `model`. Of nested ones, the
            last in the mapping decides. The factor of all other layers is 1.

    Returns:
        An optimizer of the same kind for the trainable variables of the model. Call
        `exclude_from_weight_decay` on this optimizer, not on the given one.

    Raises:
        ValueError: if an argument is not as described, or a layer has no trainable variable of the
            model; when training begins, if layers were frozen or unfrozen since this call.
    """
    scaled = _SCALED.get(type(optimizer))
    if scaled is None or optimizer.built:
        raise ValueError(
            "`optimizer` must be a new optimizer that has trained nothing, of one of the classes "
            f"{sorted({base.__name__ for base in _SCALED})}. Received: {optimizer}"
        )
    variables = model.trainable_variables
    decays = all(uses_weight_decay(optimizer, variable) for variable in variables)
    if not decays or (isinstance(optimizer, CoupledWeightDecay) and optimizer._excludes_variables):
        raise ValueError(
            "`exclude_from_weight_decay` must be called on the optimizer that "
            f"`scale_learning_rates` returns. Received: {optimizer}, which excludes variables"
        )
    positions = {id(variable): k for k, variable in enumerate(variables)}
    values = [1.0] * len(variables)
    for layer, factor in factors.items():
        factor = check_non_negative("factors", factor)
        within = [positions[id(x)] for x in layer.trainable_variables if id(x) in positions]
        if not within:
            raise ValueError(
                "`factors` must name layers with trainable variables of `model`. "
                f"Received: the layer {layer.name!r}, which has none"
            )
        for position in within:
            values[position] = factor
    return scaled.from_config({**optimizer.get_config(), "factors": values})
