"""Numeric checks of gradients: complex step, central differences, random directions.

What one can do: differentiate any Python function along a direction (`complex_step`,
`central_difference`), compare the gradients of a graph or of a function with such derivatives
(`compare_gradient`, `compare_function`), or demand that they agree (`check_gradient`), with a
message that says point, argument, both numbers and the tolerance. None of this uses a derivative
rule, so it is an independent witness.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphgrad import dtypes
from graphgrad.errors import GradientError, GradientMismatchError
from graphgrad.explain.names import visible
from graphgrad.gradient import vjp
from graphgrad.graph import VARIABLE, Node, ancestors, evaluate, refresh

__all__ = [
    "Comparison", "central_difference", "check_gradient", "compare_function", "compare_gradient",
    "complex_step",
]  # fmt: skip

Function = Callable[[Sequence[Any]], Any]
EPSILON = float(np.finfo(float).eps)
RTOL = 1e-9
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
        )


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
        ahead, behind = (_value(f, xs, ds, s * h) for s in (1, -1))
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


def _value(f: Function, xs: Sequence[Any], ds: Sequence[Any], h: float) -> float:
    with np.errstate(all="ignore"):
        return float(np.real(f([x + h * d for x, d in zip(xs, ds, strict=True)])))


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
            random directions.
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
    where = ", ".join(f"{_name(names, k)} = {_short(x)}" for k, x in enumerate(arrays))
    scale = abs(_value(f, arrays, arrays, 0.0)) if size is None else size
    found = []
    for k, (x, gradient) in enumerate(zip(arrays, gradients, strict=True)):
        if np.shape(gradient) != x.shape:
            raise GradientError(
                f"the gradient towards {_name(names, k)} has shape {np.shape(gradient)}, the "
                f"argument {x.shape}: they must agree"
            )
        for label, d in _directions(x, entries, directions, rng):
            with np.errstate(all="ignore"):
                parts = np.asarray(gradient) * d
            moved = [d if j == k else np.zeros_like(x) for j, x in enumerate(arrays)]
            found.append(
                _compared(f, analytic, arrays, moved, parts, rtol, scale)(
                    _name(names, k) + label, where
                )
            )
    return found


def _compared(
    f: Function, analytic: Function | None, xs: Any, ds: Any, parts: Any, rtol: float, scale: float
) -> Callable[[str, str], Comparison]:
    """Compare along one direction: by the complex step, and by differences where that fails."""
    actual = float(np.sum(parts))
    size = float(np.sum(np.abs(parts)))

    def by(method: str, expected: float, tolerance: float) -> Callable[[str, str], Comparison]:
        return lambda name, at: Comparison(name, at, actual, expected, tolerance, method)

    first = None
    if analytic is not None:
        try:
            expected = complex_step(analytic, xs, ds)
            tolerance = rtol * max(abs(expected), size) + 1e-3 * rtol * scale
            first = by(COMPLEX, expected, tolerance)
            if abs(actual - expected) <= tolerance:
                return first
        except (TypeError, ValueError, AttributeError):  # some step takes no complex numbers
            pass
    expected, error = central_difference(f, xs, ds)
    tolerance = 10 * error + 1e-7 * max(abs(expected), size) + 1e-12 * scale
    second = by(CENTRAL, expected, tolerance)
    # Where differences agree with the gradient, it was the continuation that was not analytic.
    return second if first is None or abs(actual - expected) <= tolerance else first


def _name(names: Sequence[str], k: int) -> str:
    return visible(names[k]) if k < len(names) else f"argument {k + 1}"


def _directions(x: Any, entries: int, directions: int, rng: Any) -> list[tuple[str, Any]]:
    if x.ndim == 0:
        return [("", np.float64(1))]
    if x.size <= entries:
        basis = np.eye(x.size).reshape((x.size, *x.shape))
        return [(f"[{','.join(map(str, at))}]", e) for at, e in zip(np.ndindex(x.shape), basis)]
    return [
        (f" along random direction {k + 1}", rng.normal(size=x.shape)) for k in range(directions)
    ]


def _short(value: Any) -> str:
    text = np.array2string(np.asarray(value), threshold=20, precision=17).replace("\n", "")
    return text if len(text) <= 200 else f"{text[:197]}…"


def compare_gradient(
    y: Node,
    wrt: Node | Sequence[Node] | None = None,
    *,
    rtol: float = RTOL,
    method: str = "auto",
    entries: int = 8,
    directions: int = 3,
    seed: int = 0,
) -> list[Comparison]:
    """Compare the gradients of a graph, at its current values, with numeric derivatives.

    Args:
        y: a floating node; one that is no scalar is contracted with random numbers.
        wrt: a node or nodes; every floating variable by default.
        rtol: relative tolerance for the complex step.
        method: "auto" (complex step, and differences where a step is not analytic), "complex
            step" or "central differences".
        entries, directions, seed: as in `compare_function`.

    Raises:
        MissingValueError: when a variable has no value.

    Example:
        >>> import graphgrad as gg
        >>> x = gg.var("x", [1.0, 2.0])
        >>> [str(c.ok) + " " + c.method for c in compare_gradient(gg.sum(abs(x) ** 3))]
        ['True complex step', 'True complex step']
    """
    if method not in ("auto", COMPLEX, CENTRAL):
        raise GradientError(f"method={method!r}: expected 'auto', {COMPLEX!r} or {CENTRAL!r}")
    wanted = _wanted(y, wrt)
    rng = np.random.default_rng(seed + 1)
    weights = rng.normal(size=y.shape) if y.shape else np.float64(1)
    here = np.asarray(refresh(y))
    gradients = evaluate(vjp(y, wanted, weights))
    with np.errstate(all="ignore"):
        size = float(np.sum(np.abs(weights * here)))

    def value(xs: Sequence[Any], analytic: bool = False) -> Any:
        at = dict(zip(wanted, xs, strict=True))
        return np.sum(weights * evaluate([y], at, analytic=analytic)[0])

    return compare_function(
        value,
        [np.asarray(g) for g in gradients],
        [np.asarray(refresh(x), float) for x in wanted],
        names=[x.name or x.op for x in wanted],
        analytic=None if method == CENTRAL else lambda xs: value(xs, True),
        rtol=rtol, entries=entries, directions=directions, seed=seed, size=size,
    )  # fmt: skip


def _wanted(y: Node, wrt: Node | Sequence[Node] | None) -> list[Node]:
    if wrt is None:
        return [n for n in ancestors(y) if n.primitive is VARIABLE and dtypes.is_float(n.dtype)]
    return [wrt] if isinstance(wrt, Node) else list(wrt)


def check_gradient(y: Node, wrt: Node | Sequence[Node] | None = None, **options: Any) -> None:
    """Demand that the gradients of a graph are its numeric derivatives.

    Args:
        y, wrt, options: as in `compare_gradient`.

    Raises:
        GradientMismatchError: for the first that is not: point, argument, both numbers, tolerance.

    Example:
        >>> import graphgrad as gg
        >>> check_gradient(gg.tanh(gg.var("x", 0.5)))
    """
    for comparison in compare_gradient(y, wrt, **options):
        if not comparison.ok:
            raise GradientMismatchError(str(comparison))
