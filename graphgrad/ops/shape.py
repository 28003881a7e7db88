"""Primitives that move entries without changing them: reshape, transpose, join, cut, pad.

All are linear, so the derivative of each is another of them: broadcasting and summing back are
each other's transpose, as are cutting and padding with zeros.
"""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any

import numpy as np

from graphgrad import dtypes, shapes
from graphgrad.errors import DtypeError, ShapeError
from graphgrad.lengths import whole
from graphgrad.ops.define import case, number, structured
from graphgrad.primitive import TABLE, Primitive

__all__ = [
    "broadcast_to", "cast", "concatenate", "pad", "reshape", "slice", "stack", "sum_to",
    "transpose", "unslice",
]  # fmt: skip


def _shape_of(x: Any) -> shapes.Shape:
    return x.shape if hasattr(x, "shape") else np.shape(x)


def _reshape(x: Any, shape: Any) -> Any:
    return (x,), {"shape": shapes.reshaped(_shape_of(x), shapes.as_shape(shape, least=-1))}


def _reshape_of(x: Any, shape: shapes.Shape) -> Any:
    if x.primitive is reshape:
        return reshape(x.inputs[0], shape)
    return x if x.shape == shape else None


reshape: Primitive = structured(
    "reshape",
    doc="""Return the same entries, in row-major order, in another shape.

    Args:
        x: node or array of any shape.
        shape: an int or a tuple of ints; one of them may be -1 and is worked out.

    Example:
        >>> import graphgrad as gg
        >>> gg.reshape(gg.var("x", [1, 2, 3, 4]), (2, -1)).shape
        (2, 2)
    """,
    prepare=_reshape,
    forward=lambda x, shape: np.reshape(x, shape),
    shape=lambda x, shape: shapes.reshaped(x, shape),
    kind="move",
    vjp=[lambda g, y, x, shape: reshape(g, x.shape)],
    linear="each",
    silent=True,
    text="reshape(#1)",
    latex=r"\operatorname{reshape}(#1)",
    lower=lambda x, shape: _reshape_of(x, shape),
    cases=[case((2, 3), shape=(3, 2)), case((4,), shape=(2, -1)), case((), shape=(1, 1))],
)


def _transpose(x: Any, axes: Sequence[int] | None = None) -> Any:
    return (x,), {"axes": shapes.permutation(axes, len(_shape_of(x)))}


def _transpose_of(x: Any, axes: shapes.Shape) -> Any:
    if x.primitive is transpose:
        return transpose(x.inputs[0], tuple(x.settings["axes"][k] for k in axes))
    return x if axes == tuple(range(len(axes))) else None


def _reverses(axes: shapes.Shape) -> bool:
    return axes == tuple(reversed(range(len(axes))))


transpose: Primitive = structured(
    "transpose",
    doc="""Return the array with its axes permuted; all reversed when `axes` is None.

    Args:
        x: node or array of n axes.
        axes: a permutation of range(n), negative axes count from the end.

    Example:
        >>> import graphgrad as gg
        >>> gg.transpose(gg.var("x", shape=(2, 3, 4)), (0, 2, 1)).shape
        (2, 4, 3)
    """,
    prepare=_transpose,
    forward=lambda x, axes: np.transpose(x, axes),
    shape=lambda x, axes: tuple(x[k] for k in axes),
    kind="move",
    vjp=[lambda g, y, x, axes: transpose(g, tuple(axes.index(k) for k in range(len(axes))))],
    linear="each",
    text=lambda axes: "#1ᵀ" if _reverses(axes) else f"transpose(#1, {axes})",
    latex=lambda axes: (
        "#1^{\\top}" if _reverses(axes) else rf"\operatorname{{transpose}}_{{{axes}}}(#1)"
    ),
    precedence=5,
    symbol="ᵀ",
    lower=lambda x, axes: _transpose_of(x, axes),
    cases=[case((2, 3)), case((2, 3, 4), axes=(2, 0, 1)), case((2, 3, 4), axes=(0, -1, 1))],
)


def _broadcast_to(x: Any, shape: Any) -> Any:
    return (x,), {"shape": shapes.as_shape(shape)}


