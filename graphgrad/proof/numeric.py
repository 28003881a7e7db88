"""Numeric checks of gradients: complex step, central differences, random directions.

What one can do: compare the gradients of a graph or of a Python function with derivatives found
by numbers alone (`compare_gradient`, `compare_function`), or demand that they agree
(`check_gradient`), with a message that says point, argument, both numbers and the tolerance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphgrad import dtypes
from graphgrad.errors import GradientError, GradientMismatchError
from graphgrad.explain.names import visible
from graphgrad.gradient import vjp
from graphgrad.graph import VARIABLE, Node, ancestors, evaluate, refresh
from graphgrad.proof.slopes import Function, central_difference, complex_step, value_of

__all__ = [
    "Comparison", "central_difference", "check_gradient", "compare_function", "compare_gradient",
    "complex_step", "rtol_of",
]  # fmt: skip

RTOL = 1e-9
EPSILON = float(np.finfo(float).eps)
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
    scale = abs(value_of(f, arrays, arrays, 0.0)) if size is None else size
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
    tolerance = 10 * error + max(rtol, 1e-7) * max(abs(expected), size) + 1e-12 * scale
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


def rtol_of(nodes: Iterable[Node]) -> float:
    """Return the relative tolerance for gradients of these nodes, by the coarsest of their types.

    Example:
        >>> import graphgrad as gg
        >>> rtol_of([gg.var("x", 1.0)]), rtol_of([gg.var("x", 1.0, dtype="float32")]) < 1e-3
        (1e-09, True)
    """
    types = {n.dtype for n in nodes if dtypes.is_float(n.dtype)}
    coarse = max((float(np.finfo(t).eps) for t in types), default=EPSILON) / EPSILON
    return RTOL * max(coarse / 1e3, 1.0)


def compare_gradient(
    y: Node,
    wrt: Node | Sequence[Node] | None = None,
    *,
    rtol: float | None = None,
    method: str = "auto",
    entries: int = 8,
    directions: int = 3,
    seed: int = 0,
) -> list[Comparison]:
    """Compare the gradients of a graph, at its current values, with numeric derivatives.

    Args:
        y: a floating node; one that is no scalar is contracted with random numbers.
        wrt: a node or nodes; every floating variable by default.
        rtol: relative tolerance; by default 1e-9, and 5e-4 where the graph has float32 nodes.
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
        rtol=rtol_of(ancestors(y)) if rtol is None else rtol,
        entries=entries, directions=directions, seed=seed, size=size,
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
