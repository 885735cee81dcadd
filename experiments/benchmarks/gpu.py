"""Checks this library on a GPU, and measures its speed and memory.

    python -m experiments.benchmarks.gpu --output_dir=gpu_report

uses the first GPU, or the CPU if there is no GPU. It measures

- the errors of matrix products, losses and gradients against float64;
- time and memory of the loss from 1,024 to 131,072 rows, and of the dense formula in TensorFlow,
  XLA and PyTorch (if it is installed);
- training steps of a ResNet-18 in three dtype policies, with and without XLA;
- the input pipeline;
- the weights after a training on two logical devices against those after a training on one.

Every part runs in a process of its own: if one crashes, the others still run. Prints a table for
every part, and writes gpu.json after every row, so that an interrupted run keeps what it has. The
exit status is 1 if something failed. docs/gpu.md explains the tables.

    python -m experiments.benchmarks.gpu --device=cpu

tries all parts on a CPU, with small numbers, in a few minutes.
"""

import multiprocessing
import os
import pathlib
import platform
import subprocess
import sys
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

from absl import app, flags

from experiments.lib import files

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

TITLES = {
    "products": "Matrix products against float64",
    "losses": "Loss and gradient against float64",
    "loss_time": "Time and memory of the loss and its gradient",
    "loss_time_pytorch": "The same in PyTorch",
    "training_step": "Training step",
    "input_pipeline": "Input pipeline",
    "replicas": "Two logical devices against one",
}
# The values of flags that are not given. Those of the CPU only try the parts.
DEFAULTS: dict[str, dict[str, Any]] = {
    "GPU": {
        "rows": [2**k for k in range(10, 18)],
        "steps": 20,
        "batch_size": 512,
        "depth": 18,
        "width": 1.0,
    },
    "CPU": {"rows": [256, 1024], "steps": 2, "batch_size": 16, "depth": 10, "width": 0.25},
}
_POLICIES = ["float32", "mixed_bfloat16", "mixed_float16"]

_DEVICE = flags.DEFINE_enum("device", "auto", ["auto", "cpu"], "`auto` is the GPU if there is one.")
_PARTS = flags.DEFINE_multi_enum("part", list(TITLES), list(TITLES), "A part; all by default.")
_ROWS = flags.DEFINE_multi_integer(
    "rows",
    None,
    "Even numbers of rows of the loss; 1,024 to 131,072 on a GPU by default. The comparison with "
    "float64 uses at most 2048.",
    lower_bound=8,
)
_STEPS = flags.DEFINE_integer(
    "steps", None, "Timed steps of a training; 20 on a GPU by default.", lower_bound=1
)
_BATCH_SIZE = flags.DEFINE_integer(
    "batch_size",
    None,
    "Images in a batch, each with two views; 512 on a GPU by default.",
    lower_bound=2,
)
_DEPTH = flags.DEFINE_integer("depth", None, "Depth of the ResNet; 18 on a GPU by default.")
_WIDTH = flags.DEFINE_float("width", None, "Width of the ResNet; 1 on a GPU by default.")
_DTYPE_POLICIES = flags.DEFINE_multi_enum("dtype_policy", _POLICIES, _POLICIES, "A dtype policy.")
_SECONDS = flags.DEFINE_float("seconds", 2, "Time for the repetitions of a case.", lower_bound=0)
_OUTPUT_DIR = flags.DEFINE_string("output_dir", ".", "The directory for gpu.json.")

flags.register_validator(
    "rows", lambda rows: all(n % 2 == 0 for n in rows or []), "The numbers of rows must be even."
)


