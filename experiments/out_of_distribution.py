r"""Measures how well a classifier and its encoder separate a data set from others.

    python -m experiments.out_of_distribution --classifier=runs/a/linear/classifier.keras \
        --dataset=cifar10 --data_dir=DIRECTORY --other=fashion_mnist=DIRECTORY --other=digits

Each test image of both data sets gets three scores: the distance of its representation to the k-th
nearest training image (Sun et al., 2022), the Mahalanobis distance to the nearest class (Lee et
al., 2018), and the largest probability of the classifier (Hendrycks and Gimpel, 2017). The script
prints AUROC, AUPR and FPR95 for each data set and score, and writes them to a JSON file. Gray
images are repeated for the channels that the encoder takes.
"""

import pathlib

from absl import flags

from experiments.lib.command_line import check_arguments, run

_CLASSIFIER = flags.DEFINE_string(
    "classifier",
    None,
    "The .keras file of a classifier, as experiments.linear_eval or experiments.cross_entropy "
    "writes it.",
    required=True,
)
_DATASET = flags.DEFINE_string(
    "dataset",
    None,
    "The name of the data set that the classifier was trained on (experiments/lib/datasets.py).",
    required=True,
)
_DATA_DIR = flags.DEFINE_string("data_dir", "", "The directory of this data set.")
_TRAIN_IMAGES = flags.DEFINE_integer(
    "train_images", None, "The maximum number of training images.", lower_bound=2
)
_OTHERS = flags.DEFINE_multi_string(
    "other",
    [],
    "NAME or NAME=DIRECTORY, another data set and its directory; repeatable.",
)
flags.register_validator(_OTHERS, lambda others: bool(others), "must be given at least once")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 256, "Images in a batch.", lower_bound=1)
_K = flags.DEFINE_integer("k", 50, "Rank of the nearest training image that counts.", lower_bound=1)
_OUTPUT = flags.DEFINE_string(
    "output",
    None,
    "The .json file to write; out_of_distribution.json in the directory of the classifier by "
    "default.",
)


def main(argv: list[str]) -> None:
    """Measures, prints and writes."""
    check_arguments(argv)
    path = pathlib.Path(_CLASSIFIER.value)
    if not path.is_file():
        raise FileNotFoundError(f"`--classifier` must be an existing file. Received: {str(path)!r}")
    output = pathlib.Path(_OUTPUT.value or path.with_name("out_of_distribution.json"))
    if output.suffix != ".json":
        raise ValueError(f"`--output` must end in .json. Received: {str(output)!r}")

    from experiments.lib import datasets
    from experiments.lib.files import write_json
    from experiments.lib.measurements import measure_separation
    from experiments.lib.tables import markdown_table
    from supcon_tf._files import make_directory
    from supcon_tf.commands.saved_models import check_classes, load_classifier
    from supcon_tf.evaluation.inputs import check_num_neighbors

    make_directory(output.parent)
    classifier = load_classifier(_CLASSIFIER.value)
    train, test = datasets.load_train_and_test(_DATASET.value, _DATA_DIR.value, _TRAIN_IMAGES.value)
    check_classes(_CLASSIFIER.value, classifier, test.class_names)
    check_num_neighbors(_K.value, len(train))
    channels = classifier.encoder.input_shape[-1]
    train, test = (datasets.with_channels(images, channels) for images in (train, test))
    others = {}
    for name, _, directory in (other.partition("=") for other in _OTHERS.value):
        images = datasets.load(name, directory, "test")
        others[name] = datasets.with_channels(images, channels)
    separation = measure_separation(
        classifier, train, test, others, k=_K.value, batch_size=_BATCH_SIZE.value
    )
    write_json(
        output,
        {
            "dataset": _DATASET.value,
            "train_images": len(train),
            "test_images": len(test),
            "other_images": {name: len(images) for name, images in others.items()},
            "classifier": _CLASSIFIER.value,
            "separation": separation,
        },
    )
    rows = [
        [name, score, *(f"{value:.4f}" for value in metrics.values())]
        for name, scores in separation.items()
        for score, metrics in scores.items()
    ]
    metrics = ["AUROC", "AUPR in", "AUPR out", "FPR95"]
    print(markdown_table(["other data set", "score", *metrics], rows))
    print(output)


if __name__ == "__main__":
    run(main)
