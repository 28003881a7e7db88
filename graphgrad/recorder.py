"""The tape: one recorded run of a graph, every forward step and every backward step.

Forward, nodes are computed in the order of writing, which puts inputs before users. Backward goes
through that order in reverse, so that a node passes its adjoint on only when all its users have
contributed to it; at a node, the inputs follow from first to last. One backward step is one edge.

Pictures, the stepper, explanations and quizzes read the tape, and nothing else.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from typing import Any

import numpy as np

from graphgrad import display, dtypes
from graphgrad.display import Pictured
from graphgrad.errors import GradientError, GraphError, ShapeError
from graphgrad.gradient import sweep
from graphgrad.graph import (
    Edge,
    Node,
    NumberOrArray,
    ancestors,
    as_value,
    describe,
    public,
    refresh,
)
from graphgrad.ops.define import Elementwise
from graphgrad.shapes import size

__all__ = ["BackwardStep", "ForwardStep", "Moment", "Tape", "tape"]

LARGEST_JACOBIAN = 1_000_000
"""Entries of the largest dense Jacobian that is computed on demand."""


@dataclass(frozen=True, slots=True)
class ForwardStep:
    """One node computed: its operands' values, and its own."""

    index: int
    node: Node
    operands: tuple[Any, ...]
    value: Any


@dataclass(frozen=True, slots=True)
class BackwardStep:
    """One edge passed backwards.

    Attributes:
        index: the step's number, from 1.
        edge: into `edge.node` at `edge.position`; the contribution goes to `edge.source`.
        upstream: the adjoint of `edge.node`.
        contribution: what this edge adds to the adjoint of `edge.source`, of its shape.
        before: the accumulator before this step; None when this is the first contribution.
        after: the accumulator after it.
    """

    index: int
    edge: Edge
    upstream: Any
    contribution: Any
    before: Any
    after: Any


