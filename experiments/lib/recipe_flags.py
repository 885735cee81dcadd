"""The flags of the scripts that train a recipe."""

import pathlib

from absl import flags

# supcon_tf._requirements.require_extra would import TensorFlow before the flags are parsed.
try:
    from ml_collections import config_flags
except ImportError as error:
    raise ImportError(
        'Recipes need ml_collections: pip install "supcon-tf[experiments]"'
    ) from error

CONFIG = config_flags.DEFINE_config_file(
    "config",
    None,
    "The recipe, a file in experiments/configs. --config.FIELD=VALUE changes a field.",
)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir",
    None,
    "The directory for checkpoints, logs, the trained model and results.json; by default runs/ and "
    "the name of the recipe. An interrupted training resumes when the command is run again.",
)
flags.mark_flag_as_required("config")


def output_dir() -> pathlib.Path:
    """Returns the directory of the run."""
    if _OUTPUT_DIR.value is not None:
        return pathlib.Path(_OUTPUT_DIR.value)
    path = config_flags.get_config_filename(flags.FLAGS["config"])
    return pathlib.Path("runs") / pathlib.Path(path).stem
