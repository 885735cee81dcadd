r"""Tries other settings than those that `python -m supcon_tf train` chooses, on held-out images.

    python -m experiments.command_trials --folder=digits --folder=fashion --folder=cifar --epochs=20

Each folder contains images as the command takes them; a test set inside is not used. Every trial
of `TRIALS` changes the chosen settings, trains both stages on a part of the training images of
each folder, and classifies the rest. The table of accuracies is printed, and each result is a line
of records.jsonl in the output directory. Run the same command again to resume an interrupted trial
and to skip those with a result.
"""

import pathlib
import statistics
import time
from collections.abc import Callable
from typing import Any

from absl import flags

from experiments.lib.command_line import are_seeds, check_arguments, run
from experiments.lib.tables import markdown_table

_FOLDERS = flags.DEFINE_multi_string("folder", None, "A folder of images; repeatable.")
_EPOCHS = flags.DEFINE_integer("epochs", 20, "Epochs of the first stage.", lower_bound=1)
_HOLD_OUT = flags.DEFINE_float(
    "hold_out", 0.4, "The fraction of the images that test.", lower_bound=0.0, upper_bound=1.0
)
_SEEDS = flags.DEFINE_list("seeds", ["0"], "Seeds, separated by commas.")
flags.register_validator(_SEEDS, are_seeds, "must be integers")
_TRIALS = flags.DEFINE_list("trials", None, "Names of trials, separated by commas; all by default.")
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", "runs/command_trials", "The directory for records and runs."
)
flags.mark_flag_as_required("folder")

# From the chosen settings to the fields that a trial changes.
TRIALS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "chosen": lambda chosen: {},
    "learning rate x 2.5": lambda chosen: {"learning_rate": 2.5 * chosen.learning_rate},
    "learning rate x 0.4": lambda chosen: {"learning_rate": 0.4 * chosen.learning_rate},
    "temperature 0.1": lambda chosen: {"temperature": 0.1},
    "temperature 0.4": lambda chosen: {"temperature": 0.4},
    "crops from 0.25": lambda chosen: {"crop_scale": 0.25},
    "color strength 0.25": lambda chosen: {"color_strength": 0.25},
    "weight decay 1e-4": lambda chosen: {"weight_decay": 1e-4},
    "batch x 0.5": lambda chosen: {
        "batch_size": chosen.batch_size // 2,
        "learning_rate": chosen.learning_rate / 2,
    },
    "width x 0.5, epochs x 2": lambda chosen: {
        "width": chosen.width / 2,
        "epochs": 2 * chosen.epochs,
        "warmup_epochs": 2 * chosen.warmup_epochs,
    },
}


def main(argv: list[str]) -> None:
    """Trains the trials without a result and prints the table."""
    check_arguments(argv)
    output_dir = pathlib.Path(_OUTPUT_DIR.value)
    names = _TRIALS.value or list(TRIALS)
    unknown = [name for name in names if name not in TRIALS]
    if unknown:
        raise ValueError(f"`--trials` must be some of {list(TRIALS)}. Received: {unknown}")
    from experiments.lib.files import read_json_lines, write_json_lines
    from supcon_tf._files import lock_directory

    lock_directory(output_dir)
    path = output_dir / "records.jsonl"
    records = read_json_lines(path)
    for seed in map(int, _SEEDS.value):
        for folder in map(pathlib.Path, _FOLDERS.value):
            for name in names:
                key = {"data": folder.name, "trial": name, "epochs": _EPOCHS.value, "seed": seed}
                if any(key.items() <= record.items() for record in records):
                    continue
                directory = output_dir / "-".join(str(value) for value in key.values())
                print(f"--- {directory.name}", flush=True)
                records.append(key | _run_trial(folder, name, seed, directory))
                write_json_lines(path, records)
    print(trials_table(records), end="")


def _run_trial(
    folder: pathlib.Path, name: str, seed: int, directory: pathlib.Path
) -> dict[str, Any]:
    """Trains on a part of the images, and returns the changed settings and the accuracy."""
    import dataclasses

    import keras
    import numpy as np

    from supcon_tf.commands import image_files, labeled_files, stages
    from supcon_tf.commands.representations import compute_representations
    from supcon_tf.commands.settings import choose_settings

    start = time.monotonic()
    source, _ = labeled_files.find_test_set(folder, None)
    files = labeled_files.read_labeled_files(source)
    train, test = (files.take(part) for part in labeled_files.hold_out(files, _HOLD_OUT.value, 0))
    summary = image_files.summarize(train.paths, 0, len(files.class_names))
    chosen = choose_settings(summary, epochs=_EPOCHS.value)
    changes = TRIALS[name](chosen)
    settings = dataclasses.replace(chosen, **changes)
    pixels = image_files.load_for_training(
        train.paths, train.targets, len(files.class_names), settings
    )
    images = stages.TrainingImages(pixels, train.targets, files.class_names)
    arguments: dict[str, Any] = {"seed": seed, "inputs": {"images": str(folder.resolve())}}
    encoder = stages.train_encoder(images, settings, directory, **arguments)
    classifier = stages.train_classifier(encoder, images, settings, directory, **arguments)
    representations = compute_representations(
        classifier.encoder,
        image_files.load_for_evaluation(test.paths, settings.channels),
        250,
        short_side=settings.short_side,
    )
    predicted = np.asarray(classifier.head(representations)).argmax(axis=1)
    keras.backend.clear_session()
    return {
        "changes": changes,
        "accuracy": round(float((predicted == test.targets).mean()), 4),
        "train_images": len(train),
        "test_images": len(test),
        "seconds": round(time.monotonic() - start, 1),
    }


def trials_table(records: list[dict[str, Any]]) -> str:
    """Returns a Markdown table of mean accuracies: a row per trial, a column per folder."""
    accuracies: dict[tuple[str, str], list[float]] = {}
    for record in records:
        accuracies.setdefault((record["trial"], record["data"]), []).append(record["accuracy"])
    trials, folders = (list(dict.fromkeys(names)) for names in zip(*accuracies, strict=True))

    def cell(trial: str, folder: str) -> str:
        found = accuracies.get((trial, folder))
        return f"{statistics.mean(found):.4f}" if found else ""

    rows = ([trial, *(cell(trial, folder) for folder in folders)] for trial in trials)
    return markdown_table(["trial", *folders], rows)


if __name__ == "__main__":
    run(main)
