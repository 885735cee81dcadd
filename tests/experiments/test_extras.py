import importlib
import re
import sys

import numpy as np
import pytest

import experiments.lib
from experiments.lib import corruptions


def import_again(monkeypatch, name):
    """Imports a module and its submodules again, like a new process."""
    for loaded in list(sys.modules):
        if loaded == name or loaded.startswith(f"{name}."):
            monkeypatch.delitem(sys.modules, loaded)
    importlib.import_module(name)


@pytest.mark.parametrize(
    ("name", "missing", "message"),
    [
        ("lib.recipe_flags", "ml_collections", "Recipes need ml_collections"),
        ("pictures", "matplotlib.ticker", "experiments.pictures needs matplotlib and scikit-learn"),
        (
            "lib.corruptions",
            "tensorflow_datasets",
            "experiments.robustness needs tensorflow",
        ),
        (
            "lib.transfer_datasets",
            "tensorflow_datasets",
            "experiments.transfer needs tensorflow",
        ),
    ],
)
def test_a_missing_package_names_the_extra(monkeypatch, name, missing, message):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=f'{message}.*"supcon-tf\\[experiments\\]"'):
        import_again(monkeypatch, f"experiments.{name}")


def test_corrupting_images_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    corruptions._functions.cache_clear()
    message = 'OpenCV and scikit-image: pip install "supcon-tf[experiments,robustness]"'
    with pytest.raises(ImportError, match=re.escape(message)):
        corruptions.corrupt(np.zeros([4, 4, 3], np.uint8), "contrast", 1, [0])


def test_ablations_name_the_extra(monkeypatch, run_script):
    monkeypatch.delattr(experiments.lib, "ablation", raising=False)
    monkeypatch.delitem(sys.modules, "experiments.lib.ablation", raising=False)
    monkeypatch.setitem(sys.modules, "ml_collections", None)
    with pytest.raises(ImportError, match=r'needs ml_collections: .*"supcon-tf\[experiments\]"'):
        run_script("ablate", "--grid=losses", "--config=recipe.py")