def _broadcast_shape(x: shapes.Shape, shape: shapes.Shape) -> shapes.Shape:
    if shapes.broadcast(x, shape) != shape:
        raise ShapeError(f"shape {x} does not broadcast to {shape}")
    return shape


broadcast_to = structured(
    "broadcast_to",
    doc="""Return the array repeated to `shape`, by NumPy's rules.

    Args:
        x: node or array.
        shape: a shape that x's shape broadcasts to.

    Example:
        >>> import graphgrad as gg
        >>> gg.broadcast_to(gg.var("b", [1, 2]), (3, 2)).shape
        (3, 2)
    """,
    prepare=_broadcast_to,
    forward=lambda x, shape: np.broadcast_to(x, shape),
    shape=_broadcast_shape,
    kind="move",
    vjp=[lambda g, y, x, shape: sum_to(g, x.shape)],
    linear="each",
    silent=True,
    text="broadcast(#1)",
    latex=r"\operatorname{broadcast}(#1)",
    symbol="broadcast",
    lower=lambda x, shape: x if x.shape == shape else None,
    cases=[case((3,), shape=(2, 3)), case((2, 1), shape=(4, 2, 3)), case((), shape=(2, 2))],
)


def _sum_to_forward(x: Any, shape: shapes.Shape) -> Any:
    x = np.asarray(x)
    lead = x.ndim - len(shape)
    over = tuple(range(lead)) + tuple(
        k + lead for k, n in enumerate(shape) if n == 1 and x.shape[k + lead] != 1
    )
    return np.reshape(np.sum(x, axis=over), shape) if shape else np.sum(x)


def _sum_to_shape(x: shapes.Shape, shape: shapes.Shape) -> shapes.Shape:
    if shapes.broadcast(x, shape) != x:
        raise ShapeError(f"shape {x} cannot be summed to {shape}")
    return shape


def _sum_over(x: Any, shape: shapes.Shape) -> Any:
    lead = len(x.shape) - len(shape)
    axes = [k for k, n in enumerate(x.shape) if k < lead or shape[k - lead] != n]
    return reshape(TABLE["sum"](x, axes), shape)


sum_to: Primitive = structured(
    "sum_to",
    doc="""Return the sum over the axes along which `shape` was broadcast to x's shape.

    It is the transpose of `broadcast_to`, and what gradients of broadcast inputs need.

    Args:
        x: node or array.
        shape: a shape that broadcasts to x's shape.

    Example:
        >>> import graphgrad as gg
        >>> gg.sum_to(gg.var("g", [[1, 2], [3, 4]]), (2,)).value.tolist()
        [4.0, 6.0]
    """,
    prepare=_broadcast_to,
    forward=_sum_to_forward,
    shape=_sum_to_shape,
    kind="reduce",
    vjp=[lambda g, y, x, shape: broadcast_to(g, x.shape)],
    dtype=dtypes.counted,
    linear="each",
    text="sum(#1)",
    latex=r"\sum #1",
    symbol="Σ",
    lower=lambda x, shape: x if x.shape == shape else _sum_over(x, shape),
    cases=[case((2, 3), shape=(3,)), case((4, 2, 3), shape=(2, 1)), case((2, 2), shape=())],
)


def _joined(parts: Any, axis: int = 0) -> Any:
    parts = tuple(parts)
    if not parts:
        raise ShapeError("concatenate: expected at least one part")
    ndim = len(_shape_of(parts[0]))
    if ndim == 0:
        raise ShapeError("concatenate: scalars have no axis to be joined along; use stack")
    return parts, {"axis": shapes.one_axis(axis, ndim)}


def _part(g: Any, y: Any, *xs: Any, position: int, axis: int) -> Any:
    start = builtins.sum(x.shape[axis] for x in xs[:position])
    stop = start + xs[position].shape[axis]
    return g[(builtins.slice(None),) * axis + (builtins.slice(start, stop),)]


concatenate = structured(
    "concatenate",
    doc="""Return the parts joined along an axis they all have.

    Args:
        parts: a sequence of nodes or arrays, equal in shape but for `axis`.
        axis: the axis to join along.

    Example:
        >>> import graphgrad as gg
        >>> gg.concatenate([gg.var("a", [1, 2]), gg.var("b", [3])]).value.tolist()
        [1.0, 2.0, 3.0]
    """,
    prepare=_joined,
    forward=lambda *xs, axis: np.concatenate(xs, axis),
    shape=lambda *xs, axis: shapes.concatenated(xs, axis),
    kind="move",
    vjp=_part,
    dtype=dtypes.promote,
    linear="all",
    symbol="concat",
    cases=[case([(2, 3), (1, 3)]), case([(2, 3), (2, 2), (2, 1)], axis=-1), case([(2,)])],
)


