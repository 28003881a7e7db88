"""Drawings in the terminal: read them as a person would, along the lines from box to box."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphgrad.drawing.terminal.canvas import JOINS, Canvas, cell_width, cells, clean, plain_ascii
from graphgrad.drawing.terminal.channel import route
from graphgrad.drawing.unicode import Arrow, Box, render
from graphgrad.errors import DrawingError

# --- the lesson's graph, |4 − (x·w + b)|, at the coordinates Graphviz gave it

PLACES = {
    "x": (27, 28), "w": (27, 108), "m": (178, 68), "x1": (258, 68), "b": (258, 148),
    "p": (391, 120), "x2": (471, 120), "c": (471, 193), "s": (608, 172), "d": (688, 172),
    "a": (885, 172), "L": (965, 172),
}  # fmt: skip
SIGNS = {"m": "×", "p": "+", "s": "−", "a": "|·|"}
TEXTS = {
    "x": ("x", "2", "x̄ = –"), "w": ("w", "3", "w̄ = –"), "b": ("b", "1", "b̄ = 1"),
    "x1": ("x₁", "6", "x̄₁ = 1"), "x2": ("x₂", "7", "x̄₂ = 1"), "c": ("4",),
    "d": ("d", "−3", "d̄ = −1"), "L": ("loss", "3", "loss̄ = 1"),
}  # fmt: skip
EDGES = ["x-m", "w-m", "m-x1", "x1-p", "b-p", "p-x2", "c-s", "x2-s", "s-d", "d-a", "a-L"]
TONES = ("", "value", "adjoint")


def lesson(phase: str) -> tuple[list[Box], list[Arrow]]:
    """Forward: at the step of x₂. Backward: at the edge from x₂ to x₁."""
    back = phase == "backward"
    pending = {"x", "w", "m"} if back else {"s", "d", "a", "L"}
    current = "x1" if back else "x2"
    boxes, arrows = [], []
    for id, place in PLACES.items():
        state = "pending" if id in pending else "current" if id == current else "done"
        if id in SIGNS:
            boxes.append(Box(id, [SIGNS[id]], *place, kind="op", state=state))
        else:
            lines = TEXTS[id] if back else TEXTS[id][:2]
            tones = TONES if len(lines) > 1 else ("value",)
            boxes.append(Box(id, lines, *place, state=state, tones=tones))
    for edge in EDGES:
        tail, head = edge.split("-")
        state = "pending" if pending & {tail, head} or (back and tail == "c") else "done"
        if edge == ("x1-p" if back else "p-x2"):
            state = "current"
        label = "−1" if back and edge == "x2-s" else ""
        arrows.append(Arrow(tail, head, back and tail != "c", state, label))
    return boxes, arrows


FORWARD = """\
┌───┐
│ x │─┐
│ 2 │ │       ┌────┐
└───┘ ├▶(×)──▶│ x₁ │─┐
      │       │ 6  │ │
┌───┐ │       └────┘ │
│ w │─┘              │       ╔════╗
│ 3 │         ┌───┐  ├▶(+)━━▶║ x₂ ║┄┐
└───┘         │ b │──┘       ║ 7  ║ ┆
              │ 1 │          ╚════╝ ┆       ┌┄┄┄┄┐           ┌┄┄┄┄┄┄┐
              └───┘          ┌───┐  ├▶┆−┆┄┄▶┆ d  ┆┄┄▶┆|·|┆┄┄▶┆ loss ┆
                             │ 4 │┄┄┘       ┆ −3 ┆           ┆  3   ┆
                             └───┘          └┄┄┄┄┘           └┄┄┄┄┄┄┘"""

BACKWARD = """\
┌┄┄┄┄┄┄┄┐
┆   x   ┆
┆   2   ┆◀┐       ╔════════╗
┆ x̄ = – ┆ ┆       ║   x₁   ║
└┄┄┄┄┄┄┄┘ ├┄┆×┆◀┄┄║   6    ║◀┓
┌┄┄┄┄┄┄┄┐ ┆       ║ x̄₁ = 1 ║ ┃
┆   w   ┆ ┆       ╚════════╝ ┃       ┌────────┐
┆   3   ┆◀┘       ┌───────┐  ┃       │   x₂   │
┆ w̄ = – ┆         │   b   │  ┡━(+)◀──│   7    │◀ −1 ─┐
└┄┄┄┄┄┄┄┘         │   1   │◀─┘       │ x̄₂ = 1 │      │       ┌────────┐           ┌──────────┐
                  │ b̄ = 1 │          └────────┘      │       │   d    │           │   loss   │
                  └───────┘            ┌───┐         ├▶(−)◀──│   −3   │◀──(|·|)◀──│    3     │
                                       │ 4 │┄┄┄┄┄┄┄┄┄┘       │ d̄ = −1 │           │ loss̄ = 1 │
                                       └───┘                 └────────┘           └──────────┘"""

ASCII_FORWARD = """\
+---+
| x |-+
| 2 | |       +----+
+---+ +>(*)-->| x1 |-+
      |       | 6  | |
