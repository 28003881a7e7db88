"""Mime bundles: what a notebook shows of a node, a tape, a tape at a step, a compiled graph.

A node shows its forward picture once all values are known, a tape its backward picture, a moment
of a tape that moment. What is too large to be read is shown as text.
"""

from __future__ import annotations

from graphgrad.drawing.figure import Compiled, draw, scene_of, writer_of
from graphgrad.drawing.layout import fitted, svg
from graphgrad.drawing.scene import Scene
from graphgrad.drawing.title import title_of
from graphgrad.explain.names import visible
from graphgrad.explain.steps import plain
from graphgrad.graph import VARIABLE, Node
from graphgrad.recorder import Moment, Tape

__all__ = ["bundle", "sentence"]

MOST_SHOWN = 300
"""Values in the largest picture that is shown without being asked for."""
MOST_NODES = 5000
"""Nodes of the largest graph whose groups are collapsed to show it."""


def bundle(thing: Node | Tape | Moment | Compiled) -> dict[str, str]:
    """Return what a notebook shows, by mime type.

    Args:
        thing: a node, which is computed when all its variables have values; a tape; a moment; or
            a compiled graph.

    Returns:
        ``text/plain``, and ``image/svg+xml`` unless values are missing or the picture would have
        more than 300 boxes.

    Raises:
        GraphError: when the picture cannot be drawn.

    Example:
        >>> import graphgrad as gg
        >>> sorted(bundle(gg.var("x", 2.0) * 3)), sorted(bundle(gg.var("x", shape=()) * 3))
        (['image/svg+xml', 'text/plain'], ['text/plain'])
    """
    text = "\n".join(visible(line) for line in str(thing).split("\n"))
    shown = {"text/plain": text}
    if isinstance(thing, Compiled):
        return shown | {"image/svg+xml": fitted(svg(draw(thing).source, "kernels"))}
    moment = _moment(thing)
    scene = scene_of(moment.tape) if moment else None
    if moment and scene and len(scene.boxes) <= MOST_SHOWN:
        frame = scene.frame(moment.phase, moment.step)
        picture = svg(writer_of(scene)(frame), f"computational graph of {title_of(scene)}")
        shown["image/svg+xml"] = fitted(picture)
    return shown


def sentence(moment: Moment) -> str:
    """Return a moment in one line: which step of which pass it is, and what was done in it.

    Example:
        >>> import graphgrad as gg
        >>> t = gg.tape((gg.var("x", 2.0) * gg.var("w", 3.0)).named("y"))
        >>> sentence(t.at("forward", 1))
        'forward, step 1 of 1:   y = x·w = 2·3 = 6'
    """
    scene = Scene(moment.tape)
    return plain(scene.caption(scene.frame(moment.phase, moment.step)))


def _moment(thing: Node | Tape | Moment) -> Moment | None:
    """Return what is drawn of a thing; None for a graph that is too large or lacks values."""
    if isinstance(thing, Node):
        return Moment(Tape(thing), "forward") if _drawable(thing) else None
    tape = thing if isinstance(thing, Tape) else thing.tape
    if len(tape.nodes) > MOST_NODES:
        return None
    if isinstance(thing, Moment):
        return thing
    return Moment(tape, "backward" if tape.differentiable else "forward")


def _drawable(root: Node) -> bool:
    """Return whether a graph is small and all its variables have values; look no further."""
    stack, seen = [root], {root}
    while stack:
        node = stack.pop()
        if node.primitive is VARIABLE and node._value is None:
            return False
        fresh = dict.fromkeys(x for x in node.inputs if x not in seen)
        seen.update(fresh)
        stack += fresh
        if len(seen) > MOST_NODES:
            return False
    return True