class Tape(Pictured):
    """One recorded run of `root`; made by `tape`, never changed afterwards.

    Attributes:
        root: the node that was computed, the loss.
        nodes: every node it depends on, in the order of computation.
        forward: a `ForwardStep` per node that is no leaf.
        seed: the adjoint of the root before the first backward step.
    """

    def __init__(self, root: Node, cotangent: Any = None):
        self.root = root
        refresh(root)
        self.nodes = ancestors(root)
        self._values = {n: n._value for n in self.nodes}
        computed = [n for n in self.nodes if n.inputs or not n.is_leaf]
        self.forward = [
            ForwardStep(k, n, tuple(self._values[x] for x in n.inputs), self._values[n])
            for k, n in enumerate(computed, 1)
        ]
        self._cotangent = cotangent

    def __repr__(self) -> str:
        return f"<Tape of {describe(self.root)}: {len(self.nodes)} nodes>"

    @property
    def differentiable(self) -> bool:
        """Whether there is a backward pass: a floating root, scalar or with a cotangent."""
        known = self.root.shape == () or self._cotangent is not None
        return known and dtypes.is_float(self.root.dtype)

    @cached_property
    def seed(self) -> Any:
        """The adjoint of the root: 1 for a scalar, else the given cotangent."""
        root = self.root
        if not dtypes.is_float(root.dtype):
            raise GradientError(f"{describe(root)} is {root.dtype}: it has no backward pass")
        if self._cotangent is None:
            if root.shape != ():
                raise GradientError(
                    f"backward pass from {describe(root)} with shape {root.shape}: give its "
                    f"adjoint, as in gg.tape(y, cotangent=…), or reduce it to a scalar first"
                )
            return root.dtype.type(1)
        seed = as_value(self._cotangent, root.dtype, "cotangent")
        if seed.shape != root.shape:
            raise ShapeError(f"cotangent of shape {seed.shape} for a root of shape {root.shape}")
        return seed

    @cached_property
    def backward(self) -> list[BackwardStep]:
        """A `BackwardStep` per edge through which a gradient can flow, in order.

        Raises:
            GradientError: when the root is no floating scalar and no cotangent was given.
        """
        steps: list[BackwardStep] = []

        def record(node: Node, i: int, g: Any, part: Any, before: Any, after: Any) -> None:
            edge = Edge(node, i)
            steps.append(BackwardStep(len(steps) + 1, edge, g, part, before, after))

        reached = {n for n in self.nodes if n.active}
        with np.errstate(all="ignore"):
            sweep(self.nodes, reached, {self.root: self.seed}, self._values.__getitem__, record)
        return steps

    @property
    def steps(self) -> list[ForwardStep | BackwardStep]:
        """All steps, forward then backward (none when the root has no backward pass)."""
        return [*self.forward, *(self.backward if self.differentiable else [])]

    def at(self, phase: str = "backward", step: int | None = None) -> Moment:
        """Return a moment of this run, which shows itself in notebooks.

        Args:
            phase: ``"forward"`` or ``"backward"``.
            step: how many steps of the phase have been made; a negative one counts from the end,
                None is the whole pass.

        Raises:
            GraphError: when there is no such phase or step.
            GradientError: when there is no backward pass.

        Example:
            >>> import graphgrad as gg
            >>> t = gg.tape((gg.var("x", 2.0) * gg.var("w", 3.0)).named("y"))
            >>> print(t.at("backward", 2))
            backward, step 2 of 2:   w̄ ← ȳ · ∂y/∂w = ȳ · x = 1 · 2 = 2
        """
        return Moment(self, phase, step)

    @cached_property
    def _by_edge(self) -> dict[Edge, BackwardStep]:
        return {step.edge: step for step in self.backward}

    @cached_property
    def _arrivals(self) -> dict[Node, list[BackwardStep]]:
        arrivals: dict[Node, list[BackwardStep]] = {}
        for step in self.backward:
            arrivals.setdefault(step.edge.source, []).append(step)
        return arrivals

    def value(self, node: Node) -> NumberOrArray:
        """Return the value the node had in this run.

        Raises:
            GraphError: when the node took no part.
        """
        return public(self._known(node))

    def adjoint(self, node: Node, step: int | None = None) -> NumberOrArray | None:
        """Return the node's adjoint after the given backward step; None while it has none.

        Args:
            node: a node of this run.
            step: how many backward steps have been made; all by default.
        """
        self._known(node)
        arrived = self.arrivals(node)
        count = len(arrived) if step is None else self._arrived(arrived, step)
        if count:
            return public(arrived[count - 1].after)
        return public(self.seed) if node is self.root else None

    def arrivals(self, node: Node) -> Sequence[BackwardStep]:
        """Return the steps that contribute to the node's adjoint, in order."""
        return self._arrivals.get(node, ())

    def arrived(self, node: Node, step: int) -> int:
        """Return how many contributions have arrived at the node after `step` backward steps."""
        return self._arrived(self.arrivals(node), step)

    @staticmethod
    def _arrived(arrivals: Sequence[BackwardStep], step: int) -> int:
        return bisect.bisect_right(arrivals, step, key=attrgetter("index"))

    def step_of(self, node: Node, position: int) -> BackwardStep | None:
        """Return the backward step of an edge, or None when no gradient flows through it."""
        self._known(node)
        return self._by_edge.get(Edge(node, position))

    def contribution(self, node: Node, position: int) -> NumberOrArray | None:
        """Return what the edge adds to its input's adjoint; None when nothing flows."""
        step = self.step_of(node, position)
        return None if step is None else public(step.contribution)

    def local(self, node: Node, position: int) -> NumberOrArray | None:
        """Return the local derivative ∂node/∂input in this run; None where none exists.

        Returns:
            For an elementwise node the partial derivatives, entry by entry, of the node's shape;
            for any other the dense Jacobian, of shape ``node.shape + input.shape``.

        Raises:
            GraphError: when that Jacobian has more than a million entries.
        """
        y, xs = self._known(node), [self._known(x) for x in node.inputs]
        p = node.primitive
        if not p.has_rule(position):
            return None
        if isinstance(p, Elementwise):
            with np.errstate(all="ignore"):
                partial = p.partial(position, y, xs, node.settings)
            return public(np.broadcast_to(np.asarray(partial, node.dtype), node.shape)[()])
        return public(self._jacobian(node, position, y, xs))

    def _jacobian(self, node: Node, position: int, y: Any, xs: list[Any]) -> Any:
        source = node.inputs[position]
        entries = size(node.shape) * size(source.shape)
        if entries > LARGEST_JACOBIAN:
            raise GraphError(
                f"the Jacobian of {describe(node)} in {describe(source)} has {entries} entries; "
                f"dense ones are limited to {LARGEST_JACOBIAN}"
            )
        count = size(node.shape)
        basis = np.eye(count, dtype=node.dtype).reshape((count, *node.shape))
        zero = np.zeros(source.shape, source.dtype)
        with np.errstate(all="ignore"):
            rows = [zero + node.primitive.vjp(position, g, y, xs, node.settings) for g in basis]
        return np.reshape(rows, node.shape + source.shape)

    def _known(self, node: Node) -> Any:
        try:
            return self._values[node]
        except KeyError:
            raise GraphError(f"{describe(node)} took no part in {self!r}") from None


