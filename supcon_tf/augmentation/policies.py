"""The augmentation policies of the papers, each a composition of transforms.

All policies start with a crop and a flip. They take RGB images, and gray images with one channel.
Changes of color have no effect on gray images.
"""

import tensorflow as tf

from supcon_tf._checks import check_integer, check_probability
from supcon_tf.augmentation.base import Compose, Transform
from supcon_tf.augmentation.blur import RandomGaussianBlur
from supcon_tf.augmentation.color_transforms import ColorJitter, RandomGrayscale
from supcon_tf.augmentation.crop import RandomResizedCrop
from supcon_tf.augmentation.erasing import RandomErasing
from supcon_tf.augmentation.flip import RandomHorizontalFlip
from supcon_tf.augmentation.random_operations import RandomOperations
from supcon_tf.augmentation.sub_policies import RandomSubPolicy

# The reference code gives distances in pixels of views of this side. They scale with the side.
_REFERENCE_SIZE = 224


def crop_flip(
    size: int,
    *,
    scale: tuple[float, float] = (0.08, 1.0),
    flip: bool = True,
    crop: str = "torchvision",
    erasing: float = 0.0,
) -> Compose:
    """Crop and flip: the policy of cross-entropy baselines and linear classifiers.

    Examples:
        >>> import tensorflow as tf
        >>> from supcon_tf import augmentation
        >>> policy = augmentation.crop_flip(8)
        >>> draws = tf.random.stateless_uniform([2, policy.num_draws], seed=[0, 1])
        >>> policy(tf.ones([2, 12, 10, 3]), draws).shape
        TensorShape([2, 8, 8, 3])

    Args:
        size: side of a view in pixels.
        scale: smallest and largest area of a crop, as fractions of the image's area.
        flip: whether to mirror half of the views. Disable it if left and right differ in meaning.
        crop: definition of the crop, `"torchvision"` or `"tensorflow"`, see `RandomResizedCrop`.
        erasing: probability of `RandomErasing` after the flip, which regularizes classifiers.

    Returns:
        The policy as a single transform.

    Raises:
        ValueError: if `erasing` is not between 0 and 1.
    """
    transforms = _crop_flip(size, scale, flip, crop)
    if check_probability("erasing", erasing):
        transforms.append(RandomErasing(erasing))
    return Compose(transforms)


def sim_augment(
    size: int,
    *,
    scale: tuple[float, float] = (0.2, 1.0),
    flip: bool = True,
    crop: str = "torchvision",
    strength: float = 0.5,
    jitter: str = "torchvision",
    blur: bool = False,
) -> Compose:
    """SimAugment: crop, flip, color jitter, grayscale, and optionally blur.

    The default strength gives the jitter of the reference code for CIFAR: 0.4, 0.4, 0.4 and 0.1
    with probability 0.8, then grayscale with probability 0.2. For ImageNet the reference code also
    blurs. It never warps, although the paper lists a warp.

    Reference: Khosla et al., 2020, section 14.2 (https://arxiv.org/abs/2004.11362).

    Examples:
        >>> import tensorflow as tf
        >>> from supcon_tf import augmentation
        >>> policy = augmentation.sim_augment(8, blur=True)
        >>> draws = tf.random.stateless_uniform([2, policy.num_draws], seed=[0, 1])
        >>> policy(tf.ones([2, 12, 10, 3]), draws).shape
        TensorShape([2, 8, 8, 3])

    Args:
        size: side of a view in pixels.
        scale: smallest and largest area of a crop, as fractions of the image's area.
        flip: whether to mirror half of the views. Disable it if left and right differ in meaning.
        crop: definition of the crop, `"torchvision"` or `"tensorflow"`, see `RandomResizedCrop`.
        strength: strength s of the color jitter: 0.8 s for brightness, contrast and saturation,
            0.2 s for hue.
        jitter: definition of the color jitter, `"torchvision"` or `"tensorflow"`, see
            `ColorJitter`. The reference code for ImageNet uses `"tensorflow"`.
        blur: whether to blur half of the views with a Gaussian. The kernel spans a tenth of the
            side, and the standard deviation is uniform in [0.1, 2] pixels.

    Returns:
        The policy as a single transform.
    """
    transforms = _crop_flip(size, scale, flip, crop)
    transforms += [_color_jitter(strength, jitter), RandomGrayscale()]
    if blur:
        transforms.append(_blur(size))
    return Compose(transforms)


