"""Supervised contrastive learning against cross-entropy on real images, on a laptop.

    python -m experiments.quickstart
    python -m experiments.quickstart --dataset=fashion_mnist --idx_dir=DIRECTORY

trains the same small encoder twice on the same views, once with SupCon followed by a linear
classifier on the frozen encoder, once with cross-entropy; tests both on images that neither has
seen; and writes results.json, the learning curves and maps of both embedding spaces.
"""

import math
import pathlib
import platform
import time
from typing import Any, NamedTuple

from absl import app, flags

from experiments.lib import strategy_flags

flags.adopt_module_key_flags(strategy_flags)  # --help shows them

_DATASET = flags.DEFINE_enum("dataset", "digits", ["digits", "fashion_mnist"], "What to train on.")
_IDX_DIR = flags.DEFINE_string(
    "idx_dir",
    "/usr/share/datasets/fashion-mnist",
    "Directory of the Fashion-MNIST idx files, as Debian's dataset-fashion-mnist installs them.",
)
_METHODS = flags.DEFINE_multi_enum(
    "method", ["supcon", "cross_entropy"], ["supcon", "cross_entropy"], "What to train; repeatable."
)
_EPOCHS = flags.DEFINE_integer("epochs", None, "Epochs of each training.", lower_bound=1)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", None, "Images in a batch.", lower_bound=2)
_TRAIN_IMAGES = flags.DEFINE_integer(
    "train_images", None, "Train on the first so many images only.", lower_bound=2
)
_HOLD_OUT = flags.DEFINE_integer(
    "hold_out",
    0,
    "Test on this many training images, which are then not trained on, and leave the test set "
    "alone: for choosing settings.",
    lower_bound=0,
)
_TEMPERATURE = flags.DEFINE_float("temperature", None, "Temperature of the SupCon loss.")
_SUPCON_LEARNING_RATE = flags.DEFINE_float(
    "supcon_learning_rate", None, "Peak learning rate of SupCon, per 256 images of the batch."
)
_CROSS_ENTROPY_LEARNING_RATE = flags.DEFINE_float(
    "cross_entropy_learning_rate",
    None,
    "Peak learning rate of cross-entropy, per 256 images of the batch.",
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the weights, the order and the views.")
_OUTPUT_DIR = flags.DEFINE_string("output_dir", "runs/quickstart", "Where the results go.")
for _flag in (_TEMPERATURE, _SUPCON_LEARNING_RATE, _CROSS_ENTROPY_LEARNING_RATE):
    flags.register_validator(_flag, lambda value: value is None or value > 0, "must be above 0")


class Settings(NamedTuple):
    """What one data set is trained with."""

    epochs: int
    batch_size: int
    view_size: int  # side in pixels
    crop_area: tuple[float, float]  # fractions of the image
    flip: bool
    width: float  # of the encoder
    projection_widths: tuple[int, ...]
    temperature: float
    supcon_learning_rate: float  # at the peak, per 256 images
    cross_entropy_learning_rate: float


# Temperature and learning rates were chosen on held-out images of Fashion-MNIST, see
# docs/quickstart_comparison.md; the digits take them over.
SETTINGS = {
    "digits": Settings(
        epochs=40,
        batch_size=128,
        view_size=16,
        crop_area=(0.5, 1.0),
        flip=False,
        width=0.25,
        projection_widths=(128, 128),
        temperature=0.2,
        supcon_learning_rate=0.2,
        cross_entropy_learning_rate=0.2,
    ),
    "fashion_mnist": Settings(
        epochs=8,
        batch_size=256,
        view_size=28,
        crop_area=(0.5, 1.0),
        flip=True,
        width=0.25,
        projection_widths=(128, 128),
        temperature=0.2,
        supcon_learning_rate=0.2,
        cross_entropy_learning_rate=0.2,
    ),
}
_TITLES = {"supcon": "SupCon + linear classifier", "cross_entropy": "cross-entropy"}


def train_and_test(
    method: str, train, test, settings: Settings, seed: int, strategy
) -> dict[str, Any]:
    """Trains an encoder with one method on all replicas, and tests it on one device.

    Args:
        method: `"supcon"` or `"cross_entropy"`.
        train: the images to train on.
        test: the images to test on, after the last epoch and only then.
        settings: see `Settings`.
        seed: decides weights, order and views.
        strategy: a strategy of tf.distribute.

    Returns:
        `results`, what results.json says of the method, and `representations` of the test images.

    Raises:
        Diverged: after the first step whose loss is not finite, or if the trained weights are not.
    """
    import keras

    import supcon_tf
    from experiments.lib import divergence
    from supcon_tf import evaluation

    start = time.monotonic()
    keras.utils.set_random_seed(seed)
    num_classes = len(train.class_names)
    size = settings.view_size
    views = supcon_tf.data.multi_view_batches(
        train,
        supcon_tf.augmentation.sim_augment(size, scale=settings.crop_area, flip=settings.flip),
        batch_size=settings.batch_size,
        epochs=settings.epochs,
        seed=seed,
    )
    total_steps = len(views)
    whole = {"size": size, "batch_size": 500}
    train_images = supcon_tf.data.image_batches(train, **whole)
    test_images = supcon_tf.data.image_batches(test, **whole)

    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    with strategy.scope():
        encoder = supcon_tf.encoders.resnet(
            10,
            stem="cifar",
            width=settings.width,
            input_shape=(size, size, train.channels),
            synchronized_batch_norm=True,
        )
        optimizer = keras.optimizers.SGD(
            warmup_cosine(
                settings.supcon_learning_rate
                if method == "supcon"
                else settings.cross_entropy_learning_rate,
                settings.batch_size,
                total_steps,
            ),
            momentum=0.9,
            weight_decay=1e-4,
        )
        if method == "supcon":
            head = supcon_tf.projection_head(settings.projection_widths)
            model = supcon_tf.SupConModel(encoder, head)
            model.compile(optimizer, loss=supcon_tf.SupConLoss(settings.temperature))
        else:
            model = supcon_tf.CrossEntropyModel(encoder, num_classes)
            model.compile(optimizer, loss=cross_entropy, metrics=["accuracy"])
            views = supcon_tf.data.flatten_views(views)
    # The pipeline holds the views of all epochs, each of them new, and has shuffled them itself.
    history = model.fit(
        views,
        epochs=settings.epochs,
        steps_per_epoch=total_steps // settings.epochs,
        callbacks=[divergence.StopIfDiverged()],
    ).history
    divergence.require_finite_weights(model)

    # The same weights outside of the strategy, where images need not come in equal batches.
    trained = type(model).from_config(model.get_config())
    trained.set_weights(model.get_weights())
    encoder = trained.encoder
    train_representations = encoder.predict(train_images, verbose=0)
    classifier = trained
    if method == "supcon":
        print("training the linear classifier on the frozen encoder", flush=True)
        classifier = supcon_tf.LinearClassifier(encoder, num_classes)
        probe = evaluation.linear_probe(train_representations, train.labels, num_classes)
        classifier.head.set_weights(probe.get_weights())
    classifier.compile(loss=cross_entropy, metrics=["accuracy"])
    accuracy = classifier.evaluate(test_images, verbose=0, return_dict=True)["accuracy"]
    representations = encoder.predict(test_images, verbose=0)
    knn_accuracy = evaluation.knn_accuracy(
        train_representations,
        train.labels,
        representations,
        test.labels,
        k=20,
        temperature=math.inf,  # equal votes
    )
    results = {
        "accuracy": round(float(accuracy), 4),
        "knn_accuracy": round(knn_accuracy, 4),
        "seconds": round(time.monotonic() - start, 1),
        "loss": history["loss"],
    }
    return {"results": results, "representations": representations}


def warmup_cosine(learning_rate: float, batch_size: int, total_steps: int):
    """A linear warm-up over a twentieth of the steps, then a cosine to 0.

    Args:
        learning_rate: its peak for a batch of 256 images; it grows in proportion to the batch.
        batch_size: images in a batch.
        total_steps: length of the training.

    Returns:
        A Keras learning rate schedule.
    """
    import keras

    warmup = max(1, total_steps // 20)
    return keras.optimizers.schedules.CosineDecay(
        0.0,
        max(1, total_steps - warmup),
        warmup_target=learning_rate * batch_size / 256,
        warmup_steps=warmup,
    )


def chosen_settings() -> Settings:
    """The data set's settings with what the flags change."""
    given = {
        "epochs": _EPOCHS.value,
        "batch_size": _BATCH_SIZE.value,
        "temperature": _TEMPERATURE.value,
        "supcon_learning_rate": _SUPCON_LEARNING_RATE.value,
        "cross_entropy_learning_rate": _CROSS_ENTROPY_LEARNING_RATE.value,
    }
    return SETTINGS[_DATASET.value]._replace(**{k: v for k, v in given.items() if v is not None})


def table(results: dict[str, dict[str, Any]]) -> str:
    """The results as a table in Markdown."""
    rows = ["| method | accuracy | k-NN accuracy | seconds |", "|---|---|---|---|"]
    for method, result in results.items():
        rows.append(
            f"| {_TITLES[method]} | {result['accuracy']:.4f} | {result['knn_accuracy']:.4f} "
            f"| {result['seconds']:.0f} |"
        )
    return "\n".join(rows)


def main(argv: list[str]) -> None:
    """Trains, tests, prints a table and writes the results."""
    if len(argv) > 1:
        raise app.UsageError(f"Flags only. Received: {argv[1:]}")
    import supcon_tf

    strategy = strategy_flags.make_strategy()
    from experiments.lib import datasets

    output_dir = pathlib.Path(_OUTPUT_DIR.value)
    settings = chosen_settings()
    train, test = datasets.load_both(
        _DATASET.value, _IDX_DIR.value, _TRAIN_IMAGES.value, _HOLD_OUT.value
    )
    output_dir.mkdir(parents=True, exist_ok=True)

    import keras
    import tensorflow as tf

    from experiments import pictures
    from experiments.lib import files

    outcomes = {}
    for method in dict.fromkeys(_METHODS.value):
        print(f"\n{_TITLES[method]}: {len(train)} training images", flush=True)
        outcomes[method] = train_and_test(method, train, test, settings, _SEED.value, strategy)
    if not supcon_tf.distribution.is_chief(strategy):
        return
    results = {method: outcome["results"] for method, outcome in outcomes.items()}
    files.write_json(
        output_dir / "results.json",
        {
            "dataset": _DATASET.value,
            "train_images": len(train),
            "test_images": len(test),
            "tested_on": "held-out training images" if _HOLD_OUT.value else "test set",
            "seed": _SEED.value,
            "settings": settings._asdict(),
            "versions": {
                "python": platform.python_version(),
                "tensorflow": tf.__version__,
                "keras": keras.__version__,
            },
            "methods": results,
        },
    )
    print("drawing learning curves and embedding maps", flush=True)
    pictures.learning_curves(
        output_dir / "curves.png", {_TITLES[m]: result["loss"] for m, result in results.items()}
    )
    pictures.embedding_maps(
        output_dir / "embeddings.png",
        {_TITLES[m]: outcome["representations"] for m, outcome in outcomes.items()},
        test.labels,
        test.class_names,
        seed=_SEED.value,
    )
    print(f"\n{len(train)} training images, {len(test)} test images of {_DATASET.value}:\n")
    print(table(results))
    print(f"\nresults.json, curves.png and embeddings.png are in {output_dir}/")


if __name__ == "__main__":
    app.run(main)
