"""Calculates how many processor cores create the views of each recipe as fast as it trains.

    python -m experiments.benchmarks.input_cores

The views per second of a core are those that `python -m experiments.benchmarks.input_pipeline` has
written. Images of 32 pixels are in memory, and
those of 224 pixels are JPEGs of 500 x 375 pixels. The views per second of a host are an estimate:

- a training step takes three times the operations of the encoder for each view. With a momentum
  encoder, one of two views takes three times and the other one once these operations;
- the devices reach 40 % of their peak: 61.5 TFLOP/s on a core of a TPU v3, and on a V100 125
  TFLOP/s with mixed precision and 15.7 TFLOP/s in float32.

A host has the devices of the papers: 8 TPU cores, 8 GPUs for queues on ImageNet, and otherwise one
GPU. Prints a table, with recipes of the same row together. Takes about a minute. The table leaves
out cifar10_vit, because the operations of attention are not counted here.
"""

import json
import math
import os
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from absl import app, flags

from experiments import configs
from experiments.lib.tables import markdown_table

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

_MEASURED = flags.DEFINE_string(
    "measured", "docs/benchmarks/input_pipeline.json", "The file with the rates of a core."
)
_TPU_CORES = 8
_PEAKS = {"TPU v3 cores": 61.5e12, "V100, mixed": 125e12, "V100, float32": 15.7e12}
_UTILIZATION = 0.4
_DATA = ("cifar", "imagenet")


class Hardware(NamedTuple):
    """The devices of a host.

    Attributes:
        count: their number.
        name: a key of `_PEAKS`.
    """

    count: int
    name: str


def main(_) -> None:
    """Prints the table."""
    measured = json.loads(pathlib.Path(_MEASURED.value).read_text())["measurements"]
    print(table(configs.NAMES, measured), end="")


def table(recipes: list[str], measured: list[Mapping[str, Any]]) -> str:
    """Writes the table.

    Args:
        recipes: names of recipes.
        measured: the measurements of input_pipeline.json.
    """
    rates = {
        (row["policy"], row["size"]): row["views_per_second"]
        for row in measured
        if row["pipeline"] == "supcon_tf" and row["jpeg"] == (row["size"] > 32)
    }
    recipes_of_row: dict[tuple[Any, ...], list[str]] = {}
    for recipe in recipes:
        config = configs.load_recipe(recipe)
        counted = config.encoder.get("name") != "vit"
        if counted and config.augmentation.policy and config.dataset.startswith(_DATA):
            row = _row(recipe, config, rates)
            recipes_of_row.setdefault(row, []).append(recipe)
    return markdown_table(
        ["recipes", "host", "policy", "GFLOP per view", "views per second", "of a core", "cores"],
        ([_name(recipes), *row] for row, recipes in recipes_of_row.items()),
    )


def _name(recipes: list[str]) -> str:
    """Returns the recipe with the shortest name, and the number of the others."""
    first = f"`{min(recipes, key=len)}`"
    return first if len(recipes) == 1 else f"{first} and {len(recipes) - 1} more"


def _row(recipe: str, config: Any, rates: Mapping[tuple[str, int], float]) -> tuple[Any, ...]:
    hardware = _hardware(recipe, config)
    operations = _operations(config)
    factor = 2 if "momentum_encoder" in config else 3
    peak = hardware.count * _PEAKS[hardware.name] * _UTILIZATION
    needed = peak / (factor * operations)
    rate = rates[config.augmentation.policy, config.image_size]
    return (
        f"{hardware.count} {hardware.name}",
        f"`{config.augmentation.policy}`",
        f"{factor} x {operations / 1e9:.1f}",
        f"{_round(needed):,}",
        f"{_round(rate):,}",
        f"{needed / rate:.1f}" if needed > rate / 20 else "below 0.1",
    )


def _hardware(recipe: str, config: Any) -> Hardware:
    if "momentum_encoder" in config and config.image_size > 32:
        return Hardware(8, _gpu(config))
    if config.image_size > 32 or recipe.endswith("official"):
        return Hardware(_TPU_CORES, "TPU v3 cores")
    return Hardware(1, _gpu(config))


def _gpu(config: Any) -> str:
    return "V100, mixed" if config.dtype_policy.startswith("mixed") else "V100, float32"


def _operations(config: Any) -> int:
    """Returns the floating-point operations of the encoder for one view."""
    import keras

    from experiments.lib import builders

    encoder = builders.build_encoder(config.encoder, config.image_size, 3)
    operations = _count(encoder)
    keras.backend.clear_session()
    return operations


def _count(layer: Any) -> int:
    """Counts the multiplications and additions of the convolutions and dense layers of a model."""
    import keras

    if isinstance(layer, keras.Model):
        return sum(map(_count, layer.layers))
    if isinstance(layer, keras.layers.Dense):
        return 2 * math.prod(layer.kernel.shape) * math.prod(layer.output.shape[1:-1])
    if isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D):
        return 2 * math.prod(layer.kernel.shape) * math.prod(layer.output.shape[1:3])
    return 0


def _round(value: float) -> int:
    """Rounds to two significant digits."""
    return int(round(value, 1 - math.floor(math.log10(value))))


if __name__ == "__main__":
    app.run(main)
