"""Compiles training steps and losses for a TPU and a GPU that the machine does not have.

    pip install "supcon-tf[experiments,tpu-check]"
    python -m experiments.benchmarks.accelerator_compile

writes every program as HLO, compiles it for one TPU v5e chip, and prints a table of the memory that
the compiler plans. The same command compiles the same files for an H100 in another environment,
with Python 3.12 or newer:

    pip install "supcon-tf[experiments,gpu-compile]"
    python -m experiments.benchmarks.accelerator_compile

The results are added to accelerators.json after each program, and programs with a result are not
compiled again. Delete `--output_dir` to repeat them, or after a change of the library. The programs
are:

- the training step of every recipe, such as `digits_small`, and of its second stage,
  `digits_small.linear`, as the scripts train them. If the docstring of a recipe names several
  devices, the batch is the share of one device, without communication;
- `cifar_step`: a step of `SupConModel` with a ResNet-50 for CIFAR-10, 1024 images of 2 views and
  mixed_bfloat16. `imagenet_step`: the same with 224 pixels and one core's share of the batch in the
  paper, 6144 images on 128 cores;
- `streaming` and `dense`: the SupCon loss of 65,536 rows of 128 numbers and its gradient;
- `n_pairs`, `semi_hard_triplets`, `hard_triplets`, `max_margin_pairs`: the losses of
  `supcon_tf.similarity.pair_losses`, which hold all pairs, with 4096 rows.

Expected for the TPU: tens of MB for `streaming`; `dense` is rejected, which exceeds the 16 GB of
the chip; 15.5 GB for `cifar_step` and 3.6 GB for `imagenet_step`; less than nine matrices of all
pairs in float32, which is 600 MB, for the losses of pairs. A program takes between half a minute
and some minutes on two cores. The interfaces of jax used here are not stable, which is why the
extras pin their versions.
"""

import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from absl import app, flags

from experiments import configs
from experiments.lib import files
from experiments.lib.tables import markdown_table

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")  # The HLO is the one for the CPU everywhere.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

_LINEAR = ".linear"
_RECIPES = [
    program
    for name in configs.NAMES
    for program in (
        [name] if name.endswith(configs.CLASSIFIER_SUFFIXES) else [name, name + _LINEAR]
    )
]
_STEPS = {"cifar_step": ("cifar", 32, 1024), "imagenet_step": ("imagenet", 224, 6144 // 128)}
_LOSSES = {
    "streaming": 65536,
    "dense": 65536,
    "n_pairs": 4096,
    "semi_hard_triplets": 4096,
    "hard_triplets": 4096,
    "max_margin_pairs": 4096,
}
_PROGRAMS = [*_LOSSES, *_STEPS, *_RECIPES]

_PROGRAM = flags.DEFINE_multi_enum(
    "program", _PROGRAMS, _PROGRAMS, "What to compile; repeatable, all by default."
)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", "runs/accelerators", "The directory for the HLO and accelerators.json."
)

# Memory in GB. The H100 has 80 GB; the program would fit on other GPUs with less.
_SIZES = (16, 40, 80)
_TPU_SIZE = 16


def write_program(name: str, directory: pathlib.Path) -> None:
    """Writes NAME.hlo and, last, NAME.json with its dtype policy, batch size and missing kernel."""
    import keras

    from experiments.lib import accelerator_programs as programs
    from experiments.lib.hlo import MissingKernelError, translate

    if name in _LOSSES:
        program = programs.loss_and_gradient(name, _LOSSES[name])
    elif name in _STEPS:
        program = programs.resnet_step(*_STEPS[name])
    else:
        recipe, linear = name.removesuffix(_LINEAR), name.endswith(_LINEAR)
        program = programs.recipe_step(recipe, directory, linear=linear)
    about = {"dtype": program.dtype, "batch_size": program.batch_size, "missing_kernel": None}
    try:
        hlo = translate(program.step, *program.specs)
    except MissingKernelError as error:
        about["missing_kernel"] = str(error)
    else:
        files.write_atomically(directory / f"{name}.hlo", lambda path: path.write_bytes(hlo))
    files.write_json(directory / f"{name}.json", about)
    keras.backend.clear_session()


def compile_program(name: str, directory: pathlib.Path) -> dict[str, Any]:
    """Compiles a written program with the installed compiler, and returns the row of the result."""
    from experiments.lib import jax_compilers

    compiler = jax_compilers.installed_compiler()
    about = json.loads((directory / f"{name}.json").read_text())
    missing = about.pop("missing_kernel")
    row = {"program": name, **about, "device": compiler.device}
    if missing:
        return {**row, "rejected": f"XLA has no kernel for {missing}"}
    try:
        memory = jax_compilers.compile_hlo((directory / f"{name}.hlo").read_bytes(), compiler)
    except jax_compilers.RejectedProgramError as error:
        return {**row, "rejected": str(error).splitlines()[0][:300]}
    return {**row, **dataclasses.asdict(memory)}


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Writes a table of the planned memory, and of the sizes of memory that suffice.

    A program fits into the memory of a TPU if the compiler accepts it, and into that of a GPU if
    the arguments, the temporaries and the outputs together are smaller.

    Args:
        rows: the rows of accelerators.json.
    """
    order = sorted(rows, key=lambda row: (_PROGRAMS.index(row["program"]), row["device"]))
    return markdown_table(
        [
            *("program", "dtype", "batch", "device", "temporaries", "arguments"),
            *(f"fits {size} GB" for size in _SIZES),
        ],
        (
            [
                *(row["program"], row["dtype"], f"{row['batch_size']:,}", row["device"]),
                *_memory(row),
                *(_fits(row, size) for size in _SIZES),
            ]
            for row in order
        ),
    )


def _memory(row: Mapping[str, Any]) -> list[str]:
    if "rejected" in row:
        return [f"rejected: {row['rejected']}", ""]
    return [_with_unit(row["temporaries"]), _with_unit(row["arguments"])]


def _with_unit(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def _fits(row: Mapping[str, Any], gigabytes: int) -> str:
    if row["device"].startswith("TPU"):
        if gigabytes != _TPU_SIZE:
            return ""
        return "no" if "rejected" in row else "yes"
    if "rejected" in row:
        return "no"
    total = row["temporaries"] + row["arguments"] + row["outputs"]
    return "yes" if total <= gigabytes * 1e9 else "no"


def main(_) -> None:
    """Writes and compiles the programs that have no result yet, and prints the table of all."""
    from experiments.lib.jax_compilers import installed_compiler

    device = installed_compiler().device
    directory = pathlib.Path(_OUTPUT_DIR.value)
    directory.mkdir(parents=True, exist_ok=True)
    results = directory / "accelerators.json"
    rows = json.loads(results.read_text()) if results.exists() else []
    done = {row["program"] for row in rows if row["device"] == device}
    for name in _PROGRAM.value:
        if name in done:
            continue
        if not (directory / f"{name}.json").exists():
            write_program(name, directory)
        rows.append(compile_program(name, directory))
        files.write_json(results, rows)
        print(table(rows[-1:]).splitlines()[-1], flush=True)
    print(f"\n{table(rows)}", end="")


if __name__ == "__main__":
    app.run(main)
