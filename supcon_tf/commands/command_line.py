"""The command line `python -m supcon_tf COMMAND ...`."""

import argparse
import difflib
import gc
import os
import re
import warnings
from collections.abc import Sequence

from supcon_tf._version import __version__
from supcon_tf.commands import predict_command, report_command, search_command, train_command

# Each module has DESCRIPTION, add_arguments(parser) and run(arguments), which returns the exit
# code. It imports TensorFlow and its users in `run` only, so that --help answers at once.
_COMMANDS = {
    "train": train_command,
    "predict": predict_command,
    "report": report_command,
    "search": search_command,
}


def main(argv: Sequence[str] | None = None) -> None:
    """Parses a command line and runs its command. An error ends it with one sentence.

    Args:
        argv: the arguments; those of the process by default.

    Raises:
        SystemExit: always, with the exit code or a message.
    """
    arguments = _parse(argv)
    warnings.formatwarning = _format_warning
    try:
        _import_tensorflow()
        code = _COMMANDS[arguments.command].run(arguments)
    except KeyboardInterrupt:
        raise SystemExit("stopped; the same command continues") from None
    except BrokenPipeError:
        # A program such as `head` has read enough. Python would fail again when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        raise SystemExit(1) from None
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        if arguments.traceback or isinstance(error, NotImplementedError):
            raise
        raise SystemExit(f"error: {error}") from None
    raise SystemExit(code)


def build_parser() -> argparse.ArgumentParser:
    """Returns the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="python -m supcon_tf", description="Supervised contrastive learning on your images."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, module in _COMMANDS.items():
        command = commands.add_parser(
            name,
            help=module.DESCRIPTION.partition("\n")[0],
            description=module.DESCRIPTION,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
        command.add_argument(
            "--traceback", action="store_true", help="show where in the code an error occurred"
        )
        command.set_defaults(parser=command)
    return parser


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parses a command line. The error for an unknown option names a similar one."""
    arguments, unknown = build_parser().parse_known_args(argv)
    if unknown:
        options = re.findall(r"--\w+", arguments.parser.format_usage())
        similar = [
            match
            for argument in unknown
            for match in difflib.get_close_matches(argument.partition("=")[0], options, n=1)
        ]
        hint = f". Did you mean `{arguments.command} ... {' '.join(similar)}`?" if similar else ""
        arguments.parser.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
    return arguments


def _import_tensorflow() -> None:
    """Imports TensorFlow without its lines about the machine, and checks the installed versions.

    Some of the lines are not subject to the level of logs, so that the standard error is closed
    meanwhile. An import that fails raises an error of Python.
    """
    # TensorFlow and graphs are many objects of which few are garbage. Collections that look through
    # them take a quarter of the time of the imports.
    gc.set_threshold(100_000)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    stderr = os.dup(2)
    with open(os.devnull, "w") as devnull:
        os.dup2(devnull.fileno(), 2)
    try:
        from supcon_tf import _requirements  # noqa: F401
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


def _format_warning(message: Warning | str, *_: object, **__: object) -> str:
    return f"warning: {message}\n"
