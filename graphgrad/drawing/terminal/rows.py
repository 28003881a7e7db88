"""Puts boxes into columns and rows of terminal cells, and arrows that pass columns into lanes.

What one can do here: ``place(boxes, arrows)`` finds for every box its column and rows, and for
every arrow the row on which it passes each column.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from graphgrad.drawing.terminal.diagram import Arrow, Box, ports

__all__ = ["Placed", "place"]

SAME_COLUMN = 1.0  # points
DENSEST = 0.2  # rows per point: nothing Graphviz draws is smaller than five points
LOOSEST = 1 / 16
STRAIGHT = 2  # rows a lane may miss its wish by to go straight on


@dataclass(slots=True)
class Placed:
    """Where everything is, in cells.

    Attributes:
        box: The boxes by id.
        columns: The boxes of each column, from above.
        column: The column of each box, by id.
        top: The first row of each box, by id.
        height: Its number of rows.
        ways: For each arrow its rows, from the tail's column to the head's.
    """

    box: dict[str, Box] = field(default_factory=dict)
    columns: list[list[Box]] = field(default_factory=list)
    column: dict[str, int] = field(default_factory=dict)
    top: dict[str, int] = field(default_factory=dict)
    height: dict[str, int] = field(default_factory=dict)
    ways: list[list[int]] = field(default_factory=list)

    def middle(self, id: str) -> int:
        """The row on which arrows come in."""
        return self.top[id] + (self.height[id] - 1) // 2


@dataclass(slots=True)
class _Item:
    """A box or a lane in a column: where it would like its middle row, and how many it needs."""

    key: tuple[str, int]
    y: float
    wish: float
    height: int = 1


def place(boxes: Sequence[Box], arrows: Sequence[Arrow]) -> Placed | None:
    """Places boxes and arrows such that nothing overlaps.

    Args:
        boxes: Their x tells the column, their y the order and about the row.
        arrows: Between boxes of different columns.

    Returns:
        The places, or None if some arrow does not go to the right.
    """
    placed = Placed(box={box.id: box for box in boxes})
    _find_columns(placed, boxes)
    if any(placed.column[arrow.tail] >= placed.column[arrow.head] for arrow in arrows):
        return None
    numbers = ports(arrows)
    count = defaultdict(lambda: 1, {box.id: 1 for box in boxes})
    for arrow, number in zip(arrows, numbers, strict=True):
        count[arrow.tail] = max(count[arrow.tail], number + 1)
    for box in boxes:
        lines = max(len(box.lines), count[box.id])
        placed.height[box.id] = 1 if box.kind == "op" else lines + 2
    lanes = _find_rows(placed, arrows, numbers)
    for arrow, number in zip(arrows, numbers, strict=True):
        first, last = placed.column[arrow.tail], placed.column[arrow.head]
        passing = [lanes[arrow.tail, number, c] for c in range(first + 1, last)]
        start = _port(placed, arrow.tail, number, count[arrow.tail])
        placed.ways.append([start, *passing, placed.middle(arrow.head)])
    return placed


def _find_columns(placed: Placed, boxes: Sequence[Box]) -> None:
    before: float | None = None
    for box in sorted(boxes, key=lambda b: (b.x, b.y, b.id)):
        if before is None or box.x - before > SAME_COLUMN:
            placed.columns.append([])
            before = box.x
        placed.columns[-1].append(box)
        placed.column[box.id] = len(placed.columns) - 1
    for column in placed.columns:
        column.sort(key=lambda b: (b.y, b.id))


def _port(placed: Placed, id: str, number: int, count: int) -> int:
    """The row on which an arrow leaves: the middle one, or those around it for parallel arrows."""
    height = placed.height[id]
    if height == 1:
        return placed.top[id]
    first = min((height - 1) // 2 - (count - 1) // 2, height - 1 - count)
    return placed.top[id] + max(first, 1) + number


def _find_rows(
    placed: Placed, arrows: Sequence[Arrow], numbers: Sequence[int]
) -> dict[tuple[str, int, int], int]:
    """Fills in ``placed.top``; returns the row of each lane by tail, port and column."""
    scale = _scale(placed)
    lanes: dict[tuple[str, int, int], int] = {}
    for c, column in enumerate(placed.columns):
        items = [_Item((b.id, -1), b.y, b.y * scale, placed.height[b.id]) for b in column]
        for key, y in _passing(placed, arrows, numbers, c).items():
            wish = y * scale
            before = lanes.get((*key, c - 1))
            if before is not None and abs(before - wish) <= STRAIGHT:
                wish = before
            items.append(_Item(key, y, wish))
        items.sort(key=lambda item: (item.y, item.key))
        for item, top in zip(items, _pushed_apart(items), strict=True):
            id, number = item.key
            if number < 0:
                placed.top[id] = top
            else:
                lanes[id, number, c] = top
    return lanes


def _scale(placed: Placed) -> float:
    """Rows per point: such that no two boxes of a column overlap, if that is not too much."""
    needed = LOOSEST
    for column in placed.columns:
        for above, below in pairwise(column):
            rows = (placed.height[above.id] + placed.height[below.id]) / 2
            if below.y > above.y:
                needed = max(needed, rows / (below.y - above.y))
    return min(needed, DENSEST)


def _passing(
    placed: Placed, arrows: Sequence[Arrow], numbers: Sequence[int], c: int
) -> dict[tuple[str, int], float]:
    """The height of every lane in a column. Arrows from one tail share a lane while they can."""
    x = placed.columns[c][0].x
    found: dict[tuple[str, int], float] = {}
    for arrow, number in zip(arrows, numbers, strict=True):
        tail, head = placed.box[arrow.tail], placed.box[arrow.head]
        if placed.column[arrow.tail] < c < placed.column[arrow.head]:
            way = [(tail.x, tail.y), *arrow.points, (head.x, head.y)]
            found.setdefault((arrow.tail, number), _height_at(x, way))
    return found


def _height_at(x: float, way: Sequence[tuple[float, float]]) -> float:
    for (x0, y0), (x1, y1) in pairwise(way):
        if x0 <= x <= x1:
            return y0 if x0 == x1 else y0 + (y1 - y0) * (x - x0) / (x1 - x0)
    return way[-1][1]


def _pushed_apart(items: Sequence[_Item]) -> list[int]:
    """First rows, in order and without overlap, as near to the wishes as squares can tell.

    This is isotonic regression by pooling adjacent violators (Barlow and others, 1972): items that
    want the same place form a block around the mean of their wishes.
    """
    blocks: list[list[float]] = []  # mean wish of the first row above which all of it stands, count
    stacked = 0
    for item in items:
        top = round(item.wish) - (item.height - 1) // 2
        blocks.append([top - stacked, 1])
        stacked += item.height
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            mean, count = blocks.pop()
            other, others = blocks[-1]
            blocks[-1] = [(mean * count + other * others) / (count + others), count + others]
    tops: list[int] = []
    stacked = 0
    bases = [round(mean) for mean, count in blocks for _ in range(int(count))]
    for base, item in zip(bases, items, strict=True):
        tops.append(base + stacked)
        stacked += item.height
    return tops
