import json

import keras
import matplotlib.image
import numpy as np
import pytest
import scipy.special
from absl import flags

import supcon_tf
from supcon_tf import evaluation

tfds = pytest.importorskip("tensorflow_datasets")
pytest.importorskip("cv2")
pytest.importorskip("skimage")

from experiments.lib import corruptions  # noqa: E402  (skipped without)

RANDOM = {"gaussian_noise", "shot_noise", "impulse_noise", "fog", "elastic_transform"}


def photo(size, channels=3):
    """Creates an image of varying brightness, which every corruption changes."""
    ramp = np.linspace(40, 200, size)
    colors = np.array([1.0, 0.9, 0.8])[:channels]
    return np.rint((ramp[:, None] + ramp)[..., None] / 2 * colors).astype(np.uint8)


@pytest.mark.parametrize("name", corruptions.NAMES)
def test_every_corruption_at_every_severity(name):
    np.random.seed(5)
    expected = np.random.uniform()
    np.random.seed(5)
    for size, channels in ((8, 1), (28, 3)):
        image = photo(size, channels)
        done = [corruptions.corrupt(image, name, severity, [1, 2]) for severity in (1, 5)]
        for corrupted in done:
            assert corrupted.shape == image.shape
            assert corrupted.dtype == np.uint8
        assert (done[1] != image).any()
        again = corruptions.corrupt(image, name, 5, [1, 2])
        np.testing.assert_array_equal(again, done[1])
        other = corruptions.corrupt(image, name, 5, [1, 3])
        assert (other != again).any() == (name in RANDOM)
    assert np.random.uniform() == expected  # The global generator has its old state.


def test_strengths_are_the_published_ones():
    gray = np.full([64, 64, 3], 100, np.uint8)
    brighter = corruptions.corrupt(gray, "brightness", 3, [0])
    np.testing.assert_array_equal(brighter, round(100 + 0.3 * 255))
    noisy = corruptions.corrupt(np.full([200, 200, 1], 128, np.uint8), "gaussian_noise", 2, [0])
    assert noisy.std() == pytest.approx(0.12 * 255, rel=0.02)
    impulses = corruptions.corrupt(np.full([200, 200, 1], 128, np.uint8), "impulse_noise", 4, [0])
    assert (impulses != 128).mean() == pytest.approx(0.17, abs=0.01)
    assert set(np.unique(impulses)) == {0, 128, 255}


def test_lengths_are_in_proportion_to_the_image():
    """An enlarged image, blurred and reduced again, equals the blurred image."""
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, [28, 28, 1], np.uint8)
    large = small.repeat(8, axis=0).repeat(8, axis=1)
    blurred = corruptions.corrupt(large, "defocus_blur", 5, [0])
    halved = blurred.reshape(28, 8, 28, 8, 1).mean(axis=(1, 3))
    expected = corruptions.corrupt(small, "defocus_blur", 5, [0])
    np.testing.assert_allclose(halved, expected, atol=1)
    assert expected.std() < 0.9 * small.std()


@pytest.mark.parametrize(
    ("image", "name", "severity", "message"),
    [
        (np.zeros([8, 8], np.uint8), "fog", 1, r"`image`.*Received: shape=\(8, 8\)"),
        (np.zeros([8, 8, 1]), "fog", 1, "`image` must be uint8.*float64"),
        (np.zeros([8, 8, 1], np.uint8), "frost", 1, "`name` must be one of.*'frost'"),
        (np.zeros([8, 8, 1], np.uint8), "fog", 6, "`severity` must be one of.*Received: 6"),
    ],
)
def test_bad_input(image, name, severity, message):
    with pytest.raises(ValueError, match=message):
        corruptions.corrupt(image, name, severity, [0])


def test_the_random_numbers_of_an_image_do_not_depend_on_the_batch():
    source = supcon_tf.data.load_digits("test").take(np.arange(10))
    of = [
        np.concatenate(
            [
                images
                for images, _ in corruptions.corrupted_batches(
                    source, "gaussian_noise", 1, size=8, batch_size=batch_size
                )
            ]
        )
        for batch_size in (10, 3)
    ]
    np.testing.assert_array_equal(*of)
    clean = np.concatenate(
        [
            images
            for images, _ in corruptions.corrupted_batches(source, None, 0, size=8, batch_size=4)
        ]
    )
    np.testing.assert_array_equal(clean, source.images / np.float32(255))
    # The same digit at two positions is corrupted differently.
    twice = source.take(np.array([0, 0]))
    images, _ = next(
        corruptions.corrupted_batches(twice, "gaussian_noise", 1, size=8, batch_size=2)
    )
    assert (images[0] != images[1]).any()


