"""Uses exported and saved models in a process that did not make them.

    python tests/surface/elsewhere.py FOLDER

runs every `FOLDER/NAME/exported` with TensorFlow alone, loads every `FOLDER/NAME/model.keras`, and
writes what both give to `FOLDER/NAME/elsewhere.npz`.
"""

import pathlib
import sys

import numpy as np
import tensorflow as tf

folders = sorted(pathlib.Path(sys.argv[1]).iterdir())


def serve(folder):
    exported = tf.saved_model.load(folder / "exported")
    return exported.serve(np.load(folder / "images.npy")).numpy()


served = [serve(folder) for folder in folders]
assert "supcon_tf" not in sys.modules

import keras  # noqa: E402  (what is above needs TensorFlow alone)
import parts  # noqa: E402

for folder, outputs in zip(folders, served, strict=True):
    model = keras.models.load_model(folder / "model.keras")
    np.savez(folder / "elsewhere.npz", served=outputs, **parts.behavior(model))
