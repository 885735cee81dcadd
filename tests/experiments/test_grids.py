"""Every row of every grid makes what it trains with, from a recipe of its family."""

import importlib
import pathlib

import pytest

from experiments import ablation, configs, grids, recipes, result_lines

NAMES = sorted(path.stem for path in pathlib.Path(grids.__file__).parent.glob("[a-z]*.py"))
RECIPE = pathlib.Path(configs.__file__).with_name("fashion_mnist_10k.py")


@pytest.mark.parametrize("name", NAMES)
def test_rows_fit_the_recipe(name):
    rows = importlib.import_module(f"experiments.grids.{name}").ROWS
    names = [row.name for row in rows]
    assert len(set(names)) == len(names)
    trainings = []
    for row in rows:
        training = result_lines.identity(RECIPE.stem, row, rows, {}, 0)
        trainings.append(result_lines.key(training))
        config = ablation.changed(ablation.load_recipe(RECIPE, row.recipe), row.changes)
        recipes.loss(config.loss)
        recipes.mixing(config.mixing)
        for stage in (config, config.linear):
            recipes.policy(stage.augmentation, config.image_size)
            recipes.optimizer(
                stage.optimizer,
                batch_size=stage.batch_size,
                epochs=stage.epochs,
                steps_per_epoch=10,
            )
    assert len(set(trainings)) == len(trainings)
