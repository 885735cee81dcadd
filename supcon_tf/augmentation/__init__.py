"""Random views of images: policies, and the transforms they are composed of.

- Policies, which create views of one size: `crop_flip`, `sim_augment`, `auto_augment`,
  `rand_augment`, `stacked_rand_augment`. `resize` is deterministic, for evaluation.
- Transforms: `RandomResizedCrop`, `RandomHorizontalFlip`, `ColorJitter`, `RandomGrayscale`,
  `RandomGaussianBlur`, `RandomErasing`.
- Tools for custom policies: `Transform` is the protocol of all transforms, `ImageTransform` a base
  class of transforms of one image, and `Compose` applies transforms in sequence. Policies are
  transforms too.
- `Mixing`: Mixup and CutMix of a batch of views and its labels.
"""

from supcon_tf.augmentation.base import Compose, ImageTransform, Transform
from supcon_tf.augmentation.blur import RandomGaussianBlur
from supcon_tf.augmentation.color_transforms import ColorJitter, RandomGrayscale
from supcon_tf.augmentation.crop import RandomResizedCrop
from supcon_tf.augmentation.erasing import RandomErasing
from supcon_tf.augmentation.flip import RandomHorizontalFlip
from supcon_tf.augmentation.mixing import Mixing
from supcon_tf.augmentation.policies import (
    auto_augment,
    crop_flip,
    rand_augment,
    resize,
    sim_augment,
    stacked_rand_augment,
)

__all__ = [
    "ColorJitter",
    "Compose",
    "ImageTransform",
    "Mixing",
    "RandomErasing",
    "RandomGaussianBlur",
    "RandomGrayscale",
    "RandomHorizontalFlip",
    "RandomResizedCrop",
    "Transform",
    "auto_augment",
    "crop_flip",
    "rand_augment",
    "resize",
    "sim_augment",
    "stacked_rand_augment",
]
