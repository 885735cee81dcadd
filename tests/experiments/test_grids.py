"""Every row of every grid makes what it trains with, from a recipe of its family."""

import importlib
import pathlib

import pytest

from experiments import configs, grids
from experiments.lib import ablation, builders, records

NAMES = sorted(path.stem for path in pathlib.Path(grids.__file__).parent.glob("[a-z]*.py"))
RECIPE = pathlib.Path(configs.__file__).with_name("fashion_mnist_10k.py")


@pytest.mark.parametrize("name", NAMES)
def test_rows_fit_the_recipe(name):
    rows = importlib.import_module(f"experiments.grids.{name}").ROWS
    names = [row.name for row in rows]
    assert len(set(names)) == len(names)
    trainings = []
    for row in rows:
        training = records.identity(RECIPE.stem, row, rows, {}, 0)
        trainings.append(records.key(training))
        config = ablation.changed(ablation.load_recipe(RECIPE, row.recipe), row.changes)
        builders.loss(config.loss)
        builders.mixing(config.mixing)
        for stage in (config, config.linear):
            builders.policy(stage.augmentation, config.image_size)
            builders.optimizer(
                stage.optimizer,
                batch_size=stage.batch_size,
                epochs=stage.epochs,
                steps_per_epoch=10,
            )
    assert len(set(trainings)) == len(trainings)
