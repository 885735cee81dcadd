"""Writes the representations of more images than fit in memory, and resumes after a kill."""

import hashlib
import json
import pathlib
import shutil
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from supcon_tf._files import lock_directory, write_arrays, write_json
from supcon_tf.commands.image_digests import images_digest
from supcon_tf.commands.matrix_file import PartialMatrix, has_shape
from supcon_tf.commands.remaining_time import format_remaining_time
from supcon_tf.commands.representations import check_encoder, encode_batches
from supcon_tf.data import ImageSource
from supcon_tf.distribution.strategies import find_worker, wait_for_workers

_SECONDS = 30  # between two lines about the progress


def write_representations(
    path: pathlib.Path,
    encoder: keras.Model,
    source: ImageSource,
    batch_size: int,
    *,
    encoder_digest: str,
    description: Mapping[str, NDArray[Any]],
    strategy: tf.distribute.Strategy,
) -> None:
    """Encodes images and writes the representations to a .npy file, in constant memory.

    After a kill at any moment, the same call continues with the batches that are missing. The file
    is bitwise that of an uninterrupted call. Until all representations are written, they are in the
    directory `path`.partial. Every worker of a cluster writes an equal share of the batches to the
    same directory, and the first one completes the file.

    Args:
        path: the file. It contains `[images, dim]` float32.
        encoder: a model from images in [0, 1] to representations `[images, dim]`, created under
            `local_strategy(strategy)`.
        source: the images.
        batch_size: number of images in a batch.
        encoder_digest: as from `model_digest`, to recognize the files of another encoder.
        description: arrays about the images, which `description_path(path)` contains.
        strategy: the strategy whose workers share the images.

    Raises:
        ValueError: if the encoder does not suit the images, or the file or its directory contains
            representations of other inputs or damage.
        FileExistsError: if another program has written a file of the name `description_path(path)`.
        RuntimeError: if another process writes the file, or another worker has ended.
        OSError: if a file cannot be written, or the workers do not share the directory.
    """
    check_encoder(encoder, source)
    if len(encoder.output_shape) != 2 or None in encoder.output_shape[1:] or not len(source):
        raise ValueError(
            "`encoder` must return representations [images, dim] of at least one image. "
            f"Received: outputs of shape {encoder.output_shape}, {len(source)} images"
        )
    matrix = PartialMatrix(
        _partial_directory(path), len(source), encoder.output_shape[1], batch_size
    )
    worker, workers = find_worker(strategy)
    settings = {
        "encoder": encoder_digest,
        "images": images_digest(source),
        "batch_size": batch_size,
        **{name: _digest(array) for name, array in description.items()},
    }
    if worker == 0:
        _create_partial_file(path, matrix, settings)
    wait_for_workers(strategy)
    if path.exists():
        _require_same_file(path, matrix, settings)
        return
    _require_partial_file(matrix, settings)
    share = worker_share(matrix.batches, worker, workers)
    missing = [batch for batch in share if not matrix.is_complete(batch)]
    if len(missing) < len(share):
        print(f"{len(share) - len(missing)} of {len(share)} batches are complete", flush=True)
    encoded = encode_batches(encoder, source, batch_size, missing)
    for batch, rows in zip(_with_progress(missing), encoded, strict=True):
        matrix.write(batch, rows)
    matrix.synchronize()
    wait_for_workers(strategy)
    if worker == 0:
        _complete(path, matrix, description, settings)
    wait_for_workers(strategy)


def description_path(path: pathlib.Path) -> pathlib.Path:
    """Returns the path of the file that describes the rows of a file of representations."""
    return path.with_name(f"{path.stem}_images.npz")


def is_started(path: pathlib.Path) -> bool:
    """Returns whether a file of representations, or a part of it, has been written."""
    return path.exists() or _partial_directory(path).exists()