@pytest.fixture
def classifiers(tmp_path):
    """A classifier that always predicts class 3, and one that depends on the image."""

    def make(name, kernel):
        encoder = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()])
        classifier = supcon_tf.CrossEntropyModel(encoder, 10)
        classifier.head.set_weights([kernel, 2.0 * np.eye(10)[3]])
        classifier.save(tmp_path / f"{name}.keras")
        return f"--classifier={name}={tmp_path / name}.keras", classifier

    train = supcon_tf.data.load_digits("train")
    means = np.stack([train.images[train.labels == k].mean(axis=0).ravel() for k in range(10)])
    return {
        "constant": make("constant", np.zeros([64, 10])),
        "means": make("means", means.T / 255),
    }


@pytest.mark.slow
def test_accuracy_and_calibration_of_each_severity(run_script, tmp_path, classifiers, capsys):
    run_script(
        "robustness",
        "--dataset=digits",
        "--images=90",
        "--batch_size=40",
        "--corruptions=contrast,impulse_noise",
        "--reference=constant",
        f"--output_dir={tmp_path / 'a'}",
        *(flag for flag, _ in classifiers.values()),
    )
    written = json.loads((tmp_path / "a" / "robustness.json").read_text())
    assert written["corruptions"] == ["contrast", "impulse_noise"]
    test = supcon_tf.data.load_digits("test")
    test = test.take(np.arange(90) * 360 // 90)

    (constant,) = written["classifiers"]["constant"]
    share = np.mean(test.labels == 3)
    confidence = np.exp(2) / (np.exp(2) + 9)
    for metrics in (constant["corrupted"]["contrast"], constant["mean"]):
        np.testing.assert_allclose(metrics["accuracy"], share)
        np.testing.assert_allclose(metrics["ece"], abs(share - confidence), rtol=1e-5)
    assert constant["mce"] == pytest.approx(1)
    assert constant["relative_mce"] is None  # It is as good on corrupted images as on clean ones.

    (means,) = written["classifiers"]["means"]
    kernel, bias = classifiers["means"][1].head.get_weights()
    errors = []
    for name in ("contrast", "impulse_noise"):
        for severity in range(1, 6):
            images = np.stack(
                [
                    corruptions.corrupt(image, name, severity, [0, i])
                    for i, image in enumerate(test.images)
                ]
            )
            logits = images.reshape(90, 64) / 255 @ kernel + bias
            probabilities = scipy.special.softmax(logits, axis=1)
            metrics = means["corrupted"][name]
            expected = np.mean(logits.argmax(axis=1) == test.labels)
            assert metrics["accuracy"][severity - 1] == pytest.approx(expected)
            expected = evaluation.expected_calibration_error(probabilities, test.labels)
            assert metrics["ece"][severity - 1] == pytest.approx(expected, abs=1e-5)
        errors.append(1 - np.mean(metrics["accuracy"]))
    assert means["clean"]["accuracy"] > 0.5  # chance is 0.1
    assert means["clean"]["images"] == 90
    assert means["mce"] == pytest.approx(np.mean(errors) / (1 - share))
    both = [means["corrupted"][name]["ece"][4] for name in ("contrast", "impulse_noise")]
    assert means["mean"]["ece"][4] == pytest.approx(np.mean(both))

    assert matplotlib.image.imread(tmp_path / "a" / "robustness.png").shape[1] > 800
    assert "<svg" in (tmp_path / "a" / "robustness.svg").read_text()
    assert f"| means | accuracy | {means['clean']['accuracy']:.4f} |" in capsys.readouterr().out


def test_errors_relative_to_a_reference(load_script):
    script = load_script("robustness")

    def metrics(fog, snow, clean):
        return {
            "clean": {"accuracy": 1 - clean},
            "corrupted": {
                name: {"accuracy": [1 - error - 0.1, 1 - error, 1 - error, 1 - error, 1.1 - error]}
                for name, error in (("fog", fog), ("snow", snow))
            },
        }

    # The errors of b are those of two seeds.
    a = metrics(0.5, 0.3, 0.1)
    both = {"a": [a], "b": [metrics(0.7, 0.7, 0.1), metrics(0.9, 0.5, 0.3)]}
    script.add_relative_errors(both, "b")
    assert a["mce"] == pytest.approx((0.5 / 0.8 + 0.3 / 0.6) / 2)
    assert a["relative_mce"] == pytest.approx((0.4 / 0.6 + 0.2 / 0.4) / 2)
    script.add_relative_errors(both, "AlexNet")
    fog, snow = (evaluation.ALEXNET_ERRORS[name] for name in ("fog", "snow"))
    assert a["mce"] == pytest.approx((0.5 / fog + 0.3 / snow) / 2)
    clean = evaluation.ALEXNET_CLEAN_ERROR
    expected = (0.4 / (fog - clean) + 0.2 / (snow - clean)) / 2
    assert a["relative_mce"] == pytest.approx(expected)


@pytest.mark.slow
def test_prepared_corruptions(run_script, tmp_path, monkeypatch):
    """The mocking of tfds generates random images with the real names, severities and shapes."""
    monkeypatch.setattr(
        tfds.core.DatasetBuilder,
        "is_prepared",
        # One severity of the fog is missing.
        lambda self: (
            "corrupted" not in self.name
            or self.builder_config.name.startswith("frost_")
            or self.builder_config.name in ("spatter_1", "fog_1", "fog_2", "fog_3", "fog_4")
        ),
    )
    encoder = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.GlobalAveragePooling2D()])
    supcon_tf.CrossEntropyModel(encoder, 10).save(tmp_path / "c.keras")
    (tmp_path / "cifar10").mkdir()
    with tfds.testing.mock_data(num_examples=6):
        run_script(
            "robustness",
            "--dataset=cifar10_corrupted",
            f"--data_dir={tmp_path}",
            f"--output_dir={tmp_path}",
            "--images=5",
            f"--classifier=c={tmp_path / 'c.keras'}",
        )
    written = json.loads((tmp_path / "robustness.json").read_text())
    assert written["corruptions"] == ["frost"]
    (metrics,) = written["classifiers"]["c"]
    assert len(metrics["corrupted"]["frost"]["accuracy"]) == 5
    assert "mce" not in metrics


