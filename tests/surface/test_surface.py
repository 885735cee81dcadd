"""Everything public that can be a part of a model is trained, saved and exported."""

import inspect
import pathlib
import subprocess
import sys

import keras
import numpy as np
import parts
import pytest
import tensorflow as tf

import supcon_tf

pytestmark = pytest.mark.slow

KINDS = (
    keras.Layer,
    keras.Loss,
    keras.Metric,
    keras.Optimizer,
    keras.optimizers.schedules.LearningRateSchedule,
)


def public_names():
    """Names of the public classes of Keras's kinds, and of the metrics, which are functions."""
    modules = [supcon_tf, *(x for x in vars(supcon_tf).values() if inspect.ismodule(x))]
    public = [
        getattr(module, name) for module in modules for name in getattr(module, "__all__", ())
    ]
    classes = {x.__name__ for x in public if inspect.isclass(x) and issubclass(x, KINDS)}
    return classes | {metric.__name__ for metric in supcon_tf.metrics.HEALTH}


def names_within(model):
    schedule = model.optimizer.get_config()["learning_rate"]
    return {
        *(type(part).__name__ for part in (model, model.loss, model.optimizer)),
        *(type(getattr(model, part, None)).__name__ for part in ("mixing", "distillation")),
        schedule["class_name"] if isinstance(schedule, dict) else None,
        *model.get_metrics_result(),
    }


@pytest.fixture(scope="module")
def surface(tmp_path_factory):
    """Trains, saves and exports every model here, and uses all of them in another process.

    Returns the folder of the files, the names of the models' parts, and what the models give here.
    """
    folder = tmp_path_factory.mktemp("surface")
    names, here = set(), {}
    for name, case in parts.CASES.items():
        (folder / name).mkdir()
        keras.utils.set_random_seed(0)
        model = case()
        parts.train(model)
        names |= names_within(model)
        model.save(folder / name / "model.keras")
        model.export(folder / name / "exported", verbose=False)
        np.save(folder / name / "images.npy", parts.VIEWS[:, 0])
        here[name] = parts.behavior(model)
    script = pathlib.Path(__file__).with_name("elsewhere.py")
    done = subprocess.run([sys.executable, script, folder], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder, names, here


@pytest.mark.versions
def test_everything_public_is_a_part_of_a_case(surface):
    _, names, _ = surface
    assert not public_names() - names


@pytest.mark.versions
@pytest.mark.parametrize("name", parts.CASES)
def test_a_loaded_model_goes_on_as_the_saved_one(surface, name):
    folder, _, here = surface
    elsewhere = np.load(folder / name / "elsewhere.npz")
    for key, value in here[name].items():
        np.testing.assert_allclose(elsewhere[key], value, atol=1e-5, err_msg=key)
    assert np.abs(here[name]["outputs_later"] - here[name]["outputs"]).max() > 1e-5


@pytest.mark.versions
@pytest.mark.parametrize("name", parts.CASES)
def test_an_exported_model_needs_tensorflow_only(surface, name):
    folder, _, here = surface
    elsewhere = np.load(folder / name / "elsewhere.npz")
    np.testing.assert_allclose(elsewhere["served"], here[name]["outputs"], atol=1e-5)


@pytest.mark.parametrize("name", parts.CASES)
def test_an_exported_model_becomes_one_of_tflite(surface, name):
    folder, _, here = surface
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder / name / "exported"))
    interpreter = tf.lite.Interpreter(model_content=converter.convert())
    serve = interpreter.get_signature_runner()
    (argument,) = serve.get_input_details()
    (outputs,) = serve(**{argument: parts.VIEWS[:, 0]}).values()
    np.testing.assert_allclose(outputs, here[name]["outputs"], atol=1e-5)


def test_onnx(tmp_path):
    pytest.importorskip("tf2onnx")
    runtime = pytest.importorskip("onnxruntime")
    model = parts.CASES["supcon"]()
    model.export(tmp_path / "model.onnx", format="onnx", verbose=False)
    session = runtime.InferenceSession(tmp_path / "model.onnx")
    (given,) = session.get_inputs()
    (outputs,) = session.run(None, {given.name: parts.VIEWS[:, 0]})
    expected = model.predict(parts.VIEWS[:, 0], verbose=0)
    np.testing.assert_allclose(outputs, expected, atol=1e-5)
