"""Shape arithmetic on tuples of int: broadcasting, axes, matrix products, windows, indices.

Nothing here knows nodes or operations. Each function takes shapes and returns a shape (or raises
`ShapeError` with both shapes in it); the executors and the graph builder share them.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import Any

from graphgrad.errors import DtypeError, ShapeError
from graphgrad.lengths import Length, larger, smaller, whole

Shape = tuple[int, ...]
Key = tuple[Any, ...]


def broadcast(*shapes: Shape) -> Shape:
    """Return the shape that NumPy's broadcasting gives.

    Example:
        >>> broadcast((3, 1), (4,))
        (3, 4)
    """
    ndim = max(map(len, shapes))
    result = [1] * ndim
    for shape in shapes:
        for k, n in enumerate(shape, ndim - len(shape)):
            if n != 1:
                if isinstance(result[k], Length) and n == result[k]:
                    continue
                if result[k] not in (1, n):
                    listed = " and ".join(str(s) for s in shapes)
                    raise ShapeError(
                        f"shapes {listed} do not broadcast: axis {k - ndim} has sizes "
                        f"{result[k]} and {n}; expected equal sizes, or 1"
                    )
                result[k] = n
    return tuple(result)


def size(shape: Shape) -> int:
    """Return the number of entries: the product of the sizes, 1 for the empty shape."""
    n = 1
    for k in shape:
        n *= k
    return n


def axes(axis: int | Iterable[int] | None, ndim: int) -> Shape:
    """Return `axis` as a sorted tuple of distinct axes in ``range(ndim)``; None means all.

    Example:
        >>> axes(-1, 3), axes(None, 2)
        ((2,), (0, 1))
    """
    if axis is None:
        return tuple(range(ndim))
    given = tuple(axis) if isinstance(axis, Iterable) else (axis,)
    result = tuple(sorted(one_axis(a, ndim) for a in given))
    if len(set(result)) != len(result):
        raise ShapeError(f"axis {given} names an axis twice")
    return result


def one_axis(axis: Any, ndim: int) -> int:
    """Return `axis` in ``range(ndim)``, counting negative ones from the end."""
    try:
        k = operator.index(axis)
    except TypeError:
        raise ShapeError(f"axis {axis!r}: expected an integer") from None
    if not -ndim <= k < ndim:
        raise ShapeError(f"axis {k} is out of range for {ndim} dimensions")
    return k % ndim


def as_shape(shape: Any, least: int = 0) -> Shape:
    """Return `shape`, an int or an iterable of ints, as a tuple; sizes must be at least `least`."""
    try:
        sizes = (shape,) if hasattr(shape, "__index__") else shape
        given = tuple(map(whole, sizes))
    except TypeError:
        raise ShapeError(f"shape {shape!r}: expected an int or a tuple of ints") from None
    if any(n < least for n in given):
        raise ShapeError(f"shape {given}: sizes must not be negative")
    return given


def reduced(shape: Shape, over: Shape, keepdims: bool) -> Shape:
    """Return the shape after reducing over the axes `over` (each kept with size 1 if asked)."""
    if keepdims:
        return tuple(1 if k in over else n for k, n in enumerate(shape))
    return tuple(n for k, n in enumerate(shape) if k not in over)


def reshaped(shape: Shape, target: Shape) -> Shape:
    """Return `target` with its one -1, if any, replaced so that the sizes agree."""
    if target.count(-1) > 1:
        raise ShapeError(f"cannot reshape to {target}: only one size may be -1")
    total = size(shape)
    if -1 in target:
        known = size(tuple(n for n in target if n != -1))
        if known == 0 or total % known:
            raise ShapeError(f"cannot reshape {shape} to {target}: {total} entries do not divide")
        return tuple(total // known if n == -1 else n for n in target)
    if size(target) != total:
        raise ShapeError(
            f"cannot reshape {shape} to {target}: {total} entries are not {size(target)}"
        )
    return target


def permutation(given: Sequence[int] | None, ndim: int) -> Shape:
    """Return `given` as a permutation of ``range(ndim)``; None reverses all axes."""
    if given is None:
        return tuple(reversed(range(ndim)))
    if not isinstance(given, Iterable):
        raise ShapeError(f"axes {given!r}: expected a permutation of {ndim} axes")
    order = tuple(one_axis(k, ndim) for k in given)
    if sorted(order) != list(range(ndim)):
        raise ShapeError(f"axes {tuple(given)} are no permutation of {ndim} axes")
    return order


def matmul(a: Shape, b: Shape) -> Shape:
    """Return the shape of ``a @ b`` for vectors, matrices and batches of matrices."""
    if not a or not b:
        raise ShapeError(f"shapes {a} and {b}: @ needs at least one dimension each; use * instead")
    inner_b = b[-2] if len(b) > 1 else b[0]
    if a[-1] != inner_b:
        raise ShapeError(
            f"shapes {a} and {b} do not fit for @: {a[-1]} columns meet {inner_b} rows"
        )
    batch = broadcast(a[:-2], b[:-2]) if len(a) > 2 or len(b) > 2 else ()
    return batch + (a[-2:-1] if len(a) > 1 else ()) + (b[-1:] if len(b) > 1 else ())


def concatenated(parts: Sequence[Shape], axis: int) -> Shape:
    """Return the shape of parts joined along an existing axis."""
    first = parts[0]
    for p in parts:
        if len(p) != len(first) or any(
            m != n for k, (m, n) in enumerate(zip(first, p, strict=True)) if k != axis
        ):
            raise ShapeError(f"shapes {first} and {p} cannot be joined along axis {axis}")
    return (*first[:axis], sum(p[axis] for p in parts), *first[axis + 1 :])


def windows(length: int, size: int, stride: int, padding: tuple[int, int] = (0, 0)) -> int:
    """Return how many windows of `size` fit into a padded axis of `length` at `stride`."""
    padded = length + sum(padding)
    if size > padded:
        raise ShapeError(f"a window of {size} does not fit into an axis of {padded}")
    return (padded - size) // stride + 1


def index_key(key: Any, shape: Shape) -> Key:
    """Return a basic index as a full tuple: ``(start, stop, step)``, an int, or None per place.

    Ellipsis is expanded, missing axes are added, negative indices are counted from the end, and
    slices get explicit bounds; the stop is None for slices that run down to the first entry. A
    tuple in the result stands for a slice, and is taken for one: the function is idempotent.

    Example:
        >>> index_key((slice(None, None, -1), 0), (3, 4))
        ((2, None, -1), 0)
    """
    parts = key if isinstance(key, tuple) else (key,)
    used = sum(p is not None and p is not Ellipsis for p in parts)
    if used > len(shape) or sum(p is Ellipsis for p in parts) > 1:
        raise ShapeError(f"index {key!r} has too many places for shape {shape}")
    fill = (slice(None),) * (len(shape) - used)
    if any(p is Ellipsis for p in parts):
        at = next(k for k, p in enumerate(parts) if p is Ellipsis)
        parts = parts[:at] + fill + parts[at + 1 :]
    else:
        parts = parts + fill
    result: list[Any] = []
    axis = 0
    for p in parts:
        if p is None:
            result.append(None)
            continue
        result.append(_one_index(p, shape[axis], axis))
        axis += 1
    return tuple(result)


def _one_index(p: Any, n: int, axis: int) -> Any:
    if isinstance(p, tuple):
        p = slice(*p)
    if isinstance(p, slice):
        try:
            p.indices(n)
        except (TypeError, ValueError) as problem:
            raise ShapeError(f"slice {p!r}: {problem}") from None
        start, stop, step = _bounds(p, n)
        if not _count(start, stop, step) and (step < 0 or not isinstance(n, Length)):
            return (0, 0, 1)  # bounds could be -1, which would count from the end
        return (start, None if stop < 0 else stop, step)
    position: Any = None if isinstance(p, bool) else p
    try:
        k = whole(position)
    except TypeError:
        raise DtypeError(
            f"index {p!r}: expected ints, slices, None, Ellipsis or integer arrays"
        ) from None
    if not -n <= k < n:
        raise ShapeError(f"index {k} is out of bounds for axis {axis} with size {n}")
    return k if k >= 0 else n + k


def _bounds(p: slice, n: int) -> tuple[int, int, int]:
    """Return what ``p.indices(n)`` does, but a `Length` stays one."""
    step = 1 if p.step is None else operator.index(p.step)
    low, high = (0, n) if step > 0 else (-1, n - 1)
    first, last = (low, high) if step > 0 else (high, low)

    def within(bound: Any, otherwise: int) -> int:
        if bound is None:
            return otherwise
        k = whole(bound)
        if k < 0:
            k = n + operator.index(k)
        return k if k is high else smaller(larger(k, low), high)

    return within(p.start, first), within(p.stop, last), step


def _count(start: int, stop: int, step: int) -> int:
    """Return how many numbers ``range(start, stop, step)`` has."""
    between = stop - start if step > 0 else start - stop
    return larger(0, (between - 1) // abs(step) + 1)


def as_slices(key: Key) -> tuple[Any, ...]:
    """Return the normalized key of `index_key` as what NumPy takes."""
    return tuple(slice(*p) if isinstance(p, tuple) else p for p in key)


def indexed(shape: Shape, key: Key) -> Shape:
    """Return the shape that the normalized key of `index_key` picks from `shape`."""
    result = []
    axis = 0
    for p in key:
        if p is None:
            result.append(1)
            continue
        if isinstance(p, tuple):
            result.append(_count(*_bounds(slice(*p), shape[axis])))
        axis += 1
    return tuple(result)
