import shutil
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf

import supcon_tf
from supcon_tf.commands import representation_file
from supcon_tf.commands.matrix_file import PartialMatrix
from supcon_tf.commands.representation_file import (
    description_path,
    worker_share,
    write_representations,
)
from supcon_tf.commands.representations import compute_representations, encode_batches
from supcon_tf.commands.saved_models import model_digest

BATCH_SIZE = 3  # of 20 images, so 7 batches, the last of 2 images


def random_images(seed=0, images=20):
    pixels = np.random.default_rng(seed).integers(0, 256, [images, 4, 4, 1], np.uint8)
    return supcon_tf.data.ArrayImages(pixels, np.arange(images) % 2, ["a", "b"])


def create_encoder():
    return keras.Sequential(
        [keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(5, activation="gelu")]
    )


@pytest.fixture
def encoder():
    return create_encoder()


def write(path, encoder, source=None, *, batch_size=BATCH_SIZE, digest="encoder 1"):
    source = source or random_images()
    write_representations(
        path,
        encoder,
        source,
        batch_size,
        encoder_digest=digest,
        description={"labels": source.labels},
        strategy=tf.distribute.get_strategy(),
    )
    return np.load(path)


class Killed(BaseException):
    """Ends a call like a kill: no cleanup catches it."""


def kill_after(monkeypatch, batches):
    """Makes the process die in the middle of the batch after `batches`, and counts the writes."""
    written = []
    write_batch = PartialMatrix.write

    def write_or_die(self, batch, rows):
        if len(written) == batches:
            with open(self.directory / "matrix.npy", "r+b") as file:
                file.seek(self._span(batch)[0])
                file.write(rows.tobytes()[:7])
            raise Killed
        written.append(batch)
        write_batch(self, batch, rows)

    monkeypatch.setattr(PartialMatrix, "write", write_or_die)
    return written


@pytest.fixture
def partial(tmp_path, encoder, monkeypatch):
    """The path of a file of which 4 of 7 batches are written."""
    with monkeypatch.context() as patch:
        kill_after(patch, 4)
        with pytest.raises(Killed):
            write(tmp_path / "x.npy", encoder)
    return tmp_path / "x.npy"


def test_the_file_has_the_representations_and_the_description(tmp_path, encoder):
    path = tmp_path / "x.npy"
    written = write(path, encoder)
    assert written.dtype == np.float32
    expected = compute_representations(encoder, random_images(), BATCH_SIZE)
    np.testing.assert_array_equal(written, expected)
    with np.load(description_path(path)) as description:
        np.testing.assert_array_equal(description["labels"], random_images().labels)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["x.npy", "x_images.npz"]


@pytest.mark.slow
def test_replicas_write_the_representations_of_one_device(two_replicas):
    with two_replicas.scope():
        encoder = create_encoder()
    alone = create_encoder()
    alone.set_weights(encoder.get_weights())
    batches = encode_batches(encoder, random_images(), BATCH_SIZE, range(7))
    expected = compute_representations(alone, random_images(), BATCH_SIZE)
    np.testing.assert_array_equal(np.concatenate(list(batches)), expected)


@pytest.mark.slow
def test_half_precision_is_written_as_float32(tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    assert write(tmp_path / "x.npy", create_encoder()).dtype == np.float32


@pytest.mark.slow
def test_a_killed_call_continues_with_the_next_batch(partial, encoder, monkeypatch, capsys):
    assert not partial.exists()
    written = kill_after(monkeypatch, 7)
    result = write(partial, encoder)
    assert written == [4, 5, 6]
    assert "4 of 7 batches are complete" in capsys.readouterr().out
    expected = compute_representations(encoder, random_images(), BATCH_SIZE)
    np.testing.assert_array_equal(result, expected)
    assert not partial.with_name("x.npy.partial").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "function", ["write_json", "write_arrays", "PartialMatrix.move", "shutil.rmtree"]
)
def test_a_kill_before_the_first_or_after_the_last_batch(tmp_path, encoder, monkeypatch, function):
    expected = write(tmp_path / "whole.npy", encoder)

    def die(*args, **kwargs):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(f"supcon_tf.commands.representation_file.{function}", die)
        with pytest.raises(Killed):
            write(tmp_path / "x.npy", encoder)
    np.testing.assert_array_equal(write(tmp_path / "x.npy", encoder), expected)
    assert not (tmp_path / "x.npy.partial").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["matrix.npy", "digests"])
def test_damaged_batches_are_encoded_again(partial, encoder, monkeypatch, name):
    file = partial.with_name("x.npy.partial") / name
    contents = bytearray(file.read_bytes())
    batch = 2
    position = 128 + batch * BATCH_SIZE * 5 * 4 if name == "matrix.npy" else batch * 16
    contents[position] ^= 1
    file.write_bytes(contents)
    written = kill_after(monkeypatch, 7)
    result = write(partial, encoder)
    assert written == [2, 4, 5, 6]
    expected = compute_representations(encoder, random_images(), BATCH_SIZE)
    np.testing.assert_array_equal(result, expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["matrix.npy", "digests", "settings.json"])
@pytest.mark.parametrize("contents", [b"", b"damaged"])
def test_damaged_files_are_named(partial, encoder, name, contents):
    directory = partial.with_name("x.npy.partial")
    (directory / name).write_bytes(contents)
    with pytest.raises(ValueError, match=f"{directory} must contain.*Remove it.*Received"):
        write(partial, encoder)
    shutil.rmtree(directory)
    write(partial, encoder)


