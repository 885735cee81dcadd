"""The settings of a training, chosen from a summary of the images.

The numbers start from the recipes digits_small, fashion_mnist_10k and cifar10_resnet50 of
`experiments/configs`.
"""

import dataclasses
import math
import re
from typing import Any

DEPTHS = (10, 18, 34, 50, 101, 152, 200)


@dataclasses.dataclass(frozen=True)
class DataSummary:
    """What the settings depend on.

    Attributes:
        images: number of training images, without unlabelled ones.
        unlabelled: number of unlabelled images.
        classes: number of classes.
        short_side: median length of the short side of the images in pixels.
        channels: 1 if all images are gray, otherwise 3.
        pixel_mean: mean of the pixels in [0, 1], one number per channel.
        pixel_std: standard deviation of the pixels, one number per channel.
        gpu: whether a GPU trains.
    """

    images: int
    unlabelled: int
    classes: int
    short_side: int
    channels: int
    pixel_mean: tuple[float, ...]
    pixel_std: tuple[float, ...]
    gpu: bool


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings of both stages.

    Attributes:
        image_size: side of the views, and of the central square on which a classifier is tested.
        short_side: length to which the short side of an image is resized before that.
        channels: number of channels, 1 or 3.
        pixel_mean: mean of the pixels, which the encoder subtracts.
        pixel_std: standard deviation of the pixels, by which the encoder divides.
        encoder: name of the encoder, such as `"resnet10"`.
        width: factor of its number of channels.
        stem: stem of the encoder.
        crop_scale: smallest area of a random crop, as a fraction of the image.
        flip: whether half of the views are mirrored.
        color_strength: strength of the color jitter.
        batch_size: number of images in a batch, each with two views.
        temperature: temperature of the contrastive loss.
        epochs: passes over the images in the training of the encoder.
        warmup_epochs: epochs in which the learning rate rises.
        learning_rate: largest learning rate of SGD.
        weight_decay: L2 penalty of the encoder.
        linear_epochs: passes over the images in the training of the classifier.
        linear_learning_rate: initial learning rate of Adam.
    """

    image_size: int
    short_side: int
    channels: int
    pixel_mean: tuple[float, ...]
    pixel_std: tuple[float, ...]
    encoder: str
    width: float
    stem: str
    crop_scale: float
    flip: bool
    color_strength: float
    batch_size: int
    temperature: float
    epochs: int
    warmup_epochs: float
    learning_rate: float
    weight_decay: float
    linear_epochs: int
    linear_learning_rate: float


def choose_settings(
    data: DataSummary, *, encoder: str | None = None, epochs: int | None = None
) -> Settings:
    """Chooses settings that suit the images.

    Args:
        data: a summary of the images.
        encoder: the encoder that the user chose, such as `"resnet18"` or `"resnet18x0.5"`.
        epochs: the number of epochs that the user chose.

    Raises:
        ValueError: if `encoder` is not the name of an encoder.
    """
    image_size = _choose_image_size(data)
    # A quarter of the resolution, and of the time, unless the images are too small for it.
    stem = "imagenet" if image_size >= 64 else "cifar"
    name, width = parse_encoder(encoder) if encoder else _choose_encoder(data)
    batch_size = _choose_batch_size(data)
    epochs = epochs or _choose_epochs(data)
    gray = data.channels == 1
    # Those for a CPU won trials with small encoders and few images. Those for a GPU are untried.
    temperature, learning_rate, weight_decay = (0.1, 0.2, 1e-4) if data.gpu else (0.2, 0.5, 5e-4)
    return Settings(
        image_size=image_size,
        short_side=image_size,
        channels=data.channels,
        pixel_mean=data.pixel_mean,
        pixel_std=data.pixel_std,
        encoder=name,
        width=width,
        stem=stem,
        crop_scale=0.5 if image_size < 64 else 0.3,
        flip=not gray,  # Gray images are often characters, whose mirror images differ in meaning.
        color_strength=0.5,
        batch_size=batch_size,
        temperature=temperature,
        epochs=epochs,
        warmup_epochs=0.05 * epochs,
        learning_rate=learning_rate * batch_size / 256,
        weight_decay=weight_decay,
        linear_epochs=_choose_linear_epochs(data, batch_size, epochs),
        linear_learning_rate=0.02 * min(1.0, batch_size / 128),
    )


def fit_seconds(
    settings: Settings, seconds: float, *, epoch_seconds: float, linear_epoch_seconds: float
) -> Settings:
    """Changes the numbers of epochs so that both stages and the test take a given time.

    Args:
        settings: the settings.
        seconds: the time that is left.
        epoch_seconds: measured time of an epoch of the first stage.
        linear_epoch_seconds: measured time of an epoch of the second stage.
    """
    # The classifier needs few epochs, and gets at most a fifth of the time.
    linear_epochs = max(1, min(settings.linear_epochs, int(seconds / 5 / linear_epoch_seconds)))
    tests = 2  # Encoding all images takes about as long as two epochs of the classifier.
    epochs = max(1, int((seconds - (linear_epochs + tests) * linear_epoch_seconds) / epoch_seconds))
    return dataclasses.replace(
        settings, epochs=epochs, warmup_epochs=0.05 * epochs, linear_epochs=linear_epochs
    )


def parse_encoder(name: str) -> tuple[str, float]:
    """Splits the name of an encoder into its name and its width.

        >>> parse_encoder("resnet18x0.5")
        ('resnet18', 0.5)

    Raises:
        ValueError: if there is no such encoder.
    """
    match = re.fullmatch(r"resnet(\d+)(?:x(\d*\.?\d+))?", name)
    width = float(match[2] or 1) if match else 0.0
    if match is None or int(match[1]) not in DEPTHS or width < 1 / 64:
        raise ValueError(
            f"`--encoder` must be resnet{', resnet'.join(map(str, DEPTHS))}, or one of them with a "
            "factor of its channels of at least 1/64, such as resnet18x0.5. "
            f"Received: {name!r}"
        )
    return f"resnet{match[1]}", width


def describe_settings(settings: Settings) -> str:
    """Returns the settings in a few readable lines."""
    colors = "gray" if settings.channels == 1 else "color"
    flip = "mirrored or not" if settings.flip else "not mirrored"
    return f"""\
