"""What all models on an encoder share: inputs, export, and parts that stay frozen."""

import warnings
from typing import Any

import keras
import tensorflow as tf

from supcon_tf.models.arguments import symbolic_inputs
from supcon_tf.models.distributed_model import DistributedModel


class EncoderModel(DistributedModel):
    """A model that takes what its encoder takes.

    Attributes:
        encoder: the encoder, set by the constructors of subclasses.
    """

    encoder: keras.Model

    @property
    def inputs(self) -> Any:
        """The encoder's symbolic inputs, in the structure that the model is called with."""
        return symbolic_inputs(self.encoder)

    @property
    def trainable(self) -> bool:
        """Whether a training may change the model."""
        return bool(keras.Model.trainable.fget(self))

    @trainable.setter
    def trainable(self, value: bool) -> None:
        keras.Model.trainable.fset(self, value)
        self._freeze_parts()

    def _freeze_parts(self) -> None:
        """Freezes parts that no training of this model may change; Keras sets all of them alike."""

    def _apply_gradients(self, gradients: list[tf.Tensor]) -> None:
        """Updates the trainable variables; where there are none, warns as Keras does."""
        if gradients:
            self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        else:
            warnings.warn("The model does not have any trainable weights.", stacklevel=2)

    def export(
        self,
        filepath: Any,
        format: str = "tf_saved_model",
        verbose: bool | None = None,
        input_signature: Any = None,
        **kwargs: Any,
    ) -> None:
        """Exports the model for inference, as `keras.Model.export` does.

        Args:
            filepath: where to save the artifact.
            format: `"tf_saved_model"`, `"onnx"`, or another format of the installed Keras.
            verbose: whether to print a message.
            input_signature: a list with the spec of the inputs; by default those of the encoder,
                for any batch size.
            **kwargs: as in `keras.Model.export`.
        """
        if input_signature is None:
            input_signature = [self.inputs]
        super().export(filepath, format, verbose, input_signature, **kwargs)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles a loaded model as it was before; Keras leaves that to models with `compile`."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)
