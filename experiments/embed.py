r"""Writes the representations of images to a .npy file, also of more images than fit in memory.

    python -m experiments.embed --encoder=runs/digits_small/encoder.keras --dataset=digits \
        --output=embeddings.npy
    python -m experiments.embed --encoder=encoder.keras --images=DIRECTORY --output=embeddings.npy

embeddings.npy contains the representations [images, dim] float32. `np.load` with `mmap_mode="r"`
reads it in parts. embeddings_images.npz describes the images: for a data set it contains `labels`
[images] and `class_names` [classes], for a directory `paths` [images], relative to the directory.

While representations are missing, they are in the directory embeddings.npy.partial. The same
command continues after an interruption. With --strategy=multi_worker, each worker encodes its share
of the images.
"""

import pathlib

from absl import flags

from experiments.lib import strategy_flags
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
_BATCH_SIZE = flags.DEFINE_integer(
    "batch_size", 256, "Images in a batch, on each device.", lower_bound=1
)
_OUTPUT = flags.DEFINE_string("output", None, "The .npy file to write.")
flags.adopt_module_key_flags(strategy_flags)
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
    if output.suffix != ".npy":
        raise ValueError(f"`--output` must end in .npy. Received: {str(output)!r}")
    if not pathlib.Path(_ENCODER.value).is_file():
        raise FileNotFoundError(
            f"`--encoder` must be an existing file. Received: {_ENCODER.value!r}"
        )

    strategy = strategy_flags.create_strategy()

    import numpy as np

    from experiments.lib import datasets
    from supcon_tf._files import make_directory
    from supcon_tf.commands.representation_file import (
        description_path,
        is_started,
        write_representations,
    )
    from supcon_tf.commands.saved_models import load_encoder, model_digest
    from supcon_tf.distribution import is_chief
    from supcon_tf.distribution.strategies import local_strategy

    make_directory(output.parent)
    with local_strategy(strategy).scope():
        encoder = load_encoder(_ENCODER.value)
    if _DATASET.value is not None:
        source = datasets.load(_DATASET.value, _DATA_DIR.value, _SPLIT.value)
        description = {"labels": source.labels, "class_names": np.array(source.class_names)}
    else:
        source, paths = find_unlabeled_images(
            pathlib.Path(_IMAGES.value),
            channels=encoder.input_shape[-1],
            verify=is_chief(strategy) and not is_started(output),
        )
        description = {"paths": np.array(paths)}
    write_representations(
        output,
        encoder,
        source,
        _BATCH_SIZE.value,
        encoder_digest=model_digest(_ENCODER.value),
        description=description,
        strategy=strategy,
    )
    rows, columns = len(source), encoder.output_shape[1]
    print(f"{output}: {rows} embeddings of {columns} numbers; {description_path(output)}")


def find_unlabeled_images(directory: pathlib.Path, *, channels: int, verify: bool):
    """Finds the images in a directory, and prints how many other files it contains.

    Args:
        directory: the directory, searched at any depth. Hidden files and directories are ignored.
        channels: number of channels of the decoded images.
        verify: whether to decode all images first, so that one that cannot be read is named.

    Returns:
        The images, without labels, and their paths relative to the directory.

    Raises:
        FileNotFoundError: if the directory contains no images.
        ValueError: if an image cannot be read.
    """
    import numpy as np
    import tensorflow as tf

    from supcon_tf.data import EncodedImages
    from supcon_tf.data.decoding import PixelFormat
    from supcon_tf.data.folder import (
        describe_missing,
        describe_skipped,
        find_images,
    )
    from supcon_tf.data.readable import check_readable

    paths, others = find_images(directory)
    if not paths:
        raise FileNotFoundError(describe_missing(directory, others))
    if others:
        print(describe_skipped(others, directory))
    if verify:
        check_readable(paths, PixelFormat(channels))
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
