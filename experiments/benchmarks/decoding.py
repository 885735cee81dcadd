"""Measures three ways to decode a JPEG for random crops of 224 pixels on one processor core.

    python -m experiments.benchmarks.decoding

For JPEGs of several sizes and for one, two and eight views of an image:

- `whole`: the image is decoded once, and all views are cropped from it. The library does this;
- `windows`: `tf.io.decode_and_crop_jpeg` decodes the window of each view;
- `reduced`: the image is decoded once with 1/2, 1/4 or 1/8 of its height and width, the smallest
  that leaves the short side at least 224 pixels long. The decoder averages pixels, so that views
  differ from the others, and small crops are magnified.

Windows cover 20 % to 100 % of the image. Prints a table of milliseconds per image: medians over
repetitions in which the ways alternate.

Expected: with two or more views, `windows` takes more time than `whole`. With one view it takes
0.75 to 0.9 of the time. Takes about two minutes.
"""

import os
import re
from collections.abc import Callable, Mapping
from typing import Any

from absl import app, flags

from experiments.lib import files
from experiments.lib.tables import markdown_table
from experiments.lib.timing import median_times

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

_SIZES = flags.DEFINE_multi_string(
    "size", ["500x375", "1000x750", "2000x1500"], "Width and height of the JPEGs in pixels."
)
flags.register_validator(
    _SIZES,
    lambda sizes: all(re.fullmatch(r"[1-9]\d*x[1-9]\d*", size) for size in sizes),
    message="must be WIDTHxHEIGHT, for example 500x375",
)
_VIEWS = flags.DEFINE_multi_integer("views", [1, 2, 8], "Numbers of views.")
_IMAGES = flags.DEFINE_integer("images", 16, "Number of JPEGs of a size.", lower_bound=1)
_SECONDS = flags.DEFINE_float("seconds", 10, "Time for all repetitions of a row.")
_OUTPUT_DIR = flags.DEFINE_string("output_dir", None, "The directory for decoding.json.")

WAYS = ("whole", "windows", "reduced")
_CROP = 224
_SCALE = (0.2, 1.0)


def main(_) -> None:
    """Measures all sizes and numbers of views, and prints the table."""
    output_dir = files.make_output_dir(_OUTPUT_DIR.value)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    rows = [
        {"size": size, "views": views, **_milliseconds(*map(int, size.split("x")), views)}
        for size in _SIZES.value
        for views in _VIEWS.value
    ]
    print(table(rows), end="")
    if output_dir is not None:
        files.write_json(output_dir / "decoding.json", rows)


def table(rows: list[Mapping[str, Any]]) -> str:
    """Writes a table of the milliseconds per image of each way."""
    columns = ["size", "views", *WAYS]
    formatted = ([row["size"], row["views"], *(f"{row[way]:.2f}" for way in WAYS)] for row in rows)
    return markdown_table(columns, formatted)


def _milliseconds(width: int, height: int, views: int) -> dict[str, float]:
    import numpy as np
    import tensorflow as tf

    from experiments.lib import photos
    from supcon_tf.augmentation.crop_windows import draw_windows

    images = photos.photos(_IMAGES.value, height, width)
    jpegs = tf.constant([tf.io.encode_jpeg(image, quality=92).numpy() for image in images])
    draws = np.random.default_rng(0).random([_IMAGES.value * views, 4], np.float32)
    windows = draw_windows(draws, height, width, _SCALE, (3 / 4, 4 / 3), "torchvision")
    windows = tf.reshape(windows, [_IMAGES.value, views, 4])
    factor = max(f for f in (1, 2, 4, 8) if min(width, height) // f >= _CROP)
    functions = {
        "whole": lambda jpeg, windows: _crops(tf.io.decode_jpeg(jpeg), windows),
        "windows": _crops_of_windows,
        "reduced": lambda jpeg, windows: _crops(
            tf.io.decode_jpeg(jpeg, ratio=factor), windows // factor
        ),
    }
    steps = {name: _on_all_images(function, jpegs, windows) for name, function in functions.items()}
    seconds = median_times(steps, _SECONDS.value)
    return {name: 1000 * value / _IMAGES.value for name, value in seconds.items()}


def _crops(image: Any, windows: Any) -> Any:
    """Crops the windows of a decoded image and resizes them."""
    import tensorflow as tf

    def crop(window: tf.Tensor) -> tf.Tensor:
        top, left, height, width = tf.unstack(window)
        part = image[top : top + height, left : left + width]
        return tf.image.resize(part, [_CROP, _CROP])

    return tf.map_fn(crop, windows, fn_output_signature=tf.float32)


def _crops_of_windows(jpeg: Any, windows: Any) -> Any:
    """Decodes the windows of a JPEG and resizes them."""
    import tensorflow as tf

    def crop(window: tf.Tensor) -> tf.Tensor:
        return tf.image.resize(tf.io.decode_and_crop_jpeg(jpeg, window), [_CROP, _CROP])

    return tf.map_fn(crop, windows, fn_output_signature=tf.float32)


def _on_all_images(function: Callable[..., Any], jpegs: Any, windows: Any) -> Callable[[], Any]:
    """Returns a function that crops all images, one after the other."""
    import tensorflow as tf

    @tf.function
    def crop_all(jpegs: tf.Tensor, windows: tf.Tensor) -> tf.Tensor:
        return tf.map_fn(
            lambda each: function(*each),
            (jpegs, windows),
            fn_output_signature=tf.float32,
            parallel_iterations=1,
        )

    return lambda: crop_all(jpegs, windows).numpy()


if __name__ == "__main__":
    app.run(main)