def auto_augment(
    size: int,
    *,
    scale: tuple[float, float] = (0.08, 1.0),
    flip: bool = True,
    crop: str = "torchvision",
) -> Compose:
    """Crop, flip and AutoAugment with the ImageNet policy of the reference code.

    Each view gets one of 25 sub-policies, which are pairs of operations with probabilities and
    levels. Pixels are first rounded to uint8. Level 10 of a translation is 250 pixels at a size of
    224, and proportional to the size.

    Reference: Cubuk et al., 2019 (https://arxiv.org/abs/1805.09501); the policy "v0" of the TF
    Model Garden's `AutoAugment()`.

    Examples:
        >>> import tensorflow as tf
        >>> from supcon_tf import augmentation
        >>> policy = augmentation.auto_augment(8)
        >>> draws = tf.random.stateless_uniform([2, policy.num_draws], seed=[0, 1])
        >>> policy(tf.ones([2, 12, 10, 3]), draws).shape
        TensorShape([2, 8, 8, 3])

    Args:
        size: side of a view in pixels.
        scale: smallest and largest area of a crop, as fractions of the image's area.
        flip: whether to mirror half of the views. Disable it if left and right differ in meaning.
        crop: definition of the crop, `"torchvision"` or `"tensorflow"`, see `RandomResizedCrop`.

    Returns:
        The policy as a single transform.
    """
    translation = 250 * size / _REFERENCE_SIZE
    return Compose([*_crop_flip(size, scale, flip, crop), RandomSubPolicy(translation)])


def rand_augment(
    size: int,
    *,
    scale: tuple[float, float] = (0.08, 1.0),
    flip: bool = True,
    crop: str = "torchvision",
    num_ops: int = 2,
    magnitude: float = 10.0,
) -> Compose:
    """Crop, flip and RandAugment.

    Each operation is drawn uniformly from 17, one of which is the identity. Pixels are first
    rounded to uint8. At a size of 224 and magnitude 10, translations are 100 pixels and the squares
    of Cutout are 80 pixels wide. Both are proportional to the size and the magnitude.

    Reference: Cubuk et al., 2020 (https://arxiv.org/abs/1909.13719); operations, levels and
    defaults of the TF Model Garden's `RandAugment()`.

    Examples:
        >>> import tensorflow as tf
        >>> from supcon_tf import augmentation
        >>> policy = augmentation.rand_augment(8, num_ops=1, magnitude=5)
        >>> draws = tf.random.stateless_uniform([2, policy.num_draws], seed=[0, 1])
        >>> policy(tf.ones([2, 12, 10, 3]), draws).shape
        TensorShape([2, 8, 8, 3])

    Args:
        size: side of a view in pixels.
        scale: smallest and largest area of a crop, as fractions of the image's area.
        flip: whether to mirror half of the views. Disable it if left and right differ in meaning.
        crop: definition of the crop, `"torchvision"` or `"tensorflow"`, see `RandomResizedCrop`.
        num_ops: number of operations per view, N in the paper.
        magnitude: level of every operation, from 0 to 10, M in the paper.

    Returns:
        The policy as a single transform.

    Raises:
        ValueError: if `num_ops` is below 1, or `magnitude` is not between 0 and 10.
    """
    operations = _random_operations(size, num_ops, magnitude)
    return Compose([*_crop_flip(size, scale, flip, crop), operations])


