"""Backward passes done wrong on purpose: the machinery of `explain.mistakes`.

What one can do: make a `WrongPass` over a tape, change its adjoints or values, and let it take
edges one by one. It uses the very rules of the rule book and the values of the tape, so whatever
comes out wrong comes from the mistake alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any

import numpy as np

from graphgrad.graph import CONSTANT, Edge, Node, evaluate
from graphgrad.recorder import BackwardStep, Tape

__all__ = ["WrongPass", "alike", "depth_first", "old_values", "users_first"]

Local = Callable[[Any, tuple[Any, ...]], Any]
AGO = 0.5
"""How far a variable was from its value when the stale forward pass ran."""


class WrongPass:
    """A backward pass over a tape's graph that can be led astray.

    Attributes:
        adjoint: the accumulators, by node.
        steps: the backward steps taken.
        stale: values to use in place of the tape's, by node.
        wrong: local derivatives to use in place of the rule book's, by edge.
    """

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self.adjoint: dict[Node, Any] = {tape.root: tape.seed}
        self.steps: list[BackwardStep] = []
        self.stale: dict[Node, Any] = {}
        self.wrong: dict[Edge, Local] = {}
        self._made = {step.node: step for step in tape.forward}

    def take(self, edge: Edge, overwrite: bool = False) -> None:
        """Pass an edge backwards: add its contribution, or put it in place of what was there."""
        x, upstream = edge.source, self.adjoint.get(edge.node)
        if upstream is None:  # what should have come here was lost
            return
        with np.errstate(all="ignore"):
            part = self._contribution(edge, upstream)
            before = None if overwrite else self.adjoint.get(x)
            after = part if before is None else before + part
        self.adjoint[x] = after
        self.steps.append(BackwardStep(len(self.steps) + 1, edge, upstream, part, before, after))

    def operands(self, node: Node) -> tuple[Any, tuple[Any, ...]]:
        """Return the value of a node and those of its inputs, stale ones where there are any."""
        step, stale = self._made[node], self.stale
        xs = [stale.get(x, v) for x, v in zip(node.inputs, step.operands, strict=True)]
        return stale.get(node, step.value), tuple(xs)

    def _contribution(self, edge: Edge, upstream: Any) -> Any:
        (node, i), x = edge, edge.source
        y, xs = self.operands(node)
        if edge in self.wrong:
            part = upstream * self.wrong[edge](y, xs)
            part = _summed_to(part, x.shape)
        else:
            part = node.primitive.vjp(i, upstream, y, xs, node.settings)
        return (np.zeros(x.shape) + part).astype(x.dtype)[()]


def _summed_to(part: Any, shape: tuple[int, ...]) -> Any:
    """Return the sum over the axes along which an input of this shape was broadcast."""
    part = np.asarray(part)
    extra = tuple(range(part.ndim - len(shape)))
    part = part.sum(axis=extra)
    over = tuple(k for k, n in enumerate(shape) if n == 1 != part.shape[k])
    return part.sum(axis=over, keepdims=True)


def users_first(tape: Tape) -> Iterator[Edge]:
    """Yield the edges in the right order."""
    return (step.edge for step in tape.backward)


def depth_first(tape: Tape) -> Iterator[Edge]:
    """Yield the edges in the order of a recursion that visits every node once.

    It is ``def visit(node): for x in inputs: pass the edge on; if x is new: visit(x)``, written
    without recursion.
    """
    edges = {
        node: [step.edge for step in steps]
        for node, steps in groupby(tape.backward, key=lambda s: s.edge.node)
    }
    visited = {tape.root}
    stack = [iter(edges.get(tape.root, ()))]
    while stack:
        edge = next(stack[-1], None)
        if edge is None:
            stack.pop()
            continue
        yield edge
        if edge.source not in visited:
            visited.add(edge.source)
            stack.append(iter(edges.get(edge.source, ())))


def old_values(tape: Tape, variable: Node) -> tuple[Any, dict[Node, Any]]:
    """Return what a variable was a moment ago, and the results that this left behind."""
    now: Any = tape.value(variable)
    before = np.asarray(now + AGO, variable.dtype)[()]
    leaves: dict[Node, Any] = {n: tape.value(n) for n in tape.nodes if n.is_leaf}
    computed = [n for n in tape.nodes if not n.is_leaf]
    leaves = {n: v for n, v in leaves.items() if n.primitive is not CONSTANT}
    found = evaluate(computed, {**leaves, variable: before})
    return before, {
        n: np.asarray(v).astype(n.dtype)[()] for n, v in zip(computed, found, strict=True)
    }


def alike(a: Any, b: Any, dtype: Any = None, noise: float = 0.0) -> bool:
    """Return whether two numbers or arrays agree but for rounding; no adjoint is as good as 0.

    Args:
        a, b: what to compare; None counts as 0.
        dtype: of the node they belong to; float32 is compared less strictly.
        noise: an absolute difference that means nothing.
    """
    a, b = (0.0 if v is None else v for v in (a, b))
    tolerance = 1e-4 if dtype == np.float32 else 1e-9
    if not (np.ndim(a) or np.ndim(b)):
        x, y = float(a), float(b)
        return math.isclose(x, y, rel_tol=tolerance, abs_tol=noise) or (x != x and y != y)
    return bool(np.allclose(a, b, rtol=tolerance, atol=noise, equal_nan=True))
