"""Floats as the exact numbers they stand for, and SymPy as the rule book is to see it.

A proof needs real numbers, a program has floats. `exact` reads 0.1 as 1/10, 0.3333333333333333 as
1/3 and 1.1283791670955126 as 2/√π: the number that the float rounds. `FORMULAS` is what the
`sympy` rules of primitives get as their first argument: SymPy, with this reading of settings and
with powers that would not fit into any memory refused.
"""

from __future__ import annotations

import functools
import math
from fractions import Fraction
from typing import Any

import sympy as sp

from graphgrad.errors import GraphError

__all__ = ["FORMULAS", "TooLargeError", "exact", "guarded_power"]

LARGEST_DENOMINATOR = 1000
MOST_BITS = 4096
"""Bits of the largest exact number: far more than the 1024 of the largest float."""


class TooLargeError(GraphError, OverflowError):
    """An exact number of so many digits that writing it down would never end."""


def exact(value: Any) -> Any:
    """Return a number as the exact real number it stands for.

    Args:
        value: a Python or NumPy number, or a bool.

    Returns:
        A SymPy number; `sympy.true` or `sympy.false` for a bool. A float is read as a decimal of
        at most 12 digits, a fraction with a denominator up to 1000, or a small multiple of
        √2, √3, e, π, √π, log 2 …, when it is that number rounded; else as its shortest decimal.

    Example:
        >>> exact(0.1), exact(1/3), exact(2 / math.sqrt(math.pi)), exact(1 - 0.9)
        (1/10, 1/3, 2/sqrt(pi), 1/10)
    """
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
    return _named(value) or _decimal(value) or _fraction(value) or sp.Rational(repr(value))


def _decimal(value: float) -> Any:
    """Return the decimal of up to 12 digits that the value is, give or take its last bits."""
    text = f"{value:.15g}"
    digits = text.partition("e")[0].replace(".", "").strip("-0")
    return sp.Rational(text) if len(digits) <= 12 else None


def _fraction(value: float) -> Any:
    close = Fraction(value).limit_denominator(LARGEST_DENOMINATOR)
    return sp.Rational(close.numerator, close.denominator) if float(close) == value else None


def _named(value: float) -> Any:
    found = _constants().get(abs(value))
    return None if found is None else (found if value > 0 else -found)


@functools.cache
def _constants() -> dict[float, Any]:
    """Return small multiples of the usual irrational numbers, by the float that each rounds to."""
    pi, e, root = sp.pi, sp.E, sp.sqrt
    bases = [pi, root(2), root(3), e, root(pi), root(2 * pi), sp.log(2), sp.log(10)]
    bases += [1 / b for b in bases] + [root(2 / pi)]
    factors = [sp.Rational(p, q) for p in (1, 2, 3, 4) for q in (1, 2, 3, 4, 6, 8)]
    table: dict[float, Any] = {}
    for base in bases:
        for factor in factors:
            number = base * factor
            table.setdefault(float(number), number)
    return table


def guarded_power(base: Any, exponent: Any) -> Any:
    """Return base ** exponent, unless that is a number nobody could write down.

    Raises:
        TooLargeError: for a power of numbers with more than 4096 binary digits.
    """
    if base.is_Rational and exponent.is_Rational and base not in (0, 1, -1):
        size = max(abs(base.p).bit_length(), base.q.bit_length()) - 1
        if abs(exponent) * max(size, 0.5) > MOST_BITS:
            raise TooLargeError(
                f"{_short(base)} to the power {_short(exponent)} has too many digits to be "
                f"written exactly"
            )
    return sp.Pow(base, exponent)


def _short(number: Any) -> str:
    text = str(number)
    return text if len(text) <= 24 else f"{text[:10]}…{text[-4:]} ({len(text)} digits)"


class _Formulas:
    """SymPy, with `nsimplify` that reads floats as `exact` does, so that all readings agree."""

    nsimplify = staticmethod(exact)

    def __getattr__(self, name: str) -> Any:
        return getattr(sp, name)


FORMULAS = _Formulas()
