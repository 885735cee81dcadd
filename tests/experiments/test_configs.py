"""Every recipe makes all that trains, at reduced size, and one of each kind makes a step."""

import importlib
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

import supcon_tf
from experiments import classifiers, configs, pretraining, recipes
from supcon_tf.data import ArrayImages

RECIPES = sorted(path.stem for path in pathlib.Path(configs.__file__).parent.glob("[a-z]*.py"))
# The others differ from one of these in numbers, in depth or in the data set; cifar10_resnet50
# makes three steps.
STEP = {
    "digits_small",
    "digits_small_cross_entropy",
    "cifar10_resnet50_official",
    "cifar10_resnet50_cross_entropy",
    "imagenet_resnet50",
    "imagenet_resnet50_memory",
    "imagenet_resnet50_simclr",
    "imagenet_resnet50_cross_entropy",
}
BATCH = 8
ONE_DEVICE = tf.distribute.get_strategy()


def recipe(name, width=1 / 16):
    """A recipe for small batches of images of 32 pixels, with few channels."""
    config = importlib.import_module(f"experiments.configs.{name}").get_config()
    config.image_size = config.test_short_side = 32
    config.encoder.width = width
    config.epochs = config.linear.epochs = 2
    config.batch_size = config.linear.batch_size = BATCH
    if "momentum_encoder" in config:
        config.momentum_encoder.queue_size = 2 * BATCH
    return config


def images(config, number=BATCH):
    """As many classes as the top-5 accuracy needs and more; grey where the data set is."""
    channels = len(config.encoder.mean)
    pixels = np.random.default_rng(0).integers(0, 256, [number, 40, 40, channels], np.uint8)
    return ArrayImages(pixels, np.arange(number) % 6, [str(k) for k in range(10)])


def assert_trains(prepared):
    """All that can be wrong before the first step: shapes, names and the learning rate."""
    model, batches, steps_per_epoch = prepared
    assert steps_per_epoch == 1
    assert model.built and model.optimizer.built and model.trainable_variables
    # The learning rate of the first step of a warm-up is 0.
    assert max(float(model.optimizer._learning_rate(step)) for step in (0, 1, 2)) > 0
    return model


def assert_steps(prepared, steps):
    model, batches, _ = prepared
    assert_trains(prepared)
    before = [weight.copy() for weight in model.get_weights()]
    model.run_eagerly = True  # a single step is faster than the making of its graph
    logs = model.fit(batches(0), steps_per_epoch=steps, verbose=0).history
    assert np.isfinite(logs["loss"]).all()
    moved = any((a != b).any() for a, b in zip(model.get_weights(), before, strict=True))
    assert moved
    return model


def test_there_is_one_for_each_published_row():
    assert {"cifar10_resnet50", "cifar100_resnet50", "imagenet_resnet50"} < set(RECIPES)
    assert len(RECIPES) == 17
    assert set(RECIPES) >= STEP


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in RECIPES if not name.endswith("cross_entropy")])
def test_first_stage(name):
    config = recipe(name)
    prepared = pretraining.prepare(config, images(config), ONE_DEVICE)
    model = assert_steps(prepared, 1) if name in STEP else assert_trains(prepared)
    published = {"resnet50": 50, "resnet101": 101, "resnet200": 200, "small": 10}
    depth = next(depth for part, depth in published.items() if part in name)
    assert model.encoder.layers[-1].name == f"resnet{depth}"


@pytest.mark.parametrize("name", ["digits_small", "cifar10_resnet50", "imagenet_resnet50"])
def test_second_stage(name):
    config = recipe(name)
    encoder = pretraining.build(config, images(config)).encoder
    before = encoder.get_weights()

    def build(num_classes, channels):
        return classifiers.linear(encoder, num_classes, config)

    prepared = classifiers.prepare(build, config, config.linear, images(config), ONE_DEVICE)
    model = assert_steps(prepared, 2)
    assert model.batch_statistics == (name == "imagenet_resnet50")
    for weight, old in zip(encoder.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, old)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in RECIPES if name.endswith("cross_entropy")])
def test_cross_entropy(name):
    config = recipe(name)

    def build(num_classes, channels):
        return classifiers.cross_entropy(num_classes, channels, config)

    prepared = classifiers.prepare(build, config, config, images(config), ONE_DEVICE)
    if name in STEP:
        assert_steps(prepared, 1)
    else:
        assert_trains(prepared)


@pytest.mark.slow
def test_three_real_steps_of_resnet50_on_cifar():
    config = recipe("cifar10_resnet50", width=1)
    source = images(config, 3 * BATCH)
    config.epochs = 1
    model, batches, steps_per_epoch = pretraining.prepare(config, source, ONE_DEVICE)
    assert steps_per_epoch == 3
    assert sum(np.prod(w.shape) for w in model.encoder.trainable_weights) == 23_500_352
    model.run_eagerly = True
    logs = model.fit(batches(0), verbose=0).history
    assert np.isfinite(logs["loss"]).all()
    assert int(model.optimizer.iterations) == 3


