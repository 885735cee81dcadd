"""A classifier of image files as a SavedModel, for programs without this library."""

import functools
import pathlib

import keras
import tensorflow as tf

from supcon_tf._files import replace_directory
from supcon_tf.commands.image_files import preprocess
from supcon_tf.models import LinearClassifier


def export_classifier(
    classifier: LinearClassifier,
    directory: pathlib.Path,
    *,
    short_side: int,
    temperature: float,
    multi_label: bool,
) -> None:
    """Writes a SavedModel that maps the bytes of images to probabilities.

    Its signature `serve` takes strings `[batch]` and returns `class_names` and `probabilities`,
    both `[batch, classes]`.

    Args:
        classifier: the classifier, with class names.
        directory: the directory to write.
        short_side: length to which the short side of an image is resized.
        temperature: the number by which logits are divided.
        multi_label: whether every class has a probability of its own.
    """
    _, size, _, channels = classifier.encoder.input_shape
    to_pixels = functools.partial(preprocess, size=size, short_side=short_side, channels=channels)
    to_probabilities = tf.sigmoid if multi_label else tf.nn.softmax

    def serve(contents: tf.Tensor) -> dict[str, tf.Tensor]:
        with tf.device("CPU:0"):  # Images are decoded there.
            images = tf.map_fn(to_pixels, contents, fn_output_signature=tf.float32)
        probabilities = to_probabilities(classifier(images, training=False) / temperature)
        names = tf.tile(tf.constant([classifier.class_names]), [tf.size(contents), 1])
        return {"class_names": names, "probabilities": probabilities}

    def write(path: pathlib.Path) -> None:
        archive = keras.export.ExportArchive()
        archive.track(classifier)
        archive.add_endpoint(
            "serve", serve, input_signature=[tf.TensorSpec([None], tf.string, name="images")]
        )
        archive.write_out(path, verbose=False)

    replace_directory(directory, write)
