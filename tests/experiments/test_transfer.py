import json
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from absl import flags

import supcon_tf
from supcon_tf import evaluation

tfds = pytest.importorskip("tensorflow_datasets")

from experiments.lib import transfer_datasets, transfer_protocols  # noqa: E402  (skipped without)
from supcon_tf.commands.divergence import TrainingDiverged  # noqa: E402


def write_classes(directory, images, brightness=(40, 120, 200)):
    """Writes images of 8 pixels whose class is their brightness; the last class has outliers."""
    rng = np.random.default_rng(images)
    for label, level in enumerate(brightness):
        (directory / f"class{label}").mkdir(parents=True)
        for k in range(images * (2 if label == 0 else 1)):
            mean = brightness[0] if label == 2 and k % 4 == 3 else level
            pixels = np.clip(rng.normal(mean, 5, [8, 8, 3]), 0, 255).astype(np.uint8)
            path = directory / f"class{label}" / f"{k}.png"
            path.write_bytes(tf.io.encode_png(pixels).numpy())


@pytest.fixture
def data_dir(tmp_path):
    for name in ("birdsnap", "aircraft"):
        write_classes(tmp_path / name / "train", 20, (40, 120, 200))
        write_classes(tmp_path / name / "test", 4)
    return tmp_path


@pytest.fixture
def encoder(tmp_path):
    """An encoder of mean colors, standardized with moving statistics."""
    inputs = keras.Input((8, 8, 3))
    features = keras.layers.BatchNormalization(momentum=0.5)(
        keras.layers.GlobalAveragePooling2D()(inputs)
    )
    encoder = keras.Model(inputs, keras.layers.Dense(8, activation="relu")(features))
    encoder.save(tmp_path / "encoder.keras")
    return f"--encoder={tmp_path / 'encoder.keras'}"


@pytest.mark.slow
def test_frozen_and_resumed(run_script, data_dir, encoder, monkeypatch, capsys):
    arguments = [encoder, f"--data_dir={data_dir}", "--penalties=3"]
    path = data_dir / "transfer.jsonl"
    run_script("transfer", *arguments, "--datasets=birdsnap")
    (first,) = (json.loads(line) for line in path.read_text().splitlines())
    assert (first["dataset"], first["protocol"], first["metric"]) == ("birdsnap", "frozen", "top-1")
    assert (first["train_images"], first["test_images"]) == (80, 16)
    # One of the 4 test images of the last class is as dark as the first class.
    assert first["value"] == pytest.approx(15 / 16)

    loaded = []
    load = transfer_datasets.load
    monkeypatch.setattr(
        transfer_datasets, "load", lambda *args: loaded.append(args[0]) or load(*args)
    )
    capsys.readouterr()
    run_script("transfer", *arguments, "--datasets=birdsnap,aircraft")
    assert loaded == ["aircraft"]
    again, second = (json.loads(line) for line in path.read_text().splitlines())
    assert again == first
    assert second["metric"] == "mean per class"
    assert second["value"] == pytest.approx((1 + 1 + 3 / 4) / 3)
    header, _, row = capsys.readouterr().out.splitlines()[-3:]
    cells = dict(zip(header.split("|"), row.split("|"), strict=True))
    assert cells[" birdsnap "] == " 93.75 "
    assert cells[" aircraft "] == " 91.67 "
    assert cells[" food "] == " "
    assert cells[" mean "] == f" {(93.75 + 91.6667) / 2:.2f} of 2 "

    with pytest.raises(ValueError, match="holds 'birdsnap' with other settings"):
        run_script("transfer", *arguments, "--datasets=birdsnap", "--short_side=9")
    assert len(path.read_text().splitlines()) == 2