@dataclass(frozen=True, repr=False)
class Moment(Pictured):
    """A run when some steps of a pass have been made; made by `Tape.at`.

    `str` of it is the sentence of its step, and a notebook shows its picture.

    Attributes:
        tape: the run.
        phase: "forward" or "backward".
        step: how many steps of the phase have been made; None for the whole pass.
    """

    tape: Tape
    phase: str
    step: int | None = None

    def __post_init__(self) -> None:
        if self.phase not in ("forward", "backward"):
            raise GraphError(f"phase {self.phase!r}: expected 'forward' or 'backward'")
        last = len(self._steps)
        if self.step is None:
            return
        if not isinstance(self.step, int) or not -last - 1 <= self.step <= last:
            raise GraphError(f"step {self.step!r}: the {self.phase} pass has steps 0 to {last}")
        object.__setattr__(self, "step", self.step % (last + 1))

    @property
    def _steps(self) -> Sequence[ForwardStep | BackwardStep]:
        return self.tape.forward if self.phase == "forward" else self.tape.backward

    @property
    def made(self) -> ForwardStep | BackwardStep | None:
        """The step that led here; None at the start of a pass, and for a whole one."""
        return self._steps[self.step - 1] if self.step else None

    def __repr__(self) -> str:
        place = "whole" if self.step is None else f"step {self.step} of {len(self._steps)}"
        return f"<Moment of {describe(self.tape.root)}: {self.phase}, {place}>"

    def __str__(self) -> str:
        return display.NOTEBOOK().sentence(self)


def tape(root: Node, cotangent: Any = None) -> Tape:
    """Run a graph with its current values and record every forward and every backward step.

    Args:
        root: the node to compute, usually a scalar loss; or a network, which stands for its
            loss (its output before it is compiled) on the first example it was trained on.
        cotangent: the root's adjoint, for a root that is no scalar.

    Returns:
        A `Tape`; it keeps the values of this run when variables are set later.

    Raises:
        MissingValueError: when a variable has no value.

    Example:
        >>> import graphgrad as gg
        >>> x, w, b = gg.var("x", 2.0), gg.var("w", 3.0), gg.var("b", 1.0)
        >>> t = gg.tape(abs(4 - (x * w + b)))
        >>> [s.node.op for s in t.forward]
        ['mul', 'add', 'sub', 'abs']
        >>> [(s.edge.node.op, s.edge.position, float(s.contribution)) for s in t.backward]
        [('abs', 0, -1.0), ('sub', 1, 1.0), ('add', 0, 1.0), ('add', 1, 1.0),
         ('mul', 0, 3.0), ('mul', 1, 2.0)]
    """
    root = getattr(root, "graph_node", root)
    if not isinstance(root, Node):
        raise GraphError(f"cannot record {root!r}: expected a graph node")
    return Tape(root, cotangent)