def _stacked(parts: Any, axis: int = 0) -> Any:
    parts = tuple(parts)
    if not parts:
        raise ShapeError("stack: expected at least one part")
    return parts, {"axis": shapes.one_axis(axis, len(_shape_of(parts[0])) + 1)}


def _stack_shape(*xs: shapes.Shape, axis: int) -> shapes.Shape:
    for x in xs:
        if x != xs[0]:
            raise ShapeError(f"shapes {xs[0]} and {x} cannot be stacked: they differ")
    return (*xs[0][:axis], len(xs), *xs[0][axis:])


stack = structured(
    "stack",
    doc="""Return the parts side by side along a new axis.

    Args:
        parts: a sequence of nodes, arrays or numbers of one shape.
        axis: where the new axis goes.

    Example:
        >>> import graphgrad as gg
        >>> gg.stack([gg.var("a", 1.0), gg.var("b", 2.0)]).value.tolist()
        [1.0, 2.0]
    """,
    prepare=_stacked,
    forward=lambda *xs, axis: np.stack(xs, axis),
    shape=_stack_shape,
    kind="move",
    vjp=lambda g, y, *xs, position, axis: g[(builtins.slice(None),) * axis + (position,)],
    dtype=dtypes.promote,
    linear="all",
    cases=[case([(), (), ()]), case([(2,), (2,)], axis=1), case([(2, 3)], axis=-1)],
)


def _padded(x: Any, widths: Any, value: float = 0.0) -> Any:
    shape = _shape_of(x)
    given = np.asarray(widths)
    if given.dtype.kind not in "iu" or given.size == 0 or given.min() < 0:
        raise ShapeError(f"pad widths {widths!r}: expected integers of at least 0")
    try:
        np.broadcast_to(given, (len(shape), 2))
    except ValueError:
        raise ShapeError(
            f"pad widths {widths!r}: expected one (before, after) per axis of {shape}"
        ) from None
    border = number("value", value)
    if getattr(x, "dtype", dtypes.FLOAT64).kind in "ib" and not border.is_integer():
        raise DtypeError(f"pad: value {border} does not fit {x.dtype}; cast the input to float")
    kept = np.broadcast_to(np.asarray(widths, object), (len(shape), 2))  # a `Length` stays one
    return (x,), {"widths": tuple((whole(a), whole(b)) for a, b in kept), "value": border}


def _unpad(g: Any, y: Any, x: Any, widths: Any, value: float) -> Any:
    return g[tuple(builtins.slice(a, a + n) for (a, _), n in zip(widths, x.shape, strict=True))]


pad = structured(
    "pad",
    doc="""Return the array with a border of `value` around it.

    Args:
        x: node or array.
        widths: one int, one (before, after), or one (before, after) per axis.
        value: the number in the border.

    Example:
        >>> import graphgrad as gg
        >>> gg.pad(gg.var("x", [1, 2]), (1, 2)).value.tolist()
        [0.0, 1.0, 2.0, 0.0, 0.0]
    """,
    prepare=_padded,
    forward=lambda x, widths, value: np.pad(x, widths, constant_values=value),
    shape=lambda x, widths, value: tuple(a + n + b for (a, b), n in zip(widths, x, strict=True)),
    kind="move",
    vjp=[_unpad],
    text="pad(#1)",
    latex=r"\operatorname{pad}(#1)",
    cases=[case((3,), widths=(1, 2)), case((2, 3), widths=((0, 1), (2, 0)), value=1.5)],
)


def _sliced(x: Any, key: Any) -> Any:
    return (x,), {"key": shapes.index_key(key, _shape_of(x))}


def _key_text(key: shapes.Key) -> str:
    def one(p: Any) -> str:
        if not isinstance(p, tuple):
            return "None" if p is None else str(p)
        start, stop, step = p
        end = "" if stop is None else stop
        return f"{start}:{end}" + (f":{step}" if step != 1 else "")

    return ",".join(map(one, key))


