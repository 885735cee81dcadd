"""Kills trainings at random times, resumes them, and compares with an uninterrupted training.

    python -m experiments.benchmarks.resume --kills=10
    python -m experiments.benchmarks.resume --kills=3 --workers=2

pretrains a small encoder on the digits of scikit-learn without interruption. Then, for each kill,
it starts the same training, kills it with SIGKILL after a random epoch and a random time, and runs
the same command again to the end. With several workers it kills a random one, and the others end by
themselves. Prints whether the weights of the encoder are bitwise the same and the log agrees to
five digits. A training takes about half a minute on 2 cores, and one and a half with two workers.
"""

import pathlib
import random
import subprocess
import sys
import tempfile
import zipfile

from absl import flags

from experiments.lib.clusters import start_cluster
from experiments.lib.command_line import check_arguments, run

_KILLS = flags.DEFINE_integer("kills", 10, "Number of trainings to kill.", lower_bound=1)
_WORKERS = flags.DEFINE_integer("workers", 1, "Number of workers of a training.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the times.")

_RECIPE = (
    "--config=experiments/configs/digits_small.py",
    "--config.epochs=6",
    "--config.train_images=640",
    "--config.batch_size=64",
    "--config.image_size=8",
    "--config.encoder.width=0.125",
    "--config.checkpoint_steps=7",
)
_TIMEOUT = 300  # Seconds after which a training is considered hanging.


def start(output_dir: pathlib.Path, workers: int) -> list[subprocess.Popen]:
    """Starts the training with one process for each worker."""
    command = [sys.executable, "-u", "-m", "experiments.pretrain", *_RECIPE]
    command.append(f"--output_dir={output_dir}")
    if workers > 1:
        command.append("--strategy=multi_worker")
    return start_cluster(command, workers)


def finish(processes: list[subprocess.Popen]) -> str:
    """Waits for a training and returns the output of its first worker.

    Raises:
        RuntimeError: if the training fails.
    """
    outputs = [process.communicate(timeout=_TIMEOUT)[0] for process in processes]
    for process, output in zip(processes, outputs, strict=True):
        if process.returncode:
            raise RuntimeError(f"the training ended with {process.returncode}:\n{output}")
    return outputs[0]


def kill(processes: list[subprocess.Popen], victim: int, epochs: int, seconds: float) -> None:
    """Kills a worker some seconds after the start of an epoch, and waits for the others."""
    logged = 0
    for line in processes[0].stdout:
        logged += line.startswith("Epoch ")
        if logged > epochs:
            break
    try:
        processes[victim].wait(seconds)
    except subprocess.TimeoutExpired:
        processes[victim].kill()
    for process in processes:
        process.communicate(timeout=_TIMEOUT)


def weights(output_dir: pathlib.Path) -> bytes:
    """Returns the weights of a finished training."""
    with zipfile.ZipFile(output_dir / "encoder.keras") as encoder:
        return encoder.read("model.weights.h5")


def log(output_dir: pathlib.Path) -> list[list[float]]:
    """Returns the rounded metrics of every epoch; several workers sum them in another order."""
    _, *rows = (output_dir / "log.csv").read_text().splitlines()
    return [[float(f"{float(value):.5g}") for value in row.split(",")] for row in rows]


def main(argv: list[str]) -> None:
    """Runs the trainings and prints a table."""
    check_arguments(argv)
    rng = random.Random(_SEED.value)
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory)
        finish(start(root / "uninterrupted", _WORKERS.value))
        expected = weights(root / "uninterrupted"), log(root / "uninterrupted")
        print("| killed in epoch | seconds into it | worker | weights and log |\n|---|---|---|---|")
        for number in range(_KILLS.value):
            output_dir = root / str(number)
            victim = rng.randrange(_WORKERS.value)
            epochs, seconds = rng.randrange(6), rng.uniform(0, 1)
            kill(start(output_dir, _WORKERS.value), victim, epochs, seconds)
            finish(start(output_dir, _WORKERS.value))
            same = (weights(output_dir), log(output_dir)) == expected
            result = "the same" if same else "DIFFERENT"
            print(f"| {epochs + 1} | {seconds:.2f} | {victim} | {result} |", flush=True)


if __name__ == "__main__":
    run(main)
