"""``graphgrad cache``: what `gg.compile` keeps on disk, and how to be rid of it."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from graphgrad.cli.arguments import parser_of

if TYPE_CHECKING:
    from graphgrad.compiler.shelf import Shelf

__all__ = ["parser", "run"]

EPILOG = """\
examples:
  graphgrad cache
  graphgrad cache --clear

The folder is the user's cache folder, or the one that the environment variable GRAPHGRAD_CACHE
names. What is cleared is compiled anew when it is needed; only files that graphgrad made, and
Numba's files beside them, are removed.
"""
TOLD = 5
"""Files told that could not be removed."""


def parser() -> argparse.ArgumentParser:
    """Return the options of the command."""
    parser = parser_of("cache", "Show or clear the compiled code that is kept on disk.", EPILOG)
    parser.add_argument("--clear", action="store_true", help="remove it, of all versions")
    parser.set_defaults(run=run)
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Write what is there, or what was removed; return 1 when some could not be."""
    from graphgrad.compiler.cache import base
    from graphgrad.compiler.shelf import clear, shelves

    try:
        found = shelves()
    except OSError as problem:
        return _fail(f"the cache {base()} cannot be read: {problem.strerror}")
    if not any(shelf.files or shelf.unread for shelf in found):
        _write(f"nothing is cached in {base()}")
        return 0
    _write(f"{base()}", *_table(found))
    if not arguments.clear:
        return 0
    left = [problem for shelf in found for problem in clear(shelf)]
    count, size = sum(len(s.files) for s in found), sum(s.bytes for s in found)
    if left:
        more = [f"… and {len(left) - TOLD} more"] if len(left) > TOLD else []
        return _fail("not all could be removed:", *left[:TOLD], *more)
    _write(f"removed {count} files, {_amount(size)}")
    return 0


def _table(found: list[Shelf]) -> list[str]:
    from graphgrad.explain.tables import table

    rows = [["versions", "modules", "size", ""]]
    for shelf in found:
        told = "in use" if shelf.used else "other versions"
        told = "cannot be read" if shelf.unread else told
        rows.append([shelf.place.name, str(shelf.modules), _amount(shelf.bytes), told])
    return table(rows, " rr")


def _amount(size: int) -> str:
    from graphgrad.compiler.kernels import amount

    return amount(size)


def _write(*lines: str) -> None:
    sys.stdout.write("\n".join(lines) + "\n")


def _fail(*lines: str) -> int:
    sys.stderr.write("graphgrad: " + "\n  ".join(lines) + "\n")
    return 1
