r"""Writes the representations of images to a .npz file.

    python -m experiments.embed --encoder=runs/digits_small/encoder.keras --dataset=digits \
        --output=embeddings.npz
    python -m experiments.embed --encoder=encoder.keras --images=DIRECTORY --output=embeddings.npz

The file contains `embeddings` [images, dim] float32. For a data set it also contains `labels`
[images] and `class_names` [classes]. For a directory, it also contains `paths` [images], relative
to the directory.
"""

import pathlib

from absl import flags

from experiments.lib.command_line import check_arguments, run

_ENCODER = flags.DEFINE_string(
    "encoder", None, "The .keras file of an encoder, as experiments.pretrain writes it."
)
_IMAGES = flags.DEFINE_string(
    "images",
    None,
    "A directory of images in formats that TensorFlow can read. It is searched at any depth.",
)
_DATASET = flags.DEFINE_string(
    "dataset",
    None,
    "The name of a data set (experiments/lib/datasets.py), instead of --images.",
)
_DATA_DIR = flags.DEFINE_string("data_dir", "", "The directory of the data set.")
_SPLIT = flags.DEFINE_enum("split", "test", ["train", "test"], "The split of the data set.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 256, "Images in a batch.", lower_bound=1)
_OUTPUT = flags.DEFINE_string("output", None, "The .npz file to write.")
flags.mark_flags_as_required(["encoder", "output"])
flags.register_multi_flags_validator(
    ["images", "dataset"],
    lambda values: (values["images"] is None) != (values["dataset"] is None),
    "Set either --images or --dataset.",
)


def main(argv: list[str]) -> None:
    """Computes and writes the representations."""
    check_arguments(argv)
    output = pathlib.Path(_OUTPUT.value)
    if output.suffix != ".npz":
        raise ValueError(f"`--output` must end in .npz. Received: {str(output)!r}")
    if not pathlib.Path(_ENCODER.value).is_file():
        raise FileNotFoundError(
            f"`--encoder` must be an existing file. Received: {_ENCODER.value!r}"
        )

    import numpy as np

    from experiments.lib import datasets
    from experiments.lib.files import write_atomically
    from supcon_tf._files import make_directory
    from supcon_tf.commands.representations import compute_representations
    from supcon_tf.commands.saved_models import load_model

    make_directory(output.parent)
    encoder = load_model(_ENCODER.value)
    if _DATASET.value is not None:
        source = datasets.load(_DATASET.value, _DATA_DIR.value, _SPLIT.value)
        metadata = {"labels": source.labels, "class_names": np.array(source.class_names)}
    else:
        source, paths = find_unlabeled_images(
            pathlib.Path(_IMAGES.value), channels=encoder.input_shape[-1]
        )
        metadata = {"paths": np.array(paths)}
    embeddings = compute_representations(encoder, source, _BATCH_SIZE.value)
    write_atomically(output, lambda name: np.savez(name, embeddings=embeddings, **metadata))
    print(f"{output}: {embeddings.shape[0]} embeddings of {embeddings.shape[1]} numbers")


def find_unlabeled_images(directory: pathlib.Path, channels: int):
    """Finds the images in a directory, and prints how many other files it contains.

    Args:
        directory: the directory, searched at any depth. Hidden files and directories are ignored.
        channels: number of channels of the decoded images.

    Returns:
        The images, without labels, and their paths relative to the directory.

    Raises:
        FileNotFoundError: if the directory contains no images.
        ValueError: if an image cannot be read.
    """
    import numpy as np
    import tensorflow as tf

    from supcon_tf.data import EncodedImages
    from supcon_tf.data.folder import (
        check_readable,
        describe_missing,
        describe_skipped,
        find_images,
    )

    paths, others = find_images(directory)
    if not paths:
        raise FileNotFoundError(describe_missing(directory, others))
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
    run(main)