# What the sources say, by hand: the peak of the learning rate at the recipe's own batch size, and
# the learning rate at the end.
@pytest.mark.parametrize(
    ("name", "steps_per_epoch", "peak", "final"),
    [
        ("cifar10_resnet50", 48, 0.5, 5e-4),
        ("cifar10_resnet50_cross_entropy", 48, 0.8, 8e-4),
        ("cifar10_resnet50_official", 12, 8.0, 0.0),
        ("imagenet_resnet50", 208, 9.6, 0.0),
        ("imagenet_resnet101", 312, 6.4, 0.0),
        ("imagenet_resnet200", 312, 3.2, 0.0),
        ("imagenet_resnet50_cross_entropy", 208, 2.4, 0.0),
    ],
)
def test_learning_rates_of_the_first_stage(name, steps_per_epoch, peak, final):
    config = importlib.import_module(f"experiments.configs.{name}").get_config()
    optimizer = recipes.optimizer(
        config.optimizer,
        batch_size=config.batch_size,
        epochs=config.epochs,
        steps_per_epoch=steps_per_epoch,
    )
    schedule = optimizer._learning_rate
    warm = steps_per_epoch * config.optimizer.schedule.warmup_epochs
    last = steps_per_epoch * config.epochs
    assert float(schedule(warm)) == pytest.approx(peak, rel=1e-5)
    assert float(schedule(last)) == pytest.approx(final, rel=1e-3, abs=1e-6)
    assert float(schedule(warm // 2)) == pytest.approx(peak / 2, rel=0.03)


@pytest.mark.parametrize(
    ("name", "steps_per_epoch", "rates"),
    [
        ("cifar10_resnet50", 97, {0: 5, 59.9: 5, 60.1: 1, 75.1: 0.2, 90.1: 0.04}),
        ("cifar10_resnet50_official", 12, {0: 40, 60.1: 8, 90.1: 0.32}),
        ("imagenet_resnet50", 208, {0: 0, 6: 0.6, 12: 1.2, 12.6: 1.2 * 0.97, 22.6: 1.2 * 0.97**21}),
        ("imagenet_resnet200", 312, {12: 0.8}),
    ],
)
def test_learning_rates_of_the_second_stage(name, steps_per_epoch, rates):
    linear = importlib.import_module(f"experiments.configs.{name}").get_config().linear
    optimizer = recipes.optimizer(
        linear.optimizer,
        batch_size=linear.batch_size,
        epochs=linear.epochs,
        steps_per_epoch=steps_per_epoch,
    )
    for epoch, rate in rates.items():
        actual = float(optimizer._learning_rate(round(epoch * steps_per_epoch)))
        assert actual == pytest.approx(rate, rel=1e-4, abs=1e-8)


def test_encoders_standardise_the_pixels():
    config = recipe("cifar10_resnet50")
    encoder = pretraining.build(config, images(config)).encoder
    pixels = np.random.default_rng(0).random([2, 32, 32, 3], "float32")
    standardised = (pixels - [0.4914, 0.4822, 0.4465]) / [0.2023, 0.1994, 0.2010]
    np.testing.assert_allclose(encoder(pixels), encoder.layers[-1](standardised), atol=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"loss.name": "nonsense"}, "`loss.name` must be one of .*'supcon'.*Received: 'nonsense'"),
        ({"augmentation.policy": "none"}, "`augmentation.policy` must be one of"),
        ({"optimizer.name": "sdg"}, "`optimizer.name` must be one of"),
        ({"optimizer.schedule.name": "linear"}, "`schedule.name` must be one of"),
        ({"batch_size": 9}, "`batch_size` must not exceed the number of images.*9, 8 images"),
        ({"image_size": 7}, "`input_shape` must have sides of at least 8"),
        ({"loss.temperature": 0.0}, "`temperature` must be a finite number above 0"),
    ],
)
def test_bad_fields(change, message):
    config = recipe("digits_small", width=0.25)
    config.update_from_flattened_dict(change)
    with pytest.raises(ValueError, match=message):
        pretraining.prepare(config, images(config), ONE_DEVICE)


def test_joint_classifier():
    config = recipe("digits_small")
    config.joint_classifier = True
    model = assert_steps(pretraining.prepare(config, images(config), ONE_DEVICE), 1)
    assert model.classifier.kernel.shape[1] == 10
    assert 0 <= pretraining.joint_accuracy(model, config, images(config)) <= 1


def test_simclr_has_no_labels():
    config = recipe("cifar10_resnet50_simclr")
    _, batches, _ = pretraining.prepare(config, images(config), ONE_DEVICE)
    _, labels = next(iter(batches(0)))
    np.testing.assert_array_equal(labels, np.full(BATCH, -1))
    assert batches(0).element_spec[1].shape == (BATCH,)


def test_bfloat16_of_the_imagenet_recipes():
    config = recipe("imagenet_resnet50")
    model, _, _ = pretraining.prepare(config, images(config), ONE_DEVICE)
    assert model.encoder.layers[-1].get_layer("stem_conv").compute_dtype == "bfloat16"
    assert model.encoder(np.zeros([1, 32, 32, 3])).dtype == "float32"  # normalised
    assert isinstance(model.optimizer, supcon_tf.LARS)
    assert keras.config.dtype_policy().name == "mixed_bfloat16"
