"""Every row of every grid builds its losses, policies and optimizers from a recipe."""

import importlib
import pathlib

import pytest

from experiments import configs, grids
from experiments.lib import ablation, builders, training_records

NAMES = sorted(path.stem for path in pathlib.Path(grids.__file__).parent.glob("[a-z]*.py"))
RECIPE = pathlib.Path(configs.__file__).with_name("cifar10_small.py")


@pytest.mark.parametrize("name", NAMES)
def test_rows_fit_the_recipe(name):
    rows = importlib.import_module(f"experiments.grids.{name}").ROWS
    names = [row.name for row in rows]
    assert len(set(names)) == len(names)
    trainings = []
    for row in rows:
        training = training_records.identity(RECIPE.stem, row, rows, {}, 0)
        trainings.append(training_records.key(training))
        config = ablation.apply_changes(ablation.load_recipe(RECIPE, row.recipe), row.changes)
        builders.build_loss(config.loss)
        builders.build_mixing(config.mixing)
        for stage in (config, config.linear):
            builders.build_policy(stage.augmentation, config.image_size)
            builders.build_optimizer(
                stage.optimizer,
                batch_size=stage.batch_size,
                epochs=stage.epochs,
                steps_per_epoch=10,
            )
    assert len(set(trainings)) == len(trainings)