def test_nothing_prepared(tmp_path):
    with pytest.raises(FileNotFoundError, match="tfds build cifar10_corrupted"):
        corruptions.find_prepared("cifar10_corrupted", str(tmp_path), ())


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["--classifier=x"], ValueError, "`--classifier` must be NAME=FILE"),
        (["--classifier=x=nothing.keras"], FileNotFoundError, "`--classifier` must be an existing"),
        ([], flags.IllegalFlagValueError, "--classifier"),
        (["CONSTANT", "CONSTANT"], ValueError, "must name each file once"),
        (["CONSTANT", "--reference=y"], ValueError, r"`--reference` must be.*\['constant'\].*'y'"),
        (["CONSTANT", "--corruptions=frost"], ValueError, "`--corruptions` must be in .*frost"),
    ],
)
def test_bad_flags(run_script, classifiers, arguments, error, message):
    flag, _ = classifiers["constant"]
    arguments = [flag if argument == "CONSTANT" else argument for argument in arguments]
    with pytest.raises(error, match=message):
        run_script("robustness", "--dataset=digits", *arguments)


def test_a_classifier_of_other_classes(run_script, tmp_path):
    encoder = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()])
    path = tmp_path / "other.keras"
    supcon_tf.CrossEntropyModel(encoder, 10, class_names=[*"abcdefghij"]).save(path)
    with pytest.raises(ValueError, match=r"other.keras, .* missing classes \['0', .* \['a', "):
        run_script("robustness", "--dataset=digits", f"--classifier=other={path}")


def test_classifiers_of_different_images(run_script, tmp_path, classifiers):
    encoder = keras.Sequential([keras.Input((9, 9, 1)), keras.layers.Flatten()])
    supcon_tf.CrossEntropyModel(encoder, 10).save(tmp_path / "other.keras")
    flag, _ = classifiers["constant"]
    with pytest.raises(ValueError, match="square images of the same size and channels"):
        other = f"--classifier=other={tmp_path / 'other.keras'}"
        run_script("robustness", "--dataset=digits", flag, other)
