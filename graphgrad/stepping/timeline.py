"""Time: the moments of a tape, what is known at each, and what happens there.

A moment is a phase and a number of steps made, and nothing else: everything seen at a moment is
computed from the tape and the moment. So going back is going to an earlier moment, exactly.

The moments are numbered 0, 1, 2 …: the forward pass from its start, with the leaves known, to its
last step; then the backward pass from its start, with the seed ∂L/∂L = 1, to its last step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from graphgrad import dtypes
from graphgrad.errors import GraphError
from graphgrad.graph import Node
from graphgrad.recorder import BackwardStep, ForwardStep, Tape

__all__ = ["START", "Change", "Event", "Position", "Timeline"]


class Position(NamedTuple):
    """A moment: how many steps of a phase have been made."""

    phase: str
    step: int


START = Position("forward", 0)
"""The very start: only the leaves have values."""


class Change(NamedTuple):
    """What is known of a node at two moments; None for what is not known yet."""

    node: Node
    value: tuple[Any, Any] | None
    adjoint: tuple[Any, Any] | None


@dataclass(frozen=True)
class Event:
    """What the step to a moment did, as breakpoints see it.

    Attributes:
        node: the node computed, or the one whose adjoint received a contribution.
        op: the operation computed, or passed backwards; "" for the seed.
        value: the value computed; None in the backward pass.
        grad: the accumulated adjoint; None in the forward pass.
        arrival: the number of the contribution; 0 for the seed and in the forward pass.
        born: whether a nan or an infinity came out, but none that was computed went in.
    """

    node: Node
    op: str
    value: Any = None
    grad: Any = None
    arrival: int = 0
    born: bool = False


class Timeline:
    """The moments of one tape.

    Attributes:
        tape: the recorded run.
        forward: the number of forward steps.
        backward: the number of backward steps; None when there is no backward pass.
    """

    def __init__(self, tape: Tape):
        self.tape = tape
        self.forward = len(tape.forward)
        self.backward = len(tape.backward) if tape.differentiable else None
        self._made = {s.node: s.index for s in tape.forward}

    # -- moments ---------------------------------------------------------------------------

    def __len__(self) -> int:
        """The number of moments."""
        return self.forward + 1 + (0 if self.backward is None else self.backward + 1)

    def at(self, number: int) -> Position:
        """Return the moment of that number, from 0."""
        if number <= self.forward:
            return Position("forward", number)
        return Position("backward", number - self.forward - 1)

    def number(self, position: Position) -> int:
        """Return the number of a moment, from 0."""
        return position.step + (0 if position.phase == "forward" else self.forward + 1)

    def steps_of(self, phase: str) -> int:
        """Return the number of steps of a phase.

        Raises:
            GraphError: when there is no such phase, with the reason.
        """
        if phase == "forward":
            return self.forward
        if phase != "backward":
            raise GraphError(f"phase {phase!r}: expected 'forward' or 'backward'")
        if self.backward is None:
            raise GraphError(f"no backward pass: {self.why_forward_only()}")
        return self.backward

    def why_forward_only(self) -> str:
        """Return why there is no backward pass; "" when there is one."""
        root = self.tape.root
        if self.backward is not None:
            return ""
        if not dtypes.is_float(root.dtype):
            return f"the root is {root.dtype}, and only floating nodes carry gradients"
        return (
            f"the root has shape {root.shape}: give its adjoint, as in gg.step(y, cotangent=…), or "
            f"reduce it to a scalar first, as in sum(…)"
        )

    def step(self, position: Position) -> ForwardStep | BackwardStep | None:
        """Return the step that led to a moment; None at the start of a phase."""
        if not position.step:
            return None
        forward = position.phase == "forward"
        return (self.tape.forward if forward else self.tape.backward)[position.step - 1]

    def made(self, node: Node) -> int:
        """Return the forward step that computes a node; 0 for a leaf."""
        return self._made.get(node, 0)

    # -- what is known ---------------------------------------------------------------------

    def value(self, node: Node, position: Position) -> Any:
        """Return the node's value, or None when it is not computed yet."""
        late = position.phase == "forward" and self.made(node) > position.step
        return None if late else self.tape.value(node)

    def adjoint(self, node: Node, position: Position) -> Any:
        """Return the node's adjoint as accumulated so far, or None."""
        if position.phase == "forward":
            return None
        return self.tape.adjoint(node, position.step)

    def arrived(self, node: Node, position: Position) -> int:
        """Return how many contributions to the node's adjoint have arrived."""
        return 0 if position.phase == "forward" else self.tape.arrived(node, position.step)

    def snapshot(self, position: Position) -> dict[Node, tuple[Any, Any]]:
        """Return value and adjoint of every node; None for what is not known yet."""
        at = position
        return {n: (self.value(n, at), self.adjoint(n, at)) for n in self.tape.nodes}

    def changes(self, before: Position, after: Position) -> Iterator[Change]:
        """Yield the nodes that are not known alike at two moments."""
        for node in self.tape.nodes:
            values = self.value(node, before), self.value(node, after)
            adjoints = self.adjoint(node, before), self.adjoint(node, after)
            value = None if (values[0] is None) == (values[1] is None) else values
            counts = self.arrived(node, before), self.arrived(node, after)
            same = counts[0] == counts[1] and (adjoints[0] is None) == (adjoints[1] is None)
            if value or not same:
                yield Change(node, value, None if same else adjoints)

    # -- what happens ----------------------------------------------------------------------

    def event(self, position: Position) -> Event | None:
        """Return what the step to this moment did; None at the very start."""
        step = self.step(position)
        if isinstance(step, ForwardStep):
            inputs = zip(step.node.inputs, step.operands)
            born = not _finite(step.value) and all(x.is_leaf or _finite(v) for x, v in inputs)
            return Event(step.node, step.node.op, value=step.value, born=born)
        if step is not None:
            node, source = step.edge.node, step.edge.source
            known = [step.upstream, *([] if step.before is None else [step.before])]
            known += [self.tape.value(n) for n in (node, *node.inputs) if not n.is_leaf]
            born = not _finite(step.after) and all(map(_finite, known))
            arrival = self.tape.arrived(source, step.index)
            return Event(source, node.op, grad=step.after, arrival=arrival, born=born)
        if position.phase == "backward":
            return Event(self.tape.root, "", grad=self.tape.seed)
        return None


def _finite(value: Any) -> bool:
    return bool(np.isfinite(value).all())
