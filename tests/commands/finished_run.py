"""Writes the directory of a finished run, with a tiny encoder and outputs made up from a seed."""

import json

import keras
import numpy as np
import tensorflow as tf

SIZE = 8


def write_image(path, color, rng):
    """Writes a noisy image of a color."""
    noise = rng.normal(0, 40, [SIZE, SIZE, 3])
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.clip(color + noise, 0, 255).astype(np.uint8)
    path.write_bytes(tf.io.encode_png(pixels).numpy())


def write_run(
    root,
    class_names,
    *,
    images_per_class=(8, 6),
    files=True,
    noise=1.0,
    multi_label=False,
    dim=6,
    epochs=20,
):
    """Writes images to `root / "data"` and a run to `root / "run"`.

    Args:
        root: an empty directory.
        class_names: the names of the classes, which are names of directories.
        images_per_class: number of training and of test images of each class.
        files: whether the images and the encoder are written.
        noise: standard deviation of the logits, whose right class is at 2.
        multi_label: whether some images have two classes.
        dim: number of features, if no files are written.
        epochs: number of epochs in the logs.

    Returns:
        The directory of the run.
    """
    rng = np.random.default_rng(0)
    classes = len(class_names)
    colors = rng.integers(100, 156, [classes, 3])
    centers = rng.normal(size=[classes, dim])
    run = root / "run"
    run.mkdir(parents=True)
    encoder = keras.Sequential(
        [keras.Input([SIZE, SIZE, 3]), keras.layers.AveragePooling2D(4), keras.layers.Flatten()]
    )
    for part, count in zip(("train", "test"), images_per_class, strict=True):
        labels = np.repeat(np.arange(classes), count)
        paths = [
            root / "data" / part / class_names[label] / f"{number}.png"
            for number, label in enumerate(labels)
        ]
        targets = np.eye(classes, dtype=np.int64)[labels]
        if multi_label:
            targets[::3, 0] = 1
        if files:
            for path, label in zip(paths, labels, strict=True):
                write_image(path, colors[label], rng)
            pixels = np.stack([tf.io.decode_png(path.read_bytes()).numpy() for path in paths])
            representations = encoder(pixels / np.float32(255)).numpy()
        else:
            representations = centers[labels] + 0.4 * rng.normal(size=[len(labels), dim])
        logits = 2 * targets + rng.normal(0, noise, [len(labels), classes]) - multi_label
        np.savez(
            run / f"{part}_outputs.npz",
            paths=np.array([str(path) for path in paths]),
            labels=targets if multi_label else labels,
            logits=logits.astype(np.float32),
            representations=representations.astype(np.float32),
        )
    if files:
        encoder.save(run / "encoder.keras")
    settings = {
        "version": "0.1.0",
        "data": str(root / "data" / "train"),
        "test": str(root / "data" / "test"),
        "class_names": list(class_names),
        "image_size": SIZE,
        "short_side": SIZE,
        "channels": 3,
        "encoder": "resnet18",
        "batch_size": 32,
        "temperature": 0.1,
        "epochs": epochs,
        "linear_epochs": 10,
        "seed": 0,
    }
    results = {
        "tested_on": "test folder",
        "k_nn_accuracy": 0.75,
        "temperature": 0.5,
        "unknown_threshold": None if multi_label else 0.75,
    }
    (run / "settings.json").write_text(json.dumps(settings))
    (run / "results.json").write_text(json.dumps(results))
    for stage, start in (("pretraining", 5.0), ("classifier", 1.0)):
        (run / stage).mkdir()
        rows = [f"{epoch},{start / (epoch + 1) ** 0.3:.4f},0.1" for epoch in range(epochs)]
        (run / stage / "log.csv").write_text("\n".join(["epoch,loss,learning_rate", *rows]) + "\n")
    return run
