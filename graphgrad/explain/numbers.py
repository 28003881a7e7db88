"""How numbers and arrays are written for people: few digits, a real minus sign, short digests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

__all__ = ["DIGITS", "digest", "digits_for", "latex_number", "number", "shape_text"]

DIGITS = 4
"""Significant digits unless a picture needs more or a user asks."""
SMALL = 12
"""Arrays of up to this many entries are written out."""


def number(value: Any, digits: int = DIGITS) -> str:
    """Return a number in `digits` significant digits, whole numbers without a point.

    Example:
        >>> number(-2.0), number(0.798507696), number(1.5e-9), number(float("-inf"))
        ('−2', '0.7985', '1.5e−9', '−∞')
    """
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    x = float(value)
    if x != x:
        return "nan"
    if x in (float("inf"), float("-inf")):
        return "∞" if x > 0 else "−∞"
    if x == int(x) and abs(x) < 10 ** max(digits, 6):
        return str(int(x)).replace("-", "−")
    text = f"{x:.{digits}g}"
    if "e" in text:
        mantissa, exponent = text.split("e")
        text = f"{mantissa}e{int(exponent)}"
    return text.replace("-", "−")


def latex_number(value: Any, digits: int = DIGITS) -> str:
    r"""Return a number in LaTeX.

    Example:
        >>> latex_number(-2.0), latex_number(1.5e-9), latex_number(float("-inf"))
        ('-2', '1.5 \\cdot 10^{-9}', '-\\infty')
    """
    text = number(value, digits).replace("−", "-").replace("∞", r"\infty")
    if text in ("nan", "true", "false"):
        return rf"\mathrm{{{text}}}"
    mantissa, _, exponent = text.partition("e")
    return rf"{mantissa} \cdot 10^{{{exponent}}}" if exponent else text


def digits_for(values: Iterable[Any], digits: int = DIGITS, most: int = 7) -> int:
    """Return digits enough to tell the given numbers apart, between `digits` and `most`."""
    distinct = {float(v) for v in values if np.isfinite(v)}
    while digits < most and len({number(v, digits) for v in distinct}) < len(distinct):
        digits += 1
    return digits


def shape_text(shape: tuple[int, ...]) -> str:
    """Return a shape as people write it: 3×4, or 3 for a vector.

    Example:
        >>> shape_text((3, 4)), shape_text((3,)), shape_text(())
        ('3×4', '3', 'scalar')
    """
    return "×".join(map(str, shape)) if shape else "scalar"


def digest(value: Any, digits: int = DIGITS) -> list[str]:
    """Return an array as a few short lines: its numbers when small, else shape and range.

    Example:
        >>> digest(np.array([[1.0, 2.0], [-3.0, 4.0]]))
        ['[ 1  2]', '[−3  4]']
        >>> digest(np.zeros((784, 512)))
        ['784×512', 'all 0']
    """
    array = np.asarray(value)
    if array.ndim == 0:
        return [number(array[()], digits)]
    if array.size == 0:
        return [f"{shape_text(array.shape)} (empty)"]
    if array.ndim <= 2 and array.size <= SMALL and array.shape[-1] <= 6:
        return _rows(array, digits)
    return [shape_text(array.shape), _range(array, digits)]


def _rows(array: Any, digits: int) -> list[str]:
    cells = [[number(v, digits) for v in row] for row in np.atleast_2d(array)]
    if array.ndim == 1:
        return [f"[{' '.join(cells[0])}]"]
    widths = [max(map(len, column)) for column in zip(*cells)]
    return [
        "[" + "  ".join(c.rjust(w) for c, w in zip(row, widths)).replace("\n", "") + "]"
        for row in cells
    ]


def _range(array: Any, digits: int) -> str:
    if array.dtype.kind == "b":
        return f"{int(array.sum())} true"
    bad = int(np.count_nonzero(~np.isfinite(array)))
    if bad:
        return f"{bad} not finite"
    low, high = array.min(), array.max()
    short = min(digits, 3)
    if low == high:
        return f"all {number(low, digits)}"
    return f"{number(low, short)} … {number(high, short)}"
