"""Kills a training at random moments, starts it again, and compares with one that was not killed.

    python -m experiments.benchmarks.resume --kills=10
    python -m experiments.benchmarks.resume --kills=3 --workers=2

pretrains a small encoder on the digits of scikit-learn, once undisturbed; then again for each kill,
with SIGKILL after a random line of its output and a random time; and after that with the same
command to its end. With several workers a random one of them is killed, and the others end by
themselves. Says of each whether the encoder's weights are bitwise the same, and the log to five
digits. A training takes about half a minute on 2 cores, with two workers about one and a half.
"""

import json
import os
import pathlib
import random
import socket
import subprocess
import sys
import tempfile
import zipfile

from absl import app, flags

_KILLS = flags.DEFINE_integer("kills", 10, "How many trainings to kill.", lower_bound=1)
_WORKERS = flags.DEFINE_integer("workers", 1, "Workers of each training.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the moments.")

_RECIPE = (
    "--config=experiments/configs/digits_small.py",
    "--config.epochs=6",
    "--config.train_images=640",
    "--config.batch_size=64",
    "--config.image_size=8",
    "--config.encoder.width=0.125",
    "--config.checkpoint_steps=7",
)
_LIMIT = 300  # seconds after which a training counts as hanging


def start(output_dir: pathlib.Path, workers: int) -> list[subprocess.Popen]:
    """Starts the training as one process for each worker."""
    command = [sys.executable, "-u", "-m", "experiments.pretrain", *_RECIPE]
    command.append(f"--output_dir={output_dir}")
    environments = [{}]
    if workers > 1:
        command.append("--strategy=multi_worker")
        cluster = {"worker": [f"127.0.0.1:{port}" for port in _free_ports(workers)]}
        tasks = [{"type": "worker", "index": index} for index in range(workers)]
        environments = [
            {"TF_CONFIG": json.dumps({"cluster": cluster, "task": task})} for task in tasks
        ]
    return [
        subprocess.Popen(
            command,
            env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for environment in environments
    ]


def finish(processes: list[subprocess.Popen]) -> str:
    """Waits for a training; returns what its first worker wrote.

    Raises:
        RuntimeError: if it fails.
    """
    outputs = [process.communicate(timeout=_LIMIT)[0] for process in processes]
    for process, output in zip(processes, outputs, strict=True):
        if process.returncode:
            raise RuntimeError(f"the training ended with {process.returncode}:\n{output}")
    return outputs[0]


def kill(processes: list[subprocess.Popen], victim: int, epochs: int, seconds: float) -> None:
    """Kills a worker after its first has logged some epochs and some time; waits for the others."""
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
        process.communicate(timeout=_LIMIT)


def weights(output_dir: pathlib.Path) -> bytes:
    """The weights of a finished training."""
    with zipfile.ZipFile(output_dir / "encoder.keras") as encoder:
        return encoder.read("model.weights.h5")


def log(output_dir: pathlib.Path) -> list[list[float]]:
    """Every epoch's means. Several workers add up a restored mean in another order, and round."""
    _, *rows = (output_dir / "log.csv").read_text().splitlines()
    return [[float(f"{float(value):.5g}") for value in row.split(",")] for row in rows]


def _free_ports(number: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def main(argv: list[str]) -> None:
    """Makes the trainings and prints a table."""
    if len(argv) > 1:
        raise app.UsageError(f"Flags only. Received: {argv[1:]}")
    moments = random.Random(_SEED.value)
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory)
        finish(start(root / "undisturbed", _WORKERS.value))
        expected = weights(root / "undisturbed"), log(root / "undisturbed")
        print("| killed in epoch | seconds into it | worker | weights and log |\n|---|---|---|---|")
        for number in range(_KILLS.value):
            output_dir = root / str(number)
            victim = moments.randrange(_WORKERS.value)
            epochs, seconds = moments.randrange(6), moments.uniform(0, 1)
            kill(start(output_dir, _WORKERS.value), victim, epochs, seconds)
            finish(start(output_dir, _WORKERS.value))
            same = (weights(output_dir), log(output_dir)) == expected
            result = "the same" if same else "DIFFERENT"
            print(f"| {epochs + 1} | {seconds:.2f} | {victim} | {result} |", flush=True)


if __name__ == "__main__":
    app.run(main)
