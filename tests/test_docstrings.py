import doctest
import importlib
import pkgutil

import pytest

import supcon_tf

MODULES = [name for _, name, _ in pkgutil.walk_packages(supcon_tf.__path__, "supcon_tf.")]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run_as_printed(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize(
    "name",
    [
        "SupConLoss",
        "NPairsLoss",
        "TripletLoss",
        "MaxMarginLoss",
        "SupConModel",
        "MixingLayer",
        "MomentumSupConModel",
        "LinearClassifier",
        "CrossEntropyModel",
        "projection_head",
    ],
)
def test_public_names_have_an_example(name):
    assert ">>> " in getattr(supcon_tf, name).__doc__
