r"""Draws what encoders make of the images of a data set.

    python -m experiments.draw --encoder=SupCon=runs/a/encoder.keras \
        --encoder=cross-entropy=runs/b/classifier.keras --dataset=digits --output_dir=pictures

Each NAME=FILE is an encoder or a classifier, whose encoder is drawn. Written are, as PNG and as
SVG, embedding_maps, similarity_histograms and nearest_neighbors of the test images, with
classifiers also reliability_diagrams.
"""

import pathlib

from absl import app, flags, logging

from experiments.lib import name_value_flags

_ENCODERS = flags.DEFINE_multi_string(
    "encoder",
    None,
    "NAME=FILE, repeatable: a .keras file that experiments.pretrain, experiments.linear_eval or "
    "experiments.cross_entropy wrote, and what it is called in the pictures.",
)
_DATASET = flags.DEFINE_string(
    "dataset", None, "A data set by its name, see experiments/lib/datasets.py."
)
_DATA_DIR = flags.DEFINE_string("data_dir", "", "Where the data set is.")
_SHORT_SIDE = flags.DEFINE_integer(
    "short_side",
    None,
    "What an image's short side is resized to before its central square is cut out; the encoder's "
    "size by default. The recipes for ImageNet say 256.",
    lower_bound=1,
)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 256, "Images at the same time.", lower_bound=1)
_MAP = flags.DEFINE_enum("map", "t-SNE", ["t-SNE", "PCA"], "How maps are made.")
_POINTS = flags.DEFINE_integer(
    "points", 2000, "Images in maps and histograms at most.", lower_bound=4
)
_QUERIES = flags.DEFINE_integer(
    "queries", 5, "Images to draw the neighbors of, at most one of a class.", lower_bound=1
)
_K = flags.DEFINE_integer("k", 5, "Neighbors of each.", lower_bound=1)
_OUTPUT_DIR = flags.DEFINE_string("output_dir", None, "Where the pictures go.")
flags.mark_flags_as_required(["encoder", "dataset", "output_dir"])

_THUMBNAIL = 96  # pixels: images are not shown larger than this


def main(argv: list[str]) -> None:
    """Embeds and draws."""
    if len(argv) > 1:
        raise app.UsageError(f"Flags only. Received: {argv[1:]}")
    logging.set_verbosity(logging.WARNING)
    files = name_value_flags.parse("encoder", _ENCODERS.value)

    import numpy as np
    import tensorflow as tf

    import supcon_tf
    from experiments import pictures
    from experiments.lib import datasets, representations, saved_models
    from experiments.pictures.sample import sample

    test = datasets.load(_DATASET.value, _DATA_DIR.value, "test")
    features, probabilities, size = {}, {}, _THUMBNAIL
    for name, path in files.items():
        print(f"embedding {len(test)} images with {path}", flush=True)
        model = saved_models.load(path)
        encoder = getattr(model, "encoder", model)
        arguments = (test, _BATCH_SIZE.value)
        features[name] = representations.of_images(
            encoder, *arguments, short_side=_SHORT_SIDE.value
        )
        size = min(size, encoder.input_shape[1])
        if isinstance(model, supcon_tf.CrossEntropyModel):
            batches = supcon_tf.data.image_batches(
                test,
                size=encoder.input_shape[1],
                short_side=_SHORT_SIDE.value,
                batch_size=_BATCH_SIZE.value,
            )
            logits = model.predict(batches, verbose=0)
            probabilities[name] = tf.nn.softmax(logits).numpy()

    def read(positions: np.ndarray) -> np.ndarray:
        batches = supcon_tf.data.image_batches(
            test.take(positions), size=size, batch_size=_BATCH_SIZE.value
        )
        return np.concatenate([images for images, _ in batches.as_numpy_iterator()])

    output_dir = pathlib.Path(_OUTPUT_DIR.value)
    output_dir.mkdir(parents=True, exist_ok=True)
    print(f"drawing to {output_dir}/", flush=True)
    pictures.embedding_maps(
        output_dir / "embedding_maps.png",
        features,
        test.labels,
        test.class_names,
        points=_POINTS.value,
        projection=_MAP.value,
    )
    pictures.similarity_histograms(
        output_dir / "similarity_histograms.png", features, test.labels, points=_POINTS.value
    )
    # The first image of some of the classes: not chosen by what the neighbors look like.
    _, first_of_class = np.unique(test.labels, return_index=True)
    pictures.nearest_neighbors(
        output_dir / "nearest_neighbors.png",
        features,
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
    app.run(main)
