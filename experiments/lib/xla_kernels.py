"""Finds operations in the steps of recipes for which XLA has no kernel."""

import functools
import pathlib
import re
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

from experiments.lib import classifiers, pretraining
from experiments.lib.recipe_batches import Batches
from experiments.lib.reduced_recipes import (
    random_images,
    reduced_recipe,
    write_teacher,
)


def find_missing_kernel(model: keras.Model, *specs: tf.TensorSpec) -> str | None:
    """Translates the training step and the evaluation step of a model for XLA.

    The steps are translated to HLO, which fails if a kernel is missing, and not compiled.

    Args:
        model: a compiled model whose optimizer is built.
        *specs: the specs of a batch: images, labels, and weights if the batch has them.

    Returns:
        The first operation without a kernel and the line that created it, or `None`.
    """
    return _find_missing_kernel(model.train_step, specs) or _find_missing_kernel(
        model.test_step, specs
    )


def find_missing_kernel_of_recipe(name: str, directory: pathlib.Path, **changes: Any) -> str | None:
    """Translates the steps of all stages of a recipe for XLA.

    Args:
        name: the name of the recipe.
        directory: receives the file of a teacher.
        **changes: new values of fields.

    Returns:
        As in `find_missing_kernel`.
    """
    for model, batches, _ in _prepare_stages(name, directory, **changes):
        missing = find_missing_kernel(model, *batches.element_spec)
        if missing is not None:
            return missing
    return None


def _find_missing_kernel(
    step: Callable[[Any], Any], specs: tuple[tf.TensorSpec, ...]
) -> str | None:
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


def _prepare_stages(
    name: str, directory: pathlib.Path, **changes: Any
) -> Iterator[tuple[keras.Model, Batches, int]]:
    """Creates the model and the batches of each stage of a reduced recipe."""
    config = reduced_recipe(name)
    config.update(changes)
    if config.teacher.path:
        config.teacher.path = write_teacher(directory, len(config.encoder.mean))
    images, strategy = random_images(config), tf.distribute.get_strategy()
    if name.endswith("teacher"):
        build, stage = functools.partial(classifiers.build_teacher, config), config
    elif name.endswith("cross_entropy"):
        build, stage = functools.partial(classifiers.build_cross_entropy_model, config), config
    else:
        first_stage = pretraining.prepare(config, images, strategy)
        yield first_stage
        encoder = first_stage[0].encoder
        build = functools.partial(classifiers.build_linear_classifier, config, encoder)
        stage = config.linear
    yield classifiers.prepare(build, config, stage, images, strategy)
