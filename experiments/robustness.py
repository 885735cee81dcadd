r"""Evaluates classifiers on corrupted images: accuracy, calibration and corruption errors.

    python -m experiments.robustness --dataset=fashion_mnist --data_dir=DIRECTORY --images=1000 \
        --classifier=SupCon=runs/fashion_mnist_small/linear/classifier.keras \
        --classifier=cross-entropy=runs/fashion_mnist_small_cross_entropy/classifier.keras \
        --reference=cross-entropy
    python -m experiments.robustness --dataset=imagenet2012_corrupted --data_dir=DIRECTORY \
        --classifier=SupCon=classifier.keras --short_side=256

The first command applies 11 reproducible corruptions (experiments/lib/corruptions.py) to the test
images of any data set. The second command reads the corrupted images that TensorFlow Datasets
prepared (imagenet2012_corrupted or cifar10_corrupted), and the clean images (imagenet2012 or
cifar10) from the same directory. Both write these files to the output directory:

    robustness.json                  accuracy and calibration error for each corruption and
                                     severity, their means over the corruptions, mCE, relative mCE
    robustness.png, robustness.svg   the means for each severity

Repeat a name for classifiers that were trained with other seeds: the tables then show the mean and
the standard deviation over these, and the reference of mCE has their mean errors.

The mean corruption error (mCE) averages, over the corruptions, the error of a classifier divided by
the error of a reference. The reference is the classifier that --reference names. For ImageNet, it
is AlexNet by default, with its published errors. Published values of mCE are means over 15
corruptions; robustness.json lists the corruptions of this run.
"""

import functools
import itertools
import pathlib

from absl import flags

from experiments.lib.command_line import check_arguments, run
from experiments.lib.name_value_flags import parse_file_groups

_CLASSIFIERS = flags.DEFINE_multi_string(
    "classifier",
    None,
    "NAME=FILE: a name, and a classifier.keras; repeatable. A repeated name has several seeds.",
    required=True,
)
_REFERENCE = flags.DEFINE_string(
    "reference", None, "The NAME of the classifier whose errors are the reference of mCE."
)
_DATASET = flags.DEFINE_string(
    "dataset",
    None,
    "The name of a data set (experiments/lib/datasets.py) whose test images are corrupted, or of a "
    "corrupted data set: imagenet2012_corrupted, cifar10_corrupted.",
    required=True,
)
_DATA_DIR = flags.DEFINE_string("data_dir", "", "The directory of the data set.")
_IMAGES = flags.DEFINE_integer("images", None, "The maximum number of images.", lower_bound=1)
_CORRUPTIONS = flags.DEFINE_list(
    "corruptions", None, "Names of corruptions, separated by commas; all by default."
)
_SHORT_SIDE = flags.DEFINE_integer(
    "short_side",
    None,
    "The length in pixels to which the short side of a clean image is resized before its central "
    "square is cropped; the input size of the classifier by default. The recipes for ImageNet use "
    "256.",
    lower_bound=1,
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the corruptions.", lower_bound=0)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 250, "Images in a batch.", lower_bound=1)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir",
    None,
    "The directory for the results; runs/robustness/ and the name of the data set by default.",
)

ALEXNET = "AlexNet"


def main(argv: list[str]) -> None:
    """Tests, prints and writes."""
    check_arguments(argv)
    groups = parse_file_groups("classifier", _CLASSIFIERS.value)
    reference = _REFERENCE.value
    if reference is None and _DATASET.value.startswith("imagenet2012"):
        reference = ALEXNET
    elif reference is not None and reference not in groups:
        raise ValueError(f"`--reference` must be in {list(groups)}. Received: {reference!r}")
    names = {path: name for name, paths in groups.items() for path in paths}
    if len(names) < len(_CLASSIFIERS.value):
        raise ValueError(f"`--classifier` must name each file once. Received: {_CLASSIFIERS.value}")
    output_dir = pathlib.Path(_OUTPUT_DIR.value or f"runs/robustness/{_DATASET.value}")

    from experiments import pictures
    from experiments.lib.files import write_json
    from experiments.lib.tables import ROBUSTNESS_METRICS, robustness_means, robustness_table
    from supcon_tf.commands.saved_models import check_classes, load_classifier

    classifiers = {path: load_classifier(path) for path in names}
    size, channels = common_input(classifiers)
    source = load_images(channels)
    for path, classifier in classifiers.items():
        check_classes(path, classifier, source.class_names)
    clean_batches, corrupted_batches = create_batches(source, size)
    clean = measure(classifiers, clean_batches)
    results = {path: {"path": str(path), "clean": clean[path], "corrupted": {}} for path in names}
    for corruption, severities in corrupted_batches.items():
        measured = [measure(classifiers, batches) for batches in severities]
        for path, name in names.items():
            by_severity = {
                metric: [each[path][metric] for each in measured] for metric in ROBUSTNESS_METRICS
            }
            results[path]["corrupted"][corruption] = by_severity
            accuracies = " ".join(f"{value:.4f}" for value in by_severity["accuracy"])
            print(f"{corruption:18} {accuracies}  {name}", flush=True)
    for result in results.values():
        result["mean"] = {
            metric: mean_over_corruptions(result["corrupted"], metric)
            for metric in ROBUSTNESS_METRICS
        }
    by_name = {name: [results[path] for path in paths] for name, paths in groups.items()}
    if reference is not None:
        add_relative_errors(by_name, reference)
    output_dir.mkdir(parents=True, exist_ok=True)
    write_json(
        output_dir / "robustness.json",
        {
            "dataset": _DATASET.value,
            "seed": _SEED.value,
            "corruptions": list(corrupted_batches),
            "reference": reference,
            "classifiers": by_name,
        },
    )
    pictures.robustness_curves(output_dir / "robustness.png", robustness_means(by_name))
    print(robustness_table(by_name), end="")
    print(
        f"{len(corrupted_batches)} corruptions; robustness.json, .png and .svg are in {output_dir}/"
    )


