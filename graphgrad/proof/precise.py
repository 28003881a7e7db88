"""Graphs and formulas in numbers of 120 digits, and derivatives by differences in them.

With so many digits a difference quotient loses nothing that matters: a step of 10⁻⁴⁰ leaves an
error of about 10⁻⁸⁰. It uses no derivative rule and no chain rule, only the primitives' formulas,
so it is an independent witness of what a derivative is.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import mpmath
import sympy as sp

from graphgrad.graph import Node
from graphgrad.primitive import Primitive, Settings
from graphgrad.proof.entries import Check, each, run
from graphgrad.proof.exact import exact, key_of, template

__all__ = ["DIGITS", "KINK", "MPF", "PRECISE", "SHORT_STEP", "OutsideError", "agreed", "number_of",
    "slope", "unit_of", "weighed",
]  # fmt: skip

DIGITS = 120
CONTEXT = mpmath.mp.clone()
CONTEXT.dps = DIGITS
STEP, SHORT_STEP = CONTEXT.mpf(10) ** -40, CONTEXT.mpf(10) ** -60
NOISE = CONTEXT.mpf(10) ** -60
TURN, FLAT = CONTEXT.mpf(10) ** -15, CONTEXT.mpf(10) ** -30
"""How far the slopes on both sides may differ, where there is no kink."""
MOST = 40
"""Digits that two numbers are compared to."""
KINK = "a kink, or a slope too steep for differences"
LARGEST = 64
"""Binary digits of the largest exponent: beyond, exp is as good as infinite."""
HUGE = 100_000
"""Binary digits of the largest number that is computed with."""
SCALES = 32
"""Binary digits by which a direction may be scaled."""
MPF = CONTEXT.mpf
Closure = Callable[[Sequence[Any]], Any]


class OutsideError(ArithmeticError):
    """A point at which a formula has no finite real value."""


class _Precise:
    """The arithmetic of 120-digit numbers (see `entries.Arithmetic`); masks are plain bools."""

    def number(self, value: Any) -> Any:
        """Return a plain number as the 120-digit number nearest to what it stands for."""
        return number_of(value.item() if hasattr(value, "item") else value)

    def apply(self, p: Primitive, operands: Sequence[Any], settings: Settings) -> Any:
        """Return what the primitive's formula gives.

        Raises:
            OutsideError: when that is no finite real number.
        """
        try:
            result = _compiled(key_of(p, len(operands), settings))(operands)
        except (ZeroDivisionError, ValueError, OverflowError) as problem:
            raise OutsideError(str(problem)) from None
        if isinstance(result, MPF):
            _, mantissa, exponent, bits = result._mpf_
            if not mantissa and exponent and not any(map(_infinite, operands)):
                raise OutsideError(f"{p.name} gives {result}")
            if exponent + bits > HUGE:
                raise OutsideError(f"{p.name} gives a number of more than {HUGE} binary digits")
        elif not isinstance(result, bool):
            raise OutsideError(f"{p.name} gives {result}")
        return result


PRECISE = _Precise()


def _infinite(x: Any) -> bool:
    return isinstance(x, MPF) and bool(CONTEXT.isinf(x))


@functools.lru_cache(maxsize=65536, typed=True)
def number_of(value: Any) -> Any:
    """Return a plain number, or a SymPy number, in 120 digits; a bool stays one."""
    number = exact(value)
    if number in (sp.true, sp.false):
        return bool(number)
    if number.is_Rational:
        return MPF(int(number.p)) / int(number.q)
    if number in (sp.oo, -sp.oo, sp.nan):
        return MPF(float(number))
    return MPF(str(sp.N(number, DIGITS + 10)))


@functools.lru_cache(maxsize=1024)
def _compiled(key: Any) -> Closure:
    p, inputs, settings = key
    known = template(p, inputs, dict(settings))
    return _closure(known.expression, known.symbols)


def _closure(e: Any, symbols: list[Any]) -> Closure:
    """Return a formula as a Python function of its operands."""
    if e in symbols:
        return operator.itemgetter(symbols.index(e))
    if e.is_Atom or not e.free_symbols:
        value = number_of(e)
        return lambda xs: value
    if isinstance(e, sp.Piecewise):
        return _choice([(_closure(c, symbols), _closure(v, symbols)) for v, c in e.args])
    parts = [_closure(a, symbols) for a in e.args]
    function = _function(e)
    if len(parts) == 1:
        (only,) = parts
        return lambda xs: function(only(xs))
    if len(parts) == 2:
        first, second = parts
        return lambda xs: function(first(xs), second(xs))
    return lambda xs: function(*[part(xs) for part in parts])


def _choice(cases: list[tuple[Closure, Closure]]) -> Closure:
    def choose(xs: Sequence[Any]) -> Any:
        for condition, value in cases:
            if condition(xs):
                return value(xs)
        return CONTEXT.nan

    return choose


def _function(e: Any) -> Callable[..., Any]:
    found = _FUNCTIONS.get(e.func.__name__) or getattr(CONTEXT, e.func.__name__, None)
    if found is None:
        raise OutsideError(f"{e.func.__name__} has no numbers of {DIGITS} digits")
    return found


def _exp(x: Any) -> Any:
    if CONTEXT.mag(x) > LARGEST:
        if x > 0:
            raise OutsideError(f"exp({CONTEXT.nstr(x, 5)}) is too large")
        return MPF(0)
    return CONTEXT.exp(x)


def _power(base: Any, exponent: Any) -> Any:
    if base and exponent:
        size = CONTEXT.mag(exponent) + CONTEXT.mag(abs(CONTEXT.mag(base)) + 1)
        if size > LARGEST:
            raise OutsideError("a power is too large")
    return base**exponent


def _sign(x: Any) -> Any:
    return MPF((x > 0) - (x < 0))


def _heaviside(x: Any, at_zero: Any = None) -> Any:
    half = MPF(0.5) if at_zero is None else at_zero
    return MPF(1) if x > 0 else MPF(0) if x < 0 else half


def _floor(x: Any) -> Any:
    if x and CONTEXT.mag(x) > LARGEST:
        raise OutsideError(f"floor({CONTEXT.nstr(x, 5)}) jumps too often to be differenced")
    return CONTEXT.floor(x)


def _log(x: Any) -> Any:
    if x <= 0:
        raise OutsideError("the logarithm of a number that is not positive")
    return CONTEXT.log(x)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "Abs": abs,
    "Add": lambda *xs: functools.reduce(operator.add, xs),
    "And": lambda *xs: all(xs),
    "Equality": operator.eq,
    "GreaterThan": operator.ge,
    "Heaviside": _heaviside,
    "LessThan": operator.le,
    "Max": max,
    "Min": min,
    "Mul": lambda *xs: functools.reduce(operator.mul, xs),
    "Not": operator.not_,
    "Or": lambda *xs: any(xs),
    "Pow": _power,
    "StrictGreaterThan": operator.gt,
    "StrictLessThan": operator.lt,
    "Unequality": operator.ne,
    "exp": _exp,
    "floor": _floor,
    "log": _log,
    "sign": _sign,
}


def weighed(y: Node, weights: Any, at: Mapping[Node, Any], check: Check = None) -> Any:
    """Return Σ weights · y, in 120 digits, at the given object arrays for the variables."""
    entries = run([y], at, PRECISE, check)[y]
    return sum((w * e for w, e in zip(weights.ravel(), entries.ravel(), strict=True)), MPF(0))


def slope(
    y: Node,
    weights: Any,
    at: Mapping[Node, Any],
    moved: Mapping[Node, Any],
    here: Any = None,
    check: Check = None,
    step: Any = STEP,
) -> tuple[Any, Any]:
    """Return the derivative of Σ weights · y along a direction, and the size of its terms.

    Args:
        y, weights, at: as in `weighed`.
        moved: the direction: an object array for each variable that moves.
        here: Σ weights · y at the point, when it is known.
        check: as in `run`; may raise to stop.
        step: how far to move.

    Raises:
        OutsideError: when y has no finite real value at the point, or a kink or jump.
    """
    middle = weighed(y, weights, at, check) if here is None else here
    ahead, behind = (
        weighed(y, weights, {**at, **{
            x: each(lambda v, d, s=s: v + s * d, at[x], d) for x, d in moved.items()
        }}, check)
        for s in (step, -step)
    )  # fmt: skip
    right, left = (ahead - middle) / step, (middle - behind) / step
    allowed = TURN * max(abs(right), abs(left)) + FLAT * (1 + abs(middle))
    if abs(right - left) > allowed:
        raise OutsideError(KINK)
    return (ahead - behind) / (2 * step), abs(middle)


def agreed(a: Any, b: Any, size: Any = 0) -> int:
    """Return to how many digits two numbers agree, at most 40; 0 when they do not at all.

    Args:
        a, b: numbers.
        size: of what they were computed from: below 10⁻⁶⁰ of it both count as 0.
    """
    scale = max(abs(a), abs(b))
    error = abs(a - b)
    if not CONTEXT.isfinite(error):
        return 0
    if error <= NOISE * (1 + abs(size)) or scale == 0:
        return MOST
    return max(0, min(MOST, int(-CONTEXT.log10(error / scale))))


def unit_of(entries: Any) -> Any:
    """Return a power of two close to 1/|largest entry|, within bounds; 1 when all are 0."""
    largest = max((abs(e) for e in entries.ravel()), default=MPF(0))
    size = int(CONTEXT.mag(largest)) if largest else 0
    return MPF(2) ** -max(-SCALES, min(SCALES, size))
