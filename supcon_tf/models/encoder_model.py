"""What all models on an encoder share: its inputs are theirs, so that they can be exported."""

from typing import Any

import keras

from supcon_tf.models.checks import symbolic_inputs
from supcon_tf.models.replicated import ReplicatedModel


class EncoderModel(ReplicatedModel):
    """A model that takes what its encoder takes.

    Attributes:
        encoder: the encoder, set by the constructors of subclasses.
    """

    encoder: keras.Model

    @property
    def inputs(self) -> Any:
        """The encoder's symbolic inputs, in the structure that the model is called with."""
        return symbolic_inputs(self.encoder)

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
