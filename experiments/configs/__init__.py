"""Recipes, one per file. `common` holds the shared fields."""

import pathlib

NAMES = sorted(
    path.stem for path in pathlib.Path(__file__).parent.glob("[a-z]*.py") if path.stem != "common"
)
