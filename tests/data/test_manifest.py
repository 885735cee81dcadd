import os
import time
from concurrent import futures

import numpy as np
import pytest

from supcon_tf.data import load_folder, manifest


def age(root):
    """Lets an hour pass since the last change of all directories."""
    hour_ago = time.time() - 3600
    for parent, _, _ in os.walk(root):
        os.utime(parent, (hour_ago, hour_ago))


@pytest.fixture
def folder(tmp_path):
    for name in ("cat/a.png", "cat/b.PNG", "cat/ü/1.png", "dog/c.jpg", "fox/d.gif"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    (tmp_path / "photos" / "fox" / os.fsdecode(b"\xe9.png")).write_bytes(b"")
    age(tmp_path / "photos")
    return tmp_path / "photos"


@pytest.fixture
def file(tmp_path):
    (tmp_path / "manifests").mkdir()
    return tmp_path / "manifests" / "photos.manifest"


def load(folder, **arguments):
    return load_folder(folder, verify=False, **arguments)


def assert_same(source, expected):
    np.testing.assert_array_equal(source.records, expected.records)
    np.testing.assert_array_equal(source.labels, expected.labels)
    assert source.class_names == expected.class_names


def test_the_second_call_lists_only_the_root(folder, file, listed):
    expected = load(folder)
    listed.clear()
    assert_same(load(folder, manifest=file), expected)
    assert len(listed) == 5
    contents, status = file.read_bytes(), file.stat()
    listed.clear()
    assert_same(load(folder, manifest=str(file)), expected)
    assert listed == [f"{folder}/"]
    assert file.read_bytes() == contents
    assert file.stat().st_mtime_ns == status.st_mtime_ns
    assert [path.name for path in file.parent.iterdir() if path.name[0] != "."] == [file.name]


def test_changes_are_noticed(folder, file):
    load(folder, manifest=file)
    (folder / "cat" / "new.png").write_bytes(b"")
    (folder / "cow").mkdir()
    (folder / "cow" / "e.bmp").write_bytes(b"")
    (folder / "fox" / "d.gif").unlink()
    (folder / "dog").rename(folder / "wolf")
    source = load(folder, manifest=file)
    assert_same(source, load(folder))
    assert source.class_names == ("cat", "cow", "fox", "wolf")
    age(folder)
    assert_same(load(folder, manifest=file), source)


def test_a_file_that_is_added_in_the_same_step_of_the_clock_is_noticed(folder, file):
    now = time.time_ns()
    os.utime(folder / "cat", ns=(now, now))
    load(folder, manifest=file)
    (folder / "cat" / "new.png").write_bytes(b"")
    os.utime(folder / "cat", ns=(now, now))
    assert_same(load(folder, manifest=file), load(folder))


def test_a_hidden_manifest_in_the_directory_is_not_written_again(folder):
    file = folder / ".manifest"
    expected = load(folder, manifest=file)
    os.utime(file, (0, 0))
    assert_same(load(folder, manifest=file), expected)
    assert file.stat().st_mtime == 0


def test_a_relative_directory_and_a_class_order(folder, file, monkeypatch):
    monkeypatch.chdir(folder)
    names = ["fox", "cat", "dog"]
    load(folder, manifest=file)
    source = load(".", manifest=file, class_names=names)
    assert_same(source, load(".", class_names=names))
    assert source.records[1] == "fox/é.png".encode("latin-1")


@pytest.mark.parametrize("contents", [b"", b"path,label\na.png,0\n", b"PK\x03\x04"])
def test_another_file_is_not_overwritten(folder, file, contents):
    file.write_bytes(contents)
    with pytest.raises(ValueError, match=r"`manifest` must be .* Name another file. Received: "):
        load_folder(folder, manifest=file)
    assert file.read_bytes() == contents


def test_the_manifest_of_another_directory_is_not_overwritten(folder, file):
    load(folder, manifest=file)
    contents = file.read_bytes()
    folder = folder.rename(folder.parent / "moved")
    message = r"that of .*moved\. Name another file, or remove it .*the manifest of .*photos$"
    with pytest.raises(ValueError, match=message):
        load_folder(folder, manifest=file)
    assert file.read_bytes() == contents


def damage(contents, how):
    if how == "truncated":
        return contents[: len(contents) // 2]
    if how == "one byte":
        position = contents.index(b"c.jpg")
        return contents[:position] + b"C" + contents[position + 1 :]
    return contents.replace(b"supcon_tf manifest 1\n", b"supcon_tf manifest 0\n")


@pytest.mark.parametrize("how", ["truncated", "one byte", "another version"])
def test_a_damaged_manifest_is_written_anew(folder, file, how):
    expected = load(folder, manifest=file)
    contents = file.read_bytes()
    file.write_bytes(damage(contents, how))
    with pytest.warns(UserWarning, match=r"is damaged or .* another version.*Received") as warnings:
        assert_same(load_folder(folder, verify=False, manifest=file), expected)
    assert [warning.filename for warning in warnings] == [__file__]
    assert_same(load(folder, manifest=file), expected)
    assert len(file.read_bytes()) == len(contents)


def test_a_manifest_that_cannot_be_created_is_an_error(folder, file, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"existing directory. Received: '.*nowhere/m'"):
        load_folder(folder, manifest=file.parent / "nowhere" / "m")
    monkeypatch.setattr(os, "access", lambda path, mode: path != file.parent)
    with pytest.raises(PermissionError, match="in a directory that is writable.*photos.manifest'"):
        load_folder(folder, manifest=file)


def test_a_manifest_that_cannot_be_written_is_a_warning(folder, file, monkeypatch):
    def write(path, write):
        raise OSError(30, "Read-only file system")

    load(folder, manifest=file)
    (folder / "cat" / "new.png").write_bytes(b"")
    monkeypatch.setattr(manifest, "write_in_turn", write)
    with pytest.warns(UserWarning, match=r"cannot be written.*Received: .*Read-only") as warnings:
        source = load_folder(folder, verify=False, manifest=file)
    assert warnings[0].filename == __file__
    assert_same(source, load(folder))


def test_several_calls_at_once_and_leftovers(folder, file):
    """Threads of one process write to the same temporary path, like containers with one process."""
    (file.parent / f".4711.{file.name}").write_bytes(b"of a killed process")
    (file.parent / f".x.{file.name}").write_bytes(b"another file")
    with futures.ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(manifest.open_manifest, folder, file) for _ in range(16)]
    listings = [call.result().listing for call in calls]
    assert all(each == listings[0] for each in listings)
    assert manifest.open_manifest(folder, file).listing == listings[0]
    assert sorted(os.listdir(file.parent)) in (
        [f".{file.name}.lock", f".x.{file.name}", file.name],
        [f".x.{file.name}", file.name],
    )
