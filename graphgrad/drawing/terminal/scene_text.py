"""A scene at a frame as text for the terminal: the same items, states and words as in DOT."""

from __future__ import annotations

from typing import Any

from graphgrad.drawing.dot import Writer
from graphgrad.drawing.layout import coordinates
from graphgrad.drawing.scene import Frame
from graphgrad.drawing.terminal.canvas import cell_width, plain_ascii
from graphgrad.drawing.terminal.diagram import Arrow, Box
from graphgrad.drawing.unicode import render
from graphgrad.explain.steps import plain

__all__ = ["text_of"]


def text_of(
    writer: Writer,
    frame: Frame,
    *,
    width: int | None = None,
    color: bool = False,
    ascii: bool = False,
) -> str:
    """Return a frame drawn with box characters, its caption below.

    Args:
        writer: of the scene; Graphviz lays its DOT text out, so rows and columns are the same
            as in the picture.
        frame: which moment.
        width: of the terminal in cells; a drawing that is wider becomes a list.
        color: whether to use ANSI colours.
        ascii: whether to do without Unicode.

    Raises:
        DrawingError: when Graphviz cannot lay the graph out.
    """
    scene = writer.scene
    layout = coordinates(writer(frame))
    place = {n.name: (n.x, n.y) for n in layout.nodes}
    way: dict[tuple[str, str], list[Any]] = {}
    for e in layout.edges:
        way.setdefault((e.tail, e.head), []).append(e.points)
    boxes = []
    for box in scene.boxes:
        name = [box.name] if box.role != "constant" else []
        values = scene.value_lines(box, frame)
        adjoints = [plain(x) for x in scene.adjoint_lines(box, frame)]
        tones = [""] * len(name) + ["value"] * len(values) + ["adjoint"] * len(adjoints)
        texts = [*name, *box.value, *(plain(x) for s in scene.all_adjoint_lines(box) for x in s)]
        boxes.append(
            Box(
                box.key, [*name, *values, *adjoints], *place[box.key],
                state=_known(scene.box_state(box, frame)), tones=tones,
                room=max(map(cell_width, texts)),
            )
        )  # fmt: skip
    for dot in scene.dots:
        state = _known(scene.dot_state(dot, frame))
        boxes.append(Box(dot.key, [dot.symbol], *place[dot.key], kind="op", state=state))
    arrows = []
    back = frame.phase == "backward"
    for arrow in scene.arrows:
        state = scene.arrow_state(arrow, frame)
        label = ""
        if back and arrow.local and len(arrow.steps) == 1:
            label = plain(arrow.local)
        tail, head = arrow.box.key, arrow.dot.key
        points = way[tail, head].pop(0) if way.get((tail, head)) else ()
        arrows.append(Arrow(tail, head, back and state != "idle", _known(state), label, points))
    for link in scene.links:
        state = scene.dot_state(link.dot, frame)
        tail, head = link.dot.key, link.box.key
        arrows.append(Arrow(tail, head, back and state != "idle", _known(state)))
    drawing = render(boxes, arrows, width=width, color=color, ascii=ascii)
    caption = plain(scene.caption(frame))
    return f"{drawing}\n\n{plain_ascii(caption) if ascii else caption}"


def _known(state: str) -> Any:
    return "done" if state == "idle" else state
