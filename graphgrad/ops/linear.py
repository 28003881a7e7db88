"""Products of vectors and matrices: matmul (also batched) and outer."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphgrad import dtypes, shapes
from graphgrad.errors import ShapeError
from graphgrad.ops.define import case, structured
from graphgrad.ops.shape import reshape, sum_to, transpose
from graphgrad.primitive import TABLE

__all__ = ["matmul", "outer"]


def _swapped(x: Any) -> Any:
    n = len(x.shape)
    return transpose(x, (*range(n - 2), n - 1, n - 2))


def _matmul_vjp_a(g: Any, y: Any, a: Any, b: Any) -> Any:
    if len(a.shape) == 1 and len(b.shape) == 1:
        return g * b
    if len(b.shape) == 1:  # y[..., i] = Σ a[..., i, k] b[k]
        if len(a.shape) == 2:
            return outer(g, b)
        return sum_to(reshape(g, (*g.shape, 1)) * b, a.shape)
    if len(a.shape) == 1:  # y[..., j] = Σ a[k] b[..., k, j]
        if len(b.shape) == 2:
            return b @ g
        return sum_to(reshape(b @ reshape(g, (*g.shape, 1)), b.shape[:-1]), a.shape)
    return sum_to(g @ _swapped(b), a.shape) if len(y.shape) > 2 else g @ _swapped(b)


def _matmul_vjp_b(g: Any, y: Any, a: Any, b: Any) -> Any:
    if len(a.shape) == 1 and len(b.shape) == 1:
        return g * a
    if len(b.shape) == 1:
        if len(a.shape) == 2:
            return _swapped(a) @ g
        return sum_to(reshape(_swapped(a) @ reshape(g, (*g.shape, 1)), y.shape[:-1] + b.shape),
                      b.shape)  # fmt: skip
    if len(a.shape) == 1:
        if len(b.shape) == 2:
            return outer(a, g)
        return reshape(a, (-1, 1)) * reshape(g, (*g.shape[:-1], 1, g.shape[-1]))
    return sum_to(_swapped(a) @ g, b.shape) if len(y.shape) > 2 else _swapped(a) @ g


def _vector_product(a: Any, b: Any) -> Any:
    """Return a product with a vector as a sum of products; None for two matrices."""
    if len(a.shape) > 1 and len(b.shape) > 1:
        return None
    if len(b.shape) == 1:
        return TABLE["sum"](a * b, -1)
    return TABLE["sum"](reshape(a, (-1, 1)) * b, -2)


matmul = structured(
    "matmul",
    doc="""Return the matrix product a @ b, as NumPy's matmul: of vectors, matrices, or batches.

    Args:
        a: shape (..., m, k), or (k,).
        b: shape (..., k, n), or (k,). Leading axes broadcast.

    Raises:
        ShapeError: when the inner sizes differ or an input is a scalar.

    Example:
        >>> import graphgrad as gg
        >>> (gg.var("W", [[1, 2], [3, 4]]) @ gg.var("x", [1, 1])).value.tolist()
        [3.0, 7.0]
    """,
    forward=lambda a, b: np.matmul(a, b),
    shape=lambda a, b: shapes.matmul(a, b),
    kind="matmul",
    vjp=[_matmul_vjp_a, _matmul_vjp_b],
    dtype=dtypes.arithmetic,
    linear="each",
    text="#1 @ #2",
    latex=r"#1 \, #2",
    precedence=2,
    symbol="@",
    lower=lambda a, b: _vector_product(a, b),
    cases=[
        case((2, 3), (3, 4)),
        case((3,), (3,)),
        case((2, 3), (3,)),
        case((3,), (3, 2)),
        case((2, 2, 3), (2, 3, 2)),
        case((2, 1, 2, 3), (3, 3, 2)),
        case((2, 2, 3), (3,)),
        case((3,), (2, 3, 2)),
        case((2, 3), (4, 3, 2)),
    ],
)


def _outer_shape(a: shapes.Shape, b: shapes.Shape) -> shapes.Shape:
    if len(a) != 1 or len(b) != 1:
        raise ShapeError(f"shapes {a} and {b}: outer takes two vectors")
    return a + b


outer = structured(
    "outer",
    doc="""Return the outer product of two vectors, a bᵀ.

    Args:
        a: shape (m,).
        b: shape (n,).

    Example:
        >>> import graphgrad as gg
        >>> gg.outer(gg.var("a", [1, 2]), gg.var("b", [3, 4])).value.tolist()
        [[3.0, 4.0], [6.0, 8.0]]
    """,
    forward=lambda a, b: np.outer(a, b),
    shape=_outer_shape,
    kind="matmul",
    vjp=[lambda g, y, a, b: g @ b, lambda g, y, a, b: a @ g],
    dtype=dtypes.arithmetic,
    linear="each",
    text="outer(#1, #2)",
    latex=r"#1 \otimes #2",
    symbol="⊗",
    lower=lambda a, b: reshape(a, (-1, 1)) * reshape(b, (1, -1)),
    cases=[case((2,), (3,))],
)
