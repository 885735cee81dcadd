r"""Writes the embeddings of images to a .npz file.

    python -m experiments.embed --encoder=runs/digits_small/encoder.keras --dataset=digits \
        --output=embeddings.npz
    python -m experiments.embed --encoder=encoder.keras --images=DIRECTORY --output=embeddings.npz

The file holds `embeddings` [images, dim] float32; for a data set also `labels` [images] and
`class_names` [classes], for a directory `paths` [images], relative to it.
"""

import pathlib

from absl import app, flags, logging

_ENCODER = flags.DEFINE_string("encoder", None, "A .keras file that experiments.pretrain wrote.")
_IMAGES = flags.DEFINE_string(
    "images", None, "A directory of files that TensorFlow reads as images, at any depth."
)
_DATASET = flags.DEFINE_string(
    "dataset",
    None,
    "A data set by its name, see experiments/lib/datasets.py, not a directory.",
)
_DATA_DIR = flags.DEFINE_string("data_dir", "", "Where the data set is.")
_SPLIT = flags.DEFINE_enum("split", "test", ["train", "test"], "Which part of the data set.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 256, "Images at the same time.", lower_bound=1)
_OUTPUT = flags.DEFINE_string("output", None, "The .npz file to write.")
flags.mark_flags_as_required(["encoder", "output"])
flags.register_multi_flags_validator(
    ["images", "dataset"],
    lambda values: (values["images"] is None) != (values["dataset"] is None),
    "Give either --images or --dataset.",
)


def main(argv: list[str]) -> None:
    """Embeds and writes."""
    if len(argv) > 1:
        raise app.UsageError(f"Flags only. Received: {argv[1:]}")
    logging.set_verbosity(logging.WARNING)
    output = pathlib.Path(_OUTPUT.value)
    if output.suffix != ".npz":
        raise ValueError(f"`output` must end in .npz. Received: {str(output)!r}")
    if not pathlib.Path(_ENCODER.value).is_file():
        raise FileNotFoundError(f"`encoder` must exist. Received: {_ENCODER.value!r}")

    import numpy as np

    from experiments.lib import datasets, representations, saved_models
    from experiments.lib.files import write_atomically

    encoder = saved_models.load(_ENCODER.value)
    if _DATASET.value is not None:
        source = datasets.load(_DATASET.value, _DATA_DIR.value, _SPLIT.value)
        about = {"labels": source.labels, "class_names": np.array(source.class_names)}
    else:
        source, paths = unlabeled_images(
            pathlib.Path(_IMAGES.value), channels=encoder.input_shape[-1]
        )
        about = {"paths": np.array(paths)}
    embeddings = representations.of_images(encoder, source, _BATCH_SIZE.value)
    output.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(output, lambda name: np.savez(name, embeddings=embeddings, **about))
    print(f"{output}: {embeddings.shape[0]} embeddings of {embeddings.shape[1]} numbers")


def unlabeled_images(directory: pathlib.Path, channels: int):
    """Lists the images of a directory, and prints how many other files there are.

    Args:
        directory: where they are, at any depth; hidden files and directories are left out.
        channels: what they are decoded to.

    Returns:
        The images, all without a label, and their paths relative to the directory.

    Raises:
        FileNotFoundError: if there are none.
        ValueError: if one cannot be read.
    """
    import numpy as np
    import tensorflow as tf

    from supcon_tf.data import IMAGE_SUFFIXES, EncodedImages
    from supcon_tf.data.folder import check_readable, describe_skipped, find_images

    paths, others = find_images(directory)
    if not paths:
        raise FileNotFoundError(
            f"`images` must be a directory of images ({', '.join(sorted(IMAGE_SUFFIXES))}). "
            f"Received: {str(directory)!r} with {len(others)} other files"
        )
    if others:
        print(describe_skipped(others, directory))
    check_readable(paths, channels)
    source = EncodedImages(
        [str(path) for path in paths],
        np.full(len(paths), -1),
        (),
        read=tf.io.read_file,
        channels=channels,
    )
    return source, [str(path.relative_to(directory)) for path in paths]


if __name__ == "__main__":
    app.run(main)
