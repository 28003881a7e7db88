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
from graphgrad.compiler.views import View
from graphgrad.errors import CompileError, ShapeError
from graphgrad.graph import CONSTANT, Node, ancestors, describe
from graphgrad.lengths import Length

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
        self._alone: dict[Any, tuple[str, list[bool]]] = {}
        self._said = False
        self._others: dict[Any, Any] = {}

    def _with_rows(self, count: int, arrays: tuple[Any, ...], check_finite: bool) -> list[Any]:
        """Run another number of rows than compiled for: in batches, or compiled again for them."""
        resizing = self._resizing(arrays)
        size = resizing[0].shape[0]
        if resizing not in self._alone:
            self._alone[resizing] = obstacle(self._program, resizing, self._outputs)
        why, by_rows = self._alone[resizing]
        if why or check_finite:
            other = self._again(count, resizing)
            self._say(f"compiled for {size} rows, called with {count}: compiled again for {count}, "
                      f"and so for every other number")  # fmt: skip
            return other(*arrays, check_finite=check_finite)
        self._say(f"compiled for {size} rows, called with {count}: run in batches of {size}, the "
                  f"last filled up")  # fmt: skip
        rows = Order(count, size)
        data = [x if n in resizing else np.broadcast_to(x, (len(rows), *np.shape(x)))
                for n, x in zip(self.inputs, arrays, strict=True)]  # fmt: skip
        found = self.epoch(*data, rows=rows)
        return [y.reshape(len(rows) * size, *n.shape[1:])[:count] if cut else y[0]
                for n, y, cut in zip(self._outputs, found, by_rows, strict=True)]  # fmt: skip

    def _resizing(self, arrays: Sequence[Any]) -> tuple[Node, ...]:
        """Return the inputs that are given another number of rows, all of the same.

        Raises:
            ShapeError: when they are given several.
        """
        given = [(n, np.shape(x)) for n, x in zip(self.inputs, arrays, strict=True)]
        found = {n: s[0] for n, s in given if s != n.shape and s[1:] == n.shape[1:] and n.shape}
        listed = " and ".join(f"{describe(n)}: {k} for {n.shape[0]}" for n, k in found.items())
        if len({n.shape[0] for n in found}) > 1 or len(set(found.values())) > 1:
            raise ShapeError(f"rows of inputs {listed}: expected as many for all")
        return tuple(found)

    def _say(self, text: str) -> None:
        if not self._said:
            self._said = True
            warnings.warn(f"{text}; said once", BatchWarning, stacklevel=4)

    def _again(self, count: int, resizing: tuple[Node, ...]) -> Any:
        """Return an executor of the same graph made for another number of rows.

        Raises:
            ShapeError: when it cannot be made.
        """
        if (count, resizing) not in self._others:
            try:
                ends = resized(self._outputs, self.inputs, self._updates, resizing, count)
            except CompileError as problem:
                raise ShapeError(
                    f"{count} rows given, expected {resizing[0].shape[0]}; the graph cannot be "
                    f"made for another number of rows: {problem}; or compile it for {count} rows"
                ) from None
            self._others[count, resizing] = type(self)(*ends, self.target, self.math)  # type: ignore[call-arg]
        return self._others[count, resizing]

    def _to_the_last(self, data: Sequence[Any], shuffle: int, epoch: int) -> list[Any]:
        """Run an epoch of full batches, and then the rows left over as a smaller one."""
        full, last = split(self.inputs, data, shuffle, epoch)
        if not last:
            return self.epoch(*full, shuffle=shuffle, epoch=epoch)
        resizing = self._resizing(last)
        size = resizing[0].shape[0]
        other = self._again(len(last[self.inputs.index(resizing[0])]), resizing)
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


def obstacle(
    program: Program, resizing: Sequence[Node], outputs: Sequence[Node]
) -> tuple[str, list[bool]]:
    """Return why rows of the inputs do not go their way alone, "" when they do; and which outputs.

    They do when row i of every output depends on row i of these inputs only, and on nothing else
    that differs from row to row, as in a prediction. A sum over the rows, as in a loss, mixes
    them. The flags say which outputs have a row for each of the inputs'.
    """
    if program.updates:
        return "it updates variables", []
    serials = {n.serial for n in resizing}
    for n in ancestors(outputs):
        if n.primitive is CONSTANT and "rows" in n.settings and n.settings["rows"].of & serials:
            return f"the number {describe(n)} in it counts rows", []
    has_rows = [any(isinstance(k, Length) and k.of & serials for k in n.shape) for n in outputs]
    size, fused, touched = resizing[0].shape[0], fuse(program), set(resizing)
    for kernel in fused.kernels:
        views = list(reads(kernel, fused))
        seen = [(view, axis) for view, axis in views if view.root in touched]
        if not seen:
            continue
        if not _by_rows(kernel, fused, size, seen):
            return f"{describe(kernel.nodes[0])} mixes rows", []
        if mixed := crossing(kernel):
            return f"{describe(mixed[0])} sums over rows", []
        for view, axis in views:
            if view.root not in touched and axis is not None and view.shape and view.strides[axis]:
                return f"{describe(view.root)} differs from row to row", []
        touched.update(kernel.nodes)
    for n, counts in zip(program.outputs, has_rows, strict=True):
        if why := _wrong_output(fused.view(n), counts, touched, size):
            return f"output {describe(n)} {why}", []
    return "", has_rows


def _by_rows(kernel: Kernel, fused: Fused, size: int, seen: Sequence[tuple]) -> bool:  # type: ignore[type-arg]
    if not kernel.domain or kernel.domain[0] % size or rows_of(kernel, fused, size) != size:
        return False
    return all(axis is not None and aligned(view, axis, size) for view, axis in seen)


def _wrong_output(view: View, has_rows: bool, touched: set[Node], size: int) -> str:
    if has_rows != (view.root in touched):
        return "has rows of its own" if has_rows else "is made of the rows, but has none"
    if has_rows and not (view.shape and view.shape[0] == size and aligned(view, 0, size)):
        return "has no row for each of the inputs'"
    return ""


def other_count(inputs: Sequence[Node], arrays: Sequence[Any]) -> int:
    """Return the number of rows given, when it is another than compiled for; else 0."""
    for n, x in zip(inputs, arrays, strict=False):
        try:
            shape = np.shape(x)
        except ValueError:  # lists of several lengths; who takes them says so
            return 0
        if shape != n.shape and n.shape and shape and shape[1:] == n.shape[1:]:
            return len(x) if n.shape[0] and len(x) else 0
    return 0
