"""Gradients of graphs checked by numbers alone: complex step, differences, random directions.

What one can do: demand that the gradients of a graph are its numeric derivatives
(`check_gradient`), or look at every comparison (`compare_gradient`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from graphgrad import dtypes
from graphgrad.errors import GradientError, GradientMismatchError
from graphgrad.explain.names import visible
from graphgrad.gradient import vjp
from graphgrad.graph import VARIABLE, Node, ancestors, describe, evaluate, refresh
from graphgrad.proof.numeric import (
    CENTRAL,
    COMPLEX,
    LISTED,
    RTOL,
    Comparison,
    compare_function,
)
from graphgrad.proof.slopes import EPSILON

__all__ = ["check_gradient", "compare_gradient", "rtol_of"]


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
        GradientError: when y is not finite there, or no floating node.
        MissingValueError: when a variable has no value.

    Example:
        >>> import graphgrad as gg
        >>> x = gg.var("x", [1.0, 2.0])
        >>> print(compare_gradient(gg.sum(abs(x) ** 3))[1])
        the gradient towards x[1] agrees with the complex step
          at x = [1. 2.]
          gradient: 12.0, complex step: 12.0, tolerance: 1.2e-08
    """
    if method not in ("auto", COMPLEX, CENTRAL):
        raise GradientError(f"method={method!r}: expected 'auto', {COMPLEX!r} or {CENTRAL!r}")
    wanted = _wanted(y, wrt)
    here = np.asarray(refresh(y))
    if not np.all(np.isfinite(here)):
        raise GradientError(
            f"{describe(y)} is not finite here: {_values(wanted)}. There is no derivative to "
            "compare with; choose values inside the domain"
        )
    rng = np.random.default_rng(seed + 1)
    weights = rng.normal(size=y.shape) if y.shape else np.float64(1)
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


def _values(nodes: Sequence[Node]) -> str:
    shown = [f"{n.name or n.op} = {refresh(n)}" for n in nodes[:LISTED]]
    return visible(", ".join(shown + ["…"] * (len(nodes) > LISTED)))


def check_gradient(
    y: Node, wrt: Node | Sequence[Node] | None = None, **options: Any
) -> list[Comparison]:
    """Demand that the gradients of a graph are its numeric derivatives at the current values.

    The complex step (Squire and Trapp 1998) is exact to rounding; where some operation is not
    analytic, central differences, extrapolated (Ridders 1982), are used. Variables of more than 8
    entries are moved along random directions, and more than 32 variables all at once. Away from
    kinks, a gradient that is wrong by 0.1 % is noticed.

    Args:
        y: a floating node of any shape; one that is no scalar is contracted with random numbers.
        wrt: a node or nodes; every floating variable by default.
        options: `rtol`, `method`, `entries`, `directions`, `seed` as in
            `graphgrad.proof.check.compare_gradient`.

    Returns:
        The comparisons that were made, all of which agree.

    Raises:
        GradientMismatchError: for the first that does not: point, argument, both numbers,
            tolerance.
        GradientError: when y is not finite at the current values, or no floating node.
        MissingValueError: when a variable has no value.

    Example:
        >>> import graphgrad as gg
        >>> x = gg.var("x", [0.5, 2.0])
        >>> for comparison in gg.check_gradient(gg.sum(gg.tanh(x))):
        ...     print(comparison.argument, comparison.method, comparison.ok)
        x[0] complex step True
        x[1] complex step True
    """
    found = compare_gradient(y, wrt, **options)
    for comparison in found:
        if not comparison.ok:
            raise GradientMismatchError(str(comparison))
    return found