@pytest.mark.slow
def test_fine_tuning_chooses_settings_and_trains_all_weights(
    run_script, data_dir, encoder, monkeypatch
):
    trained = []
    fine_tune = transfer_protocols.fine_tune

    def watched(model, train, **settings):
        before = model.get_weights()
        result = fine_tune(model, train, **settings)
        trained.append((before, result, train, settings))
        return result

    monkeypatch.setattr(transfer_protocols, "fine_tune", watched)
    run_script(
        "transfer",
        encoder,
        f"--data_dir={data_dir}",
        "--datasets=birdsnap",
        "--protocol=finetune",
        "--steps=30",
        "--batch_size=32",
        "--learning_rates=1e-7,0.1",
        "--weight_decays=1e-4",
    )
    (record,) = (
        json.loads(line) for line in (data_dir / "transfer.jsonl").read_text().splitlines()
    )
    assert record["protocol"] == "finetune"
    assert record["chosen"] == {"learning_rate": 0.1, "weight_decay": 1e-4}
    assert record["value"] == pytest.approx(15 / 16)
    assert [len(train.targets) for _, _, train, _ in trained] == [64, 64, 80]
    before, model, _, settings = trained[-1]
    assert int(model.optimizer.iterations) == 30
    assert model.optimizer.weight_decay == pytest.approx(1e-3)
    assert model.optimizer.nesterov
    for old, new in zip(before, model.encoder.get_weights(), strict=True):
        assert not np.allclose(old, new)
    batch_norm = model.encoder.layers[2]
    assert batch_norm.momentum == 0.9  # 2 steps per epoch
    # With more than 100 steps per epoch, the momentum averages over a tenth of an epoch.
    many = train_part([0, 1] * 150)
    model = keras.saving.load_model(data_dir / "encoder.keras")
    monkeypatch.setattr(supcon_tf.CrossEntropyModel, "fit", lambda self, *_, **__: None)
    fine_tune(model, many, **{**settings, "batch_size": 1})
    assert model.layers[2].momentum == pytest.approx(1 - 10 / 300)


def train_part(labels):
    labels = np.array(labels)
    pixels = np.broadcast_to((60 + 100 * labels)[:, None, None, None], [len(labels), 8, 8, 3])
    names = [str(position) for position in range(len(labels))]
    images = supcon_tf.data.ArrayImages(pixels.astype(np.uint8), np.arange(len(labels)), names)
    return transfer_datasets.Split(images, np.eye(2, dtype=np.float32)[labels])


@pytest.mark.slow
def test_a_training_that_diverges_is_not_chosen(data_dir, encoder, monkeypatch):
    fine_tune = transfer_protocols.fine_tune

    def diverging(model, train, *, learning_rate, **settings):
        if learning_rate == 10:
            raise TrainingDiverged("the loss is nan")
        return fine_tune(model, train, learning_rate=learning_rate, **settings)

    monkeypatch.setattr(transfer_protocols, "fine_tune", diverging)
    part = train_part([0, 1] * 5)
    settings = {"steps": 1, "weight_decays": [0.0], "batch_size": 5, "short_side": None, "seed": 0}
    path = data_dir / "encoder.keras"
    entry = transfer_datasets.DATASETS["birdsnap"]
    scores, chosen = transfer_protocols.fine_tuned_scores(
        path, entry, part, part, learning_rates=[10, 0.1], **settings
    )
    assert chosen["learning_rate"] == 0.1
    assert scores.shape == (10, 2)
    with pytest.raises(TrainingDiverged):
        transfer_protocols.fine_tuned_scores(
            path, entry, part, part, learning_rates=[10], **settings
        )


def voc_examples(size):
    """Red images have class 0, green ones class 1; one red image of the test set has both."""
    for k in range(size):
        shown = [c for c in (0, 1) if k % 4 in (c, 2)]
        pixels = np.full([8 + k % 2, 8, 3], 20, np.uint8)
        pixels[..., shown] = 200 + k
        certain = shown
        if (size, k) == (12, 2):
            certain = [0]
            pixels[..., 1] = 20
        yield (
            k,
            {
                "image": pixels,
                "image/filename": "",
                "objects": [],
                "labels": shown,
                "labels_no_difficult": certain,
            },
        )


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["frozen", "finetune"])
def test_several_labels(run_script, tmp_path, encoder, monkeypatch, protocol):
    voc = tfds.builder_cls("voc")
    monkeypatch.setattr(sys.modules[voc.__module__], "_VOC_LABELS", ("red", "green"))
    sizes = {"train": 16, "validation": 14, "test": 12}
    examples = {part: voc_examples(size) for part, size in sizes.items()}
    monkeypatch.setattr(voc, "_split_generators", lambda self, manager: examples)
    voc(data_dir=tmp_path, config="2007").download_and_prepare(
        download_config=tfds.download.DownloadConfig(try_download_gcs=False)
    )
    train, test = transfer_datasets.load("voc2007", str(tmp_path))
    assert (len(train.targets), len(test.targets)) == (30, 12)
    assert test.targets.sum(axis=0).tolist() == [6, 6]
    assert test.difficult.sum(axis=0).tolist() == [0, 1]
    part = test.take(np.flatnonzero(test.difficult[:, 1]))
    assert part.targets.tolist() == [[1, 1]]
    assert part.difficult.tolist() == [[False, True]]

    run_script(
        "transfer",
        encoder,
        f"--data_dir={tmp_path}",
        "--datasets=voc2007",
        f"--protocol={protocol}",
        "--penalties=3",
        "--steps=40",
        "--learning_rates=0.2",
    )
    (record,) = (
        json.loads(line) for line in (tmp_path / "transfer.jsonl").read_text().splitlines()
    )
    assert record["metric"] == "11-point mAP"
    assert record["value"] == pytest.approx(1)  # The only unclear target is difficult.


