"""Derivatives of Python functions by numbers alone: the complex step, and central differences.

Neither uses a derivative rule, so both are independent witnesses of what a derivative is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

__all__ = ["EPSILON", "Function", "central_difference", "complex_step", "value_of"]

EPSILON = float(np.finfo(float).eps)
STEPS, STRAIGHT = (1e-30, 1e-120, 1e-270), 1e-15
"""Complex steps that are tried, and how far they may move a function: terms of h³ are no more."""
GOOD = 1e-8
"""Relative error of differences with which no other steps are tried."""
Function = Callable[[Sequence[Any]], Any]


def complex_step(f: Function, xs: Sequence[Any], ds: Sequence[Any]) -> float:
    """Return the derivative of `f` at `xs` along `ds` as Im f(x + ih·d)/h, exact to rounding.

    Squire and Trapp 1998, "Using complex variables to estimate derivatives of real functions",
    SIAM Review 40, 110. There is no difference of close numbers in it, so h can be tiny: the
    first of `STEPS` along which f is as good as straight. Where none is, the result is nan.

    Args:
        f: takes a list of arrays and returns a number; analytic, and written so that complex
            numbers pass through it.
        xs, ds: the point and the direction, one array each per argument.

    Example:
        >>> complex_step(lambda xs: np.exp(xs[0]) * xs[0], [1.0], [1.0]) / (2 * np.e)
        1.0
    """
    for h in STEPS:
        with np.errstate(all="ignore"):
            moved = float(np.imag(f([x + 1j * h * d for x, d in zip(xs, ds, strict=True)])))
        if abs(moved) < STRAIGHT:
            return moved / h
    return float("nan")


def central_difference(f: Function, xs: Sequence[Any], ds: Sequence[Any]) -> tuple[float, float]:
    """Return the derivative of `f` at `xs` along `ds` by differences, and its error.

    Ridders 1982, "Accurate computation of F′(x) and F′(x)F″(x)", Advances in Engineering Software
    4, 75: (f(x + hd) − f(x − hd))/2h for falling h, extrapolated to h = 0. The steps are powers of
    two in proportion to x, and the result is the one whose own error estimate is least.

    Args:
        f: takes a list of arrays and returns a number.
        xs, ds: the point and the direction, one array each per argument.

    Example:
        >>> slope, error = central_difference(lambda xs: np.sin(xs[0]), [1.0], [1.0])
        >>> bool(abs(slope - np.cos(1.0)) < 1e-11), bool(error < 1e-10)
        (True, True)
    """
    best, error = np.nan, np.inf
    for h in _first_steps(xs, ds):
        found, doubt = _extrapolated(f, xs, ds, h)
        if doubt < error:
            best, error = found, doubt
        if error <= GOOD * abs(best):
            break
    return best, error


def _extrapolated(f: Function, xs: Any, ds: Any, h: float) -> tuple[float, float]:
    """Return the limit of the differences for steps h, h/2, …, and its error."""
    rows: list[list[float]] = []
    best, error = np.nan, np.inf
    for _ in range(12):
        ahead, behind = (value_of(f, xs, ds, s * h) for s in (1, -1))
        row = [(ahead - behind) / (2 * h)]
        noise = EPSILON * (abs(ahead) + abs(behind)) / (2 * h)
        for k, above in enumerate(rows[-1] if rows else []):
            row.append(row[k] + (row[k] - above) / (4.0 ** (k + 1) - 1))
            doubt = max(abs(row[-1] - row[-2]), abs(row[-1] - above), noise)
            if doubt < error:
                best, error = row[-1], doubt
        rows.append(row)
        h /= 2
    return float(best), float(error)


def _first_steps(xs: Sequence[Any], ds: Sequence[Any]) -> list[float]:
    """Return powers of two to begin with: of usual size, and in proportion to the arguments.

    At neither does an entry change its sign on the way, unless it is very small.
    """
    free = bound = np.inf
    for x, d in zip(map(np.asarray, xs), map(np.asarray, ds), strict=True):
        moving = (x != 0) & (d != 0)
        free = min(free, float(np.min(np.abs(x[moving] / d[moving]), initial=np.inf)))
        bound = min(bound, 1.0 / max(float(np.max(np.abs(d), initial=0.0)), 1e-300))
    usual = max(min(free, bound, 1.0), 2.0**-14)
    steps = [usual, free] if 0 < free < np.inf else [usual]
    return [float(2.0 ** (round(np.log2(step)) - 3)) for step in steps]


def value_of(f: Function, xs: Sequence[Any], ds: Sequence[Any], h: float) -> float:
    """Return the real part of ``f(x + h d)``."""
    with np.errstate(all="ignore"):
        return float(np.real(f([x + h * d for x, d in zip(xs, ds, strict=True)])))
