"""A whole training: from a folder of images to a classifier with its results."""

import dataclasses
import hashlib
import json
import pathlib
import time
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from supcon_tf import evaluation
from supcon_tf._files import lock_directory, write_arrays, write_json
from supcon_tf.commands import confidence
from supcon_tf.commands.exported_classifier import export_classifier
from supcon_tf.commands.image_digests import images_digest
from supcon_tf.commands.image_files import (
    load_for_evaluation,
    load_for_training,
    summarize,
)
from supcon_tf.commands.labeled_files import (
    LabeledFiles,
    describe_files,
    find_test_set,
    hold_out,
    read_labeled_files,
)
from supcon_tf.commands.report import report
from supcon_tf.commands.representations import compute_representations
from supcon_tf.commands.run_directory import package_versions
from supcon_tf.commands.settings import (
    Settings,
    choose_settings,
    describe_settings,
    fit_seconds,
    settings_from_json,
    settings_to_json,
)
from supcon_tf.commands.stages import (
    TrainingImages,
    measure_epochs,
    train_classifier,
    train_encoder,
)
from supcon_tf.data.decoding import PixelFormat
from supcon_tf.data.folder import describe_missing, describe_skipped, find_images
from supcon_tf.data.readable import check_readable
from supcon_tf.labels import UNLABELED
from supcon_tf.models import LinearClassifier

VERSION = 1
_HELD_OUT_FRACTION = 0.1
_BATCH_SIZE = 250  # of images that are encoded without training
_NEIGHBORS = 20


@dataclasses.dataclass(frozen=True)
class _Data:
    """The images of a run.

    Attributes:
        train: the images that train both stages.
        unlabelled: further images without labels.
        held_out: the images that calibrate the probabilities.
        test: the images of the test folder, or the held-out ones without a test folder.
        source: the training folder or csv file.
        test_source: the test folder or csv file, or `None`.
    """

    train: LabeledFiles
    unlabelled: tuple[pathlib.Path, ...]
    held_out: LabeledFiles
    test: LabeledFiles
    source: pathlib.Path
    test_source: pathlib.Path | None

    @property
    def tested_on(self) -> str:
        """What the results are about."""
        return "test folder" if self.test_source else "held-out training images"


@dataclasses.dataclass(frozen=True)
class _Outputs:
    """Logits `[images, classes]` and representations `[images, dim]`."""

    logits: NDArray[np.float32]
    representations: NDArray[np.float32]


def train(
    folder: pathlib.Path,
    output_dir: pathlib.Path,
    *,
    test: pathlib.Path | None,
    unlabelled: pathlib.Path | None,
    encoder: str | None,
    epochs: int | None,
    minutes: float | None,
    seed: int,
) -> None:
    """Trains an encoder and a classifier and writes them with their results, or resumes.

    Args:
        folder: the training images, see `labeled_files`.
        output_dir: the directory of the run.
        test: the test images, or `None` for those in `folder` or held-out ones.
        unlabelled: a directory of images without labels, or `None`.
        encoder: name of the encoder, or `None` to choose one.
        epochs: number of epochs of the first stage, or `None` to choose it.
        minutes: time for both stages, or `None`.
        seed: seed of all random choices.

    Raises:
        ValueError: if the images or the arguments cannot be used, or `output_dir` holds another
            run; before anything is written.
        OSError: if a file cannot be read or written.
    """
    start = time.monotonic()
    arguments = {
        "folder": str(folder.resolve()),
        "test": test and str(test.resolve()),
        "unlabelled": unlabelled and str(unlabelled.resolve()),
        "encoder": encoder,
        "epochs": epochs,
        "minutes": minutes,
        "seed": seed,
    }
    stored = _read_stored_settings(output_dir, arguments)
    if stored and (output_dir / "results.json").exists():
        print(f"{output_dir} holds this run, which is finished; nothing to do")
        return
    data = _find_data(folder, test, unlabelled, seed)
    _require_outside(output_dir, data)
    _print_data(data)
    if stored:
        settings = settings_from_json(stored)
    else:
        summary = summarize(data.train.paths, len(data.unlabelled), len(data.train.class_names))
        settings = choose_settings(summary, encoder=encoder, epochs=epochs)
    images = _load(data, settings)
    digest = _digest(images)
    if stored and stored["images_digest"] != digest:
        raise ValueError(
            f"{output_dir} holds a run on other images: files were added, removed or changed. "
            "Choose another --output_dir, or remove the directory"
        )
    if minutes and not stored:
        settings = _fit_minutes(settings, images, minutes, start)
    print(describe_settings(settings), flush=True)
    lock_directory(output_dir)
    if not stored:
        fields = {**_describe_run(data, arguments, digest), **settings_to_json(settings)}
        write_json(output_dir / "settings.json", fields)
    inputs = {"images": digest}
    print("\nstage 1 of 2: the encoder", flush=True)
    trained_encoder = train_encoder(images, settings, output_dir, seed=seed, inputs=inputs)
    print("\nstage 2 of 2: the classifier", flush=True)
    classifier = train_classifier(
        trained_encoder, images.labeled(), settings, output_dir, seed=seed, inputs=inputs
    )
    print("\ntesting", flush=True)
    results = _evaluate(classifier, data, settings, output_dir)
    export_classifier(
        classifier,
        output_dir / "saved_model",
        short_side=settings.short_side,
        temperature=results["temperature"],
        multi_label=data.train.multi_label,
    )
    results |= {"seconds": round(time.monotonic() - start, 1), "versions": package_versions()}
    write_json(output_dir / "results.json", results)
    report(output_dir)
    _print_results(results, output_dir)


