"""Checks that XLA has a kernel for every operation of the steps of all recipes, on a CPU.

    python -m experiments.benchmarks.xla_steps
    python -m experiments.benchmarks.xla_steps --recipe=digits_small

translates the training steps and the evaluation steps of each recipe for XLA, with small images and
a ResNet-10 with few channels, and prints for each recipe `compiled` or the operation without a
kernel. On accelerators Keras compiles steps by default, and such an operation would end the first
step. The exit status is 1 if a kernel is missing. Takes about ten minutes on two cores.
"""

import os
import pathlib
import sys
import tempfile

from absl import app, flags

from experiments import configs

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

_RECIPE = flags.DEFINE_multi_enum(
    "recipe", configs.NAMES, configs.NAMES, "A recipe, repeatable; all by default."
)


def main(_) -> None:
    """Prints one line per recipe."""
    import keras

    from experiments.lib.xla_kernels import find_missing_kernel_of_recipe

    found = 0
    with tempfile.TemporaryDirectory() as directory:
        for name in _RECIPE.value:
            missing = find_missing_kernel_of_recipe(name, pathlib.Path(directory))
            found += missing is not None
            print(f"{name}: {missing or 'compiled'}", flush=True)
            keras.backend.clear_session()
    sys.exit(found > 0)


if __name__ == "__main__":
    app.run(main)
