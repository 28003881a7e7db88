"""Graphs run on arrays of objects: entry by entry, in whatever arithmetic is asked for.

`run` computes nodes as NumPy would, but with entries that are SymPy expressions, numbers of 120
digits, or anything else an `Arithmetic` knows: maps entry by entry, moves by moving the entries,
sums and products by their own + and *. So no primitive needs a second definition.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from graphgrad import dtypes
from graphgrad.errors import GraphError
from graphgrad.graph import CONSTANT, Node, by_serial, describe, refresh
from graphgrad.primitive import TABLE, Primitive, Settings
from graphgrad.shapes import Shape

__all__ = ["Arithmetic", "Check", "boxed", "each", "held", "needed", "run"]


class Arithmetic(Protocol):
    """What entries are: how plain numbers enter, and how scalar primitives act on entries."""

    def number(self, value: Any) -> Any:
        """Return a plain number or bool as an entry."""

    def apply(self, p: Primitive, operands: Sequence[Any], settings: Settings) -> Any:
        """Return what a scalar primitive gives for entries."""


Check = Callable[[Node, Any], None] | None


def run(
    outputs: Sequence[Node],
    known: Mapping[Node, Any],
    arithmetic: Arithmetic,
    check: Check = None,
) -> dict[Node, Any]:
    """Compute nodes and all they depend on, down to the known ones.

    Args:
        outputs: the nodes wanted.
        known: object arrays for some nodes; every variable must be among them.
        arithmetic: what to compute with.
        check: called with each node computed and its entries; may raise to stop.

    Returns:
        An object array for every node met, the known ones included.

    Raises:
        GraphError: when a variable is not known, or an operation has no form for entries.
    """
    found: dict[Node, Any] = dict(known)
    functions = _Functions(arithmetic)
    for node in needed(outputs, known):
        found[node] = _computed(node, found, arithmetic, functions)
        if check is not None:
            check(node, found[node])
    return found


def needed(outputs: Sequence[Node], known: Mapping[Node, Any]) -> list[Node]:
    """Return the nodes that have to be computed, inputs before users."""
    stack = [n for n in dict.fromkeys(outputs) if n not in known]
    seen = set(stack)
    while stack:
        node = stack.pop()
        if held(node):
            continue
        for x in node.inputs:
            if x not in seen and x not in known:
                seen.add(x)
                stack.append(x)
    return sorted(seen, key=by_serial)


def held(node: Node) -> bool:
    """Return whether a node is no formula of its inputs: random numbers, positions, indices."""
    return bool(node.inputs) and (node.primitive.kind == "random" or node.dtype is dtypes.INT64)


def _computed(node: Node, found: Mapping[Node, Any], a: Arithmetic, functions: Any) -> Any:
    p, settings = node.primitive, node.settings
    if node.primitive is CONSTANT or held(node):
        return boxed(node.shape, [a.number(v) for v in np.ravel(refresh(node))])
    if p.kind == "leaf":
        raise GraphError(f"no expression is given for the variable {describe(node)}")
    if p.kind == "map" and p.sympy is None:
        return _retyped(node, found[node.inputs[0]], a)
    if p.kind == "map":
        return each(lambda *xs: a.apply(p, xs, settings), *[found[x] for x in node.inputs])
    inputs = [
        np.asarray(refresh(x)) if x.dtype is dtypes.INT64 else found[x]  # positions
        for x in node.inputs
    ]
    form = p.entries
    result = form(functions, *inputs, **settings) if form else p.forward(*inputs, **settings)
    return _entries(node.shape, result, a)


def _retyped(node: Node, x: Any, a: Arithmetic) -> Any:
    """Return the entries of a cast: a mask counts as 0 and 1, real numbers stay what they are."""
    was, now = node.inputs[0].dtype is dtypes.BOOL, node.dtype is dtypes.BOOL
    if was == now:
        return x
    one, zero = a.number(1), a.number(0)
    p, more = (TABLE["where"], (one, zero)) if was else (TABLE["not_equal"], (zero,))
    return each(lambda entry: a.apply(p, (entry, *more), {}), x)


def _entries(shape: Shape, result: Any, a: Arithmetic) -> Any:
    """Return a result as an object array; plain numbers in it, of borders and empty sums, enter."""
    flat = np.ravel(result) if isinstance(result, np.ndarray) else [result]
    plain = (int, float, np.generic)
    return boxed(shape, [a.number(v) if isinstance(v, plain) else v for v in flat])


class _Functions:
    """The scalar primitives by name, as `Primitive.entries` wants them, and `map`."""

    def __init__(self, arithmetic: Arithmetic):
        self._arithmetic = arithmetic

    def __getattr__(self, name: str) -> Callable[..., Any]:
        p = TABLE[name]
        return lambda *operands: self._arithmetic.apply(p, operands, {})

    @staticmethod
    def map(function: Callable[..., Any], *arrays: Any) -> Any:
        """Return the function applied entry by entry to arrays that broadcast."""
        return each(function, *[x if isinstance(x, np.ndarray) else boxed((), [x]) for x in arrays])


def boxed(shape: Shape, entries: Sequence[Any]) -> Any:
    """Return an object array with the given entries in row-major order."""
    flat = np.empty(len(entries), object)
    for k, entry in enumerate(entries):  # one by one: NumPy would look inside an entry
        flat[k] = entry
    return flat.reshape(shape)


def each(function: Callable[..., Any], *arrays: Any) -> Any:
    """Return an object array of the function's results on the entries of arrays that broadcast."""
    together = np.broadcast_arrays(*arrays)
    rows = zip(*(np.ravel(x) for x in together), strict=True)
    return boxed(together[0].shape, [function(*row) for row in rows])
