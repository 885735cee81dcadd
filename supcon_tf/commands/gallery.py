"""Images to search in, and the search for those that are similar to others."""

import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from numpy.typing import NDArray

from supcon_tf.commands.features import FeatureFunction
from supcon_tf.commands.run_outputs import Outputs
from supcon_tf.data.folder import describe_missing, find_images
from supcon_tf.evaluation.nearest import nearest_neighbors


class Gallery(NamedTuple):
    """Images to search in.

    Attributes:
        paths: `[images]` files.
        classes: `[images]` names of the classes of each image; empty if unknown.
        features: `[images, dim]`.
    """

    paths: Sequence[pathlib.Path]
    classes: Sequence[frozenset[str]]
    features: NDArray[Any]


class Neighbor(NamedTuple):
    """An image that is similar to a query.

    Attributes:
        path: its file.
        classes: the names of its classes; empty if unknown.
        similarity: cosine similarity of the features, from -1 to 1.
    """

    path: pathlib.Path
    classes: frozenset[str]
    similarity: float


def gallery_of_outputs(outputs: Outputs, class_names: Sequence[str]) -> Gallery:
    """Returns the images whose features a run has stored."""
    classes = [outputs.classes_of(image, class_names) for image in range(len(outputs.paths))]
    return Gallery(outputs.paths, classes, outputs.representations)


def gallery_of_folder(directory: pathlib.Path, features: FeatureFunction) -> Gallery:
    """Returns the images in a directory. The directories in it name the classes.

    Raises:
        FileNotFoundError: if the directory does not exist.
        ValueError: if it holds no images, or an image cannot be read.
    """
    if not directory.is_dir():
        raise FileNotFoundError(
            f"`gallery` must be an existing directory. Received: {str(directory)!r}"
        )
    paths, others = find_images(directory)
    if not paths:
        raise ValueError(describe_missing(directory, others))
    places = [path.relative_to(directory).parts for path in paths]
    return Gallery(paths, [frozenset(parts[:-1][:1]) for parts in places], features(paths))


def find_neighbors(
    queries: Sequence[pathlib.Path], features: NDArray[Any], gallery: Gallery, top: int
) -> list[list[Neighbor]]:
    """Finds the most similar images of each query, the most similar first.

    Args:
        queries: `[queries]` files. A query is not its own neighbor.
        features: `[queries, dim]`.
        gallery: the images to search in.
        top: number of neighbors.

    Raises:
        ValueError: if the gallery holds no images besides a query.
    """
    resolved = [path.resolve() for path in gallery.paths]
    # One more than needed, because a query can find itself.
    blocks = nearest_neighbors(features, gallery.features, min(top + 1, len(resolved)))
    rows = (row for block in blocks for row in zip(*(part.tolist() for part in block), strict=True))
    found = []
    for query, (similarities, images) in zip(queries, rows, strict=True):
        own = query.resolve()
        neighbors = [
            Neighbor(gallery.paths[image], gallery.classes[image], similarity)
            for similarity, image in zip(similarities, images, strict=True)
            if resolved[image] != own
        ]
        if not neighbors:
            raise ValueError(
                f"The gallery must hold images besides {query}. Received: {len(resolved)} images"
            )
        found.append(neighbors[:top])
    return found
