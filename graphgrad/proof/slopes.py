"""Derivatives of Python functions by numbers alone: the complex step, and central differences.

Neither uses a derivative rule, so both are independent witnesses of what a derivative is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

__all__ = ["Function", "central_difference", "complex_step", "value_of"]

Function = Callable[[Sequence[Any]], Any]
EPSILON = float(np.finfo(float).eps)


def complex_step(f: Function, xs: Sequence[Any], ds: Sequence[Any]) -> float:
    """Return the derivative of `f` at `xs` along `ds` as Im f(x + ih·d)/h, exact to rounding.

    Squire and Trapp 1998, "Using complex variables to estimate derivatives of real functions",
    SIAM Review 40, 110. There is no difference of close numbers in it, so h can be tiny.

    Args:
        f: takes a list of arrays and returns a number; analytic, and written so that complex
            numbers pass through it.
        xs, ds: the point and the direction, one array each per argument.

    Example:
        >>> complex_step(lambda xs: np.exp(xs[0]) * xs[0], [1.0], [1.0]) / (2 * np.e)
        1.0
    """
    h = 1e-30
    with np.errstate(all="ignore"):
        return float(np.imag(f([x + 1j * h * d for x, d in zip(xs, ds, strict=True)])) / h)


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
    h = _first_step(xs, ds)
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


def _first_step(xs: Sequence[Any], ds: Sequence[Any]) -> float:
    """Return a power of two so small that no entry changes its sign on the way."""
    least = 1.0
    for x, d in zip(map(np.asarray, xs), map(np.asarray, ds), strict=True):
        moving = (x != 0) & (d != 0)
        if np.any(moving):
            least = min(least, float(np.min(np.abs(x[moving] / d[moving]))))
        least = min(least, 1.0 / max(float(np.max(np.abs(d), initial=0.0)), 1e-300))
    return float(2.0 ** max(round(np.log2(least)) - 3, -17))


def value_of(f: Function, xs: Sequence[Any], ds: Sequence[Any], h: float) -> float:
    """Return the real part of ``f(x + h d)``."""
    with np.errstate(all="ignore"):
        return float(np.real(f([x + h * d for x, d in zip(xs, ds, strict=True)])))
