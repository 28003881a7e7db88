"""Where a derivative holds: the conditions that a formula puts on its inputs.

Conditions come from the formula itself: log u wants u > 0, 1/u wants u ≠ 0, |u| has a kink where
u = 0. What always holds, for real inputs, is left out. A condition can be written down with any
names, and asked whether given numbers meet it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from graphgrad.proof.decide import tame
from graphgrad.proof.texts import text

__all__ = ["Condition", "always", "conditions", "kink", "listed", "side", "without_implied"]

SMALL = 60
"""Operations of a part whose sign SymPy is asked for."""


@dataclass(frozen=True)
class Condition:
    """One condition on a SymPy expression.

    Attributes:
        kind: ``"positive"``, ``"nonzero"``, ``"kink"`` (not zero, for there the derivative
            jumps), ``"jump"`` (not zero, for there the value itself jumps), ``"choice"`` (not zero,
            for there a mask changes), ``"within"``
            (between −1 and 1), ``"broken"`` (no whole number), ``"uncut"``
            (the point (x, y) of an angle does not lie on the half-line y = 0, x ≤ 0).
        parts: the expression it speaks of; two for ``"uncut"``, y and x.
    """

    kind: str
    parts: tuple[Any, ...]

    @property
    def sharp(self) -> str:
        """What is there where it is not met: a kink, jump or choice; "" for a domain's end."""
        word = "jump" if self.kind == "broken" else self.kind
        return word if word in ("kink", "jump", "choice") else ""

    @property
    def symbols(self) -> set[Any]:
        """The symbols it speaks of."""
        return set().union(*(p.free_symbols for p in self.parts))

    def text(self, names: Mapping[Any, str] | None = None) -> str:
        """Return it in words and signs, as in ``x ≠ 0`` or ``−1 < x < 1``.

        Example:
            >>> x, y = sp.symbols("x y", real=True)
            >>> Condition("kink", (x - y,)).text(), Condition("positive", (1 - x,)).text()
            ('x ≠ y', 'x < 1')
        """
        if self.kind == "uncut":
            y, x = (text(p, names) for p in self.parts)
            return f"{x} > 0 or {y} ≠ 0"
        if self.kind == "within":
            return f"−1 < {text(self.parts[0], names)} < 1"
        if self.kind == "broken":
            return f"{text(self.parts[0], names)} is no whole number"
        return self._compared(lambda e: text(e, names), "≠")

    def latex(self, write: Any) -> str:
        r"""Return it as LaTeX, its parts written by a function."""
        if self.kind == "uncut":
            y, x = (write(p) for p in self.parts)
            return rf"{x} > 0 \lor {y} \ne 0"
        if self.kind == "within":
            return f"-1 < {write(self.parts[0])} < 1"
        if self.kind == "broken":
            return rf"{write(self.parts[0])} \notin \mathbb{{Z}}"
        return self._compared(write, r"\ne")

    def _compared(self, write: Callable[[Any], str], unequal: str) -> str:
        if self.kind == "positive":
            return side(self.parts[0], True, write)
        left, right, _ = _apart(self.parts[0])
        return f"{write(left)} {unequal} {write(right)}"

    def met(self, values: Mapping[Any, Any]) -> str:
        """Return ``"inside"``, ``"kink"`` or ``"outside"`` for numbers or arrays as symbols.

        Args:
            values: an array for each symbol; they broadcast. "kink" means that some entry lies
                where the condition speaks of a kink, "outside" that some entry is not allowed.
        """
        names = sorted(self.symbols, key=str)
        arrays = [np.asarray(values[s], float) for s in names]
        with np.errstate(all="ignore"):
            found = [np.asarray(sp.lambdify(names, p, "numpy")(*arrays)) for p in self.parts]
        u = found[0]
        outside: dict[str, Callable[[], Any]] = {
            "positive": lambda: u <= 0,
            "nonzero": lambda: u == 0,
            "kink": lambda: u == 0,
            "jump": lambda: u == 0,
            "choice": lambda: u == 0,
            "within": lambda: np.abs(u) >= 1,
            "broken": lambda: u == np.floor(u),
            "uncut": lambda: (u == 0) & (found[-1] <= 0),
        }
        if not np.any(outside[self.kind]()):
            return "inside"
        return "kink" if self.sharp else "outside"


