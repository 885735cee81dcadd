"""Few labels: 1 % or 10 % of the training images have one.

SupCon trains its encoder on all images; the only positive of an unlabeled image is its other view.
SimCLR trains it without labels. Then a linear classifier trains on the labeled images: on the
frozen encoder, or with it, which is fine-tuning. Cross-entropy trains on the labeled images alone,
for as many steps as on all images. All methods and seeds have the same labeled images. The papers
do not measure it.
"""

from experiments.grids import Claim, Row
from experiments.grids.labels import in_linear_stage, on_labeled_images

IMAGES = 10_000
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
    supcon = row("SupCon", "", {"labeled_fraction": labeled / IMAGES, **linear})
    return [
        supcon,
        row("SupCon, fine-tuned", "_fine_tuning", fine_tuning, encoder=supcon.name),
        row("SimCLR", "", linear, encoder="SimCLR"),
        row("SimCLR, fine-tuned", "_fine_tuning", fine_tuning, encoder="SimCLR"),
        row("cross-entropy", "_cross_entropy", stage(2340, 0.2)),
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
