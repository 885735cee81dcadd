"""Writes representations for the projector of TensorBoard."""

import pathlib

import numpy as np

from experiments.lib.files import write_atomically

_CONFIG = """embeddings {
  tensor_name: "representations"
  tensor_path: "vectors.tsv"
  metadata_path: "metadata.tsv"
}
"""


def write_projector(
    directory: pathlib.Path,
    representations: np.ndarray,
    labels: np.ndarray,
    class_names: tuple[str, ...],
) -> None:
    """Writes representations and class names.

    Args:
        directory: the log directory of TensorBoard.
        representations: `[images, dim]`.
        labels: `[images]` class ids.
        class_names: one name per class.
    """
    directory.mkdir(parents=True, exist_ok=True)
    files = {
        "vectors.tsv": "".join(
            "\t".join(f"{x:.6g}" for x in row) + "\n" for row in representations
        ),
        "metadata.tsv": "".join(f"{class_names[label]}\n" for label in labels),
        "projector_config.pbtxt": _CONFIG,
    }
    for name, text in files.items():
        write_atomically(directory / name, lambda path, text=text: path.write_text(text))
