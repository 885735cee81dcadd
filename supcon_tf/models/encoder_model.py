"""The base of all models that contain an encoder."""

import warnings
from typing import Any

import keras
import tensorflow as tf

from supcon_tf.models.distributed_model import DistributedModel
from supcon_tf.models.views import symbolic_inputs


class EncoderModel(DistributedModel):
    """A model that takes the inputs of its encoder.

    Attributes:
        encoder: the encoder, which the constructors of subclasses set.
    """

    encoder: keras.Model

    @property
    def inputs(self) -> Any:
        """The symbolic inputs of the encoder, in the structure that the model takes."""
        return symbolic_inputs(self.encoder)

    @property
    def trainable(self) -> bool:
        """Whether training can change the model."""
        return bool(keras.Model.trainable.fget(self))

    @trainable.setter
    def trainable(self, value: bool) -> None:
        keras.Model.trainable.fset(self, value)
        self._freeze_parts()

    def _freeze_parts(self) -> None:
        """Freezes the layers that this model never trains.

        Keras assigns `trainable` to all layers of a model.
        """

    def _apply_gradients(self, gradients: list[tf.Tensor]) -> None:
        """Updates the trainable variables. Warns, like Keras, if the model has none."""
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
        """Exports the model for inference, like `keras.Model.export`.

        Args:
            filepath: path of the artifact.
            format: `"tf_saved_model"`, `"onnx"`, or another format of the installed Keras.
            verbose: whether to print a message.
            input_signature: a list with the spec of the inputs. By default the inputs of the
                encoder with any batch size.
            **kwargs: other arguments of `keras.Model.export`.
        """
        if input_signature is None:
            input_signature = [self.inputs]
        super().export(filepath, format, verbose, input_signature, **kwargs)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles a loaded model with the saved arguments.

        Keras does not do this for models that override `compile`.
        """
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)
