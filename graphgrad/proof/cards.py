"""A report as cards, a few lines for each row: where a table's columns would be too narrow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from graphgrad.explain.names import visible
from graphgrad.proof.findings import MARKS, Findings, Row
from graphgrad.proof.wording import EVERYWHERE

if TYPE_CHECKING:
    from rich.console import Group
    from rich.text import Text

__all__ = ["card", "crowded"]

COLUMNS = 5
LABEL = len("rule book")
TALLEST = 4
"""Lines of the tallest cell of a table that can be read."""


def crowded(found: Findings, width: int) -> bool:
    """Return whether a table of this width would cut formulas within a word, or have tall cells."""
    room = (width - 4) // COLUMNS
    return any(
        len(cell) > TALLEST * room or max(map(len, cell.split(" "))) > room
        for row in found.grouped()
        for cell in (row.formula, row.rule, row.domain, row.verdict)
    )


def card(row: Row, result: Text) -> Group:
    """Return a row for rich.

    Args:
        row: of the findings.
        result: its verdict, and what belongs to it, in colours.
    """
    from rich.console import Group
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, min_width=LABEL)
    grid.add_column(overflow="fold")
    for label, text in _lines(row):
        grid.add_row(Text(label, style="dim"), Text(visible(text)))
    parts: list[Any] = [grid] if grid.row_count else []
    return Group(_head(row, result), *(Padding(p, (0, 0, 0, 4)) for p in [*parts, result]))


def _head(row: Row, result: Text) -> Text:
    from rich.text import Text

    head = Text(f"{MARKS[row.status]}   ", style=result.style)
    where, of = (visible(text.replace("\n", " ")) for text in (row.where, row.of))
    head.append(f"{where:{LABEL}s}", style="bold")
    head.append(f"  {of}" if of else "")
    if row.domain == EVERYWHERE:
        head.append(f"   {EVERYWHERE}", style="dim")
    return head


def _lines(row: Row) -> Iterator[tuple[str, str]]:
    """Yield what stands between a card's first line and its result, with a word about each."""
    if row.formula == row.rule:
        yield from [("both", row.formula)] if row.formula else []
    else:
        yield "SymPy", row.formula
        yield "rule book", row.rule
    if row.domain not in ("", EVERYWHERE):
        yield "holds", row.domain
