"""Checks of the installed packages, with errors that state how to fix them."""

import contextlib
from collections.abc import Iterator

import keras

OLDEST_KERAS = (3, 10)


def require_keras(version: str, backend: str) -> None:
    """Raises `ImportError` if Keras is too old or does not run on TensorFlow.

    Args:
        version: the version of Keras.
        backend: the backend of Keras, such as `"tensorflow"`.
    """
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_KERAS:
        raise ImportError(
            f"supcon_tf needs Keras {'.'.join(map(str, OLDEST_KERAS))} or newer: "
            f'pip install --upgrade "keras>={".".join(map(str, OLDEST_KERAS))}". '
            f"Received: Keras {version}"
        )
    if backend != "tensorflow":
        raise ImportError(
            "supcon_tf needs the TensorFlow backend of Keras: before Keras is imported, set "
            'KERAS_BACKEND=tensorflow, or "backend" in ~/.keras/keras.json. '
            f"Received: backend {backend!r}"
        )


@contextlib.contextmanager
def require_extra(user: str, package: str, extra: str = "experiments") -> Iterator[None]:
    """Replaces the error of a failed import by one that names the extra to install.

        >>> with require_extra("to_prose", "no_such_package"):
        ...     import no_such_package
        Traceback (most recent call last):
        ...
        ImportError: to_prose needs no_such_package: pip install "supcon-tf[experiments]"

    Args:
        user: the name of the function or script that needs the import.
        package: the name of the package, such as `"scikit-learn"`.
        extra: an extra of `pyproject.toml`, or several separated by commas.

    Raises:
        ImportError: if an import inside the `with` block fails; the original error is its cause.
    """
    try:
        yield
    except ImportError as error:
        raise ImportError(f'{user} needs {package}: pip install "supcon-tf[{extra}]"') from error


require_keras(keras.__version__, keras.config.backend() if hasattr(keras, "config") else "")