def stacked_rand_augment(
    size: int,
    *,
    scale: tuple[float, float] = (0.08, 1.0),
    flip: bool = True,
    crop: str = "torchvision",
    strength: float = 1.0,
    jitter: str = "torchvision",
) -> Compose:
    """Stacked RandAugment: SimAugment with blur, and with RandAugment after the jitter.

    The reference code for ResNet-200 uses the default strength.

    Reference: Khosla et al., 2020, section 14.2 (https://arxiv.org/abs/2004.11362); Tian et al.,
    2020 (https://arxiv.org/abs/2005.10243).

    Examples:
        >>> import tensorflow as tf
        >>> from supcon_tf import augmentation
        >>> policy = augmentation.stacked_rand_augment(8)
        >>> draws = tf.random.stateless_uniform([2, policy.num_draws], seed=[0, 1])
        >>> policy(tf.ones([2, 12, 10, 3]), draws).shape
        TensorShape([2, 8, 8, 3])

    Args:
        size: side of a view in pixels.
        scale: smallest and largest area of a crop, as fractions of the image's area.
        flip: whether to mirror half of the views. Disable it if left and right differ in meaning.
        crop: definition of the crop, `"torchvision"` or `"tensorflow"`, see `RandomResizedCrop`.
        strength: strength of the color jitter, as in `sim_augment`.
        jitter: definition of the color jitter, as in `sim_augment`.

    Returns:
        The policy as a single transform.
    """
    transforms = _crop_flip(size, scale, flip, crop)
    transforms += [
        _color_jitter(strength, jitter),
        _random_operations(size, num_ops=2, magnitude=10.0),
        RandomGrayscale(),
        _blur(size),
    ]
    return Compose(transforms)


def resize(images: tf.Tensor, size: int, short_side: int | None = None) -> tf.Tensor:
    """Resizes the short side and crops the central square, for evaluation.

    Examples:
        >>> import tensorflow as tf
        >>> from supcon_tf import augmentation
        >>> augmentation.resize(tf.ones([2, 12, 10, 3]), 8, short_side=9).shape
        TensorShape([2, 8, 8, 3])

    Args:
        images: `[batch, height, width, channels]` float32.
        size: side of the result in pixels.
        short_side: length in pixels to which the short side is resized, at least `size`; `size` by
            default. ImageNet is evaluated with 256 and a square of 224.

    Returns:
        `[batch, size, size, channels]` float32. Images that have that size are returned unchanged.

    Raises:
        ValueError: if `short_side` is below `size`.
    """
    if short_side is not None:
        check_integer("short_side", short_side, least=size)
    if images.shape[1] == images.shape[2] == size == (short_side or size):
        return images
    height, width = tf.shape(images)[1], tf.shape(images)[2]
    # Crop before resizing: the side of the square in pixels of the original image.
    short = tf.minimum(height, width)
    side = short if short_side is None else tf.maximum(short * size // short_side, 1)
    top, left = (height - side) // 2, (width - side) // 2
    square = images[:, top : top + side, left : left + side]
    return tf.image.resize(square, [size, size], antialias=True)


def _crop_flip(size: int, scale: tuple[float, float], flip: bool, crop: str) -> list[Transform]:
    transforms: list[Transform] = [RandomResizedCrop(size, scale, definition=crop)]
    return [*transforms, RandomHorizontalFlip()] if flip else transforms


def _color_jitter(strength: float, definition: str) -> ColorJitter:
    strong, weak = 0.8 * strength, 0.2 * strength
    return ColorJitter(strong, strong, strong, weak, definition=definition)


def _random_operations(size: int, num_ops: int, magnitude: float) -> RandomOperations:
    factor = size / _REFERENCE_SIZE
    return RandomOperations(num_ops, magnitude, translation=100 * factor, cutout=40 * factor)


def _blur(size: int) -> RandomGaussianBlur:
    radius = size // 10 // 2
    return RandomGaussianBlur(2 * radius + 1)
