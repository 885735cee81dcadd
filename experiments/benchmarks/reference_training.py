r"""Compares trainings with those of the reference PyTorch code: losses, accuracy and time.

    pip install "supcon-tf[experiments,bench]"
    git clone https://github.com/HobbitLong/SupContrast
    python -m experiments.benchmarks.reference_training --reference=SupContrast \
        --config=experiments/configs/cifar10_small.py --data_dir=DIRECTORY --seeds=0,1 \
        --output=docs/results/reference_training.jsonl

The reference trainings use the loss of `SupContrast/losses.py`, a ResNet of torchvision's blocks
and a projection head of PyTorch layers, with the initialization of SupContrast, and the momentum of
PyTorch. Everything else is that of the recipe: sizes, learning rate of each step, weight decay,
temperature and augmentation. There are four trainings for each seed:

    library                            this library
    reference                          the reference code, with views of torchvision
    reference, our views               the reference code, with the views of this library
    reference, our views and momentum  the same, with the momentum of Keras

PyTorch multiplies the sum of the gradients by the learning rate, Keras each gradient before it is
added to the sum. These differ while the learning rate changes, most in a short warm-up.

Writes one JSON object for each training: the mean loss and the seconds of each epoch, and the
accuracy of a logistic regression on the frozen representations of the test images. Run the same
command again to resume: finished trainings are not repeated. Prints a table.

Expected: the losses and accuracies of the first and the last training are equal within the spread
of the seeds. Takes about 20 minutes for each seed on a core. Other load on the cores of PyTorch
slows it several times.
"""

import importlib.util
import os
import pathlib
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

from absl import app, flags

from experiments.lib.command_line import are_seeds
from experiments.lib.files import read_json_lines, write_json_lines

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # Idle threads of PyTorch slow TensorFlow.

TRAININGS = (
    "library",
    "reference",
    "reference, our views",
    "reference, our views and momentum",
)

_REFERENCE = flags.DEFINE_string("reference", None, "The directory of SupContrast.", required=True)
_CONFIG = flags.DEFINE_string("config", None, "A recipe with a ResNet and SGD.", required=True)
_DATA_DIR = flags.DEFINE_string("data_dir", "", "The directory of the data set.")
_EPOCHS = flags.DEFINE_integer(
    "epochs", None, "Epochs of a training; those of the recipe by default.", lower_bound=1
)
_SEEDS = flags.DEFINE_list("seeds", ["0", "1"], "Seeds, separated by commas.")
flags.register_validator(_SEEDS, are_seeds, "must be integers")
_TRAININGS = flags.DEFINE_multi_enum("training", TRAININGS, TRAININGS, "Trainings to run.")
_OUTPUT = flags.DEFINE_string("output", None, "The file of the results.", required=True)


def load_recipe(seed: int):
    """Returns the recipe with the fields of the flags."""
    from experiments.lib.ablation import load_recipe

    config = load_recipe(pathlib.Path(_CONFIG.value))
    config.seed, config.data_dir = seed, _DATA_DIR.value
    config.epochs = _EPOCHS.value or config.epochs
    return config


