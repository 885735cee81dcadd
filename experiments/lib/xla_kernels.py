"""Which operation of a training step or of an evaluation step XLA has no kernel for."""

import pathlib
import re
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

from experiments.lib import classifiers, pretraining
from experiments.lib.reduced_recipes import OTHERS, images, recipe, write_teacher
from experiments.lib.training import Batches

# Models, what makes their batches, and the steps of an epoch.
_Prepared = tuple[keras.Model, Batches, int]


def missing_kernel(model: keras.Model, *specs: tf.TensorSpec) -> str | None:
    """Translates a model's training step and its evaluation step for XLA, without compiling them.

    Args:
        model: compiled; its optimizer is built.
        *specs: of the batch: of images, labels, and weights if there are any.

    Returns:
        `None`, or the operation that has no kernel and the line that made it.
    """
    return _missing(model.train_step, specs) or _missing(model.test_step, specs)


def _missing(step: Callable[[Any], Any], specs: tuple[tf.TensorSpec, ...]) -> str | None:
    compiled = tf.function(lambda *batch: step(batch), jit_compile=True)
    try:
        compiled.experimental_get_compiler_ir(*specs)(stage="hlo")
    except ValueError as error:
        operation = re.search(r"No registered '(\w+)' OpKernel", str(error))
        if operation is None:
            raise
        lines = re.findall(r'File "[^"]*(supcon_tf[^"]*)", line (\d+)', str(error))
        where = ":".join(lines[-1]) if lines else "no line of supcon_tf"
        return f"{operation[1]} in {step.__name__}, {where}"
    return None


def stages(name: str, directory: pathlib.Path, **changes: Any) -> Iterator[_Prepared]:
    """Prepares what a recipe trains, small, one stage after the other.

    Args:
        name: the name of the recipe.
        directory: where a teacher may be written.
        **changes: fields of the recipe that are to have other values.
    """
    config = recipe(name)
    config.update(changes)
    if "depth" in config.encoder:
        config.encoder.depth = 10
    if config.teacher.path:
        config.teacher.path = write_teacher(directory, len(config.encoder.mean))
    data, strategy = images(config), tf.distribute.get_strategy()
    if name.endswith(OTHERS):
        make = classifiers.teacher if name.endswith("teacher") else classifiers.cross_entropy
        stage = config
    else:
        first = pretraining.prepare(config, data, strategy)
        yield first
        encoder, stage = first[0].encoder, config.linear

        def make(classes, channels, config):
            return classifiers.linear(encoder, classes, config)

    def build(classes, channels):
        return make(classes, channels, config)

    yield classifiers.prepare(build, config, stage, data, strategy)


def missing_of_recipe(name: str, directory: pathlib.Path, **changes: Any) -> str | None:
    """Translates all steps of a recipe.

    Args:
        name: the name of the recipe.
        directory: where a teacher may be written.
        **changes: fields of the recipe that are to have other values.

    Returns:
        As `missing_kernel`.
    """
    for model, batches, _ in stages(name, directory, **changes):
        missing = missing_kernel(model, *batches(0).element_spec)
        if missing is not None:
            return missing
    return None
