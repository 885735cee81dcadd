"""Projection heads: representations to the space that the contrastive loss compares in."""

from collections.abc import Sequence

import keras
from keras import layers

from supcon_tf._checks import check_integer


def projection_head(
    widths: Sequence[int] = (2048, 128),
    *,
    batch_norm: bool = False,
    synchronized_batch_norm: bool = False,
    name: str | None = None,
) -> keras.Sequential:
    """Builds a projection head.

    The forms in use: `(2048, 128)`, the paper's multi-layer perceptron for a representation of 2048
    numbers; `(128,)`, the single linear layer of its published ImageNet recipes; `(2048, 2048,
    128)` with `batch_norm=True`, SimCLR's. The last layer is linear, without bias, and computes in
    float32 under every dtype policy, because unit vectors in bfloat16 would cost 0.1 in the
    logits at a temperature of 0.01.

    Reference: Khosla et al., 2020, section 3.1 (https://arxiv.org/abs/2004.11362).

    Examples:
        >>> import supcon_tf
        >>> head = supcon_tf.projection_head((512, 128))
        >>> head.compute_output_shape((None, 512))
        (None, 128)

    Args:
        widths: output width of every layer, the last one being the projection's.
        batch_norm: whether hidden layers are followed by batch normalization.
        synchronized_batch_norm: whether its statistics are those of the global batch when several
            replicas train.
        name: name of the head.

    Returns:
        A model from representations `[batch, dim]` to projections `[batch, widths[-1]]`, not
        normalized: the model that owns the head does that.

    Raises:
        ValueError: if there are no widths or one is not a positive integer.
    """
    if not isinstance(widths, Sequence) or not widths:
        raise ValueError(
            f"`widths` must be a sequence of widths, such as (512, 128). Received: {widths!r}"
        )
    widths = [check_integer("widths", width) for width in widths]
    head = keras.Sequential(name=name or "projection_head")
    for i, width in enumerate(widths[:-1], start=1):
        head.add(layers.Dense(width, use_bias=not batch_norm, name=f"hidden{i}"))
        if batch_norm:
            head.add(
                layers.BatchNormalization(
                    momentum=0.9,
                    epsilon=1e-5,
                    synchronized=synchronized_batch_norm,
                    name=f"hidden{i}_norm",
                )
            )
        head.add(layers.ReLU(name=f"hidden{i}_relu"))
    head.add(layers.Dense(widths[-1], use_bias=False, dtype="float32", name="projection"))
    return head
