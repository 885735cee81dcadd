"""Compiles training steps and losses for a TPU and a GPU that the machine does not have.

    pip install "supcon-tf[experiments,tpu-check]"
    python -m experiments.benchmarks.accelerator_compile

writes every program as HLO, compiles it for one TPU v5e chip, and prints a table of the memory that
the compiler plans. The same command does so for an H100 in another environment, with Python 3.12 or
newer, and counts the launches of kernels:

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
- `streaming` and `dense`: the SupCon loss of 65,536 rows of 128 numbers and its gradient.
  `streaming_2048` has tiles of 2048 rows on both devices, `streaming` those of the library for the
  device;
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
import re
from collections.abc import Mapping, Sequence
from typing import Any

from absl import app, flags

from experiments import configs
from experiments.lib import files, jax_compilers
from experiments.lib.compiled_hlo import count_launches, count_products
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
    "streaming": ("streaming", 65536),
    "streaming_2048": ("streaming", 65536, 2048),
    "dense": ("dense", 65536),
    "n_pairs": ("n_pairs", 4096),
    "semi_hard_triplets": ("semi_hard_triplets", 4096),
    "hard_triplets": ("hard_triplets", 4096),
    "max_margin_pairs": ("max_margin_pairs", 4096),
}
_PROGRAMS = [*_LOSSES, *_STEPS, *_RECIPES]

_PROGRAM = flags.DEFINE_multi_enum(
    "program", _PROGRAMS, _PROGRAMS, "What to compile; repeatable, all by default."
)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", "runs/accelerators", "The directory for the HLO and accelerators.json."
)

# Memory of GPUs in GB.
_SIZES = (16, 40, 80)


def compile_program(
    name: str, compiler: jax_compilers.Compiler, directory: pathlib.Path
) -> dict[str, Any]:
    """Writes a program to NAME.TYPE.hlo, with the type of the device, and compiles it.

    Returns:
        The row of accelerators.json.
    """
    import keras

    from experiments.lib import accelerator_programs as programs
    from experiments.lib.hlo import MissingKernelError, translate

    if name in _LOSSES:
        program = programs.loss_and_gradient(*_LOSSES[name])
    elif name in _STEPS:
        program = programs.resnet_step(*_STEPS[name])
    else:
        recipe, linear = name.removesuffix(_LINEAR), name.endswith(_LINEAR)
        program = programs.recipe_step(recipe, directory, linear=linear)
    row = {"program": name, "dtype": program.dtype, "batch_size": program.batch_size}
    row["device"] = compiler.device
    try:
        hlo = translate(program.step, *program.specs, device_type=compiler.device_type)
        file = directory / f"{name}.{compiler.device_type}.hlo"
        files.write_atomically(file, lambda path: path.write_bytes(hlo))
        compiled = jax_compilers.compile_hlo(hlo, compiler)
    except MissingKernelError as error:
        return {**row, "rejected": f"XLA has no kernel for {error}"}
    except jax_compilers.RejectedProgramError as error:
        return {**row, "rejected": str(error).splitlines()[0][:300]}
    finally:
        keras.backend.clear_session()
    row |= dataclasses.asdict(compiled.memory)
    row["float32_products"] = count_products(compiled.text)
    if compiler.device_type == "GPU":
        row |= dataclasses.asdict(count_launches(compiled.text))
    return row


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Writes a table of the memory that the compilers plan, with a row for each program.

    Args:
        rows: the rows of accelerators.json.
    """
    by_program: dict[str, dict[str, Any]] = {}
    for row in sorted(rows, key=lambda row: _PROGRAMS.index(row["program"])):
        by_program.setdefault(row["program"], dict(row))[row["device"]] = row
    gpu = "H100"
    return markdown_table(
        ["program", "dtype", "batch", "TPU v5e", gpu, "arguments", "launches", "fits"],
        (
            [
                *(name, row["dtype"], f"{row['batch_size']:,}"),
                *(_temporaries(row.get("TPU v5e")), _temporaries(row.get(gpu))),
                *_gpu_cells(row.get(gpu, {})),
            ]
            for name, row in by_program.items()
        ),
    )


def _temporaries(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return ""
    if "rejected" not in row:
        return _with_unit(row["temporaries"])
    out_of_memory = re.search("RESOURCE_EXHAUSTED|out of memory", row["rejected"])
    return "too large" if out_of_memory else f"rejected: {row['rejected']}"


def _gpu_cells(row: Mapping[str, Any]) -> list[str]:
    """Returns the arguments, the launches, and the smallest memory of a GPU that suffices."""
    if "temporaries" not in row:
        return ["", "", ""]
    total = row["temporaries"] + row["arguments"] + row["outputs"]
    sizes = [f"{size} GB" for size in _SIZES if total <= size * 1e9]
    return [_with_unit(row["arguments"]), f"{row['kernels']:,}", sizes[0] if sizes else "no"]


def _with_unit(size: int) -> str:
    if size >= 1e9:
        return f"{size / 1e9:.1f} GB"
    return f"{size / 1e6:.0f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"


def main(_) -> None:
    """Compiles the programs that have no result yet, and prints the table of all."""
    compiler = jax_compilers.installed_compiler()
    directory = pathlib.Path(_OUTPUT_DIR.value)
    directory.mkdir(parents=True, exist_ok=True)
    results = directory / "accelerators.json"
    rows = json.loads(results.read_text()) if results.exists() else []
    done = {row["program"] for row in rows if row["device"] == compiler.device}
    for name in _PROGRAM.value:
        if name in done:
            continue
        rows.append(compile_program(name, compiler, directory))
        files.write_json(results, rows)
        print(table(rows[-1:]).splitlines()[-1], flush=True)
    print(f"\n{table(rows)}", end="")


if __name__ == "__main__":
    app.run(main)
