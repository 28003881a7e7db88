"""Claimed gradients of functions beside derivatives found by numbers alone.

`compare_function` moves every argument, entry by entry or along random directions, and compares
the gradient with the complex step, or with differences where a function is not analytic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphgrad.errors import GradientError
from graphgrad.explain.names import visible
from graphgrad.proof.slopes import Function, central_difference, complex_step, value_of

__all__ = [
    "CENTRAL", "COMPLEX", "LISTED", "RTOL", "Comparison", "compare_function",
]  # fmt: skip

RTOL = 1e-9
MOST_DOUBT = 3e-4
"""Relative doubt about differences that is granted: a rule wrong by 0.1 % has to be noticed."""
TOGETHER, LISTED = 32, 12
"""Arguments from which on all are moved at once; arguments whose values a message lists."""
COMPLEX, CENTRAL = "complex step", "central differences"


@dataclass(frozen=True)
class Comparison:
    """One gradient beside one numeric derivative.

    Attributes:
        argument: the name of what was moved, with the direction in which.
        point: the values of all arguments.
        actual: the gradient's derivative along the direction.
        expected: the numeric one.
        tolerance: how far apart they may be.
        method: "complex step" or "central differences".
    """

    argument: str
    point: str
    actual: float
    expected: float
    tolerance: float
    method: str

    @property
    def ok(self) -> bool:
        """Whether the two agree; never when one of them is nan or infinite."""
        return bool(abs(self.actual - self.expected) <= self.tolerance)

    def __str__(self) -> str:
        sign = "agrees with" if self.ok else "differs from"
        return (
            f"the gradient towards {self.argument} {sign} the {self.method}\n"
            f"  at {self.point}\n"
            f"  gradient: {self.actual!r}, {self.method}: {self.expected!r}, "
            f"tolerance: {self.tolerance:.1e}"
            + ("" if np.isfinite(self.actual) else "\n  a derivative that is not finite is none")
        )


def compare_function(
    f: Function,
    gradients: Sequence[Any],
    xs: Sequence[Any],
    *,
    names: Sequence[str] = (),
    analytic: Function | None = None,
    rtol: float = RTOL,
    entries: int = 8,
    directions: int = 3,
    seed: int = 0,
    size: float | None = None,
) -> list[Comparison]:
    """Compare claimed gradients of a function of arrays with numeric derivatives.

    Args:
        f: takes a list of arrays and returns a number.
        gradients: one array per argument: what is claimed.
        xs: the point, one array per argument.
        names: of the arguments.
        analytic: f continued to complex numbers; then the complex step is used first.
        rtol: relative tolerance for the complex step; central differences state their own error.
        entries: arguments of up to so many entries are moved entry by entry, larger ones along
            random directions; of more than 32 arguments, all are moved at once.
        directions: how many random directions.
        seed: of the directions.
        size: of the terms that f adds up, when they are larger than f: rounding errors are.

    Example:
        >>> x = np.array([1.0, 2.0])
        >>> all(c.ok for c in compare_function(lambda xs: (xs[0] ** 3).sum(), [3 * x**2], [x]))
        True
        >>> wrong = compare_function(lambda xs: (xs[0] ** 3).sum(), [3.003 * x**2], [x])
        >>> [c.ok for c in wrong]
        [False, False]
    """
    rng = np.random.default_rng(seed)
    arrays = [np.asarray(x, float)[()] for x in xs]
    labels = [visible(names[k]) if k < len(names) else f"argument {k + 1}" for k in range(len(xs))]
    for x, gradient, label in zip(arrays, gradients, labels, strict=True):
        if np.shape(gradient) != x.shape:
            raise GradientError(
                f"the gradient towards {label} has shape {np.shape(gradient)}, the argument "
                f"{x.shape}: they must agree"
            )
    scale = abs(value_of(f, arrays, arrays, 0.0)) if size is None else size
    where = _point(labels, arrays)
    return [
        _compared(f, analytic, arrays, ds, gradients, rtol, scale)(what, where)
        for what, ds in _moves(arrays, labels, entries, directions, rng)
    ]


def _compared(
    f: Function,
    analytic: Function | None,
    xs: Any,
    ds: Any,
    gradients: Any,
    rtol: float,
    scale: float,
) -> Callable[[str, str], Comparison]:
    """Compare along one direction: by the complex step, and by differences where that fails."""
    with np.errstate(all="ignore"):
        parts = [np.asarray(g) * d for g, d in zip(gradients, ds, strict=True) if np.any(d)]
        actual = float(sum(map(np.sum, parts)))
        size = float(sum(np.sum(np.abs(part)) for part in parts))

    def by(method: str, expected: float, tolerance: float) -> Callable[[str, str], Comparison]:
        return lambda name, at: Comparison(name, at, actual, expected, tolerance, method)

    first = None
    if analytic is not None:
        try:
            complex_found = complex_step(analytic, xs, ds)
            tolerance = rtol * max(abs(complex_found), size) + 1e-3 * rtol * scale
            first = by(COMPLEX, complex_found, tolerance)
            if abs(actual - complex_found) <= tolerance:
                return first
        except (TypeError, ValueError, AttributeError):  # some step takes no complex numbers
            pass
    expected, error = central_difference(f, xs, ds)
    large = max(abs(expected), size)
    doubt = min(10 * error, MOST_DOUBT * large + 1e-9 * scale)
    tolerance = doubt + max(rtol, 1e-7) * large + 1e-12 * scale
    second = by(CENTRAL, expected, tolerance)
    if first is None:
        return second
    # Where differences agree with the gradient but not with the complex step, the continuation to
    # complex numbers was not analytic; else the complex step is the sharper witness.
    smooth = abs(complex_found - expected) <= tolerance
    return second if abs(actual - expected) <= tolerance and not smooth else first


def _moves(
    xs: Sequence[Any], labels: Sequence[str], entries: int, directions: int, rng: Any
) -> Iterator[tuple[str, list[Any]]]:
    """Yield what is moved, in words, and a direction per argument."""
    if len(xs) > TOGETHER:
        for k in range(directions):
            ds = [np.asarray(rng.normal(size=x.shape))[()] for x in xs]
            yield f"all {len(xs)} arguments along random direction {k + 1}", ds
        return
    still = [np.zeros_like(x) for x in xs]
    for k, (x, label) in enumerate(zip(xs, labels, strict=True)):
        for where, d in _directions(x, entries, directions, rng):
            yield label + where, [*still[:k], d, *still[k + 1 :]]


def _directions(x: Any, entries: int, directions: int, rng: Any) -> list[tuple[str, Any]]:
    if x.ndim == 0:
        return [("", np.float64(1))]
    if x.size <= entries:
        basis = np.eye(x.size).reshape((x.size, *x.shape))
        return [(f"[{','.join(map(str, at))}]", e) for at, e in zip(np.ndindex(x.shape), basis)]
    return [
        (f" along random direction {k + 1}", rng.normal(size=x.shape)) for k in range(directions)
    ]


def _point(labels: Sequence[str], xs: Sequence[Any]) -> str:
    listed = [f"{label} = {_short(x)}" for label, x in zip(labels[:LISTED], xs)]
    more = [f"… ({len(xs)} arguments)"] if len(xs) > LISTED else []
    return ", ".join(listed + more)


def _short(value: Any) -> str:
    text = np.array2string(np.asarray(value), threshold=20, precision=17).replace("\n", "")
    return text if len(text) <= 200 else f"{text[:197]}…"
