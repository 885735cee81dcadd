"""The command `search`."""

import argparse
import pathlib

DESCRIPTION = """Find the most similar images.

RUN is the output directory of `python -m supcon_tf train`. The command writes the training images
that are most similar to each of the IMAGES to a csv file, and shows them on a web page."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of this command."""
    parser.add_argument("run", metavar="RUN", type=pathlib.Path)
    parser.add_argument(
        "images", metavar="IMAGES", nargs="+", help="image files, directories, patterns like *.jpg"
    )
    parser.add_argument(
        "--gallery",
        metavar="DIRECTORY",
        type=pathlib.Path,
        help="the images to search in; the training images by default",
    )
    parser.add_argument(
        "--top", metavar="NUMBER", type=int, default=10, help="number of similar images; 10"
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        type=pathlib.Path,
        help="the csv file; search.csv in the directory of the run by default",
    )


def run(arguments: argparse.Namespace) -> int:
    """Searches, and prints the paths of the csv file and of the page."""
    from supcon_tf.commands.search import search

    for path in search(
        arguments.run, arguments.images, arguments.gallery, arguments.top, arguments.output
    ):
        print(path)
    return 0
