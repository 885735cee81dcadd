r"""Tests classifiers on corrupted images: accuracy and calibration against severity, and mCE.

    python -m experiments.robustness --dataset=fashion_mnist --data_dir=DIRECTORY --images=1000 \
        --classifier=SupCon=runs/fashion_mnist_small/linear/classifier.keras \
        --classifier=cross-entropy=runs/fashion_mnist_small_cross_entropy/classifier.keras \
        --reference=cross-entropy
    python -m experiments.robustness --dataset=imagenet2012_corrupted --data_dir=DIRECTORY \
        --classifier=SupCon=classifier.keras --short_side=256

The first applies 11 corruptions to the test images of any data set; the seed makes them
reproducible (experiments/lib/corruptions.py). The second reads the corrupted images that TensorFlow
Datasets prepared (also cifar10_corrupted), and the clean images of imagenet2012 from the same
directory. Both write to the output directory

    robustness.json                  accuracy and calibration error of each corruption and severity,
                                     their means over the corruptions, mCE and relative mCE
    robustness.png, robustness.svg   the means against severity

mCE is relative to the classifier that --reference names, and on ImageNet by default to AlexNet's
published errors. A published mCE is over 15 corruptions; robustness.json says over which ones it is
here.
"""

import functools
import pathlib

from absl import app, flags, logging

from experiments.lib import name_value_flags, robustness_table

_CLASSIFIERS = flags.DEFINE_multi_string(
    "classifier", None, "NAME=FILE, repeatable: a classifier.keras.", required=True
)
_REFERENCE = flags.DEFINE_string("reference", None, "The NAME to which mCE is relative.")
_DATASET = flags.DEFINE_string(
    "dataset",
    None,
    "The name of a data set (experiments/lib/datasets.py) whose test images are corrupted here, "
    "or of a corrupted data set: imagenet2012_corrupted, cifar10_corrupted.",
    required=True,
)
_DATA_DIR = flags.DEFINE_string("data_dir", "", "Where the data set is.")
_IMAGES = flags.DEFINE_integer("images", None, "Use this many images at most.", lower_bound=1)
_CORRUPTIONS = flags.DEFINE_list("corruptions", None, "Some corruptions; all by default.")
_SHORT_SIDE = flags.DEFINE_integer(
    "short_side",
    None,
    "What a clean image's short side is resized to before its central square is cut out; the "
    "classifier's size by default. The recipes for ImageNet say 256.",
    lower_bound=1,
)
_SEED = flags.DEFINE_integer("seed", 0, "Decides what is drawn.", lower_bound=0)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 250, "Images at the same time.", lower_bound=1)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Where results go; runs/robustness/ and the data set's name by default."
)

ALEXNET = "AlexNet"


def main(argv: list[str]) -> None:
    """Tests, prints and writes."""
    if len(argv) > 1:
        raise app.UsageError(f"Flags only. Received: {argv[1:]}")
    logging.set_verbosity(logging.WARNING)
    paths = name_value_flags.parse("classifier", _CLASSIFIERS.value)
    reference = _REFERENCE.value
    if reference is None and _DATASET.value.startswith("imagenet2012"):
        reference = ALEXNET
    elif reference is not None and reference not in paths:
        raise ValueError(f"`reference` must be one of {list(paths)}. Received: {reference!r}")
    output_dir = pathlib.Path(_OUTPUT_DIR.value or f"runs/robustness/{_DATASET.value}")

    from experiments import pictures
    from experiments.lib import files, saved_models

    classifiers = {name: saved_models.load(path) for name, path in paths.items()}
    size, channels = common_images(classifiers)
    clean, corrupted = make_batches(size, channels)
    figures = {name: {"path": str(path)} for name, path in paths.items()}
    for name, figure in measure(classifiers, clean).items():
        figures[name] |= {"clean": figure, "corrupted": {}}
    for corruption, severities in corrupted.items():
        measured = [measure(classifiers, batches) for batches in severities]
        for name in classifiers:
            by_severity = {
                key: [each[name][key] for each in measured] for key in robustness_table.FIGURES
            }
            figures[name]["corrupted"][corruption] = by_severity
            accuracies = " ".join(f"{value:.4f}" for value in by_severity["accuracy"])
            print(f"{corruption:18} {accuracies}  {name}", flush=True)
    for each in figures.values():
        each["mean"] = {
            key: [
                sum(values) / len(values)
                for values in zip(*(c[key] for c in each["corrupted"].values()), strict=True)
            ]
            for key in robustness_table.FIGURES
        }
    if reference is not None:
        add_relative_errors(figures, reference)
    output_dir.mkdir(parents=True, exist_ok=True)
    files.write_json(
        output_dir / "robustness.json",
        {
            "dataset": _DATASET.value,
            "seed": _SEED.value,
            "corruptions": list(corrupted),
            "reference": reference,
            "classifiers": figures,
        },
    )
    pictures.robustness_curves(
        output_dir / "robustness.png",
        {
            name: {
                key: [each["clean"][key], *each["mean"][key]] for key in robustness_table.FIGURES
            }
            for name, each in figures.items()
        },
    )
    print(robustness_table.table(figures), end="")
    print(f"{len(corrupted)} corruptions; robustness.json, .png and .svg are in {output_dir}/")


