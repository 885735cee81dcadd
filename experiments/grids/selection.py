r"""Settings of `cifar10_small`, chosen on held-out training images.

    python -m experiments.ablate --grid=selection \
        --config=experiments/configs/cifar10_small.py \
        --change=data_dir=DIRECTORY --change=hold_out=5000

trains each method 15 times, with as many forward passes in every training, and tests it on 5,000
other training images. The first row of a method has a learning rate of 0.2, a weight decay of 1e-4
and crops from 0.3 of the image, with SupCon also a temperature of 0.1, jitter of strength 0.5 and a
projection head of 128 and 128. Further rows change what their names say, and the last ones combine
the changes that improved the first row most. The recipes have the settings of the best row of each
method. With a single seed, differences below 0.01 are noise.
"""

from typing import Any

from experiments.grids import Row


def sim_augment(scale: float = 0.3, strength: float = 0.5) -> dict[str, Any]:
    """Returns SimAugment with crops from `scale` of the image."""
    return {
        "policy": "sim_augment",
        "scale": (scale, 1.0),
        "flip": True,
        "crop": "torchvision",
        "strength": strength,
    }


def crop_flip(scale: float = 0.3) -> dict[str, Any]:
    """Returns crops from `scale` of the image, and flips."""
    return {"policy": "crop_flip", "scale": (scale, 1.0), "flip": True, "crop": "torchvision"}


def optimizer_fields(rate: float, weight_decay: float) -> dict[str, Any]:
    """Returns the fields of SGD with momentum."""
    return {
        "optimizer.learning_rate": rate,
        "optimizer.arguments": {"momentum": 0.9, "weight_decay": weight_decay},
    }


def _supcon(
    name: str,
    *,
    temperature: float = 0.1,
    rate: float = 0.2,
    weight_decay: float = 1e-4,
    widths: tuple[int, ...] = (128, 128),
    augmentation: dict[str, Any] | None = None,
) -> Row:
    changes = {
        "epochs": 30,
        "loss.temperature": temperature,
        "projection_head.widths": widths,
        "augmentation": augmentation or sim_augment(),
        **optimizer_fields(rate, weight_decay),
    }
    return Row(f"SupCon, {name}", changes=changes)


def _cross_entropy(
    name: str,
    *,
    rate: float = 0.2,
    weight_decay: float = 1e-4,
    augmentation: dict[str, Any] | None = None,
) -> Row:
    changes = {
        "epochs": 60,
        "augmentation": augmentation or crop_flip(),
        **optimizer_fields(rate, weight_decay),
    }
    return Row(f"cross-entropy, {name}", "_cross_entropy", changes)


# Each row states all settings that were chosen, so that its training stays the same when the recipe
# takes other ones.
ROWS = [
    _supcon("start"),
    _cross_entropy("start"),
    _supcon("temperature 0.2", temperature=0.2),
    _cross_entropy("weight decay 5e-4", weight_decay=5e-4),
    _supcon("learning rate 0.5", rate=0.5),
    _cross_entropy("learning rate 0.1", rate=0.1),
    _supcon("weight decay 5e-4", weight_decay=5e-4),
    _cross_entropy("learning rate 0.5", rate=0.5),
    _supcon("crops from 0.5", augmentation=sim_augment(scale=0.5)),
    _cross_entropy("crops from 0.5", augmentation=crop_flip(scale=0.5)),
    _supcon("jitter 0.25", augmentation=sim_augment(strength=0.25)),
    _cross_entropy("jitter 0.5", augmentation=sim_augment()),
    _supcon("temperature 0.05", temperature=0.05),
    _cross_entropy("weight decay 2e-3", weight_decay=2e-3),
    _supcon("learning rate 0.1", rate=0.1),
    _cross_entropy("learning rate 0.05", rate=0.05),
    _supcon("projection head of 512 and 128", widths=(512, 128)),
    _cross_entropy("crops from 0.2", augmentation=crop_flip(scale=0.2)),
    _supcon("crops from 0.2", augmentation=sim_augment(scale=0.2)),
    _cross_entropy("jitter 0.25", augmentation=sim_augment(strength=0.25)),
    _supcon("temperature 0.2, learning rate 0.5", temperature=0.2, rate=0.5),
    _cross_entropy("learning rate 0.5, weight decay 5e-4", rate=0.5, weight_decay=5e-4),
    _supcon("learning rate 0.5, weight decay 5e-4", rate=0.5, weight_decay=5e-4),
    _cross_entropy(
        "crops from 0.5, weight decay 5e-4", weight_decay=5e-4, augmentation=crop_flip(scale=0.5)
    ),
    _supcon(
        "crops from 0.5, learning rate 0.5, weight decay 5e-4",
        rate=0.5,
        weight_decay=5e-4,
        augmentation=sim_augment(scale=0.5),
    ),
    _cross_entropy("learning rate 0.5, weight decay 2e-3", rate=0.5, weight_decay=2e-3),
    _supcon(
        "crops from 0.5, jitter 0.25, learning rate 0.5, weight decay 5e-4",
        rate=0.5,
        weight_decay=5e-4,
        augmentation=sim_augment(scale=0.5, strength=0.25),
    ),
    _cross_entropy(
        "crops from 0.5, weight decay 2e-3", weight_decay=2e-3, augmentation=crop_flip(scale=0.5)
    ),
    _supcon(
        "crops from 0.5, learning rate 0.5, weight decay 2e-3",
        rate=0.5,
        weight_decay=2e-3,
        augmentation=sim_augment(scale=0.5),
    ),
    _cross_entropy("learning rate 0.1, weight decay 5e-3", rate=0.1, weight_decay=5e-3),
]
