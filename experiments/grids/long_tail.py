"""Long tail: the largest class has 100 times the images of the smallest one.

With this imbalance, 12,406 training images of CIFAR-10 remain (Cui et al., 2019). The test images
are balanced. A batch of the row with 32 images of each class has 8 classes. The settings are not
those that were chosen on all classes: crops from 0.3 of the image, a learning rate of 0.2, and a
weight decay of 1e-4.
"""

from experiments.grids import Claim, Row
from experiments.grids.selection import crop_flip, optimizer_fields, sim_augment

_TAIL = {
    "imbalance": 100.0,
    "train_images": None,
    "augmentation": sim_augment(),
    **optimizer_fields(rate=0.2, weight_decay=1e-4),
}

ROWS = [
    Row("SupCon", changes=_TAIL),
    Row("SupCon, averages of classes", changes={**_TAIL, "loss.denominator": "class_average"}),
    Row("SupCon, 32 images of each class in a batch", changes={**_TAIL, "images_per_class": 32}),
    Row("SupCon, one positive", changes={**_TAIL, "loss.denominator": "one_positive"}),
    Row("cross-entropy", "_cross_entropy", {**_TAIL, "augmentation": crop_flip()}),
]

CLAIMS = [
    Claim(
        "Averages of classes in the denominator improve SupCon (Zhu et al., 2022)",
        "SupCon, averages of classes",
        "SupCon",
    ),
    Claim(
        "Batches with equally many images of each class improve SupCon",
        "SupCon, 32 images of each class in a batch",
        "SupCon",
    ),
    Claim("SupCon is better than cross-entropy", "SupCon", "cross-entropy"),
]
