"""Compares supervised contrastive learning with cross-entropy on real images, on a laptop.

    python -m experiments.quickstart
    python -m experiments.quickstart --dataset=fashion_mnist --change=data_dir=DIRECTORY

The script trains the same small encoder twice on two views of each image: with SupCon, followed by
a linear classifier on the frozen encoder, and with cross-entropy. The recipe for SupCon is
digits_small or fashion_mnist_small in experiments/configs. The recipe for cross-entropy has the
same name with the suffix _cross_entropy. The script evaluates both classifiers on the test set
once, after the last epoch, and writes these files to the output directory:

    results.json                    the metrics of both methods
    curves.png, embeddings.png      the learning curves, and maps of the representations
    records.jsonl, records/         one record for each method, and the files of its training

Run the same command again to resume an interrupted training. Methods that already have a result are
not trained again.
"""

import json
import math
import pathlib
from typing import Any

from absl import flags

from experiments.grids import Row
from experiments.lib import strategy_flags
from experiments.lib.command_line import check_arguments, run
from experiments.lib.name_value_flags import parse_changes

flags.adopt_module_key_flags(strategy_flags)  # --help shows them.

_DATASET = flags.DEFINE_enum("dataset", "digits", ["digits", "fashion_mnist"], "The data set.")
_CHANGES = flags.DEFINE_multi_string(
    "change", [], "FIELD=VALUE changes a field of both recipes, such as epochs=2; repeatable."
)
_SEED = flags.DEFINE_integer(
    "seed", 0, "Seed of the weights, the order of the images and the views."
)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", "runs/quickstart", "The directory for results and trained models."
)

ROWS = [
    Row("SupCon + linear classifier"),
    Row("cross-entropy", "_cross_entropy", {"num_views": 2}),
]


def main(argv: list[str]) -> None:
    """Trains, tests, prints a table and draws pictures."""
    check_arguments(argv)
    changes = parse_changes(_CHANGES.value)
    recipe = pathlib.Path(__file__).with_name("configs") / f"{_DATASET.value}_small.py"
    strategy = strategy_flags.create_strategy()
    from experiments import pictures
    from experiments.lib.ablation import apply_changes, load_recipe, run_directory, run_grid
    from experiments.lib.datasets import load_of_recipe
    from experiments.lib.files import write_json
    from supcon_tf.commands.run_directory import package_versions
    from supcon_tf.distribution import is_chief

    config = apply_changes(load_recipe(recipe), changes)
    # Images that cannot be loaded are an error before anything is written.
    train, test = load_of_recipe(config)
    output_dir = pathlib.Path(_OUTPUT_DIR.value)
    path = output_dir / "records.jsonl"
    records = run_grid(
        ROWS, recipe, seeds=[_SEED.value], changes=changes, path=path, strategy=strategy
    ).values()
    if not is_chief(strategy):
        return
    errors = [f"{record['row']}: {record['error']}" for record in records if "error" in record]
    if errors:
        raise SystemExit("\n".join(errors))
    metrics, losses, representations = {}, {}, {}
    for row, record in zip(ROWS, records, strict=True):
        run = run_directory(path, record)
        classifier = (run if row.recipe else run / "linear") / "classifier.keras"
        measured, representations[row.name] = measure(classifier, train, test)
        losses[row.name] = json.loads((run / "results.json").read_text())["history"]["loss"]
        metrics[row.name] = {**measured, "seconds": record["seconds"], "loss": losses[row.name]}
    write_json(
        output_dir / "results.json",
        {
            "dataset": config.dataset,
            "train_images": len(train),
            "test_images": len(test),
            "tested_on": "held-out training images" if config.hold_out else "test set",
            "seed": _SEED.value,
            "changes": changes,
            "versions": package_versions(),
            "methods": metrics,
        },
    )
    print("drawing learning curves and embedding maps", flush=True)
    pictures.learning_curves(output_dir / "curves.png", losses)
    pictures.embedding_maps(
        output_dir / "embeddings.png",
        representations,
        test.labels,
        test.class_names,
        seed=_SEED.value,
    )
    print(f"\n{len(train)} training images, {len(test)} test images of {config.dataset}:\n")
    print(table(metrics))
    print(f"results.json, curves.png and embeddings.png are in {output_dir}/")


def measure(path: pathlib.Path, train, test) -> tuple[dict[str, float], Any]:
    """Measures a classifier.

    Args:
        path: the file of the classifier.
        train: the training images.
        test: the test images.

    Returns:
        Its metrics, and the representations `[test images, dim]` of its encoder.
    """
    from experiments.lib.measurements import measure_predictions
    from supcon_tf.commands.representations import compute_representations
    from supcon_tf.commands.saved_models import check_classes, load_model
    from supcon_tf.data import evaluation_batches
    from supcon_tf.evaluation import knn_accuracy

    classifier = load_model(path)
    check_classes(path, classifier, test.class_names)
    encoder, batch_size = classifier.encoder, 250
    batches = evaluation_batches(test, size=encoder.input_shape[1], batch_size=batch_size)
    predictions = measure_predictions(classifier.predict(batches, verbose=0), test.labels)
    representations = compute_representations(encoder, test, batch_size)
    metrics = {
        "accuracy": predictions["accuracy"],
        "knn_accuracy": knn_accuracy(
            compute_representations(encoder, train, batch_size),
            train.labels,
            representations,
            test.labels,
            k=20,
            temperature=math.inf,  # All neighbors have the same vote.
        ),
        "expected_calibration_error": predictions["expected_calibration_error"],
    }
    return {name: round(value, 4) for name, value in metrics.items()}, representations


def table(metrics: dict[str, dict[str, Any]]) -> str:
    """Writes the metrics of the methods as a table in Markdown."""
    from experiments.lib.tables import markdown_table

    rows = [
        [
            method,
            f"{each['accuracy']:.4f}",
            f"{each['knn_accuracy']:.4f}",
            f"{each['expected_calibration_error']:.4f}",
            f"{each['seconds']:.0f}",
        ]
        for method, each in metrics.items()
    ]
    header = ["method", "accuracy", "k-NN accuracy", "calibration error", "seconds"]
    return markdown_table(header, rows)


if __name__ == "__main__":
    run(main)
