import numpy as np
import pytest

from supcon_tf.commands.labeled_files import find_test_set, hold_out, read_labeled_files


def make_files(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def write_csv(root, *lines):
    path = root / "labels.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_directory_per_class(tmp_path):
    make_files(tmp_path, "dog/b.png", "cat/deep/er/a.JPG", "dog/notes.txt", ".hidden/x.png")
    make_files(tmp_path, "scan.tiff", ".DS_Store")
    with pytest.warns(UserWarning, match=r"2 files of .* are skipped \(1 \.tiff, 1 \.txt\)"):
        files = read_labeled_files(tmp_path)
    assert [str(path.relative_to(tmp_path)) for path in files.paths] == [
        "cat/deep/er/a.JPG",
        "dog/b.png",
    ]
    assert files.class_names == ("cat", "dog")
    assert files.targets.tolist() == [0, 1]


@pytest.mark.parametrize("header", [[], ["path,label"], ["\ufefffile,class"]])
def test_csv_with_one_label(tmp_path, header):
    make_files(tmp_path, "images/a.png", "b.png", "c.png")
    path = write_csv(tmp_path, *header, "images/a.png,dog", "b.png,a cat", "", '"c.png",dog')
    files = read_labeled_files(path)
    assert files.paths == tuple(tmp_path / name for name in ("images/a.png", "b.png", "c.png"))
    assert files.class_names == ("a cat", "dog")
    assert files.targets.tolist() == [1, 0, 1]
    assert files.indicators.tolist() == [[0, 1], [1, 0], [0, 1]]


def test_csv_with_several_labels(tmp_path):
    make_files(tmp_path, "a.png", "b.png")
    files = read_labeled_files(write_csv(tmp_path, "a.png,red; round", "b.png,red"))
    assert files.multi_label
    assert files.class_names == ("red", "round")
    assert files.targets.tolist() == [[1, 1], [1, 0]]


def test_a_test_set_has_the_classes_of_the_training_images(tmp_path):
    make_files(tmp_path / "train", "ant/a.png", "bee/b.png", "cat/c.png")
    make_files(tmp_path / "test", "cat/c.png")
    train = read_labeled_files(tmp_path / "train")
    test = read_labeled_files(tmp_path / "test", train)
    assert test.targets.tolist() == [2]
    assert test.class_names == train.class_names
    make_files(tmp_path / "test", "dog/d.png", "cow/c.png")
    with pytest.raises(ValueError, match=r"missing classes .*unknown classes \['cow', 'dog'\]"):
        read_labeled_files(tmp_path / "test", train)
    make_files(tmp_path, "x.png")
    several = write_csv(tmp_path, "x.png,ant;bee")
    with pytest.raises(ValueError, match="must have one label per image"):
        read_labeled_files(several, train)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["a.png", "b.png"], "one directory of images per class. .*Received: 2 images, not in"),
        (["notes.txt"], r"contains images \(.bmp, .*Received: 1 other files \(1 .txt\)"),
        (["cat/a.heic", "dog/a.heic"], r"Received: 2 other files \(2 .heic\)"),
        (["train/a.png", "Test/b.png"], "the directories Test, train, which are the parts"),
        (["Training/cat/a.png", "val/cat/b.png"], "Name the one.*directories Training, val"),
        (["cat/a.png", "dog/a.png", "b.png"], "Received: 1 images beside them, such as b.png"),
        (["cat/a.png", "dog/notes.txt"], r"dog must be .* Add images or remove .*\(1 .txt\)"),
        (["pets/cat/a.png", "pets/dog/a.png"], "two classes.*Received: only the class 'pets'"),
    ],
)
def test_mistakes_in_directories(tmp_path, files, message):
    make_files(tmp_path, *files)
    with pytest.raises(ValueError, match=message):
        read_labeled_files(tmp_path)


