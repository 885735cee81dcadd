import dataclasses
import json

import pytest

from supcon_tf.commands.settings import (
    DataSummary,
    choose_settings,
    describe_settings,
    fit_seconds,
    parse_encoder,
    settings_from_json,
    settings_to_json,
)

DATA = DataSummary(
    images=5000,
    unlabelled=0,
    classes=10,
    short_side=32,
    channels=3,
    pixel_mean=(0.5, 0.5, 0.5),
    pixel_std=(0.2, 0.2, 0.2),
    gpu=False,
)


def choose(**changes):
    return choose_settings(dataclasses.replace(DATA, **changes))


@pytest.mark.parametrize(
    ("short_side", "image_size", "stem"),
    [(8, 16, "cifar"), (28, 32, "cifar"), (32, 32, "cifar"), (300, 96, "imagenet")],
)
def test_image_size(short_side, image_size, stem):
    settings = choose(short_side=short_side)
    assert (settings.image_size, settings.stem) == (image_size, stem)


@pytest.mark.parametrize("images", [5, 31, 100, 1000, 100_000])
def test_a_batch_never_exceeds_the_images(images):
    settings = choose(images=images)
    assert 1 <= settings.batch_size <= min(images, 256)
    assert settings.warmup_epochs < settings.epochs


def test_gray_images_are_not_mirrored():
    assert not choose(channels=1).flip
    assert choose().flip


def test_training_of_a_small_encoder_on_a_cpu():
    settings = choose()
    assert (settings.encoder, settings.width, settings.epochs) == ("resnet10", 0.1875, 100)
    assert settings.batch_size == 128
    assert settings.learning_rate == pytest.approx(0.25)
    assert settings.weight_decay == 5e-4


def test_training_of_a_resnet_on_a_gpu():
    settings = choose(gpu=True)
    assert (settings.encoder, settings.width, settings.epochs) == ("resnet18", 1.0, 200)
    assert settings.learning_rate == pytest.approx(0.2 * settings.batch_size / 256)
    assert settings.weight_decay == 1e-4


def test_choices_of_the_user():
    settings = choose_settings(DATA, encoder="resnet34x0.5", epochs=3)
    assert (settings.encoder, settings.width, settings.epochs) == ("resnet34", 0.5, 3)


@pytest.mark.parametrize(
    "name", ["resnet", "resnet11", "vgg", "resnet18x", "resnet18x2y", "resnet18x0.01"]
)
def test_unknown_encoders(name):
    with pytest.raises(ValueError, match=f"`--encoder` must be .* Received: '{name}'"):
        parse_encoder(name)


def test_both_stages_take_the_given_time():
    settings = fit_seconds(choose(), 600, epoch_seconds=10, linear_epoch_seconds=2)
    seconds = 10 * settings.epochs + 2 * (settings.linear_epochs + 2)
    assert 600 - 10 < seconds <= 600
    assert settings.warmup_epochs < settings.epochs
    short = fit_seconds(choose(), -5, epoch_seconds=10, linear_epoch_seconds=2)
    assert (short.epochs, short.linear_epochs) == (1, 1)


def test_settings_survive_json():
    settings = choose()
    assert (
        settings_from_json(json.loads(json.dumps({**settings_to_json(settings), "other": 1})))
        == settings
    )
    assert "32 x 32" in describe_settings(settings)
