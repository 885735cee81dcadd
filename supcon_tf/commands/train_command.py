"""The command `train`."""

import argparse
import pathlib
from collections.abc import Callable

DESCRIPTION = """Train a classifier of your images.

FOLDER contains one directory of images per class, or train/ and test/ with these directories. It
can also be a csv file with the columns path,label, where paths are relative to the file, and
several labels of an image are separated by semicolons.

The command trains an encoder with the supervised contrastive loss, then a linear classifier on it.
It chooses settings that suit the images, and writes the models and their results to the output
directory. Run it again to resume an interrupted training."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of this command."""
    parser.add_argument("folder", metavar="FOLDER", type=pathlib.Path)
    parser.add_argument(
        "--test",
        metavar="FOLDER",
        type=pathlib.Path,
        help="labeled images to test on, in the same form; without them, a tenth of the training "
        "images is held out",
    )
    parser.add_argument(
        "--output_dir",
        metavar="DIRECTORY",
        type=pathlib.Path,
        help="the directory to write; runs/NAME by default, with the name of FOLDER",
    )
    parser.add_argument(
        "--encoder",
        metavar="NAME",
        help="resnet10, resnet18, resnet34, resnet50, resnet101, resnet152 or resnet200; "
        "resnet18x0.5 has half the channels in every layer; chosen by default",
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument(
        "--epochs",
        metavar="NUMBER",
        type=_positive(int),
        help="passes over the images in the training of the encoder; chosen by default",
    )
    length.add_argument(
        "--minutes",
        metavar="NUMBER",
        type=_positive(float),
        help="train for about this time on this machine",
    )
    parser.add_argument(
        "--unlabelled",
        metavar="DIRECTORY",
        type=pathlib.Path,
        help="further images without a label, which are pushed away from all others",
    )
    parser.add_argument("--seed", type=_seed, default=0, help="seed of all random choices")


def run(arguments: argparse.Namespace) -> int:
    """Trains, or resumes a training."""
    from supcon_tf.commands.train import train

    folder = arguments.folder
    train(
        folder,
        arguments.output_dir or pathlib.Path("runs") / folder.resolve().stem,
        test=arguments.test,
        unlabelled=arguments.unlabelled,
        encoder=arguments.encoder,
        epochs=arguments.epochs,
        minutes=arguments.minutes,
        seed=arguments.seed,
    )
    return 0


def _seed(text: str) -> int:
    largest = (1 << 32) - 1  # of NumPy and Keras
    if not text.isdecimal() or int(text) > largest:
        raise argparse.ArgumentTypeError(
            f"must be an integer from 0 to {largest}. Received: {text}"
        )
    return int(text)


def _positive(convert: type[float]) -> Callable[[str], float]:
    def parse(text: str) -> float:
        value = convert(text)
        if not 0 < value < float("inf"):
            raise ValueError
        return value

    parse.__name__ = f"positive {convert.__name__}"  # The error of argparse shows it.
    return parse
