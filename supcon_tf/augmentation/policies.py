"""The augmentation policies of the papers, each a composition of transforms.

All of them crop and flip first. Each takes gray images, of one channel, as well as RGB; operations
on the color leave gray as it is.
"""

import tensorflow as tf

from supcon_tf._checks import check_integer
from supcon_tf.augmentation.auto_augment import AutoAugment
from supcon_tf.augmentation.base import Compose, Transform
from supcon_tf.augmentation.blur import RandomGaussianBlur
from supcon_tf.augmentation.crop import RandomResizedCrop
from supcon_tf.augmentation.rand_augment import RandAugment
from supcon_tf.augmentation.transforms import (
    ColorJitter,
    RandomGrayscale,
    RandomHorizontalFlip,
)
from supcon_tf.augmentation.warp import RandomWarp

# The side for which the reference code gives distances in pixels; other sides are in proportion.
_REFERENCE_SIZE = 224


def crop_flip(
    size: int,
    *,
    area: tuple[float, float] = (0.08, 1.0),
    flip: bool = True,
    crop: str = "torchvision",
) -> Compose:
    """Crop and flip alone: what a cross-entropy baseline or a linear classifier trains on.

    Args:
        size: side of a view in pixels.
        area: smallest and largest fraction of the image that a view shows.
        flip: whether to mirror half of the views; switch it off where left and right matter.
        crop: definition of the crop, `"torchvision"` or `"tensorflow"`; see `RandomResizedCrop`.

    Returns:
        The policy as one transform.

    >>> policy = crop_flip(8)
    >>> draws = tf.random.stateless_uniform([2, policy.num_draws], seed=[0, 1])
    >>> policy(tf.ones([2, 12, 10, 3]), draws).shape
    TensorShape([2, 8, 8, 3])
    """
    return Compose(_crop_flip(size, area, flip, crop))


def sim_augment(
    size: int,
    *,
    area: tuple[float, float] = (0.2, 1.0),
    flip: bool = True,
    crop: str = "torchvision",
    strength: float = 0.5,
    jitter: str = "torchvision",
    blur: bool = False,
    warp: float = 0.0,
) -> Compose:
    """SimAugment: crop, flip, color jitter, grayscale, and if wanted warp and blur.

    The default strength gives the jitter of the reference CIFAR code: 0.4, 0.4, 0.4 and 0.1 with
    probability 0.8, then gray with probability 0.2. For ImageNet the reference code also blurs. It
    never warps, though the paper speaks of it.

    Reference: Khosla et al., 2020, section 14.2 (https://arxiv.org/abs/2004.11362).

    Args:
        size: side of a view in pixels.
        area: smallest and largest fraction of the image that a view shows.
        flip: whether to mirror half of the views; switch it off where left and right matter.
        crop: definition of the crop, `"torchvision"` or `"tensorflow"`; see `RandomResizedCrop`.
        strength: strength s of the color jitter: 0.8 s for brightness, contrast and saturation,
            0.2 s for hue.
        jitter: definition of the color jitter, `"torchvision"` or `"tensorflow"`; see
            `ColorJitter`. The reference code for ImageNet has the second.
        blur: whether to blur half of the views by a Gaussian, sampled across a tenth of the side,
            of a standard deviation uniform in [0.1, 2] pixels.
        warp: how often to displace four points of a view by normal numbers times a length uniform
            in [0, 23] pixels at a side of 224, in proportion at others, and the rest smoothly.

    Returns:
        The policy as one transform.

    Raises:
        ValueError: if `warp` is not a probability.

    >>> policy = sim_augment(8, blur=True)
    >>> draws = tf.random.stateless_uniform([2, policy.num_draws], seed=[0, 1])
    >>> policy(tf.ones([2, 12, 10, 3]), draws).shape
    TensorShape([2, 8, 8, 3])
    """
    transforms = _crop_flip(size, area, flip, crop)
    transforms += [_color_jitter(strength, jitter), RandomGrayscale()]
    return Compose(transforms + _distortions(size, warp, blur))


def auto_augment(
    size: int,
    *,
    area: tuple[float, float] = (0.08, 1.0),
    flip: bool = True,
    crop: str = "torchvision",
) -> Compose:
    """Crop, flip and AutoAugment with the ImageNet policy of the reference code.

    Reference: Cubuk et al., 2019 (https://arxiv.org/abs/1805.09501); the policy "v0" of the TF
    model garden.

    Args:
        size: side of a view in pixels.
        area: smallest and largest fraction of the image that a view shows.
        flip: whether to mirror half of the views; switch it off where left and right matter.
        crop: definition of the crop, `"torchvision"` or `"tensorflow"`; see `RandomResizedCrop`.

    Returns:
        The policy as one transform.

    >>> policy = auto_augment(8)
    >>> draws = tf.random.stateless_uniform([2, policy.num_draws], seed=[0, 1])
    >>> policy(tf.ones([2, 12, 10, 3]), draws).shape
    TensorShape([2, 8, 8, 3])
    """
    return Compose([*_crop_flip(size, area, flip, crop), AutoAugment(250 * size / _REFERENCE_SIZE)])


