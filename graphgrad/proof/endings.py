"""The last rows of a report: the whole derivative towards each variable, and the value itself."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp

from graphgrad import dtypes
from graphgrad.errors import GraphError
from graphgrad.explain.latex import latex_name
from graphgrad.explain.numbers import digest, number, shape_text
from graphgrad.graph import Node, ancestors, evaluate, refresh
from graphgrad.proof.bridge import expressions, tree_size
from graphgrad.proof.budget import Budget, attempt
from graphgrad.proof.domains import conditions
from graphgrad.proof.entries import boxed, run
from graphgrad.proof.latex_rows import inside, partial_latex
from graphgrad.proof.numeric import Comparison, compare_function
from graphgrad.proof.partials import CHECKED, PROVED, UNDECIDED, WRONG, Proof
from graphgrad.proof.precise import PRECISE, OutsideError, number_of
from graphgrad.proof.reaches import Reaches
from graphgrad.proof.report import Row
from graphgrad.proof.sigmoids import readable, with_sigmoids
from graphgrad.proof.texts import HEAVY, latex, text
from graphgrad.proof.whole import Whole
from graphgrad.proof.wording import Words, digits

__all__ = ["Endings"]

SHORT = 200
"""Operations of a whole derivative that is worth printing."""
LONGEST = 120
"""Characters of a whole derivative that is shown."""
WRITTEN = 400
"""Operations of a whole formula whose parts SymPy is asked about."""
CLOSE = 1e-9


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
        self._parts = self._expressions()
        self.reaches = Reaches(self.order, words, found, self._parts)
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
        formula, rule = self._formulas(x)
        domain, note = self.reaches.of(x)
        entries = f"  [{shape_text(x.shape)}]" if x.shape else ""
        weighed = "" if self.y.shape == () else f", {root} weighed by any g"
        return Row(
            "leaf", f"∂{root}/∂{name}", proof.status,
            of=f"end to end{entries}{weighed}",
            formula=self._shown(formula, x) or self._operations,
            rule=self._shown(rule, x) or self._size_of(x),
            difference="0" if proof.status == PROVED else "", method=proof.method, domain=domain,
            note="; ".join(t for t in (note, *proof.notes) if t),
            point={n: digits(v) for n, v in proof.point.items()},
            values=proof.values and (digits(proof.values[0]), digits(proof.values[1])),
            seconds=seconds, group=f"leaf {domain}", tex=self._tex(x, formula, rule),
        )  # fmt: skip

    def _tex(self, x: Node, formula: Any, rule: Any) -> dict[str, str]:
        names = (latex_name(self.words.names[n]) for n in (self.y, x))
        first = rf"\text{{entry }}{_first(x)}{{:}}\ " if x.shape else ""
        tex = {"where": partial_latex(*names)}
        for key, e in (("formula", formula), ("rule", rule)):
            if self._shown(e, x):
                tex[key] = first + latex(e)
        return tex

    @staticmethod
    def _shown(e: Any, x: Node) -> str:
        if e is None or e.count_ops() > HEAVY:
            return ""
        shown = text(e)
        return "" if len(shown) > LONGEST else f"entry {_first(x)}: {shown}" if x.shape else shown

    def _size_of(self, x: Node) -> str:
        if x not in self.whole.gradients:
            return ""
        nodes = len(set(ancestors(self.whole.gradients[x])) - set(self.order))
        return f"(too long to show: a graph of {nodes:,} nodes)"

    @cached_property
    def _operations(self) -> str:
        size, _ = tree_size([self.y])
        return (
            f"(too long to show: derivative of a formula of {size:,} operations)"
            if size < 10**9
            else "(too long to write)"
        )

    def _formulas(self, x: Node) -> tuple[Any, Any]:
        """Return SymPy's derivative and the gradient graph as expressions, where they are short.

        Of an array, those for its first entry.
        """
        gradient = self.whole.gradients.get(x)
        if gradient is None:
            return None, None
        if not x.size or not self._parts or tree_size([self.y, gradient])[0] > SHORT:
            return None, None
        weights = self.whole.weights()
        leaves = {n: e for n, e in self._parts.items() if n.is_leaf}
        if self.whole.cotangent is not None:
            leaves[self.whole.cotangent] = weights

        def both() -> tuple[Any, Any]:
            pairs = zip(weights.ravel(), self._parts[self.y].ravel(), strict=True)
            total = sp.Add(*[g * e for g, e in pairs])
            derivative = sp.diff(total, self._parts[x].ravel()[0])
            rule = expressions([gradient], leaves)[gradient].ravel()[0]
            return derivative, inside(rule, conditions(total))

        formula, rule = attempt(both, 1.0, (None, None))
        if formula is not None and formula.has(sp.Derivative, sp.Subs, sp.DiracDelta):
            return None, rule
        if formula is None:
            return None, rule
        return readable(formula), with_sigmoids(rule)

    def _expressions(self) -> dict[Node, Any]:
        """Return every node of a small graph as an expression; nothing for others."""
        if tree_size([self.y])[0] > WRITTEN:
            return {}
        found: dict[Node, Any] = attempt(lambda: expressions([self.y], {}), 1.0, {})
        return found

    # -- numbers -----------------------------------------------------------------------------

    @cached_property
    def _coarse(self) -> float:
        """How much coarser the coarsest type of the graph is than float64."""
        types = {n.dtype for n in self.order if dtypes.is_float(n.dtype)}
        return max(float(np.finfo(t).eps) for t in types) / float(np.finfo(float).eps) / 1e3 + 1

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
        if proof.status != UNDECIDED and scalar and len(self.order) > SHORT:
            return proof
        seconds = self.budget.late(0.1)  # also when time is up: a last word
        found: list[Comparison] = attempt(lambda: self._compare(x), seconds, [])
        if not found:
            return proof
        bad = [c for c in found if not c.ok]
        if not bad:
            return self._agreed(x, proof, found[0].method, scalar)
        first = bad[0]
        numbers = f"{number(first.actual, 6)} against {number(first.expected, 6)}"
        if proof.status == UNDECIDED and not self.reaches.of(x)[1]:
            values = (number_of(first.expected), number_of(first.actual))
            point = {
                n.name: sp.Float(float(refresh(n)), 17) for n in self.whole.leaves if not n.shape
            }
            return replace(proof, status=WRONG, method=f"{first.method} at the current values",
                           point=point, values=values)  # fmt: skip
        note = f"in floats, at the current values, the {first.method} differs: {numbers}"
        return replace(proof, notes=(*proof.notes, note))

    def _agreed(self, x: Node, proof: Proof, method: str, scalar: bool) -> Proof:
        shapes = "" if x.shape == () and scalar else ", in the real shapes"
        if proof.status == UNDECIDED:
            text = f"{method} at the current values{shapes} ({proof.method})"
            return replace(proof, status=CHECKED, method=text)
        if scalar:
            return proof
        return replace(proof, method=f"{proof.method}; {method} at the current values{shapes}")

    def _compare(self, x: Node) -> list[Comparison]:
        assert self._here is not None

        def value(xs: Sequence[Any], analytic: bool = False) -> Any:
            return np.sum(self._seed * evaluate([self.y], {x: xs[0]}, analytic=analytic)[0])

        size = float(np.sum(np.abs(self._seed * refresh(self.y))))
        return compare_function(
            value, [self._here[x]], [refresh(x)], names=[x.name], size=size,
            rtol=CLOSE * self._coarse,
            analytic=lambda xs: value(xs, True),
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
        scale = max((abs(float(v)) for e in found.values() for v in e.ravel()), default=1.0)
        error = float(np.max(np.abs(expected - actual), initial=0.0))
        same = error <= CLOSE * self._coarse * max(scale, 1e-300)
        shown = [" ".join(digest(v.reshape(self.y.shape), 6)) for v in (expected, actual)]
        return Row(
            "value", f"value of {self.words.names[self.y]}", CHECKED if same else WRONG,
            of="at the current values", formula=shown[0], rule=shown[1],
            method="the formulas in 120 digits give the computed value"
            if same else f"formula and program differ by {number(error)}",
            domain="",
        )  # fmt: skip


def _first(x: Node) -> str:
    return f"[{','.join('0' * len(x.shape))}]"
