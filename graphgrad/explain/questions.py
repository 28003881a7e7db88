"""Questions about a run: what can be hidden, and the sentence that asks for it.

What one can do: list the `subjects` of a tape, and `pose` the `Question` about one of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from graphgrad.explain import shapes_asked
from graphgrad.explain.numbers import SMALL
from graphgrad.explain.steps import Wording, adjoint, plain, scalar_edge
from graphgrad.graph import Edge, Node
from graphgrad.recorder import Tape

__all__ = ["KINDS", "Question", "pose", "subjects", "term"]

KINDS = ("value", "local", "adjoint", "shape")
LARGEST = 6
"""Entries of the largest array that is asked for."""
MOST_USERS = 5
"""Users of a node that a question tells about."""


@dataclass(frozen=True, eq=False)
class Question:
    """One question.

    Attributes:
        kind: ``"value"``, ``"local"``, ``"adjoint"`` or ``"shape"``: what is hidden.
        node: whose value, adjoint or shape; for a local derivative ∂y/∂x the node y.
        position: of the input x, for a local derivative.
        text: the question, with all the numbers needed to answer it.
        answer: the number, array or shape that is right.
    """

    kind: str
    node: Node
    position: int | None
    text: str
    answer: Any = field(repr=False)

    @property
    def edge(self) -> Edge | None:
        """The edge, for a local derivative."""
        return None if self.position is None else Edge(self.node, self.position)


Subject = tuple[str, Node, int | None]


def subjects(tape: Tape) -> list[Subject]:
    """Return all that can be asked about a tape: numbers of small arrays, shapes of large ones."""
    computable = {s.node for s in tape.forward if all(map(_small, s.operands)) and _small(s.value)}
    found: list[Subject] = [
        ("value", s.node, None) for s in tape.forward if s.node in computable and _askable(s.value)
    ]
    if tape.differentiable:
        found += [
            ("local", *s.edge)
            for s in tape.backward
            if scalar_edge(s.edge.node)
            and s.edge.node in computable
            and _askable(tape.local(*s.edge))
        ]
        found += [("adjoint", n, None) for n in _targets(tape, computable)]
    return found + [("shape", n, None) for n in shapes_asked.nodes_of(tape, LARGEST + 1)]


def _targets(tape: Tape, computable: set[Node]) -> list[Node]:
    """Return the nodes whose adjoint can be asked for: all their users are computable by hand."""
    return [
        node
        for node in dict.fromkeys(s.edge.source for s in tape.backward)
        if all(s.edge.node in computable for s in tape.arrivals(node))
        and _askable(tape.adjoint(node))
    ]


def _small(value: Any) -> bool:
    return np.ndim(value) <= 2 and np.size(value) <= SMALL


def _askable(value: Any) -> bool:
    array = np.asarray(value)
    if array.dtype.kind == "b" or array.ndim > 2 or not 0 < array.size <= LARGEST:
        return False
    return bool(np.isfinite(array).all())


def pose(wording: Wording, kind: str, node: Node, position: int | None = None) -> Question:
    """Return the question about one value, adjoint, shape or, with a position, local derivative."""
    tape, name = wording.tape, wording.names[node]
    if kind == "shape":
        return Question(kind, node, None, shapes_asked.question(wording, node), node.shape)
    if kind == "value":
        text = f"{_given(wording, node)}. What is {name}?"
        return Question(kind, node, None, text, tape.value(node))
    if position is not None:
        partial = wording.partial(node, position)
        value = wording.short(tape.value(node))
        text = f"{_given(wording, node)}, so {name} = {value}. What is {partial} here?"
        return Question(kind, node, position, text, tape.local(node, position))
    users = list(dict.fromkeys(s.edge.node for s in tape.arrivals(node)))
    told = [_user(wording, n) for n in users[:MOST_USERS]]
    more = f"; and {len(users) - MOST_USERS} more users" if len(users) > MOST_USERS else ""
    bar = adjoint(name)
    root = wording.names[tape.root]
    text = f"{'; '.join(told)}{more}. What is {bar} = ∂{root}/∂{name}?"
    return Question(kind, node, None, plain(text), tape.adjoint(node))


def _given(wording: Wording, node: Node) -> str:
    """Return the operation and the values of its inputs."""
    names, values = wording.names, []
    for x in dict.fromkeys(node.inputs):
        value = "; ".join(wording.digest(wording.tape.value(x)))
        if names[x] != value:
            values.append(f"{names[x]} = {value}")
    text = f"{names[node]} = {wording.operation(node)}"
    return f"{text} with {', '.join(values)}" if values else text


def _user(wording: Wording, node: Node) -> str:
    """Return what a contribution needs: the operation, its values, and its adjoint."""
    bar: Any = wording.tape.adjoint(node)
    name, value = wording.names[node], wording.short(wording.tape.value(node))
    up = "; ".join(wording.digest(bar))
    return f"{_given(wording, node)}, so {name} = {value}, and {adjoint(name)} = {up}"


def term(wording: Wording, edge: Edge) -> str:
    """Return one term of an adjoint in symbols, ȳ · ∂y/∂x, as marked text."""
    return f"{adjoint(wording.names[edge.node])} · {wording.partial(*edge)}"
