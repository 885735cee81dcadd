"""What the models demand of the encoders that users give them."""

import keras


def require_representations(encoder: keras.Model) -> int:
    """Returns the width of an encoder's output.

    Raises:
        ValueError: if the encoder is not built, or its output is not one tensor `[batch, dim]`.
    """
    if not encoder.built:
        raise ValueError(
            "`encoder` must be built: give it an `Input`, or call it once on images. "
            f"Received: encoder={encoder}"
        )
    shape = encoder.output_shape
    if not isinstance(shape, tuple) or len(shape) != 2 or not isinstance(shape[1], int):
        raise ValueError(
            "`encoder` must turn images into representations of shape [batch, dim]; end it with "
            f"global pooling or flattening. Received: encoder.output_shape={shape}"
        )
    return shape[1]
