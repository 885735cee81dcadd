"""Kills a small training at its writes, runs it again, and compares it with an uninterrupted one.

    python -m experiments.benchmarks.faults
    python -m experiments.benchmarks.faults --layer=strace --kills=120
    python -m experiments.benchmarks.faults --target=grid

A process that has imported TensorFlow forks a child for every training. The child is killed by
SIGKILL just before its n-th call of one kind: of a rename, of the removal of a file or a directory,
of the creation of a directory, of an fsync, or of a write. A second child then trains in the same
directory. Weights, log and results must be the same to the last bit, and no temporary file may
remain.

The layer `python` wraps the functions of Python, and `Checkpoint.write` of TensorFlow as a whole.
The layer `strace` kills at system calls of the whole process, so also within the writes of
TensorFlow, and needs the program of that name.
"""

import builtins
import collections
import contextlib
import functools
import io
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

from absl import flags

from experiments.lib.command_line import check_arguments, run

_LAYER = flags.DEFINE_enum("layer", "python", ["python", "strace"], "Where the kills are.")
_KILLS = flags.DEFINE_integer(
    "kills", 24, "Number of kills, spread over the calls of each kind.", lower_bound=1
)
_TARGET = flags.DEFINE_enum(
    "target", "training", ["training", "grid"], "What is killed: a training, or a grid of two."
)
_JOBS = flags.DEFINE_integer("jobs", 2, "Number of trainings at a time.", lower_bound=1)

PYTHON_CALLS = {
    "rename": [(os, "rename"), (os, "replace")],
    "remove": [(os, "unlink"), (os, "remove"), (os, "rmdir")],
    "mkdir": [(os, "mkdir")],
    "fsync": [(os, "fsync")],
    "write": [(builtins, "open"), (io, "open")],
}
SYSTEM_CALLS = (
    "rename",
    "unlink",
    "unlinkat",
    "rmdir",
    "mkdir",
    "fsync",
    "write",
    "writev",
    "pwrite64",
)


def count_calls(layer: str, root: pathlib.Path) -> dict[str, int]:
    """Returns the number of calls of each kind in an uninterrupted training.

    Args:
        layer: `"python"` or `"strace"`.
        root: receives the training, in `uninterrupted`.
    """
    if layer == "python":
        counts = root / "counts.json"
        _wait(_fork(functools.partial(_train_and_count, root / "uninterrupted", counts)))
        return json.loads(counts.read_text())
    log = root / "strace.log"
    calls = ",".join(SYSTEM_CALLS)
    with _strace(root / "uninterrupted", f"--trace={calls}", f"--output={log}") as process:
        _wait(process)
    # strace counts the calls of each thread.
    calls_of_threads = collections.Counter(re.findall(r"^(\d+) +(\w+)\(", log.read_text(), re.M))
    counts = dict.fromkeys(SYSTEM_CALLS, 0)
    for (_, kind), count in calls_of_threads.items():
        counts[kind] = max(counts[kind], count)
    return counts


