"""The same graph for another number of rows: made again from its nodes, or refused with a reason.

Sizes in a graph remember which variable's rows they count (`graphgrad.lengths`). Where a plain
number may be the number of rows, nobody can tell; then the graph is not made again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from graphgrad.context import making
from graphgrad.errors import CompileError, DtypeError, ShapeError
from graphgrad.graph import CONSTANT, VARIABLE, Node, ancestors, apply, const, describe, var
from graphgrad.lengths import Length, Share, chosen

__all__ = ["resized"]

FEW = 4
"""Rows up to which only their very number is suspected: numbers such as 2 mean many things."""
SMALL = 3
"""How many rows at an end a plain number may cut off, as in differences of neighbours."""
Ends = tuple[list[Node], list[Node], dict[Node, Node]]


def resized(
    outputs: Sequence[Node], inputs: Sequence[Node], updates: Mapping[Node, Node],
    resizing: Sequence[Node], rows: int,
) -> Ends:  # fmt: skip
    """Return outputs, inputs and updates of the graph for another number of rows.

    Args:
        outputs, inputs, updates: what was compiled.
        resizing: the inputs that get other rows, all of one number of rows.
        rows: how many.

    Returns:
        The same with new inputs; all other variables are the same nodes.

    Raises:
        CompileError: when it cannot be told what the graph would be; the text says why.

    Example:
        >>> import graphgrad as gg
        >>> x, w = gg.var("x", shape=(4,)), gg.var("w", 1.0)
        >>> (loss,), (x9,), _ = resized([gg.mean(x * w)], [x], {}, [x], 9)
        >>> x9.shape, loss.inputs[0].shape
        ((9,), (9,))
    """
    before = resizing[0].shape[0]
    if before < 2:
        raise CompileError(f"it was made for {before} row, which broadcasts")
    lengths = {n.serial: rows for n in resizing}
    order = ancestors([*outputs, *updates.values()])
    _check_numbers(order, before)
    new = {n: _input(n, rows) for n in resizing}
    for n in order:
        if n not in new and n.primitive is not VARIABLE:
            _check_places(n, lengths)
            new[n] = _again(n, new, lengths)
    found = [new.get(n, n) for n in outputs]
    changed = {v: new.get(n, n) for v, n in updates.items()}
    for v, n in changed.items():
        if n.shape != v.shape:
            raise CompileError(f"the new value of {describe(v)} has a row for each of the inputs'")
    return found, [new.get(n, n) for n in inputs], changed


def _input(n: Node, rows: int) -> Node:
    return var(n.name, shape=(rows, *n.shape[1:]), dtype=n.dtype, role=n.role)


def _again(n: Node, new: Mapping[Node, Node], lengths: Mapping[int, int]) -> Node:
    """Return a node on new inputs; itself where nothing changes."""
    inputs = tuple(new.get(x, x) for x in n.inputs)
    settings = {k: _at(v, lengths) for k, v in n.settings.items()}
    if n.primitive is CONSTANT and n.settings:
        value = settings["rows"] if "rows" in settings else np.zeros(settings["shape"])
        return const(value, n.dtype)
    if inputs == n.inputs and settings == n.settings:
        return n
    try:
        _check_fit(n, inputs)
        with making(scope=n.scope, source=n.source, origin=n.origin):
            made = apply(n.primitive, inputs, settings)
    except (ShapeError, DtypeError) as problem:
        raise CompileError(f"{describe(n)} then has no shape: {problem}") from None
    if made.shape != _at(n.shape, lengths):
        raise CompileError(f"it cannot be told what shape {describe(n)} then has")
    if n.name:
        made.name = n.name
    return made


def _check_fit(n: Node, inputs: Sequence[Node]) -> None:
    """Refuse inputs that broadcast where they were of one length before.

    Raises:
        ShapeError: when there are such.
    """
    if n.primitive.kind != "map":
        return
    for k in range(-n.ndim, 0):
        axis = [(x, y) for x, y in zip(n.inputs, inputs, strict=True) if x.ndim >= -k]
        now = {y.shape[k] for x, y in axis if x.shape[k] != 1}
        if len(now) > 1:
            raise ShapeError(f"lengths {' and '.join(map(str, sorted(now)))} meet")


def _check_places(n: Node, lengths: Mapping[int, int]) -> None:
    """Refuse rows that are picked by plain numbers, and shapes that may have the rows in them."""

    def counts(size: int) -> bool:
        return isinstance(size, Length) and bool(size.of & lengths.keys())

    if n.op in ("slice", "unslice"):
        picked = [p for p in n.settings["key"] if p is not None]
        sizes = n.inputs[0].shape if n.op == "slice" else n.settings["shape"]
        for part, size in zip(picked, sizes, strict=False):
            bounds = part[:2] if isinstance(part, tuple) else (part,)
            few = SMALL if isinstance(part, tuple) else 0
            if counts(size) and any(abs(k) > few for b in bounds if b for k in chosen(b)):
                raise CompileError(f"{describe(n)} picks rows by plain numbers")
    if n.op in ("take", "scatter_add") and n.inputs[1].primitive is CONSTANT:
        table = n if n.op == "scatter_add" else n.inputs[0]
        if counts(table.shape[n.settings["axis"]]):
            raise CompileError(f"{describe(n)} picks rows by plain numbers")
    if n.op == "reshape":
        old, new = n.inputs[0].shape, n.shape
        for k, size in enumerate(old):
            if counts(size) and not counts(_meets(new, math.prod(old[:k]))):
                raise CompileError(f"a plain number in the shape of {describe(n)} may be the rows")


def _meets(shape: Sequence[int], before: int) -> int:
    """Return the size of the axis in which, row by row, entry number `before` begins to count."""
    for n in shape:
        if n == 0 or before < n or before % n:
            return n
        before //= n
    return shape[-1] if shape else 1


def _at(value: Any, lengths: Mapping[int, int]) -> Any:
    """Return settings with the lengths in them as they are for other numbers of rows."""
    if isinstance(value, tuple):
        return tuple(_at(v, lengths) for v in value)
    return value.at(lengths) if isinstance(value, Length | Share) else value


def _check_numbers(order: Sequence[Node], rows: int) -> None:
    """Refuse a graph with a plain number in it that may be the number of rows."""
    later = _after_gradients(order)
    shared = {x for n in order if n not in later for x in n.inputs}
    sizes: set[float] = {rows, *(n.size for n in order if n.size % rows == 0 < n.size)}
    if rows > FEW:
        sizes |= {rows - 1, rows + 1, 2 * rows, rows**0.5}
    for n in order:
        if n.primitive is not CONSTANT or n.settings:  # which say what it counts
            continue
        if not n.size or np.any(n._value != np.ravel(n._value)[0]):
            continue
        value = abs(float(np.ravel(n._value)[0]))
        if _close(value, sizes) or (n in shared and not _round(value) and _close(1 / value, sizes)):
            raise CompileError(
                f"the number {value:g} in it may stand for the number of rows; if so, divide by "
                f"the input's x.shape[0], and if not, make it a variable"
            )


def _close(value: float, numbers: Iterable[float]) -> bool:
    return any(abs(value - n) <= 1e-6 * n for n in numbers)


def _round(value: float) -> bool:
    """Return whether a number has one or two digits: 0.01 is rather chosen than a share."""
    return not value or abs(value - float(f"{value:.1e}")) <= 1e-7 * value


def _after_gradients(order: Sequence[Node]) -> set[Node]:
    """Return the nodes that the user made of gradients: there 0.01 is a learning rate."""
    found: set[Node] = set()
    for n in order:
        if n.origin is None and any(x.origin is not None or x in found for x in n.inputs):
            found.add(n)
    return found
