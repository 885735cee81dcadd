"""Trains one epoch with the installed library and nothing beyond its requirements: `make dist`.

Run it as `python -I`, which leaves the files beside it and the current directory out.
"""

import importlib.metadata
import pathlib
import sysconfig

import keras
import numpy as np

import supcon_tf

installed = pathlib.Path(sysconfig.get_path("purelib")) / "supcon_tf" / "__init__.py"
assert pathlib.Path(supcon_tf.__file__) == installed, supcon_tf.__file__
assert supcon_tf.__version__ == importlib.metadata.version("supcon-tf")

model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
model.compile("sgd", loss=supcon_tf.SupConLoss())
losses = model.fit(np.eye(4), np.array([0, 0, 1, 1]), verbose=0).history["loss"]
assert np.isfinite(losses).all()

try:
    supcon_tf.data.load_digits("train")
except ImportError as error:
    print(f"The wheel trains alone; {error}")
else:
    raise SystemExit("scikit-learn is installed: the wheel is not tested alone")
