"""Draws a graph in the terminal, from left to right, with Unicode box characters.

What one can do here: describe nodes as ``Box`` and edges as ``Arrow``, with the coordinates that
``layout.coordinates`` gives, and ``render`` them to text. Neither knows of graphgrad's graphs.

* A value is a box of a few lines, an operation is ``(×)``. The current one has double lines, a
  pending one dotted lines; lines of arrows are heavy, light and dotted in the same sense.
* ``┼`` is a crossing without contact; lines that fork or join do so at ``├ ┤ ┬ ┴``. Where a line
  that forked joins another one, ``▲`` or ``▼`` shows which way it goes.
* Columns are Graphviz's columns; rows follow its heights as far as nothing overlaps. Neither
  depends on states, so that frames of one graph stay still; ``room`` keeps space for longer text.
* A label stands on its line if it has a piece of line of its own, else below the drawing.
* If the drawing is too wide, all labels move below it; if it is still too wide, has arrows that do
  not go to the right, or more than ``LARGEST`` parts, it becomes a list, one line per value.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from graphgrad.drawing.terminal.canvas import LEFT, RIGHT, STRENGTH, Canvas, State, cell_width
from graphgrad.drawing.terminal.channel import Leg, route
from graphgrad.drawing.terminal.diagram import Arrow, Box, checked, spelled_arrow, spelled_box
from graphgrad.drawing.terminal.listing import labels, listed
from graphgrad.drawing.terminal.rows import Placed, place

__all__ = ["Arrow", "Box", "render"]

LARGEST = 300  # boxes and arrows; more are no help in a terminal
NARROWEST = 3  # cells between columns: a bit of line and an arrowhead at either end

# Corners and sides of a value's box: upper left, upper right, lower left, lower right, ─, │.
FRAMES: dict[State, tuple[str, ...]] = {
    "done": tuple("┌┐└┘─│"),
    "pending": tuple("┌┐└┘┄┆"),
    "current": tuple("╔╗╚╝═║"),
}
BRACKETS: dict[State, tuple[str, str]] = {
    "done": ("(", ")"),
    "pending": ("┆", "┆"),
    "current": ("║", "║"),
}


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
        >>> x, y = Box("x", ["x", "2"], 0, 0), Box("y", ["y", "4"], 80, 0)
        >>> square = Box("square", ["×"], 40, 0, "op")
        >>> arrows = [Arrow("x", "square"), Arrow("x", "square"), Arrow("square", "y")]
        >>> print(render([x, square, y], arrows))
        ┌───┐         ┌───┐
        │ x │─┬▶(×)──▶│ y │
        │ 2 │─┘       │ 4 │
        └───┘         └───┘
    """
    checked(boxes, arrows)
    boxes = [spelled_box(box, ascii) for box in boxes]
    arrows = [spelled_arrow(arrow, ascii) for arrow in arrows]
    placed = place(boxes, arrows) if len(boxes) + len(arrows) <= LARGEST else None
    for inline in (True, False):
        if placed is not None:
            drawing = _Drawing(placed, arrows, inline)
            below = labels(drawing.homeless, boxes, arrows, ascii=ascii)
            widest = max([drawing.canvas.width(), *map(cell_width, below)])
            if width is None or widest <= width:
                return "\n".join([drawing.canvas.text(color, ascii), *below])
    return listed(boxes, arrows, width=width, color=color, ascii=ascii)


