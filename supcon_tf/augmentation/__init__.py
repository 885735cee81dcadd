"""Random views of images: small transforms, composed into policies."""

from supcon_tf.augmentation.policies import resize, sim_augment
from supcon_tf.augmentation.transforms import (
    ColorJitter,
    Compose,
    RandomGrayscale,
    RandomHorizontalFlip,
    RandomResizedCrop,
    Transform,
)

__all__ = [
    "ColorJitter",
    "Compose",
    "RandomGrayscale",
    "RandomHorizontalFlip",
    "RandomResizedCrop",
    "Transform",
    "resize",
    "sim_augment",
]