@pytest.mark.parametrize(
    ("lines", "error", "message"),
    [
        (["a.png"], ValueError, "Line 1 .* a path, a comma, and a label.*Received: 'a.png'"),
        (["path,label", "a.png;cat"], ValueError, "Line 2 "),
        (["a.png,cat;;dog"], ValueError, "Line 1 "),
        (["a.png,cat,1"], ValueError, "Line 1 "),
        (["a.png,cat", "a.png,dog"], ValueError, "Line 2 .* no other line names"),
        (["a.png,cat", "z.png,dog"], FileNotFoundError, "Line 2 .*Received: z.png, which does"),
        (["image_path,label", "a.png,cat"], FileNotFoundError, "the header must be path,label"),
        (["a.png,cat", "sub,dog"], FileNotFoundError, "Received: sub, which is a directory"),
        (
            ["a.png,cat", r"sub\b.png,dog"],
            FileNotFoundError,
            r"with / .*Received: sub\\b.png, which",
        ),
        (["a.png,cat"], ValueError, "classes, one image in .* Received: only the class 'cat'"),
        ([], ValueError, "Received: no classes"),
    ],
)
def test_mistakes_in_csv_files(tmp_path, lines, error, message):
    make_files(tmp_path, "a.png", "sub/b.png")
    with pytest.raises(error, match=message):
        read_labeled_files(write_csv(tmp_path, *lines))


def test_other_files_are_no_csv(tmp_path):
    (tmp_path / "labels.xls").write_bytes(b"\xff\xfe\0")
    with pytest.raises(
        ValueError, match="or a csv file in UTF-8. Received: a file that is not text"
    ):
        read_labeled_files(tmp_path / "labels.xls")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_labeled_files(tmp_path / "missing")


@pytest.mark.parametrize(
    ("train", "test"),
    [("train", "test"), ("train", "val"), ("train", "validation"), ("Train", "TEST")],
)
def test_train_and_test_inside(tmp_path, train, test):
    make_files(tmp_path, f"{train}/cat/a.png", f"{test}/cat/b.png")
    assert find_test_set(tmp_path, None) == (tmp_path / train, tmp_path / test)
    other = tmp_path / "other"
    assert find_test_set(tmp_path, other) == (tmp_path / train, other)


def test_classes_that_differ_in_case(tmp_path):
    make_files(tmp_path, "cat/a.png", "Cat/b.png", "dog/c.png")
    with pytest.warns(UserWarning, match="differ only in case.*: Cat/cat$"):
        assert read_labeled_files(tmp_path).class_names == ("Cat", "cat", "dog")


def test_a_class_can_be_called_train(tmp_path):
    make_files(tmp_path, "train/a.png", "ship/b.png")
    assert find_test_set(tmp_path, None) == (tmp_path, None)


def test_hold_out_is_stratified(tmp_path):
    counts = {"a": 2, "b": 9, "c": 40}
    make_files(tmp_path, *(f"{name}/{i}.png" for name, n in counts.items() for i in range(n)))
    files = read_labeled_files(tmp_path)
    kept, held_out = hold_out(files, 0.1, seed=0)
    assert sorted([*kept, *held_out]) == list(range(51))
    assert np.bincount(files.targets[held_out]).tolist() == [1, 1, 4]
    np.testing.assert_array_equal(hold_out(files, 0.1, seed=0)[1], held_out)
    assert hold_out(files, 0.1, seed=1)[1].tolist() != held_out.tolist()


def test_hold_out_with_several_labels(tmp_path):
    make_files(tmp_path, *(f"{i}.png" for i in range(40)))
    rows = [f"{i}.png,common;{'rare' if i % 20 == 3 else 'other'}" for i in range(40)]
    files = read_labeled_files(write_csv(tmp_path, *rows))
    kept, held_out = hold_out(files, 0.1, seed=0)
    assert sorted([*kept, *held_out]) == list(range(40))
    assert files.targets[held_out].sum(axis=0).tolist() == [5, 4, 1]
    assert files.targets[kept].sum(axis=0).min() == 1


def test_a_class_with_one_image_cannot_be_held_out(tmp_path):
    make_files(tmp_path, "a/1.png", "b/1.png", "b/2.png")
    with pytest.raises(ValueError, match=r"at least two images.*Received: 1 of class 'a'"):
        hold_out(read_labeled_files(tmp_path), 0.1, seed=0)
