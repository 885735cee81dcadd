import csv
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from finished_run import SIZE, write_image, write_run
from parsed_page import ParsedPage, assert_stands_alone

from supcon_tf.commands.search import search

CLASS_NAMES = ["cat", "dog", '<b>"fox" & co']


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("search")
    write_run(root, CLASS_NAMES)
    return root


def pixel_means(path):
    """The features of the encoder: the means of squares of 4 by 4 pixels."""
    pixels = tf.io.decode_png(path.read_bytes()).numpy() / np.float64(255)
    return pixels.reshape(SIZE // 4, 4, SIZE // 4, 4, 3).mean(axis=(1, 3)).ravel()


def cosine(first, second):
    return first @ second / np.sqrt((first @ first) * (second @ second))


def read_rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_neighbors_are_those_of_a_naive_search(root, tmp_path):
    query = root / "data" / "test" / "dog"
    table, page = search(root / "run", [query], top=4, output=tmp_path / "new" / "found.csv")
    assert (table, page) == (tmp_path / "new" / "found.csv", tmp_path / "new" / "found.html")
    assert sorted(path.name for path in table.parent.iterdir()) == ["found.csv", "found.html"]
    rows = read_rows(table)
    train = sorted((root / "data" / "train").rglob("*.png"))
    expected = []
    for image in sorted(query.iterdir()):
        similarities = [cosine(pixel_means(image), pixel_means(other)) for other in train]
        for rank, place in enumerate(np.argsort(similarities)[::-1][:4], start=1):
            expected.append((image, rank, train[place], similarities[place]))
    assert len(rows) == len(expected) == 24
    for row, (image, rank, found, similarity) in zip(rows, expected, strict=True):
        assert (row["query"], row["rank"], row["path"]) == (str(image), str(rank), str(found))
        assert row["class"] == found.parent.name
        assert float(row["similarity"]) == pytest.approx(similarity, abs=2e-6)
    frames = ParsedPage(page.read_text(encoding="utf-8")).classes("figure")
    right = [row["class"] == "dog" for row in rows]
    assert 0 < sum(right) < 24
    assert frames.count("query") == 6
    assert [kind == "right" for kind in frames if kind != "query"] == right


def test_page_needs_nothing_else_and_is_escaped(root, tmp_path):
    query = root / "data" / "test" / CLASS_NAMES[2] / "13.png"
    _, page = search(root / "run", [query], output=tmp_path / "a.csv")
    text = page.read_text(encoding="utf-8")
    assert '<b>"fox"' not in text
    assert "&lt;b&gt;&quot;fox&quot; &amp; co" in text
    assert assert_stands_alone(text).classes("img") == ["small"] * 11


@pytest.mark.slow
def test_a_training_image_is_not_its_own_neighbor(root, tmp_path):
    query = root / "data" / "train" / "cat" / "0.png"
    table, _ = search(root / "run", [query], top=1000, output=tmp_path / "a.csv")
    found = [row["path"] for row in read_rows(table)]
    assert len(found) == 23 and str(query) not in found


@pytest.mark.slow
def test_directory_as_gallery(root, tmp_path):
    rng = np.random.default_rng(1)
    for name in ("top.png", "bird/wild/1.png", "bird/2.png"):
        write_image(tmp_path / "gallery" / name, np.array([9, 99, 200]), rng)
    write_image(tmp_path / "query.png", np.array([9, 99, 200]), rng)
    table, page = search(
        root / "run",
        [tmp_path / "*.png"],
        gallery=tmp_path / "gallery",
        output=tmp_path / "a.csv",
    )
    rows = read_rows(table)
    assert {pathlib.Path(row["path"]).name: row["class"] for row in rows} == {
        "top.png": "",
        "1.png": "bird",
        "2.png": "bird",
    }
    assert ParsedPage(page.read_text(encoding="utf-8")).classes("figure")[1:] == ["unknown"] * 3


@pytest.mark.slow
def test_several_classes_of_an_image(tmp_path):
    run = write_run(tmp_path, ["cat", "dog"], images_per_class=(3, 2), multi_label=True)
    query = tmp_path / "data" / "test" / "dog" / "3.png"  # a cat as well
    table, page = search(run, [query])
    assert table == run / "search.csv"
    assert {row["class"] for row in read_rows(table)} == {"cat", "dog", "cat; dog"}
    assert ParsedPage(page.read_text(encoding="utf-8")).classes("figure")[1:] == ["right"] * 6


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"queries": []}, ValueError, "At least one image.*Received"),
        ({"queries": ["nothing.png"]}, FileNotFoundError, "nothing.png must be an image"),
        ({"top": 0}, ValueError, "`top` must be an integer of at least 1. Received: 0"),
        ({"output": "a.html"}, ValueError, "`output` must be a csv file. Received: 'a.html'"),
        ({"gallery": "nothing"}, FileNotFoundError, "`gallery` must be an existing directory"),
        (
            {"gallery": "run"},
            ValueError,
            r"run must be a directory that contains images .*7 other files \(2 .csv, 2",
        ),
        pytest.param(
            {"gallery": "alone"},
            ValueError,
            "must hold images besides .*Received: 1 images",
            marks=pytest.mark.slow,
        ),
        ({"queries": ["damaged.png"]}, ValueError, "damaged.png cannot be read as an image"),
        ({"run_dir": "data"}, FileNotFoundError, "finished `python -m supcon_tf train`.*settings"),
    ],
)
def test_mistakes_are_named_before_anything_is_written(root, monkeypatch, options, error, message):
    monkeypatch.chdir(root)
    pathlib.Path("damaged.png").write_bytes(b"no image")
    write_image(pathlib.Path("alone/1.png"), np.zeros(3), np.random.default_rng(0))
    before = sorted(root.rglob("*"))
    with pytest.raises(error, match=message):
        search(**{"run_dir": "run", "queries": ["alone/1.png"], **options})
    assert sorted(root.rglob("*")) == before
