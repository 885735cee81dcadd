"""Whether XLA has a kernel for every operation of the steps of all recipes: no accelerator needed.

    python -m experiments.benchmarks.xla_steps
    python -m experiments.benchmarks.xla_steps --recipe=digits_small

translates the training steps and the evaluation steps of each recipe for XLA, on CPU, with small
images and a ResNet-10 of few channels, and prints one line per recipe: `compiled`, or the operation
that has no kernel. On accelerators Keras compiles steps by default, where such an operation ends
the first step. Ends with status 1 if there is one. About ten minutes on two cores.
"""

import os
import pathlib
import sys
import tempfile

from absl import app, flags

from experiments import configs

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

_RECIPE = flags.DEFINE_multi_enum("recipe", configs.NAMES, configs.NAMES, "Which; repeatable.")


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
