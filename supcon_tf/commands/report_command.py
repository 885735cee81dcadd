"""The command `report`."""

import argparse
import pathlib

DESCRIPTION = """Write a report on a run.

RUN is the output directory of `python -m supcon_tf train`, which writes report.html there when it
ends. The page shows the accuracy of each class, the confusions, the calibration, a map of the
features, the losses, and the most confident mistakes."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of this command."""
    parser.add_argument("run", metavar="RUN", type=pathlib.Path)
    parser.add_argument(
        "--projection",
        choices=["PCA", "t-SNE"],
        default="PCA",
        help="how the map of the features is computed; t-SNE needs scikit-learn",
    )


def run(arguments: argparse.Namespace) -> int:
    """Writes the report."""
    from supcon_tf.commands.report import report

    print(report(arguments.run, arguments.projection))
    return 0
