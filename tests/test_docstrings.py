import ast
import doctest
import importlib
import inspect
import pkgutil

import pytest

import supcon_tf
from supcon_tf.encoders import vit

MODULES = [name for _, name, _ in pkgutil.walk_packages(supcon_tf.__path__, "supcon_tf.")]


def names_of(module):
    """Its public names: `__all__`, or without one the functions that it defines."""
    functions = inspect.getmembers(module, inspect.isfunction)
    own = [name for name, f in functions if f.__module__ == module.__name__ and name[0] != "_"]
    return getattr(module, "__all__", own)


PUBLIC = {
    f"{module.__name__}.{name}": getattr(module, name)
    for module in (supcon_tf, *(vars(supcon_tf)[name] for name in supcon_tf.__all__))
    if inspect.ismodule(module)
    for name in names_of(module)
    if callable(getattr(module, name))
}


@pytest.mark.docs
@pytest.mark.slow
@pytest.mark.parametrize("name", MODULES)
def test_examples_run_as_printed(name):
    if name == vit.__module__:
        pytest.importorskip("keras_hub")
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_have_an_example_and_say_what_their_arguments_are(name):
    text = inspect.getdoc(PUBLIC[name])
    assert ">>> " in text
    arguments = [
        argument.name
        for argument in inspect.signature(PUBLIC[name]).parameters.values()
        if argument.kind not in (argument.VAR_POSITIONAL, argument.VAR_KEYWORD)
    ]
    assert [x for x in arguments if f"\n    {x}: " not in text] == []


def test_modules_list_what_they_hold():
    for module in (supcon_tf, *(vars(supcon_tf)[name] for name in supcon_tf.__all__)):
        if inspect.ismodule(module) and hasattr(module, "__all__"):
            names = [name for name in module.__all__ if name != "__version__"]
            assert [name for name in names if f"`{name}`" not in module.__doc__] == []


def raised(body):
    """Names of the errors that a function makes."""
    return {
        node.exc.func.id
        for statement in body
        for node in ast.walk(statement)
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)
    } - {"NotImplementedError"}


@pytest.mark.parametrize("name", MODULES)
def test_errors_are_documented(name):
    tree = ast.parse(inspect.getsource(importlib.import_module(name)))
    for parent in (tree, *(node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))):
        for function in (node for node in parent.body if isinstance(node, ast.FunctionDef)):
            construction = function.name in ("__init__", "__post_init__")
            if construction or not function.name.startswith("_"):
                text = ast.get_docstring(parent if construction else function) or ""
                for error in raised(function.body):
                    assert f"\n    {error}: " in text or f"Raises `{error}`" in text
