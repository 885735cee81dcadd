import os
import pathlib
import time

import pytest

from supcon_tf.data.folder import find_images
from supcon_tf.data.listing import files_below, list_directories

# Names whose order differs between strings and paths: "-" and "." come before "/".
FILES = [
    *("a.png", "b/2.PNG", "b/10.png", "b-c/x.png", "b.png", "b/c/d/y.png", "é/ü.png", "name"),
    *("a.b/1.png", ".hidden/x.png", "b/.hidden.png", "two..png", "dot.", "B/z.txt"),
]


@pytest.fixture
def folder(tmp_path):
    for name in FILES:
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return tmp_path / "root"


def walk(root):
    """Returns the sorted paths of all visible files."""
    paths = []
    for parent, directories, names in os.walk(root, followlinks=True):
        directories[:] = [name for name in directories if name[0] != "."]
        paths += [pathlib.Path(parent, name) for name in names if name[0] != "."]
    return [str(path.relative_to(root)) for path in sorted(paths)]


def age(root):
    """Lets an hour pass since the last change of all directories."""
    hour_ago = time.time() - 3600
    for parent, _, _ in os.walk(root):
        os.utime(parent, (hour_ago, hour_ago))


def test_the_order_is_that_of_paths(folder):
    found = files_below(list_directories(str(folder)), "")
    assert found == walk(folder)
    assert len(found) == len(FILES) - 2
    assert files_below(list_directories(str(folder)), "b") == ["b/10.png", "b/2.PNG", "b/c/d/y.png"]


def test_images_and_other_files_are_paths(folder, monkeypatch):
    monkeypatch.chdir(folder)
    expected = [pathlib.Path(path) for path in walk(folder)]
    images, others = find_images(pathlib.Path("."))
    assert images == [path for path in expected if path.suffix.lower() == ".png"]
    assert [str(path) for path in others] == ["B/z.txt", "dot.", "name"]
    assert find_images(folder / "nowhere") == ([], []) == find_images(folder / "name")


def test_links_to_directories_are_followed(folder):
    (folder / "linked").symlink_to(folder / "b")
    (folder / "b" / "file.png").symlink_to(folder / "a.png")
    (folder / "b" / "broken.png").symlink_to(folder / "nowhere")
    (folder / "b" / "itself").symlink_to(folder / "b" / "itself")
    assert files_below(list_directories(str(folder)), "") == walk(folder)


def test_cycles_of_links_end(folder):
    """`os.walk` follows one such link forty times, and practically never ends with several."""
    expected = walk(folder)
    (folder / "b" / "c" / "up").symlink_to(folder)
    (folder / "b" / "c" / "again").symlink_to(folder / "b")
    (folder / "here").symlink_to(".")
    assert files_below(list_directories(str(folder)), "") == expected


def test_only_changed_directories_are_listed_again(folder, listed):
    age(folder)
    first = list_directories(str(folder))
    assert len(listed) == len(first) == 8
    listed.clear()
    assert list_directories(str(folder), first) == first
    assert not listed

    (folder / "b" / "new.png").write_bytes(b"")  # an entry more
    (folder / "B" / "z.txt").unlink()  # an entry less
    (folder / "é" / "ü.png").rename(folder / "é" / "v.png")
    os.makedirs(folder / "b-c" / "deeper" / "still")
    (folder / "b-c" / "deeper" / "still" / "1.png").write_bytes(b"")
    second = list_directories(str(folder), first)
    changed = ["b", "B", "b-c", "b-c/deeper", "b-c/deeper/still", "é"]
    assert sorted(os.path.relpath(path, folder) for path in listed) == sorted(changed)
    assert files_below(second, "") == walk(folder)


def test_a_vanished_directory_is_noticed(folder):
    age(folder)
    first = list_directories(str(folder))
    (folder / "b" / "c" / "d" / "y.png").unlink()
    (folder / "b" / "c" / "d").rmdir()
    second = list_directories(str(folder), first)
    assert "b/c/d" in first
    assert "b/c/d" not in second
    assert files_below(second, "") == walk(folder)


def test_a_directory_whose_modification_time_was_set_back_is_listed_again(folder):
    age(folder)
    first = list_directories(str(folder))
    times = os.stat(folder / "b")
    (folder / "b" / "new.png").write_bytes(b"")
    os.utime(folder / "b", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert "b/new.png" in files_below(list_directories(str(folder), first), "")


@pytest.mark.parametrize("seconds", [-1, 0, 3600])
def test_a_recent_directory_is_listed_again(folder, listed, seconds):
    """A file that is added in the same step of the clock does not change the time."""
    age(folder)
    modified = time.time() + seconds
    os.utime(folder / "b", (modified, modified))
    first = list_directories(str(folder))
    listed.clear()
    list_directories(str(folder), first)
    assert listed == [str(folder / "b")]


def test_what_appears_behind_a_link_is_noticed(folder, tmp_path):
    (folder / "b" / "disk").symlink_to(tmp_path / "disk")
    age(folder)
    first = list_directories(str(folder))
    assert "b/disk" in files_below(first, "")
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "1.png").write_bytes(b"")
    age(tmp_path / "disk")
    second = list_directories(str(folder), first)
    assert files_below(second, "") == walk(folder)
    assert "b/disk/1.png" in files_below(second, "")
    (tmp_path / "disk" / "1.png").unlink()
    (tmp_path / "disk").rmdir()
    assert list_directories(str(folder), second) == first


def test_an_unreadable_directory_is_an_error(folder, monkeypatch):
    def scan(path):
        if path.endswith("b/c"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", scan)
    with pytest.raises(PermissionError, match=r"/b/c must be a .* read.*Received: .*denied"):
        list_directories(str(folder))