@pytest.mark.slow
def test_a_finished_file_is_not_written_again(tmp_path, encoder, monkeypatch):
    write(tmp_path / "x.npy", encoder)
    kill_after(monkeypatch, 0)
    write(tmp_path / "x.npy", encoder)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"digest": "encoder 2"}, r"\(encoder\).*Received: encoder encoder 2 instead of encoder 1"),
        ({"batch_size": 4}, r"\(batch_size\).*Received: batch_size 4 instead of 3"),
        ({"source": random_images(1)}, r"\(images\)"),
        ({"source": random_images(0, 19)}, r"\(images, labels\)"),
    ],
)
def test_other_inputs_are_named(tmp_path, partial, encoder, changes, difference):
    finished = tmp_path / "finished.npy"
    write(finished, encoder)
    for path, named in ((partial, "x.npy.partial"), (finished, "finished.npy")):
        before = path.read_bytes() if path.exists() else None
        with pytest.raises(ValueError, match=f"{named} contains.*{difference}"):
            write(path, encoder, **changes)
        assert (path.read_bytes() if path.exists() else None) == before


def test_a_file_that_another_program_wrote_is_kept(tmp_path, encoder):
    np.save(tmp_path / "x.npy", np.ones(2))
    with pytest.raises(ValueError, match=r"x\.npy exists.*x_images\.npz.*Remove the file"):
        write(tmp_path / "x.npy", encoder)
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), np.ones(2))


def test_a_finished_file_that_is_cut_off_is_named(tmp_path, encoder):
    write(tmp_path / "x.npy", encoder)
    contents = (tmp_path / "x.npy").read_bytes()
    (tmp_path / "x.npy").write_bytes(contents[:-1])
    with pytest.raises(ValueError, match=r"x\.npy must contain 20 representations of 5 numbers"):
        write(tmp_path / "x.npy", encoder)


@pytest.mark.parametrize("write_file", [np.savez, lambda file, x: np.save(file, x)])
def test_the_description_replaces_no_file_of_another_program(tmp_path, encoder, write_file):
    with (tmp_path / "x_images.npz").open("wb") as file:
        write_file(file, np.ones(2))
    with pytest.raises(FileExistsError, match=r"x_images\.npz must not exist.*Remove the file"):
        write(tmp_path / "x.npy", encoder)
    assert [each.name for each in tmp_path.iterdir()] == ["x_images.npz"]


def test_a_full_disk_is_named_and_the_call_continues(tmp_path, encoder, monkeypatch):
    def fail(descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", fail)
        with pytest.raises(OSError, match=r"No space left.*same command continues.*matrix\.npy"):
            write(tmp_path / "x.npy", encoder)
    write(tmp_path / "x.npy", encoder)


def test_an_encoder_of_other_outputs_raises_before_a_file_is_written(tmp_path):
    encoder = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Conv2D(2, 1)])
    with pytest.raises(ValueError, match=r"must return.*\[images, dim\].*Received: outputs of"):
        write(tmp_path / "x.npy", encoder)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("workers", [1, 2, 3, 7, 10])
def test_the_shares_of_workers_are_disjoint_and_complete(workers):
    shares = [worker_share(7, worker, workers) for worker in range(workers)]
    assert [batch for share in shares for batch in share] == list(range(7))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def work_as(monkeypatch, worker, wait=lambda strategy: None):
    monkeypatch.setattr(representation_file, "find_worker", lambda strategy: (worker, 2))
    monkeypatch.setattr(representation_file, "wait_for_workers", wait)


@pytest.mark.slow
def test_two_workers_write_one_file(tmp_path, encoder, monkeypatch):
    expected = write(tmp_path / "whole.npy", encoder)
    path = tmp_path / "x.npy"
    waits = []

    def let_the_second_worker_work(strategy):
        waits.append(strategy)
        if len(waits) == 2:  # The first worker has finished its share.
            assert not path.exists()
            with monkeypatch.context() as patch:
                work_as(patch, 1)
                with pytest.raises(FileNotFoundError):  # The first worker completes the file.
                    write(path, encoder)

    work_as(monkeypatch, 0, let_the_second_worker_work)
    written = kill_after(monkeypatch, 7)
    np.testing.assert_array_equal(write(path, encoder), expected)
    assert written == [0, 1, 2, 3, 4, 5, 6]


def test_a_worker_that_does_not_see_the_files_of_the_first_raises(tmp_path, encoder, monkeypatch):
    work_as(monkeypatch, 1)
    with pytest.raises(FileNotFoundError, match="that they share. Received: no .*partial"):
        write(tmp_path / "x.npy", encoder)
    assert not list(tmp_path.iterdir())


def test_the_digest_of_a_model_depends_on_weights_and_layers_but_not_on_the_time(tmp_path, encoder):
    paths = [tmp_path / f"{k}.keras" for k in range(4)]
    encoder.save(paths[0])
    with zipfile.ZipFile(paths[0]) as file, zipfile.ZipFile(paths[1], "w") as later:
        for name in file.namelist():
            later.writestr(name, b"{}" if name == "metadata.json" else file.read(name))
    encoder.layers[-1].activation = keras.activations.relu
    encoder.save(paths[2])
    encoder.set_weights([2 * weight for weight in encoder.get_weights()])
    encoder.save(paths[3])
    digests = [model_digest(path) for path in paths]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3
