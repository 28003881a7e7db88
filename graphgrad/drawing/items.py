"""The items of a picture: boxes, dots, arrows and links; and the frames it is shown at."""

from __future__ import annotations

from dataclasses import dataclass, field

from graphgrad.graph import Node
from graphgrad.recorder import BackwardStep

__all__ = ["Arrow", "Box", "Dot", "Frame", "Link"]


@dataclass(eq=False)
class Box:
    """A value: the node's name, its value, its adjoint."""

    key: str
    node: Node
    name: str
    role: str
    scope: str
    value: list[str]
    forward_step: int = 0


@dataclass(eq=False)
class Dot:
    """An operation, or a collapsed group: what makes one value (or several) from others."""

    key: str
    symbol: str
    title: str
    scope: str
    members: list[Node]
    group: str = ""


@dataclass(eq=False)
class Arrow:
    """An arrow from a box into a dot (an edge of the graph, or several into a group)."""

    key: str
    box: Box
    dot: Dot
    steps: list[BackwardStep] = field(default_factory=list)
    local: str = ""
    contribution: str = ""
    factors: tuple[int, ...] = ()


@dataclass(eq=False)
class Link:
    """The arrow from a dot to the box of its result."""

    key: str
    dot: Dot
    box: Box


@dataclass(frozen=True)
class Frame:
    """A moment: a phase and how many of its steps have been made; None means all, at rest."""

    phase: str = "forward"
    step: int | None = None
