"""Finds operations in the steps of recipes for which XLA has no kernel."""

import pathlib
from typing import Any

import keras
import tensorflow as tf

from experiments.configs import CLASSIFIER_SUFFIXES
from experiments.lib.hlo import MissingKernelError, translate
from experiments.lib.recipe_stages import prepare_first_stage, prepare_linear_stage
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
    for step in (model.train_step, model.test_step):
        try:
            translate(step, *specs)
        except MissingKernelError as error:
            return str(error)
    return None


def find_missing_kernel_of_recipe(name: str, directory: pathlib.Path, **changes: Any) -> str | None:
    """Translates the steps of all stages of a reduced recipe for XLA.

    Args:
        name: the name of the recipe.
        directory: receives the file of a teacher.
        **changes: new values of fields.

    Returns:
        As in `find_missing_kernel`.
    """
    config = reduced_recipe(name)
    config.update(changes)
    if config.teacher.path:
        config.teacher.path = write_teacher(directory, len(config.encoder.mean))
    images = random_images(config)
    model, batches, _ = prepare_first_stage(name, config, images)
    missing = find_missing_kernel(model, *batches.element_spec)
    if missing is not None or name.endswith(CLASSIFIER_SUFFIXES):
        return missing
    model, batches, _ = prepare_linear_stage(config, images)
    return find_missing_kernel(model, *batches.element_spec)
