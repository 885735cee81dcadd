"""The command `predict`."""

import argparse
import pathlib

DESCRIPTION = """Classify images with a trained classifier.

RUN is the output directory of `python -m supcon_tf train`. The command writes a csv file with the
path, the predicted class, its probability, and the probability of every class, or prints a table.
An image whose probability is below the threshold of the run is "unknown".

With --classes, it classifies images into new classes, which are given by a few images each in one
directory per class. Nothing is trained: the class is that with the nearest mean representation."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of this command."""
    parser.add_argument("run", metavar="RUN", type=pathlib.Path)
    parser.add_argument(
        "images",
        metavar="IMAGES",
        nargs="+",
        help="image files, directories or patterns like *.jpg",
    )
    parser.add_argument(
        "--output", metavar="FILE", type=pathlib.Path, help="the csv file; a table by default"
    )
    parser.add_argument(
        "--classes",
        metavar="FOLDER",
        type=pathlib.Path,
        help="a directory or csv file with a few images of each new class",
    )


def run(arguments: argparse.Namespace) -> int:
    """Classifies images. Returns 1 if an image cannot be read."""
    from supcon_tf.commands.predict import predict

    return predict(arguments.run, arguments.images, arguments.output, arguments.classes)