def _read_stored_settings(
    output_dir: pathlib.Path, arguments: dict[str, Any]
) -> dict[str, Any] | None:
    """Returns the settings of the run that `output_dir` holds, or `None` without a run.

    Raises:
        ValueError: if the directory holds something else, or a run with other arguments.
    """
    path = output_dir / "settings.json"
    if not path.exists():
        if output_dir.is_dir() and any(not p.name.startswith(".") for p in output_dir.iterdir()):
            raise ValueError(
                f"{output_dir} must be a new directory, or hold a run of this command. Received: "
                "a directory with other files"
            )
        return None
    try:
        stored: dict[str, Any] = json.loads(path.read_text())
        before = stored["arguments"]
        version = stored["version"]
    except (ValueError, KeyError, TypeError):
        raise ValueError(
            f"{path} is damaged. Choose another --output_dir, or remove the directory"
        ) from None
    if version != VERSION:
        raise ValueError(
            f"{output_dir} holds a run of another version of this command. Choose another "
            f"--output_dir. Received: version {version!r}, where {VERSION} was expected"
        )
    changed = [name for name in arguments if arguments[name] != before.get(name)]
    if changed:
        differences = ", ".join(
            f"{name} {arguments[name]!r} instead of {before.get(name)!r}" for name in changed
        )
        raise ValueError(
            f"{output_dir} holds a run with other arguments. Repeat them, choose another "
            f"--output_dir, or remove the directory. Received: {differences}"
        )
    return stored


def _fit_minutes(
    settings: Settings, images: TrainingImages, minutes: float, start: float
) -> Settings:
    """Changes the numbers of epochs so that the command ends a given time after its start."""
    print("measuring the time of a step", flush=True)
    seconds, linear_seconds = measure_epochs(images, settings)
    left = 60 * minutes - (time.monotonic() - start)
    return fit_seconds(settings, left, epoch_seconds=seconds, linear_epoch_seconds=linear_seconds)


def _find_data(
    folder: pathlib.Path, test: pathlib.Path | None, unlabelled: pathlib.Path | None, seed: int
) -> _Data:
    source, test_source = find_test_set(folder, test)
    files = read_labeled_files(source)
    kept, held_out = hold_out(files, _HELD_OUT_FRACTION, seed)
    data = _Data(
        train=files.take(kept),
        unlabelled=_find_unlabelled(unlabelled) if unlabelled else (),
        held_out=files.take(held_out),
        test=(read_labeled_files(test_source, files) if test_source else files.take(held_out)),
        source=source,
        test_source=test_source,
    )
    for name, paths in {"--test": data.test.paths, "--unlabelled": data.unlabelled}.items():
        common = set(paths) & set(data.train.paths)
        if common:
            raise ValueError(
                f"The images of `{name}` must not be training images. Received: "
                f"{len(common)} of them, such as {min(common)}"
            )
    return data


def _require_outside(output_dir: pathlib.Path, data: _Data) -> None:
    """Raises `ValueError` if the run would become a class of the images."""
    for source in (data.source, data.test_source):
        if source is not None and source.resolve() in output_dir.resolve().parents:
            raise ValueError(
                "`--output_dir` must not be in the directory of the images, where it would be "
                f"read as a class. Choose a directory outside of {source}. Received: {output_dir}"
            )


def _find_unlabelled(directory: pathlib.Path) -> tuple[pathlib.Path, ...]:
    paths, skipped = find_images(directory.absolute())
    if not paths:
        raise ValueError(describe_missing(directory, skipped))
    if skipped:
        warnings.warn(describe_skipped(skipped, directory), stacklevel=2)
    return tuple(paths)


def _digest(images: TrainingImages) -> str:
    targets = hashlib.sha256(np.ascontiguousarray(images.targets).tobytes()).hexdigest()
    return f"{images_digest(images.source)}-{targets[:16]}"


def _print_data(data: _Data) -> None:
    print(f"training  {describe_files(data.train)}", flush=True)
    if data.unlabelled:
        print(f"          {len(data.unlabelled)} images without a label")
    use = "calibration" if data.test_source else "the test and calibration"
    print(f"held out  {len(data.held_out)} training images, at random, for {use}")
    if data.test_source:
        print(f"test      {len(data.test)} images of {data.test_source}")


