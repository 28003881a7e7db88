r"""The board: lines of formulas with the reason beside each, as text, LaTeX, MathML and HTML.

A `Line` is left side, relation, right side and reason; a `Block` is a derivation of lines; a
`Board` is blocks and notes. What a reader sees of derivations and of algebra lessons is a board,
so all of them look alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from graphgrad.drawing.terminal.canvas import cell_width
from graphgrad.errors import MissingDependencyError
from graphgrad.explain.names import visible
from graphgrad.explain.numbers import shape_text
from graphgrad.proof.array_marks import matrix_shape
from graphgrad.proof.chalk import Page, Paper, below, inside, table
from graphgrad.proof.marks import Mark, Pair, latex_of, letter, template, text_of
from graphgrad.proof.numerals import matrix_mark

__all__ = [
    "EQUAL", "Block", "Board", "Line", "Shown", "equation", "relation", "sequence",
    "value_line",
]  # fmt: skip

EQUAL, ABOUT, IN = Pair("=", "="), Pair("≈", r"\approx"), Pair("∈", r"\in")
WIDE = 84
"""Cells of a line of text beyond which its reason no longer stands in the common column."""


@dataclass(frozen=True)
class Line:
    """One line on the board.

    Attributes:
        left: what the block is about; None where the line before goes on.
        relation: =, ≈ or ∈.
        right: the formula.
        reason: why, in a few words; "" when nothing needs to be said.
    """

    left: Mark | None
    relation: Pair
    right: Mark
    reason: str = ""

    def __str__(self) -> str:
        left = f"{self.left} " if self.left else ""
        return f"{left}{self.relation.text} {self.right}"


def relation(mark: Mark) -> Pair:
    """Return = where all numbers have all their digits, else ≈."""
    return EQUAL if mark.all_exact else ABOUT


def equation(left: Mark, right: Mark) -> Mark:
    """Return left = right, or left ≈ right, as one mark."""
    sign = relation(right)
    return template(f"#1 {sign.text} #2", rf"#1 {sign.latex} #2", [left, right], -5)


def sequence(marks: Sequence[Mark]) -> Mark:
    """Return marks side by side with commas."""
    places = [f"#{k + 1}" for k in range(len(marks))]
    return template(", ".join(places), r",\; ".join(places), marks, -6)


def value_line(value: Any, digits: int, reason: str = "") -> Line:
    """Return = the array, or ∈ its space when it is large."""
    mark = matrix_mark(value, digits)
    if mark is not None:
        return Line(None, relation(mark), mark, reason)
    shape = matrix_shape(np.shape(value))
    sizes = r" \times ".join(map(str, shape))
    space = letter(f"ℝ^({shape_text(shape)})", rf"\mathbb{{R}}^{{{sizes}}}")
    return Line(None, IN, space, reason)


@dataclass(frozen=True)
class Block:
    """Lines that belong together, under a title (none when it is "")."""

    lines: tuple[Line, ...]
    title: str = ""

    @property
    def text(self) -> str:
        """The lines as text, aligned at the relations, braces and shapes under the formulas."""
        rows: list[str] = [visible(self.title)] if self.title else []
        indent = "  " if self.title else ""
        lefts = [str(line.left) if line.left else "" for line in self.lines]
        room = max(map(cell_width, lefts), default=0)
        right = [text_of(line.right) for line in self.lines]
        column = max((w for text, _ in right if (w := cell_width(text)) <= WIDE), default=0)
        for line, left, (text, notes) in zip(self.lines, lefts, right, strict=True):
            head = f"{indent}{left}{' ' * (room - cell_width(left))} {line.relation.text} "
            gap = " " * (max(column - cell_width(text), 0) + 3)
            rows.append(f"{head}{text}{gap}{line.reason}".rstrip())
            rows += [" " * cell_width(head) + row for row in below(notes)]
        return "\n".join(rows)

    def cells(self, html: bool = False) -> list[tuple[str, str, str, str]]:
        """Return left side, relation, right side and reason of each line, in LaTeX."""
        paint = Page() if html else Paper()
        return [
            (
                latex_of(line.left, paint) if line.left else "",
                line.relation.latex,
                latex_of(line.right, paint),
                paint.reason(line.reason),
            )
            for line in self.lines
        ]


@dataclass(frozen=True)
class Board:
    """Blocks of lines, and notes on conventions under them."""

    blocks: tuple[Block, ...]
    notes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The board as text."""
        parts = [block.text for block in self.blocks]
        if self.notes:
            parts.append("\n".join(self.notes))
        return "\n\n".join(parts)

    def latex(self) -> str:
        r"""Return the lines as one LaTeX environment ``aligned``, without dollar signs.

        It needs amsmath, amssymb and xcolor, or MathJax.
        """
        rows = []
        for block in self.blocks:
            for left, relation, right, reason in block.cells():
                note = rf" && {reason}" if reason else ""
                rows.append(rf"{left} &{relation} {right}{note}")
            rows[-1] += r" \\[2ex]"
        lines = [row if row.endswith("ex]") else rf"{row} \\" for row in rows]
        body = "\n".join(lines).removesuffix(r" \\[2ex]")
        return "\\begin{aligned}\n" + body + "\n\\end{aligned}"

    def mathml(self) -> str:
        """Return the lines as one MathML table, with colours, for browsers.

        Raises:
            MissingDependencyError: when latex2mathml is not installed.
        """
        return table([row for block in self.blocks for row in [*_rows(block), ""]][:-1], True)

    def html(self) -> str:
        """Return the board as HTML; as preformatted text when latex2mathml is not installed."""
        try:
            parts = [_titled(block) + table(_rows(block)) for block in self.blocks]
        except MissingDependencyError:
            return f"<pre>{escape(self.text)}</pre>"
        notes = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
        body = "".join(f'<div style="margin:0.9em 0">{part}</div>' for part in parts)
        return f'<div class="graphgrad-board">{body}{notes}</div>'


class Shown:
    """What shows itself: as text, and in notebooks. The subclass has a `board`."""

    board: Board

    @property
    def text(self) -> str:
        """The lines as text."""
        return self.board.text

    def __str__(self) -> str:
        return self.text

    def latex(self) -> str:
        r"""Return all lines as one LaTeX environment ``aligned``."""
        return self.board.latex()

    def mathml(self) -> str:
        """Return all lines as one MathML table."""
        return self.board.mathml()

    def _repr_html_(self) -> str:
        return self.board.html()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {
            "text/plain": self.text,
            "text/html": self.board.html(),
            "text/latex": f"$\\displaystyle {self.latex()}$",
        }


def _titled(block: Block) -> str:
    return f"<p>{escape(visible(block.title))}</p>" if block.title else ""


def _rows(block: Block) -> list[str]:
    rows = []
    for cells in block.cells(html=True):
        inner = []
        for k, cell in enumerate(cells):
            side = ("right", "center", "left", "left")[k]
            pad = "0.3em 0.15em" if k < 3 else "0.3em 2em"
            inner.append(f'<mtd style="text-align:{side};padding:{pad}">{inside(cell)}</mtd>')
        rows.append(f"<mtr>{''.join(inner)}</mtr>")
    return rows
