"""Labels in the DOT language: quoted text, and tables of lines of a known size."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

from graphgrad.drawing.style import line_height, text_width
from graphgrad.explain.names import visible
from graphgrad.explain.steps import BAR, UNBAR

__all__ = ["TABLE", "Row", "Size", "font", "html", "quoted", "row", "width_of"]

TABLE = '<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="{pad}">{rows}</TABLE>'


def quoted(text: str) -> str:
    """Return text as a double-quoted DOT string in which nothing is an escape."""
    return '"' + visible(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def html(text: str) -> str:
    """Return marked text for an HTML-like label: escaped, adjoints with a bar over them."""
    text = escape(visible_marked(text)).replace(BAR, "<O>").replace(UNBAR, "</O>")
    return text.replace("\\", "\\\\")  # \\N would become the node's name, even in HTML


def visible_marked(text: str) -> str:
    """Return marked text with all control characters but the marks written as escapes."""
    parts = text.replace(UNBAR, BAR).split(BAR)
    marks = [c for c in text if c in (BAR, UNBAR)]
    shown = [visible(p) for p in parts]
    return "".join(p + m for p, m in zip(shown, [*marks, ""]))


def row(text: str, size: float, color: str, bold: bool = False, italic: bool = False) -> Row:
    """Return marked text as a line of a label."""
    return Row(font(text, size, color, bold, italic), line_height(size))


def font(text: str, size: float, color: str, bold: bool = False, italic: bool = False) -> str:
    """Return marked text in a size and a colour."""
    body = html(text)
    body = f"<B>{body}</B>" if bold else body
    body = f"<I>{body}</I>" if italic else body
    return f'<FONT POINT-SIZE="{size:g}" COLOR="{color}">{body}</FONT>'


def width_of(lines: Iterable[str], size: float, bold: bool = False) -> float:
    """Return the width of the longest line in points."""
    return max((text_width(line, size, bold) for line in lines), default=0.0)


@dataclass(frozen=True)
class Row:
    """One line of a label, and the height it needs."""

    html: str
    height: int


@dataclass(frozen=True)
class Size:
    """Room for a label, in points."""

    width: int
    height: int

    def table(self, rows: list[Row]) -> str:
        """Return the rows as a table of this size; spare height is shared among them."""
        spare, odd = divmod(self.height - sum(row.height for row in rows), max(len(rows), 1))
        cells = "".join(
            f'<TR><TD WIDTH="{self.width}" HEIGHT="{row.height + spare + (k < odd)}">'
            f"{row.html}</TD></TR>"
            for k, row in enumerate(rows or [Row("", 0)])
        )
        return TABLE.format(pad=0, rows=cells)
