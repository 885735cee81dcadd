"""The projection head."""

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
    """Builds a multi-layer perceptron that maps representations to projections.

    Common values of `widths`:

    - `(2048, 128)`: the perceptron of the paper for a representation of 2048 numbers;
    - `(128,)`: the linear layer of the published ImageNet recipes;
    - `(2048, 2048, 128)` with `batch_norm=True`: the head of SimCLR.

    The last layer is linear and has no bias. It computes in float32 under every dtype policy,
    because unit vectors in bfloat16 change the logits by 0.1 at a temperature of 0.01.

    Reference: Khosla et al., 2020, section 3.1 (https://arxiv.org/abs/2004.11362).

    Examples:
        >>> import supcon_tf
        >>> head = supcon_tf.projection_head((512, 128))
        >>> head.compute_output_shape((None, 512))
        (None, 128)

    Args:
        widths: the output width of every layer. The last one is the width of the projections.
        batch_norm: whether batch normalization follows every hidden layer.
        synchronized_batch_norm: whether several replicas normalize with the statistics of the
            global batch.
        name: name of the head.

    Returns:
        A model from representations `[batch, dim]` to projections `[batch, widths[-1]]`. The
        projections are not normalized: `SupConModel` does this.

    Raises:
        ValueError: if `widths` is not a sequence of positive integers or is empty.
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
