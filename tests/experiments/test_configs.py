"""Every recipe builds its models at reduced size, and one recipe of each kind trains a step."""

import functools
import importlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from ml_collections import ConfigDict

import supcon_tf
from experiments.configs import CLASSIFIER_SUFFIXES, NAMES, digits_small
from experiments.lib import builders, classifiers, hlo, pretraining
from experiments.lib.recipe_stages import prepare_first_stage, prepare_linear_stage
from experiments.lib.reduced_recipes import (
    BATCH_SIZE,
    random_images,
    reduced_recipe,
    write_teacher,
)
from supcon_tf.data import ArrayImages

# The other recipes differ from one of these in numbers, in depth or in the data set, or are like
# those that test_recipe_scripts.py trains.
STEP = {
    "fashion_mnist_10k_genscl",
    "imagenet_resnet50_genscl_moco",
    "cifar10_resnet50_official",
    "cifar10_resnet50_cross_entropy",
    "imagenet_resnet50",
    "imagenet_resnet50_memory",
    "imagenet_resnet50_simclr",
    "imagenet_resnet50_cross_entropy",
}
# These differ from cifar10_resnet50 only in the encoder and the optimizer.
OTHER_ENCODERS = {"cifar10_convnext", "cifar10_vit"}
ONE_DEVICE = tf.distribute.get_strategy()


def structure(value):
    """Returns a recipe without its numbers and its data set, as a value that can be compared."""
    if isinstance(value, dict):
        data = {"dataset", "data_dir", "mean", "std"}
        return tuple((key, structure(value[key])) for key in sorted(value.keys() - data))
    if isinstance(value, (tuple, list)):
        return tuple(map(structure, value))
    return value > 0 if type(value) in (int, float) else value


# One recipe of each structure, one of STEP if there is one.
DIFFERENT = {
    structure(reduced_recipe(name).to_dict()): name
    for name in sorted(NAMES, key=lambda name: name in STEP)
    if name not in OTHER_ENCODERS
}.values()


def with_crops(config):
    """Leaves only crops and flips of the augmentation, which are traced in a fraction of the time.

    `test_first_stage` builds the recipes with their own augmentations.
    """
    config.augmentation = config.linear.augmentation
    return config


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """Writes a classifier that can teach, for a number of channels."""
    directory = tmp_path_factory.mktemp("teachers")

    return lambda channels: write_teacher(directory, channels)


def assert_trains(prepared):
    """Checks what can be wrong before the first step: shapes, names and the learning rate."""
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
    model.run_eagerly = True  # A single step is faster than tracing it.
    logs = model.fit(batches, steps_per_epoch=steps, verbose=0).history
    assert np.isfinite(logs["loss"]).all()
    moved = any((a != b).any() for a, b in zip(model.get_weights(), before, strict=True))
    assert moved
    return model


def test_every_published_row_has_a_recipe():
    assert {"cifar10_resnet50", "cifar100_resnet50", "imagenet_resnet50"} < set(NAMES)
    for data in ("cifar10_resnet50", "cifar100_resnet50", "cifar10_small", "fashion_mnist_10k"):
        assert {f"{data}_genscl{part}" for part in ("", "_mix", "_distill")} < set(NAMES)
    assert len(NAMES) == 43
    assert set(NAMES) >= STEP


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [name for name in DIFFERENT if not name.endswith(CLASSIFIER_SUFFIXES)]
)
def test_first_stage(name, teacher):
    config = reduced_recipe(name)
    with_teacher = bool(config.teacher.path)
    if with_teacher:
        config.teacher.path = teacher(len(config.encoder.mean))
    prepared = pretraining.prepare(config, random_images(config), ONE_DEVICE)
    model = assert_steps(prepared, 1) if name in STEP else assert_trains(prepared)
    assert (model.distillation is not None) == with_teacher


@pytest.mark.slow
@pytest.mark.usefixtures("small_convnext")
@pytest.mark.parametrize("name", sorted(OTHER_ENCODERS))
def test_steps_of_other_encoders_have_xla_kernels(name):
    if name == "cifar10_vit":
        pytest.importorskip("keras_hub")
    config = reduced_recipe(name)
    keras.config.set_dtype_policy(config.dtype_policy)
    model = pretraining.build_model(config, random_images(config))
    optimizer = builders.build_optimizer(
        config.optimizer, batch_size=BATCH_SIZE, epochs=config.epochs, steps_per_epoch=1
    )
    model.compile(optimizer, loss=builders.build_loss(config.loss))
    optimizer.build(model.trainable_variables)
    views = tf.TensorSpec([BATCH_SIZE, 2, 32, 32, 3])
    assert hlo.translate(model.train_step, views, tf.TensorSpec([BATCH_SIZE], tf.int32))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits_small", "cifar10_resnet50", "imagenet_resnet50"])
