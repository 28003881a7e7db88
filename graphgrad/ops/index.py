"""Indexing with integer arrays: take (gather) and its transpose, scatter_add; ``node[key]``."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from graphgrad import dtypes, operators, shapes
from graphgrad.errors import DtypeError, ShapeError
from graphgrad.graph import Node
from graphgrad.ops.arithmetic import add, mul
from graphgrad.ops.define import case, structured
from graphgrad.ops.shape import reshape, slice
from graphgrad.primitive import Primitive

__all__ = ["index", "scatter_add", "take"]


def _indices(indices: Any, size: int | None, what: str) -> Any:
    """Return indices as an integer node or a checked array; negative ones count from the end."""
    if isinstance(indices, Node):
        if indices.dtype is not dtypes.INT64:
            raise DtypeError(f"{what}: indices are {indices.dtype}; expected int64 (dtype=int)")
        return indices
    array = np.asarray(indices)
    if array.dtype.kind not in "iu":
        if array.size:
            raise DtypeError(f"{what}: indices are {array.dtype}; expected integers")
        array = array.astype(np.int64)
    if size is not None and array.size and not -size <= array.min() <= array.max() < size:
        bad = array[(array < -size) | (array >= size)].flat[0]
        raise ShapeError(f"{what}: index {bad} is out of bounds for size {size}")
    return np.where(array < 0, array + (size or 0), array).astype(np.int64)


def _take(x: Any, indices: Any, axis: int = 0) -> Any:
    shape = x.shape if hasattr(x, "shape") else np.shape(x)
    k = shapes.one_axis(axis, len(shape))
    return (x, _indices(indices, shape[k], "take")), {"axis": k}


take = structured(
    "take",
    doc="""Return the entries of x at integer positions along an axis.

    Args:
        x: node or array of at least one axis.
        indices: integers of any shape, or an int64 node; negative ones count from the end.
        axis: the axis to pick from.

    Raises:
        ShapeError: when an index is out of bounds (for a node: when it is computed, IndexError).

    Example:
        >>> import graphgrad as gg
        >>> gg.take(gg.var("x", [10, 20, 30]), [2, 0, 2]).value.tolist()
        [30.0, 10.0, 30.0]
    """,
    prepare=_take,
    forward=lambda x, indices, axis: np.take(x, indices, axis=axis),
    analytic=lambda x, indices, axis: np.take(x, np.real(indices).astype(np.int64), axis=axis),
    shape=lambda x, indices, axis: x[:axis] + indices + x[axis + 1 :],
    kind="gather",
    vjp=[
        lambda g, y, x, indices, axis: scatter_add(g, indices, x.shape[axis], axis),
        None,
    ],
    linear="each",
    text="#1[#2]",
    latex="#1_{[#2]}",
    symbol="take",
    cases=[
        case((4,), indices=np.array([2, 0, 2, -1])),
        case((2, 3), indices=np.array([[1, 1], [0, 2]]), axis=1),
        case((3, 2), indices=np.array(1), axis=0),
        case((3, 2), indices=np.zeros(0, int), axis=0),
    ],
)


def _scatter(x: Any, indices: Any, size: int, axis: int = 0) -> Any:
    shape = x.shape if hasattr(x, "shape") else np.shape(x)
    n = shapes.as_shape(size)[0]
    listed = _indices(indices, n, "scatter_add")
    last = len(shape) - len(listed.shape)
    return (x, listed), {"size": n, "axis": shapes.one_axis(axis, last + 1)}


def _scatter_forward(x: Any, indices: Any, size: int, axis: int) -> Any:
    x, indices = np.asarray(x), np.asarray(indices)
    k = indices.ndim
    out = np.zeros((*x.shape[:axis], size, *x.shape[axis + k :]), x.dtype)
    rows = np.moveaxis(out, axis, 0)
    parts = np.moveaxis(x, range(axis, axis + k), range(k))
    np.add.at(rows, indices, parts)
    return out


def _scatter_shape(x: shapes.Shape, indices: shapes.Shape, size: int, axis: int) -> shapes.Shape:
    if x[axis : axis + len(indices)] != indices:
        raise ShapeError(f"shape {x} does not have the indices' shape {indices} at axis {axis}")
    return (*x[:axis], size, *x[axis + len(indices) :])


scatter_add: Primitive = structured(
    "scatter_add",
    doc="""Return zeros with the entries of x added at integer positions: the transpose of `take`.

    Args:
        x: node or array; its axes from `axis` on begin with the shape of `indices`.
        indices: integers, or an int64 node.
        size: of the result along `axis`.
        axis: where the axis of the result goes.

    Example:
        >>> import graphgrad as gg
        >>> gg.scatter_add(gg.var("g", [1, 2, 3]), [0, 2, 0], 4).value.tolist()
        [4.0, 0.0, 2.0, 0.0]
    """,
    prepare=_scatter,
    forward=_scatter_forward,
    shape=_scatter_shape,
    kind="scatter",
    vjp=[lambda g, y, x, indices, size, axis: take(g, indices, axis), None],
    linear="each",
    text="scatter(#1, #2)",
    latex=r"\operatorname{scatter}_{#2}\left(#1\right)",
    symbol="scatter",
    cases=[
        case((4,), indices=np.array([2, 0, 2, 1]), size=5),
        case((2, 2, 2), indices=np.array([[1, 1], [0, 2]]), size=3, axis=1),
    ],
)


def index(x: Any, key: Any) -> Any:
    """Return ``x[key]`` for ints, slices, None, Ellipsis, integer arrays and constant masks.

    Args:
        x: node or array.
        key: as in NumPy. Integer arrays (lists, arrays, int64 nodes) must stand side by side; a
            mask must be a plain array, since the shape of the result depends on its values.

    Raises:
        ShapeError: when the index does not fit the shape.
        DtypeError: when a part of the key is no index.

    Example:
        >>> import graphgrad as gg
        >>> gg.index(gg.var("x", [[1, 2], [3, 4]]), ([0, 1], [1, 0])).value.tolist()
        [2.0, 3.0]
    """
    parts = key if isinstance(key, tuple) else (key,)
    if not any(_is_array(p) for p in parts):
        return slice(x, key)
    parts = _unmasked(parts, x.shape)
    basic = tuple(np.s_[:] if _is_array(p) else p for p in parts)
    full = shapes.index_key(basic, x.shape)
    cut = slice(x, full)
    lists = [p for p in parts if _is_array(p)]
    axis = _axis_of_lists(parts, full)
    return _pick(cut, lists, axis)


def _is_array(p: Any) -> bool:
    return isinstance(p, Node | list) or (isinstance(p, np.ndarray) and p.ndim > 0)


def _unmasked(parts: tuple[Any, ...], shape: shapes.Shape) -> tuple[Any, ...]:
    """Return the key with its lists as arrays, and its masks as the positions they pick."""
    parts = tuple(np.asarray(p) if isinstance(p, list) else p for p in parts)
    widths = [_width(p) for p in parts]
    result: list[Any] = []
    axis = 0
    for p, width in zip(parts, widths, strict=True):
        if _is_mask(p):
            if p.shape != shape[axis : axis + width]:
                raise ShapeError(
                    f"a mask of shape {p.shape} does not fit axes {shape[axis : axis + width]} "
                    f"of shape {shape}"
                )
            result += np.nonzero(p)
        else:
            result.append(p)
        axis += len(shape) - sum(widths) if p is Ellipsis else width
    return tuple(result)


def _is_mask(p: Any) -> bool:
    if isinstance(p, Node) and p.dtype is dtypes.BOOL:
        raise DtypeError(
            "a mask that is a node cannot index, for the shape would depend on its values; "
            "use gg.where(mask, x, 0)"
        )
    return _is_array(p) and p.dtype.kind == "b"


def _width(p: Any) -> int:
    """Return how many axes a part of a key takes up."""
    return 0 if p is None or p is Ellipsis else p.ndim if _is_mask(p) else 1


def _axis_of_lists(parts: tuple[Any, ...], full: shapes.Key) -> int:
    """Return the axis of the cut array at which the index arrays stand."""
    lists = [k for k, p in enumerate(parts) if _is_array(p)]
    places = [k for k, p in enumerate(parts) if not _keeps_axis(p)]
    if places != list(range(places[0], places[-1] + 1)):
        raise ShapeError(
            "index arrays and integers must stand side by side; index in two steps, x[…][…]"
        )
    before = parts[: lists[0]]
    if any(p is Ellipsis for p in before):
        from_end = len([p for p in parts[lists[0] :] if p is not Ellipsis])
        start = len(full) - from_end
    else:
        start = lists[0]
    return sum(p is None or isinstance(p, tuple) for p in full[:start])


def _keeps_axis(p: Any) -> bool:
    return p is None or p is Ellipsis or isinstance(p, builtins.slice)


def _pick(x: Any, lists: list[Any], axis: int) -> Any:
    """Return x with several index arrays, one per axis from `axis` on, as one take."""
    k = len(lists)
    if k == 1:
        return take(x, lists[0], axis)
    shapes.broadcast(*[p.shape for p in lists])  # or a ShapeError
    sizes = x.shape[axis : axis + k]
    flat: Any = None
    for p, n in zip(lists, sizes, strict=True):
        checked = _indices(p, n, "index")
        flat = checked if flat is None else add(mul(flat, n), checked)
    merged = reshape(x, (*x.shape[:axis], shapes.size(sizes), *x.shape[axis + k :]))
    return take(merged, flat, axis)


operators.INDEX = index
