"""Scripts that train and compare encoders."""

import os

# TensorFlow's start-up messages would bury what a script prints; its errors stay.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
