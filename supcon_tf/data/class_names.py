"""The comparison of the classes of two sources by their names."""

import difflib
from collections.abc import Iterable, Sequence


def check_same_classes(argument: str, class_names: Sequence[str], expected: Sequence[str]) -> None:
    """Checks that class ids mean the same classes as in another source.

    Args:
        argument: what has the classes, for the error: the name of an argument or of a file.
        class_names: its classes.
        expected: the classes that it must have.

    Raises:
        ValueError: if the classes or their order differ. The error lists the missing and the
            unknown classes, the unknown ones with the nearest missing name.
    """
    if tuple(class_names) == tuple(expected):
        return
    missing = [name for name in expected if name not in set(class_names)]
    unknown = [name for name in class_names if name not in set(expected)]
    if missing or unknown:
        difference = describe_difference(missing, unknown)
    else:
        difference = f"the same classes in the order {_shorten(class_names)}"
    raise ValueError(
        f"{argument} must have the classes {_shorten(expected)}. Received: {difference}"
    )


def describe_difference(missing: Iterable[str], unknown: Iterable[str]) -> str:
    """Lists missing and unknown classes, the unknown ones with the nearest missing name."""
    missing, unknown = list(missing), list(unknown)
    near = {name: difflib.get_close_matches(name, missing, n=1) for name in unknown}
    hints = [f"{name!r} is similar to {match[0]!r}" for name, match in near.items() if match]
    return "; ".join([f"missing classes {missing}, unknown classes {unknown}", *hints])


def _shorten(names: Sequence[str]) -> str:
    """Lists names, of many only the first ones."""
    shown = ", ".join(map(repr, names[:10]))
    return f"[{shown}]" if len(names) <= 10 else f"[{shown}, ...] ({len(names)} classes)"
