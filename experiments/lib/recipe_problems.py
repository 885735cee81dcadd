"""Mistakes in the flags `--config` and `--config.FIELD=VALUE`, with the nearest valid ones."""

import difflib
import pathlib
import re
import runpy
from collections.abc import Iterator, Mapping
from typing import Any

_RECIPES = pathlib.Path(__file__).parents[1] / "configs"


def find_recipe_problem(argv: list[str]) -> str | None:
    """Returns a sentence about a missing recipe or an unknown field, or `None`.

    Args:
        argv: the command line.
    """
    path = _find_recipe(argv)
    if path is None:
        return None
    if not pathlib.Path(path).is_file():
        names = sorted(recipe.stem for recipe in _RECIPES.glob("[!_]*.py"))
        names.remove("common")
        return (
            f"--config must be the file of a recipe.{_suggest(pathlib.Path(path).stem, names)} The "
            f"recipes in experiments/configs are {', '.join(names)}. Received: {path}"
        )
    fields = list(_field_names(runpy.run_path(path)["get_config"]().to_dict()))
    for field in _find_changed_fields(argv):
        if field not in fields:
            return (
                f"--config.{field} must be a field of the recipe.{_suggest(field, fields)} "
                f"{path} and the recipe that it is based on list all fields."
            )
    return None


def _find_recipe(argv: list[str]) -> str | None:
    for argument, following in zip(argv, [*argv[1:], None], strict=True):
        match = re.fullmatch("--?config(?:=(.*))?", argument)
        if match:
            return match[1] or following
    return None


def _find_changed_fields(argv: list[str]) -> list[str]:
    matches = (re.match(r"--?config\.([^=]+)", argument) for argument in argv)
    return [match[1] for match in matches if match]


def _field_names(fields: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in fields.items():
        yield prefix + name
        if isinstance(value, Mapping):
            yield from _field_names(value, f"{prefix}{name}.")


def _suggest(name: str, names: list[str]) -> str:
    """Returns a sentence with the names that are similar, or of which the name is the last part."""
    last = name.split(".")[-1]
    similar = sorted((x for x in names if x.split(".")[-1] == last), key=len)
    similar += difflib.get_close_matches(name, names, cutoff=0.7)
    by_last = {x.split(".")[-1]: x for x in names}
    similar += [by_last[x] for x in difflib.get_close_matches(last, by_last, cutoff=0.8)]
    unique = list(dict.fromkeys(similar))[:3]
    return f" Did you mean {' or '.join(unique)}?" if unique else ""
