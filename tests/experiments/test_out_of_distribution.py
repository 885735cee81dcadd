"""The separation of data sets against the functions of scikit-learn."""

import json

import keras
import numpy as np
import pytest
from sklearn.covariance import EmpiricalCovariance
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

import supcon_tf


@pytest.fixture
def classifier(tmp_path):
    encoder = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(6)]
    )
    classifier = supcon_tf.LinearClassifier(encoder, 10)
    classifier.save(tmp_path / "classifier.keras")
    return classifier


def write_idx(path, array):
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    path.write_bytes(header + array.tobytes())


@pytest.fixture
def noise(tmp_path):
    """A data set of gray noise in MNIST-style files."""
    rng = np.random.default_rng(0)
    for part, count in (("train", 4), ("t10k", 30)):
        write_idx(
            tmp_path / f"{part}-images-idx3-ubyte",
            rng.integers(0, 256, [count, 8, 8], dtype=np.uint8),
        )
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte", np.zeros(count, np.uint8))
    return supcon_tf.data.load_idx(tmp_path, "test").images


@pytest.mark.slow
def test_digits_against_noise(run_script, tmp_path, classifier, noise, capsys):
    run_script(
        "out_of_distribution",
        f"--classifier={tmp_path / 'classifier.keras'}",
        "--dataset=digits",
        "--train_images=300",
        "--k=3",
        f"--other=noise={tmp_path}",
        "--other=digits",
    )
    written = json.loads((tmp_path / "out_of_distribution.json").read_text())
    assert (written["train_images"], written["test_images"]) == (300, 360)
    assert written["other_images"] == {"noise": 30, "digits": 360}
    assert written["separation"]["digits"]["knn"]["auroc"] == pytest.approx(0.5)

    digits = [supcon_tf.data.load_digits(part) for part in ("train", "test")]
    labels = digits[0].labels[:300]
    pixels = [np.repeat(x / np.float32(255), 3, axis=-1) for x in (digits[0].images[:300],)]
    pixels += [np.repeat(x / np.float32(255), 3, axis=-1) for x in (digits[1].images, noise)]
    train, inside, outside = (classifier.encoder.predict(x, verbose=0) for x in pixels)
    logits = [classifier.predict(x, verbose=0) for x in pixels[1:]]

    neighbors = NearestNeighbors(n_neighbors=3).fit(keras.utils.normalize(train))
    distances = [
        neighbors.kneighbors(keras.utils.normalize(x))[0][:, -1] for x in (inside, outside)
    ]
    means = np.stack([train[labels == c].mean(axis=0) for c in range(10)])
    covariance = EmpiricalCovariance(assume_centered=True).fit(train - means[labels])
    nearest_class = [
        np.min([covariance.mahalanobis(x - mean) for mean in means], axis=0)
        for x in (inside, outside)
    ]
    softmax = [-np.asarray(keras.ops.softmax(x)).max(axis=1) for x in logits]
    is_outside = np.repeat([0, 1], [360, 30])
    measured = written["separation"]["noise"]
    for score, values in (
        ("knn", distances),
        ("mahalanobis", nearest_class),
        ("softmax", softmax),
    ):
        expected = roc_auc_score(is_outside, np.concatenate(values))
        assert measured[score]["auroc"] == pytest.approx(expected, abs=1e-3), score
    assert "| noise | mahalanobis | " in capsys.readouterr().out


def test_a_classifier_of_other_classes(run_script, tmp_path, classifier, noise):
    with pytest.raises(ValueError, match="classes"):
        run_script(
            "out_of_distribution",
            f"--classifier={tmp_path / 'classifier.keras'}",
            "--dataset=noise",
            f"--data_dir={tmp_path}",
            "--other=digits",
        )
    assert not (tmp_path / "out_of_distribution.json").exists()
