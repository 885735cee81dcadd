"""Creates the programs that `experiments.benchmarks.accelerator_compile` compiles."""

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

import supcon_tf
from experiments import configs
from experiments.lib import recipe_stages
from experiments.lib.loss_forms import value_and_gradient
from experiments.lib.reduced_recipes import random_images
from supcon_tf.similarity import make_rows, pair_losses, supcon
from supcon_tf.similarity.dense import supcon_dense

# How many devices share a batch, where the docstring of the recipe names several.
_DEVICES = {
    "cifar10_resnet50_official": 8,
    "imagenet_resnet50": 128,
    "imagenet_resnet50_cross_entropy": 128,
    "imagenet_resnet50_simclr": 128,
    "imagenet_resnet101": 128,
    "imagenet_resnet200": 256,
    "imagenet_resnet50_genscl_moco": 8,
    "imagenet_resnet50_memory": 8,
    "imagenet_resnet50_unimoco": 8,
}
_CLASSES = {"cifar100": 100, "imagenet2012": 1000}  # 10 in the other data sets
_DIM, _TEMPERATURE = 128, 0.1


@dataclasses.dataclass(frozen=True)
class Program:
    """A function that is compiled.

    Attributes:
        dtype: the dtype policy.
        batch_size: images of a batch on one device, or rows of a loss.
        step: the function of a batch, which is a tuple of tensors.
        specs: the specs of these tensors.
    """

    dtype: str
    batch_size: int
    step: Callable[[Any], Any]
    specs: tuple[tf.TensorSpec, ...]


def recipe_step(name: str, directory: pathlib.Path, *, linear: bool) -> Program:
    """Creates the training step of a stage of a recipe, as the scripts train it.

    It is the step of one device, in full size, with random images and untrained weights.

    Args:
        name: the name of the recipe, without `.py`.
        directory: receives the file of a teacher, untrained.
        linear: whether to create the step of the second stage.
    """
    config = configs.load_recipe(name)
    stage = config.linear if linear else config
    stage.batch_size //= _DEVICES.get(name, 1)
    classes = _CLASSES.get(config.dataset, 10)
    images = random_images(config, stage.batch_size, config.image_size, classes)
    if linear:
        model, batches, _ = recipe_stages.prepare_linear_stage(config, images)
    else:
        if config.teacher.path:
            config.teacher.path = _write_teacher(config.teacher.path, images, directory)
        model, batches, _ = recipe_stages.prepare_first_stage(name, config, images)
    return Program(config.dtype_policy, stage.batch_size, model.train_step, batches.element_spec)


def resnet_step(stem: str, size: int, batch_size: int) -> Program:
    """Creates a training step of a ResNet-50 with SGD, two views per image and mixed_bfloat16.

    Args:
        stem: `"cifar"` or `"imagenet"`.
        size: side of an image in pixels.
        batch_size: number of images.
    """
    dtype = "mixed_bfloat16"
    keras.config.set_dtype_policy(dtype)
    encoder = supcon_tf.encoders.resnet(50, stem=stem, input_shape=(size, size, 3))
    model = supcon_tf.SupConModel(encoder)
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    model.compile(optimizer, loss=supcon_tf.SupConLoss(_TEMPERATURE))
    optimizer.build(model.trainable_variables)
    views = tf.TensorSpec([batch_size, 2, size, size, 3], tf.bfloat16)
    specs = (views, tf.TensorSpec([batch_size], tf.int32))
    return Program(dtype, batch_size, model.train_step, specs)


def loss_and_gradient(form: str, number: int, block_size: int | None = None) -> Program:
    """Creates a loss of float32 embeddings and its gradient.

    Args:
        form: `"streaming"`, `"dense"`, or the name of a function in `pair_losses`.
        number: number of rows.
        block_size: rows and columns of a tile of `"streaming"`; `None` for the choice of the
            library.
    """

    def losses(ids: tf.Tensor, z: tf.Tensor) -> tf.Tensor:
        samples = tf.range(number)
        if form == "dense":
            return supcon_dense(z, ids, samples, _TEMPERATURE)
        rows = make_rows(z, ids, samples)
        if form == "streaming":
            return supcon(rows, None, _TEMPERATURE, unit_length=True, block_size=block_size)
        margins = [] if form == "n_pairs" else [1.0]
        return getattr(pair_losses, form)(rows, rows, *margins)

    differentiate = value_and_gradient(lambda ids, z: tf.reduce_mean(losses(ids, z)))

    def step(batch: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        return differentiate(*batch)

    specs = (tf.TensorSpec([number, _DIM], tf.float32), tf.TensorSpec([number], tf.int32))
    return Program("float32", number, step, specs)


def _write_teacher(path: str, images: supcon_tf.data.ImageSource, directory: pathlib.Path) -> str:
    """Writes the untrained classifier that a recipe expects at runs/RECIPE/classifier.keras."""
    name = pathlib.Path(path).parent.name
    file = directory / f"{name}.keras"
    recipe_stages.build_classifier(name, configs.load_recipe(name), images).save(file)
    return str(file)
