import re

import keras
import numpy as np
import pytest
from scipy.special import softmax

import supcon_tf
from experiments import pictures


@pytest.fixture
def models(tmp_path):
    """An encoder and a classifier for the digits, with its encoder, of another size."""
    encoder, other = (
        keras.Sequential([keras.Input((side, side, 1)), keras.layers.Flatten()]) for side in (8, 6)
    )
    classifier = supcon_tf.CrossEntropyModel(other, 10)
    encoder.save(tmp_path / "encoder.keras")
    classifier.save(tmp_path / "classifier.keras")
    return {"encoder": encoder, "classifier": classifier}


@pytest.mark.slow
def test_pictures_of_an_encoder_and_a_classifier(run_script, tmp_path, models, monkeypatch):
    arguments = {}
    for name in pictures.__all__:
        draw = getattr(pictures, name)

        def record(path, *given, name=name, draw=draw, **options):
            arguments[name] = given, options
            draw(path, *given, **options)

        monkeypatch.setattr(pictures, name, record)
    run_script(
        "draw",
        f"--encoder=some encoder={tmp_path / 'encoder.keras'}",
        f"--encoder=classifier={tmp_path / 'classifier.keras'}",
        "--dataset=digits",
        f"--output_dir={tmp_path / 'new' / 'pictures'}",
        "--map=PCA",
        "--points=50",
        "--queries=2",
        "--k=1",
    )
    drawn = [
        "embedding_maps",
        "nearest_neighbors",
        "reliability_diagrams",
        "similarity_histograms",
    ]
    written = sorted(path.name for path in (tmp_path / "new" / "pictures").iterdir())
    assert written == [f"{name}.{kind}" for name in drawn for kind in ("png", "svg")]

    digits = supcon_tf.data.load_digits("test")
    (batch,) = supcon_tf.data.evaluation_batches(
        digits, size=6, batch_size=1000
    ).as_numpy_iterator()
    (features, labels, class_names), options = arguments["embedding_maps"]
    assert options == {"points": 50, "projection": "PCA"}
    assert list(features) == ["some encoder", "classifier"]
    whole = digits.images.reshape(len(digits), -1) / np.float32(255)
    np.testing.assert_allclose(features["some encoder"], whole, atol=1e-6)
    np.testing.assert_allclose(features["classifier"], batch[0].reshape(len(digits), -1), atol=1e-6)
    np.testing.assert_array_equal(labels, digits.labels)
    assert class_names == digits.class_names

    (probabilities, labels), _ = arguments["reliability_diagrams"]
    expected = softmax(models["classifier"].predict(batch[0], verbose=0), axis=1)
    assert list(probabilities) == ["classifier"]
    np.testing.assert_allclose(probabilities["classifier"], expected, atol=1e-5)
    np.testing.assert_array_equal(labels, digits.labels)

    (_, _, _, read), options = arguments["nearest_neighbors"]
    queries = options["queries"].tolist()
    first_of_class = [list(digits.labels).index(label) for label in range(10)]
    assert len(set(queries)) == 2 and set(queries) <= set(first_of_class)
    assert options["k"] == 1
    np.testing.assert_allclose(read(np.array([7, 3])), batch[0][[7, 3]], atol=1e-6)


@pytest.mark.parametrize(
    ("encoders", "error", "message"),
    [
        (["{}/encoder.keras"], ValueError, "`--encoder` must be NAME=FILE.*encoder.keras"),
        (["={}/encoder.keras"], ValueError, "`--encoder` must be NAME=FILE"),
        (["name="], ValueError, "`--encoder` must be NAME=FILE"),
        (["a={}/encoder.keras"] * 2, ValueError, "a different NAME"),
        (
            ["a=nothing.keras"],
            FileNotFoundError,
            "`--encoder` must be an existing file.*'nothing.keras'",
        ),
        (["a={}/color.keras"], ValueError, "with the channels of the images.*8, 8, 3"),
    ],
)
def test_bad_encoders(run_script, tmp_path, models, encoders, error, message):
    color = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()])
    color.save(tmp_path / "color.keras")
    with pytest.raises(error, match=re.compile(message)):
        run_script(
            "draw",
            *(f"--encoder={each.format(tmp_path)}" for each in encoders),
            "--dataset=digits",
            f"--output_dir={tmp_path / 'pictures'}",
        )
    assert not (tmp_path / "pictures").exists()


def test_a_classifier_of_other_classes(run_script, tmp_path):
    encoder = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()])
    path = tmp_path / "other.keras"
    supcon_tf.CrossEntropyModel(encoder, 10, class_names=[*"012345678x"]).save(path)
    with pytest.raises(ValueError, match=r"missing classes \['9'\], unknown classes \['x'\]"):
        run_script(
            "draw", f"--encoder=a={path}", "--dataset=digits", f"--output_dir={tmp_path / 'out'}"
        )
    assert not (tmp_path / "out").exists()