def train_library(config, images) -> tuple[Callable, list[float], list[float]]:
    """Trains with this library.

    Args:
        config: the recipe.
        images: the training images.

    Returns:
        A function from `[batch, height, width, channels]` float32 images in [0, 1] to
        representations, and the loss and the seconds of each epoch.
    """
    import keras
    import tensorflow as tf

    from experiments.lib import pretraining

    class EpochTimes(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.ends = [time.perf_counter()]

        def on_epoch_end(self, epoch, logs=None):
            self.ends.append(time.perf_counter())

    model, batches, _ = pretraining.prepare(config, images, tf.distribute.get_strategy())
    times = EpochTimes()
    history = model.fit(batches, epochs=config.epochs, callbacks=[times], verbose=0)
    seconds = [end - start for start, end in zip(times.ends, times.ends[1:], strict=False)]
    return model.encoder.predict_on_batch, history.history["loss"], seconds


def train_reference(
    config, images, views: Callable[[], Iterator[tuple[Any, Any]]], *, keras_momentum: bool
) -> tuple[Callable, list[float], list[float]]:
    """Trains with the reference loss, and the layers and the optimizer of PyTorch.

    Args:
        config: the recipe.
        images: the training images.
        views: yields the batches of an epoch: `[2 * batch, channels, size, size]` float32 views in
            [0, 1], the first views before the second ones, and `[batch]` labels.
        keras_momentum: whether to train with the momentum of Keras.

    Returns:
        As `train_library` does.
    """
    import numpy as np
    import torch

    from experiments.lib.builders import build_learning_rate

    specification = importlib.util.spec_from_file_location(
        "reference_losses", pathlib.Path(_REFERENCE.value) / "losses.py"
    )
    losses = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(losses)
    temperature = config.loss.temperature
    loss_function = losses.SupConLoss(temperature=temperature, base_temperature=temperature)

    torch.manual_seed(config.seed)
    encoder = torch_encoder(config.encoder, images.channels)
    hidden, outputs = config.projection_head.widths
    dim = encoder[-3][-1].conv2.out_channels
    head = torch.nn.Sequential(
        torch.nn.Linear(dim, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, outputs)
    )
    schedule = build_learning_rate(
        config.optimizer,
        batch_size=config.batch_size,
        epochs=config.epochs,
        steps_per_epoch=len(images) // config.batch_size,
    )
    sgd = keras_sgd() if keras_momentum else torch.optim.SGD
    parameters = [*encoder.parameters(), *head.parameters()]
    optimizer = sgd(parameters, lr=0.0, **dict(config.optimizer.arguments))
    step, epoch_losses, seconds = 0, [], []
    for _ in range(config.epochs):
        start, step_losses = time.perf_counter(), []
        encoder.train()
        for both_views, labels in views():
            projections = torch.nn.functional.normalize(head(encoder(both_views)), dim=1)
            features = torch.stack(projections.chunk(2), dim=1)
            loss = loss_function(features, labels)
            optimizer.param_groups[0]["lr"] = float(schedule(step))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step_losses.append(loss.item())
            step += 1
        epoch_losses.append(statistics.mean(step_losses))
        seconds.append(time.perf_counter() - start)
    encoder.eval()

    def represent(batch) -> np.ndarray:
        with torch.no_grad():
            return encoder(channels_first(np.asarray(batch))).numpy()

    return represent, epoch_losses, seconds


def keras_sgd():
    """Returns a class like `torch.optim.SGD`, with the momentum of Keras."""
    import torch

    class KerasSGD(torch.optim.Optimizer):
        def __init__(self, parameters, lr, momentum, weight_decay):
            defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
            super().__init__(parameters, defaults)

        @torch.no_grad()
        def step(self):
            for group in self.param_groups:
                for weight in group["params"]:
                    state = self.state[weight]
                    velocity = state.setdefault("velocity", torch.zeros_like(weight))
                    gradient = weight.grad + group["weight_decay"] * weight
                    velocity.mul_(group["momentum"]).sub_(group["lr"] * gradient)
                    weight.add_(velocity)

    return KerasSGD


def channels_first(images):
    """Returns images `[batch, height, width, channels]` as PyTorch takes them."""
    import numpy as np
    import torch

    return torch.from_numpy(np.moveaxis(images, -1, 1).copy())


def torch_encoder(config, channels: int):
    """Builds the ResNet-10 of a recipe from the layers of torchvision."""
    from torch import nn
    from torchvision.models.resnet import BasicBlock, conv1x1
    from torchvision.transforms import Normalize

    if (config.depth, config.stem) != (10, "imagenet"):
        raise ValueError(
            "`--config` must be a recipe of a ResNet-10 with the ImageNet stem. "
            f"Received: depth={config.depth}, stem={config.stem!r}"
        )
    width = round(64 * config.width)
    blocks = [BasicBlock(width, width)]
    for stage in range(3):
        inputs, outputs = width * 2**stage, width * 2 ** (stage + 1)
        shortcut = nn.Sequential(conv1x1(inputs, outputs, 2), nn.BatchNorm2d(outputs))
        blocks.append(BasicBlock(inputs, outputs, 2, shortcut))
    encoder = nn.Sequential(
        Normalize(config.mean, config.std),
        nn.Conv2d(channels, width, 7, 2, 3, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2, 1),
        nn.Sequential(*blocks),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )
    for module in encoder.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return encoder


def torchvision_views(config, images) -> Callable[[], Iterator[tuple[Any, Any]]]:
    """Returns a function that yields the batches of an epoch with views of torchvision."""
    import numpy as np
    import torch
    from PIL import Image
    from torchvision import transforms

    from supcon_tf.data import evaluation_batches

    policy = config.augmentation
    strength = policy.strength
    jitter = transforms.ColorJitter(*3 * [0.8 * strength], 0.2 * strength)
    transform = transforms.Compose(
        [
            transforms.RandomResizedCrop(config.image_size, scale=tuple(policy.scale)),
            transforms.RandomHorizontalFlip(0.5 if policy.flip else 0.0),
            transforms.RandomApply([jitter], 0.8),
            transforms.RandomGrayscale(0.2),
            transforms.ToTensor(),
        ]
    )
    dataset = [
        (Image.fromarray(np.rint(255 * image).astype(np.uint8)), int(label))
        for batch, labels in evaluation_batches(images, size=config.image_size, batch_size=250)
        for image, label in zip(batch.numpy(), labels.numpy(), strict=True)
    ]

    def collate(samples):
        batch = [transform(image) for _ in range(2) for image, _ in samples]
        return torch.stack(batch), torch.tensor([label for _, label in samples])

    loader = torch.utils.data.DataLoader(
        dataset,
        batch_size=config.batch_size,
        shuffle=True,
        drop_last=True,
        collate_fn=collate,
        num_workers=1,
        persistent_workers=True,
    )
    return lambda: iter(loader)


def library_views(config, images) -> Callable[[], Iterator[tuple[Any, Any]]]:
    """Returns a function that yields the batches of an epoch with views of this library."""
    import numpy as np
    import torch

    from experiments.lib.builders import build_policy
    from supcon_tf.data import multi_view_batches

    policy = build_policy(config.augmentation, config.image_size)
    dataset = multi_view_batches(images, policy, batch_size=config.batch_size, seed=config.seed)

    def epoch():
        for views, labels in dataset.as_numpy_iterator():
            both = np.concatenate([views[:, 0], views[:, 1]])
            yield channels_first(both), torch.tensor(labels)

    return epoch


def train(training: str, seed: int) -> dict[str, Any]:
    """Trains, and returns the record of the result."""
    import numpy as np

    from experiments.lib import datasets
    from experiments.lib.recipe_batches import test_batches
    from supcon_tf.evaluation import logistic_regression

    config = load_recipe(seed)
    images, test_images = datasets.load_of_recipe(config)
    if training == "library":
        represent, losses, seconds = train_library(config, images)
    else:
        views = (torchvision_views if training == "reference" else library_views)(config, images)
        represent, losses, seconds = train_reference(
            config, images, views, keras_momentum=training.endswith("momentum")
        )

    def representations(source):
        return np.concatenate([represent(batch) for batch, _ in test_batches(config, source)])

    classifier = logistic_regression(representations(images), images.labels)
    accuracy = classifier.score(representations(test_images), test_images.labels)
    return {
        "training": training,
        "recipe": pathlib.Path(_CONFIG.value).stem,
        "seed": seed,
        "loss": [round(float(loss), 4) for loss in losses],
        "seconds": [round(each, 2) for each in seconds],
        "accuracy": round(float(accuracy), 4),
    }


def require_same_trainings(records, path: pathlib.Path) -> None:
    """Checks that finished trainings have the recipe and the number of epochs of the flags."""
    expected = pathlib.Path(_CONFIG.value).stem, load_recipe(seed=0).epochs
    for record in records:
        recorded = record["recipe"], len(record["loss"])
        if recorded != expected:
            raise ValueError(
                f"{path} holds trainings with another recipe or number of epochs; choose another "
                f"--output. Received: {expected}, recorded: {recorded}"
            )


def main(argv: list[str]) -> None:
    """Runs the trainings without a record and prints the table."""
    from experiments.lib.tables import reference_table

    path = pathlib.Path(_OUTPUT.value)
    records = read_json_lines(path)
    require_same_trainings(records, path)
    for seed in map(int, _SEEDS.value):
        for training in _TRAININGS.value:
            if any((each["training"], each["seed"]) == (training, seed) for each in records):
                continue
            record = train(training, seed)
            print({name: record[name] for name in ("training", "seed", "accuracy")}, flush=True)
            records.append(record)
            write_json_lines(path, records)
    print(reference_table(records), end="")


if __name__ == "__main__":
    app.run(main)
