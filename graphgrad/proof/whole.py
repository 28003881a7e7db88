"""Whole derivatives, end to end: the gradient a graph makes against SymPy's of the whole formula.

Towards each variable, three witnesses in falling strength: algebra (`sympy.diff` of the whole
expression, proved equal to the gradient graph), numbers of 120 digits at rational points, and the
complex step at the graph's own values, in its own shapes. Which one spoke is said.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import sympy as sp

from graphgrad import dtypes
from graphgrad.errors import GraphError, TooLargeError
from graphgrad.gradient import vjp
from graphgrad.graph import VARIABLE, Node, ancestors, const, refresh, var
from graphgrad.proof.bridge import check_constants, symbols_of, tree_size
from graphgrad.proof.budget import Budget
from graphgrad.proof.decide import vanishes
from graphgrad.proof.entries import boxed, each, needed, run
from graphgrad.proof.exact import exact
from graphgrad.proof.partials import (
    CHECKED,
    ENOUGH,
    POINTS,
    PROVED,
    UNDECIDED,
    WRONG,
    Proof,
    on_sides,
)
from graphgrad.proof.precise import (
    MOST,
    PRECISE,
    OutsideError,
    agreed,
    number_of,
    slope,
    unit_of,
    weighed,
)  # fmt: skip
from graphgrad.proof.sides import ManySidesError, Sides, branches

__all__ = ["Whole", "leaves_of"]

LARGEST_FORMULA = 3000
LARGEST_GRADIENT = 4000
DEEPEST = 100
MOST_ENTRIES = 300
MOST_WORK = 60_000
"""Operations of one evaluation in 120 digits: about half a second."""
SCREENED = 2
"""Points at which every gradient is tried before any algebra."""
FEW_SWITCHES = 5


def leaves_of(y: Node) -> list[Node]:
    """Return the floating variables that y depends on, in order."""
    return [n for n in ancestors(y) if n.primitive is VARIABLE and dtypes.is_float(n.dtype)]


@dataclass
class _Seen:
    """What numbers have said about one gradient so far."""

    count: int = 0
    digits: int = MOST
    wrong: tuple[Mapping[str, Any], tuple[Any, Any], str] | None = None


@dataclass
class Whole:
    """A graph with its gradients towards all variables, ready to be proved.

    Attributes:
        y: the root; contracted with a cotangent g when it is no scalar.
        budget: the time that may be spent.
        leaves: the floating variables.
        variables: all variables.
        valued: whether all of them have finite values.
        why: the reason, when something is not decided.
        cotangent: the variable g that a root of more entries is contracted with.
        gradients: the node of the gradient towards each leaf.
    """

    y: Node
    budget: Budget
    leaves: list[Node] = field(init=False)

    def __post_init__(self) -> None:
        y = self.y
        self.leaves = leaves_of(y)
        self.cotangent = None if y.shape == () else var("g", shape=y.shape, dtype=y.dtype)
        seed = const(1.0, y.dtype) if self.cotangent is None else self.cotangent
        self.gradients = dict(zip(self.leaves, vjp(y, self.leaves, seed) if self.leaves else []))
        self._seen = {x: _Seen() for x in self.leaves}
        self._points = 0
        self._draw = random.Random(0)
        self.variables = [n for n in ancestors(y) if n.primitive is VARIABLE]
        self.valued = all(n._value is not None for n in self.variables) and all(
            bool(np.all(np.isfinite(refresh(n)))) for n in self.variables
        )
        self.why = "time was up"
        self._early = ""

    def prove(self) -> Iterator[tuple[Node, Proof]]:
        """Yield each variable with the proof about the derivative towards it."""
        feasible = self.work() <= MOST_WORK
        reserve = 0.0
        if not feasible:
            self.why = "too large for algebra, and for numbers of 120 digits"
        else:
            start = self.budget.spent
            self.sample(self.leaves, SCREENED, self.budget.left * 0.3)
            reserve = min((self.budget.spent - start) * POINTS / SCREENED, self.budget.left * 0.7)
        proofs = self._proofs(reserve) if self._has_formula() else {}
        rest = [x for x in self.leaves if not proofs.get(x) and self._seen[x].wrong is None]
        if feasible and rest:
            self.sample(rest, POINTS, self.budget.left * 0.9)
        for x in self.leaves:
            yield x, self._verdict(x, proofs.get(x, ""))

    def _proofs(self, reserve: float) -> dict[Node, str]:
        """Return the proofs by algebra, made in what the budget leaves beside the reserve."""
        found: dict[Node, str] = {}
        limit = Budget(max(self.budget.left * 0.95 - reserve, 1e-3))
        try:
            total, gradients, sides = self._together()
        except TooLargeError as problem:
            self.why = str(problem)
            return {}
        for x in self.leaves:
            if self._seen[x].wrong is None and limit.left:
                found[x] = self._algebra(x, total, gradients, sides, limit)
        return found

    def _verdict(self, x: Node, algebra: str) -> Proof:
        seen = self._seen[x]
        if seen.wrong is not None:
            point, values, where = seen.wrong
            return Proof(WRONG, f"they differ{where}", point=point, values=values)
        if algebra:
            return Proof(PROVED, algebra)
        if seen.count:
            early = "" if seen.count >= POINTS else self._early
            along = "" if len(self.leaves) == x.size == 1 else ", along random directions"
            count = "1 point" if seen.count == 1 else f"{seen.count} points"
            return Proof(CHECKED, f"to {seen.digits} digits at {count}{along}{early}")
        return Proof(UNDECIDED, self.why)

    # -- algebra -----------------------------------------------------------------------------

    def _has_formula(self) -> bool:
        """Return whether the whole expression is small enough to be written down."""
        if sum(x.size for x in self.leaves) > MOST_ENTRIES or not self.leaves:
            return False
        given = [] if self.cotangent is None else [self.cotangent]
        size, depth = tree_size([self.y])
        if size > LARGEST_FORMULA or depth > DEEPEST:
            return False
        entries = max(sum(x.size for x in self.leaves), 1)
        return tree_size([*self.gradients.values()], given)[0] <= LARGEST_GRADIENT * entries

    def weights(self) -> Any:
        """Return the letters g that the entries of the root are weighed by; 1 for a scalar."""
        if self.cotangent is None:
            return boxed((), [sp.Integer(1)])
        names = [f"g{list(at)}".replace(" ", "") for at in np.ndindex(self.y.shape)]
        return boxed(self.y.shape, [sp.Symbol(n, real=True) for n in names])

    def _letters(self) -> dict[Node, Any]:
        known = symbols_of(self.variables)
        return known if self.cotangent is None else {**known, self.cotangent: self.weights()}

    def _on_side(self, sides: Sides) -> tuple[Any, dict[Node, Any]]:
        """Return the whole formula and all gradients as smooth formulas on this side."""
        known, weights = self._letters(), self.weights()
        masks = [n for n in self.variables if n.dtype is dtypes.BOOL]
        known |= {n: each(lambda s: sides.positive(_real(s)), known[n]) for n in masks}
        check_constants([self.y], known)
        found = run([self.y, *self.gradients.values()], known, sides)
        total = sp.Add(*[g * e for g, e in zip(weights.ravel(), found[self.y].ravel())])
        return total, {x: found[g] for x, g in self.gradients.items()}

    def _algebra(
        self, x: Node, total: Any, gradients: dict[Node, Any], sides: Sides, limit: Budget
    ) -> str:
        """Return how the derivative towards x was proved; "" when it was not."""
        if total is not None:
            method = self._matches(x, total, gradients[x], sides, limit)
            if method:
                return method + across(len(sides.switches))
            if not 0 < len(sides.switches) <= FEW_SWITCHES:
                return ""
        return self._side_by_side(x, limit)

    def _together(self) -> tuple[Any, dict[Node, Any], Sides]:
        """Return formula and gradients with a letter h for every switch; None for what fails."""
        sides = Sides()
        try:
            return (*self._on_side(sides), sides)
        except ManySidesError:
            return None, {}, sides

    def _side_by_side(self, x: Node, limit: Budget) -> str:
        methods: dict[str, None] = {}
        count = 0
        try:
            for sides, (total, gradients) in branches(self._on_side, 2**FEW_SWITCHES):
                method = self._matches(x, total, gradients[x], sides, limit)
                if not method:
                    return ""
                methods[method], count = None, count + 1
        except ManySidesError:
            return ""
        return max(methods, key=len) + on_sides(count)

    def _matches(self, x: Node, total: Any, gradient: Any, sides: Sides, limit: Budget) -> str:
        methods: dict[str, None] = {}
        for s, g in zip(self._letters()[x].ravel(), gradient.ravel(), strict=True):
            method = (
                vanishes(sp.diff(total, s) - g, sides.letters, limit.left) if limit.left else ""
            )
            if not method:
                return ""
            methods[method] = None
        return max(methods, key=len, default="no entries")

    # -- numbers -----------------------------------------------------------------------------

    def work(self) -> int:
        """Return about how many operations one evaluation of graph and gradients takes."""
        given = [] if self.cotangent is None else [self.cotangent]
        order = needed([self.y, *self.gradients.values()], dict.fromkeys(given))
        return sum(
            n.size + sum(x.size for x in n.inputs if n.primitive.kind != "map") for n in order
        )

    def sample(self, leaves: Sequence[Node], points: int, seconds: float) -> None:
        """Compare gradients with difference quotients at points, until each has seen enough."""
        limit = Budget(max(seconds, 1e-3))
        for _ in range(4 * points):
            waiting = [
                x for x in leaves if self._seen[x].count < points and not self._seen[x].wrong
            ]
            if not waiting or not limit.left:
                self._early = ", then time was up" if waiting else ""
                return
            at = self._point()
            try:
                known = {n: each(number_of, v) for n, v in at.items()}
                weights = boxed((), [number_of(1)])
                if self.cotangent is not None:
                    weights = known[self.cotangent]
                here = weighed(self.y, weights, known)
                gradients = run([self.gradients[x] for x in waiting], known, PRECISE)
            except OutsideError as problem:
                self.why = f"no point with a finite value was found ({problem})"
                continue
            except GraphError as problem:
                self.why = str(problem)
                return
            found = {x: gradients[self.gradients[x]] for x in waiting}
            if self._compare(waiting, at, known, weights, here, found) and len(waiting) > 1:
                for x in waiting:  # one of them is wrong: which?
                    if limit.left:
                        self._compare([x], at, known, weights, here, found)
        self._early = ", others have no finite value"

    def _compare(
        self, xs: list[Node], at: Any, known: Any, weights: Any, here: Any, gradients: Any
    ) -> bool:
        """Compare along one random direction in all the variables; return whether they differ.

        The direction is scaled so that each variable has about the same share in the derivative.
        """
        moved = {x: self._direction(x, unit_of(gradients[x])) for x in xs}
        try:
            expected, size = slope(self.y, weights, known, moved, here)
        except OutsideError as problem:
            self.why = f"no point was found without {problem}"
            return False
        terms = [d * g for x in xs for d, g in zip(moved[x].ravel(), gradients[x].ravel())]
        digits = agreed(expected, sum(terms, number_of(0)), size)
        if digits >= ENOUGH:
            for x in xs:
                self._seen[x].count += 1
                self._seen[x].digits = min(self._seen[x].digits, digits)
        elif len(xs) == 1:
            (x,) = xs
            scale = moved[x].ravel()[0] if x.size == 1 else 1
            values = expected / scale, sum(terms, number_of(0)) / scale
            where = "" if x.size == 1 else " along a random direction"
            self._seen[x].wrong = _named_point(at), values, where
        return digits < ENOUGH

    def _direction(self, x: Node, unit: Any) -> Any:
        draw = self._draw
        steps = [draw.choice((-1, 1)) * draw.randint(5, 16) for _ in range(x.size)]
        return boxed(x.shape, [unit * step for step in steps])

    def _point(self) -> dict[Node, Any]:
        """Return rational values for all variables: close to the current ones, or anywhere."""
        self._points += 1
        kind = self._points % 4
        nodes = [*self.variables, *([] if self.cotangent is None else [self.cotangent])]
        return {n: self._values(n, kind) for n in nodes}

    def _values(self, node: Node, kind: int) -> Any:
        draw = self._draw
        if node.dtype is dtypes.BOOL:
            return boxed(node.shape, [draw.random() < 0.5 for _ in range(node.size)])
        if node.dtype is dtypes.INT64:
            return boxed(node.shape, [exact(v) for v in np.ravel(refresh(node))])
        if self.valued and kind and node is not self.cotangent:
            spread = (1, 32, 1024)[kind - 1]
            return boxed(node.shape, [_near(v, spread, draw) for v in np.ravel(node._value)])
        low = -3 if self._points % 8 else 0
        return boxed(
            node.shape, [sp.Rational(draw.randint(32 * low + 1, 95), 32) for _ in range(node.size)]
        )


def _near(value: Any, spread: int, draw: random.Random) -> Any:
    """Return a short rational number near a value; the larger `spread`, the nearer."""
    v = float(value)
    if not np.isfinite(v):
        return exact(v)
    scale = sp.Integer(2) ** int(np.ceil(np.log2(max(abs(v), 0.5))))
    return (
        sp.Rational(round(v / float(scale) * 64 * spread) + draw.randint(-16, 16), 64 * spread)
        * scale
    )


def _named_point(at: Mapping[Node, Any]) -> dict[str, Any]:
    return {
        n.name + (f"{list(k)}".replace(" ", "") if k else ""): values[k]
        for n, values in at.items()
        for k in np.ndindex(n.shape)
    }


def _real(s: Any) -> Any:
    return sp.Symbol(f"{s.name} holds", real=True)


def across(switches: int) -> str:
    """Return what is added to a proof that was made on all sides of the kinks at once."""
    if switches <= 1:
        return ", on both sides" if switches else ""
    return f", on all sides of {switches} kinks"
