import os
import time

import numpy as np
import pytest
import tensorflow as tf

from supcon_tf.data import load_folder, verification, verify_images


def write_png(path, value, age=3600):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(tf.io.encode_png(np.full([2, 2, 3], value, np.uint8)).numpy())
    modified = time.time() - age
    os.utime(path, (modified, modified))


@pytest.fixture
def folder(tmp_path):
    for index, name in enumerate(["cat/a.png", "cat/deep/b.png", "cat/é.png", "dog/c.png"]):
        write_png(tmp_path / "photos" / name, index)
    return tmp_path / "photos"


@pytest.fixture
def file(tmp_path):
    return tmp_path / "photos.manifest"


@pytest.fixture
def decoded(monkeypatch):
    """The names of the files that were decoded."""
    names = []
    find_damage = verification.find_damage

    def spy(path):
        names.append(os.path.basename(path))
        return find_damage(path)

    monkeypatch.setattr(verification, "find_damage", spy)
    return names


def test_all_damaged_images_are_returned(folder):
    (folder / "dog" / "b.png").write_bytes(b"")
    (folder / "cat" / "deep" / "c.jpg").write_bytes((folder / "dog" / "c.png").read_bytes()[:40])
    (folder / "cat" / "z.PNG").symlink_to(folder / "nowhere")
    (folder / "beside.gif").write_bytes(b"text")
    (folder / "dog" / "notes.txt").write_bytes(b"text")
    damaged = verify_images(folder)
    names = ["beside.gif", "cat/deep/c.jpg", "cat/z.PNG", "dog/b.png"]
    assert list(damaged) == [str(folder / name) for name in names]
    assert "nowhere" not in damaged[str(folder / "dog/b.png")]
    assert "No such file" in damaged[str(folder / "cat/z.PNG")]
    assert not any("{{" in reason or "[Op:" in reason for reason in damaged.values())


def test_only_new_changed_and_damaged_images_are_decoded_again(folder, file, decoded):
    (folder / "dog" / "d.png").write_bytes(b"text")
    assert list(verify_images(folder, manifest=file)) == [str(folder / "dog" / "d.png")]
    assert sorted(decoded) == ["a.png", "b.png", "c.png", "d.png", "é.png"]
    decoded.clear()
    write_png(folder / "dog" / "d.png", 4)
    write_png(folder / "dog" / "e.png", 5)
    write_png(folder / "cat" / "a.png", 6, age=1800)  # another time
    write_png(folder / "cat" / "é.png", 7, age=-1)  # recently
    assert verify_images(folder, manifest=file) == {}
    assert sorted(decoded) == ["a.png", "d.png", "e.png", "é.png"]
    decoded.clear()
    (folder / "cat" / "a.png").rename(folder / "cat" / "f.png")
    assert verify_images(folder, manifest=file) == {}
    assert sorted(decoded) == ["f.png", "é.png"]


def test_another_size_is_a_change(folder, file, decoded):
    path = folder / "cat" / "a.png"
    times = os.stat(path)
    verify_images(folder, manifest=file)
    path.write_bytes(path.read_bytes()[:-1])
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    decoded.clear()
    verify_images(folder, manifest=file)
    assert decoded == ["a.png"]


def test_an_interrupted_call_is_continued(folder, file, decoded, monkeypatch):
    def interrupt(done, total):
        calls.append((done, total))
        if done == 3:
            raise KeyboardInterrupt

    calls = []
    monkeypatch.setattr("supcon_tf.data.threads._ITEMS_AT_A_TIME", 1)
    with pytest.raises(KeyboardInterrupt):
        verify_images(folder, manifest=file, progress=interrupt)
    assert calls == [(0, 4), (1, 4), (2, 4), (3, 4)]
    assert len(decoded) == 3
    calls.clear()
    verify_images(folder, manifest=file, progress=lambda *call: calls.append(call))
    assert calls == [(3, 4), (4, 4)]
    assert len(decoded) == len(set(decoded)) == 4


def test_the_manifest_is_written_meanwhile(folder, file, decoded, monkeypatch):
    """A process that is killed has no time to write."""

    def copy(done, total):
        if done == 3:
            file.with_name("killed").write_bytes(file.read_bytes())

    monkeypatch.setattr(verification, "_SECONDS_BETWEEN_WRITES", -1)
    verify_images(folder, manifest=file, progress=copy)
    file.with_name("killed").rename(file)
    decoded.clear()
    verify_images(folder, manifest=file)
    assert sorted(decoded) == ["b.png", "c.png"]  # the last two of the four


def test_load_folder_remembers_verified_images(folder, file, decoded):
    write_png(folder / "beside.png", 1)
    (folder / "cat" / "x.png").write_bytes(b"text")
    (folder / "dog" / "x.png").write_bytes(b"text")
    message = r"^.*/cat/x\.png cannot be read .*Received: .*, and 1 more damaged images$"
    for _ in range(2):
        with pytest.raises(ValueError, match=message), pytest.warns(UserWarning, match="skipped"):
            load_folder(folder, manifest=file)
    assert sorted(decoded) == sorted(["a.png", "b.png", "c.png", "é.png"] + 4 * ["x.png"])
    for name in ("cat", "dog"):
        (folder / name / "x.png").unlink()
    (folder / "beside.png").unlink()
    decoded.clear()
    assert len(load_folder(folder, manifest=file)) == 4
    assert verify_images(folder, manifest=file) == {}
    assert not decoded


def test_nothing_is_written_without_a_manifest(folder, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    verify_images(folder)
    assert sorted(tmp_path.rglob("*")) == before


def test_missing_directory(tmp_path):
    with pytest.raises(FileNotFoundError, match="`directory` must be .*Received: .*nowhere"):
        verify_images(tmp_path / "nowhere")