def spread(counts: dict[str, int], kills: int) -> list[tuple[str, int]]:
    """Chooses calls: of each kind the first, the last, and others at equal distances.

    Args:
        counts: the number of calls of each kind.
        kills: the number of calls to choose, less where there are fewer.
    """
    counts = {kind: count for kind, count in counts.items() if count}
    share = max(3, -(-kills // len(counts)))
    points = []
    for kind, count in counts.items():
        number = min(share, count)
        steps = {round(1 + k * (count - 1) / max(1, number - 1)) for k in range(number)}
        points += [(kind, step) for step in sorted(steps)]
    return points


def kill_and_resume(layer: str, root: pathlib.Path, kind: str, call: int) -> str:
    """Kills a training at a call, trains again, and returns the difference or "the same".

    Args:
        layer: `"python"` or `"strace"`.
        root: the directory with the training `uninterrupted`.
        kind: the kind of call.
        call: its number, counted from 1.
    """
    directory = root / f"{kind}-{call}"
    if layer == "python":
        status = _wait(_fork(functools.partial(_train_until_call, directory, kind, call)))
    else:
        inject = f"--inject={kind}:signal=KILL:when={call}"
        with _strace(directory, f"--trace={kind}", inject, "--output=/dev/null") as process:
            status = _wait(process)
    if status != -signal.SIGKILL:
        return "not reached" if status == 0 else f"ended with {status}"
    log = root / f"{directory.name}.log"
    if _wait(_fork(functools.partial(_train, directory), log)) != 0:
        return "FAILED: " + log.read_text().splitlines()[-1]
    difference = compare(directory, root / "uninterrupted")
    shutil.rmtree(directory)
    return difference or "the same"


def compare(directory: pathlib.Path, expected: pathlib.Path) -> str:
    """Returns what differs between two finished trainings or grids, or an empty string."""
    if (expected / "records.jsonl").exists():
        if _records(directory) != _records(expected):
            return "records"
        runs = sorted(path.name for path in (expected / "records").iterdir())
        results = (compare(directory / "records" / run, expected / "records" / run) for run in runs)
        return ", ".join(result for result in results if result)
    differences = []
    if _weights(directory) != _weights(expected):
        differences.append("weights")
    if (directory / "log.csv").read_bytes() != (expected / "log.csv").read_bytes():
        differences.append("log")
    if _history(directory) != _history(expected):
        differences.append("results")
    if extra := _names(directory) - _names(expected):
        differences.append(f"leftovers {sorted(extra)}")
    if missing := _names(expected) - _names(directory):
        differences.append(f"missing {sorted(missing)}")
    return ", ".join(differences)


def _train(directory: pathlib.Path) -> None:
    from experiments.benchmarks import small_training

    if _TARGET.value == "grid":
        small_training.run_grid(directory)
    else:
        small_training.run(directory)


def _train_and_count(directory: pathlib.Path, path: pathlib.Path) -> None:
    counts = _wrap_calls(lambda kind, count: None)
    _train(directory)
    path.write_text(json.dumps(dict(counts)))


def _train_until_call(directory: pathlib.Path, kind: str, call: int) -> None:
    def kill(called: str, count: int) -> None:
        if (called, count) == (kind, call):
            os.kill(os.getpid(), signal.SIGKILL)

    _wrap_calls(kill)
    _train(directory)


def _wrap_calls(before: Callable[[str, int], None]) -> dict[str, int]:
    """Counts the calls from now on, and calls `before` with the kind and the number of each."""
    import tensorflow as tf

    counts = dict.fromkeys(PYTHON_CALLS, 0)

    def wrap(kind: str, owner: Any, name: str) -> None:
        function = getattr(owner, name)

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            mode = kwargs.get("mode", args[1] if len(args) > 1 else "r")
            if kind != "write" or name == "write" or set(str(mode)) & set("wax+"):
                counts[kind] += 1
                before(kind, counts[kind])
            return function(*args, **kwargs)

        setattr(owner, name, wrapped)

    for kind, functions in PYTHON_CALLS.items():
        for owner, name in functions:
            wrap(kind, owner, name)
    wrap("write", tf.train.Checkpoint, "write")
    return counts


def _fork(function: Callable[[], None], log: pathlib.Path | None = None) -> int:
    """Runs a function in a child, and returns its process id."""
    sys.stdout.flush()
    process = os.fork()
    if process:
        return process
    status = 1
    try:
        output = os.open(log or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        function()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _wait(process: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


@contextlib.contextmanager
def _strace(directory: pathlib.Path, *arguments: str) -> Iterator[int]:
    """Trains in a child under strace, and yields its process id."""
    read, write = os.pipe()

    def train() -> None:
        os.read(read, 1)  # until strace is attached
        _train(directory)

    child = _fork(train)
    command = ["strace", "--follow-forks", *arguments, f"--attach={child}"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
        assert tracer.stderr is not None
        for line in tracer.stderr:
            if "attached" in line:
                break
        os.write(write, b".")
        yield child
        tracer.communicate()
    os.close(read)
    os.close(write)


def _weights(directory: pathlib.Path) -> bytes:
    with zipfile.ZipFile(directory / "encoder.keras") as encoder:
        return encoder.read("model.weights.h5")


def _history(directory: pathlib.Path) -> Any:
    return json.loads((directory / "results.json").read_text())["history"]


def _records(directory: pathlib.Path) -> list[Any]:
    """Returns the records of a grid without its times."""
    lines = (directory / "records.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    return [
        {name: value for name, value in record.items() if name not in ("seconds", "finished")}
        for record in records
    ]


def _names(directory: pathlib.Path) -> set[str]:
    """Returns the names of all files, with those of TensorBoard's logs shortened."""
    names = {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}
    return {re.sub(r"(events\.out\.tfevents).*", r"\1", name) for name in names}


def run_kills(layer: str, kills: int, jobs: int, root: pathlib.Path) -> list[tuple[str, int, str]]:
    """Returns the kind, the number of the call, and the result of each kill.

    Args:
        layer: `"python"` or `"strace"`.
        kills: number of kills.
        jobs: number of trainings at a time.
        root: an empty directory.
    """
    import experiments.benchmarks.small_training  # noqa: F401  (imported once, before the forks)

    points = spread(count_calls(layer, root), kills)

    def work(job: int) -> None:
        results = [
            (kind, call, kill_and_resume(layer, root, kind, call))
            for kind, call in points[job::jobs]
        ]
        (root / f"job{job}.json").write_text(json.dumps(results))

    workers = [_fork(functools.partial(work, job), root / f"job{job}.log") for job in range(jobs)]
    for job, worker in enumerate(workers):
        if _wait(worker):
            raise RuntimeError((root / f"job{job}.log").read_text())
    results = [
        tuple(result)
        for job in range(jobs)
        for result in json.loads((root / f"job{job}.json").read_text())
    ]
    return sorted(results)


def main(argv: list[str]) -> None:
    """Kills, resumes, and prints a table."""
    check_arguments(argv)
    if _LAYER.value == "strace" and shutil.which("strace") is None:
        raise SystemExit("--layer=strace needs the program strace")
    with tempfile.TemporaryDirectory() as directory:
        results = run_kills(_LAYER.value, _KILLS.value, _JOBS.value, pathlib.Path(directory))
    print("| killed before | call | after the same command |\n|---|---|---|")
    for kind, call, result in results:
        print(f"| {kind} | {call} | {result} |")
    killed = [result for *_, result in results if result != "not reached"]
    same = sum(result == "the same" for result in killed)
    print(f"\n{same} of {len(killed)} killed trainings ended like the uninterrupted one")
    if same < len(killed):
        raise SystemExit(1)


if __name__ == "__main__":
    run(main)
