"""`draw`: one picture of a pass, whole or at a step; `frames`: all of them, on one layout."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from graphgrad.drawing.dot import Writer
from graphgrad.drawing.layout import Picture
from graphgrad.drawing.scene import Scene
from graphgrad.drawing.style import theme as theme_named
from graphgrad.drawing.updates import UpdatedScene
from graphgrad.errors import GraphError
from graphgrad.explain.numbers import DIGITS
from graphgrad.explain.steps import Wording
from graphgrad.graph import Edge, Node
from graphgrad.recorder import Tape, tape

__all__ = ["Compiled", "draw", "frames", "scene_of", "writer_of"]


class Factored(Protocol):
    """A derivation: what knows the numbers of the factors that an edge is part of."""

    @property
    def numbers(self) -> Mapping[Edge, tuple[int, ...]]:
        """The numbers by edge."""


@runtime_checkable
class Compiled(Protocol):
    """A compiled graph: what writes the DOT text of its kernels itself."""

    def _draw_(self, **options: Any) -> str: ...


def scene_of(
    graph: Node | Tape,
    *,
    digits: int = DIGITS,
    collapse: bool | str | Iterable[str] | None = None,
    open: str | Iterable[str] = (),
    inputs: Collection[Node] = (),
    derivation: Factored | None = None,
    updates: Mapping[Node, Node] | None = None,
) -> Scene:
    """Return the scene of a node or a tape; the options are those of `draw` and `play`."""
    recorded = graph if isinstance(graph, Tape) else tape(graph)
    if not 1 <= digits <= 17:
        raise GraphError(f"digits={digits}: expected 1 to 17")
    options: dict[str, Any] = {
        "wording": Wording(recorded, digits),
        "collapse": collapse,
        "open": open,
        "inputs": inputs,
        "factors": derivation.numbers if derivation is not None else None,
    }
    return UpdatedScene(recorded, updates, **options) if updates else Scene(recorded, **options)


def writer_of(
    scene: Scene, theme: str = "light", legend: bool = True, rankdir: str = "LR"
) -> Writer:
    """Return the DOT writer of a scene; the options are those of `draw`."""
    return Writer(scene, theme_named(theme), legend, _direction(rankdir))


def _direction(rankdir: str) -> str:
    if rankdir not in ("LR", "TB", "RL", "BT"):
        raise GraphError(f"rankdir {rankdir!r}: expected LR, TB, RL or BT")
    return rankdir


def draw(
    graph: Node | Tape | Compiled,
    phase: str = "forward",
    step: int | None = None,
    *,
    theme: str = "light",
    digits: int = DIGITS,
    collapse: bool | str | Iterable[str] | None = None,
    open: str | Iterable[str] = (),
    inputs: Collection[Node] = (),
    derivation: Factored | None = None,
    profile: Sequence[Any] | None = None,
    legend: bool = True,
    rankdir: str = "LR",
) -> Picture:
    """Return a picture of the graph's forward or backward pass, or of a compiled graph's kernels.

    Args:
        graph: a node (it is run with its current values), a tape, or what `compile` made of
            nodes: then their ids are kept, and each kernel is a cluster with its threads and bytes,
            the source being its tooltip.
        phase: ``"forward"`` or ``"backward"``.
        step: how many steps of the phase have been made; None shows the whole pass.
        theme: ``"light"``, ``"dark"`` or ``"print"`` (black and white).
        digits: significant digits of all numbers.
        collapse: True draws every group (scope) as one box, a path or several paths only these;
            by default groups are collapsed when there are more than 300 nodes. Of a compiled
            graph, the kernels, as in ``"kernel 3"``; by default when there are more than 60 nodes.
        open: paths of groups to leave open all the same.
        inputs: nodes to colour as inputs; variables not named follow their role.
        derivation: what `derive` made of this graph: in the backward picture each factor's arrow
            gets the factor's colour and number, and all other arrows turn gray.
        profile: of a compiled graph, one array per input: its kernels are timed with them, as by
            ``f.profile(…)``, and the picture shows the times.
        legend: explain colours and marks under the picture.
        rankdir: direction of the graph: LR, TB, RL or BT.

    Returns:
        A ``graphviz.Digraph``: it shows itself in a notebook, and has ``.source``, ``.render()``,
        ``.save()``, ``.pipe()``. All pictures of one graph share layout and element ids.

    Raises:
        GraphError: when there is no such phase, step, theme or group, or a compiled graph, which
            has no passes, is asked for a phase, a step or a derivation.
        GradientError: when a backward pass is asked for, but the node is no floating scalar.
        MissingValueError: when a variable has no value.

    Example:
        >>> import graphgrad as gg
        >>> loss = abs(4 - gg.var("x", 2.0) * gg.var("w", 3.0))
        >>> gg.draw(loss, phase="backward", step=1).source.splitlines()[0]
        'digraph graphgrad {'
    """
    if isinstance(graph, Compiled):
        if phase != "forward" or step is not None or derivation is not None or inputs:
            raise GraphError(
                "a compiled graph has kernels, no passes and steps: leave out phase, step, inputs "
                "and derivation, or draw one of its nodes"
            )
        options = {"collapse": collapse, "open": open, "legend": legend, "profile": profile}
        look = {"theme": theme_named(theme), "rankdir": _direction(rankdir)}
        return Picture.from_dot(graph._draw_(**options, **look))
    if profile is not None:
        raise GraphError("profile=… is for compiled graphs: gg.draw(gg.compile(…), profile=…)")
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
