"""Recipes, one per file. `common` holds the shared fields."""

import pathlib

NAMES = sorted(
    path.stem for path in pathlib.Path(__file__).parent.glob("[a-z]*.py") if path.stem != "common"
)
# The last part of the names of recipes that train a classifier in one stage.
CLASSIFIER_SUFFIXES = ("cross_entropy", "teacher")
