r"""How the board is painted: colours and braces in LaTeX and MathML, and rows under lines of text.

What one can do: give factors their colours (`Paper` for LaTeX, `Page` on the way to MathML), turn a
cell into MathML (`inside`, `table`), and put shapes, numbers and braces under a line (`below`).
"""

from __future__ import annotations

from collections.abc import Sequence

from graphgrad.drawing.palette import factor_color
from graphgrad.drawing.terminal.canvas import cell_width
from graphgrad.explain.latex import mathml
from graphgrad.proof.marks import Paint, Under

__all__ = ["Page", "Paper", "below", "inside", "table"]


class Paper(Paint):
    """LaTeX with xcolor, or MathJax."""

    def factor(self, number: int, latex: str) -> str:
        """Return a factor in the colour of its number."""
        color = factor_color(number)
        rgb = ",".join(str(int(color[k : k + 2], 16)) for k in (1, 3, 5))
        return rf"\textcolor[RGB]{{{rgb}}}{{{latex}}}"

    def reason(self, words: str) -> str:
        """Return the words beside a line."""
        return rf"\text{{{words}}}" if words else ""


class Page(Paper):
    """LaTeX on its way to MathML.

    Braces and the brackets of matrices are drawn as borders: without a mathematical font a
    browser does not stretch them.
    """

    def factor(self, number: int, latex: str) -> str:
        """Return a factor in the colour of its number."""
        return rf"\textcolor{{{factor_color(number)}}}{{{latex}}}"

    def brace(self, latex: str, words: str) -> str:
        """Return a formula with a line under it, and words under the line."""
        return rf"\underset{{{words}}}{{\style{{{_BRACE}}}{{{latex}}}}}"

    def reason(self, words: str) -> str:
        """Return the words beside a line, in gray."""
        return rf"\textcolor{{#6b7280}}{{\text{{{words}}}}}" if words else ""


_BRACE = (
    "border:solid currentcolor;border-width:0 0 1.5px;border-radius:0 0 6px 6px;"
    "padding:0 3px 3px;margin-bottom:2px"
)
_MATRIX = (
    "border:solid currentcolor;border-width:0 1.2px;border-radius:5px;padding:0 2px;margin:0 2px"
)


def inside(latex: str) -> str:
    """Return the MathML of a cell without the element <math> around it."""
    if not latex:
        return "<mrow></mrow>"
    start, end = r"\begin{bmatrix}", r"\end{bmatrix}"
    drawn = latex.replace(start, rf"\style{{{_MATRIX}}}{{\begin{{matrix}}")
    element = mathml(drawn.replace(end, r"\end{matrix}}"))
    return element[element.index(">") + 1 : element.rindex("</math>")]


def table(rows: Sequence[str], display: bool = False) -> str:
    """Return rows of cells as one MathML formula; an empty row is a gap."""
    gap = '<mtr><mtd><mspace height="1em"></mspace></mtd></mtr>'
    body = "".join(row or gap for row in rows)
    shown = ' display="block"' if display else ""
    return (
        f'<math xmlns="http://www.w3.org/1998/Math/MathML"{shown}>'
        f'<mtable displaystyle="true">{body}</mtable></math>'
    )


# -- what stands under a line of text ------------------------------------------------------------


def below(notes: list[Under]) -> list[str]:
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
