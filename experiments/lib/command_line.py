"""The command lines of the scripts."""

from absl import app, logging


def check_arguments(argv: list[str]) -> None:
    """Raises `app.UsageError` if the command line has arguments that are not flags."""
    if len(argv) > 1:
        raise app.UsageError(f"The command line must have flags only. Received: {argv[1:]}")
    logging.set_verbosity(logging.WARNING)  # TensorFlow logs every file that it writes.
