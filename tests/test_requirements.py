import ast
import pathlib
import re
import sys

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import supcon_tf
from supcon_tf import data, encoders, evaluation
from supcon_tf._requirements import require_keras

ROOT = pathlib.Path(__file__).parents[1]
pytestmark = pytest.mark.versions


@pytest.mark.parametrize("version", ["3.10.0", "3.15.1", "4.0.0rc1"])
def test_supported_versions_of_keras(version):
    require_keras(version, "tensorflow")


@pytest.mark.parametrize("version", ["2.15.0", "3.9.2"])
def test_an_old_keras_raises(version):
    with pytest.raises(ImportError, match=f"needs Keras 3.10 or newer.*Received: Keras {version}"):
        require_keras(version, "tensorflow")


def test_another_backend_raises():
    with pytest.raises(ImportError, match="KERAS_BACKEND=tensorflow.*Received: backend 'jax'"):
        require_keras("3.15.1", "jax")


@pytest.mark.parametrize(
    ("module", "call", "message"),
    [
        (
            "sklearn.datasets",
            lambda: data.load_digits("train"),
            'load_digits needs scikit-learn: pip install "supcon-tf[experiments]"',
        ),
        (
            "sklearn.linear_model",
            lambda: evaluation.logistic_regression([[0.0], [1.0]] * 2, [0, 1] * 2),
            'logistic_regression needs scikit-learn: pip install "supcon-tf[experiments]"',
        ),
        (
            "tensorflow_datasets",
            lambda: data.load_tfds("mnist", "."),
            'load_tfds needs tensorflow-datasets: pip install "supcon-tf[experiments]"',
        ),
        (
            "faiss",
            lambda: evaluation.Index(backend="faiss"),
            'Index(backend="faiss") needs faiss-cpu: pip install "supcon-tf[faiss]"',
        ),
        (
            "hnswlib",
            lambda: evaluation.Index(backend="hnswlib"),
            'Index(backend="hnswlib") needs hnswlib: pip install "supcon-tf[hnswlib]"',
        ),
        (
            "keras_hub",
            lambda: encoders.vit(patch_size=16, num_layers=1, num_heads=1, hidden_dim=4),
            'vit needs keras-hub: pip install "supcon-tf[vit]"',
        ),
    ],
)
def test_a_missing_package_names_its_extra(monkeypatch, module, call, message):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=re.escape(message)) as raised:
        call()
    assert raised.value.__cause__.name == module


def unguarded_imports(node):
    """Returns optional packages that a syntax tree imports outside of `require_extra`."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        names = [alias.name for alias in node.names]
        packages = [node.module] if isinstance(node, ast.ImportFrom) else names
        required = {"filelock", "keras", "numpy", "supcon_tf", "tensorflow"}
        return (
            {package.partition(".")[0] for package in packages} - required - sys.stdlib_module_names
        )
    if isinstance(node, ast.With) and ast.unparse(node.items[0]).startswith("require_extra("):
        return set()
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return set()
    return set().union(*map(unguarded_imports, ast.iter_child_nodes(node)))


def test_optional_imports_are_guarded():
    modules = list(pathlib.Path(supcon_tf.__file__).parent.rglob("*.py"))
    assert modules
    for module in modules:
        assert not unguarded_imports(ast.parse(module.read_text())), module


def versions(requirements, operator):
    """Returns names and versions of three numbers: `2.19` and `2.19.0.76` are `2.19.0`."""
    named = [
        (requirement.name, Version(specifier.version))
        for requirement in map(Requirement, requirements)
        for specifier in requirement.specifier
        if specifier.operator == operator
    ]
    return {(name, version.major, version.minor, version.micro) for name, version in named}


def test_lowest_versions_are_the_bounds():
    tomllib = pytest.importorskip("tomllib")  # since Python 3.11
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    bounded = [*project["dependencies"], *extras["experiments"], *extras["test"]]
    _, *pinned = (ROOT / "tests" / "lowest.txt").read_text().splitlines()
    assert versions(pinned, "==") == versions(bounded, ">=")
