"""The last rows of a report: the whole derivative towards each variable, and the value itself."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
import sympy as sp

from graphgrad.errors import GraphError
from graphgrad.explain.numbers import digest, number, shape_text
from graphgrad.graph import Node, ancestors, evaluate, refresh
from graphgrad.proof.budget import Budget, attempt
from graphgrad.proof.check import rtol_of
from graphgrad.proof.entries import boxed, run
from graphgrad.proof.findings import Row
from graphgrad.proof.formulas import Formulas
from graphgrad.proof.numeric import Comparison, compare_function
from graphgrad.proof.partials import CHECKED, PROVED, UNDECIDED, WRONG, Proof
from graphgrad.proof.precise import PRECISE, OutsideError, number_of
from graphgrad.proof.reaches import Reaches
from graphgrad.proof.rounding import moved_by_rounding
from graphgrad.proof.whole import Whole
from graphgrad.proof.wording import Words, digits

__all__ = ["Endings"]

STEPPED = 200
"""Nodes of a graph of scalars that is stepped even where a proof has been found."""
ROUNDING = 16
"""How many times as far as rounding errors moved it in three trials a value may be moved."""
FINER = 1e-100
"""Factor of the complex steps that a derivative is told again by before a gradient is condemned."""
HOPELESS = 0.1
"""Share of a value that rounding errors move it by, from which on floats cannot compute it."""


class Endings:
    """The rows of one graph that speak of the whole of it.

    Args:
        y: the root.
        words: the names of its nodes.
        found: what was proved about the edges of each node, for the domains.
        budget: the time that may be spent.
    """

    def __init__(
        self, y: Node, words: Words, found: Mapping[Node, Sequence[Proof]], budget: Budget
    ):
        self.y, self.words, self.budget = y, words, budget
        self.order = ancestors(y)
        self.whole = Whole(y, budget)
        self.formulas = Formulas(self.whole, words)
        self.reaches = Reaches(self.order, words, found, self.formulas.parts, budget)
        self._here = self._numbers_here()

    def rows(self) -> Iterator[Row]:
        """Yield a row per variable, then the one about the value."""
        start = time.perf_counter()
        for x, proof in self.whole.prove():
            now = time.perf_counter()
            yield self._leaf(x, self._stepped(x, proof), now - start)
            start = time.perf_counter()
        value = self._value()
        if value is not None:
            yield value

    # -- variables ---------------------------------------------------------------------------

    def _leaf(self, x: Node, proof: Proof, seconds: float) -> Row:
        name, root = self.words.names[x], self.words.names[self.y]
        shown = self.formulas.of(x)
        domain, note = self.reaches.of(x)
        entries = f"  [{shape_text(x.shape)}]" if x.shape else ""
        weighed = "" if self.y.shape == () else f", {root} weighed by any g"
        return Row(
            "leaf", f"∂{root}/∂{name}", proof.status,
            of=f"end to end{entries}{weighed}",
            formula=shown.formula, rule=shown.rule,
            difference="0" if proof.status == PROVED else "", method=proof.method, domain=domain,
            note="; ".join(t for t in (note, *proof.notes) if t),
            point={n: digits(v) for n, v in proof.point.items()},
            values=proof.values and (digits(proof.values[0]), digits(proof.values[1])),
            seconds=seconds, group=f"leaf {domain}", tex=shown.tex,
        )  # fmt: skip

    # -- numbers -----------------------------------------------------------------------------

    @cached_property
    def _close(self) -> float:
        """The relative tolerance of numbers, by the coarsest type of the graph."""
        return rtol_of(self.order)

    def _numbers_here(self) -> dict[Node, Any] | None:
        """Return the gradients at the current values in floats; None without finite values."""
        whole = self.whole
        if not whole.valued or not whole.gradients:
            return None
        seed = {}
        if whole.cotangent is not None:
            rng = np.random.default_rng(0)
            seed = {whole.cotangent: rng.normal(size=self.y.shape)}
        self._seed = next(iter(seed.values()), np.float64(1))
        if not np.all(np.isfinite(refresh(self.y))):
            return None
        found = evaluate([whole.gradients[x] for x in whole.leaves], seed)
        return dict(zip(whole.leaves, map(np.asarray, found), strict=True))

    def _stepped(self, x: Node, proof: Proof) -> Proof:
        """Return the proof together with what the complex step says at the current values."""
        if self._here is None or proof.status == WRONG:
            return proof
        scalar = all(n.shape == () for n in self.order)
        if proof.status != UNDECIDED and scalar and len(self.order) > STEPPED:
            return proof
        seconds = self.budget.late(0.05)  # also when time is up: a last word
        found: list[Comparison] = attempt(lambda: self._compare(x), seconds, [])
        if not found:
            return proof
        bad = [c for c in found if not c.ok]
        if not bad:
            return self._agreed(proof, found[0].method, scalar)
        first = bad[0]
        again = self._again(x, first)
        if again is not None:
            note = (
                "in floats the derivative cannot be computed at the current values: rounding them "
                f"moves the {first.method} from {number(first.expected, 6)} to {number(again, 6)}"
            )
            return replace(proof, notes=(*proof.notes, note))
        numbers = f"{number(first.actual, 6)} against {number(first.expected, 6)}"
        finite = bool(np.isfinite(first.actual) and np.isfinite(first.expected))
        if proof.status == UNDECIDED and finite and not self.reaches.of(x)[1]:
            values = (number_of(first.expected), number_of(first.actual))
            point = {
                n.name: sp.Float(float(refresh(n)), 17) for n in self.whole.leaves if not n.shape
            }
            return replace(proof, status=WRONG, method=f"{first.method} at the current values",
                           point=point, values=values)  # fmt: skip
        note = f"in floats, at the current values, the {first.method} differs: {numbers}"
        return replace(proof, notes=(*proof.notes, note))

    def _again(self, x: Node, first: Comparison) -> float | None:
        """Return the numeric derivative at rounded values, where it is another one.

        A gradient is condemned only by a derivative that neither rounding nor shorter steps move.
        """
        rng = np.random.default_rng(1)

        def rounded(n: Node) -> Any:
            unit = ROUNDING * float(np.finfo(n.dtype).eps)
            return refresh(n) * (1 + unit * rng.choice([-1.0, 1.0], n.shape))

        moved = {n: rounded(n) for n in self.whole.leaves}
        near = {c.argument: c.expected for c in self._compare(x, moved, FINER)}
        found = near.get(first.argument, first.expected)
        gap = min(abs(first.actual - first.expected), abs(first.expected))
        return None if abs(found - first.expected) <= HOPELESS * gap else found

    def _agreed(self, proof: Proof, method: str, scalar: bool) -> Proof:
        if proof.status == UNDECIDED:
            text = f"{method} at the current values ({proof.method})"
            return replace(proof, status=CHECKED, method=text)
        if scalar:
            return proof
        return replace(proof, method=f"{proof.method}; confirmed by {method} at the current values")

    def _compare(
        self, x: Node, at: Mapping[Node, Any] = MappingProxyType({}), shrunk: float = 1.0
    ) -> list[Comparison]:
        """Compare the gradient here with the derivative here, or elsewhere by shorter steps."""
        assert self._here is not None

        def value(xs: Sequence[Any], analytic: bool = False) -> Any:
            known = {**at, x: xs[0]}
            return np.sum(self._seed * evaluate([self.y], known, analytic=analytic)[0])

        def continued(xs: Sequence[Any]) -> Any:
            z = value([np.real(xs[0]) + 1j * shrunk * np.imag(xs[0])], True)
            return np.real(z) + 1j * np.imag(z) / shrunk

        size = float(np.sum(np.abs(self._seed * refresh(self.y))))
        return compare_function(
            value, [self._here[x]], [at.get(x, refresh(x))], names=[x.name], size=size,
            rtol=self._close, analytic=continued,
        )  # fmt: skip

    def _value(self) -> Row | None:
        """Return the row that compares the formula's value with the computed one."""
        if self._here is None or not self.whole.samples.feasible or not self.budget.left:
            return None
        known = {
            n: boxed(n.shape, [number_of(v) for v in np.ravel(refresh(n)).tolist()])
            for n in self.whole.variables
        }
        try:
            found = run([self.y], known, PRECISE)
        except (OutsideError, GraphError):
            return None
        expected = np.array([float(v) for v in found[self.y].ravel()])
        actual = np.ravel(np.asarray(refresh(self.y), float))
        shown = [" ".join(digest(v.reshape(self.y.shape), 6)) for v in (expected, actual)]
        error = float(np.max(np.abs(expected - actual), initial=0.0))
        scale = max((abs(float(v)) for e in found.values() for v in e.ravel()), default=1.0)
        status, method = CHECKED, "the formulas in 120 digits give the computed value"
        if not error <= self._close * max(scale, 1e-300):
            size = max(float(np.max(np.abs(expected))), self._close * scale, 1e-300)
            status, method = self._apart(error, size, known, found[self.y])
        return Row(
            "value", f"value of {self.words.names[self.y]}", status, of="at the current values",
            formula=shown[0], rule=shown[1], method=method, domain="",
        )  # fmt: skip

    def _apart(self, error: float, size: float, known: Any, exact: Any) -> tuple[str, str]:
        """Return status and words for a formula and a program that differ by so much."""
        try:
            moved = moved_by_rounding(self.y, known, exact)
        except OutsideError:
            moved = float("inf")
        if error > ROUNDING * moved and moved < HOPELESS * size:
            return WRONG, f"formula and program differ by {number(error)}"
        share = max(error, moved) / size
        if share < HOPELESS:
            kept = math.floor(-math.log10(share))
            return CHECKED, (
                f"the formulas in 120 digits give the first {kept} digits of the computed value: "
                "rounding errors grow on the way"
            )
        far = f" by {number(moved)}" if math.isfinite(moved) else " out of the domain"
        return UNDECIDED, f"rounding errors alone move it{far}: floats cannot compute this value"
