import pathlib

import pytest

from experiments.lib.recipe_problems import find_recipe_problem

RECIPE = "experiments/configs/digits_small.py"


@pytest.fixture(autouse=True)
def root(monkeypatch):
    monkeypatch.chdir(pathlib.Path(__file__).parents[2])


@pytest.mark.parametrize(
    "argv",
    [
        ["pretrain"],
        ["pretrain", f"--config={RECIPE}"],
        ["pretrain", "--config", RECIPE, "--config.epochs=3", "--config.optimizer.name", "sgd"],
        ["pretrain", f"-config={RECIPE}", "-config.augmentation=x", "--output_dir=a.b"],
    ],
)
def test_good_command_lines(argv):
    assert find_recipe_problem(argv) is None


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (
            ["--config=digits_smal.py"],
            ["Did you mean digits_small", "cifar10_resnet50,", "smal.py"],
        ),
        (["--config", "nothing"], ["The recipes in experiments/configs are", "Received: nothing"]),
        ([f"--config={RECIPE}", "--config.epoch=3"], ["--config.epoch ", "Did you mean epochs"]),
        ([f"--config={RECIPE}", "--config.learning_rate=3"], ["mean optimizer.learning_rate"]),
        (["--config", RECIPE, "--config.optimizer.learn_rate", "3"], ["optimizer.learning_rate"]),
        (
            [f"--config={RECIPE}", "--config.zzz=3"],
            ["--config.zzz must be a field of the recipe. e"],
        ),
    ],
)
def test_problems(flags, words):
    problem = find_recipe_problem(["pretrain", *flags])
    for word in words:
        assert word in problem
    assert "common" not in problem
