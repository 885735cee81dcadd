"""Few labels: 1 % or 10 % of the training images have a label.

SupCon trains its encoder on all images; the only positive of an unlabeled image is its other view.
SimCLR ignores all labels. The second stage trains a linear classifier on the labeled images. It
keeps the encoder frozen, or trains it, too (fine-tuning). Cross-entropy trains on the labeled
images only. It takes as many steps as with all labels. All methods and seeds have the same labeled
images. The papers have no such comparison.

The grid needs `cifar10_small`, with the images in directories, so that all classes are equally
large. The minutes of SimCLR with few labels and of fine-tuning do not include the first stage.
"""

from experiments.grids import Claim, Row
from experiments.grids.labels import in_linear_stage, on_labeled_images

IMAGES = 10_000  # The training images of `cifar10_small`, 1,000 of each class.
LABELED = (100, 1000)


def rows_with(labeled: int) -> list[Row]:
    """Returns the rows of all methods with this many labeled images."""

    def stage(steps, learning_rate):
        sizes = {"images": IMAGES, "batch_size": 256}
        return on_labeled_images(labeled, **sizes, steps=steps, learning_rate=learning_rate)

    def row(series, recipe, changes, encoder=None):
        name = f"{series}, {labeled} labels"
        return Row(name, recipe, changes, encoder=encoder, x=labeled, series=series)

    linear = in_linear_stage(stage(390, 0.02))
    fine_tuning = in_linear_stage(stage(390, 0.05))
    cross_entropy = stage(2340, 0.2)
    cross_entropy["optimizer.schedule.warmup_epochs"] = cross_entropy["epochs"] // 30
    supcon = row("SupCon", "", {"labeled_fraction": labeled / IMAGES, **linear})
    return [
        supcon,
        row("SupCon, fine-tuned", "_fine_tuning", fine_tuning, encoder=supcon.name),
        row("SimCLR", "", linear, encoder="SimCLR"),
        row("SimCLR, fine-tuned", "_fine_tuning", fine_tuning, encoder="SimCLR"),
        row("cross-entropy", "_cross_entropy", cross_entropy),
    ]


ROWS = [
    Row("SimCLR", changes={"labeled_fraction": 0.0}, x=IMAGES, series="SimCLR"),
    *(row for labeled in LABELED for row in rows_with(labeled)),
    Row("SupCon", x=IMAGES, series="SupCon"),
    Row("cross-entropy", "_cross_entropy", x=IMAGES, series="cross-entropy"),
]

CLAIMS = [
    Claim(
        f"{better} is above {worse} with {labeled} labels",
        f"{better}, {labeled} labels",
        f"{worse}, {labeled} labels",
    )
    for labeled in LABELED
    for better, worse in (
        ("SupCon", "cross-entropy"),
        ("SupCon", "SimCLR"),
        ("SupCon, fine-tuned", "SupCon"),
    )
]
X_LABEL = "number of labeled images among 10,000"
