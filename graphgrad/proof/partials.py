"""Proofs of elementwise rules: SymPy's derivative of the formula against the rule's own.

The rule is run on placeholders and the graph it makes is translated, so what is proved is the very
rule that computes gradients. Formulas with kinks are taken apart, and proved on every side.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sympy as sp

from graphgrad.graph import Node, apply, var
from graphgrad.ops.define import Elementwise
from graphgrad.primitive import Settings
from graphgrad.proof.bridge import SYMPY
from graphgrad.proof.budget import attempt
from graphgrad.proof.decide import simplified, vanishes
from graphgrad.proof.domains import Condition, conditions, kink, without_implied
from graphgrad.proof.entries import boxed, run
from graphgrad.proof.exact import exact, key_of
from graphgrad.proof.precise import PRECISE, OutsideError, agreed, number_of, slope
from graphgrad.proof.sides import ManySidesError, Sides, branches

__all__ = [
    "CHECKED", "LATE", "PROVED", "UNDECIDED", "WRONG", "BrokenRuleError", "Proof", "on_sides",
    "prove_partial",
]  # fmt: skip

PROVED, CHECKED, UNDECIDED, WRONG = "proved", "checked", "not decided", "WRONG"
POINTS = 20
FRACTIONS = [sp.Rational(k, 16) for k in (11, 5, 13, 3, 9, 7, 15, 1)]
FRACTIONS += [sp.Rational(k, 23) for k in range(1, 23)]
"""Where in the stated domain points are taken, the simplest first."""
ENOUGH = 12
"""Digits of agreement at every point that floats in a rule allow; fewer mean that it is wrong."""


class BrokenRuleError(Exception):
    """A derivative rule that raised an error of its own."""


@dataclass(frozen=True)
class Proof:
    """What was found about one derivative.

    Attributes:
        status: `PROVED`, `CHECKED` (at points, to many digits), `UNDECIDED` or `WRONG`.
        method: how, in words.
        derivative: SymPy's derivative of the formula, by side: (switches with sides, expression).
        rule: the rule's expression.
        symbols: one per input of the primitive.
        masks: those of them that stand for masks.
        result: the letter that stands for the primitive's result in `rule`.
        conditions: where it holds.
        point: for a wrong rule, a point (exact number per symbol) at which the two differ.
        values: the derivative's and the rule's number there.
        difference: for a wrong rule without kinks, derivative minus rule.
        notes: what else is to be said.
        seconds: what it took.
    """

    status: str
    method: str
    derivative: Sequence[tuple[Mapping[Any, Any], Any]] = ()
    rule: Any = None
    symbols: Sequence[Any] = ()
    masks: Collection[Any] = ()
    result: Any = None
    conditions: Sequence[Condition] = ()
    point: Mapping[Any, Any] = field(default_factory=dict)
    values: tuple[Any, Any] | None = None
    difference: Any = None
    notes: Sequence[str] = ()
    seconds: float = 0.0


LATE = Proof(UNDECIDED, "time was up")


def prove_partial(p: Elementwise, i: int, settings: Settings, masks: Sequence[bool]) -> Proof:
    """Prove the local derivative ∂y/∂xᵢ of an elementwise primitive.

    Args:
        p: the primitive.
        i: the position of the input.
        settings: of this use.
        masks: which inputs are masks.

    Example:
        >>> import graphgrad as gg
        >>> found = prove_partial(gg.PRIMITIVES["tanh"], 0, {}, [False])
        >>> found.status, found.method, found.derivative[0][1]
        ('proved', 'same expression', 1 - tanh(x)**2)
    """
    return _proved(key_of(p, len(masks), settings), i, tuple(masks))


@functools.lru_cache(maxsize=2048)
def _proved(key: Any, i: int, masks: tuple[bool, ...]) -> Proof:
    p, _, settings = key
    start = time.perf_counter()
    try:
        proof = _Partial(p, i, dict(settings), masks).proof()
    except BrokenRuleError as problem:
        proof = Proof(WRONG, f"the rule cannot be run: {problem.args[0]!r}")
    except Exception as problem:  # and so may a formula
        proof = Proof(UNDECIDED, f"the formula cannot be used: {problem!r}")
    return Proof(**{**proof.__dict__, "seconds": time.perf_counter() - start})


class _Partial:
    """The placeholders of one partial derivative, and what is made of them."""

    def __init__(self, p: Elementwise, i: int, settings: dict[str, Any], masks: Sequence[bool]):
        self.p, self.i, self.settings, self.masks = p, i, settings, masks
        names = list(p.signature.parameters)
        self.symbols = [sp.Symbol(names[k], real=True) for k in range(len(masks))]
        self.xs = [var(s.name, dtype=bool if m else float) for s, m in zip(self.symbols, masks)]
        self.result = sp.Dummy("y", real=True)
        self.y = var("y")
        try:
            self.rule = p.partial(i, self.y, self.xs, settings)
        except Exception as problem:  # a rule may hold any mistake
            raise BrokenRuleError(problem) from None

    def proof(self) -> Proof:
        """Return the proof: by algebra on every side, else by numbers."""
        x = self.symbols[self.i]
        try:
            sides = list(branches(self._on_side))
        except ManySidesError:
            sides = []
        methods = []
        for _, (formula, rule) in sides:
            methods.append(vanishes(sp.diff(formula, x) - rule))
        derivative = [(s.switches, sp.diff(f, x)) for s, (f, _) in sides]
        shown: dict[str, Any] = {
            "derivative": derivative, "rule": self._plain_rule(), "symbols": self.symbols,
            "masks": {s for s, m in zip(self.symbols, self.masks, strict=True) if m},
            "result": self.result, "conditions": self._conditions(sides),
        }  # fmt: skip
        if methods and all(methods):
            return Proof(PROVED, max(methods, key=len) + on_sides(len(sides)), **shown)
        return self._by_numbers(shown)

    def _on_side(self, sides: Sides) -> tuple[Any, Any]:
        operands = [
            sides.positive(s) if mask else s
            for s, mask in zip(self.symbols, self.masks, strict=True)
        ]
        formula = sides.apply(self.p, operands, self.settings)
        return formula, self._rule_with(sides, operands, formula)

    def _rule_with(self, arithmetic: Any, operands: Sequence[Any], y: Any) -> Any:
        if not isinstance(self.rule, Node):
            return arithmetic.number(self.rule)
        known = {n: boxed((), [e]) for n, e in zip(self.xs, operands, strict=True)}
        return run([self.rule], {**known, self.y: boxed((), [y])}, arithmetic)[self.rule][()]

    def _plain(self) -> list[Any]:
        return [sp.Symbol(s.name) if m else s for s, m in zip(self.symbols, self.masks)]

    def _plain_rule(self) -> Any:
        """Return the rule with y as a letter of its own, as a reader writes it: 1 − y²."""
        return self._rule_with(SYMPY, self._plain(), self.result)

    # -- the domain ------------------------------------------------------------------------

    def _conditions(self, sides: Sequence[tuple[Sides, tuple[Any, Any]]]) -> list[Condition]:
        found: dict[Condition, None] = {}
        masks = {s for s, m in zip(self.symbols, self.masks, strict=True) if m}
        for side, made in sides:
            for e in made:
                found.update(dict.fromkeys(conditions(e)))
            found.update({Condition("broken", (u,)): None for u in side.steps})
            for s in (*side.switches, *side.apart):
                if s not in masks:
                    found[kink(s)] = None
        known = []
        for c in found:
            kind = self._at_switch(c.parts[0], sides) if c.kind == "kink" else c.kind
            known += [Condition(kind, c.parts)] if kind else []
        return without_implied(known)

    def _at_switch(self, s: Any, sides: Sequence[tuple[Sides, tuple[Any, Any]]]) -> str:
        """Return "jump", "kink", or "" where function and rule pass s = 0 smoothly."""
        x = self.symbols[self.i]
        for symbol in sorted(s.free_symbols, key=str):
            if sp.diff(s, symbol).is_Rational and sp.diff(s, symbol) != 0:
                at = {symbol: symbol - s / sp.diff(s, symbol)}
                break
        else:
            return "kink"
        operands = self._plain()
        formula = SYMPY.apply(self.p, operands, self.settings)
        rule = self._rule_with(SYMPY, operands, formula)
        beside = [f for side, (f, _) in sides if self._beside(side, s, at)]

        def kind() -> str:
            if len({simplified(f.subs(at)) for f in beside}) > 1:
                return "jump"
            slopes = {simplified(sp.diff(f, x).subs(at)) for f in beside}
            return "" if slopes == {simplified(rule.subs(at))} else "kink"

        found: str = attempt(kind, 1.0, "kink")
        return found

    @staticmethod
    def _beside(side: Sides, s: Any, at: dict[Any, Any]) -> bool:
        """Return whether a side touches s = 0: no other switch stands against it there."""
        for other, taken in side.switches.items():
            value = other.subs(at)
            if other != s and value.is_number and bool(value > 0) != bool(taken == 1):
                return False
        return True

    # -- numbers ---------------------------------------------------------------------------

    def _by_numbers(self, shown: dict[str, Any]) -> Proof:
        digits, count = 40, 0
        for point in self._points():
            try:
                expected, actual, size = self._at(point)
            except OutsideError:
                continue
            same = agreed(expected, actual, size)
            if same < ENOUGH:
                at = dict(zip(self.symbols, map(exact, point), strict=True))
                return Proof(
                    WRONG, "they differ", **shown, point=at, values=(expected, actual),
                    difference=self._difference(shown["derivative"]),
                )  # fmt: skip
            digits, count = min(digits, same), count + 1
            if count == POINTS:
                break
        if not count:
            return Proof(UNDECIDED, "no algebraic proof, and no point with a finite value", **shown)
        return Proof(CHECKED, f"to {digits} digits at {count} rational points", **shown)

    def _difference(self, derivative: Sequence[tuple[Any, Any]]) -> Any:
        """Return derivative minus rule as one formula, simplified; None where there are kinks."""
        if len(derivative) != 1:
            return None
        operands = self._plain()
        rule = self._rule_with(SYMPY, operands, SYMPY.apply(self.p, operands, self.settings))
        whole = derivative[0][1] - rule
        return attempt(lambda: sp.factor_terms(simplified(whole)), 1.0, whole)

    def _at(self, point: Sequence[Any]) -> tuple[Any, Any, Any]:
        """Return derivative, rule and size at a point, in 120 digits."""
        operands = [number_of(v) for v in point]
        at = {n: boxed((), [v]) for n, v in zip(self.xs, operands, strict=True)}
        node = apply(self.p, self.xs, self.settings)
        one = boxed((), [number_of(1)])
        expected, size = slope(node, one, at, {self.xs[self.i]: one})
        y = PRECISE.apply(self.p, operands, self.settings)
        return expected, self._rule_with(PRECISE, operands, y), size

    def _points(self) -> list[list[Any]]:
        """Return rational points inside the stated domain, the simplest first."""
        axes: list[list[Any]] = []
        for (low, high), mask in zip(self.p.domain, self.masks, strict=True):
            start, width = sp.Rational(low), sp.Rational(high) - sp.Rational(low)
            axes.append([True, False] * len(FRACTIONS) if mask else
                        [start + width * f for f in FRACTIONS])  # fmt: skip
        n = len(FRACTIONS)
        return [
            [axis[(k * (2 * r + 1) + 3 * r) % n] for r, axis in enumerate(axes)] for k in range(n)
        ]


def on_sides(count: int) -> str:
    """Return what is added to a proof that was made on every side of the kinks one by one."""
    return "" if count == 1 else ", on both sides" if count == 2 else f", on each of {count} sides"