slice = structured(
    "slice",
    doc="""Return a part of an array, as ``x[key]`` does for ints, slices, None and Ellipsis.

    Args:
        x: node or array.
        key: the index; ints drop their axis, None adds one.

    Example:
        >>> import graphgrad as gg
        >>> gg.var("x", [[1, 2, 3], [4, 5, 6]])[0, ::2].value.tolist()
        [1.0, 3.0]
    """,
    prepare=_sliced,
    forward=lambda x, key: x[shapes.as_slices(key)],
    shape=lambda x, key: shapes.indexed(x, key),
    kind="move",
    vjp=[lambda g, y, x, key: unslice(g, key, x.shape)],
    linear="each",
    text=lambda key: f"#1[{_key_text(key)}]",
    latex=lambda key: f"#1_{{[{_key_text(key)}]}}",
    symbol="[ ]",
    cases=[
        case((4,), key=1),
        case((4, 3), key=(np.s_[::-2], None, -1)),
        case((2, 3), key=(..., np.s_[1:1])),
        case((2, 3, 2), key=(0, ..., np.s_[0:1])),
    ],
)


def _unsliced(x: Any, key: Any, shape: Any) -> Any:
    size = shapes.as_shape(shape)
    return (x,), {"key": shapes.index_key(key, size), "shape": size}


def _place(x: Any, key: shapes.Key, shape: shapes.Shape) -> Any:
    x = np.asarray(x)
    out = np.zeros(shape, x.dtype)
    out[shapes.as_slices(key)] = x[()]  # of a 0-d array of objects, the object itself
    return out


def _unslice_shape(x: shapes.Shape, key: shapes.Key, shape: shapes.Shape) -> shapes.Shape:
    if shapes.indexed(shape, key) != x:
        raise ShapeError(f"shape {x} does not fill [{_key_text(key)}] of shape {shape}")
    return shape


unslice: Primitive = structured(
    "unslice",
    doc="""Return zeros of `shape` with x placed at ``[key]``: the transpose of `slice`.

    Args:
        x: node or array of the shape that ``[key]`` picks.
        key: the index, as in `slice`.
        shape: of the result.

    Example:
        >>> import graphgrad as gg
        >>> gg.unslice(gg.var("g", 5.0), 1, (3,)).value.tolist()
        [0.0, 5.0, 0.0]
    """,
    prepare=_unsliced,
    forward=_place,
    shape=_unslice_shape,
    kind="move",
    vjp=[lambda g, y, x, key, shape: slice(g, key)],
    linear="each",
    text=lambda key, shape: f"place(#1, [{_key_text(key)}])",
    latex=lambda key, shape: rf"\operatorname{{place}}_{{[{_key_text(key)}]}}(#1)",
    symbol="place",
    cases=[
        case((), key=1, shape=(4,)),
        case((2, 1), key=(np.s_[::2], None, -1), shape=(4, 3)),
    ],
)


def _cast(x: Any, dtype: Any) -> Any:
    return (x,), {"dtype": dtypes.canonical(dtype)}


def _cast_analytic(x: Any, dtype: Any) -> Any:
    keeps = dtypes.is_float(dtype) and np.iscomplexobj(x)
    return x if keeps else np.real(x).astype(dtype)[()]


cast: Primitive = structured(
    "cast",
    doc="""Return the entries as another data type: float64, float32, int64 or bool.

    Args:
        x: node or array.
        dtype: a NumPy type, its name, or float, int, bool.

    Example:
        >>> import graphgrad as gg
        >>> gg.cast(gg.var("x", 1.7) > 1, float).value
        1.0
    """,
    prepare=_cast,
    forward=lambda x, dtype: np.asarray(x).astype(dtype)[()],
    analytic=_cast_analytic,
    shape=lambda x, dtype: x,
    kind="map",
    vjp=[lambda g, y, x, dtype: cast(g, x.dtype)],
    linear="each",
    text="[#1]",
    latex=r"\left[#1\right]",
    lower=lambda x, dtype: x if x.dtype is dtype else None,
    code="{dtype}({0})",
    cases=[case((2, 3), dtype="float64")],
)
