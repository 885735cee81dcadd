"""Chooses the quickstart's learning rates and temperature on held-out training images.

    python -m experiments.quickstart_trials --idx_dir=DIRECTORY

makes eight trials with each method on Fashion-MNIST, SupCon with pairs of temperature and learning
rate, cross-entropy with learning rates; then, with the best of these, trials in which one other
thing is changed: 12,000 training images, 5 epochs, judged on 5,000 other training images. A trial
takes 1 to 2 minutes on 2 cores. Each result is appended to trials.jsonl; started again, the script
makes only the trials that are missing. It prints the table that stands in
docs/quickstart_comparison.md.
"""

import json
import pathlib

from absl import app, flags

from experiments import quickstart
from experiments.lib import strategy_flags

_TRIALS_DIR = flags.DEFINE_string("trials_dir", "runs/trials", "Where trials.jsonl goes.")

TRIALS = [
    *(
        ("supcon", {"temperature": temperature, "supcon_learning_rate": learning_rate})
        for temperature, learning_rates in (
            (0.1, (0.2, 0.5, 1.0)),
            (0.2, (0.2, 0.5, 1.0)),
            (0.4, (0.2, 0.5)),
        )
        for learning_rate in learning_rates
    ),
    *(
        ("cross_entropy", {"cross_entropy_learning_rate": learning_rate})
        for learning_rate in (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.7, 1.0)
    ),
    ("supcon", {"batch_size": 128}),
    ("supcon", {"crop_area": [0.2, 1.0]}),
    ("supcon", {"projection_widths": [512, 128]}),
    ("supcon", {"epochs": 10}),
    ("cross_entropy", {"epochs": 10}),
]


def main(argv: list[str]) -> None:
    """Makes the missing trials and prints all."""
    del argv
    strategy = strategy_flags.make_strategy()
    from experiments.lib import datasets
    from experiments.lib.divergence import Diverged

    path = pathlib.Path(_TRIALS_DIR.value) / "trials.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = path.read_text().splitlines() if path.exists() else []
    done = [json.loads(line) for line in lines]
    train, test = datasets.load_both("fashion_mnist", flags.FLAGS.idx_dir, 12_000, 5_000)
    for method, changes in TRIALS:
        if any(trial["method"] == method and trial["changes"] == changes for trial in done):
            continue
        settings = quickstart.SETTINGS["fashion_mnist"]._replace(**{"epochs": 5, **changes})
        try:
            outcome = quickstart.train_and_test(method, train, test, settings, 0, strategy)
        except Diverged as error:  # the others shall have their turn
            print(f"{method}, {changes}: {error}", flush=True)
            continue
        done.append({"method": method, "changes": changes, **outcome["results"]})
        with path.open("a") as file:
            file.write(json.dumps(done[-1]) + "\n")
    print("| method | changed | held-out accuracy | k-NN accuracy | loss |\n|---|---|---|---|---|")
    for trial in sorted(done, key=lambda trial: (trial["method"], -trial["accuracy"])):
        changed = ", ".join(f"{name} {value}" for name, value in trial["changes"].items())
        print(
            f"| {trial['method']} | {changed} | {trial['accuracy']:.4f} "
            f"| {trial['knn_accuracy']:.4f} | {trial['loss'][-1]:.3f} |"
        )


if __name__ == "__main__":
    app.run(main)
