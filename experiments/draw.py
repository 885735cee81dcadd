r"""Draws the representations of the test images of a data set.

    python -m experiments.draw --encoder=SupCon=runs/a/encoder.keras \
        --encoder=cross-entropy=runs/b/classifier.keras --dataset=digits --output_dir=pictures

Each FILE is an encoder, or a classifier whose encoder computes the representations. The script
writes embedding_maps, similarity_histograms, nearest_neighbors and, for classifiers,
reliability_diagrams, each as PNG and as SVG.
"""

import pathlib

from absl import flags

from experiments.lib.command_line import check_arguments, run
from experiments.lib.name_value_flags import parse_files

_ENCODERS = flags.DEFINE_multi_string(
    "encoder",
    None,
    "NAME=FILE: a name for the pictures, and a .keras file that experiments.pretrain, "
    "experiments.linear_eval or experiments.cross_entropy wrote; repeatable.",
)
_DATASET = flags.DEFINE_string(
    "dataset", None, "The name of a data set (experiments/lib/datasets.py)."
)
_DATA_DIR = flags.DEFINE_string("data_dir", "", "The directory of the data set.")
_SHORT_SIDE = flags.DEFINE_integer(
    "short_side",
    None,
    "The length in pixels to which the short side of an image is resized before its central square "
    "is cropped; the input size of the encoder by default. The recipes for ImageNet use 256.",
    lower_bound=1,
)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 256, "Images in a batch.", lower_bound=1)
_MAP = flags.DEFINE_enum(
    "map", "t-SNE", ["t-SNE", "PCA"], "The projection to two dimensions in the embedding maps."
)
_POINTS = flags.DEFINE_integer(
    "points", 2000, "The maximum number of images in maps and histograms.", lower_bound=4
)
_QUERIES = flags.DEFINE_integer(
    "queries",
    5,
    "Number of images whose nearest neighbors are drawn, each from a different class.",
    lower_bound=1,
)
_K = flags.DEFINE_integer(
    "k", 5, "Number of nearest neighbors to draw for each of these images.", lower_bound=1
)
_OUTPUT_DIR = flags.DEFINE_string("output_dir", None, "The directory for the pictures.")
flags.mark_flags_as_required(["encoder", "dataset", "output_dir"])

_THUMBNAIL_SIZE = 96  # The maximum side of a drawn image in pixels.


def main(argv: list[str]) -> None:
    """Computes the representations and draws them."""
    check_arguments(argv)
    files = parse_files("encoder", _ENCODERS.value)

    import numpy as np
    import tensorflow as tf

    import supcon_tf
    from experiments import pictures
    from experiments.lib import datasets
    from experiments.pictures.sample import sample
    from supcon_tf.commands.representations import compute_representations
    from supcon_tf.commands.saved_models import check_classes, load_model

    test = datasets.load(_DATASET.value, _DATA_DIR.value, "test")
    representations, probabilities, size = {}, {}, _THUMBNAIL_SIZE
    for name, path in files.items():
        print(f"encoding {len(test)} images with {path}", flush=True)
        model = load_model(path)
        encoder = getattr(model, "encoder", model)
        representations[name] = compute_representations(
            encoder, test, _BATCH_SIZE.value, short_side=_SHORT_SIDE.value
        )
        size = min(size, encoder.input_shape[1])
        if isinstance(model, supcon_tf.CrossEntropyModel):
            check_classes(path, model, test.class_names)
            batches = supcon_tf.data.evaluation_batches(
                test,
                size=encoder.input_shape[1],
                short_side=_SHORT_SIDE.value,
                batch_size=_BATCH_SIZE.value,
            )
            logits = model.predict(batches, verbose=0)
            probabilities[name] = tf.nn.softmax(logits).numpy()

    def read(positions: np.ndarray) -> np.ndarray:
        batches = supcon_tf.data.evaluation_batches(
            test.take(positions), size=size, batch_size=_BATCH_SIZE.value
        )
        return np.concatenate([images for images, _ in batches.as_numpy_iterator()])

    output_dir = pathlib.Path(_OUTPUT_DIR.value)
    output_dir.mkdir(parents=True, exist_ok=True)
    print(f"drawing to {output_dir}/", flush=True)
    pictures.embedding_maps(
        output_dir / "embedding_maps.png",
        representations,
        test.labels,
        test.class_names,
        points=_POINTS.value,
        projection=_MAP.value,
    )
    pictures.similarity_histograms(
        output_dir / "similarity_histograms.png",
        representations,
        test.labels,
        points=_POINTS.value,
    )
    # The first image of a class: the choice does not depend on the neighbors.
    _, first_of_class = np.unique(test.labels, return_index=True)
    pictures.nearest_neighbors(
        output_dir / "nearest_neighbors.png",
        representations,
        test.labels,
        test.class_names,
        read,
        queries=first_of_class[sample(len(first_of_class), _QUERIES.value)],
        k=_K.value,
    )
    if probabilities:
        pictures.reliability_diagrams(
            output_dir / "reliability_diagrams.png", probabilities, test.labels
        )


if __name__ == "__main__":
    run(main)
