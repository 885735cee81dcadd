"""Recipes, one per file. `common` holds the fields that all of them share."""

import pathlib

NAMES = sorted(
    path.stem for path in pathlib.Path(__file__).parent.glob("[a-z]*.py") if path.stem != "common"
)
