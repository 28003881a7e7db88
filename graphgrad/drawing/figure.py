"""`draw`: one picture of a pass, whole or at a step; `frames`: all of them, on one layout."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Protocol

from graphgrad.drawing.dot import Writer
from graphgrad.drawing.layout import Picture
from graphgrad.drawing.scene import Scene
from graphgrad.drawing.style import theme as theme_named
from graphgrad.errors import GraphError
from graphgrad.explain.numbers import DIGITS
from graphgrad.explain.steps import Wording
from graphgrad.graph import Edge, Node
from graphgrad.recorder import Tape, tape

__all__ = ["draw", "frames", "scene_of", "writer_of"]


class Factored(Protocol):
    """A derivation: what knows the numbers of the factors that an edge is part of."""

    @property
    def numbers(self) -> Mapping[Edge, tuple[int, ...]]:
        """The numbers by edge."""


def scene_of(
    graph: Node | Tape,
    *,
    digits: int = DIGITS,
    collapse: bool | str | Iterable[str] | None = None,
    open: str | Iterable[str] = (),
    inputs: Collection[Node] = (),
    derivation: Factored | None = None,
) -> Scene:
    """Return the scene of a node or a tape; the options are those of `draw`."""
    recorded = graph if isinstance(graph, Tape) else tape(graph)
    if not 1 <= digits <= 17:
        raise GraphError(f"digits={digits}: expected 1 to 17")
    return Scene(
        recorded,
        wording=Wording(recorded, digits),
        collapse=collapse,
        open=open,
        inputs=inputs,
        factors=derivation.numbers if derivation is not None else None,
    )


def writer_of(
    scene: Scene, theme: str = "light", legend: bool = True, rankdir: str = "LR"
) -> Writer:
    """Return the DOT writer of a scene; the options are those of `draw`."""
    if rankdir not in ("LR", "TB", "RL", "BT"):
        raise GraphError(f"rankdir {rankdir!r}: expected LR, TB, RL or BT")
    return Writer(scene, theme_named(theme), legend, rankdir)


def draw(
    graph: Node | Tape,
    phase: str = "forward",
    step: int | None = None,
    *,
    theme: str = "light",
    digits: int = DIGITS,
    collapse: bool | str | Iterable[str] | None = None,
    open: str | Iterable[str] = (),
    inputs: Collection[Node] = (),
    derivation: Factored | None = None,
    legend: bool = True,
    rankdir: str = "LR",
) -> Picture:
    """Return a picture of the graph's forward or backward pass.

    Args:
        graph: a node (it is run with its current values), or a tape.
        phase: ``"forward"`` or ``"backward"``.
        step: how many steps of the phase have been made; None shows the whole pass.
        theme: ``"light"``, ``"dark"`` or ``"print"`` (black and white).
        digits: significant digits of all numbers.
        collapse: True draws every group (scope) as one box, a path or several paths only these;
            by default groups are collapsed when there are more than 300 nodes.
        open: paths of groups to leave open all the same.
        inputs: nodes to colour as inputs; variables not named follow their role.
        derivation: what `derive` made of this graph: in the backward picture each factor's arrow
            gets the factor's colour and number, and all other arrows turn gray.
        legend: explain colours and marks under the picture.
        rankdir: direction of the graph: LR, TB, RL or BT.

    Returns:
        A ``graphviz.Digraph``: it shows itself in a notebook, and has ``.source``, ``.render()``,
        ``.save()``, ``.pipe()``. All pictures of one graph share layout and element ids.

    Raises:
        GraphError: when there is no such phase, step, theme or group.
        GradientError: when a backward pass is asked for, but the node is no floating scalar.
        MissingValueError: when a variable has no value.

    Example:
        >>> import graphgrad as gg
        >>> loss = abs(4 - gg.var("x", 2.0) * gg.var("w", 3.0))
        >>> gg.draw(loss, phase="backward", step=1).source.splitlines()[0]
        'digraph graphgrad {'
    """
    scene = scene_of(
        graph, digits=digits, collapse=collapse, open=open, inputs=inputs, derivation=derivation
    )
    frame = scene.frame(phase, step)
    return Picture.from_dot(writer_of(scene, theme, legend, rankdir)(frame))


def frames(
    graph: Node | Tape, phases: Iterable[str] = ("forward", "backward"), **options: Any
) -> Iterator[tuple[str, int, Picture]]:
    """Yield (phase, step, picture) for every step of the given phases, from step 0.

    Args:
        graph: a node or a tape.
        phases: which, in order.
        options: those of `draw`.

    Example:
        >>> import graphgrad as gg
        >>> [(p, k) for p, k, _ in frames(gg.var("x", 2.0) ** 2)]
        [('forward', 0), ('forward', 1), ('backward', 0), ('backward', 1)]
    """
    looks = {k: options.pop(k) for k in ("theme", "legend", "rankdir") if k in options}
    scene = scene_of(graph, **options)
    writer = writer_of(scene, **looks)
    for phase in phases:
        for step in range(scene.count(phase) + 1):
            yield phase, step, Picture.from_dot(writer(scene.frame(phase, step)))
