"""Finds the images that are most similar to given images."""

import csv
import itertools
import os
import pathlib
from collections.abc import Iterable, Sequence

from supcon_tf._checks import check_integer
from supcon_tf._files import make_directory, write_atomically
from supcon_tf.commands.features import load_features
from supcon_tf.commands.gallery import (
    Neighbor,
    find_neighbors,
    gallery_of_folder,
    gallery_of_outputs,
)
from supcon_tf.commands.image_paths import expand_paths
from supcon_tf.commands.markup import Markup, element, plural
from supcon_tf.commands.page import note, page
from supcon_tf.commands.run_outputs import read_outputs, read_settings
from supcon_tf.commands.thumbnails import thumbnail

_MAX_DRAWN = 100  # queries on the page, whose images it contains


def search(
    run_dir: str | os.PathLike[str],
    queries: Iterable[str | os.PathLike[str]],
    gallery: str | os.PathLike[str] | None = None,
    top: int = 10,
    output: str | os.PathLike[str] | None = None,
) -> tuple[pathlib.Path, pathlib.Path]:
    """Writes the most similar images of each query to a csv file, and as pictures to a page.

    The similarity of two images is the cosine of their features, from -1 to 1. A query is not
    compared with itself. Its class is known if it is a training or test image of the run, or if the
    directory that contains it has the name of a class.

    Args:
        run_dir: the directory of a finished `python -m supcon_tf train`.
        queries: image files, directories and patterns.
        gallery: a directory to search in, at any depth. The directories in it name the classes. By
            default the training images are searched.
        top: number of similar images of each query; fewer if the gallery is smaller.
        output: the csv file; `search.csv` in the directory of the run by default. The page has the
            same name with the suffix `.html`.

    Returns:
        The paths of the csv file, with the columns query, rank, path, class and similarity, and of
        the page.

    Raises:
        FileNotFoundError: if the run, an image or the gallery does not exist.
        ValueError: if `top` is not a positive integer, `output` is not a csv file, an image cannot
            be read, or the gallery holds no images besides a query.
    """
    check_integer("top", top)
    directory = pathlib.Path(run_dir)
    table = directory / "search.csv" if output is None else pathlib.Path(output)
    if table.suffix != ".csv":
        raise ValueError(f"`output` must be a csv file. Received: {str(table)!r}")
    settings = read_settings(directory)
    paths = expand_paths(queries)
    make_directory(table.parent)
    features = load_features(directory, settings)
    train, test = (
        gallery_of_outputs(
            read_outputs(directory / f"{images}_outputs.npz", settings), settings["class_names"]
        )
        for images in ("train", "test")
    )
    searched = train if gallery is None else gallery_of_folder(pathlib.Path(gallery), features)
    neighbors = find_neighbors(paths, features(paths), searched, top)

    write_atomically(table, lambda name: _write_table(name, paths, neighbors))
    known = {
        path.resolve(): classes
        for images in (train, test)
        for path, classes in zip(images.paths, images.classes, strict=True)
    }
    classes = [
        known.get(path.resolve(), _class_of_directory(path, settings["class_names"]))
        for path in paths
    ]
    picture = table.with_suffix(".html")
    text = _draw(paths, classes, neighbors)
    write_atomically(picture, lambda name: name.write_text(text, encoding="utf-8"))
    return table, picture


def _class_of_directory(path: pathlib.Path, class_names: Sequence[str]) -> frozenset[str]:
    name = path.resolve().parent.name
    return frozenset([name] if name in class_names else [])


def _write_table(
    name: pathlib.Path, queries: Sequence[pathlib.Path], neighbors: Sequence[Sequence[Neighbor]]
) -> None:
    with name.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["query", "rank", "path", "class", "similarity"])
        for query, found in zip(queries, neighbors, strict=True):
            for rank, (path, classes, similarity) in enumerate(found, start=1):
                writer.writerow([query, rank, path, _names(classes), f"{similarity:.6f}"])


def _draw(
    queries: Sequence[pathlib.Path],
    classes: Sequence[frozenset[str]],
    neighbors: Sequence[Sequence[Neighbor]],
) -> str:
    """Returns a page with a row for each query: the query, then its neighbors."""
    frames = (
        ("right", "the class of the query"),
        ("wrong", "another class"),
        ("unknown", "one of the classes is unknown"),
    )
    return page(
        f"Images most similar to {plural(len(queries), 'query', 'queries')}",
        note(
            "Each row shows a query and the images that are most similar to it, the most similar "
            "first. The number is the cosine similarity of the features, at most 1.",
            f" The page shows the first {_MAX_DRAWN} queries, the csv file has all."
            if len(queries) > _MAX_DRAWN
            else "",
        ),
        element(
            "ul",
            (element("li", element("span", class_=kind), name) for kind, name in frames),
            class_="key frames",
            aria_label="Frames",
        ),
        (
            element(
                "section",
                _figure(query, "query", own, _names(own) or "class unknown"),
                element(
                    "div",
                    (
                        _figure(
                            neighbor.path,
                            _compare(own, neighbor.classes),
                            neighbor.classes,
                            f"{neighbor.similarity:.3f}",
                        )
                        for neighbor in found
                    ),
                    class_="images",
                ),
                class_="neighbors",
            )
            for query, own, found in itertools.islice(
                zip(queries, classes, neighbors, strict=True), _MAX_DRAWN
            )
        ),
    )


def _figure(path: pathlib.Path, kind: str, classes: frozenset[str], below: str) -> Markup:
    name = "query" if kind == "query" else _names(classes) or "class unknown"
    return element(
        "figure",
        thumbnail(path, f"{name}: {path.name}"),
        element("figcaption", element("b", name), element("br"), below),
        class_=kind,
        title=str(path),
    )


def _compare(query: frozenset[str], neighbor: frozenset[str]) -> str:
    if not query or not neighbor:
        return "unknown"
    return "right" if query & neighbor else "wrong"


def _names(classes: frozenset[str]) -> str:
    return "; ".join(sorted(classes))
