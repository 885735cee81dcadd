"""What the models demand of their arguments."""

from typing import Any

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


def require_positive_integer(argument: str, value: Any) -> None:
    """Raises `ValueError` if the value of an argument is not an integer above 0."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"`{argument}` must be an integer above 0. Received: {value!r}")


def require_classes(num_classes: Any) -> None:
    """Raises `ValueError` if a number of classes is not an integer of at least 2."""
    if not isinstance(num_classes, int) or num_classes < 2:
        raise ValueError(
            f"`num_classes` must be an integer of at least 2. Received: {num_classes!r}"
        )


def require_momentum(momentum: Any) -> None:
    """Raises `ValueError` if the momentum of an average is out of range."""
    if not isinstance(momentum, (int, float)) or not 0 <= momentum < 1:
        raise ValueError(f"`momentum` must be a number from 0 and below 1. Received: {momentum!r}")
