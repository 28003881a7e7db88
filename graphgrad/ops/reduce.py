"""Reductions over axes: sum, mean, prod, max, min, logsumexp, and argmax, which has no gradient.

All take ``(x, axis=None, keepdims=False)`` with `axis` an int, a tuple of ints or None for all.
"""

from __future__ import annotations

import builtins
import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from graphgrad import dtypes, shapes
from graphgrad.errors import ShapeError
from graphgrad.ops.arithmetic import abs
from graphgrad.ops.choices import cast_like, equal, where
from graphgrad.ops.define import case, structured
from graphgrad.ops.elementwise import exp, log
from graphgrad.ops.shape import broadcast_to, pad, reshape

__all__ = ["argmax", "logsumexp", "max", "mean", "min", "prod", "sum"]

CASES = (
    case((2, 3)),
    case((2, 3), axis=0),
    case((2, 3, 2), axis=(0, -1), keepdims=True),
    case((), axis=None),
)


def _prepare(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    shape = x.shape if hasattr(x, "shape") else np.shape(x)
    return (x,), {"axis": shapes.axes(axis, len(shape)), "keepdims": bool(keepdims)}


def _shape(x: shapes.Shape, axis: shapes.Shape, keepdims: bool) -> shapes.Shape:
    return shapes.reduced(x, axis, keepdims)


def _nonempty(x: shapes.Shape, axis: shapes.Shape, keepdims: bool) -> shapes.Shape:
    if builtins.any(x[k] == 0 for k in axis):
        raise ShapeError(f"shape {x} has no entries along axis {axis} to choose from")
    return shapes.reduced(x, axis, keepdims)


def spread(g: Any, x: Any, axis: shapes.Shape, keepdims: bool) -> Any:
    """Return `g`, the shape of a reduction of x, broadcast back to x's shape."""
    if not keepdims:
        g = reshape(g, shapes.reduced(x.shape, axis, True))
    return broadcast_to(g, x.shape)


def _count(x: Any, axis: shapes.Shape) -> int:
    return shapes.size(tuple(x.shape[k] for k in axis))


def _reduction(name: str, **fields: Any) -> Any:
    return structured(
        name,
        prepare=_prepare,
        shape=fields.pop("shape", _shape),
        kind="reduce",
        text=lambda axis, keepdims: f"{name}(#1)",
        latex=lambda axis, keepdims: rf"\operatorname{{{name}}}\left(#1\right)",
        cases=CASES,
        **fields,
    )


ARGS = """

    Args:
        x: node or array.
        axis: an int, a tuple of ints, or None for all axes.
        keepdims: keep the reduced axes with size 1.
"""

sum = _reduction(
    "sum",
    doc="""Return the sum over `axis`; masks are counted."""
    + ARGS
    + """
    Example:
        >>> import graphgrad as gg
        >>> gg.sum(gg.var("x", [[1, 2], [3, 4]]), axis=0).value.tolist()
        [4.0, 6.0]
    """,
    combine=("0", "{0} + {1}"),
    forward=lambda x, axis, keepdims: np.sum(x, axis=axis, keepdims=keepdims),
    vjp=[lambda g, y, x, axis, keepdims: spread(g, x, axis, keepdims)],
    dtype=dtypes.counted,
    linear="each",
    symbol="Σ",
)


def _scaled_sum(x: Any, axis: shapes.Shape, keepdims: bool) -> Any:
    kind = x.dtype if dtypes.is_float(x.dtype) else dtypes.FLOAT64
    return sum(x.astype(kind), axis, keepdims) / _count(x, axis)


def _mean(x: Any, axis: shapes.Shape, keepdims: bool) -> Any:
    n = _count(x, axis)  # np.mean warns where there is none
    return np.mean(x, axis=axis, keepdims=keepdims) if n else np.sum(x, axis, keepdims=keepdims) / 0


mean = _reduction(
    "mean",
    doc="""Return the mean over `axis`; nan over no entries."""
    + ARGS
    + """
    Example:
        >>> import graphgrad as gg
        >>> gg.mean(gg.var("x", [1, 2, 6])).value
        3.0
    """,
    lower=lambda x, axis, keepdims: _scaled_sum(x, axis, keepdims),
    forward=_mean,
    entries=lambda F, x, axis, keepdims: np.sum(x, axis=axis, keepdims=keepdims) / _count(x, axis),
    vjp=[lambda g, y, x, axis, keepdims: spread(g, x, axis, keepdims) / _count(x, axis)],
    dtype=dtypes.averaged,
    linear="each",
)


def _others(x: Any) -> Any:
    """Return along axis 0 the product of all other entries, by doubling, without a division.

    So a gradient of `prod` is right where entries are 0, and so are its own derivatives.
    """
    n = x.shape[0]
    rest = ((0, 0),) * (len(x.shape) - 1)
    if n == 1:
        return x * 0 + 1
    before, after = pad(x[:-1], ((1, 0), *rest), 1.0), pad(x[1:], ((0, 1), *rest), 1.0)
    shift = 1
    while shift < n - 1:
        before = before * pad(before[:-shift], ((shift, 0), *rest), 1.0)
        after = after * pad(after[shift:], ((0, shift), *rest), 1.0)
        shift *= 2
    return before * after


def _prod_vjp(g: Any, y: Any, x: Any, axis: shapes.Shape, keepdims: bool) -> Any:
    if not axis:
        return g
    if builtins.min(x.shape, default=1) == 0:
        return x * 0
    kept = tuple(k for k in range(len(x.shape)) if k not in axis)
    order = axis + kept
    count = int(_count(x, axis))  # the graph below is one for so many
    rows = x.transpose(order).reshape((count, *(x.shape[k] for k in kept)))
    others = _others(rows).reshape(tuple(x.shape[k] for k in order))
    inverse = tuple(order.index(k) for k in range(len(order)))
    return spread(g, x, axis, keepdims) * others.transpose(inverse)


prod = _reduction(
    "prod",
    doc="""Return the product over `axis`; its gradient is exact where entries are 0."""
    + ARGS
    + """
    Example:
        >>> import graphgrad as gg
        >>> x = gg.var("x", [0, 2, 3])
        >>> y = gg.prod(x)
        >>> y.backward()
        >>> x.grad.tolist()
        [6.0, 0.0, 0.0]
    """,
    combine=("1", "{0} * {1}"),
    forward=lambda x, axis, keepdims: np.prod(x, axis=axis, keepdims=keepdims),
    vjp=[_prod_vjp],
    dtype=dtypes.counted,
    symbol="∏",
)


def _extreme_vjp(g: Any, y: Any, x: Any, axis: shapes.Shape, keepdims: bool) -> Any:
    chosen = cast_like(equal(x, spread(y, x, axis, keepdims)), x)
    share = chosen / spread(sum(chosen, axis, keepdims), x, axis, keepdims)
    return spread(g, x, axis, keepdims) * share


def _folded(scalar: str) -> Callable[..., Any]:
    def entries(F: Any, x: Any, axis: shapes.Shape, keepdims: bool) -> Any:
        function = getattr(F, scalar)
        result = np.empty(shapes.reduced(x.shape, axis, True), object)
        for at in np.ndindex(result.shape):
            picked = tuple(slice(None) if k in axis else at[k] for k in range(x.ndim))
            result[at] = functools.reduce(function, np.ravel(np.asarray(x[picked], object)))
        return result.reshape(shapes.reduced(x.shape, axis, keepdims))

    return entries


def _analytic_extreme(argument: Callable[..., Any]) -> Callable[..., Any]:
    def forward(x: Any, axis: shapes.Shape, keepdims: bool) -> Any:
        x = np.asarray(x)
        kept = tuple(k for k in range(x.ndim) if k not in axis)
        rows = x.transpose(kept + axis).reshape((*(x.shape[k] for k in kept), -1))
        best = np.expand_dims(argument(np.real(rows), axis=-1), -1)
        picked = np.take_along_axis(rows, best, -1)[..., 0]
        return picked.reshape(shapes.reduced(x.shape, axis, keepdims))

    return forward


max = _reduction(
    "max",
    doc="""Return the largest entry over `axis`; nan if any is nan."""
    + ARGS
    + """
    Example:
        >>> import graphgrad as gg
        >>> x = gg.var("x", [1, 5, 5])
        >>> gg.grad(gg.max(x), x).value.tolist()
        [0.0, 0.5, 0.5]
    """,
    combine=("-inf", "({0} if {0} > {1} or {0} != {0} else {1})"),
    forward=lambda x, axis, keepdims: np.max(x, axis=axis, keepdims=keepdims),
    analytic=_analytic_extreme(np.argmax),
    entries=_folded("maximum"),
    vjp=[_extreme_vjp],
    shape=_nonempty,
    convention="entries that tie for the largest share the gradient equally.",
)

min = _reduction(
    "min",
    doc="""Return the smallest entry over `axis`; nan if any is nan."""
    + ARGS
    + """
    Example:
        >>> import graphgrad as gg
        >>> gg.min(gg.var("x", [[4, 2], [3, 9]]), axis=1).value.tolist()
        [2.0, 3.0]
    """,
    combine=("inf", "({0} if {0} < {1} or {0} != {0} else {1})"),
    forward=lambda x, axis, keepdims: np.min(x, axis=axis, keepdims=keepdims),
    analytic=_analytic_extreme(np.argmin),
    entries=_folded("minimum"),
    vjp=[_extreme_vjp],
    shape=_nonempty,
    convention="entries that tie for the smallest share the gradient equally.",
)


def _logsumexp(x: Any, axis: shapes.Shape, keepdims: bool) -> Any:
    x = np.asarray(x)
    if x.dtype.kind in "iu":
        x = x.astype(np.float64)
    top = np.max(np.real(x), axis=axis, keepdims=True, initial=-math.inf)
    top = np.where(np.isfinite(top), top, 0).astype(x.real.dtype)
    total = np.log(np.sum(np.exp(x - top), axis=axis, keepdims=True)) + top
    return total.reshape(shapes.reduced(x.shape, axis, keepdims))[()]


def _shifted(x: Any, axis: shapes.Shape, keepdims: bool) -> Any:
    if builtins.any(x.shape[k] == 0 for k in axis):
        return sum(x, axis, keepdims) - math.inf
    top = max(x, axis, keepdims=True)
    # Infinite shifts would give inf - inf; without a shift, exp gives what the limit is.
    top = where(abs(top) < math.inf, top, 0)
    total = log(sum(exp(x - top), axis, keepdims=True)) + top
    return reshape(total, shapes.reduced(x.shape, axis, keepdims))


logsumexp = _reduction(
    "logsumexp",
    doc="""Return log Σ eˣ over `axis`, without overflow; -inf over no entries."""
    + ARGS
    + """
    Example:
        >>> import graphgrad as gg
        >>> gg.logsumexp(gg.var("x", [1000.0, 1000.0])).value
        1000.6931471805599
    """,
    lower=lambda x, axis, keepdims: _shifted(x, axis, keepdims),
    forward=_logsumexp,
    entries=lambda F, x, axis, keepdims: F.map(
        F.log, np.sum(F.map(F.exp, x), axis=axis, keepdims=keepdims)
    ),
    vjp=[
        lambda g, y, x, axis, keepdims: (
            spread(g, x, axis, keepdims) * exp(x - spread(y, x, axis, keepdims))
        )
    ],
    dtype=dtypes.floating,
)


def _argmax_prepare(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    inputs, settings = _prepare(x, axis, keepdims)
    if axis is not None and len(settings["axis"]) != 1:
        raise ShapeError(f"argmax over axis {axis}: expected one axis or None")
    return inputs, settings


def _argmax(x: Any, axis: shapes.Shape, keepdims: bool) -> Any:
    x = np.asarray(x)
    if len(axis) == 1:
        return np.argmax(x, axis=axis[0], keepdims=keepdims)
    return np.argmax(x).reshape(shapes.reduced(x.shape, axis, keepdims))


argmax = structured(
    "argmax",
    doc="""Return the position of the first largest entry; no gradient passes.

    Args:
        x: node or array.
        axis: one axis, or None for the position in row-major order.
        keepdims: keep the reduced axes with size 1.

    Example:
        >>> import graphgrad as gg
        >>> gg.argmax(gg.var("x", [[1, 9], [8, 2]]), axis=1).value.tolist()
        [1, 0]
    """,
    prepare=_argmax_prepare,
    forward=_argmax,
    analytic=lambda x, axis, keepdims: _argmax(np.real(x), axis, keepdims),
    shape=_nonempty,
    kind="reduce",
    vjp=[None],
    dtype=dtypes.integer,
    cases=[case((2, 3)), case((2, 3), axis=1), case((2, 3), axis=0, keepdims=True)],
)
