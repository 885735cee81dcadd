"""The command lines of the scripts."""

import functools
import gc
import logging
import math
from collections.abc import Callable, Sequence

import absl.logging
from absl import app, flags

from experiments.lib.recipe_problems import find_recipe_problem

_TRACEBACK = flags.DEFINE_bool("traceback", False, "Show where an error occurred.")


def run(main: Callable[[list[str]], None]) -> None:
    """Parses the flags and runs a script. An error ends it with its message, without a traceback.

    Args:
        main: the main function of the script.
    """
    app.run(functools.partial(_run, main), flags_parser=_parse_flags)


def _parse_flags(argv: list[str]) -> list[str]:
    if "config" in flags.FLAGS:
        problem = find_recipe_problem(argv)
        if problem is not None:
            raise SystemExit(problem)
    return app.parse_flags_with_usage(argv)


def _run(main: Callable[[list[str]], None], argv: list[str]) -> None:
    # TensorFlow and graphs are many objects of which few are garbage. Collections that look through
    # them take a quarter of the time of the imports.
    gc.set_threshold(100_000)
    try:
        main(argv)
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        if _TRACEBACK.value or isinstance(error, NotImplementedError):
            raise
        raise SystemExit(
            f"{type(error).__name__}: {error}\n(--traceback shows where the error occurred)"
        ) from None


def check_arguments(argv: list[str]) -> None:
    """Raises `app.UsageError` if the command line has arguments that are not flags."""
    if len(argv) > 1:
        raise app.UsageError(f"The command line must have flags only. Received: {argv[1:]}")
    absl.logging.set_verbosity(absl.logging.WARNING)  # TensorFlow logs every file that it writes.
    logging.getLogger("tensorflow").addFilter(_is_not_about_predict)


def _is_not_about_predict(record: logging.LogRecord) -> bool:
    """Keras traces `predict` for each model. TensorFlow counts all models together and warns."""
    return "make_predict_function" not in record.getMessage()


def are_seeds(values: Sequence[str]) -> bool:
    """Returns whether the values of a flag are seeds: at least one integer, none negative."""
    return bool(values) and all(value.isdecimal() for value in values)


def are_numbers(values: Sequence[str]) -> bool:
    """Returns whether the values of a flag are finite numbers: at least one, none negative."""
    try:
        return bool(values) and all(0 <= float(value) < math.inf for value in values)
    except ValueError:
        return False
