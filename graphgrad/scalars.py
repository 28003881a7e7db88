"""`expand`: a graph of vectors and matrices as the circuit of scalars it stands for.

Every array becomes an object array of scalar nodes, and each primitive is run on these: maps entry
by entry, moves by moving the objects, sums and products by the objects' own + and *. So no
primitive needs a second definition.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphgrad.context import making
from graphgrad.errors import GraphError
from graphgrad.graph import (
    CONSTANT,
    VARIABLE,
    Node,
    ancestors,
    apply,
    const,
    describe,
    refresh,
    var,
)
from graphgrad.ops.shape import reshape, stack
from graphgrad.primitive import TABLE, Primitive
from graphgrad.shapes import Shape

__all__ = ["LARGEST", "expand"]

LARGEST = 100_000
"""How many entries all arrays of a graph may have together."""


class ScalarFunctions:
    """The scalar primitives by name, as `Primitive.entries` wants them, and `map`."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return TABLE[name]

    @staticmethod
    def map(function: Callable[..., Any], *arrays: Any) -> Any:
        """Return the function applied entry by entry to arrays that broadcast."""
        return _filled(lambda *entries: function(*entries), *arrays)


def expand(node: Node) -> Node:
    """Return the scalar circuit of a graph: equal in value and in gradient.

    Variables of shape () stay the same nodes. An entry of an array variable W becomes a scalar
    variable of its own, with the entry's current value, named ``W[0,1]``; so do the entries of
    any named node. Scopes and source lines are kept.

    Args:
        node: the root; when it is no scalar, its entries are stacked again at the end.

    Returns:
        The root of the scalar graph.

    Raises:
        GraphError: when the arrays have more than 100,000 entries, or an operation has no
            scalar form (random numbers, argmax).
        MissingValueError: when an array variable has no value.

    Example:
        >>> import graphgrad as gg
        >>> W, x = gg.var("W", [[1, 2], [3, 4]]), gg.var("x", [5, 6])
        >>> y = gg.expand((W @ x)[1])
        >>> sorted(n.name for n in gg.ancestors(y) if n.name)
        ['W[1,0]', 'W[1,1]', 'x[0]', 'x[1]']
    """
    order = ancestors(node)
    total = sum(n.size for n in order)
    if total > LARGEST:
        raise GraphError(
            f"the arrays of this graph have {total} entries; a scalar circuit of more than "
            f"{LARGEST} is of no use: expand a smaller part"
        )
    known: dict[Node, Any] = {}
    for n in order:
        with making(scope=n.scope, source=n.source, origin=n.origin):
            known[n] = _leaf(n) if n.is_leaf else _computed(n, known)
            _label(n, known[n])
    result = known[node]
    if node.shape == ():
        root: Node = result[()]
        return root
    root = reshape(stack(list(result.ravel())), node.shape)
    return root


def _leaf(node: Node) -> Any:
    if node.shape == ():
        return _array((), [node])
    values = np.ravel(refresh(node))
    if node.primitive is CONSTANT:
        entries = [const(v) for v in values]
    else:
        entries = [
            var(_indexed(node.name, at), v, dtype=node.dtype, role=node.role)
            for at, v in zip(np.ndindex(node.shape), values, strict=True)
        ]
    return _array(node.shape, entries)


def _computed(node: Node, known: dict[Node, Any]) -> Any:
    p, settings = node.primitive, node.settings
    inputs = [known[x] for x in node.inputs]
    if p.kind == "map":
        return _filled(lambda *entries: apply(p, entries, settings), *inputs)
    if p.kind == "random" or p.name == "argmax":
        raise GraphError(f"{describe(node)}: {p.name} has no scalar form")
    if p.kind in ("gather", "scatter"):
        inputs = [
            a if node.primitive.has_rule(i) else _integers(node.inputs[i])
            for i, a in enumerate(inputs)
        ]
    result = _run(p, inputs, settings)
    return _array(node.shape, [x if isinstance(x, Node) else const(x) for x in result])


def _run(p: Primitive, inputs: Sequence[Any], settings: Any) -> list[Any]:
    result = (
        p.entries(ScalarFunctions(), *inputs, **settings)
        if p.entries
        else p.forward(*inputs, **settings)
    )
    return [result] if isinstance(result, Node) else list(np.ravel(result))


def _integers(node: Node) -> Any:
    return np.asarray(refresh(node))


def _array(shape: Shape, entries: Sequence[Any]) -> Any:
    # Filled one by one: NumPy would take a node for a sequence, since it can be indexed.
    flat = np.empty(len(entries), object)
    for k, entry in enumerate(entries):
        flat[k] = entry
    return flat.reshape(shape)


def _filled(function: Callable[..., Any], *arrays: Any) -> Any:
    boxes = [a if isinstance(a, np.ndarray) else _array((), [a]) for a in arrays]
    together = np.broadcast_arrays(*boxes)
    entries = [function(*row) for row in zip(*(np.ravel(a) for a in together), strict=True)]
    return _array(together[0].shape, entries)


def _label(node: Node, entries: Any) -> None:
    if not node.name or node.primitive is VARIABLE:
        return
    for at, entry in zip(np.ndindex(node.shape), np.ravel(entries), strict=True):
        if not entry.name and not entry.is_leaf:
            entry.name = _indexed(node.name, at)


def _indexed(name: str, at: tuple[int, ...]) -> str:
    return f"{name}[{','.join(map(str, at))}]" if at else name