def test_second_stage(name):
    config = reduced_recipe(name)
    encoder = pretraining.build_model(config, random_images(config)).encoder
    before = encoder.get_weights()
    build = functools.partial(classifiers.build_second_stage, config, encoder)
    prepared = classifiers.prepare(build, config, config.linear, random_images(config), ONE_DEVICE)
    model = assert_steps(prepared, 2)
    assert model.batch_statistics == (name == "imagenet_resnet50")
    for weight, old in zip(encoder.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, old)


def test_a_second_stage_that_fine_tunes():
    config = reduced_recipe("cifar10_small_fine_tuning")
    model, _, _ = prepare_linear_stage(config, random_images(config))
    config.linear.train_encoder = False
    frozen, _, _ = prepare_linear_stage(config, random_images(config))
    assert len(frozen.trainable_variables) == 2  # kernel and bias
    assert len(model.trainable_variables) == 2 + len(model.encoder.trainable_variables)
    assert model.encoder.trainable_variables
    config.linear.train_encoder = config.linear.batch_statistics = True
    with pytest.raises(ValueError, match="`linear.batch_statistics` is for a frozen encoder"):
        prepare_linear_stage(config, random_images(config))


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in DIFFERENT if name.endswith(CLASSIFIER_SUFFIXES)])
def test_cross_entropy(name):
    config = reduced_recipe(name)
    prepared = prepare_first_stage(name, config, random_images(config))
    if name in STEP:
        assert_steps(prepared, 1)
    else:
        assert_trains(prepared)


def test_depths():
    published = {"resnet50": 50, "resnet101": 101, "resnet200": 200, "small": 10, "10k": 10}
    for name in NAMES:
        encoder = reduced_recipe(name, depth=None).encoder
        if "depth" in encoder:
            assert encoder.depth == next(published[part] for part in published if part in name)


def test_the_encoder_of_the_paper_has_the_parameters_of_a_resnet50():
    config = reduced_recipe("cifar10_resnet50", width=1, depth=50)
    encoder = builders.build_encoder(config.encoder, 32, 3)
    assert sum(np.prod(w.shape) for w in encoder.trainable_weights) == 23_500_352


@pytest.mark.slow
def test_three_steps_of_an_epoch():
    config = with_crops(reduced_recipe("cifar10_resnet50"))
    source = random_images(config, 3 * BATCH_SIZE)
    config.epochs = 1
    model, batches, steps_per_epoch = pretraining.prepare(config, source, ONE_DEVICE)
    assert steps_per_epoch == 3
    model.run_eagerly = True
    logs = model.fit(batches, verbose=0).history
    assert np.isfinite(logs["loss"]).all()
    assert int(model.optimizer.iterations) == 3


