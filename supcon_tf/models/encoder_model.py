"""The base of all models that contain an encoder."""

import warnings
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from supcon_tf._epochs import find_epochs
from supcon_tf.encoders.pixels import check_pixels, find_pixels
from supcon_tf.models.distributed_model import DistributedModel
from supcon_tf.models.first_batch import is_costly_to_read, read_first_rows
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

    def fit(self, x: Any = None, *args: Any, **kwargs: Any) -> keras.callbacks.History:
        """Trains the model, like `keras.Model.fit`.

        Raises:
            ValueError: as in `DistributedModel.fit`, or if the encoder is one of
                `supcon_tf.encoders` and the images of the first batch are integers or have pixels
                above 10. Batches of `supcon_tf.data` are not checked.
        """
        x = self._check_images(x, self.train_function, self._inputs_of_encoder)
        return super().fit(x, *args, **kwargs)

    def evaluate(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Evaluates the model, like `keras.Model.evaluate`. Checks images as `fit` does."""
        x = self._check_images(x, self.test_function, self._inputs_of_encoder)
        return super().evaluate(x, *args, **kwargs)

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Predicts, like `keras.Model.predict`. Checks images as `fit` does."""
        x = self._check_images(x, self.predict_function, lambda inputs: inputs)
        return super().predict(x, *args, **kwargs)

    def _inputs_of_encoder(self, inputs: Any) -> Any:
        """Returns what the encoder receives for the inputs of `fit` and `evaluate`."""
        return inputs

    def _check_images(
        self, data: Any, function: Any, inputs_of_encoder: Callable[[Any], Any]
    ) -> Any:
        """Checks the pixels of the first batch if the encoder is one of this library.

        Args:
            data: the argument `x` of `fit`, `evaluate` or `predict`.
            function: the function that Keras calls for each step, `None` before the first call.
                Later calls do not compute a batch for the check.
            inputs_of_encoder: a function from the inputs of the model to those of the encoder.

        Returns:
            The data that replaces `data`, of which a generator has lost its first batch.
        """
        known = find_epochs(data) is not None or (function is not None and is_costly_to_read(data))
        if data is None or known or find_pixels(self.encoder) is None:
            return data
        rows, data = read_first_rows(data)
        if rows is not None:
            with self.distribute_strategy.scope():
                self._check_pixels(inputs_of_encoder(rows))
        return data

    def _check_pixels(self, inputs: Any) -> None:
        """Checks inputs of the encoder, which is one of this library and has a single input."""
        (image,) = tf.nest.flatten(self.inputs)
        named = isinstance(inputs, dict) and image.name in inputs
        for images in tf.nest.flatten(inputs[image.name] if named else inputs):
            check_pixels(images, self.encoder)

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
