"""Vision transformers."""

import keras

from supcon_tf._checks import check_choice, check_integer
from supcon_tf._requirements import require_extra
from supcon_tf.encoders.pixels import Pixels

_POOLINGS = ("token", "avg")


def vit(
    *,
    patch_size: int,
    num_layers: int,
    num_heads: int,
    hidden_dim: int,
    mlp_dim: int | None = None,
    input_shape: tuple[int, int, int] = (224, 224, 3),
    pooling: str = "token",
) -> keras.Model:
    """Builds a vision transformer (ViT) encoder from `keras_hub.models.ViTBackbone`.

    The encoder has random weights. It does not scale its inputs, so the images must be
    standardized. The models of this library raise an error for pixels up to 255. The encoder needs
    KerasHub: `pip install "supcon-tf[vit]"`. So does a process that loads it.

    The usual sizes are:

    | name | `num_layers` | `num_heads` | `hidden_dim` | parameters |
    |---|---|---|---|---|
    | ViT-Ti | 12 | 3 | 192 | 6 million |
    | ViT-S | 12 | 6 | 384 | 22 million |
    | ViT-B | 12 | 12 | 768 | 86 million |
    | ViT-L | 24 | 16 | 1024 | 304 million |

    References: Dosovitskiy et al., "An Image is Worth 16x16 Words", 2021
    (https://arxiv.org/abs/2010.11929); Touvron et al., 2021, for ViT-Ti and ViT-S
    (https://arxiv.org/abs/2012.12877); Beyer et al., 2022, for the average of the patches
    (https://arxiv.org/abs/2205.01580).

    Examples:
        >>> import supcon_tf
        >>> encoder = supcon_tf.encoders.vit(
        ...     patch_size=4, num_layers=2, num_heads=3, hidden_dim=192, input_shape=(32, 32, 3)
        ... )
        >>> encoder.output_shape
        (None, 192)

    Args:
        patch_size: side of a patch in pixels. The number of patches determines the time and the
            memory. Patches of 16 pixels are usual for images of 224, and of 4 for images of 32.
        num_layers: number of transformer blocks.
        num_heads: number of attention heads of a block.
        hidden_dim: number of channels of a patch, a multiple of `num_heads`.
        mlp_dim: width of the hidden layer in a block. Defaults to `4 * hidden_dim`.
        input_shape: `(height, width, channels)`. Both sides are multiples of `patch_size`.
        pooling: `"token"` represents an image by a class token, an additional input whose output
            attends to all patches, as Dosovitskiy et al. do; `"avg"` by the average of the patches,
            without a class token.

    Returns:
        A model from images `[batch, height, width, channels]` to representations `[batch,
        hidden_dim]`.

    Raises:
        ImportError: if KerasHub is not installed.
        ValueError: if an argument is not as described.
    """
    check_choice("pooling", pooling, _POOLINGS)
    check_integer("num_layers", num_layers)
    check_integer("patch_size", patch_size)
    check_integer("num_heads", num_heads)
    if check_integer("hidden_dim", hidden_dim) % num_heads:
        raise ValueError(
            f"`hidden_dim` must be a multiple of `num_heads`, {num_heads}. Received: {hidden_dim!r}"
        )
    mlp_dim = 4 * hidden_dim if mlp_dim is None else check_integer("mlp_dim", mlp_dim)
    _check_shape(input_shape, patch_size)
    with require_extra("vit", "keras-hub", "vit"):
        import keras_hub

    backbone = keras_hub.models.ViTBackbone(
        image_shape=input_shape,
        patch_size=patch_size,
        num_layers=num_layers,
        num_heads=num_heads,
        hidden_dim=hidden_dim,
        mlp_dim=mlp_dim,
        use_class_token=pooling == "token",
        name="backbone",
    )
    images = keras.Input(input_shape, name="images")
    tokens = backbone(Pixels(name="pixels")(images))
    if pooling == "token":
        outputs = tokens[:, 0]
    else:
        outputs = keras.layers.GlobalAveragePooling1D(name="pool")(tokens)
    return keras.Model(images, outputs, name="vit")


def _check_shape(shape: tuple[int, int, int], patch_size: int) -> None:
    sides = tuple(shape)[:2] if isinstance(shape, tuple | list) and len(shape) == 3 else ()
    if not sides or not all(isinstance(side, int) and side % patch_size == 0 for side in sides):
        raise ValueError(
            "`input_shape` must be (height, width, channels) with sides that are multiples of "
            f"`patch_size`, {patch_size}. Received: {shape!r}"
        )
