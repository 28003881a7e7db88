"""The command line, ``graphgrad draw EXPR name=value …``: a file per command.

A command's file has `parser`, which describes its options, and `run`, which reads them, calls the
library and returns the exit status.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Any

__all__ = ["COMMANDS", "main"]

COMMANDS = ("draw", "step", "play", "verify")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Args:
        argv: the arguments without the program's name; those of the process by default.

    Returns:
        0 when all went well, 1 for an error in the expression, values, files or a script's
        commands, 2 for wrong options (raised by argparse as SystemExit).
    """
    given = list(sys.argv[1:] if argv is None else argv)
    if not given or given[0] not in COMMANDS:
        _overview().parse_args(given or ["--help"])
    command, rest = given[0], given[1:]
    arguments = _command(command).parser().parse_intermixed_args(rest)
    from graphgrad.errors import GraphError

    try:
        status: int | None = arguments.run(arguments)
    except GraphError as problem:
        return _fail(str(problem))
    except OSError as problem:
        where = f"{problem.filename}: {problem.strerror}" if problem.filename else str(problem)
        return _fail(where)
    return status or 0


def _command(name: str) -> Any:
    return importlib.import_module(f"graphgrad.cli.{name}")


def _fail(message: str) -> int:
    sys.stderr.write(f"graphgrad: {message}\n")
    return 1


def _overview() -> argparse.ArgumentParser:
    from graphgrad import __version__
    from graphgrad.cli.draw import EPILOG

    parser = argparse.ArgumentParser(
        prog="graphgrad",
        description="Computational graphs and backpropagation, drawn from one expression.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"graphgrad {__version__}")
    parser.add_argument("command", choices=COMMANDS, help="; see graphgrad COMMAND --help")
    return parser
