import ast
import importlib
import inspect
import pathlib
import pkgutil
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import supcon_tf
from supcon_tf import _keras_internals as internals

ROOT = pathlib.Path(__file__).parents[1]
X, Y = np.ones([4, 3], "float32"), np.zeros([4, 2], "float32")


def compiled_model(kind=keras.Sequential, **options):
    model = kind([keras.Input([3]), layers.Dense(2)])
    model.compile(keras.optimizers.SGD(0.1, **options), loss="mse", metrics=["mae"])
    return model


class Recording(keras.Sequential):
    """Records which of the hooks Keras calls."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.called = []

    def make_train_function(self, force=False):
        self.called.append("make_train_function")
        super().make_train_function(force)

    def make_test_function(self, force=False):
        self.called.append("make_test_function")
        super().make_test_function(force)

    def make_predict_function(self, force=False):
        self.called.append("make_predict_function")
        super().make_predict_function(force)

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        self.called.append("_maybe_symbolic_build")
        batch = internals.first_batch(iterator)
        self.batch_shapes = [x.shape for x in tf.nest.flatten(batch)]
        super()._maybe_symbolic_build(iterator, data_batch)


class RecordingOptimizer(keras.optimizers.SGD):
    """Records whether Keras calls the hook."""

    called = False

    def _apply_weight_decay(self, variables):
        self.called = True
        super()._apply_weight_decay(variables)


@pytest.mark.versions
def test_keras_calls_every_hook_and_the_iterator_yields_batches():
    model = Recording([keras.Input([3]), layers.Dense(2)])
    optimizer = RecordingOptimizer(0.1)
    model.compile(optimizer, loss="mse")
    model.fit(X, Y, batch_size=2, verbose=0)
    assert model.batch_shapes == [(2, 3), (2, 2)]
    model.evaluate(X, Y, verbose=0)
    model.predict(X, verbose=0)
    hooks = {*model.called, *(["_apply_weight_decay"] if optimizer.called else [])}
    assert hooks == set(internals.KERAS_HOOKS)


@pytest.mark.versions
def test_a_missing_hook_is_explained(monkeypatch):
    monkeypatch.setitem(internals.KERAS_HOOKS, "_renamed", internals._Hook(keras.Model, "why"))

    def _renamed():
        pass

    with pytest.raises(RuntimeError, match=r"Model\._renamed`.*Received: tensorflow"):
        internals.keras_hook(_renamed)


@pytest.mark.versions
def test_symbolic_build():
    model = compiled_model()
    assert not internals.has_built_metrics(model)
    internals.symbolic_build(
        model, (keras.KerasTensor((4, 3), "float32"), keras.KerasTensor((4, 2), "float32"))
    )
    assert internals.has_built_metrics(model)
    assert model.optimizer.built
    assert "mae" in [metric.name for metric in model.metrics[-1].metrics]


@pytest.mark.versions
def test_flatten_layers():
    class Nested(layers.Layer):
        def __init__(self):
            super().__init__()
            self.inner = layers.Dense(2)

    nested = Nested()
    model = keras.Sequential([nested])
    found = internals.flatten_layers(model)
    assert found[0] is model
    assert found.index(nested) < found.index(nested.inner)


@pytest.mark.versions
def test_producer():
    inputs = keras.Input([3])
    dense, softmax = layers.Dense(2), layers.Softmax()
    hidden = dense(inputs)
    first, second = softmax(hidden), softmax(2 * hidden)
    for output, expected in ((first, hidden), (second, second)):
        operation, (tensor,) = internals.producer(output)
        assert operation is softmax
        assert (tensor is hidden) == (expected is hidden)  # one node for each call
    operation, (tensor,) = internals.producer(hidden)
    assert operation is dense and tensor is inputs


@pytest.mark.versions
def test_mask_of():
    masked = layers.Masking()(np.zeros([2, 5, 3], "float32"))
    np.testing.assert_array_equal(internals.mask_of(masked), np.zeros([2, 5], bool))
    assert internals.mask_of(layers.Dense(2)(X)) is None
    assert internals.mask_of(X) is None


@pytest.mark.versions
def test_count_steps():
    model = compiled_model(gradient_accumulation_steps=2)
    model.fit(X, Y, batch_size=1, epochs=2, verbose=0)
    assert internals.count_steps(model.optimizer) == 8
    assert model.optimizer.iterations == 4


@pytest.mark.versions
def test_uses_weight_decay():
    decayed, excluded = (keras.Variable([0.0], name=name) for name in ("kernel", "bias"))
    optimizer = keras.optimizers.AdamW()
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    assert internals.uses_weight_decay(optimizer, decayed)
    assert not internals.uses_weight_decay(optimizer, excluded)


@pytest.mark.versions
def test_variables_of_an_optimizer(two_replicas):
    with two_replicas.scope():
        variables = [keras.Variable(np.zeros(2)), keras.Variable(np.ones(2))]
        optimizer = keras.optimizers.SGD()
        optimizer.build(variables)
    keys = [internals.variable_key(optimizer, variable) for variable in variables]
    assert len(set(keys)) == 2
    for index, (variable, key) in enumerate(zip(variables, keys, strict=True)):
        for part in (variable, *two_replicas.experimental_local_results(variable.value)):
            assert internals.variable_key(optimizer, part) == key
            assert internals.variable_index(optimizer, part) == index


@pytest.mark.versions
@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("_symbolic_build", lambda x: internals.symbolic_build(x, None)),
        ("_compile_loss", internals.has_built_metrics),
        ("_flatten_layers", internals.flatten_layers),
        ("_keras_history", internals.producer),
        ("_iterations", internals.count_steps),
        ("_var_key", lambda x: internals.variable_key(x, None)),
        ("_get_variable_index", lambda x: internals.variable_index(x, None)),
    ],
)
def test_a_missing_attribute_is_explained(name, call):
    class Other:
        """An object of a version of Keras that has no such attribute."""

    message = rf"needs `.*Other.{name}`.*Received: tensorflow {tf.__version__}.*keras \d"
    with pytest.raises(RuntimeError, match=message):
        call(Other())


# What tests of the source code check does not depend on versions.

PRIVATE_MODULES = ("keras.src", "tensorflow.compiler", "tensorflow.python")
# Public methods of named tuples.
NAMED_TUPLE = {"_asdict", "_replace"}
# Of jaxlib, which pyproject.toml pins.
JAX = {"_xla"}


def is_private(name):
    return name.startswith("_") and not name.endswith("_")


def trees():
    for folder in ("supcon_tf", "experiments", "examples"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path.relative_to(ROOT), ast.parse(path.read_text())


def own_names(nodes):
    """Names that the code itself defines or assigns."""
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr


def private_uses(node):
    """Names of attributes and modules that a node uses and that look private."""
    if isinstance(node, ast.Attribute) and is_private(node.attr):
        yield node.attr
    if isinstance(node, ast.Call) and ast.unparse(node.func) in ("getattr", "hasattr", "setattr"):
        name = node.args[1]
        if isinstance(name, ast.Constant) and is_private(name.value):
            yield name.value
    if isinstance(node, ast.Import):
        yield from [alias.name for alias in node.names if alias.name.startswith(PRIVATE_MODULES)]
    if isinstance(node, ast.ImportFrom) and node.module:
        yield from [node.module] if node.module.startswith(PRIVATE_MODULES) else []


@pytest.mark.slow
def test_no_other_file_uses_private_api():
    files = dict(trees())
    nodes = [node for tree in files.values() for node in ast.walk(tree)]
    own = {*own_names(nodes), *NAMED_TUPLE, *JAX, "_exit"}  # os._exit is public.
    allowed = {"supcon_tf/_keras_internals.py", "supcon_tf/_tensorflow_internals.py"}
    for path, tree in files.items():
        used = {name for node in ast.walk(tree) for name in private_uses(node)} - own
        assert str(path) in allowed or not used, f"{path} uses {used}"


def classes():
    for module in pkgutil.walk_packages(supcon_tf.__path__, "supcon_tf."):
        module = importlib.import_module(module.name)
        for _, kind in inspect.getmembers(module, inspect.isclass):
            if kind.__module__ == module.__name__:
                yield kind


@pytest.mark.slow
def test_no_attribute_hides_one_of_keras():
    """A private attribute of the library replaces none of Keras's, except for the hooks."""
    for kind in classes():
        bases = [base for base in kind.__mro__ if base.__module__.startswith("keras.")]
        if not bases:
            continue
        tree = ast.parse(pathlib.Path(sys.modules[kind.__module__].__file__).read_text())
        (definition,) = (
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.ClassDef) and node.name == kind.__name__
        )
        ours = {name for name in own_names(ast.walk(definition)) if is_private(name)}
        keras_names = set()
        for base in bases:
            source = pathlib.Path(inspect.getfile(base)).read_text()
            keras_names.update(own_names(ast.walk(ast.parse(source))))
        assert not (ours & keras_names) - set(internals.KERAS_HOOKS), kind


def test_every_override_of_a_hook_is_marked():
    marked, overridden = set(), set()
    for path, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.name in internals.KERAS_HOOKS:
                overridden.add((path, node.name))
                if "keras_hook" in map(ast.unparse, node.decorator_list):
                    marked.add((path, node.name))
    assert {name for _, name in overridden} == set(internals.KERAS_HOOKS)
    assert marked == overridden
