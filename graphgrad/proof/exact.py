"""Floats as the exact numbers they stand for, and SymPy as the rule book is to see it.

A proof needs real numbers, a program has floats. `exact` reads 0.1 as 1/10, 0.3333333333333333 as
1/3 and 1.1283791670955126 as 2/√π: the number that the float rounds. `formula` runs the `sympy`
rule of a primitive with settings read like that, and refuses powers that no memory could hold.
"""

from __future__ import annotations

import bisect
import functools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import sympy as sp

from graphgrad.errors import GraphError, TooLargeError
from graphgrad.primitive import Primitive

__all__ = ["Template", "exact", "formula", "key_of", "template"]

LARGEST_DENOMINATOR = 1000
SHORT = 8
"""Digits of a decimal that a float is taken for when only its last bits differ, as in 1 − 0.9."""
ROUNDED, LAST_BITS = 1e-15, 5e-16
"""How far, relatively, the arithmetic of a rule may have moved a float off that number."""
MOST_BITS = 4096
"""Bits of the largest exact number: far more than the 1024 of the largest float."""


def exact(value: Any) -> Any:
    """Return a number as the exact real number it stands for.

    Args:
        value: a Python or NumPy number, or a bool.

    Returns:
        A SymPy number; `sympy.true` or `sympy.false` for a bool. A float is read as a decimal of
        at most 8 digits, a fraction with a denominator up to 1000, or a small multiple of
        √2, √3, e, π, √π, log 2 …, when it is that number rounded; else as its shortest decimal.

    Example:
        >>> exact(0.1), exact(1/3), exact(2 / math.sqrt(math.pi)), exact(1 - 0.9)
        (1/10, 1/3, 2/sqrt(pi), 1/10)
    """
    if isinstance(value, sp.Basic):
        return value
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, bool):
        return sp.true if value else sp.false
    if isinstance(value, int):
        return sp.Integer(value)
    value = float(value)
    if not math.isfinite(value):
        return sp.nan if value != value else (sp.oo if value > 0 else -sp.oo)
    if value == int(value):
        return sp.Integer(int(value))
    return _decimal(value) or _named(value) or _fraction(value) or sp.Rational(repr(value))


def _decimal(value: float) -> Any:
    text = f"{value:.15g}"
    digits = text.partition("e")[0].replace(".", "").strip("-0")
    close = abs(float(text) - value) <= ROUNDED * abs(value)
    return sp.Rational(text) if len(digits) <= SHORT and close else None


def _fraction(value: float) -> Any:
    close = Fraction(value).limit_denominator(LARGEST_DENOMINATOR)
    same = abs(float(close) - value) <= LAST_BITS * abs(value)
    return sp.Rational(close.numerator, close.denominator) if same else None


def _named(value: float) -> Any:
    floats, numbers = _constants()
    size = abs(value)
    at = bisect.bisect(floats, size * (1 - LAST_BITS))
    if at == len(floats) or floats[at] > size * (1 + LAST_BITS):
        return None
    return numbers[at] if value > 0 else -numbers[at]


@functools.cache
def _constants() -> tuple[list[float], list[Any]]:
    """Return small multiples of the usual irrational numbers, and the floats they round to."""
    pi, e, root = sp.pi, sp.E, sp.sqrt
    bases = [pi, root(2), root(3), e, root(pi), root(2 * pi), sp.log(2), sp.log(10)]
    bases += [1 / b for b in bases]
    factors = [sp.Rational(p, q) for p in (1, 2, 3, 4) for q in (1, 2, 3, 4, 6, 8)]
    table: dict[float, Any] = {}
    for base in bases:
        for factor in factors:
            number = base * factor
            table.setdefault(float(number), number)
    floats = sorted(table)
    return floats, [table[f] for f in floats]


class _Formulas:
    """SymPy, with `nsimplify` that reads floats as `exact` does, so that all readings agree."""

    nsimplify = staticmethod(exact)

    def __getattr__(self, name: str) -> Any:
        return getattr(sp, name)


_FORMULAS = _Formulas()


class Template:
    """The formula of a primitive on symbols.

    Attributes:
        symbols: one per input, real.
        expression: the formula.
        powers: base and exponent of each power in it that could be large.
        uses: how often each symbol occurs.
    """

    def __init__(self, p: Primitive, inputs: int, settings: Mapping[str, Any]):
        if p.sympy is None:
            raise GraphError(f"{p.name} has no formula for single numbers")
        self.symbols = [sp.Symbol(f"#{k + 1}", real=True) for k in range(inputs)]
        self.expression = sp.sympify(p.sympy(_FORMULAS, *self.symbols, **settings))
        self.powers = [
            (e.base, e.exp)
            for e in self.expression.atoms(sp.Pow)
            if not (e.exp.is_Rational and abs(e.exp) <= 4)
        ]
        found = Counter(e for e in sp.preorder_traversal(self.expression) if e.is_Symbol)
        self.uses = [found[s] for s in self.symbols]


Key = tuple[Primitive, int, tuple[tuple[str, Any], ...]]


def key_of(p: Primitive, inputs: int, settings: Mapping[str, Any]) -> Key:
    """Return what identifies a use of a primitive, as a key of caches."""
    return p, inputs, tuple(settings.items())


@functools.lru_cache(maxsize=1024)
def _template(key: Key) -> Template:
    p, inputs, settings = key
    return Template(p, inputs, dict(settings))


def template(p: Primitive, inputs: int, settings: Mapping[str, Any]) -> Template:
    """Return the formula of a primitive with these settings, on symbols."""
    return _template(key_of(p, inputs, settings))


def formula(p: Primitive, operands: Sequence[Any], settings: Mapping[str, Any]) -> Any:
    """Return the primitive's formula with SymPy expressions as inputs.

    Raises:
        TooLargeError: when it holds a power of numbers with more than 4096 binary digits.
        GraphError: when the primitive has no formula.
    """
    known = template(p, len(operands), settings)
    if known.powers:
        values = dict(zip(known.symbols, operands, strict=True))
        for base, exponent in known.powers:
            _check_power(base.xreplace(values), exponent.xreplace(values))
    result = sp.sympify(p.sympy(_FORMULAS, *operands, **settings))  # type: ignore[misc]
    number = result.as_coeff_Mul()[0] if isinstance(result, sp.Expr) else result
    if number.is_Rational and _bits(number) > MOST_BITS:
        raise TooLargeError(f"{p.name} gives a number of {_bits(number)} binary digits")
    return result


def _bits(number: Any) -> int:
    return max(abs(number.p).bit_length(), number.q.bit_length())


def _check_power(base: Any, exponent: Any) -> None:
    """Refuse a power whose numeric part nobody could write down."""
    number = base.as_coeff_Mul()[0]
    if not (exponent.is_Rational and number.is_Rational) or number in (0, 1, -1):
        return
    if abs(exponent) * max(_bits(number) - 1, 1) > MOST_BITS:
        raise TooLargeError(
            f"{_short(number)} to the power {_short(exponent)} has too many digits to be written "
            f"exactly"
        )


def _short(number: Any) -> str:
    text = str(number)
    return text if len(text) <= 24 else f"{text[:10]}…{text[-4:]} ({len(text)} characters)"
