"""In which order sums, products and letters are written, and which numbers have a point.

Text and LaTeX both ask here, so that they cannot disagree.
"""

from __future__ import annotations

import re
from typing import Any

import sympy as sp

__all__ = ["decimal", "fraction", "natural", "ordered"]

NUMBER = re.compile("[0-9]+|[₀-₉]+")


def ordered(e: Any) -> list[Any]:
    """Return the terms of a sum as people write them: w·x + b, 1 + exp(−x), 1 − x².

    Positive terms come first, then those of higher degree; a number comes last in a polynomial
    and else first.
    """
    terms = e.as_ordered_terms(order="grlex")
    plain = all(t.is_number or t.is_polynomial() for t in terms)
    return sorted(
        terms, key=lambda t: (t.could_extract_minus_sign(), not plain and not t.is_number)
    )


def factors(e: Any) -> list[Any]:
    """Return the factors of a product as people write them: x·σ(u)·(1 − σ(u))·(w + b)."""
    found = e.as_ordered_factors()
    sums = [f for f in found if f.is_Add]
    listed = []
    for f in found:
        if not f.is_Add:
            listed.append(f)
            if 1 - f in sums:
                sums.remove(1 - f)
                listed.append(1 - f)
    return listed + sums


def fraction(e: Any, decimals: bool) -> tuple[bool, list[Any], list[Any]]:
    """Return whether a product has a minus sign, its factors, and those below the line."""
    minus = e.could_extract_minus_sign()
    above, below, number = [], [], sp.Integer(1)
    for factor in factors(-e if minus else e):
        if factor.is_Rational:
            number = factor
        elif factor.is_Pow and factor.exp.is_Rational and factor.exp < 0:
            below.append(1 / factor)
        else:
            above.append(factor)
    if decimal(number, decimals and not below):
        return minus, [number, *above], below
    above[:0] = [sp.Integer(number.p)] if number.p != 1 else []
    below[:0] = [sp.Integer(number.q)] if number.q != 1 else []
    return minus, above, below


def decimal(e: Any, always: bool = False) -> str:
    """Return a rational number that people write with a point, as 0.01; "" for 1/3 and 1/4.

    Args:
        e: the number.
        always: 1/4 too is 0.25, as in formulas whose own numbers have points.
    """
    if e.q == 1 or (e.q % 10 and not always):
        return ""
    shown = repr(float(e))
    short = len(shown) <= 8 or e.q % 10 == 0
    return shown.replace("e-0", "e-") if short and sp.Rational(shown) == e else ""


def natural(e: Any) -> tuple[Any, dict[Any, Any]]:
    """Return an expression whose letters sort as people count, w₂ before w₁₁; and their meaning."""
    found = {s: NUMBER.sub(lambda m: m[0].zfill(4), s.name) for s in e.free_symbols}
    letters = {s: s.func(n, **s.assumptions0) for s, n in found.items() if n != s.name}
    if len(set(found.values())) < len(found):
        return e, {}
    return e.xreplace(letters), {new: old for old, new in letters.items()}
