"""A report for terminals of any width, with colours or without: a table, or cards where crowded."""

from __future__ import annotations

import io
import os
import shutil
import sys
from typing import TYPE_CHECKING, Any

from graphgrad.errors import MissingDependencyError
from graphgrad.explain.names import visible
from graphgrad.proof.cards import card, crowded
from graphgrad.proof.findings import MARKS, Findings, Row
from graphgrad.proof.partials import CHECKED, PROVED, UNDECIDED, WRONG

if TYPE_CHECKING:
    from rich.console import Group

__all__ = ["COLORS", "HEADS", "cells", "plain", "rich_table", "terminal"]

COLORS = {PROVED: "green", CHECKED: "cyan", UNDECIDED: "yellow", WRONG: "bold red"}
HEADS = ("derivative", "SymPy", "rule book", "holds", "result")
WIDTH = 100
"""Columns of a table where there is no terminal."""


def cells(row: Row) -> tuple[str, str, str, str, str]:
    """Return what stands in a row below `HEADS`; control characters are escapes."""
    head = f"{row.where}\n{row.of}" if row.of else row.where
    tail = [row.verdict, row.counterexample, row.note]
    found = (head, row.formula, row.rule, row.domain, "\n".join(t for t in tail if t))
    return tuple(visible_lines(cell) for cell in found)  # type: ignore[return-value]


def visible_lines(text: str) -> str:
    """Return text with control characters as escapes, line ends kept."""
    return "\n".join(visible(line) for line in text.split("\n"))


# -- terminals -------------------------------------------------------------------------------------


def rich_table(found: Findings, width: int) -> Group:
    """Return the report for rich: a title, a table or cards, a summary.

    Args:
        found: to be shown.
        width: of the terminal.

    Raises:
        MissingDependencyError: when rich is not installed.
    """
    try:
        from rich.console import Group
        from rich.text import Text
    except ImportError:
        raise MissingDependencyError("tables need the library rich: pip install rich") from None
    color = "bold red" if not found.ok else "green" if found.complete else "yellow"
    parts: list[Any] = [Text(visible(found.title), style="bold")]
    if crowded(found, width):
        parts += [card(row, _result(row)) for row in found.grouped()]
    else:
        parts.append(_table(found))
    parts += [Text(visible(note), style="dim") for note in found.notes]
    return Group(*parts, Text(found.summary, style=color))


def _table(found: Findings) -> Any:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False, show_edge=False)
    table.add_column("")
    for head, ratio in zip(HEADS, (3, 3, 3, 3, 4), strict=True):
        table.add_column(head, ratio=ratio, overflow="fold", vertical="top")
    for row in found.grouped():
        color = COLORS[row.status]
        mark = Text(MARKS[row.status], style=color)
        table.add_row(mark, *map(Text, cells(row)[:-1]), _result(row), end_section=False)
    return table


def _result(row: Row) -> Any:
    from rich.text import Text

    text = Text(row.status, style=COLORS[row.status], overflow="fold")
    text.append(cells(row)[-1].removeprefix(row.status), style="default")
    return text


def plain(found: Findings, width: int | None = None) -> str:
    """Return the report as text without colours, by default as wide as the terminal."""
    return _printed(found, _width() if width is None else width, color=False)


def _width() -> int:
    known = sys.stdout.isatty() or "COLUMNS" in os.environ
    return shutil.get_terminal_size().columns if known else WIDTH


def terminal(found: Findings) -> str:
    """Return the report as this process's terminal shows it: its width, colours, characters."""
    out = sys.stdout
    text = _printed(found, _width(), color=out.isatty() and "NO_COLOR" not in os.environ)
    encoding = out.encoding or "ascii"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _printed(found: Findings, width: int, color: bool) -> str:
    from rich.console import Console

    out = io.StringIO()
    console = Console(
        file=out, width=width, force_terminal=color, no_color=not color, highlight=False,
        legacy_windows=False, color_system="standard" if color else None,
    )  # fmt: skip
    console.print(rich_table(found, width))
    return "\n".join(line.rstrip() for line in out.getvalue().split("\n")).strip("\n")
