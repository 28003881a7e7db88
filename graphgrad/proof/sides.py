"""Kinks taken apart: formulas with |x|, max, steps and choices as smooth formulas, side by side.

Such a formula is smooth on each side of its switches: |x| is x where x > 0 and −x where x < 0.
`Sides` is an arithmetic (see `entries`) that builds the smooth formula of one side, or of all at
once, with a letter h that is 1 on one side and 0 on the other: |x| = (2h − 1)x. Within a side h is
constant, so the derivative of the smooth formula is that of the function. `branches` goes through
all sides.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import sympy as sp
from sympy.core.relational import Relational
from sympy.logic.boolalg import BooleanFunction

from graphgrad.primitive import Primitive, Settings
from graphgrad.proof.budget import Budget
from graphgrad.proof.decide import HEAVIEST, reduced, weight
from graphgrad.proof.exact import exact, formula, template

__all__ = ["ManySidesError", "Sides", "branches"]

KINKED = (sp.Abs, sp.sign, sp.Heaviside, sp.Max, sp.Min, sp.Piecewise, sp.floor, Relational,
          BooleanFunction)  # fmt: skip
SPLIT = 3
"""Choices made before that a switch may be a sum of, to be looked at on each of their sides."""
SMALL = 40
"""Operations of a switch whose sign SymPy is asked for, by what it knows of the symbols."""
T = TypeVar("T")


class ManySidesError(Exception):
    """More sides than can be gone through one by one, or a question no letter can answer."""


class Sides:
    """The arithmetic of one side, or with letters of all sides together; masks are 0, 1 or h.

    Attributes:
        switches: for every expression whose sign matters, 1 where it is positive, 0 where it is
            negative, or the letter.
        apart: expressions taken to be not zero, from comparisons for equality.
        steps: for every argument of floor, the constant it is between two steps.
        order: the switches in the order they were met, for `branches`.
        chosen: with letters, what stands for a formula that differs by side: a symbol for each,
            with its letter and the formulas on the two sides; `settled` puts them in.
    """

    def __init__(self, path: Sequence[int] | None = None, clock: Budget | None = None):
        """Take the sides in `path` for the switches in order, then 1; letters when it is None.

        When the clock has run out, the next switch raises ManySidesError.
        """
        self.path, self.clock = path, clock
        self.switches: dict[Any, Any] = {}
        self.apart: dict[Any, None] = {}
        self.steps: dict[Any, Any] = {}
        self.order: list[Any] = []
        self.chosen: dict[Any, tuple[Any, Any, Any]] = {}

    @property
    def letters(self) -> set[Any]:
        """The letters h in use."""
        return {h for h in self.switches.values() if h.is_Symbol}

    def number(self, value: Any) -> Any:
        """Return a plain number as the exact one; a mask as 0 or 1."""
        number = exact(value)
        return sp.Integer(number == sp.true) if number in (sp.true, sp.false) else number

    def apply(self, p: Primitive, operands: Sequence[Any], settings: Settings) -> Any:
        """Return the primitive's formula on this side."""
        known = template(p, len(operands), settings)
        if not _kinked(known.expression):
            return formula(p, operands, settings)
        return self.resolve(known.expression, dict(zip(known.symbols, operands, strict=True)))

    def resolve(self, e: Any, values: dict[Any, Any]) -> Any:
        """Return a formula with values for its symbols and a side taken at each kink."""
        if e in values:
            return values[e]
        if e in (sp.true, sp.false):
            return sp.Integer(e == sp.true)
        if not _kinked(e):
            return e.xreplace(values)
        if isinstance(e, sp.Piecewise):
            return self._piecewise(e, values)
        parts = [self.resolve(a, values) for a in e.args]
        for kind, rule in _RULES:
            if isinstance(e, kind):
                return rule(self, *parts)
        return e.func(*parts)

    def positive(self, s: Any) -> Any:
        """Return 1 on the side where s > 0, 0 where s < 0, or the letter; None where s is 0."""
        if s == 0:
            return None
        if self.clock is not None and not self.clock.left:
            raise ManySidesError("time was up")
        if s.could_extract_minus_sign():
            opposite = self.positive(-s)
            return None if opposite is None else 1 - opposite
        if split := self._split(s):
            h, one, other = split
            yes, no = (self.positive(e) or sp.Integer(0) for e in (one, other))
            return multilinear(yes * h + no * (1 - h))
        if s not in self.switches:
            known = _sign(s)
            if known is not None:
                return known if known >= 0 else None
            self.switches[s] = self._taken()
            self.order.append(s)
        return self.switches[s]

    def _taken(self) -> Any:
        if self.path is None:
            return sp.Dummy("h", real=True)
        k = len(self.order)
        return sp.Integer(self.path[k] if k < len(self.path) else 1)

    def _split(self, s: Any) -> tuple[Any, Any, Any] | None:
        """Return a letter, and what s is on its two sides, where s = ±(a choice) + the rest.

        So |x| > 1 is looked at as x > 1 and −x > 1. With many choices, or deep ones, a switch
        stays one switch: there would be too many sides.
        """
        terms = [t.as_coeff_Mul()[1] for t in sp.Add.make_args(s)] if self.chosen else []
        direct = [t for t in terms if t in self.chosen]
        if not 0 < len(direct) <= SPLIT:
            return None
        h, yes, no = self.chosen[direct[-1]]
        return h, s.xreplace({direct[-1]: yes}), s.xreplace({direct[-1]: no})

    def either(self, h: Any, yes: Any, no: Any, at_zero: Any) -> Any:
        """Return `yes` on the side h, `no` on the other; a symbol for the choice with a letter."""
        if h is None:
            return at_zero
        if h == 1 or yes == no:
            return yes
        if h == 0:
            return no
        if yes.is_number and no.is_number:
            return yes * h + no * (1 - h)
        choice = sp.Dummy("m", real=True)
        self.chosen[choice] = h, yes, no
        return choice

    def settled(self, e: Any) -> Any:
        """Return a formula with all choices written out by letters."""
        for choice in reversed(self.chosen):
            h, yes, no = self.chosen[choice]
            e = e.xreplace({choice: _weighed(h, yes, no)})
        return e

    def equal(self, a: Any, b: Any) -> Any:
        """Return 1 where a and b are the same expression, else 0: they differ but on a kink."""
        s = a - b
        s = sp.expand(s) if weight(s) <= HEAVIEST else s
        if s == 0:
            return sp.Integer(1)
        if split := self._split(s):
            h, one, other = split
            yes, no = (self.equal(e, sp.Integer(0)) for e in (one, other))
            return multilinear(yes * h + no * (1 - h))
        if s.free_symbols & {*self.letters, *self.chosen}:
            raise ManySidesError("an equality that holds on some sides only")
        if s.free_symbols:
            self.apart[-s if s.could_extract_minus_sign() else s] = None
        return sp.Integer(0)

    def step(self, u: Any) -> Any:
        """Return ⌊u⌋ between two whole numbers: a constant."""
        if not u.free_symbols:
            return sp.floor(u)
        return self.steps.setdefault(u, sp.Dummy("n", real=True))

    def _piecewise(self, e: Any, values: dict[Any, Any]) -> Any:
        cases = [(self.resolve(c, values), v) for v, c in e.args]
        result = sp.nan
        for chosen, value in reversed(cases):
            if chosen == 0:
                continue
            here = self.resolve(value, values)
            result = self.either(chosen, here, result, result)
        return result


