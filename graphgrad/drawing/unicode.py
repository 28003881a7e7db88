"""Draws a graph in the terminal, from left to right, with Unicode box characters.

What one can do here: describe nodes as ``Box`` and edges as ``Arrow``, with the coordinates that
``layout.coordinates`` gives, and ``render`` them to text. Neither knows of graphgrad's graphs.

* A value is a box of a few lines, an operation is ``(×)``. The current one has double lines, a
  pending one dotted lines; lines of arrows are heavy, light and dotted in the same sense.
* ``┼`` is a crossing without contact; lines that fork or join do so at ``├ ┤ ┬ ┴``.
* Columns are Graphviz's columns; rows follow its heights as far as nothing overlaps. Neither
  depends on states, so that frames of one graph stay still; ``room`` keeps space for longer text.
* A label stands on its line if it has a piece of line of its own, else below the drawing.
* If the drawing is too wide, all labels move below it; if it is still too wide, has arrows that do
  not go to the right, or more than ``LARGEST`` parts, it becomes a list, one line per value.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

from graphgrad.drawing.terminal.canvas import STRENGTH, Canvas, State, cell_width
from graphgrad.drawing.terminal.channel import route
from graphgrad.drawing.terminal.diagram import Arrow, Box, checked, ports, spelled
from graphgrad.drawing.terminal.listing import labels, listed
from graphgrad.drawing.terminal.rows import Placed, place

__all__ = ["Arrow", "Box", "render"]

LARGEST = 300  # boxes and arrows; more are no help in a terminal

# Corners and sides of a value's box: upper left, upper right, lower left, lower right, ─, │.
FRAMES: dict[State, str] = {"done": "┌┐└┘─│", "pending": "┌┐└┘┄┆", "current": "╔╗╚╝═║"}
BRACKETS: dict[State, str] = {"done": "()", "pending": "┆┆", "current": "║║"}


def render(
    boxes: Sequence[Box],
    arrows: Sequence[Arrow],
    *,
    width: int | None = None,
    color: bool = False,
    ascii: bool = False,
) -> str:
    """Draws boxes and arrows as text.

    Args:
        boxes: The nodes; ids must differ.
        arrows: The edges between them.
        width: The terminal's width in cells; the result is not wider. Any width if None.
        color: Whether to color with ANSI codes.
        ascii: Whether to do without Unicode; text is spelled out, as ``x_bar`` for x̄.

    Returns:
        Lines without trailing blanks, joined by newlines: a drawing, or a list if it is too wide.

    Raises:
        DrawingError: If an id is there twice, or an arrow's end is not there.

    Example:
        >>> x, f, y = Box("x", ["x", "2"], 0, 0), Box("f", ["exp"], 9, 0, "op"), Box("y", ["y"], 18, 0)
        >>> print(render([x, f, y], [Arrow("x", "f"), Arrow("f", "y")]))
        ┌───┐
        │ x │           ┌───┐
        │ 2 │──▶(exp)──▶│ y │
        └───┘           └───┘
    """
    checked(boxes, arrows)
    boxes = [spelled(box, ascii) for box in boxes]
    arrows = [spelled(arrow, ascii) for arrow in arrows]
    placed = place(boxes, arrows) if len(boxes) + len(arrows) <= LARGEST else None
    for inline in (True, False):
        if placed is not None:
            drawing = _Drawing(placed, arrows, inline)
            below = labels(boxes, drawing.homeless, ascii=ascii)
            widest = max([drawing.canvas.width(), *map(cell_width, below)])
            if width is None or widest <= width:
                return "\n".join([drawing.canvas.text(color, ascii), *below])
    return listed(boxes, arrows, width=width, color=color, ascii=ascii)


class _Drawing:
    """A canvas with everything on it, and the arrows whose labels found no place."""

    def __init__(self, placed: Placed, arrows: Sequence[Arrow], inline: bool) -> None:
        """Routes arrows gap by gap, which tells how wide gaps are, and then draws."""
        self.placed, self.arrows, self.canvas = placed, arrows, Canvas()
        self.homeless: list[Arrow] = []
        last = len(placed.columns) - 1
        self.left_label, self.right_label = self._homes(inline)
        self.widths = [max(map(_box_width, column)) for column in placed.columns]
        self.lines = [self._lines(gap) for gap in range(last)]
        self.routes = [route(list(lines)) for lines in self.lines]
        self.start = [0]
        for gap in range(last):
            self.start.append(self.start[gap] + self.widths[gap] + self._gap_width(gap))
        for gap in range(last):
            self._draw_gap(gap)
        for column in placed.columns:
            for box in column:
                self._draw_box(box)
        for number, arrow in enumerate(arrows):
            self._draw_head(arrow, placed.ways[number])
            self._draw_label(number)
