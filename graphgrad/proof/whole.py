"""Whole derivatives, end to end: the gradient a graph makes against SymPy's of the whole formula.

Towards each variable, three witnesses in falling strength: algebra (`sympy.diff` of the whole
expression, proved equal to the gradient graph), numbers of 120 digits at rational points
(`graphgrad.proof.sampling`), and the complex step at the graph's own values, in its own shapes.
Which one spoke is said.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import sympy as sp

from graphgrad import dtypes
from graphgrad.errors import TooLargeError
from graphgrad.gradient import vjp
from graphgrad.graph import VARIABLE, Node, ancestors, const, refresh, var
from graphgrad.proof.bridge import check_constants, symbols_of, tree_size
from graphgrad.proof.budget import Budget, attempt
from graphgrad.proof.decide import vanishes
from graphgrad.proof.entries import boxed, each, run
from graphgrad.proof.partials import CHECKED, POINTS, PROVED, UNDECIDED, WRONG, Proof, on_sides
from graphgrad.proof.sampling import Samples
from graphgrad.proof.sides import ManySidesError, Sides, branches

__all__ = ["Whole"]

LARGEST_FORMULA = 3000
LARGEST_GRADIENT = 4000
"""Operations, written out, of formula and of one entry of a gradient that algebra is tried on."""
DEEPEST = 100
MOST_ENTRIES = 300
SCREENED = 2
"""Points at which every gradient is tried before any algebra."""
FEW_SWITCHES, MOST_SIDES = 8, 64
"""Switches, and sides of them, that are gone through one by one where letters fail."""


def leaves_of(y: Node) -> list[Node]:
    """Return the floating variables that y depends on, in order."""
    return [n for n in ancestors(y) if n.primitive is VARIABLE and dtypes.is_float(n.dtype)]


class Whole:
    """A graph with its gradients towards all variables, ready to be proved.

    Args:
        y: the root; contracted with a cotangent g when it is no scalar.
        budget: the time that may be spent.

    Attributes:
        leaves: the floating variables.
        variables: all variables.
        valued: whether all of them have finite values.
        cotangent: the variable g that a root of more entries is contracted with, or None.
        gradients: the node of the gradient towards each leaf.
        broken: why the gradients could not even be made; "" when they could.
    """

    def __init__(self, y: Node, budget: Budget):
        self.y, self.budget = y, budget
        self.leaves = leaves_of(y)
        self.variables = [n for n in ancestors(y) if n.primitive is VARIABLE]
        self.valued = all(
            n._value is not None and bool(np.all(np.isfinite(refresh(n)))) for n in self.variables
        )
        self.cotangent = None if y.shape == () else var("g", shape=y.shape, dtype=y.dtype)
        seed = const(1.0, y.dtype) if self.cotangent is None else self.cotangent
        self.gradients: dict[Node, Node] = {}
        self.broken = ""
        try:
            found = vjp(y, self.leaves, seed) if self.leaves else []
            self.gradients = dict(zip(self.leaves, found, strict=True))
        except Exception as problem:  # a rule may hold any mistake
            self.broken = f"the gradient cannot be made: {problem!r}"
        self.samples = Samples(self.y, self.gradients, self.variables, self.cotangent, self.valued)

    def prove(self) -> Iterator[tuple[Node, Proof]]:
        """Yield each variable with the proof about the derivative towards it."""
        if self.broken:
            yield from ((x, Proof(WRONG, self.broken)) for x in self.leaves)
            return
        reserve = self._screen()
        proofs = self._proofs(reserve) if self._has_formula() else {}
        rest = [x for x in self.leaves if not proofs.get(x)]
        self.samples.take(rest, POINTS, self.budget.left * 0.9)
        for x in self.leaves:
            yield x, self._verdict(x, proofs.get(x, ""))

    def _screen(self) -> float:
        """Try every gradient at two points; return the seconds to keep for the other points."""
        start = self.budget.spent
        self.samples.take(self.leaves, SCREENED, self.budget.left * 0.3)
        return min((self.budget.spent - start) * POINTS / SCREENED, self.budget.left * 0.7)

    def _verdict(self, x: Node, algebra: str) -> Proof:
        seen = self.samples.seen[x]
        if seen.wrong is not None:
            point, values, where = seen.wrong
            return Proof(WRONG, f"they differ{where}", point=point, values=values)
        if algebra:
            return Proof(PROVED, algebra)
        if seen.count:
            along = "" if len(self.leaves) == x.size == 1 else ", along random directions"
            early = "" if seen.count >= POINTS else self.samples.early
            count = "1 point" if seen.count == 1 else f"{seen.count} points"
            return Proof(CHECKED, f"to {seen.digits} digits at {count}{along}{early}")
        return Proof(UNDECIDED, self.samples.why)

    # -- algebra -----------------------------------------------------------------------------

    def _has_formula(self) -> bool:
        """Return whether the whole expression is small enough to be written down."""
        entries = sum(x.size for x in self.leaves)
        if entries > MOST_ENTRIES:
            return False
        given = [] if self.cotangent is None else [self.cotangent]
        size, depth = tree_size([self.y])
        if size > LARGEST_FORMULA or depth > DEEPEST:
            return False
        gradients = tree_size([*self.gradients.values()], given)[0]
        return gradients <= LARGEST_GRADIENT * max(entries, 1)

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
        for n in self.variables:
            if n.dtype is dtypes.BOOL:
                known[n] = each(lambda s: sides.positive(_real(s)), known[n])
        check_constants([self.y], known)
        found = run([self.y, *self.gradients.values()], known, sides)
        total = sp.Add(*[g * e for g, e in zip(weights.ravel(), found[self.y].ravel())])
        gradients = {x: each(sides.settled, found[g]) for x, g in self.gradients.items()}
        return sides.settled(total), gradients

    def _proofs(self, reserve: float) -> dict[Node, str]:
        """Return the proofs by algebra, made in what the budget leaves beside the reserve."""
        found: dict[Node, str] = {}
        limit = Budget(max(self.budget.left * 0.95 - reserve, 1e-3))
        sides = Sides(clock=Budget(limit.left / 2))  # letters: all sides of all kinks at once
        total, gradients = self._at_once(sides)
        for x in self.leaves:
            if self.samples.seen[x].wrong is None and limit.left:
                found[x] = self._algebra(x, total, gradients, sides, limit)
        return found

    def _at_once(self, sides: Sides) -> tuple[Any, dict[Node, Any]]:
        """Return formula and gradients with letters for sides; None where that is not possible."""
        try:
            return self._on_side(sides)
        except ManySidesError:
            return None, {}
        except TooLargeError as problem:
            self.samples.why = str(problem)
            return None, {}

    def _algebra(
        self, x: Node, total: Any, gradients: dict[Node, Any], sides: Sides, limit: Budget
    ) -> str:
        """Return how the derivative towards x was proved; "" when it was not."""
        if total is not None:
            method = self._matches(x, total, gradients[x], sides, limit)
            if method:
                return method + across(len(sides.switches))
            if not sides.switches:
                return ""
        if len(sides.switches) > FEW_SWITCHES:
            return ""
        one_by_one: str = attempt(lambda: self._side_by_side(x, limit), limit.left, "")
        return one_by_one

    def _side_by_side(self, x: Node, limit: Budget) -> str:
        methods: dict[str, None] = {}
        count = 0
        try:
            for sides, (total, gradients) in branches(self._on_side, MOST_SIDES):
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
            if not limit.left:
                return ""
            gap = attempt(partial(_gap, total, s, g), limit.left)
            method = "" if gap is None else vanishes(gap, sides.letters, limit.left)
            if not method:
                return ""
            methods[method] = None
        return max(methods, key=len, default="no entries")


def _gap(total: Any, s: Any, gradient: Any) -> Any:
    return sp.diff(total, s) - gradient


def _real(s: Any) -> Any:
    return sp.Symbol(f"{s.name} holds", real=True)


def across(switches: int) -> str:
    """Return what is added to a proof that was made on all sides of the kinks at once."""
    if switches <= 1:
        return ", on both sides" if switches else ""
    return f", on all sides of {switches} kinks"
