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

from graphgrad.drawing.palette import factor_color
from graphgrad.drawing.terminal.canvas import cell_width
from graphgrad.errors import MissingDependencyError
from graphgrad.explain.latex import mathml
from graphgrad.explain.names import visible
from graphgrad.proof.marks import Mark, Paint, Pair, Under, latex_of, text_of

__all__ = ["ABOUT", "EQUAL", "IN", "Block", "Board", "Line"]

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
            rows += [" " * cell_width(head) + row for row in _below(notes)]
        return "\n".join(rows)

    def cells(self, html: bool = False) -> list[tuple[str, str, str, str]]:
        """Return left side, relation, right side and reason of each line, in LaTeX."""
        paint = _Page() if html else _Paper()
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
        return _math([row for block in self.blocks for row in [*_rows(block), ""]][:-1], True)

    def html(self) -> str:
        """Return the board as HTML; as preformatted text when latex2mathml is not installed."""
        try:
            parts = [f"<div>{_titled(b)}{_math(_rows(b))}</div>" for b in self.blocks]
        except MissingDependencyError:
            return f"<pre>{escape(self.text)}</pre>"
        notes = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
        return f'<div class="graphgrad-board">{"".join(parts)}{notes}</div>'


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


class _Paper(Paint):
    """LaTeX with xcolor, or MathJax."""

    def factor(self, number: int, latex: str) -> str:
        color = factor_color(number)
        rgb = ",".join(str(int(color[k : k + 2], 16)) for k in (1, 3, 5))
        return rf"\textcolor[RGB]{{{rgb}}}{{{latex}}}"

    def reason(self, words: str) -> str:
        return rf"\text{{{words}}}" if words else ""


class _Page(_Paper):
    """LaTeX on its way to MathML.

    Braces and the brackets of matrices are drawn as borders: without a mathematical font a
    browser does not stretch them.
    """

    def factor(self, number: int, latex: str) -> str:
        return rf"\textcolor{{{factor_color(number)}}}{{{latex}}}"

    def brace(self, latex: str, words: str) -> str:
        return rf"\underset{{{words}}}{{\style{{{_BRACE}}}{{{latex}}}}}"

    def reason(self, words: str) -> str:
        return rf"\textcolor{{#6b7280}}{{\text{{{words}}}}}" if words else ""


_BRACE = (
    "border:solid currentcolor;border-width:0 0 1.5px;border-radius:0 0 6px 6px;"
    "padding:0 3px 3px;margin-bottom:2px"
)
_MATRIX = (
    "border:solid currentcolor;border-width:0 1.2px;border-radius:5px;padding:0 2px;margin:0 2px"
)


def _titled(block: Block) -> str:
    return f"<p>{escape(visible(block.title))}</p>" if block.title else ""


def _rows(block: Block) -> list[str]:
    rows = []
    for cells in block.cells(html=True):
        inner = []
        for k, cell in enumerate(cells):
            side = ("right", "center", "left", "left")[k]
            pad = "0.3em 0.15em" if k < 3 else "0.3em 2em"
            inner.append(f'<mtd style="text-align:{side};padding:{pad}">{_inside(cell)}</mtd>')
        rows.append(f"<mtr>{''.join(inner)}</mtr>")
    return rows


def _inside(latex: str) -> str:
    """Return the MathML of a cell without the element <math> around it."""
    if not latex:
        return "<mrow></mrow>"
    start, end = r"\begin{bmatrix}", r"\end{bmatrix}"
    drawn = latex.replace(start, rf"\style{{{_MATRIX}}}{{\begin{{matrix}}")
    element = mathml(drawn.replace(end, r"\end{matrix}}"))
    return element[element.index(">") + 1 : element.rindex("</math>")]


def _math(rows: Sequence[str], display: bool = False) -> str:
    gap = '<mtr><mtd><mspace height="1em"></mspace></mtd></mtr>'
    body = "".join(row or gap for row in rows)
    shown = ' display="block"' if display else ""
    return (
        f'<math xmlns="http://www.w3.org/1998/Math/MathML"{shown}>'
        f'<mtable displaystyle="true">{body}</mtable></math>'
    )


# -- what stands under a line of text ------------------------------------------------------------


def _below(notes: list[Under]) -> list[str]:
    """Return the rows under a line: shapes and numbers in the middle, then braces, then words."""
    rows: list[str] = []
    for note in sorted((n for n in notes if not n.brace), key=lambda n: (n.start, n.end)):
        at = note.start + max(note.end - note.start - cell_width(note.text), 0) // 2
        _put(rows, 0, at, note.text)
    braces = sorted((n for n in notes if n.brace), key=lambda n: (n.start, n.end))
    base = len(rows)
    for note in braces:
        width = note.end - note.start
        whole = f"╰─ {note.text} ─╯"
        if cell_width(whole) <= width:
            dashes = "─" * (width - cell_width(whole))
            _put(rows, base, note.start, f"╰─ {note.text} ─{dashes}╯")
        else:
            row = _put(rows, base, note.start, "╰" + "─" * max(width - 2, 0) + "╯")
            _put(rows, row + 1, note.start, note.text)
    return rows


def _put(rows: list[str], first: int, at: int, text: str) -> int:
    """Put text into the first row from `first` on that is free there; return the row."""
    k = first
    while True:
        if k == len(rows):
            rows.append("")
        used = cell_width(rows[k])
        if used == 0 or used + 1 <= at:
            rows[k] += " " * (at - used) + text
            return k
        k += 1