def multilinear(e: Any) -> Any:
    """Return a polynomial in letters that are 0 or 1 with hᵏ = h, so that equal ones look equal."""
    if weight(e) > HEAVIEST:
        return e
    return reduced(sp.expand(e), e.free_symbols)


@functools.lru_cache(maxsize=4096)
def _kinked(e: Any) -> bool:
    return bool(e.has(*KINKED))


def _sign(s: Any) -> Any:
    """Return 1 or 0 where s is known to be positive or negative, −1 for zero, else None."""
    if s.is_number:
        return sp.Integer(-1) if s.is_zero else sp.Integer(bool(s.is_positive))
    if s.count_ops() > SMALL:
        return None
    if s.is_positive:
        return sp.Integer(1)
    return sp.Integer(0) if s.is_negative else None


def _weighed(h: Any, yes: Any, no: Any) -> Any:
    return yes * (2 * h - 1) if yes == -no else yes * h + no * (1 - h)


def _abs(sides: Sides, u: Any) -> Any:
    return sides.either(sides.positive(u), u, -u, sp.Integer(0))


def _sign_of(sides: Sides, u: Any) -> Any:
    one = sp.Integer(1)
    return sides.either(sides.positive(u), one, -one, sp.Integer(0))


def _heaviside(sides: Sides, u: Any, at_zero: Any = None) -> Any:
    half = sp.Rational(1, 2) if at_zero is None else at_zero
    return sides.either(sides.positive(u), sp.Integer(1), sp.Integer(0), half)


def _larger(sides: Sides, *parts: Any) -> Any:
    return functools.reduce(lambda a, b: sides.either(sides.positive(a - b), a, b, a), parts)


def _smaller(sides: Sides, *parts: Any) -> Any:
    return functools.reduce(lambda a, b: sides.either(sides.positive(a - b), b, a, a), parts)


def _comparison(sign: int, or_equal: bool) -> Callable[..., Any]:
    def rule(sides: Sides, a: Any, b: Any) -> Any:
        one, zero = sp.Integer(1), sp.Integer(0)
        return sides.either(sides.positive(sign * (a - b)), one, zero, one if or_equal else zero)

    return rule


def _any(sides: Sides, *parts: Any) -> Any:
    return functools.reduce(lambda a, b: a + b - a * b, parts)


_RULES: list[tuple[Any, Callable[..., Any]]] = [
    (sp.Abs, _abs),
    (sp.sign, _sign_of),
    (sp.Heaviside, _heaviside),
    (sp.Max, _larger),
    (sp.Min, _smaller),
    (sp.floor, Sides.step),
    (sp.Eq, Sides.equal),
    (sp.Ne, lambda sides, a, b: 1 - sides.equal(a, b)),
    (sp.Lt, _comparison(-1, False)),
    (sp.Le, _comparison(-1, True)),
    (sp.Gt, _comparison(1, False)),
    (sp.Ge, _comparison(1, True)),
    (sp.Not, lambda sides, a: 1 - a),
    (sp.And, lambda sides, *parts: sp.Mul(*parts)),
    (sp.Or, _any),
]


def branches(work: Callable[[Sides], T], most: int = 64) -> Iterator[tuple[Sides, T]]:
    """Do `work` once on every side of the switches it meets.

    Args:
        work: builds something with the `Sides` it is given.
        most: the most sides to go through.

    Yields:
        The side and what `work` made of it.

    Raises:
        ManySidesError: when there are more.
    """
    paths: list[tuple[int, ...]] = [()]
    count = 0
    while paths:
        path = paths.pop()
        count += 1
        if count > most:
            raise ManySidesError(f"more than {most} sides")
        sides = Sides(path)
        made = work(sides)
        taken = [int(sides.switches[s]) for s in sides.order]
        paths += [(*taken[:k], 0) for k in range(len(path), len(taken))]
        yield sides, made
