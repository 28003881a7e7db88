"""What a run is fed: arrays checked against the inputs, tables cut into batches by row numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from graphgrad.compiler.orders import Order, compiled
from graphgrad.errors import CompileError, DtypeError, ShapeError
from graphgrad.graph import Node, describe

__all__ = ["Feed", "feed", "fitting", "split"]

MOST = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Feed:
    """The data of an epoch.

    Attributes:
        steps: how many batches.
        data: for each input its table, or its batches one after the other, as C-ordered arrays.
        by_rows: for each input whether `data` is a table.
        rows: the rows of the tables that make each batch: int64 of shape (steps, B), or an `Order`.
    """

    steps: int
    data: list[Any]
    by_rows: list[bool]
    rows: Any

    def batch(self, k: int, step: int) -> Any:
        """Return the array of input k at a step."""
        return self.data[k][self.rows[step]] if self.by_rows[k] else self.data[k][step]

    def listed(self) -> Feed:
        """Return the same with a list of all row numbers in place of an `Order`."""
        if not isinstance(self.rows, Order):
            return self
        return replace(self, rows=self.rows.array(compiled().pick))


def fitting(node: Node, value: Any) -> Any:
    """Return a value as a C-ordered array of an input's shape and type.

    Raises:
        ShapeError, DtypeError: when it does not fit.
    """
    array = _array(node, value)
    if array.shape != node.shape:
        raise ShapeError(f"input {describe(node)}: shape {array.shape}, expected {node.shape}")
    return np.asarray(_typed(node, array), order="C")


def feed(
    inputs: Sequence[Node], data: Sequence[Any], rows: Any, shuffle: int | None = None,
    epoch: int = 0,
) -> Feed:  # fmt: skip
    """Check what `Executor.epoch` was given.

    Raises:
        CompileError, ShapeError, DtypeError: when it does not fit the inputs.
    """
    if len(data) != len(inputs):
        names = ", ".join(describe(n) for n in inputs) or "none"
        raise CompileError(f"{len(data)} arrays given; expected {len(inputs)}: {names}")
    arrays = [_array(n, x) for n, x in zip(inputs, data, strict=True)]
    if shuffle is not None:
        if rows is not None:
            raise CompileError("rows and shuffle: expected one of the two")
        rows = _shuffled(inputs, arrays, shuffle, epoch)
    picked = rows if rows is None or isinstance(rows, Order) else _row_numbers(rows)
    steps = len(picked) if picked is not None else _steps(inputs, arrays)
    by_rows = []
    for k, (node, array) in enumerate(zip(inputs, arrays, strict=True)):
        table = picked is not None and _is_table(node, array)
        if table:
            _check_rows(node, picked, len(array))
        elif array.shape != (steps, *node.shape):
            raise ShapeError(_misfit(node, array, steps, picked is not None))
        by_rows.append(bool(table))
        arrays[k] = np.ascontiguousarray(_typed(node, array))
    none = np.zeros((steps, 0), np.int64)
    return Feed(steps, arrays, by_rows, none if picked is None else picked)


def _array(node: Node, value: Any) -> Any:
    try:
        return np.asarray(value)
    except ValueError as problem:  # of lists of several lengths
        raise ShapeError(f"input {describe(node)}: {problem}") from None


def split(
    inputs: Sequence[Node], data: Sequence[Any], seed: int, epoch: int
) -> tuple[list[Any], list[Any]]:
    """Return the data of an epoch's full batches, and the smaller batch of the rows left over.

    Args:
        inputs, data, seed, epoch: as for `feed`; what is given batch by batch has one more.

    Returns:
        What to give `feed`, and one array per input; the latter is empty when no row is left over.

    Raises:
        CompileError, ShapeError, DtypeError: when the data do not fit the inputs.
    """
    for name, value in (("shuffle", seed), ("epoch", epoch)):
        _check_count(name, value)
    arrays = [_array(n, x) for n, x in zip(inputs, data, strict=False)]
    tables = [_is_table(n, x) for n, x in zip(inputs, arrays, strict=False)]
    if len(data) != len(inputs) or not any(tables):
        feed(inputs, data, None, seed, epoch)  # which says what is wrong
    count, size = next((len(x), n.shape[0]) for n, x, t in zip(inputs, arrays, tables) if t)
    left = count % size if size else 0
    if not left:
        return arrays, []
    order = Order(count, size, int(seed))
    rows = order.part((int(epoch) + 1) * order.steps - 1, 1)[0][:left]
    for n, x, t in zip(inputs, arrays, tables):
        wanted = (count if t else order.steps, *(n.shape[1:] if t else n.shape))
        if x.shape != wanted:
            raise ShapeError(_misfit(n, x, order.steps, True))
    full = [x if t else x[:-1] for x, t in zip(arrays, tables)]
    return full, [x[rows] if t else x[-1] for x, t in zip(arrays, tables)]


def _is_table(node: Node, array: Any) -> bool:
    return bool(array.ndim == node.ndim > 0 and array.shape[1:] == node.shape[1:])


def _shuffled(inputs: Sequence[Node], arrays: Sequence[Any], seed: Any, epoch: Any) -> Order:
    for name, value in (("shuffle", seed), ("epoch", epoch)):
        _check_count(name, value)
    for node, array in zip(inputs, arrays, strict=True):
        if _is_table(node, array):
            order = Order(len(array), node.shape[0], int(seed), drop=True)
            return order.part(int(epoch) * order.steps, order.steps)
    raise CompileError("shuffle: no input is given as a table, so there are no rows to shuffle")


def _check_count(name: str, value: Any) -> None:
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 0:
        raise CompileError(f"{name}={value!r}: expected a whole number of at least 0")


def _typed(node: Node, array: Any) -> Any:
    if array.dtype is node.dtype or array.dtype == node.dtype:
        return array
    if not np.can_cast(array.dtype, node.dtype, "same_kind") or array.dtype.kind not in "fiub":
        raise DtypeError(f"input {describe(node)}: {array.dtype}, expected {node.dtype}")
    if array.dtype.kind == "u" and node.dtype.kind == "i" and np.any(array > MOST):
        raise DtypeError(f"input {describe(node)}: {np.max(array)}, expected at most {MOST}")
    return array.astype(node.dtype)


def _row_numbers(rows: Any) -> Any:
    array = np.asarray(rows)
    if array.ndim != 2:
        raise ShapeError(f"rows: shape {array.shape}, expected (steps, batch size)")
    if array.dtype.kind not in "iu":
        raise DtypeError(f"rows: {array.dtype}, expected integers")
    return np.ascontiguousarray(array, np.int64)


def _steps(inputs: Sequence[Node], arrays: Sequence[Any]) -> int:
    if not inputs:
        raise CompileError("an epoch without inputs needs `rows`, which says how many steps")
    if arrays[0].ndim != inputs[0].ndim + 1:
        raise ShapeError(_misfit(inputs[0], arrays[0], None, False))
    return len(arrays[0])


def _check_rows(node: Node, rows: Any, count: int) -> None:
    ordered = isinstance(rows, Order)
    batch = rows.batch if ordered else rows.shape[1]
    if batch != node.shape[0]:
        raise ShapeError(f"rows: {batch} a step, expected {node.shape[0]}, the first "
                         f"axis of input {describe(node)}")  # fmt: skip
    if ordered and rows.rows != count:
        raise ShapeError(f"rows: an order of {rows.rows}, expected one of {count}, as many as "
                         f"input {describe(node)} is given")  # fmt: skip
    if not ordered and rows.size and (rows.min() < 0 or rows.max() >= count):
        wrong = rows.min() if rows.min() < 0 else rows.max()
        raise ShapeError(f"rows: {wrong}, expected 0 to {count - 1}: input {describe(node)} "
                         f"is given {count} rows")  # fmt: skip


def _misfit(node: Node, array: Any, steps: int | None, tables: bool) -> str:
    count = "steps" if steps is None else str(steps)
    each = f"({', '.join([count, *map(str, node.shape)])}{',' * (not node.shape)})"
    table = f"(rows, {', '.join(map(str, node.shape[1:]))})" if tables and node.shape else ""
    expected = f"{each}, a batch a step" + (f", or {table}, a table" if table else "")
    return f"input {describe(node)}: shape {array.shape}, expected {expected}"
