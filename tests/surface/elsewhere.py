"""Uses exported and saved models in a process that did not make them.

    python tests/surface/elsewhere.py FOLDER

runs every `FOLDER/NAME/exported` with TensorFlow alone, loads every `FOLDER/NAME/model.keras`, and
writes what they give to `FOLDER/NAME/elsewhere.npz`.
"""

import pathlib
import sys

import numpy as np
import tensorflow as tf

folders = sorted(pathlib.Path(sys.argv[1]).iterdir())


def serve(folder):
    exported = tf.saved_model.load(folder / "exported")
    return exported.serve(np.load(folder / "images.npy")).numpy()


served = {folder: serve(folder) for folder in folders if (folder / "exported").exists()}
assert "supcon_tf" not in sys.modules

import keras  # noqa: E402  (what is above needs TensorFlow alone)
import parts  # noqa: E402

for folder in folders:
    model = keras.models.load_model(folder / "model.keras")
    exported = {"served": served[folder]} if folder in served else {}
    np.savez(folder / "elsewhere.npz", **exported, **parts.behavior(model))
