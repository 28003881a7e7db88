"""Whether two smooth formulas are the same function: proofs that a difference vanishes.

`vanishes` tries, in order: the two are the same expression; the numerator of the difference
expands to 0, with every function in it a letter of its own; the same with sinh, cosh, tanh written
by exponentials and exponents split; SymPy's simplifier, for small formulas. Each proof is sound on
the domain of the formulas; that none is found proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import sympy as sp

from graphgrad.proof.budget import attempt

__all__ = [
    "HEAVIEST",
    "reduced",
    "simplified",
    "tame",
    "vanishes",
    "weight",
]

SAME = "same expression"
EXPANDED = "difference expands to 0"
EXPONENTIALS = "difference expands to 0, written by exponentials"
SIMPLIFIED = "difference simplifies to 0"
HEAVIEST = 3000
"""Terms of the largest expansion that is tried."""
MOST = 10**9
"""What larger weights are counted as."""
SIMPLE = 80
"""Operations of the largest formula that goes to SymPy's simplifier."""
UNWATCHED = 8000
"""Operations up to which expanding takes two seconds at most, as `HEAVIEST` bounds the result."""


def vanishes(difference: Any, letters: Iterable[Any] = (), seconds: float = 2.0) -> str:
    """Return how a difference of two formulas was proved to be zero; "" when it was not.

    Args:
        difference: a smooth SymPy expression.
        letters: symbols in it that are 0 or 1, so that h² = h.
        seconds: the most to spend.
    """
    if difference == 0:
        return SAME
    if difference.has(sp.nan, sp.zoo, sp.oo, -sp.oo) or not tame(difference):
        return ""
    small = difference.count_ops() <= UNWATCHED * min(seconds / 2, 1)
    ways = ((EXPANDED, lambda e: e), (EXPONENTIALS, by_exponentials))
    for name, rewrite in ways:
        done = (
            _expands(difference, rewrite, letters)
            if small
            else attempt(partial(_expands, difference, rewrite, letters), seconds / 2)
        )
        if done:
            return name
    if difference.count_ops() <= SIMPLE and attempt(
        lambda: sp.simplify(difference) == 0, seconds, False
    ):
        return SIMPLIFIED
    return ""


def _expands(difference: Any, rewrite: Any, letters: Iterable[Any]) -> bool:
    try:
        flat = _flattened(rewrite(difference), {})
        above = sp.fraction(sp.together(flat))[0]
        if weight(above) > HEAVIEST:
            return False
        return bool(reduced(sp.expand(above), set(letters)) == 0)
    except (ArithmeticError, AttributeError, NotImplementedError, RecursionError, TypeError,
            ValueError, sp.PolynomialError):  # fmt: skip
        return False


def by_exponentials(e: Any) -> Any:
    """Return the expression with hyperbolic functions as exponentials, and exponents split."""
    plain = e.rewrite([sp.sinh, sp.cosh, sp.tanh], sp.exp)
    return sp.expand(plain, power_exp=True, deep=True, mul=False, multinomial=False,
                     basic=False, log=True, power_base=False)  # fmt: skip


def _flattened(e: Any, names: dict[Any, Any]) -> Any:
    """Return a rational expression: functions, and powers with a symbol above, are letters."""
    if e.is_Atom:
        return e
    if e.is_Add or e.is_Mul:
        return e.func(*[_flattened(a, names) for a in e.args])
    if e.is_Pow and e.exp.is_Integer:
        return _flattened(e.base, names) ** e.exp
    if e.is_Pow and e.exp.is_Rational:
        return _flattened(e.base, names) ** e.exp
    if isinstance(e, sp.exp | sp.Pow):
        base, exponent = e.as_base_exp()
        return _power(base, exponent, names)
    return _letter(e, names)


def _letter(e: Any, names: dict[Any, Any]) -> Any:
    return names.setdefault(e, sp.Dummy("f", real=True))


def _power(base: Any, exponent: Any, names: dict[Any, Any]) -> Any:
    """Return b^(−2u/3) as f⁻², where the letter f is b^(u/3): so that such powers combine."""
    number, rest = exponent.as_content_primitive()
    if rest.could_extract_minus_sign():
        number, rest = -number, -rest
    if not number.is_Rational or rest == 1:
        return _letter(base**exponent, names)
    return _letter(base ** (rest / number.q), names) ** number.p


def reduced(e: Any, letters: set[Any]) -> Any:
    """Return a polynomial with hᵏ = h for the letters that are 0 or 1."""
    if not letters or e == 0:
        return e
    return e.replace(
        lambda t: t.is_Pow and t.base in letters and t.exp.is_Integer and t.exp > 1,
        lambda t: t.base,
    )


def tame(e: Any) -> bool:
    """Return whether no part of an expression explodes when it is expanded.

    Example:
        >>> x = sp.Symbol("x")
        >>> tame(sp.sin((x + 1) ** 9)), tame(sp.sin((x + 1) ** 10**9))
        (True, False)
    """
    return all(weight(part) <= HEAVIEST for part in e.atoms(sp.Pow))


def simplified(e: Any) -> Any:
    """Return what SymPy's simplifier makes of an expression, if that cannot explode."""
    return sp.simplify(e) if tame(e) else e


def weight(e: Any) -> int:
    """Return about how many terms an expression has when it is expanded.

    Example:
        >>> x, y = sp.symbols("x y")
        >>> weight((x + y) ** 3), weight((x + 1) ** 10**9) > HEAVIEST
        (8, True)
    """
    return _weight(e, {})


def _weight(e: Any, known: dict[int, int]) -> int:
    """Return the weight; parts that are used many times are weighed once."""
    if not (e.is_Add or e.is_Mul or e.is_Pow):
        return 1
    if id(e) not in known:
        if e.is_Add:
            found = sum(_weight(a, known) for a in e.args)
        elif e.is_Mul:
            found = 1
            for a in e.args:
                found = min(found * _weight(a, known), MOST)
        elif e.exp.is_Integer and e.exp > 0:
            inner = _weight(e.base, known)
            found = 1 if inner == 1 else inner ** min(int(e.exp), 30)
        else:
            found = 1
        known[id(e)] = min(found, MOST)
    return known[id(e)]
