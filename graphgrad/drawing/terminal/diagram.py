"""A graph as plain data for the terminal: boxes and arrows.

What one can do here: make ``Box`` and ``Arrow``, check that they fit each other, and make their
text safe to print.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from graphgrad.drawing.terminal.canvas import State, clean, cut, plain_ascii
from graphgrad.errors import DrawingError

__all__ = ["Arrow", "Box", "checked", "ports", "spelled_arrow", "spelled_box"]

LONGEST = 32  # cells; what is longer makes the drawing unreadable


@dataclass(frozen=True, slots=True)
class Box:
    """A node to draw.

    Attributes:
        id: Its name for arrows; not drawn.
        lines: What it says. Of a value: name, value, adjoint, as many as there are. Of an
            operation: its sign.
        x: Middle, as of ``layout.NodePlace``; boxes with the same x are in one column.
        y: Middle, downwards.
        kind: "value" or "op".
        state: "pending", "done", or "current", which is accented.
        tones: The color of each line: "value", "adjoint" or "".
        room: Cells to keep free for text at least, so that frames of one graph stay still.
    """

    id: str
    lines: Sequence[str]
    x: float
    y: float
    kind: Literal["value", "op"] = "value"
    state: State = "done"
    tones: Sequence[str] = ()
    room: int = 0


@dataclass(frozen=True, slots=True)
class Arrow:
    """An edge to draw, from the input on the left to the result on the right.

    Attributes:
        tail: The id of the input. Two arrows between the same boxes are two lines.
        head: The id of the result.
        back: Whether the arrowhead is at the tail, as in the backward phase.
        state: "pending" (dotted), "done", or "current" (heavy).
        label: A few characters on the line.
        points: The way Graphviz chose, as of ``layout.EdgePlace``; only its height is heeded, and
            only where the arrow passes other columns.
        room: Cells to keep free for the label at least.
    """

    tail: str
    head: str
    back: bool = False
    state: State = "done"
    label: str = ""
    points: Sequence[tuple[float, float]] = ()
    room: int = 0


def checked(boxes: Sequence[Box], arrows: Sequence[Arrow]) -> None:
    """Makes sure that arrows know their ends.

    Raises:
        DrawingError: If an id is there twice, or an arrow's end is not there.
    """
    ids = Counter(box.id for box in boxes)
    twice = [name for name, count in ids.items() if count > 1]
    if twice:
        raise DrawingError(f"two boxes with the id {twice[0]!r}: expected a different id for each")
    for arrow in arrows:
        for end in (arrow.tail, arrow.head):
            if end not in ids:
                raise DrawingError(
                    f"the arrow {arrow.tail!r} -> {arrow.head!r} has an end without a box: "
                    f"expected {end!r} among {sorted(ids)}"
                )


def spelled_box(box: Box, ascii: bool) -> Box:
    """The same box with text that is safe to print: clean, short, ASCII if need be."""
    return dataclasses.replace(box, lines=tuple(_spelled(t, ascii) for t in box.lines) or ("",))


def spelled_arrow(arrow: Arrow, ascii: bool) -> Arrow:
    """The same arrow with a label that is safe to print."""
    return dataclasses.replace(arrow, label=_spelled(arrow.label, ascii))


def _spelled(text: str, ascii: bool) -> str:
    text = plain_ascii(clean(text)) if ascii else clean(text)
    return cut(text, LONGEST, ascii)


def ports(arrows: Sequence[Arrow]) -> list[int]:
    """Numbers parallel arrows, so that they leave their box on different rows."""
    seen: Counter[tuple[str, str]] = Counter()
    numbers = []
    for arrow in arrows:
        numbers.append(seen[arrow.tail, arrow.head])
        seen[arrow.tail, arrow.head] += 1
    return numbers
