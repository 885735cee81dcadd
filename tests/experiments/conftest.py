import importlib
import subprocess
import sys

import keras
import pytest
from absl import flags

from experiments.lib import builders


@pytest.fixture
def load_script():
    """Imports a script without the flags of other scripts, which can have the same names."""

    def load(name):
        by_module = flags.FLAGS.flags_by_module_dict()
        with_flags = [module for module in by_module if module.startswith("experiments.")]
        for module in with_flags:
            for flag in list(by_module[module]):
                delattr(flags.FLAGS, flag.name)
        for field in [each for each in flags.FLAGS if each.startswith("config.")]:
            delattr(flags.FLAGS, field)
        for module in {*with_flags, f"experiments.{name}"}:
            if sys.modules.pop(module, None) is not None:
                package, _, script = module.rpartition(".")
                delattr(sys.modules[package], script)
        return importlib.import_module(f"experiments.{name}")

    return load


@pytest.fixture
def run_script(load_script, monkeypatch):
    """Runs the main function of a script of experiments with flags."""

    def run(name, *arguments):
        script = load_script(name)
        monkeypatch.setattr(sys, "argv", ["script", *arguments])  # config_flags reads it.
        flags.FLAGS.unparse_flags()
        flags.FLAGS(sys.argv)
        script.main(["script"])

    return run


@pytest.fixture
def lock_elsewhere():
    """Returns a function that locks a directory in another process, and returns the process."""
    processes = []

    def lock(directory):
        code = (
            "import pathlib, sys; from supcon_tf._files import lock_directory\n"
            "lock_directory(pathlib.Path(sys.argv[1])); print('locked', flush=True); input()"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", code, directory],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        assert process.stdout.readline() == "locked\n"
        return process

    yield lock
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def small_encoders(monkeypatch):
    """Recipes train one convolution instead of a ResNet, which takes most of the time to trace.

    Other tests train the ResNet of a recipe: test_recipe_scripts.py and test_configs.py.
    """

    def build(input_shape, **arguments):
        return keras.Sequential(
            [
                keras.Input(input_shape),
                keras.layers.Conv2D(8, 3, strides=2),
                keras.layers.BatchNormalization(),
                keras.layers.ReLU(),
                keras.layers.GlobalAveragePooling2D(),
            ]
        )

    monkeypatch.setitem(builders.ENCODERS, "resnet", build)


@pytest.fixture
def small_convnext(monkeypatch):
    """ConvNeXt-Tiny has one block in each stage and few channels."""
    module = sys.modules[keras.applications.ConvNeXtTiny.__module__]
    small = {"depths": [1, 1, 1, 1], "projection_dims": [8, 16, 16, 16], "default_size": 224}
    monkeypatch.setitem(module.MODEL_CONFIGS, "tiny", small)
