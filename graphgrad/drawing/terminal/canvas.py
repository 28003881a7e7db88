"""A grid of terminal cells: lines that join where they meet, and text that covers them.

What one can do here: draw ``horizontal`` and ``vertical`` lines and ``write`` text on a ``Canvas``,
then take its ``text()``; find how many cells a string fills with ``cell_width``.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from typing import Literal

__all__ = ["Canvas", "State", "cell_width", "cells", "clean", "cut", "plain_ascii"]

State = Literal["pending", "done", "current"]

# The strength of a line: 1 dotted, 2 light, 3 heavy.
STRENGTH: dict[State, int] = {"pending": 1, "done": 2, "current": 3}

# By the weight of a cell's arms (0 none, 1 light, 2 heavy): 27 * up + 9 * right + 3 * down + left.
JOINS = " ╴╸╷┐┑╻┒┓╶─╾┌┬┭┎┰┱╺╼━┍┮┯┏┲┳╵┘┙│┤┥╽┧┪└┴┵├┼┽┟╁╅┕┶┷┝┾┿┢╆╈╹┚┛╿┦┩┃┨┫┖┸┹┞╀╃┠╂╉┗┺┻┡╄╇┣╊╋"
UP, RIGHT, DOWN, LEFT = range(4)

SGR = {"value": "32", "adjoint": "31", "current": "1;33", "pending": "2", "op": "1"}

ASCII = {
    "×": "*", "·": ".", "÷": "/", "−": "-", "–": "-", "—": "-", "√": "sqrt", "∂": "d", "∑": "sum",
    "Σ": "sum", "∏": "prod", "∇": "grad", "→": "->", "←": "<-", "≤": "<=", "≥": ">=", "≠": "!=",
    "≈": "~", "∞": "inf", "…": "...", "⁄": "/", "ᵀ": "^T", "α": "alpha", "β": "beta", "ε": "eps",
    "η": "eta", "θ": "theta", "λ": "lambda", "μ": "mu", "π": "pi", "σ": "sigma", "\u0304": "_bar",
    "\u0305": "_bar", "▶": ">", "◀": "<", "▲": "^", "▼": "v", "─": "-", "│": "|", "┌": "+",
    "┐": "+", "└": "+", "┘": "+", "┄": ".", "┆": ":", "═": "#", "║": "#", "╔": "#", "╗": "#",
    "╚": "#", "╝": "#",
}  # fmt: skip


def clean(text: str) -> str:
    """Makes control characters visible and drops invisible ones, so that text stays in its place.

    Example:
        >>> clean("a\\x1b[2J\\u202eb")
        'a\\\\x1b[2Jb'
    """
    shown = (
        "" if unicodedata.category(c) == "Cf"
        else repr(c)[1:-1] if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")
        else c
        for c in text
    )  # fmt: skip
    return "".join(shown)


def plain_ascii(text: str) -> str:
    """Writes text with the characters every terminal has.

    Example:
        >>> plain_ascii("∂x₁/∂w × x̄")
        'dx1/dw * x_bar'
    """
    # A letter with its macron may be one character: take it apart first.
    spelled = "".join(ASCII.get(c, c) for c in unicodedata.normalize("NFD", text))
    plain = unicodedata.normalize("NFKD", spelled)
    plain = "".join(ASCII.get(c, c) for c in plain if not unicodedata.combining(c))
    return re.sub(r"[^ -~]", "?", plain)


def cells(text: str) -> list[str]:
    """Splits text into terminal cells; a wide character is followed by an empty cell.

    Example:
        >>> cells("x\\u0304=好")
        ['x̄', '=', '好', '']
    """
    found: list[str] = []
    base = 0
    for char in text:
        if unicodedata.category(char) in ("Mn", "Me") and found:
            found[base] += char
            continue
        base = len(found)
        found.append(char)
        if unicodedata.east_asian_width(char) in "WF":
            found.append("")
    return found


def cell_width(text: str) -> int:
    """How many cells of a terminal the text fills.

    Example:
        >>> cell_width("x₁̄ = 好")
        7
    """
    return len(cells(text))


def cut(text: str, width: int, ascii: bool = False) -> str:
    """Shortens text to a number of cells; dots tell that something is missing.

    Example:
        >>> cut("a long name", 6)
        'a lon…'
    """
    found = cells(text)
    dots = "..." if ascii else "…"
    return text if len(found) <= width else "".join(found[: max(width - len(dots), 0)]) + dots


class Canvas:
    """Cells by row and column; both may be negative. Text covers lines, whatever came first."""

    def __init__(self) -> None:
        """An empty canvas, as large as what is drawn on it."""
        self._arms: dict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        self._text: dict[tuple[int, int], tuple[str, str]] = {}

    def horizontal(self, row: int, start: int, end: int, state: State) -> None:
        """Draws a line between the middles of two cells of a row."""
        for column in range(min(start, end), max(start, end)):
            self._add(row, column, RIGHT, state)
            self._add(row, column + 1, LEFT, state)

    def vertical(self, column: int, start: int, end: int, state: State) -> None:
        """Draws a line between the middles of two cells of a column."""
        for row in range(min(start, end), max(start, end)):
            self._add(row, column, DOWN, state)
            self._add(row + 1, column, UP, state)

    def write(self, row: int, column: int, text: str, style: str = "") -> None:
        """Writes text from a cell on; style is "", "value", "adjoint", "op" or a state."""
        for offset, cell in enumerate(cells(text)):
            self._text[row, column + offset] = (cell, style)

    def has_arm(self, row: int, column: int, arm: int) -> bool:
        """Whether a line leaves the cell towards UP, RIGHT, DOWN or LEFT."""
        return (row, column) in self._arms and self._arms[row, column][arm] > 0

    def width(self) -> int:
        """How many columns the drawing fills."""
        columns = [column for _, column in self._places()]
        return max(columns) - min(columns) + 1 if columns else 0

    def text(self, color: bool = False, ascii: bool = False) -> str:
        """The drawing as lines without trailing blanks, with ANSI colors if asked for."""
        places = self._places()
        if not places:
            return ""
        rows, columns = [p[0] for p in places], [p[1] for p in places]
        lines = []
        for row in range(min(rows), max(rows) + 1):
            line = [self._cell(row, c, ascii) for c in range(min(columns), max(columns) + 1)]
            while line and line[-1][0] == " ":
                line.pop()
            lines.append(_painted(line) if color else "".join(cell for cell, _ in line))
        return "\n".join(lines)

    def _places(self) -> set[tuple[int, int]]:
        return self._arms.keys() | self._text.keys()

    def _add(self, row: int, column: int, arm: int, state: State) -> None:
        arms = self._arms[row, column]
        arms[arm] = max(arms[arm], STRENGTH[state])

    def _cell(self, row: int, column: int, ascii: bool) -> tuple[str, str]:
        if (row, column) in self._text:
            cell, style = self._text[row, column]
            return (ASCII.get(cell, cell) if ascii else cell), style
        arms = self._arms.get((row, column))
        if arms is None:
            return " ", ""
        style = {1: "pending", 2: "", 3: "current"}[max(arms)]
        return (_ascii_join(arms) if ascii else _join(arms)), style


def _join(arms: list[int]) -> str:
    if max(arms) == 1 and not (arms[UP] or arms[DOWN]):
        return "┄"
    if max(arms) == 1 and not (arms[LEFT] or arms[RIGHT]):
        return "┆"
    up, right, down, left = ((0, 1, 1, 2)[strength] for strength in arms)
    return JOINS[27 * up + 9 * right + 3 * down + left]


def _ascii_join(arms: list[int]) -> str:
    if not (arms[UP] or arms[DOWN]):
        return " .-="[max(arms)]
    if not (arms[LEFT] or arms[RIGHT]):
        return " :|#"[max(arms)]
    return " ++#"[max(arms)]


def _painted(line: list[tuple[str, str]]) -> str:
    """Joins cells, switching colors only where the style changes."""
    parts, before = [], ""
    for cell, style in line:
        if style != before:
            parts.append("\x1b[0m" if before else "")
            parts.append(f"\x1b[{SGR[style]}m" if style else "")
            before = style
        parts.append(cell)
    return "".join(parts) + ("\x1b[0m" if before else "")
