r"""Evaluates the representations of an encoder and the predictions of a classifier.

    python -m experiments.evaluate --encoder=runs/digits_small/encoder.keras --dataset=digits
    python -m experiments.evaluate --classifier=runs/digits_small/linear/classifier.keras \
        --dataset=digits

The script prints the results and writes them to a JSON file. For an encoder, the results are the
test accuracy of k-NN and of logistic regression on the representations, and the retrieval metrics
of the test images. For a classifier, they also include the accuracy, the mean accuracy per class
and the calibration error. With --classifier alone, the encoder is that of the classifier. Gray
images are repeated for the channels that the encoder takes.
"""

import pathlib

from absl import flags

from experiments.lib.command_line import check_arguments, run

_ENCODER = flags.DEFINE_string(
    "encoder",
    None,
    "The .keras file of an encoder, as experiments.pretrain writes it; the encoder of the "
    "classifier by default.",
)
_CLASSIFIER = flags.DEFINE_string(
    "classifier",
    None,
    "The .keras file of a classifier, as experiments.linear_eval or experiments.cross_entropy "
    "writes it.",
)
_DATASET = flags.DEFINE_string(
    "dataset", None, "The name of a data set (experiments/lib/datasets.py)."
)
_DATA_DIR = flags.DEFINE_string("data_dir", "", "The directory of the data set.")
_TRAIN_IMAGES = flags.DEFINE_integer(
    "train_images", None, "The maximum number of training images.", lower_bound=2
)
_HOLD_OUT = flags.DEFINE_integer(
    "hold_out",
    0,
    "Test on this many training images instead of the test set, to choose settings.",
    lower_bound=0,
)
_SHORT_SIDE = flags.DEFINE_integer(
    "short_side",
    None,
    "The length in pixels to which the short side of an image is resized before its central square "
    "is cropped; the input size of the encoder by default. The recipes for ImageNet use 256.",
    lower_bound=1,
)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 256, "Images in a batch.", lower_bound=1)
_K = flags.DEFINE_integer("k", 200, "Number of neighbors in k-NN.", lower_bound=1)
_TEMPERATURE = flags.DEFINE_float(
    "temperature",
    0.07,
    "Temperature of the similarities that weight the votes in k-NN.",
    lower_bound=1e-6,
)
_OUTPUT = flags.DEFINE_string(
    "output",
    None,
    "The .json file to write; evaluation.json in the directory of the model by default.",
)
flags.mark_flag_as_required("dataset")
flags.register_multi_flags_validator(
    ["encoder", "classifier"],
    lambda values: any(values.values()),
    "Set --encoder, --classifier or both.",
)


def main(argv: list[str]) -> None:
    """Measures, prints and writes."""
    check_arguments(argv)
    for flag in (_ENCODER, _CLASSIFIER):
        if flag.value is not None and not pathlib.Path(flag.value).is_file():
            raise FileNotFoundError(
                f"`--{flag.name}` must be an existing file. Received: {flag.value!r}"
            )
    model = pathlib.Path(_ENCODER.value or _CLASSIFIER.value)
    output = pathlib.Path(_OUTPUT.value or model.with_name("evaluation.json"))
    if output.suffix != ".json":
        raise ValueError(f"`--output` must end in .json. Received: {str(output)!r}")

    from experiments.lib import datasets
    from experiments.lib.files import write_json
    from experiments.lib.measurements import measure_predictions, measure_representations
    from supcon_tf._files import make_directory
    from supcon_tf.commands.representations import compute_representations
    from supcon_tf.commands.saved_models import check_classes, load_classifier, load_encoder
    from supcon_tf.data import evaluation_batches
    from supcon_tf.evaluation.inputs import check_num_neighbors

    make_directory(output.parent)
    classifier = None if _CLASSIFIER.value is None else load_classifier(_CLASSIFIER.value)
    encoder = classifier.encoder if _ENCODER.value is None else load_encoder(_ENCODER.value)
    train, test = datasets.load_train_and_test(
        _DATASET.value, _DATA_DIR.value, _TRAIN_IMAGES.value, _HOLD_OUT.value
    )
    channels = encoder.input_shape[-1]
    train, test = (datasets.with_channels(images, channels) for images in (train, test))
    if classifier is not None:
        check_classes(_CLASSIFIER.value, classifier, test.class_names)
    check_num_neighbors(_K.value, len(train))
    print(f"encoding {len(train)} training images and {len(test)} others", flush=True)
    train_representations, test_representations = (
        compute_representations(encoder, images, _BATCH_SIZE.value, short_side=_SHORT_SIDE.value)
        for images in (train, test)
    )
    print("measuring: k-NN, logistic regression and retrieval", flush=True)
    results = {
        "dataset": _DATASET.value,
        "train_images": len(train),
        "test_images": len(test),
        "tested_on": "held-out training images" if _HOLD_OUT.value else "test set",
        "encoder": _ENCODER.value,
        "classifier": _CLASSIFIER.value,
        "representations": measure_representations(
            train_representations,
            train.labels,
            test_representations,
            test.labels,
            k=_K.value,
            temperature=_TEMPERATURE.value,
        ),
    }
    if classifier is not None:
        batches = evaluation_batches(
            test,
            size=classifier.encoder.input_shape[1],
            short_side=_SHORT_SIDE.value,
            batch_size=_BATCH_SIZE.value,
        )
        logits = classifier.predict(batches, verbose=0)
        results["predictions"] = measure_predictions(logits, test.labels)
    write_json(output, results)
    for name, value in (results["representations"] | results.get("predictions", {})).items():
        print(f"{name:28} {value:.4g}")
    print(f"{len(train)} training images, {len(test)} of the {results['tested_on']}; {output}")


if __name__ == "__main__":
    run(main)
