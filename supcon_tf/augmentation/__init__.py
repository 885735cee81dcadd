"""Random views of images: small transforms, composed into policies.

- Policies, which make views of a size: `crop_flip`, `sim_augment` (SimAugment), `auto_augment`,
  `rand_augment`, `stacked_rand_augment`; `resize` without randomness, to evaluate.
- Transforms: `RandomResizedCrop`, `RandomHorizontalFlip`, `ColorJitter`, `RandomGrayscale`,
  `RandomGaussianBlur`, `RandomWarp`, `AutoAugment`, `RandAugment`.
- To make others: `Transform` is what all are, `ImageTransform` a base of those that change one
  image, and `Compose` applies several.
- `Mixing`: Mixup and CutMix of a batch and its labels.
"""

from supcon_tf.augmentation.auto_augment import AutoAugment
from supcon_tf.augmentation.base import Compose, ImageTransform, Transform
from supcon_tf.augmentation.blur import RandomGaussianBlur
from supcon_tf.augmentation.crop import RandomResizedCrop
from supcon_tf.augmentation.mixing import Mixing
from supcon_tf.augmentation.policies import (
    auto_augment,
    crop_flip,
    rand_augment,
    resize,
    sim_augment,
    stacked_rand_augment,
)
from supcon_tf.augmentation.rand_augment import RandAugment
from supcon_tf.augmentation.transforms import (
    ColorJitter,
    RandomGrayscale,
    RandomHorizontalFlip,
)
from supcon_tf.augmentation.warp import RandomWarp

__all__ = [
    "AutoAugment",
    "ColorJitter",
    "Compose",
    "ImageTransform",
    "Mixing",
    "RandAugment",
    "RandomGaussianBlur",
    "RandomGrayscale",
    "RandomHorizontalFlip",
    "RandomResizedCrop",
    "RandomWarp",
    "Transform",
    "auto_augment",
    "crop_flip",
    "rand_augment",
    "resize",
    "sim_augment",
    "stacked_rand_augment",
]