+---+ |       +----+ |
| w |-+              |       ######
| 3 |         +---+  +>(+)==># x2 #.+
+---+         | b |--+       # 7  # :
              | 1 |          ###### :       +....+           +......+
              +---+          +---+  +>:-:..>: d  :..>:|.|:..>: loss :
                             | 4 |..+       : -3 :           :  3   :
                             +---+          +....+           +......+"""

LIST = """\
┄ x = 2, x̄ = –
┄ w = 3, w̄ = –
▶ x₁ = x × w = 6, x̄₁ = 1
  b = 1, b̄ = 1
  x₂ = x₁ + b = 7, x̄₂ = 1
  4
  d = x₂ − 4 = −3, d̄ = −1
  loss = |d| = 3, loss̄ = 1

x₂ ← − ← d: −1"""


def test_forward():
    assert render(*lesson("forward")) == FORWARD


def test_backward():
    assert render(*lesson("backward"), width=100) == BACKWARD


def test_ascii():
    assert render(*lesson("forward"), ascii=True) == ASCII_FORWARD
    assert render(*lesson("backward"), ascii=True).isascii()


def test_list_when_the_terminal_is_narrow():
    boxes, arrows = lesson("backward")
    arrows.sort(key=lambda a: a.tail == "c")  # the operands of − in the order drawn here
    assert render(boxes, arrows, width=60) == LIST
    short = render(boxes, arrows, width=12, ascii=True)
    assert short.splitlines()[:3] == [". x = 2, ...", ". w = 3, ...", "> x1 = x ..."]


def test_labels_move_below_before_the_drawing_becomes_a_list():
    boxes, arrows = lesson("backward")
    *lines, label = render(boxes, arrows, width=92).splitlines()
    assert label == "x₂ ← − ← d: −1"
    assert "\n".join(lines) == render(boxes, [replace(arrow, label="") for arrow in arrows])


def test_color_adds_only_color():
    for phase, drawing in ("forward", FORWARD), ("backward", BACKWARD):
        colored = render(*lesson(phase), color=True)
        assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == drawing
        assert all(
            line.count("\x1b[0m") >= line.count("\x1b[1;33m") for line in colored.split("\n")
        )
    assert "\x1b[32m7 \x1b[0m" in render(*lesson("forward"), color=True)
    assert "\x1b[31mb̄ = 1\x1b[0m" in render(*lesson("backward"), color=True)


def test_states_do_not_move_anything():
    boxes, arrows = lesson("backward")
    still = [replace(box, state="done") for box in boxes]
    frame = render(still, [replace(arrow, state="done") for arrow in arrows])
    bare = re.compile(r"[^\w\s]")
    assert bare.sub("#", frame) == bare.sub("#", BACKWARD)


def test_room_keeps_frames_still():
    def frame(adjoint: str, label: str) -> list[int]:
        boxes = [Box("x", ["x", adjoint], 0, 0, room=9), Box("y", ["y"], 50, 0)]
        drawing = render(boxes, [Arrow("x", "y", True, label=label, room=6)])
        return [len(line) for line in drawing.splitlines()]

    assert frame("–", "") == frame("−123.4567", "−1.234")


# --- anything that can be drawn

ARMS = {c: (i // 27, i // 9 % 3, i // 3 % 3, i % 3) for i, c in enumerate(JOINS) if i}
ARMS |= {"┄": ARMS["─"], "┆": ARMS["│"]}
STEP = {"U": (-1, 0), "D": (1, 0), "R": (0, 1), "L": (0, -1)}
SEEN_FROM = {"U": "D", "D": "U", "R": "L", "L": "R"}


def reached(lines: list[str], row: int, column: int, ahead: str) -> set[tuple[int, int]]:
    """Follows the lines from a cell on, up, down and ahead, to the cells with arrowheads."""
    todo, seen, heads = [(row, column, ahead)], set(), set()
    while todo:
        row, column, heading = place = todo.pop()
        if place in seen:
            continue
        seen.add(place)
        char = lines[row][column]
        if char == ("▶" if ahead == "R" else "◀"):
            heads.add((row, column))
            continue
        if char in "▲▼":  # the line from below or above goes on ahead, like the one from behind
            assert heading in (ahead, "U" if char == "▲" else "D")
            ways = [ahead]
        else:
            arms = {d for d, arm in zip("URDL", ARMS[char], strict=True) if arm}
            assert SEEN_FROM[heading] in arms, f"nothing leads into {char!r} at {place}"
            ways = [heading] if len(arms) == 4 else sorted(arms & {ahead, "U", "D"})
        for way in ways:
            if way != SEEN_FROM[heading]:
                todo.append((row + STEP[way][0], column + STEP[way][1], way))
    return heads


def read(drawing: str, boxes: list[Box], back: bool) -> set[tuple[str, str]]:
    """The arrows a reader finds in a drawing whose boxes have one line, their id."""
    width = max(map(len, drawing.splitlines()))
    lines = [line.ljust(width + 1) for line in drawing.splitlines()]
    places = {}
    for box in boxes:
        text = f"│ {box.id} │" if box.kind == "value" else f"({box.id})"
        ((row, column),) = [(r, line.index(text)) for r, line in enumerate(lines) if text in line]
        places[box.id] = row, column, column + len(text)
    found = set()
    for id, (row, left, right) in places.items():
        start = left - 1 if back else right
        if start >= 0 and lines[row][start] not in " ▶◀":
            for end_row, end in reached(lines, row, start, "L" if back else "R"):
                (other,) = (
                    o for o, (r, a, b) in places.items()
                    if r == end_row and (b == end if back else a == end + 1)
                )  # fmt: skip
                found.add((other, id) if back else (id, other))
    return found


@st.composite
def layered(draw: st.DrawFn) -> tuple[list[Box], list[Arrow]]:
    """A graph as Graphviz would place it, at worst: ranks, and any heights at all."""
    sizes = draw(st.lists(st.integers(1, 5), min_size=1, max_size=6))
    heights = st.one_of(st.integers(0, 9).map(lambda y: y * 30.0), st.floats(0, 300))
    kinds = st.sampled_from(["value", "op"])
    boxes = [
        Box(f"n{rank}{number}", [f"n{rank}{number}"], 80.0 * rank, draw(heights), draw(kinds))
        for rank, size in enumerate(sizes)
        for number in range(size)
    ]
    pairs = [(a, b) for a in boxes for b in boxes if a.x < b.x]
    if not pairs:
        return boxes, []
    arrows = []
    some = st.lists(st.sampled_from(pairs), max_size=40, unique_by=lambda p: p[0].id + p[1].id)
    for a, b in draw(some):
        points = [((a.x + b.x) / 2, draw(heights))] if draw(st.booleans()) else []
        arrows.append(Arrow(a.id, b.id, points=points))
    return boxes, arrows


@given(layered(), st.booleans())
def test_every_arrow_can_be_read_and_no_other(graph, back):
    boxes, arrows = graph
    arrows = [replace(arrow, back=back) for arrow in arrows]
    drawing = render(boxes, arrows)
    assert read(drawing, boxes, back) == {(arrow.tail, arrow.head) for arrow in arrows}
    assert drawing == render(boxes, arrows)


@given(layered())
def test_boxes_do_not_overlap(graph):
    boxes, arrows = graph
    drawing = render([replace(box, lines=[box.id, "1", "2"]) for box in boxes], arrows)
    lines = drawing.splitlines()
    for box in boxes:
        text = ["┌─────┐", f"│ {box.id} │", "│  1  │", "│  2  │", "└─────┘"]
        text = text if box.kind == "value" else [f"({box.id})"]
        above = len(text) // 4
        ((row, left),) = [(r, line.index(text[above])) for r, line in enumerate(lines)
                          if text[above] in line]  # fmt: skip
        found = [line[left : left + len(text[0])] for line in lines[row - above :][: len(text)]]
        assert found == text


@given(layered(), st.integers(8, 120))
def test_nothing_is_wider_than_the_terminal(graph, width):
    boxes, arrows = graph
    arrows = [replace(arrow, label="∂ = 1") for arrow in arrows]
    drawing = render(boxes, arrows, width=width)
    assert all(cell_width(line) <= width for line in drawing.splitlines())
    assert all(line == line.rstrip() for line in drawing.splitlines())


@given(st.sets(st.tuples(st.integers(0, 8), st.integers(0, 8)), max_size=30).map(sorted))
def test_lines_share_cells_only_where_they_meet(pairs):
    legs, tracks = route(pairs)
    used: dict[tuple[str, int, int], set[int]] = {}
    for number, (left, right) in enumerate(pairs):
        row, column = left, -1
        for leg in legs[number]:
            assert (leg.start, column < leg.track < tracks) == (row, True)
            for x in range(column, leg.track):
                used.setdefault(("─", row, x), set()).add(number)
            for y in range(min(row, leg.end), max(row, leg.end)):
                used.setdefault(("│", y, leg.track), set()).add(number)
            row, column = leg.end, leg.track
        assert row == right
        for x in range(column, tracks):
            used.setdefault(("─", row, x), set()).add(number)
    for sharing in used.values():
        lefts, rights = {pairs[n][0] for n in sharing}, {pairs[n][1] for n in sharing}
        assert len(lefts) == 1 or len(rights) == 1


# --- special cases


def test_two_arrows_between_two_boxes_are_two_lines():
    boxes = [Box("x", ["x", "3"], 0, 0), Box("m", ["×"], 50, 0, "op")]
    assert render(boxes, [Arrow("x", "m"), Arrow("x", "m")]).splitlines() == [
        "┌───┐",
        "│ x │─┬▶(×)",
        "│ 3 │─┘",
        "└───┘",
    ]
    boxes[0] = Box("x", ["x"], 0, 0)
    assert len(render(boxes, [Arrow("x", "m")] * 3).splitlines()) == 5


def test_a_line_that_forked_tells_where_it_goes():
    corners = {"a": (0, 0), "b": (0, 60), "c": (90, 0), "d": (90, 60)}
    boxes = [Box(id, [id], *place) for id, place in corners.items()]
    arrows = [Arrow("a", "c"), Arrow("b", "c"), Arrow("b", "d")]
    assert render(boxes, arrows).splitlines()[1] == "│ a │─▲▶│ c │"
    backward = [replace(arrow, back=True) for arrow in arrows]
    assert render(boxes, backward).splitlines()[-2] == "│ b │◀▼─│ d │"


def test_an_arrow_passes_boxes_on_a_row_of_its_own():
    boxes = [Box(id, [id], 50 * i, 0) for i, id in enumerate("abc")]
    drawing = render(boxes, [Arrow("a", "b"), Arrow("b", "c"), Arrow("a", "c")])
    assert read(drawing, boxes, False) == {("a", "b"), ("b", "c"), ("a", "c")}
    assert len(drawing.splitlines()) == 4


def test_arrows_to_the_left_make_a_list():
    boxes = [Box("b", ["b", "1"], 50, 0), Box("a", ["a", "2"], 0, 0), Box("c", ["c"], 50, 50)]
    assert render(boxes, [Arrow("b", "a")]) == "  b = 1\n  a (b) = 2\n  c"
    assert render(boxes, [Arrow("b", "c", label="1")]).endswith("\n\nb → c: 1")


def test_too_many_boxes_make_a_list():
    boxes = [Box(str(i), [f"v{i}", "0"], 0, 30 * i) for i in range(400)]
    assert render(boxes, []).splitlines()[399] == "  v399 = 0"


def test_signs_in_lists():
    def line(sign: str, *inputs: str) -> str:
        boxes = [Box(i, [i], 0, 0) for i in inputs]
        boxes += [Box("op", [sign], 0, 0, "op"), Box("y", ["y"], 0, 0)]
        arrows = [Arrow(i, "op") for i in inputs] + [Arrow("op", "y")]
        return render(boxes, arrows).splitlines()[-1].strip()

    assert line("|·|", "d") == "y = |d|"
    assert line("exp", "d") == "y = exp(d)"
    assert line("max", "a", "b") == "y = max(a, b)"
    assert line("÷", "a", "b") == "y = a ÷ b"


def test_an_operation_with_two_results_stays_on_its_own():
    boxes = [Box("x", ["x"], 0, 0), Box("f", ["split"], 0, 0, "op")]
    boxes += [Box(id, [id], 0, 0) for id in "yz"]
    arrows = [Arrow("x", "f"), Arrow("f", "y"), Arrow("f", "z")]
    assert render(boxes, arrows).splitlines() == [
        "  x",
        "  split (x)",
        "  y (split)",
        "  z (split)",
    ]


def test_nothing():
    assert render([], []) == ""


def test_ends_must_be_there():
    with pytest.raises(DrawingError, match=r"'x' -> 'y' has an end without a box: expected 'y'"):
        render([Box("x", ["x"], 0, 0)], [Arrow("x", "y")])
    with pytest.raises(DrawingError, match="two boxes with the id 'x'"):
        render([Box("x", ["x"], 0, 0)] * 2, [])


# --- cells


@pytest.mark.parametrize(
    ("text", "width"),
    [("", 0), ("x₁", 2), ("x\u0304", 1), ("loss\u0304", 4), ("好x", 3), ("−∂σ", 3), ("\u0304", 1)],
)
def test_cell_width(text, width):
    assert cell_width(text) == len(cells(text)) == width
    assert "".join(cells(text)) == text


def test_wide_and_combined_characters_keep_frames_straight():
    drawing = render([Box("x", ["好", "x\u0304 = 1", "loss"], 0, 0)], [])
    assert {cell_width(line) for line in drawing.splitlines()} == {9}


def test_control_characters_are_shown():
    hostile = "a\x1b[2J\nb\u202ec\u2028\ud800"
    assert clean(hostile) == "a\\x1b[2J\\nbc\\u2028\\ud800"
    boxes = [Box("x", [hostile], 0, 0), Box("y", ["y"], 50, 0)]
    for width in (None, 5):
        drawing = render(boxes, [Arrow("x", "y", label="\x07")], width=width)
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202e\u2028\ud800]", drawing)


def test_long_text_is_cut():
    drawing = render([Box("x", ["x" * 100], 0, 0)], [])
    assert drawing.splitlines()[1] == "│ " + "x" * 31 + "… │"


@pytest.mark.parametrize(
    ("text", "plain"),
    [("∂x₁/∂w", "dx1/dw"), ("x̄ · (−1)", "x_bar . (-1)"), ("ā", "a_bar"), ("é½", "e1/2"),
     ("σ(Wᵀx)", "sigma(W^Tx)"), ("好", "?")],
)  # fmt: skip
def test_plain_ascii(text, plain):
    assert plain_ascii(text) == plain


def test_lines_of_different_weight_join():
    canvas = Canvas()
    canvas.horizontal(0, 0, 2, "done")
    canvas.vertical(1, 0, 1, "current")
    canvas.horizontal(1, 2, 4, "pending")
    canvas.write(0, 3, "好", "value")
    assert canvas.text() == "╶┰╴好\n ╹┄┄┄"
    assert canvas.text(color=True).startswith("╶\x1b[1;33m┰\x1b[0m╴\x1b[32m好\x1b[0m\n")