class _Drawing:
    """A canvas with everything on it, and the arrows whose labels found no place there."""

    def __init__(self, placed: Placed, arrows: Sequence[Arrow], inline: bool) -> None:
        """Routes arrows gap by gap, which tells how wide the gaps are, and then draws."""
        self.placed, self.arrows, self.canvas = placed, arrows, Canvas()
        self.home = self._find_homes() if inline else {}
        self.homeless = [a for n, a in enumerate(arrows) if a.label and n not in self.home]
        gaps = range(len(placed.columns) - 1)
        self.lines = [self._lines(gap) for gap in gaps]
        self.routes = [route(list(lines)) for lines in self.lines]
        self._find_starts()
        for gap in gaps:
            self._draw_lines(gap)
        for box in (box for column in placed.columns for box in column):
            self._draw_box(box)
        for number in sorted(range(len(arrows)), key=lambda n: STRENGTH[arrows[n].state]):
            self._draw_ends(number)

    def _find_homes(self) -> dict[int, str]:
        """The side of its gap where each label has a line of its own: the tail's, or the head's."""
        ways = self.placed.ways
        leaving = Counter((a.tail, way[0]) for a, way in zip(self.arrows, ways, strict=True))
        coming = Counter(a.head for a in self.arrows)
        home = {}
        for number, (arrow, way) in enumerate(zip(self.arrows, ways, strict=True)):
            if (arrow.label or arrow.room) and leaving[arrow.tail, way[0]] == 1:
                home[number] = "tail"
            elif (arrow.label or arrow.room) and coming[arrow.head] == 1:
                home[number] = "head"
        return home

    def _lines(self, gap: int) -> dict[tuple[int, int], list[int]]:
        """The lines through a gap, by their rows at its sides, and which arrows share them."""
        lines = defaultdict(list)
        for number, (arrow, way) in enumerate(zip(self.arrows, self.placed.ways, strict=True)):
            step = gap - self.placed.column[arrow.tail]
            if 0 <= step < len(way) - 1:
                lines[way[step], way[step + 1]].append(number)
        return lines

    def _find_starts(self) -> None:
        """The first cell of each column and of the tracks in each gap."""
        self.start, self.tracks = [0], []
        for gap, (_, tracks) in enumerate(self.routes):
            end = self.start[-1] + max(map(_width, self.placed.columns[gap]))
            at_tail = self._label_room(gap, "tail")
            self.tracks.append(end + 1 + at_tail)
            width = 1 + at_tail + tracks + self._label_room(gap, "head") + 1
            self.start.append(end + max(width, NARROWEST))

    def _label_room(self, gap: int, side: str) -> int:
        """Cells for the labels at one side of a gap: a blank around each, and a bit of line."""
        return max(
            (
                max(cell_width(arrow.label), arrow.room) + 3
                for number, arrow in enumerate(self.arrows)
                if self.home.get(number) == side and gap == self._gap_of_label(number)
            ),
            default=0,
        )

    def _gap_of_label(self, number: int) -> int:
        arrow = self.arrows[number]
        column = self.placed.column
        return column[arrow.tail] if self.home[number] == "tail" else column[arrow.head] - 1

    def _left(self, box: Box) -> int:
        """A box's first cell: boxes stand in the middle of their column."""
        column = self.placed.column[box.id]
        widest = max(map(_width, self.placed.columns[column]))
        return self.start[column] + (widest - _width(box)) // 2

    def _draw_lines(self, gap: int) -> None:
        routes, lines = self.routes[gap][0], self.lines[gap]
        for legs, ((row, _), numbers) in zip(routes, lines.items(), strict=True):
            x, end = self._ends(gap, numbers[0])
            state = self._state(numbers)
            for leg in legs:
                turn = self.tracks[gap] + leg.track
                self.canvas.horizontal(row, x, turn, state)
                self.canvas.vertical(turn, leg.start, leg.end, state)
                x, row = turn, leg.end
            self.canvas.horizontal(row, x, end, state)
        forks, joints = Counter(left for left, _ in lines), Counter(right for _, right in lines)
        for legs, ((left, right), numbers) in zip(routes, lines.items(), strict=True):
            if legs and forks[left] > 1 and joints[right] > 1:
                self._draw_joint(gap, legs, numbers)

    def _draw_joint(self, gap: int, legs: list[Leg], numbers: list[int]) -> None:
        """Tells where a line flows to when it forks at one end and joins others at the other."""
        back = any(self.arrows[n].back for n in numbers)
        leg = legs[0] if back else legs[-1]
        row, source = (leg.start, leg.end) if back else (leg.end, leg.start)
        column = self.tracks[gap] + leg.track
        if self.canvas.has_arm(row, column, RIGHT if back else LEFT):
            self.canvas.write(
                row, column, "▼" if source < row else "▲", _style(self._state(numbers))
            )

    def _state(self, numbers: list[int]) -> State:
        """Of a line that several arrows share."""
        return max((self.arrows[n].state for n in numbers), key=STRENGTH.__getitem__)

    def _ends(self, gap: int, number: int) -> tuple[int, int]:
        """Where an arrow's line through a gap begins and ends: under boxes, or in lanes."""
        arrow, column = self.arrows[number], self.placed.column
        tail, head = self.placed.box[arrow.tail], self.placed.box[arrow.head]
        begin = self._left(tail) + _width(tail) - 1 if column[arrow.tail] == gap else None
        end = self._left(head) if column[arrow.head] == gap + 1 else None
        return (
            self.start[gap] if begin is None else begin,
            self.start[gap + 1] if end is None else end,
        )

    def _draw_box(self, box: Box) -> None:
        left, top, width = self._left(box), self.placed.top[box.id], _width(box)
        frame_style = _style(box.state)
        if box.kind == "op":
            before, after = BRACKETS[box.state]
            sign = _centered(box.lines[0], width - 2)
            self.canvas.write(top, left, before + sign + after, frame_style or "op")
            return
        upper_left, upper_right, lower_left, lower_right, flat, side = FRAMES[box.state]
        height = self.placed.height[box.id]
        self.canvas.write(top, left, upper_left + flat * (width - 2) + upper_right, frame_style)
        for number in range(height - 2):
            line = box.lines[number] if number < len(box.lines) else ""
            tone = box.tones[number] if number < len(box.tones) else ""
            row = top + 1 + number
            self.canvas.write(row, left, side + " " * (width - 2) + side, frame_style)
            self.canvas.write(row, left + 2, _centered(line, width - 4), tone or frame_style)
        below = lower_left + flat * (width - 2) + lower_right
        self.canvas.write(top + height - 1, left, below, frame_style)

    def _draw_ends(self, number: int) -> None:
        """Draws an arrow's head and label."""
        arrow, way = self.arrows[number], self.placed.ways[number]
        style = _style(arrow.state)
        tail, head = self.placed.box[arrow.tail], self.placed.box[arrow.head]
        if arrow.back:
            self.canvas.write(way[0], self._left(tail) + _width(tail), "◀", style)
        else:
            self.canvas.write(way[-1], self._left(head) - 1, "▶", style)
        home = self.home.get(number)
        if arrow.label and home:
            gap, text = self._gap_of_label(number), f" {arrow.label} "
            before_tracks = self.tracks[gap] - self._label_room(gap, "tail")
            x = before_tracks if home == "tail" else self.start[gap + 1] - 1 - cell_width(text)
            self.canvas.write(way[0] if home == "tail" else way[-1], x, text, style)


def _style(state: State) -> str:
    return "" if state == "done" else state


def _width(box: Box) -> int:
    return max([box.room, *map(cell_width, box.lines)]) + (2 if box.kind == "op" else 4)


def _centered(text: str, width: int) -> str:
    space = width - cell_width(text)
    return " " * (space // 2) + text + " " * (space - space // 2)
