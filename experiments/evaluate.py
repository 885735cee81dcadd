r"""Says how good an encoder's representations of a data set are, and a classifier's predictions.

    python -m experiments.evaluate --encoder=runs/digits_small/encoder.keras --dataset=digits
    python -m experiments.evaluate --classifier=runs/digits_small/linear/classifier.keras \
        --dataset=digits

prints and writes, as JSON, the test accuracy of k-NN and of logistic regression on the
representations, and how well test images retrieve each other; with a classifier, whose encoder is
the one by default, also its accuracy, its mean accuracy per class and its calibration error.
"""

import pathlib

from absl import app, flags, logging

_ENCODER = flags.DEFINE_string(
    "encoder", None, "A .keras file that experiments.pretrain wrote; the classifier's by default."
)
_CLASSIFIER = flags.DEFINE_string(
    "classifier",
    None,
    "A .keras file that experiments.linear_eval or experiments.cross_entropy wrote.",
)
_DATASET = flags.DEFINE_string(
    "dataset", None, "A data set by its name, see experiments/lib/datasets.py."
)
_DATA_DIR = flags.DEFINE_string("data_dir", "", "Where the data set is.")
_TRAIN_IMAGES = flags.DEFINE_integer(
    "train_images", None, "Use this many training images at most.", lower_bound=2
)
_HOLD_OUT = flags.DEFINE_integer(
    "hold_out",
    0,
    "Test on this many training images and leave the test set alone: for choosing settings.",
    lower_bound=0,
)
_SHORT_SIDE = flags.DEFINE_integer(
    "short_side",
    None,
    "What an image's short side is resized to before its central square is cut out; the encoder's "
    "size by default. The recipes for ImageNet say 256.",
    lower_bound=1,
)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 256, "Images at the same time.", lower_bound=1)
_K = flags.DEFINE_integer("k", 200, "Neighbors that vote in k-NN.", lower_bound=1)
_TEMPERATURE = flags.DEFINE_float(
    "temperature", 0.07, "Temperature of the votes in k-NN.", lower_bound=1e-6
)
_OUTPUT = flags.DEFINE_string(
    "output", None, "The .json file to write; evaluation.json beside the model by default."
)
flags.mark_flag_as_required("dataset")
flags.register_multi_flags_validator(
    ["encoder", "classifier"],
    lambda values: any(values.values()),
    "Give --encoder, --classifier or both.",
)


def main(argv: list[str]) -> None:
    """Evaluates, prints and writes."""
    if len(argv) > 1:
        raise app.UsageError(f"Flags only. Received: {argv[1:]}")
    logging.set_verbosity(logging.WARNING)
    for flag in (_ENCODER, _CLASSIFIER):
        if flag.value is not None and not pathlib.Path(flag.value).is_file():
            raise FileNotFoundError(f"`{flag.name}` must exist. Received: {flag.value!r}")
    model = pathlib.Path(_ENCODER.value or _CLASSIFIER.value)
    output = pathlib.Path(_OUTPUT.value or model.with_name("evaluation.json"))
    if output.suffix != ".json":
        raise ValueError(f"`output` must end in .json. Received: {str(output)!r}")

    import supcon_tf
    from experiments.lib import datasets, files, representations, saved_models

    classifier, encoder = (
        None if flag.value is None else saved_models.load(flag.value)
        for flag in (_CLASSIFIER, _ENCODER)
    )
    encoder = encoder or classifier.encoder
    train, test = datasets.load_both(
        _DATASET.value, _DATA_DIR.value, _TRAIN_IMAGES.value, _HOLD_OUT.value
    )
    results = {
        "dataset": _DATASET.value,
        "train_images": len(train),
        "test_images": len(test),
        "tested_on": "held-out training images" if _HOLD_OUT.value else "test set",
        "encoder": _ENCODER.value,
        "classifier": _CLASSIFIER.value,
    }
    features = {
        part: representations.of_images(
            encoder, images, _BATCH_SIZE.value, short_side=_SHORT_SIDE.value
        )
        for part, images in (("train", train), ("test", test))
    }
    arguments = (features["train"], train.labels, features["test"], test.labels)
    results["representations"] = of_representations(*arguments)
    if classifier is not None:
        logits = classifier.predict(
            supcon_tf.data.image_batches(
                test,
                size=classifier.encoder.input_shape[1],
                short_side=_SHORT_SIDE.value,
                batch_size=_BATCH_SIZE.value,
            ),
            verbose=0,
        )
        results["predictions"] = of_predictions(logits, test.labels)
    output.parent.mkdir(parents=True, exist_ok=True)
    files.write_json(output, results)
    for name, value in (results["representations"] | results.get("predictions", {})).items():
        print(f"{name:28} {value:.4g}")
    print(f"{len(train)} training images, {len(test)} of the {results['tested_on']}; {output}")


def of_representations(train_features, train_labels, features, labels) -> dict[str, float]:
    """Figures of representations `[images, dim]` and class ids `[images]`."""
    from supcon_tf import evaluation

    regression = evaluation.logistic_regression(train_features, train_labels)
    return {
        "knn_accuracy": evaluation.knn_accuracy(
            train_features,
            train_labels,
            features,
            labels,
            k=_K.value,
            temperature=_TEMPERATURE.value,
        ),
        "logistic_regression_accuracy": regression.score(features, labels),
        "logistic_regression_penalty": 1 / regression.best_params_["C"],
        "recall_at_1": evaluation.recall_at_k(features, labels),
        "map_at_r": evaluation.map_at_r(features, labels),
    }


def of_predictions(logits, labels) -> dict[str, float]:
    """Figures of logits `[images, classes]` and class ids `[images]`."""
    import numpy as np
    import tensorflow as tf

    from supcon_tf import evaluation

    predictions = np.argmax(logits, axis=1)
    return {
        "accuracy": float(np.mean(predictions == labels)),
        "mean_per_class_accuracy": evaluation.mean_per_class_accuracy(predictions, labels),
        "expected_calibration_error": evaluation.expected_calibration_error(
            tf.nn.softmax(logits), labels
        ),
    }


if __name__ == "__main__":
    app.run(main)