# From the sources, computed by hand: the peak of the learning rate at the batch size of the recipe,
# and the final learning rate.
@pytest.mark.parametrize(
    ("name", "steps_per_epoch", "peak", "final"),
    [
        ("cifar10_resnet50", 48, 0.5, 5e-4),
        ("cifar10_resnet50_cross_entropy", 48, 0.8, 8e-4),
        ("cifar10_resnet50_official", 12, 8.0, 0.0),
        ("cifar100_resnet50_genscl", 48, 0.5, 5e-4),
        ("cifar10_efficientnetv2_teacher", 195, 0.001, 0.0),
        ("imagenet_resnet50", 208, 9.6, 0.0),
        ("imagenet_resnet101", 312, 6.4, 0.0),
        ("imagenet_resnet200", 312, 3.2, 0.0),
        ("imagenet_resnet50_cross_entropy", 208, 2.4, 0.0),
    ],
)
def test_learning_rates_of_the_first_stage(name, steps_per_epoch, peak, final):
    config = importlib.import_module(f"experiments.configs.{name}").get_config()
    optimizer = builders.build_optimizer(
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
        (
            "cifar10_resnet50_genscl",
            97,
            {0: 1e-5, 5: 5, 59.9: 5, 60.1: 1, 75.1: 0.2, 90.1: 0.04},
        ),
        ("imagenet_resnet50_unimoco", 5004, {0: 30, 60.1: 3, 80.1: 0.3}),
        ("cifar10_resnet50_official", 12, {0: 40, 60.1: 8, 90.1: 0.32}),
        ("imagenet_resnet50", 208, {0: 0, 6: 0.6, 12: 1.2, 12.6: 1.2 * 0.97, 22.6: 1.2 * 0.97**21}),
        ("imagenet_resnet200", 312, {12: 0.8}),
    ],
)
def test_learning_rates_of_the_second_stage(name, steps_per_epoch, rates):
    linear = importlib.import_module(f"experiments.configs.{name}").get_config().linear
    optimizer = builders.build_optimizer(
        linear.optimizer,
        batch_size=linear.batch_size,
        epochs=linear.epochs,
        steps_per_epoch=steps_per_epoch,
    )
    for epoch, rate in rates.items():
        actual = float(optimizer._learning_rate(round(epoch * steps_per_epoch)))
        assert actual == pytest.approx(rate, rel=1e-4, abs=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [name for name in NAMES if name.startswith("imagenet_") or name.endswith("_official")],
)
def test_recipes_of_the_official_code_have_its_definitions(name):
    config = reduced_recipe(name, depth=50)  # with blocks of three convolutions
    of_moco = any(part in name for part in ("memory", "moco"))
    policy = builders.build_policy(config.augmentation, 32).transforms
    assert policy[0].definition == ("torchvision" if of_moco else "tensorflow")
    jitters = [x for x in policy if isinstance(x, supcon_tf.augmentation.ColorJitter)]
    of_pytorch = of_moco or name.startswith("cifar")
    assert {x.definition for x in jitters} <= {"torchvision" if of_pytorch else "tensorflow"}
    encoder = builders.build_encoder(config.encoder, 32, 3).layers[-1]
    assert encoder.name == f"resnet{config.encoder.depth}"
    gamma = encoder.get_layer("stage1_block1_conv3_norm").gamma
    assert np.all(gamma == (1 if of_moco else 0))
    assert config.encoder.kernel_initializer == ("he_fan_out" if of_moco else "lecun_normal")
    if name.startswith("imagenet_"):
        assert encoder.get_layer("stem_pool").padding == ("valid" if of_moco else "same")


def test_fields_of_the_augmentation_are_arguments_of_the_policy():
    fields = ConfigDict({"policy": "crop_flip", "scale": (0.5, 1.0), "erasing": 0.25})
    policy = supcon_tf.augmentation.crop_flip(32, scale=(0.5, 1.0), erasing=0.25)
    assert builders.build_policy(fields, 32) == policy


def test_encoders_standardize_the_pixels():
    config = reduced_recipe("cifar10_resnet50")
    encoder = pretraining.build_model(config, random_images(config)).encoder
    pixels = np.random.default_rng(0).random([2, 32, 32, 3], "float32")
    standardized = (pixels - [0.4914, 0.4822, 0.4465]) / [0.2023, 0.1994, 0.2010]
    np.testing.assert_allclose(encoder(pixels), encoder.layers[-1](standardized), atol=1e-4)


@pytest.mark.slow
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
    config = reduced_recipe("digits_small", width=0.25)
    config.update_from_flattened_dict(change)
    with pytest.raises(ValueError, match=message):
        pretraining.prepare(config, random_images(config), ONE_DEVICE)


@pytest.mark.slow
def test_joint_classifier():
    config = with_crops(reduced_recipe("digits_small"))
    config.joint_classifier = True
    model = assert_steps(pretraining.prepare(config, random_images(config), ONE_DEVICE), 1)
    assert model.classifier.kernel.shape[1] == 10
    assert 0 <= pretraining.joint_classifier_accuracy(model, config, random_images(config)) <= 1


@pytest.mark.slow
@pytest.mark.parametrize("mixing", ["", "cutmix"])
def test_the_generalized_loss_gets_label_distributions(mixing):
    config = with_crops(reduced_recipe("digits_small"))
    config.loss.name, config.mixing.kind = "generalized", mixing
    _, batches, _ = pretraining.prepare(config, random_images(config), ONE_DEVICE)
    views, labels = next(iter(batches))
    if mixing:
        assert labels.shape == (BATCH_SIZE, 2, 10)
        np.testing.assert_allclose(tf.reduce_sum(labels, -1), np.ones([BATCH_SIZE, 2]), rtol=1e-6)
        assert not np.isin(labels, [0, 1]).all()
    else:
        assert np.isin(labels, [0, 1]).all()
        assert labels.shape == (BATCH_SIZE, 10)
        assert sorted(np.argmax(labels, 1)) == sorted(np.arange(BATCH_SIZE) % 6)