def rand_augment(
    size: int,
    *,
    area: tuple[float, float] = (0.08, 1.0),
    flip: bool = True,
    crop: str = "torchvision",
    num_ops: int = 2,
    magnitude: float = 10.0,
) -> Compose:
    """Crop, flip and RandAugment.

    Reference: Cubuk et al., 2020 (https://arxiv.org/abs/1909.13719); defaults of the TF model
    garden. Shifts of 100 pixels and cut-out squares of 80 at a side of 224 and magnitude 10, in
    proportion at others.

    Args:
        size: side of a view in pixels.
        area: smallest and largest fraction of the image that a view shows.
        flip: whether to mirror half of the views; switch it off where left and right matter.
        crop: definition of the crop, `"torchvision"` or `"tensorflow"`; see `RandomResizedCrop`.
        num_ops: how many operations a view gets, N in the paper.
        magnitude: level of all of them, from 0 to 10, M in the paper.

    Returns:
        The policy as one transform.

    Raises:
        ValueError: if `num_ops` is less than 1 or `magnitude` is not between 0 and 10.

    >>> policy = rand_augment(8, num_ops=1, magnitude=5)
    >>> draws = tf.random.stateless_uniform([2, policy.num_draws], seed=[0, 1])
    >>> policy(tf.ones([2, 12, 10, 3]), draws).shape
    TensorShape([2, 8, 8, 3])
    """
    return Compose([*_crop_flip(size, area, flip, crop), _rand_augment(size, num_ops, magnitude)])


def stacked_rand_augment(
    size: int,
    *,
    area: tuple[float, float] = (0.08, 1.0),
    flip: bool = True,
    crop: str = "torchvision",
    strength: float = 1.0,
    jitter: str = "torchvision",
    warp: float = 0.0,
) -> Compose:
    """Stacked RandAugment: SimAugment with RandAugment after the jitter, and with blur.

    The default strength is the reference code's for ResNet-200.

    Reference: Khosla et al., 2020, section 14.2 (https://arxiv.org/abs/2004.11362); Tian et al.,
    2020 (https://arxiv.org/abs/2005.10243).

    Args:
        size: side of a view in pixels.
        area: smallest and largest fraction of the image that a view shows.
        flip: whether to mirror half of the views; switch it off where left and right matter.
        crop: definition of the crop, `"torchvision"` or `"tensorflow"`; see `RandomResizedCrop`.
        strength: strength of the color jitter, as in `sim_augment`.
        jitter: definition of the color jitter, as in `sim_augment`.
        warp: how often to warp a view, as in `sim_augment`.

    Returns:
        The policy as one transform.

    Raises:
        ValueError: if `warp` is not a probability.

    >>> policy = stacked_rand_augment(8)
    >>> draws = tf.random.stateless_uniform([2, policy.num_draws], seed=[0, 1])
    >>> policy(tf.ones([2, 12, 10, 3]), draws).shape
    TensorShape([2, 8, 8, 3])
    """
    transforms = _crop_flip(size, area, flip, crop)
    transforms += [
        _color_jitter(strength, jitter),
        _rand_augment(size, num_ops=2, magnitude=10.0),
        RandomGrayscale(),
    ]
    return Compose(transforms + _distortions(size, warp, blur=True))


def resize(images: tf.Tensor, size: int, short_side: int | None = None) -> tf.Tensor:
    """Resizes the short side and keeps the central square: how images are evaluated.

    Args:
        images: `[batch, height, width, channels]` float32.
        size: side of the result in pixels.
        short_side: what the short side is resized to, at least `size`; `size` by default. ImageNet
            is evaluated with 256 and a square of 224.

    Returns:
        `[batch, size, size, channels]` float32; the images themselves if they have that size.

    Raises:
        ValueError: if `short_side` is below `size`.

    >>> resize(tf.ones([2, 12, 10, 3]), 8, short_side=9).shape
    TensorShape([2, 8, 8, 3])
    """
    if short_side is not None:
        check_integer("short_side", short_side, least=size)
    if images.shape[1] == images.shape[2] == size == (short_side or size):
        return images
    height, width = tf.shape(images)[1], tf.shape(images)[2]
    # The square that remains, in the pixels of the image.
    short = tf.minimum(height, width)
    side = short if short_side is None else tf.maximum(short * size // short_side, 1)
    top, left = (height - side) // 2, (width - side) // 2
    square = images[:, top : top + side, left : left + side]
    return tf.image.resize(square, [size, size], antialias=True)


def _crop_flip(size: int, area: tuple[float, float], flip: bool, crop: str) -> list[Transform]:
    transforms: list[Transform] = [RandomResizedCrop(size, area, definition=crop)]
    return [*transforms, RandomHorizontalFlip()] if flip else transforms


def _color_jitter(strength: float, definition: str) -> ColorJitter:
    strong, weak = 0.8 * strength, 0.2 * strength
    return ColorJitter(strong, strong, strong, weak, definition=definition)


def _rand_augment(size: int, num_ops: int, magnitude: float) -> RandAugment:
    scale = size / _REFERENCE_SIZE
    return RandAugment(num_ops, magnitude, translation=100 * scale, cutout=40 * scale)


def _distortions(size: int, warp: float, blur: bool) -> list[Transform]:
    if not 0 <= warp <= 1:
        raise ValueError(f"`warp` must be a probability. Received: {warp}")
    transforms: list[Transform] = []
    if warp:
        transforms.append(RandomWarp(23 * size / _REFERENCE_SIZE, warp))
    if blur:
        radius = size // 10 // 2
        transforms.append(RandomGaussianBlur(2 * radius + 1))
    return transforms