def test_names_of_tfds(tmp_path, monkeypatch):
    """The mocking of tfds generates random images with the real names, splits and features."""
    monkeypatch.setattr(tfds.core.DatasetBuilder, "is_prepared", lambda self: True)
    for entry in transfer_datasets.DATASETS.values():
        if entry.tfds_name:
            builder = tfds.builder(entry.tfds_name, data_dir=tmp_path)
            label = "labels" if entry.multi_label else "label"
            assert {"image", label} <= set(builder.info.features)
    with tfds.testing.mock_data(num_examples=4):
        train, test = transfer_datasets.load("flowers", str(tmp_path))
        assert (len(train.targets), test.targets.shape) == (4, (4, 102))


def test_metrics():
    scores = np.array([[3.0, 1, 0], [2, 1, 0], [0, 2, 1], [0, 2, 1]])
    targets = np.eye(3)[[0, 0, 0, 1]]
    assert transfer_datasets.METRICS["top-1"](scores, targets, None) == 0.75
    assert transfer_datasets.METRICS["mean per class"](scores, targets, None) == pytest.approx(
        5 / 6
    )
    shown = np.array([[1, 0], [1, 1], [0, 1], [1, 0]])
    expected = evaluation.voc_mean_average_precision(scores[:, :2], shown)
    assert transfer_datasets.METRICS["11-point mAP"](scores[:, :2], shown, None) == expected
    for name in transfer_datasets.METRICS:
        with pytest.raises(ValueError, match="`scores` must be finite. Received: .* in 1 of 4"):
            transfer_datasets.METRICS[name](np.where(scores == 3, np.nan, scores), targets, None)
    metrics = [entry.metric for entry in transfer_datasets.DATASETS.values()]
    assert [metrics.count(name) for name in transfer_datasets.METRICS] == [7, 4, 1]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["--datasets=birdsnap,mnist"], ValueError, r"`datasets` must be in .*\['mnist'\]"),
        (["--datasets=cars"], FileNotFoundError, "cars/train and cars/test.*tfds build cars196"),
        (
            ["--datasets=voc2007"],
            FileNotFoundError,
            "`data_dir` must contain the output of `tfds build voc",
        ),
        (["--encoder=nothing.keras"], FileNotFoundError, "`--encoder` must be an existing"),
        (["--protocol=linear"], flags.IllegalFlagValueError, "frozen"),
        (["--learning_rates=1,a"], flags.IllegalFlagValueError, r"rates=\['1', 'a'\]: must be"),
        (["--weight_decays=-1"], flags.IllegalFlagValueError, r"weight_decays=\['-1'\]: must be"),
    ],
)
def test_bad_flags(run_script, data_dir, encoder, arguments, error, message):
    with pytest.raises(error, match=message):
        run_script("transfer", encoder, f"--data_dir={data_dir}", *arguments)


@pytest.mark.slow
def test_parts_of_different_classes(tmp_path):
    write_classes(tmp_path / "birdsnap" / "train", 1)
    write_classes(tmp_path / "birdsnap" / "test", 1, (40, 120))
    with pytest.raises(ValueError, match=r"'birdsnap' must have .* missing classes \['class2'\]"):
        transfer_datasets.load("birdsnap", str(tmp_path))
