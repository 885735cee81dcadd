"""The flags of the scripts that train by a recipe."""

import pathlib

from absl import app, flags, logging

try:  # not by a function of supcon_tf, which imports TensorFlow: flags come before it
    from ml_collections import config_flags
except ImportError as error:
    raise ImportError(
        'Recipes need ml_collections: pip install "supcon-tf[experiments]"'
    ) from error

CONFIG = config_flags.DEFINE_config_file(
    "config",
    None,
    "The recipe, a file of experiments/configs; --config.NAME=VALUE changes a field of it.",
)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir",
    None,
    "Where checkpoints, logs, the trained model and results.json go; runs/ and the name of the "
    "recipe by default. Started again with the same flags, a training that was stopped goes on.",
)
flags.mark_flag_as_required("config")


def output_dir() -> pathlib.Path:
    """The directory of the run."""
    if _OUTPUT_DIR.value is not None:
        return pathlib.Path(_OUTPUT_DIR.value)
    path = config_flags.get_config_filename(flags.FLAGS["config"])
    return pathlib.Path("runs") / pathlib.Path(path).stem


def check_arguments(argv: list[str]) -> None:
    """Raises `app.UsageError` if the command line holds anything but flags."""
    if len(argv) > 1:
        raise app.UsageError(f"Flags only. Received: {argv[1:]}")
    logging.set_verbosity(logging.WARNING)  # TensorFlow notes every file that it writes
