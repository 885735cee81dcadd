import json

import keras
import numpy as np
import pytest
from absl import flags
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.neighbors import KNeighborsClassifier

import supcon_tf
from supcon_tf import evaluation


@pytest.fixture
def classifier(tmp_path):
    encoder = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(8)]
    )
    classifier = supcon_tf.LinearClassifier(encoder, 10)
    encoder.save(tmp_path / "encoder.keras")
    classifier.save(tmp_path / "classifier.keras")
    return classifier


def digits(part):
    source = supcon_tf.data.load_digits(part)
    return source.images / np.float32(255), source.labels


@pytest.mark.slow
def test_encoder_and_classifier(run_script, tmp_path, classifier, capsys):
    run_script(
        "evaluate",
        f"--classifier={tmp_path / 'classifier.keras'}",
        "--dataset=digits",
        "--train_images=400",
        "--k=9",
        "--temperature=0.5",
    )
    written = json.loads((tmp_path / "evaluation.json").read_text())
    assert (written["train_images"], written["test_images"]) == (400, 360)
    assert written["tested_on"] == "test set"
    (train, train_labels), (test, labels) = digits("train"), digits("test")
    train = classifier.encoder.predict(train[:400], verbose=0)
    logits = classifier.predict(test, verbose=0)
    test = classifier.encoder.predict(test, verbose=0)

    metrics = written["representations"]
    knn = KNeighborsClassifier(9, metric="cosine", weights=lambda d: np.exp((1 - d) / 0.5))
    expected = knn.fit(train, train_labels[:400]).score(test, labels)
    assert metrics["knn_accuracy"] == pytest.approx(expected, abs=1e-9)
    penalty = metrics["logistic_regression_penalty"]
    regression = LogisticRegression(C=1 / penalty, max_iter=1000).fit(train, train_labels[:400])
    expected = regression.score(test, labels)
    assert metrics["logistic_regression_accuracy"] == pytest.approx(expected, abs=0.01)
    assert metrics["recall_at_1"] == pytest.approx(evaluation.recall_at_k(test, labels), abs=0.01)
    assert metrics["map_at_r"] == pytest.approx(evaluation.map_at_r(test, labels), abs=0.01)

    metrics = written["predictions"]
    right = logits.argmax(axis=1) == labels
    assert metrics["accuracy"] == pytest.approx(right.mean())
    expected = balanced_accuracy_score(labels, logits.argmax(axis=1))
    assert metrics["mean_per_class_accuracy"] == pytest.approx(expected)
    expected = evaluation.expected_calibration_error(softmax(logits, axis=1), labels)
    assert metrics["expected_calibration_error"] == pytest.approx(expected, abs=1e-5)
    assert f"map_at_r                     {written['representations']['map_at_r']:.4g}" in (
        capsys.readouterr().out
    )


def test_encoder_alone_on_held_out_images(run_script, tmp_path, classifier):
    output = tmp_path / "new" / "metrics.json"
    run_script(
        "evaluate",
        f"--encoder={tmp_path / 'encoder.keras'}",
        "--dataset=digits",
        "--train_images=300",
        "--hold_out=100",
        f"--output={output}",
    )
    written = json.loads(output.read_text())
    assert written["test_images"] == 100
    assert written["tested_on"] == "held-out training images"
    assert "predictions" not in written
    assert written["representations"]["knn_accuracy"] > 0.3  # chance is 0.1


def test_more_neighbors_than_training_images(run_script, tmp_path, classifier, capsys):
    with pytest.raises(
        ValueError, match="`k` must be at most 20, the number of rows.*Received: 21"
    ):
        run_script(
            "evaluate",
            f"--encoder={tmp_path / 'encoder.keras'}",
            "--dataset=digits",
            "--train_images=20",
            "--k=21",
        )
    assert "encoding" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("classes", "options", "message"),
    [
        (10, {"class_names": [*"012345678", "nine"]}, r"missing classes \['9'\], .*\['nine'\]"),
        (10, {"class_names": [*"0123456798"]}, "the same classes in the order"),
        (11, {}, "must classify the 10 classes of the images. Received: a classifier of 11"),
    ],
)
def test_a_classifier_of_other_classes(run_script, tmp_path, classes, options, message):
    encoder = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()])
    path = tmp_path / "c.keras"
    supcon_tf.LinearClassifier(encoder, classes, **options).save(path)
    with pytest.raises(ValueError, match=message):
        run_script("evaluate", f"--classifier={path}", "--dataset=digits")
    assert not (tmp_path / "evaluation.json").exists()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["--dataset=digits"], flags.IllegalFlagValueError, "--encoder, --classifier or both"),
        (
            ["--dataset=digits", "--encoder=no.keras"],
            FileNotFoundError,
            "`--encoder` must be an existing",
        ),
        (["--dataset=digits", "--classifier=no.keras"], FileNotFoundError, "`--classifier` must"),
        (["--encoder=no.keras"], flags.IllegalFlagValueError, "dataset"),
    ],
)
def test_bad_flags(run_script, arguments, error, message):
    with pytest.raises(error, match=message):
        run_script("evaluate", *arguments)


def test_bad_output(run_script, tmp_path, classifier):
    with pytest.raises(ValueError, match="`--output` must end in .json. Received: 'x.txt'"):
        run_script(
            "evaluate",
            f"--encoder={tmp_path / 'encoder.keras'}",
            "--dataset=digits",
            "--output=x.txt",
        )