def kink(s: Any) -> Condition:
    """Return the condition that keeps away from a switch."""
    return Condition("kink", (s,))


def side(s: Any, positive: bool, write: Callable[[Any], str]) -> str:
    """Return ``s > 0`` or ``s < 0`` as a comparison, both with the same left and right side.

    Example:
        >>> x, y = sp.symbols("x y", real=True)
        >>> [side(s, k, text) for s in (x - y, 1 - x) for k in (True, False)]
        ['x > y', 'x < y', 'x < 1', 'x > 1']
    """
    left, right, turned = _apart(s)
    return f"{write(left)} {'>' if positive != turned else '<'} {write(right)}"


def _apart(s: Any) -> tuple[Any, Any, bool]:
    """Return left and right side of a comparison of s with 0, and whether its sign is turned."""
    if len(s.free_symbols) == 1:
        (x,) = s.free_symbols
        slope = sp.diff(s, x)
        if slope.is_Rational and slope != 0:
            return x, sp.expand((slope * x - s) / slope), bool(slope < 0)
    if s.is_Add and len(s.args) == 2:
        for left, right in (s.args, s.args[::-1]):
            if right.could_extract_minus_sign() and not left.could_extract_minus_sign():
                return left, -right, False
        if all(a.could_extract_minus_sign() for a in s.args):
            return -s, sp.Integer(0), True
    return s, sp.Integer(0), False


def conditions(e: Any) -> list[Condition]:
    """Return what a smooth formula needs of its symbols, without what always holds.

    Example:
        >>> x, y = sp.symbols("x y", real=True)
        >>> [c.text() for c in conditions(sp.log(x) / (y - 1) + 1 / (1 + sp.exp(x)))]
        ['x > 0', 'y ≠ 1']
    """
    found: dict[Condition, None] = {}
    for part in dict.fromkeys(sp.preorder_traversal(e)):
        for condition in _of(part):
            if condition.symbols and not always(condition):
                found[condition] = None
    return sorted(without_implied(found), key=lambda c: c.text())


def _of(e: Any) -> list[Condition]:
    if isinstance(e, sp.log):
        return [Condition("positive", (e.args[0],))]
    if isinstance(e, sp.tan):
        return [Condition("nonzero", (sp.cos(e.args[0]),))]
    if isinstance(e, sp.asin | sp.acos):
        return [Condition("within", (e.args[0],))]
    if isinstance(e, sp.atan2):
        return [Condition("uncut", e.args)]
    if not e.is_Pow or e.base is sp.E:
        return []
    if e.exp.is_Integer:
        return [Condition("nonzero", (e.base,))] if e.exp < 0 else []
    return [Condition("positive", (e.base,))]


def always(condition: Condition) -> bool:
    """Return whether a condition holds for all real values, as far as SymPy knows."""
    u = condition.parts[0]
    if condition.kind in ("within", "broken", "uncut") or u.count_ops() > SMALL or not tame(u):
        return False
    for form in (u, sp.together(u)):
        if form.is_positive or (condition.kind != "positive" and form.is_nonzero):
            return True
    return False


def without_implied(found: Iterable[Condition]) -> list[Condition]:
    """Return conditions without those that another one implies: u > 0 makes u ≠ 0 needless."""
    kept = list(dict.fromkeys(found))
    positive = {c.parts[0] for c in kept if c.kind == "positive"}
    within = {1 - c.parts[0] ** 2 for c in kept if c.kind == "within"}
    origins = {c.parts[0] ** 2 + c.parts[1] ** 2 for c in kept if c.kind == "uncut"}
    sharp = {c.parts[0] for c in kept if c.sharp}
    result = []
    for c in kept:
        u = c.parts[0]
        weaker = c.kind in ("nonzero", "kink", "jump") and (u in positive or -u in positive)
        roots = c.kind in ("positive", "nonzero") and sp.expand(u) in within
        weakest = c.kind == "nonzero" and u in sharp
        if not (weaker or roots or weakest or u in origins):
            result.append(c)
    return result


def listed(
    found: Sequence[Condition], names: Mapping[Any, str] | None = None, most: int = 4
) -> str:
    """Return conditions in one line, the first `most` of them; "" for none."""
    texts = list(dict.fromkeys(c.text(names) for c in found))
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more