def common_input(classifiers) -> tuple[int, int]:
    """Returns the size and the number of channels of the images that all classifiers take.

    Raises:
        ValueError: if they differ, or the images are not squares of a fixed size.
    """
    shapes = {str(path): each.encoder.input_shape for path, each in classifiers.items()}
    _, height, width, channels = next(iter(shapes.values()))
    if len(set(shapes.values())) > 1 or height is None or height != width:
        raise ValueError(
            "`--classifier` must name classifiers of square images of the same size and channels. "
            f"Received: {shapes}"
        )
    return height, channels


def load_images(channels: int):
    """Loads the clean images.

    Raises:
        ValueError: if they have other channels.
    """
    import numpy as np

    from experiments.lib import datasets

    name = _DATASET.value.removesuffix("_corrupted")
    source = datasets.load(name, _DATA_DIR.value, "test")
    if source.channels != channels:
        raise ValueError(
            f"`--classifier` must take images of {source.channels} channels, like {name!r}. "
            f"Received: classifiers of {channels} channels"
        )
    count = min(len(source), _IMAGES.value or len(source))
    # A source can be sorted by class: take images at equal distances.
    return source.take(np.arange(count) * len(source) // count)


def create_batches(source, size: int):
    """Creates the batches of clean images, and those of each severity by corruption.

    Raises:
        ValueError: if a prepared data set has another size or other classes, or a chosen corruption
            is not available.
    """
    from experiments.lib import corruptions

    batches_of_source = functools.partial(
        corruptions.corrupted_batches,
        source,
        size=size,
        short_side=_SHORT_SIDE.value,
        batch_size=_BATCH_SIZE.value,
        seed=_SEED.value,
    )
    if not _DATASET.value.endswith("_corrupted"):
        available = {
            corruption: [
                batches_of_source(corruption, severity) for severity in corruptions.SEVERITIES
            ]
            for corruption in corruptions.NAMES
        }
    else:
        prepared = corruptions.find_prepared(_DATASET.value, _DATA_DIR.value, source.class_names)
        available = {
            corruption: [
                corruptions.prepared_batches(
                    builder, size=size, batch_size=_BATCH_SIZE.value, images=_IMAGES.value
                )
                for builder in builders
            ]
            for corruption, builders in prepared.items()
        }
    chosen = _CORRUPTIONS.value or list(available)
    if not set(chosen) <= set(available):
        raise ValueError(f"`--corruptions` must be in {list(available)}. Received: {chosen}")
    return batches_of_source(None, 0), {corruption: available[corruption] for corruption in chosen}


def measure(classifiers, batches) -> dict[pathlib.Path, dict[str, float]]:
    """Returns accuracy, expected calibration error and number of images for each classifier.

    All classifiers predict a batch before the next one is read. Only the sums in each of the 15
    bins of confidence are kept.
    """
    import numpy as np
    import tensorflow as tf

    from supcon_tf import evaluation

    sums = {path: np.zeros([3, 15]) for path in classifiers}
    for images, labels in batches:
        for path, classifier in classifiers.items():
            probabilities = tf.nn.softmax(classifier.predict_on_batch(images)).numpy()
            curve = evaluation.reliability_curve(probabilities, labels, bins=15)
            parts = np.array([curve.accuracy, curve.confidence, np.ones(15)])
            sums[path] += np.nan_to_num(parts) * curve.count
    return {
        path: {
            "accuracy": float(correct.sum() / count.sum()),
            "ece": float(np.abs(correct - confidence).sum() / count.sum()),
            "images": int(count.sum()),
        }
        for path, (correct, confidence, count) in sums.items()
    }


def mean_over_corruptions(corrupted, metric: str) -> list[float]:
    """Returns the mean of a metric over the corruptions, for each severity."""
    by_severity = zip(*(metrics[metric] for metrics in corrupted.values()), strict=True)
    return [sum(values) / len(values) for values in by_severity]


def add_relative_errors(results, reference: str) -> None:
    """Adds `mce` and `relative_mce`, as fractions of the reference's errors, to each result.

    The reference errors are the means over its seeds.

    `relative_mce` is `None` if, for at least one corruption, the mean error of the reference is not
    above its error on clean images.
    """
    import numpy as np

    from supcon_tf import evaluation

    def errors(result):
        return {
            corruption: [1 - accuracy for accuracy in by_severity["accuracy"]]
            for corruption, by_severity in result["corrupted"].items()
        }

    if reference == ALEXNET:
        (first, *_), *_ = results.values()
        reference_errors = {name: [evaluation.ALEXNET_ERRORS[name]] * 5 for name in errors(first)}
        reference_clean = evaluation.ALEXNET_CLEAN_ERROR
    else:
        by_seed = [errors(result) for result in results[reference]]
        reference_errors = {
            name: np.mean([each[name] for each in by_seed], axis=0).tolist() for name in by_seed[0]
        }
        reference_clean = 1 - np.mean([each["clean"]["accuracy"] for each in results[reference]])
    comparable = all(sum(each) > 5 * reference_clean for each in reference_errors.values())
    for result in itertools.chain(*results.values()):
        result["mce"] = evaluation.mean_corruption_error(errors(result), reference_errors)
        result["relative_mce"] = None
        if comparable:
            result["relative_mce"] = evaluation.relative_mean_corruption_error(
                errors(result), 1 - result["clean"]["accuracy"], reference_errors, reference_clean
            )


if __name__ == "__main__":
    run(main)
