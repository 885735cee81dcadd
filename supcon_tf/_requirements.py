"""What the library needs, said in a sentence before anything fails further inside."""

import contextlib
from collections.abc import Iterator

import keras

OLDEST_KERAS = (3, 10)


def require_keras(version: str, backend: str) -> None:
    """Raises `ImportError` if this is not a Keras to run on.

    Args:
        version: of Keras.
        backend: of Keras, such as `"tensorflow"`.
    """
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_KERAS:
        raise ImportError(
            f"supcon_tf needs Keras {'.'.join(map(str, OLDEST_KERAS))} or newer: "
            f'pip install --upgrade "keras>={".".join(map(str, OLDEST_KERAS))}". '
            f"Received: Keras {version}"
        )
    if backend != "tensorflow":
        raise ImportError(
            "supcon_tf runs on the TensorFlow backend of Keras: set KERAS_BACKEND=tensorflow, or "
            '"backend" in ~/.keras/keras.json, before Keras is imported. '
            f"Received: backend {backend!r}"
        )


@contextlib.contextmanager
def require_extra(what: str, package: str, extra: str = "experiments") -> Iterator[None]:
    """Says which extra to install if an import inside it fails.

        >>> with require_extra("to_prose", "no_such_package"):
        ...     import no_such_package
        Traceback (most recent call last):
        ...
        ImportError: to_prose needs no_such_package: pip install "supcon-tf[experiments]"

    Args:
        what: what needs the import, such as the name of a function.
        package: as a reader knows it, such as `"scikit-learn"`.
        extra: of `pyproject.toml`, or several with commas between them.

    Raises:
        ImportError: instead of the one that an import inside raised, which is its cause.
    """
    try:
        yield
    except ImportError as error:
        raise ImportError(f'{what} needs {package}: pip install "supcon-tf[{extra}]"') from error


require_keras(keras.__version__, keras.config.backend() if hasattr(keras, "config") else "")
