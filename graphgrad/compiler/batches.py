"""Other numbers of rows than a graph was compiled for.

Where every row is computed by itself, they are run in batches. Otherwise the graph is made again
for that number (`graphgrad.compiler.resizing`), compiled, and kept.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from graphgrad.compiler.feeding import split
from graphgrad.compiler.fuse import Fused, Kernel, fuse
from graphgrad.compiler.orders import Order
from graphgrad.compiler.program import Program
from graphgrad.compiler.regions import aligned, crossing, reads, rows_of
from graphgrad.compiler.resizing import resized
from graphgrad.errors import CompileError, ShapeError
from graphgrad.graph import Node, describe

__all__ = ["BatchWarning", "Batched", "obstacle", "other_count"]


class BatchWarning(UserWarning):
    """Another number of rows than a graph was compiled for is given."""


class Batched:
    """The part of an `Executor` that runs other numbers of rows."""

    inputs: Sequence[Node]
    target: str
    math: str
    epoch: Callable[..., list[Any]]
    _outputs: Sequence[Node]
    _updates: Mapping[Node, Node]
    _program: Program
    _checked: Callable[..., list[Any]]

    def __init__(self) -> None:
        self._alone: str | None = None
        self._said = False
        self._others: dict[Any, Any] = {}

    def _with_rows(self, count: int, arrays: tuple[Any, ...], check_finite: bool) -> list[Any]:
        """Run another number of rows than compiled for: in batches, or compiled again for them."""
        size = _size_of_batch(self.inputs, arrays, count)
        if self._alone is None:
            self._alone = obstacle(self._program, size)
        if self._alone or check_finite:
            other = self._again(count, size, arrays)
            self._say(f"compiled for {size} rows, called with {count}: compiled again for {count}, "
                      f"and so for every other number")  # fmt: skip
            return other(*arrays, check_finite=check_finite)
        self._say(f"compiled for {size} rows, called with {count}: run in batches of {size}, the "
                  f"last filled up")  # fmt: skip
        rows = Order(count, size)
        data = [x if n.shape[:1] == (size,) else np.broadcast_to(x, (len(rows), *np.shape(x)))
                for n, x in zip(self.inputs, arrays, strict=True)]  # fmt: skip
        found = self.epoch(*data, rows=rows)
        return [y.reshape(-1, *n.shape[1:])[:count] if n.shape[:1] == (size,) else y[0]
                for n, y in zip(self._outputs, found, strict=True)]  # fmt: skip

    def _say(self, text: str) -> None:
        if not self._said:
            self._said = True
            warnings.warn(f"{text}; said once", BatchWarning, stacklevel=4)

    def _again(self, count: int, size: int, arrays: Sequence[Any]) -> Any:
        """Return an executor of the same graph made for another number of rows.

        Raises:
            ShapeError: when it cannot be made.
        """
        given = zip(self.inputs, arrays, strict=False)
        resizing = tuple(n for n, x in given if n.shape[:1] == (size,) != np.shape(x)[:1])
        if (count, resizing) not in self._others:
            try:
                ends = resized(self._outputs, self.inputs, self._updates, resizing, count)
            except CompileError as problem:
                raise ShapeError(
                    f"{count} rows given, expected {size}; the graph cannot be made for another "
                    f"number of rows: {problem}; or compile it for {count} rows"
                ) from None
            self._others[count, resizing] = type(self)(*ends, self.target, self.math)  # type: ignore[call-arg]
        return self._others[count, resizing]

    def _to_the_last(self, data: Sequence[Any], shuffle: int, epoch: int) -> list[Any]:
        """Run an epoch of full batches, and then the rows left over as a smaller one."""
        full, last = split(self.inputs, data, shuffle, epoch)
        if not last:
            return self.epoch(*full, shuffle=shuffle, epoch=epoch)
        count = other_count(self.inputs, last)
        size = _size_of_batch(self.inputs, last, count)
        other = self._again(count, size, last)
        for a, b in zip(self._outputs, other._outputs, strict=True):
            if a.shape != b.shape:
                raise ShapeError(
                    f"output {describe(a)} has shape {a.shape} of full batches and {b.shape} of "
                    f"the last; with drop_last=False outputs must have no rows"
                )
        last = other._checked(tuple(last))
        found = [np.empty((0, *n.shape), n.dtype) for n in self._outputs]
        if any(len(x) >= size for n, x in zip(self.inputs, full, strict=True) if n.shape):
            found = self.epoch(*full, shuffle=shuffle, epoch=epoch)
        return [np.concatenate([a, b[None]]) for a, b in zip(found, other(*last), strict=True)]


def obstacle(program: Program, size: int) -> str:
    """Return why rows of the inputs do not go their way alone; "" when they do.

    They do when row i of every output depends on row i of the inputs with `size` rows only, as in
    a prediction. A sum over the rows, as in a loss, mixes them.
    """
    if program.updates:
        return "it updates variables"
    fused = fuse(program)
    touched = {n for n in program.inputs if n.shape and n.shape[0] == size}
    for kernel in fused.kernels:
        seen = [(view, axis) for view, axis in reads(kernel, fused) if view.root in touched]
        if not seen:
            continue
        if not _by_rows(kernel, fused, size, seen):
            return f"{describe(kernel.nodes[0])} mixes rows"
        if mixed := crossing(kernel):
            return f"{describe(mixed[0])} sums over rows"
        touched.update(kernel.nodes)
    return _wrong_output(program, fused, touched, size)


def _by_rows(kernel: Kernel, fused: Fused, size: int, seen: Sequence[tuple]) -> bool:  # type: ignore[type-arg]
    if not kernel.domain or kernel.domain[0] % size or rows_of(kernel, fused, size) != size:
        return False
    return all(axis is not None and aligned(view, axis, size) for view, axis in seen)


def _wrong_output(program: Program, fused: Fused, touched: set[Node], size: int) -> str:
    for n in program.outputs:
        view = fused.view(n)
        if view.root in touched and not (
            view.shape and view.shape[0] == size and aligned(view, 0, size)
        ):
            return f"output {describe(n)} has no row for each of the inputs'"
    return ""


def other_count(inputs: Sequence[Node], arrays: Sequence[Any]) -> int:
    """Return the number of rows given, when it is another than compiled for; else 0."""
    for n, x in zip(inputs, arrays, strict=False):
        shape = np.shape(x)
        if shape != n.shape and n.shape and shape and shape[1:] == n.shape[1:]:
            return len(x) if n.shape[0] and len(x) else 0
    return 0


def _size_of_batch(inputs: Sequence[Node], arrays: Sequence[Any], count: int) -> int:
    """Return the number of rows compiled for, of the first input that is given another."""
    return next(
        n.shape[0]
        for n, x in zip(inputs, arrays, strict=False)
        if n.shape and np.shape(x)[:1] == (count,) != n.shape[:1]
    )