def _load(data: _Data, settings: Settings) -> TrainingImages:
    """Reads the training images, and checks that all others can be read."""
    others = {*data.held_out.paths, *data.test.paths}
    check_readable(sorted(others), PixelFormat(settings.channels))
    targets, unlabelled = data.train.targets, len(data.unlabelled)
    if data.train.multi_label:
        targets = np.pad(targets, [(0, unlabelled), (0, 0)])
        labels, num_labels = np.arange(len(targets)), len(targets)
    else:
        targets = np.pad(targets, (0, unlabelled), constant_values=UNLABELED)
        labels, num_labels = targets, len(data.train.class_names)
    paths = (*data.train.paths, *data.unlabelled)
    source = load_for_training(paths, labels, num_labels, settings)
    return TrainingImages(source, targets, data.train.class_names)


def _describe_run(data: _Data, arguments: dict[str, Any], digest: str) -> dict[str, Any]:
    return {
        "version": VERSION,
        "data": str(data.source.resolve()),
        "test": data.test_source and str(data.test_source.resolve()),
        "unlabelled": arguments["unlabelled"],
        "held_out_fraction": _HELD_OUT_FRACTION,
        "seed": arguments["seed"],
        "minutes": arguments["minutes"],
        "multi_label": data.train.multi_label,
        "class_names": list(data.train.class_names),
        "arguments": arguments,
        "images_digest": digest,
    }


def _evaluate(
    classifier: LinearClassifier, data: _Data, settings: Settings, output_dir: pathlib.Path
) -> dict[str, Any]:
    """Calibrates and tests a classifier, and writes its outputs."""
    held_out = _compute_outputs(classifier, data.held_out, settings)
    test = _compute_outputs(classifier, data.test, settings) if data.test_source else held_out
    train = _compute_outputs(classifier, data.train, settings)
    _write_outputs(output_dir / "test_outputs.npz", data.test, test)
    _write_outputs(output_dir / "train_outputs.npz", data.train, train)
    multi_label = data.train.multi_label
    temperature = confidence.fit_temperature(held_out.logits, data.held_out.indicators)
    results: dict[str, Any] = {
        "test_images": len(data.test),
        "train_images": len(data.train),
        "tested_on": data.tested_on,
        "temperature": temperature,
    }
    if multi_label:
        predicted = test.logits > 0
        occurring = data.test.indicators.any(axis=0)
        return results | {
            "test_accuracy": float((predicted == data.test.indicators).all(axis=1).mean()),
            "mean_average_precision": evaluation.voc_mean_average_precision(
                test.logits[:, occurring], data.test.indicators[:, occurring]
            ),
            "k_nn_accuracy": None,
            "unknown_threshold": 0.5,
        }
    probabilities = confidence.to_probabilities(held_out.logits, temperature, multi_label=False)
    return results | {
        "test_accuracy": float((test.logits.argmax(axis=1) == data.test.targets).mean()),
        "k_nn_accuracy": evaluation.knn_accuracy(
            train.representations,
            data.train.targets,
            test.representations,
            data.test.targets,
            k=min(_NEIGHBORS, len(data.train)),
        ),
        "unknown_threshold": confidence.find_unknown_threshold(
            probabilities, data.held_out.targets
        ),
    }


def _compute_outputs(
    classifier: LinearClassifier, files: LabeledFiles, settings: Settings
) -> _Outputs:
    source = load_for_evaluation(files.paths, settings.channels)
    representations = compute_representations(
        classifier.encoder, source, _BATCH_SIZE, short_side=settings.short_side
    )
    return _Outputs(np.asarray(classifier.head(representations)), representations)


def _write_outputs(path: pathlib.Path, files: LabeledFiles, outputs: _Outputs) -> None:
    arrays: dict[str, Any] = {
        "paths": np.array([str(each) for each in files.paths]),
        "labels": files.targets,
        "logits": outputs.logits,
        "representations": outputs.representations,
    }
    write_arrays(path, arrays)


def _print_results(results: dict[str, Any], output_dir: pathlib.Path) -> None:
    if results["k_nn_accuracy"] is None:
        print(
            f"all labels right for {results['test_accuracy']:.1%} of {results['test_images']} "
            f"images ({results['tested_on']}), mean average precision "
            f"{results['mean_average_precision']:.1%}"
        )
    else:
        print(
            f"accuracy {results['test_accuracy']:.1%} on {results['test_images']} images "
            f"({results['tested_on']}); {results['k_nn_accuracy']:.1%} with nearest neighbors"
        )
    print(
        f"the models and the results are in {output_dir}/, see {output_dir}/report.html; classify "
        "images by\n"
        f"    python -m supcon_tf predict {output_dir} IMAGES"
    )