def worker_share(batches: int, worker: int, workers: int) -> range:
    """Returns the batches that a worker encodes. The shares are contiguous and nearly equal."""
    return range(batches * worker // workers, batches * (worker + 1) // workers)


def _create_partial_file(
    path: pathlib.Path, matrix: PartialMatrix, settings: Mapping[str, Any]
) -> None:
    """Reserves the directory of a partial file, and creates the files in it if there are none."""
    if not path.exists():
        _require_replaceable_description(path)
    lock_directory(matrix.directory)
    if path.exists():
        _remove_partial_file(matrix)  # A kill can have come before the removal.
    elif not _settings_path(matrix).exists():
        matrix.create()
        write_json(_settings_path(matrix), settings)


def _require_partial_file(matrix: PartialMatrix, settings: Mapping[str, Any]) -> None:
    """Raises an error unless a partial file is visible, intact and of the same settings."""
    if not _settings_path(matrix).exists():
        raise FileNotFoundError(
            "All workers must see the files of the first one. Choose an output in a directory that "
            f"they share. Received: no {matrix.directory} on this worker"
        )
    try:
        written = json.loads(_settings_path(matrix).read_bytes())
    except ValueError:
        written = None
    if isinstance(written, dict):
        _require_same(matrix.directory, settings, written)
    if not isinstance(written, dict) or not matrix.is_intact():
        raise ValueError(
            f"{matrix.directory} must contain the files of an interrupted call. Remove it to "
            "encode all images again. Received: files that are missing or damaged"
        )


def _partial_directory(path: pathlib.Path) -> pathlib.Path:
    return path.with_name(f"{path.name}.partial")


def _settings_path(matrix: PartialMatrix) -> pathlib.Path:
    return matrix.directory / "settings.json"


def _remove_partial_file(matrix: PartialMatrix) -> None:
    # A network file system keeps the lock, which is open, under another name in the directory.
    shutil.rmtree(matrix.directory, ignore_errors=True)


def _complete(
    path: pathlib.Path,
    matrix: PartialMatrix,
    description: Mapping[str, NDArray[Any]],
    settings: Mapping[str, Any],
) -> None:
    """Writes the description, and then moves the matrix to its final path."""
    arrays: dict[str, Any] = {**description, "settings": json.dumps(settings)}
    write_arrays(description_path(path), arrays)
    matrix.move(path)
    _remove_partial_file(matrix)


def _require_same_file(
    path: pathlib.Path, matrix: PartialMatrix, settings: Mapping[str, Any]
) -> None:
    """Raises `ValueError` unless a finished file was written with the same settings."""
    written = _read_described_settings(path)
    if written is None:
        raise ValueError(
            f"{path} exists, and must be described by {description_path(path).name}, which is "
            "written with it. Remove the file, or choose another output. "
            "Received: a missing or damaged description"
        )
    _require_same(path, settings, written)
    if not has_shape(path, matrix.rows, matrix.columns):
        raise ValueError(
            f"{path} must contain {matrix.rows} representations of {matrix.columns} numbers, as "
            f"{description_path(path).name} states. Remove the file to encode all images again. "
            "Received: a file that is damaged or of another program"
        )


def _require_replaceable_description(path: pathlib.Path) -> None:
    """Raises `FileExistsError` if the file with the name of the description has other contents."""
    description = description_path(path)
    if description.exists() and _read_described_settings(path) is None:
        raise FileExistsError(
            f"{description} must not exist: the description of {path.name} gets this name. Remove "
            "the file, or choose another output. Received: a file of another program"
        )


def _read_described_settings(path: pathlib.Path) -> dict[str, Any] | None:
    """Reads the settings in the description of a file; `None` if it has none."""
    if not zipfile.is_zipfile(description_path(path)):
        return None
    try:
        with np.load(description_path(path)) as description:
            settings = json.loads(str(description["settings"]))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None
    return settings if isinstance(settings, dict) else None


def _require_same(
    path: pathlib.Path, settings: Mapping[str, Any], written: Mapping[str, Any]
) -> None:
    """Raises `ValueError` if representations were written with other settings."""
    changed = [
        name for name in sorted({*settings, *written}) if settings.get(name) != written.get(name)
    ]
    if changed:
        differences = ", ".join(
            f"{name} {settings.get(name)} instead of {written.get(name)}" for name in changed
        )
        raise ValueError(
            f"{path} contains representations of other inputs ({', '.join(changed)}). Remove it, "
            f"or choose another output. Received: {differences}"
        )


def _digest(array: NDArray[Any]) -> str:
    contents = np.ascontiguousarray(array).view(np.uint8)
    return hashlib.sha256(contents.data).hexdigest()[:16]


def _with_progress(batches: Sequence[int]) -> Iterator[int]:
    """Yields batches, and prints from time to time how many are finished."""
    start = printed = time.monotonic()
    for finished, batch in enumerate(batches):
        if time.monotonic() - printed >= _SECONDS:
            printed = time.monotonic()
            remaining = format_remaining_time(start, finished, len(batches) - finished)
            print(f"{finished} of {len(batches)} batches, {remaining}", flush=True)
        yield batch
