r"""SymPy expressions written on the board, in the look of the formula they come from.

Factors stand in the order in which their letters first appeared, sums keep their direction
(1 − a, not a − 1), and a minus sign is drawn into a bracket: −(a − y) is y − a.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import sympy as sp
from sympy.simplify.radsimp import fraction

from graphgrad.errors import GraphError
from graphgrad.explain.formulas import operation_template
from graphgrad.primitive import TABLE, Primitive
from graphgrad.proof.exact import template as formula_of
from graphgrad.proof.marks import Mark, letter, operation, signed_total, template
from graphgrad.proof.numerals import fraction_mark, number_mark

__all__ = ["ARITHMETIC", "Functions", "Reading", "Scribe", "named_functions"]

Functions = Mapping[Any, tuple[Primitive, Mapping[str, Any]]]
ARITHMETIC = {
    "add", "sub", "mul", "div", "neg", "square", "power", "pow", "reciprocal", "sqrt",
}  # fmt: skip
SIGNED = 1.9
"""Binding of a product with a minus sign before it, which needs no brackets: −a·b."""


@dataclass(frozen=True)
class Reading:
    """A formula as SymPy sees it, and what of its look is worth keeping.

    Attributes:
        expression: the SymPy expression.
        order: its symbols, in the order in which the formula has them.
        sums: the sums in it, as they stand there: 1 − a and not a − 1.
        decimals: whether it has numbers written with a decimal point.
    """

    expression: Any
    order: tuple[Any, ...] = ()
    sums: frozenset[Any] = frozenset()
    decimals: bool = False

    def __mul__(self, other: Reading) -> Reading:
        return self._with(other, self.expression * other.expression)

    def __add__(self, other: Reading) -> Reading:
        return self._with(other, self.expression + other.expression)

    def _with(self, other: Reading, expression: Any) -> Reading:
        order = tuple(dict.fromkeys((*self.order, *other.order)))
        return Reading(expression, order, self.sums | other.sums, self.decimals or other.decimals)


class Scribe:
    """Writes expressions in the look of one reading.

    Args:
        marks: what stands for a symbol.
        functions: the operation that a function of SymPy without a name stands for.
        reading: where order, signs and decimals are taken from.
        digits: of numbers.
    """

    def __init__(
        self, marks: Mapping[Any, Mark], functions: Functions, reading: Reading, digits: int
    ) -> None:
        self._marks, self._functions = marks, functions
        self.digits, self._seen, self._decimals = digits, reading.sums, reading.decimals
        self._rank = {symbol: k for k, symbol in enumerate(reading.order)}

    def mark(self, expression: Any) -> Mark:
        """Return an expression as it is written on the board."""
        if expression in self._marks:
            return self._marks[expression]
        if expression.is_Rational:
            return self._number(Fraction(int(expression.p), int(expression.q)))
        if expression.is_Add:
            return self._sum(expression)
        if expression.is_Mul or (expression.is_Pow and _inverse(expression)):
            return self._product(expression)
        if expression.is_Pow and expression.base is not sp.E:
            return self._power(expression.base, expression.exp)
        if (found := self._applied(expression)) is not None:
            return found
        if expression.is_number:
            text = number_mark(float(expression), self.digits).text
            return letter(text, sp.latex(expression)).marked(exact=False)
        return letter(str(expression), sp.latex(expression))

    def _number(self, value: Fraction) -> Mark:
        return fraction_mark(value, self.digits, self._decimals)

    def _applied(self, expression: Any) -> Mark | None:
        found = self._functions.get(expression.func) or _operation_of(expression)
        if found is None:
            return None
        p, settings = found
        inner = [self.mark(a) for a in expression.args]
        texts = [operation_template(p, len(inner), settings, s) for s in ("text", "latex")]
        return operation(texts[0], texts[1], inner, p.precedence)

    def _sum(self, expression: Any) -> Mark:
        number, inside = _content(expression)
        if number != 1:  # SymPy multiplies numbers into brackets by itself
            return self._product(sp.Mul(number, inside, evaluate=False))
        terms = sorted((self._term(t) for t in expression.args), key=lambda t: t[0])
        return signed_total([(key[0], mark) for key, mark in terms])

    def _term(self, term: Any) -> tuple[tuple[bool, bool, list[int], str], Mark]:
        """Return a term without its sign, and its place: positive terms first, numbers last."""
        mark, negative = self.mark(term), False
        if mark.negative:
            opposite = self.mark(-term)
            negative = not opposite.negative
            mark = opposite if negative else mark
        return (negative, bool(term.is_number), self._ranks(term), sp.srepr(term)), mark

    def _product(self, expression: Any) -> Mark:
        number, rest = expression.as_coeff_Mul()
        number, rest = _gathered(number, rest)
        above, below = fraction(rest, exact=True)
        sign, factors = self._signed(number, above)
        if not number.is_Rational:
            return letter(str(expression), sp.latex(expression))
        coefficient = Fraction(int(abs(number).p), int(abs(number).q))
        mark = self._number(coefficient)
        decimal = not mark.inner
        top = [mark] if decimal and coefficient != 1 else []
        bottom = [] if below == 1 else [self.mark(f) for f in self._ordered(below)]
        if not decimal:
            top = [number_mark(coefficient.numerator, self.digits)]
            top = [] if coefficient.numerator == 1 else top
            bottom.insert(0, number_mark(coefficient.denominator, self.digits))
        top += [self.mark(f) for f in factors if f != 1]
        whole = _dotted(top or [number_mark(1)])
        if bottom:
            whole = template("#1/#2", r"\frac{#1}{#2}", [whole, _dotted(bottom)], 2, 3.5)
        return template("−#1", "-#1", [whole], SIGNED) if sign < 0 else whole

    def _signed(self, number: Any, above: Any) -> tuple[int, list[Any]]:
        """Return sign and factors; brackets as they stood before, else such that no sign is left.

        So 1 − a stays 1 − a, and −(a − y) becomes y − a.
        """
        sign = -1 if number.is_negative else 1
        factors = self._ordered(above)
        fresh = []
        for k, factor in enumerate(factors):
            base, exponent = factor.as_base_exp()
            if not (base.is_Add and exponent.is_Integer):
                continue
            if -base in self._seen and base not in self._seen:
                factors[k] = (-base) ** exponent
                sign *= (-1) ** int(exponent)
            elif base not in self._seen and exponent % 2:
                fresh.append(k)
        if sign < 0 and fresh:
            sign, factors[fresh[0]] = 1, -factors[fresh[0]]
        return sign, factors

    def _ordered(self, expression: Any) -> list[Any]:
        factors = sp.Mul.make_args(expression)
        return sorted(factors, key=lambda f: (self._ranks(f)[:1], f.is_Add, sp.srepr(f)))

    def _ranks(self, expression: Any) -> list[int]:
        """Return where the letters of an expression first appeared, earliest first."""
        return sorted(self._rank.get(s, 0) for s in expression.free_symbols)

    def _power(self, base: Any, exponent: Any) -> Mark:
        inner = self.mark(base)
        if exponent == sp.Rational(1, 2):
            return template("√(#1)", r"\sqrt{#1}", [inner])
        if exponent == 2:
            return template("#1²", "#1^{2}", [inner], 4)
        return template("#1^#2", "#1^{#2}", [inner, self.mark(exponent)], 4)


def _content(expression: Any) -> tuple[Any, Any]:
    """Return the whole number that all terms of a sum share, and the sum without it."""
    if expression.is_Add:
        content, inside = expression.primitive()
        if content.is_Integer:
            return content, inside
    return sp.Integer(1), expression


def _gathered(number: Any, rest: Any) -> tuple[Any, Any]:
    """Return a product with the numbers that SymPy multiplied into its brackets before it."""
    factors: list[Any] = []
    for factor in sp.Mul.make_args(rest):
        content, inside = _content(factor)
        number, factors = number * content, [*factors, inside]
    return number, sp.Mul(*factors, evaluate=False) if len(factors) > 1 else factors[0]


def _inverse(power: Any) -> bool:
    """Return whether a power belongs below a fraction bar."""
    return bool(power.exp.is_Rational and power.exp.is_negative)


def _dotted(marks: Sequence[Mark]) -> Mark:
    if len(marks) == 1:
        return marks[0]
    places = [f"#{k + 1}" for k in range(len(marks))]
    return template("·".join(places), r" \cdot ".join(places), marks, 2)


@functools.cache
def named_functions() -> dict[str, Any]:
    """Return SymPy's function of each primitive that is one, such as tanh."""
    found = {}
    for p in TABLE.values():
        if p.sympy is None or p.kind != "map" or p.name in ARITHMETIC or p.variadic:
            continue
        try:
            known = formula_of(p, len(p.rules), {})
        except (TypeError, GraphError):  # it has settings, so it is more than a name
            continue
        e = known.expression
        if isinstance(e, sp.Function) and list(e.args) == known.symbols:
            found[p.name] = e.func
    return found


@functools.cache
def _by_function() -> dict[Any, Primitive]:
    return {function: TABLE[name] for name, function in named_functions().items()}


def _operation_of(expression: Any) -> tuple[Primitive, Mapping[str, Any]] | None:
    if expression.is_Pow and expression.base is sp.E:
        return TABLE["exp"], {}
    p = _by_function().get(expression.func)
    return (p, {}) if p is not None else None
