"""The augmentation policies of the papers, each a composition of transforms."""

import tensorflow as tf

from supcon_tf.augmentation.transforms import (
    ColorJitter,
    Compose,
    RandomGrayscale,
    RandomHorizontalFlip,
    RandomResizedCrop,
    Transform,
)


def sim_augment(
    size: int,
    *,
    area: tuple[float, float] = (0.2, 1.0),
    flip: bool = True,
    strength: float = 0.5,
) -> Compose:
    """SimAugment without blur: crop, flip, colour jitter, grayscale.

    The default strength gives the jitter of the reference CIFAR code: 0.4, 0.4, 0.4 and 0.1 with
    probability 0.8, then grey with probability 0.2.

    Reference: Khosla et al., 2020, section 14.2 (https://arxiv.org/abs/2004.11362).

    Args:
        size: side of a view in pixels.
        area: smallest and largest fraction of the image that a view shows.
        flip: whether to mirror half of the views; switch it off where left and right matter.
        strength: strength s of the colour jitter: 0.8 s for brightness, contrast and saturation,
            0.2 s for hue.

    Returns:
        The policy as one transform.
    """
    transforms: list[Transform] = [RandomResizedCrop(size, area)]
    if flip:
        transforms.append(RandomHorizontalFlip())
    strong, weak = 0.8 * strength, 0.2 * strength
    transforms += [ColorJitter(strong, strong, strong, weak), RandomGrayscale()]
    return Compose(transforms)


def resize(images: tf.Tensor, size: int, short_side: int | None = None) -> tf.Tensor:
    """Resizes the short side and keeps the central square: how images are evaluated.

    Args:
        images: `[batch, height, width, channels]` float32.
        size: side of the result in pixels.
        short_side: what the short side is resized to, at least `size`; `size` by default. ImageNet
            is evaluated with 256 and a square of 224.

    Returns:
        `[batch, size, size, channels]` float32; the images themselves if they have that size.
    """
    if images.shape[1] == images.shape[2] == size == (short_side or size):
        return images
    height, width = tf.shape(images)[1], tf.shape(images)[2]
    # The square that remains, in the pixels of the image.
    short = tf.minimum(height, width)
    side = short if short_side is None else tf.maximum(short * size // short_side, 1)
    top, left = (height - side) // 2, (width - side) // 2
    square = images[:, top : top + side, left : left + side]
    return tf.image.resize(square, [size, size], antialias=True)