def describe_device() -> dict[str, Any]:
    """Returns the name, the kind and the memory in bytes of the device, and the driver of a GPU."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        name = f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPU cores"
        return {"name": name, "kind": "CPU", "memory_bytes": memory}
    details = tf.config.experimental.get_device_details(gpus[0])
    name = details.get("device_name", "GPU without a name")
    capability = ".".join(map(str, details.get("compute_capability", ())))
    return {"name": name, "kind": "GPU", "compute_capability": capability} | _query_driver(name)


def _query_driver(name: str) -> dict[str, Any]:
    """Asks nvidia-smi for the memory and the driver of a GPU."""
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version"]
    try:
        process = subprocess.run(
            [*query, "--format=csv,noheader,nounits"], capture_output=True, check=True, text=True
        )
        for line in process.stdout.splitlines():
            found, mebibytes, driver = line.split(", ")
            if found == name:
                return {"memory_bytes": int(mebibytes) * 2**20, "driver": driver}
    except (OSError, subprocess.CalledProcessError, ValueError):
        pass  # No NVIDIA GPU, or one that does not tell its memory.
    return {"memory_bytes": None}


def main(_) -> None:
    """Measures, prints and writes."""
    if _DEVICE.value == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    from experiments.benchmarks.gpu_parts import Settings
    from supcon_tf.commands.run_directory import package_versions

    device = describe_device()
    if device["kind"] == "CPU" and _DEVICE.value == "auto":
        print("TensorFlow finds no GPU. This measures the CPU.", file=sys.stderr)
    print(f"# {device['name']}\n", flush=True)
    given = {
        flag.name: flag.value
        for flag in (_ROWS, _STEPS, _BATCH_SIZE, _DEPTH, _WIDTH)
        if flag.value is not None
    }
    settings = Settings(
        **DEFAULTS[device["kind"]] | given,
        dtype_policies=_DTYPE_POLICIES.value,
        seconds=_SECONDS.value,
        memory_bytes=device["memory_bytes"],
    )
    report = {
        "device": device,
        "versions": package_versions(),
        "settings": settings._asdict(),
        "parts": {},
    }
    directory = pathlib.Path(_OUTPUT_DIR.value)
    directory.mkdir(parents=True, exist_ok=True)
    for part in _PARTS.value:
        report["parts"][part] = result = {"records": []}
        settings = settings._replace(views_per_second=_consumed_views(report))
        try:
            for record in _measure_in_process(part, settings):
                result["records"].append(record)
                files.write_json(directory / "gpu.json", report)
        except RuntimeError as error:
            result["failed"] = str(error)
            files.write_json(directory / "gpu.json", report)
        print(_describe(part, result), flush=True)
    failures = [part for part, result in report["parts"].items() if _failed(result)]
    print(f"Failed: {', '.join(failures)}" if failures else "Nothing failed.")
    sys.exit(bool(failures))


def _measure_in_process(part: str, settings: Any) -> Iterator[dict[str, Any]]:
    """Yields the records of a part, which a process of its own measures.

    Raises:
        RuntimeError: if the process did not end well.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send_records, args=(part, settings, sender), daemon=True)
    process.start()
    sender.close()  # The process holds the only other one: if it ends, so does the pipe.
    with receiver:
        while True:
            try:
                yield receiver.recv()
            except EOFError:
                break
    process.join()
    if process.exitcode:
        raise RuntimeError(
            f"The process ended with the exit status {process.exitcode}; its last lines above say "
            "why."
        )


def _send_records(part: str, settings: Any, sender: Connection) -> None:
    from experiments.benchmarks import gpu_parts

    for record in gpu_parts.measure(part, settings):
        sender.send(record)


def _consumed_views(report: dict[str, Any]) -> float | None:
    """Returns the views per second of the fastest training step, if one was measured."""
    steps = report["parts"].get("training_step", {"records": []})["records"]
    rates = [2 * step["images_per_second"] for step in steps if "images_per_second" in step]
    return max(rates, default=None)


def _failed(result: dict[str, Any]) -> bool:
    return "failed" in result or any("failed" in record for record in result["records"])


def _describe(part: str, result: dict[str, Any]) -> str:
    """Returns the title of a part, its records as a table and the reason if it failed."""
    from experiments.lib.tables import markdown_table

    columns = list(dict.fromkeys(key for record in result["records"] for key in record))
    cells = [[_format(record.get(key)) for key in columns] for record in result["records"]]
    text = f"## {TITLES[part]}\n\n"
    if columns:
        text += markdown_table([key.replace("_", " ") for key in columns], cells)
    if "failed" in result:
        text += f"\nFailed: {result['failed']}\n"
    return text


def _format(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{value:,}" if type(value) is int else str(value)


if __name__ == "__main__":
    app.run(main)
