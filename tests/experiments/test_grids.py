"""Every row of every grid builds its losses, policies and optimizers from a recipe."""

import importlib
import pathlib

import pytest

from experiments import configs, grids
from experiments.lib import ablation, builders, training_records

NAMES = sorted(path.stem for path in pathlib.Path(grids.__file__).parent.glob("[a-z]*.py"))
RECIPES = [
    pathlib.Path(configs.__file__).with_name(f"{name}.py")
    for name in ("cifar10_small", "fashion_mnist_10k")
]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
@pytest.mark.parametrize("name", NAMES)
def test_rows_fit_the_recipe(name, recipe):
    rows = importlib.import_module(f"experiments.grids.{name}").ROWS
    if name == "few_labels" and recipe != RECIPES[0]:
        pytest.skip("a grid of cifar10_small")
    names = [row.name for row in rows]
    assert len(set(names)) == len(names)
    trainings = []
    for row in rows:
        ablation._require_valid_uses(row, rows)
        training = training_records.identity(recipe.stem, row, rows, {}, 0)
        trainings.append(training_records.key(training))
        config = ablation.apply_changes(ablation.load_recipe(recipe, row.recipe), row.changes)
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
