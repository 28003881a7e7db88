"""Gradients tried at rational points, in 120 digits, against difference quotients of the formula.

All variables move together, along a random direction in which each has about the same share: a
wrong gradient shows, whichever it is, and then the one that is wrong is looked for.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from graphgrad import dtypes
from graphgrad.errors import GraphError
from graphgrad.graph import Node, refresh
from graphgrad.proof.budget import Budget, LateError
from graphgrad.proof.entries import boxed, each, needed, run
from graphgrad.proof.exact import exact
from graphgrad.proof.partials import ENOUGH
from graphgrad.proof.precise import (
    KINK,
    MOST,
    PRECISE,
    SHORT_STEP,
    OutsideError,
    agreed,
    number_of,
    slope,
    unit_of,
    weighed,
)

__all__ = ["Samples"]

MOST_WORK = 60_000
"""Operations of one evaluation in 120 digits: about half a second."""
FEW = 64
"""Entries of the largest array that is searched for the entry that is wrong."""
TRIES = 4
"""Points tried for each that is wanted: some have no finite value, or lie on a kink."""
SPREADS = (1, 32, 1024)
"""How close to the current values points lie: within 1/4, 1/128, 1/4096 of their size."""


@dataclass
class Seen:
    """What numbers have said about one gradient so far: at how many points, to how many digits."""

    count: int = 0
    digits: int = MOST
    wrong: tuple[Mapping[str, Any], tuple[Any, Any], str] | None = None


class Samples:
    """Points, and what was seen at them.

    Args:
        y: the root.
        gradients: the gradient's node for each floating variable.
        variables: all variables.
        cotangent: the variable that weighs the entries of y, or None.
        valued: whether the variables have finite values, close to which points may lie.

    Attributes:
        seen: what numbers have said about each gradient.
        feasible: whether the graph is small enough for this.
        why: the reason why nothing was seen, when that is so.
        early: what to say when fewer points than wanted were seen.
    """

    def __init__(
        self,
        y: Node,
        gradients: Mapping[Node, Node],
        variables: Sequence[Node],
        cotangent: Node | None,
        valued: bool,
    ):
        self.y, self.gradients, self.variables = y, gradients, variables
        self.cotangent, self.valued = cotangent, valued
        self.seen = {x: Seen() for x in gradients}
        self.feasible = self.work() <= MOST_WORK
        self.why = "time was up"
        if not self.feasible:
            self.why = "too large for algebra, and for numbers of 120 digits"
        self.early = ""
        self._points = 0
        self._draw = random.Random(0)

    def work(self) -> int:
        """Return about how many operations one evaluation of graph and gradients takes."""
        given = {} if self.cotangent is None else {self.cotangent: None}
        order = needed([self.y, *self.gradients.values()], given)
        inner = (x.size for n in order if n.primitive.kind != "map" for x in n.inputs)
        return sum(n.size for n in order) + sum(inner)

    def take(self, leaves: Sequence[Node], points: int, seconds: float) -> None:
        """Try gradients at points, until each has been seen at so many or the time is up."""
        if not self.feasible:
            return
        limit = Budget(max(seconds, 1e-3))
        for _ in range(TRIES * points):
            waiting = [x for x in leaves if self._waits(x, points)]
            if not waiting or not limit.left:
                self.early = ", then time was up" if waiting else ""
                return
            try:
                self._try(waiting, limit)
            except LateError:
                self.early = ", then time was up"
                return
            except OutsideError as problem:
                self.why = f"no point with a finite value was found ({problem})"
            except GraphError as problem:
                self.why = str(problem)
                return
        self.early = ", others have no finite value or lie on a kink"

    def _waits(self, x: Node, points: int) -> bool:
        return self.seen[x].count < points and self.seen[x].wrong is None

    def _try(self, waiting: list[Node], limit: Budget) -> None:
        point = _Point(self, waiting, limit)
        if point.differs(waiting) and len(waiting) > 1:
            for x in waiting:  # one of them is wrong: which?
                point.differs([x])

    def draw(self) -> dict[Node, Any]:
        """Return rational values for all variables: close to the current ones, or anywhere."""
        self._points += 1
        nodes = [*self.variables, *([] if self.cotangent is None else [self.cotangent])]
        return {n: self._values(n, self._points % 4) for n in nodes}

    def _values(self, node: Node, kind: int) -> Any:
        draw = self._draw
        if node.dtype is dtypes.BOOL:
            return boxed(node.shape, [draw.random() < 0.5 for _ in range(node.size)])
        if node.dtype is dtypes.INT64:
            return boxed(node.shape, [exact(v) for v in np.ravel(refresh(node))])
        if self.valued and kind and node is not self.cotangent:
            values = np.ravel(refresh(node))
            return boxed(node.shape, [_near(v, SPREADS[kind - 1], draw) for v in values])
        low = -95 if self._points % 8 else 1
        cells = [draw.randint(low, 95) for _ in range(node.size)]
        return boxed(node.shape, [sp.Rational(c, 32) for c in cells])

    def direction(self, x: Node, unit: Any) -> Any:
        """Return a random direction in x, no entry of which is 0."""
        draw = self._draw
        steps = [draw.choice((-1, 1)) * draw.randint(5, 16) for _ in range(x.size)]
        return boxed(x.shape, [unit * step for step in steps])


class _Point:
    """One point: graph and gradients computed there in 120 digits."""

    def __init__(self, samples: Samples, waiting: Sequence[Node], limit: Budget):
        self.samples, self.y, self.check = samples, samples.y, limit.check
        self.at = samples.draw()
        self.known = {n: each(number_of, v) for n, v in self.at.items()}
        weights = samples.cotangent
        self.weights = boxed((), [number_of(1)]) if weights is None else self.known[weights]
        self.here = weighed(self.y, self.weights, self.known, self.check)
        found = run([samples.gradients[x] for x in waiting], self.known, PRECISE, self.check)
        self.gradients = {x: found[samples.gradients[x]] for x in waiting}

    def differs(self, xs: list[Node]) -> bool:
        """Compare along one random direction in the variables; note and return what is seen."""
        moved = {x: self.samples.direction(x, unit_of(self.gradients[x])) for x in xs}
        expected, size = self._slope(moved)
        pairs = [(d, g) for x in xs for d, g in zip(moved[x].ravel(), self.gradients[x].ravel())]
        actual = sum((d * g for d, g in pairs), number_of(0))
        digits = agreed(expected, actual, size)
        if digits >= ENOUGH:
            for x in xs:
                seen = self.samples.seen[x]
                seen.count, seen.digits = seen.count + 1, min(seen.digits, digits)
        elif len(xs) == 1:
            if agreed(expected, self._slope(moved, step=SHORT_STEP)[0], size) < ENOUGH:
                raise OutsideError(KINK)  # the differences themselves disagree
            self._note(xs[0], expected, actual)
        return digits < ENOUGH

    def _slope(self, moved: Mapping[Node, Any], **step: Any) -> tuple[Any, Any]:
        return slope(self.y, self.weights, self.known, moved, self.here, self.check, **step)

    def _note(self, x: Node, expected: Any, actual: Any) -> None:
        """Remember a wrong gradient, with the entry that is wrong where it can be found."""
        seen, point = self.samples.seen[x], _named(self.at)
        if x.size > FEW:
            seen.wrong = point, (expected, actual), " along a random direction"
            return
        for entry in np.ndindex(x.shape):
            unit = boxed(x.shape, [number_of(0)] * x.size)
            unit[entry] = number_of(1)
            slopes, size = self._slope({x: unit})
            if agreed(slopes, self.gradients[x][entry], size) < ENOUGH:
                where = f" in entry {list(entry)}".replace(", ", ",") if entry else ""
                seen.wrong = point, (slopes, self.gradients[x][entry]), where
                return


def _near(value: Any, spread: int, draw: random.Random) -> Any:
    """Return a short rational number near a value; the larger `spread`, the nearer."""
    v = float(value)
    scale = sp.Integer(2) ** int(np.ceil(np.log2(max(abs(v), 0.5))))
    cells = round(v / float(scale) * 64 * spread) + draw.randint(-16, 16)
    return sp.Rational(cells, 64 * spread) * scale


def _named(at: Mapping[Node, Any]) -> dict[str, Any]:
    return {
        n.name + (f"{list(k)}".replace(" ", "") if k else ""): values[k]
        for n, values in at.items()
        for k in np.ndindex(n.shape)
    }
