"""The same graph for another number of rows: made again from its nodes, or refused with a reason.

Sizes in a graph remember which variable's rows they count (`graphgrad.lengths`). Where a plain
number may be the number of rows, nobody can tell; then the graph is not made again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graphgrad.context import making
from graphgrad.errors import CompileError, DtypeError, ShapeError
from graphgrad.graph import CONSTANT, VARIABLE, Node, ancestors, apply, const, describe, var
from graphgrad.lengths import Length, Share

__all__ = ["resized"]

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
    _check_numbers(order, before, lengths)
    new = {n: _input(n, rows) for n in resizing}
    for n in order:
        if n not in new and n.primitive is not VARIABLE:
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
    if n.primitive is CONSTANT:
        return const(settings["rows"], n.dtype) if "rows" in settings else n
    if inputs == n.inputs and settings == n.settings:
        return n
    try:
        with making(scope=n.scope, source=n.source, origin=n.origin):
            made = apply(n.primitive, inputs, settings)
    except (ShapeError, DtypeError) as problem:
        raise CompileError(f"{describe(n)} then has no shape: {problem}") from None
    if made.shape != _at(n.shape, lengths):
        raise CompileError(f"it cannot be told what shape {describe(n)} then has")
    if n.name:
        made.name = n.name
    return made


def _at(value: Any, lengths: Mapping[int, int]) -> Any:
    """Return settings with the lengths in them as they are for other numbers of rows."""
    if isinstance(value, tuple):
        return tuple(_at(v, lengths) for v in value)
    return value.at(lengths) if isinstance(value, Length | Share) else value


def _check_numbers(order: Sequence[Node], rows: int, lengths: Mapping[int, int]) -> None:
    """Refuse a graph with a plain number in it that may be the number of rows."""
    later = _after_gradients(order)
    shared = {x for n in order if n not in later for x in n.inputs}
    for n in order:
        if n.primitive is not CONSTANT or n.size != 1:
            continue
        counted = n.settings.get("rows")
        if counted is not None and counted.of & lengths.keys():
            continue
        value = abs(float(np.ravel(n._value)[0]))
        if value in (rows, 2 * rows) or (n in shared and _close(value * rows, (0.5, 1.0, 2.0))):
            raise CompileError(
                f"the number {value:g} in it may stand for the number of rows; if so, divide by "
                f"the input's x.shape[0]"
            )


def _close(value: float, numbers: Sequence[float]) -> bool:
    return any(abs(value - n) < 1e-6 * n for n in numbers)


def _after_gradients(order: Sequence[Node]) -> set[Node]:
    """Return the nodes that the user made of gradients: there 0.01 is a learning rate."""
    found: set[Node] = set()
    for n in order:
        if n.origin is None and any(x.origin is not None or x in found for x in n.inputs):
            found.add(n)
    return found