images    {settings.image_size} x {settings.image_size} pixels, {colors}; random crops of at least \
{settings.crop_scale:.0%} of the area, {flip}
encoder   {settings.encoder} with {settings.width:g} times its channels, stem for \
{"photos" if settings.stem == "imagenet" else "small images"}
training  {settings.epochs} epochs in batches of {settings.batch_size}, temperature \
{settings.temperature:g}, learning rate {settings.learning_rate:g}
          then {settings.linear_epochs} epochs of the classifier"""


def settings_to_json(settings: Settings) -> dict[str, Any]:
    """Returns the settings as values of JSON."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in dataclasses.asdict(settings).items()
    }


def settings_from_json(fields: dict[str, Any]) -> Settings:
    """Returns the settings in a dictionary, which can have further fields."""
    values: dict[str, Any] = {each.name: fields[each.name] for each in dataclasses.fields(Settings)}
    for name in ("pixel_mean", "pixel_std"):
        values[name] = tuple(values[name])
    return Settings(**values)


def _choose_image_size(data: DataSummary) -> int:
    """Returns the largest size that the images fill, up to what the machine trains in time."""
    sizes = (16, 24, 32, 48, 64, 96, 128, 160, 224) if data.gpu else (16, 24, 32, 48, 64, 96)
    # Upsampling a little loses nothing; the ResNet needs its resolution.
    return max((size for size in sizes if size <= 1.2 * data.short_side), default=sizes[0])


def _choose_encoder(data: DataSummary) -> tuple[str, float]:
    if data.gpu:
        return ("resnet50", 1.0) if data.images >= 20_000 else ("resnet18", 1.0)
    # With more channels and fewer epochs in the same time, the accuracy is lower.
    return "resnet10", 0.1875


def _choose_batch_size(data: DataSummary) -> int:
    """Returns a power of two, with about 20 steps an epoch or more."""
    images = data.images + data.unlabelled
    largest = 512 if data.gpu else 256
    power = 2 ** int(math.log2(max(1, images / 20)))
    return min(images, max(32, min(largest, power)))


def _choose_linear_epochs(data: DataSummary, batch_size: int, epochs: int) -> int:
    """Returns 20 epochs, or more for at least 300 steps, but few if the user chose few."""
    steps = max(1, data.images // batch_size)
    return min(max(20, 300 // steps), max(5, 2 * epochs))


def _choose_epochs(data: DataSummary) -> int:
    """Returns a number of epochs in which small and large sets see similarly many images."""
    seen = 2_000_000 if data.gpu else 500_000
    return max(10, min(200, round(seen / (data.images + data.unlabelled))))
