"""What the library needs of Keras, said in a sentence before anything fails further inside."""

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


require_keras(keras.__version__, keras.config.backend() if hasattr(keras, "config") else "")
