"""Plain-text tables whose columns stay aligned under bars, wide letters and minus signs.

What one can do: `columns` of a text in a terminal, `table` of rows, `count` of things in words.
"""

from __future__ import annotations

import html
import math
import unicodedata
from collections.abc import Sequence
from decimal import Decimal

__all__ = ["columns", "count", "html_table", "joined", "percent", "table", "whole"]

LONGEST_CHAIN = 12
"""Names of a chain that are written out before its middle is left out."""


def columns(text: str) -> int:
    """Return how many columns of a terminal a line takes; combining bars take none.

    Example:
        >>> columns("x̄₁"), columns("变")
        (2, 2)
    """
    return sum(
        0 if unicodedata.category(c) in ("Mn", "Me")
        else 2 if unicodedata.east_asian_width(c) in "WF"
        else 1
        for c in text
    )  # fmt: skip


def table(rows: Sequence[Sequence[str]], right: str = "", indent: str = "  ") -> list[str]:
    """Return rows as aligned lines.

    Args:
        rows: of cells; the first may be the heading.
        right: a letter per column, ``r`` where cells are set flush right.
        indent: what every line begins with.

    Example:
        >>> print("\\n".join(table([["name", "value"], ["x", "−2"]], " r", "")))
        name  value
        x        −2
    """
    widths = [max(map(columns, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = []
        for k, (cell, width) in enumerate(zip(row, widths, strict=True)):
            gap = " " * (width - columns(cell))
            cells.append(gap + cell if right[k : k + 1] == "r" else cell + gap)
        lines.append((indent + "  ".join(cells)).rstrip())
    return lines


def html_table(rows: Sequence[Sequence[str]], right: str = "") -> str:
    """Return rows as an HTML table, the first as its heading; all text is escaped.

    Example:
        >>> html_table([["name"], ["<b>"]])
        '<table><tr><th>name</th></tr><tr><td>&lt;b&gt;</td></tr></table>'
    """
    lines = []
    for k, row in enumerate(rows):
        tag = "td" if k else "th"
        cells = []
        for at, cell in enumerate(row):
            style = ' style="text-align:right"' if right[at : at + 1] == "r" else ""
            cells.append(f"<{tag}{style}>{html.escape(cell)}</{tag}>")
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return f"<table>{''.join(lines)}</table>"


def count(number: int, thing: str, things: str = "") -> str:
    """Return a number of things in words.

    Example:
        >>> count(1, "path"), count(12, "path"), count(10**40, "path")
        ('1 path', '12 paths', '≈ 1.00·10^40 paths')
    """
    return f"{whole(number)} {thing if number == 1 else things or thing + 's'}"


def whole(number: int) -> str:
    """Return a whole number; its leading digits and power of ten when it is very large.

    Example:
        >>> whole(123456), whole(3 * 10**99)
        ('123,456', '≈ 3.00·10^99')
    """
    if number < 10**15:
        return f"{number:,}"
    mantissa, exponent = f"{Decimal(number):.2e}".split("e+")
    return f"≈ {mantissa}·10^{exponent}"


def percent(part: float, total: float) -> str:
    """Return a share in percent; a dash where it has no meaning.

    Example:
        >>> percent(1.0, 4.0), percent(-0.5, 3.0), percent(0.0, 0.0)
        ('25 %', '−16.7 %', '–')
    """
    if not (math.isfinite(part) and math.isfinite(total)) or total == 0:
        return "–"
    rounded = round(100 * part / total, 1)
    about = "≈ " if not rounded and part else ""
    return f"{about}{rounded + 0.0:g} %".replace("-", "−")


def joined(names: Sequence[str], arrow: str = " → ") -> str:
    """Return a chain of names; the middle of a long one is counted instead.

    Example:
        >>> joined(["loss", "d", "x"])
        'loss → d → x'
    """
    if len(names) <= LONGEST_CHAIN:
        return arrow.join(names)
    half = LONGEST_CHAIN // 2 - 1
    left_out = f"… {len(names) - 2 * half:,} more …"
    return arrow.join([*names[:half], left_out, *names[-half:]])
