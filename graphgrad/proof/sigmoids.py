"""Derivatives as people write them: σ(u) in place of 1/(1 + exp(−u)), and short.

SymPy knows no sigmoid, so its derivatives of one are full of exp(−u). With s for σ(u), exp(−u) is
(1 − s)/s, and what is left is a rational function of s that can be factored.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from graphgrad.proof.budget import attempt
from graphgrad.proof.texts import tidy

__all__ = ["SIGMA", "readable", "sigmoid_argument", "signed", "with_sigmoids"]

SIGMA = sp.Function("σ")
LARGEST = 300
"""Operations of a formula that is tried."""
SECONDS = 0.3
FEWER = 0.8
"""A sum is shown as one product when that has fewer letters by so much."""


def readable(e: Any) -> Any:
    """Return an equal expression that is short to read, with σ for sigmoids.

    Args:
        e: a SymPy expression of real symbols.

    Example:
        >>> from graphgrad.proof.texts import text
        >>> x, w, y = sp.symbols("x w y", real=True)
        >>> p = 1 / (1 + sp.exp(-w * x))
        >>> text(readable(sp.diff(-y * sp.log(p) - (1 - y) * sp.log(1 - p), w)))
        'x·(σ(w·x) − y)'
    """
    if e.count_ops() > LARGEST:
        return e
    return attempt(lambda: _shortest(tidy(e)), SECONDS, e)


def with_sigmoids(e: Any) -> Any:
    """Return the same expression with σ(u) written for 1/(1 + exp(−u)), and no other change.

    Example:
        >>> from graphgrad.proof.texts import text
        >>> x, y = sp.symbols("x y", real=True)
        >>> text(with_sigmoids(y / (1 + sp.exp(-x)) ** 2))
        'y·σ(x)²'
    """

    kept = {f: sp.Dummy() for f in e.atoms(sp.log) if _below(f.args[0]) is not None}
    hidden = e.xreplace(kept)  # log(1 + exp(−u)) stays
    found = hidden.replace(lambda p: _below(p) is not None, lambda p: 1 / SIGMA(_below(p)))
    return found.xreplace({letter: f for f, letter in kept.items()})


def sigmoid_argument(e: Any) -> Any:
    """Return u when an expression is 1/(1 + exp(−u)), else None."""
    return _below(e.base) if e.is_Pow and e.exp == -1 else None


def _below(e: Any) -> Any:
    """Return u when an expression is 1 + exp(−u), else None."""
    if not (e.is_Add and len(e.args) == 2 and e.args[0] == 1 and isinstance(e.args[1], sp.exp)):
        return None
    u = -e.args[1].args[0]
    return None if u.could_extract_minus_sign() else u


def _shortest(e: Any) -> Any:
    letters = {u: sp.Dummy("s", positive=True) for u in _arguments(e)}
    back = {s: SIGMA(_shortest(u)) for u, s in letters.items()}
    if letters:
        for u, s in letters.items():  # σ(σ(x)): the outer one before it changes
            e = e.xreplace({sp.exp(-u): (1 - s) / s, sp.exp(u): s / (1 - s)})
        e = e.replace(sp.log, lambda u: sp.log(sp.cancel(u)))
        e = sp.Add(*[signed(sp.factor(t)) for t in sp.Add.make_args(e)])
    whole = signed(sp.factor(e))
    better = _letters(whole) <= FEWER * _letters(e)
    return (whole if better else e).xreplace(back)


def _arguments(e: Any) -> list[Any]:
    """Return every u with 1 + exp(−u) or 1 + exp(u) in e, the largest first."""
    found: dict[Any, None] = {}
    rest = [e]
    while rest:
        part = rest.pop()
        if part.is_Add and len(part.args) == 2 and part.args[0] == 1:
            other = part.args[1]
            if isinstance(other, sp.exp):
                u = other.args[0]
                found[-u if u.could_extract_minus_sign() else u] = None
                continue
        rest += part.args
    return sorted(found, key=lambda u: u.count_ops(), reverse=True)


def signed(e: Any) -> Any:
    """Return a product with 1 − s for s − 1, and without a minus that a difference can take.

    Example:
        >>> from graphgrad.proof.texts import text
        >>> p, y = sp.symbols("p y", real=True)
        >>> text(signed((y - p) / (p * (p - 1))))
        '(p − y)/(p·(1 − p))'
    """
    factors = list(sp.Mul.make_args(e))
    for k, f in enumerate(factors):
        base, exponent = f.as_base_exp()
        if base.is_Add and base.args[0].is_negative and exponent.is_odd:
            factors[k] = (-base) ** exponent
            factors.append(sp.Integer(-1))
    for f in [f for f in factors if f.is_Add]:
        if f in factors and 2 - f in factors:  # 1 + t and 1 − t
            factors = [other for other in factors if other not in (f, 2 - f)] + [1 - (f - 1) ** 2]
    found = sp.Mul(*factors)
    if found.is_Mul and found.could_extract_minus_sign():
        sums = [f for f in found.args if f.is_Add and not f.args[0].is_number]
        turned = [f for f in sums if any(a.could_extract_minus_sign() for a in f.args)]
        rest = [f for f in found.args if f not in turned[:1]]
        found = sp.Mul(-1, *rest, -turned[0]) if turned else found
    return found


def _letters(e: Any) -> int:
    """Return how many letters and numbers a reader meets, signs left out."""
    return sum(1 for part in sp.preorder_traversal(e) if not part.args and part != -1)
