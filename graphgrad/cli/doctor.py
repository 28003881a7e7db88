"""``graphgrad doctor``: what graphgrad finds on this machine, and what a missing part costs."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from graphgrad.cli.arguments import parser_of

if TYPE_CHECKING:
    from graphgrad.cli.checkup import Finding

__all__ = ["parser", "run"]

EPILOG = """\
examples:
  graphgrad doctor
  graphgrad doctor --json

The exit status is 1 when graphgrad itself cannot work; what only some commands need is listed with
what it costs to be without.
"""
MARKS = {"ok": ("✓", "green"), "limited": ("~", "yellow"), "missing": ("✗", "red")}


def parser() -> argparse.ArgumentParser:
    """Return the options of the command."""
    parser = parser_of("doctor", "Look at what graphgrad finds on this machine.", EPILOG)
    parser.add_argument("--json", action="store_true", help="write JSON in place of a table")
    parser.set_defaults(run=run)
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Write what was found and return 1 when the core is broken."""
    from graphgrad.cli.checkup import checkup

    found = checkup()
    healthy = all(f.state != "missing" for f in found if f.core)
    if arguments.json:
        from graphgrad import __version__

        report = {"graphgrad": __version__, "ok": healthy, "parts": [asdict(f) for f in found]}
        sys.stdout.write(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    else:
        _write(found)
    return 0 if healthy else 1


def _write(found: Sequence[Finding]) -> None:
    from rich.console import Console

    console = Console(file=sys.stdout)
    console.print(_table(found))
    lost = [f for f in found if f.state != "ok"]
    count = sum(f.state == "ok" for f in found)
    console.print(f"{count} of {len(found)} parts as they should be", highlight=False)
    if lost:
        console.print(_losses(lost))


def _table(found: Sequence[Finding]) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(header_style="bold")
    for heading in ("", "part", "found"):
        table.add_column(heading, overflow="fold")
    for f in found:
        mark, colour = MARKS[f.state]
        table.add_row(Text(mark, style=colour), f.part, Text(f.found))
    return table


def _losses(lost: Sequence[Finding]) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(header_style="bold")
    for heading in ("part", "without it there is no", "what to do"):
        table.add_column(heading, overflow="fold")
    for f in lost:
        table.add_row(f.part, Text(f.cost), Text(f.remedy or "-"))
    return table
