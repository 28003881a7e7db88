"""The command line, ``graphgrad draw EXPR name=value …``: a file per command.

A command's file has `parser`, which describes its options, and `run`, which reads them, calls the
library and returns the exit status.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

__all__ = ["COMMANDS", "main"]

EPILOG = """\
examples:
  graphgrad draw "abs(4 - (x*w + b))" x=2 w=3 b=1
  graphgrad train flats.csv --target rent --save model.npz
"""
COMMANDS = {
    "draw": "pictures of the forward and the backward pass of an expression",
    "step": "step through both passes, forth and back",
    "play": "a page, an animation or a transcript of both passes",
    "verify": "prove derivatives with SymPy",
    "train": "train a network on a CSV file",
    "predict": "use a trained network on a new CSV file",
    "doctor": "look at what graphgrad finds on this machine, and what is missing",
    "cache": "show or clear the compiled code that is kept on disk",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Args:
        argv: the arguments without the program's name; those of the process by default.

    Returns:
        0 when all went well, 1 for an error in the expression, values, files or a script's
        commands, 2 for wrong options (raised by argparse as SystemExit), 130 for Ctrl-C.
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
    except KeyboardInterrupt:
        _fail("interrupted")
        return 130
    except BrokenPipeError:  # as "graphgrad predict … | head" makes it
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 (or closing it would fail once more)
        return 0
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

    listed = "\n".join(f"  {name:8s} {what}" for name, what in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="graphgrad",
        description="Computational graphs and backpropagation: drawn, stepped, proved, trained.",
        epilog=f"commands:\n{listed}\n\n{EPILOG}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"graphgrad {__version__}")
    parser.add_argument(
        "command", choices=COMMANDS, metavar="COMMAND", help="see graphgrad COMMAND --help"
    )
    return parser