def common_images(classifiers) -> tuple[int, int]:
    """The size and the number of channels of the images that all classifiers take.

    Raises:
        ValueError: if they differ, or are not of square images of one size.
    """
    shapes = {name: classifier.encoder.input_shape for name, classifier in classifiers.items()}
    _, height, width, channels = next(iter(shapes.values()))
    if len(set(shapes.values())) > 1 or height is None or height != width:
        raise ValueError(
            "`classifier` must all take square images of the same size and channels. "
            f"Received: {shapes}"
        )
    return height, channels


def make_batches(size: int, channels: int):
    """Makes the batches of clean images, and by corruption those of its severities.

    Raises:
        ValueError: if the data set has other channels or, prepared, another size, or does not have
            a corruption that is asked for.
    """
    import numpy as np

    from experiments.lib import corruptions, datasets

    name = _DATASET.value.removesuffix("_corrupted")
    source = datasets.load(name, _DATA_DIR.value, "test")
    if source.channels != channels:
        raise ValueError(
            f"`classifier` must take images of {source.channels} channels, as {name!r} has. "
            f"Received: classifiers of {channels}"
        )
    count = min(len(source), _IMAGES.value or len(source))
    # Evenly spread, as a source may be sorted by class.
    source = source.take(np.arange(count) * len(source) // count)
    of_source = functools.partial(
        corruptions.batches,
        source,
        size=size,
        short_side=_SHORT_SIDE.value,
        batch_size=_BATCH_SIZE.value,
        seed=_SEED.value,
    )
    if name == _DATASET.value:
        available = {
            corruption: [of_source(corruption, severity) for severity in corruptions.SEVERITIES]
            for corruption in corruptions.NAMES
        }
    else:
        available = {
            corruption: [
                corruptions.prepared_batches(
                    builder, size=size, batch_size=_BATCH_SIZE.value, images=_IMAGES.value
                )
                for builder in builders
            ]
            for corruption, builders in corruptions.find_prepared(
                _DATASET.value, _DATA_DIR.value
            ).items()
        }
    chosen = _CORRUPTIONS.value or list(available)
    if not set(chosen) <= set(available):
        raise ValueError(f"`corruptions` must be some of {list(available)}. Received: {chosen}")
    return of_source(None, 0), {corruption: available[corruption] for corruption in chosen}


def measure(classifiers, batches) -> dict[str, dict[str, float]]:
    """Accuracy and expected calibration error of each classifier, and how many images there were.

    Each batch goes through all classifiers, and nothing of it is kept but the sums in each of the
    15 bins of confidence.
    """
    import numpy as np
    import tensorflow as tf

    from supcon_tf import evaluation

    sums = {name: np.zeros([3, 15]) for name in classifiers}
    for images, labels in batches:
        for name, classifier in classifiers.items():
            probabilities = tf.nn.softmax(classifier.predict_on_batch(images)).numpy()
            curve = evaluation.reliability_curve(probabilities, labels, bins=15)
            parts = np.array([curve.accuracy, curve.confidence, np.ones(15)])
            sums[name] += np.nan_to_num(parts) * curve.count
    return {
        name: {
            "accuracy": float(right.sum() / count.sum()),
            "ece": float(np.abs(right - confidence).sum() / count.sum()),
            "images": int(count.sum()),
        }
        for name, (right, confidence, count) in sums.items()
    }


def add_relative_errors(figures, reference: str) -> None:
    """Adds `mce` and `relative_mce`, as fractions of the reference's errors, to each classifier's.

    `relative_mce` is `None` where the reference is as good on a corruption as on clean images.
    """
    from supcon_tf import evaluation

    errors = {
        name: {
            corruption: [1 - accuracy for accuracy in by_severity["accuracy"]]
            for corruption, by_severity in each["corrupted"].items()
        }
        for name, each in figures.items()
    }
    if reference == ALEXNET:
        names = next(iter(errors.values()))
        reference_errors = {name: [evaluation.ALEXNET_ERRORS[name]] * 5 for name in names}
        reference_clean = evaluation.ALEXNET_CLEAN_ERROR
    else:
        reference_errors = errors[reference]
        reference_clean = 1 - figures[reference]["clean"]["accuracy"]
    comparable = all(sum(each) > 5 * reference_clean for each in reference_errors.values())
    for name, each in figures.items():
        each["mce"] = evaluation.mean_corruption_error(errors[name], reference_errors)
        each["relative_mce"] = None
        if comparable:
            each["relative_mce"] = evaluation.relative_mean_corruption_error(
                errors[name], 1 - each["clean"]["accuracy"], reference_errors, reference_clean
            )


if __name__ == "__main__":
    app.run(main)