@pytest.mark.slow
def test_a_queue_of_label_distributions():
    config = with_crops(reduced_recipe("digits_small"))
    config.loss.name, config.mixing.kind = "generalized", "mixup_cutmix"
    config.momentum_encoder = ConfigDict({"queue_size": 2 * BATCH_SIZE, "momentum": 0.9})
    model, _, _ = pretraining.prepare(config, random_images(config), ONE_DEVICE)
    assert model.queue.labels.shape == (2 * BATCH_SIZE, 10)


@pytest.mark.slow
def test_classifiers_train_on_mixed_images():
    config = reduced_recipe("digits_small")
    config.linear.mixing.kind = "mixup"
    config.linear.mixing.alpha = 1.0
    encoder = pretraining.build_model(config, random_images(config)).encoder
    build = functools.partial(classifiers.build_second_stage, config, encoder)
    _, batches, _ = classifiers.prepare(
        build, config, config.linear, random_images(config), ONE_DEVICE
    )
    mixed, labels = next(iter(batches))
    assert (mixed.shape, labels.shape) == ((BATCH_SIZE, 32, 32, 1), (BATCH_SIZE, 10))
    assert not np.isin(labels, [0, 1]).all()


@pytest.mark.parametrize(("unlabeled_images", "unlabeled"), [(True, 20), (False, 0)])
def test_a_part_of_the_labels(unlabeled_images, unlabeled):
    config = reduced_recipe("digits_small")
    config.labeled_fraction, config.unlabeled_images = 0.5, unlabeled_images
    source = ArrayImages(
        random_images(config, 40).images, np.arange(40) % 2, [str(k) for k in range(10)]
    )
    images = pretraining.first_stage_images(config, source)
    assert np.bincount(images.labels + 1).tolist() == [unlabeled, 10, 10]


@pytest.mark.parametrize(
    ("module", "train", "images"),
    [
        (pretraining, pretraining.pretrain, 1437),
        (classifiers, classifiers.train_cross_entropy, 30),
        (classifiers, functools.partial(classifiers.train_linear, "encoder.keras"), 30),
    ],
)
def test_no_stage_sees_a_hidden_label(module, train, images, tmp_path, monkeypatch):
    def prepare(*arguments):
        seen.extend(each for each in arguments if isinstance(each, ArrayImages))
        raise InterruptedError

    seen = []
    monkeypatch.setattr(module, "prepare", prepare)
    monkeypatch.setattr(classifiers, "weights_digest", lambda path: "")
    config = digits_small.get_config()
    config.labeled_fraction = config.linear.labeled_fraction = 0.02
    with pytest.raises(InterruptedError):
        train(config, tmp_path, ONE_DEVICE)
    (source,) = seen
    assert (len(source), np.sum(source.labels >= 0)) == (images, 30)
    assert not list(tmp_path.iterdir())


def test_a_teacher_that_is_not_there():
    config = reduced_recipe("fashion_mnist_10k_genscl")
    with pytest.raises(FileNotFoundError, match="`teacher.path`.*train_teacher.*Received: 'runs/"):
        pretraining.prepare(config, random_images(config), ONE_DEVICE)


@pytest.mark.slow
def test_simclr_has_no_labels():
    config = with_crops(reduced_recipe("cifar10_resnet50_simclr"))
    images = pretraining.first_stage_images(config, random_images(config))
    _, batches, _ = pretraining.prepare(config, images, ONE_DEVICE)
    _, labels = next(iter(batches))
    np.testing.assert_array_equal(labels, np.full(BATCH_SIZE, -1))
    assert batches.element_spec[1].shape == (BATCH_SIZE,)


@pytest.mark.slow
def test_bfloat16_of_the_imagenet_recipes():
    config = with_crops(reduced_recipe("imagenet_resnet50"))
    model, _, _ = pretraining.prepare(config, random_images(config), ONE_DEVICE)
    assert model.encoder.layers[-1].get_layer("stem_conv").compute_dtype == "bfloat16"
    assert model.encoder(np.zeros([1, 32, 32, 3])).dtype == "float32"  # normalized
    assert isinstance(model.optimizer, supcon_tf.LARS)
    assert keras.config.dtype_policy().name == "mixed_bfloat16"


def test_a_teacher_of_other_classes(tmp_path):
    encoder = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.GlobalAveragePooling2D()])
    path = tmp_path / "teacher.keras"
    supcon_tf.CrossEntropyModel(encoder, 2, class_names=["cat", "dog"]).save(path)
    config = ConfigDict({"path": str(path), "weight": 1.0, "temperature": 1.0, "from_logits": True})
    with pytest.raises(ValueError, match=r"teacher.keras.*missing classes \['cow'\]"):
        builders.build_distillation(config, ["cat", "cow", "dog"])
    assert builders.build_distillation(config, ["cat", "dog"]) is not None
