"""Recipes, one per file. `common` holds the shared fields."""

import importlib
import pathlib

from ml_collections import ConfigDict

NAMES = sorted(
    path.stem for path in pathlib.Path(__file__).parent.glob("[a-z]*.py") if path.stem != "common"
)
# The last part of the names of recipes that train a classifier in one stage.
CLASSIFIER_SUFFIXES = ("cross_entropy", "teacher")


def load_recipe(name: str) -> ConfigDict:
    """Returns the fields of a recipe, one of `NAMES`."""
    return importlib.import_module(f"experiments.configs.{name}").get_config()
