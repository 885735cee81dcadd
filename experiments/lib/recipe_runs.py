"""The directory of a run: the recipe that it trains, its checkpoints, and its results."""

import json
import pathlib
import subprocess
import time
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from experiments.lib.learning_rates import ENDLESS_DECAYS
from experiments.lib.training_records import NEUTRAL_FIELDS
from supcon_tf._files import write_json
from supcon_tf.callbacks import Checkpoints
from supcon_tf.commands import run_directory
from supcon_tf.commands.epoch_log import read_epoch_log


def _commit() -> dict[str, str]:
    """Returns the commit of the repository, `-dirty` if its files changed; empty without git."""
    command = ["git", "-C", str(pathlib.Path(__file__).parent), "describe"]
    command += ["--always", "--dirty", "--abbrev=12", "--exclude=*"]  # no names of tags
    try:
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return {}
    return {"commit": output.strip()}


# Read at the start: the files can change during a training. A resumed training has the commit of
# its last process.
_VERSIONS = {**run_directory.package_versions(), **_commit()}


def prepare_run_dir(
    directory: pathlib.Path,
    config: ConfigDict,
    *,
    chief: bool,
    inputs: Mapping[str, Any] | None = None,
) -> Checkpoints:
    """Prepares the directory of a recipe as `supcon_tf.commands.run_directory.prepare_run_dir`.

    Args:
        directory: the directory of the run.
        config: the recipe.
        chief: whether this process writes files.
        inputs: what else the trained weights depend on.
    """
    fields = json.loads(config.to_json())
    decay = fields.get("optimizer", {}).get("schedule", {}).get("name")
    # A longer training with an endless decay has the same steps, and then more.
    longer = {"epochs"} if decay in ENDLESS_DECAYS else set()
    hint = (
        f"A schedule that ends with the training ({decay}) has other learning rates from the first "
        "step on, so this run cannot be made longer. Schedules that can be continued: "
        f"{', '.join(ENDLESS_DECAYS)}."
    )
    return run_directory.prepare_run_dir(
        directory,
        fields,
        chief=chief,
        inputs=inputs,
        neutral=NEUTRAL_FIELDS | longer,
        hints={"epochs": hint},
    )


def write_results(
    directory: pathlib.Path, config: ConfigDict, *, seconds: float, **metrics: Any
) -> None:
    """Writes results.json: the recipe, versions and commit, metrics, and the log of every epoch.

    Args:
        directory: the directory of the run.
        config: the recipe.
        seconds: time since the process started the run or resumed it.
        **metrics: what else the file holds.
    """
    log = read_epoch_log(directory / "log.csv")
    names = [name for name in log[0] if name != "epoch"] if log else []
    write_json(
        directory / "results.json",
        {
            "config": json.loads(config.to_json()),
            "versions": _VERSIONS,
            "finished": time.strftime("%Y-%m-%d %H:%M:%S"),
            "seconds_since_start": round(seconds, 1),
            **metrics,
            "history": {name: [float(row[name]) for row in log] for name in names},
        },
    )
