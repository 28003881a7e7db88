"""Paths from the root back to one node: how many there are, and the few that weigh most.

The gradient is the sum over all paths of the product of the local derivatives along each (Bauer
1974, "Computational graphs and rounding error", SIAM J. Numer. Anal. 11; Griewank and Walther
2008, "Evaluating Derivatives", ch. 3). Paths can be more than the atoms of the world, so none is
walked: counts, totals and the largest products come from one sweep over the edges each.

What one can do: `Routes(tape, node)` for counts and sums, `Routes.best(k)` for the k largest.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any, NamedTuple

from graphgrad.graph import Edge, Node
from graphgrad.recorder import BackwardStep, Tape

__all__ = ["BlockedEdge", "Routes", "Totals", "Trail", "trail_steps"]

EXACT = 10_000
"""Bits of a count beyond which shares of it are not counted out edge by edge."""


class Trail(NamedTuple):
    """The end of a path: its product as mantissa and exponent, and the way back to the root."""

    exponent: float
    mantissa: float
    parent: Trail | None
    step: BackwardStep | None


class Totals(NamedTuple):
    """Sums over all paths: of the positive products, and of the negative ones."""

    positive: float
    negative: float


@dataclass(frozen=True)
class BlockedEdge:
    """An edge with the local derivative 0, and the number of paths that first die there.

    `paths` is None where the count is too large to be of use.
    """

    step: BackwardStep
    paths: int | None


class Routes:
    """The part of a backward pass that leads to one node.

    Args:
        tape: the recorded run.
        node: the node whose adjoint is explained.

    Attributes:
        steps: the backward steps on some path from the root to the node, in order.
        count: how many paths there are, exactly.
        length: how many edges all the paths have together.
    """

    def __init__(self, tape: Tape, node: Node) -> None:
        self.tape, self.node = tape, node
        self._below: dict[Edge, int] = {}
        self._factors: dict[Edge, float] = {}
        self._survey()

    def _survey(self) -> None:
        """Count paths upwards from the node; a count is dropped once all its users have it."""
        node, root = self.node, self.tape.root
        paths, lengths = {node: 1}, {node: 0}
        waiting: dict[Node, int] = {}
        steps = []
        for step in reversed(self.tape.backward):
            user, x = step.edge.node, step.edge.source
            if x not in paths:
                continue
            steps.append(step)
            paths[user] = paths.get(user, 0) + paths[x]
            lengths[user] = lengths.get(user, 0) + lengths[x] + paths[x]
            if self._blocks(step) and paths[x].bit_length() <= EXACT:
                self._below[step.edge] = paths[x]
            waiting[x] = waiting.get(x, len(self.tape.arrivals(x))) - 1
            if not waiting[x]:
                del paths[x], lengths[x]
        self.steps = steps[::-1]
        self.count: int = paths.get(root, 0)
        self.length: int = lengths.get(root, 0)

    @cached_property
    def scalar(self) -> bool:
        """Whether every node on the way is a scalar, so that a path has a product of numbers."""
        return self.node.shape == () and all(s.edge.node.shape == () for s in self.steps)

    def factor(self, step: BackwardStep) -> float:
        """Return the local derivative of a scalar edge as a float."""
        known = self._factors.get(step.edge)
        if known is None:
            local: Any = self.tape.local(*step.edge)
            known = self._factors[step.edge] = float(local)
        return known

    def _blocks(self, step: BackwardStep) -> bool:
        node, x = step.edge.node, step.edge.source
        return node.shape == x.shape == () and self.factor(step) == 0

    def _groups(self) -> Iterator[tuple[Node, list[BackwardStep]]]:
        """Yield each node on the way with its steps; all its users come before it."""
        for node, steps in groupby(self.steps, key=lambda s: s.edge.node):
            yield node, list(steps)

    @cached_property
    def totals(self) -> Totals:
        """The sums of all positive and of all negative path products; scalar graphs only."""
        seed = float(self.tape.seed)
        sums = {self.tape.root: (max(seed, 0.0), min(seed, 0.0))}
        for node, steps in self._groups():
            plus, minus = sums.pop(node)
            for step in steps:
                local, x = self.factor(step), step.edge.source
                up, down = (plus, minus) if local >= 0 else (minus, plus)
                old = sums.get(x, (0.0, 0.0))
                sums[x] = old[0] + up * local, old[1] + down * local
        return Totals(*sums.get(self.node, (0.0, 0.0)))

    @cached_property
    def arriving(self) -> dict[Edge, int]:
        """How many paths end with each of the edges that point to the node."""
        counts, found = {self.tape.root: 1}, {}
        for user, steps in self._groups():
            here = counts.pop(user)
            for step in steps:
                x = step.edge.source
                if x is self.node:
                    found[step.edge] = here
                else:
                    counts[x] = counts.get(x, 0) + here
        return found

    @property
    def alive(self) -> int:
        """How many paths have no factor that is exactly 0; scalar graphs only."""
        return self._living[0]

    @property
    def blocked(self) -> list[BlockedEdge]:
        """The edges where paths die, those with most paths first; scalar graphs only.

        A path dies at its first factor 0, counted from the root.
        """
        return self._living[1]

    @cached_property
    def _living(self) -> tuple[int, list[BlockedEdge]]:
        living = {self.tape.root: 1}
        found: list[BlockedEdge] = []
        for node, steps in self._groups():
            here = living.pop(node, 0)
            for step in steps:
                x = step.edge.source
                if not here:
                    continue
                if self.factor(step) != 0:
                    living[x] = living.get(x, 0) + here
                    continue
                below = self._below.get(step.edge)
                known = below is not None and here.bit_length() <= EXACT
                found.append(BlockedEdge(step, below * here if below and known else None))
        found.sort(key=lambda b: -math.inf if b.paths is None else -b.paths)
        return living.get(self.node, 0), found

    def best(self, most: int) -> list[Trail]:
        """Return the paths with the largest products by magnitude, largest first.

        The best k of a node are among the best k of its users, each prolonged by an edge, so k
        per node are enough (k-best paths in an acyclic graph; Eppstein 1998, "Finding the k
        shortest paths", SIAM J. Comput. 28, section 1). Products are kept as mantissa and
        exponent, and so neither overflow nor underflow. With nan among the factors the order is
        no longer exact; paths with nan come first.
        """
        best: dict[Node, list[Trail]] = {self.tape.root: [_start(float(self.tape.seed))]}
        for node, steps in self._groups():
            trails = _cut(best.pop(node), most)
            for step in steps:
                found = best.setdefault(step.edge.source, [])
                factor = self.factor(step)
                found += [_prolonged(t, step, factor) for t in trails]
                if len(found) > 8 * most:
                    found[:] = _cut(found, most)
        return _cut(best.get(self.node, []), most)


def trail_steps(trail: Trail) -> list[BackwardStep]:
    """Return the steps of a path, from the root on."""
    steps = []
    at: Trail | None = trail
    while at is not None and at.step is not None:
        steps.append(at.step)
        at = at.parent
    return steps[::-1]


def _start(seed: float) -> Trail:
    mantissa, exponent = math.frexp(seed)
    return Trail(exponent if seed else -math.inf, mantissa, None, None)


def _prolonged(trail: Trail, step: BackwardStep, factor: float) -> Trail:
    product = trail.mantissa * factor
    mantissa, shift = math.frexp(product)
    if product == 0:
        exponent = -math.inf
    elif math.isfinite(product):
        exponent = trail.exponent + shift
    else:
        exponent = math.inf
    return Trail(exponent, mantissa, trail, step)


def _cut(trails: Sequence[Trail], most: int) -> list[Trail]:
    return sorted(trails, key=_rank)[:most]


def _rank(trail: Trail) -> tuple[float, float]:
    size = abs(trail.mantissa)
    return (-trail.exponent, -size) if size == size else (-math.inf, -math.inf)
