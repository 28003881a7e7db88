"""Transpositions moved out of elementwise nodes and reductions, where their numbers lie in runs.

What is computed of a transposed array is the transpose of what is computed of the array itself.
Where the last axis stays the last, the loop over the array as it lies is the better one: it reads
memory in order, and what comes after may be a transposition back, so that both vanish. Pooling is
such a case: its windows are a transposed view of the image, and its gradient is turned back.
"""

from __future__ import annotations

from graphgrad.compiler.longsums import is_long
from graphgrad.graph import Node, apply
from graphgrad.ops.shape import broadcast_to, reshape, transpose
from graphgrad.shapes import Shape

__all__ = ["turned_out"]


def turned_out(node: Node) -> Node | None:
    """Return a node as the transpose of one over arrays as they lie; None where that is no gain.

    Example:
        >>> import graphgrad as gg
        >>> x = gg.var("x", shape=(2, 3, 4))
        >>> turned = turned_out(gg.exp(gg.transpose(x, (1, 0, 2))))
        >>> turned.op, turned.inputs[0].op, turned.inputs[0].shape
        ('transpose', 'exp', (2, 3, 4))
    """
    if node.primitive.kind == "map":
        return _of_map(node)
    if node.primitive.kind == "reduce" and (axes := _axes(node.inputs[0], is_long(node))):
        return _of_reduction(node, axes)
    return None


def _axes(x: Node, anyhow: bool = False) -> Shape:
    """Return how a node transposes an array that lies in order; () when it does not.

    The last axis must stay where it is, but for long sums: summing row by row is always better.
    """
    if x.primitive is not transpose or x.inputs[0].primitive is broadcast_to:
        return ()
    axes: Shape = x.settings["axes"]
    return axes if anyhow or axes[-1] == len(axes) - 1 else ()


def _of_map(node: Node) -> Node | None:
    found = {_axes(x) for x in node.inputs} - {()}
    if len(found) != 1:
        return None
    axes = found.pop()
    if any(not _axes(x) and x.size > 1 and not _is_spread(x, node) for x in node.inputs):
        return None  # it would be read out of order instead
    inputs = [x.inputs[0] if _axes(x) else _turned_back(x, axes) for x in node.inputs]
    if any(x.shape != node.shape for x in node.inputs if _axes(x)):
        return None
    return transpose(apply(node.primitive, tuple(inputs), node.settings), axes)


def _is_spread(x: Node, node: Node) -> bool:
    """Return whether the numbers of a node are repeated all over another's shape."""
    return x.primitive is broadcast_to or x.size < node.size


def _turned_back(x: Node, axes: Shape) -> Node:
    if x.size == 1:
        return x
    inverse = tuple(axes.index(k) for k in range(len(axes)))
    whole = (1,) * (len(axes) - len(x.shape)) + x.shape
    return transpose(reshape(x, whole), inverse)


def _of_reduction(node: Node, axes: Shape) -> Node | None:
    x, over = node.inputs[0].inputs[0], {axes[k] for k in node.settings["axis"]}
    settings = {**node.settings, "axis": tuple(sorted(over))}
    found = apply(node.primitive, (x,), settings)
    if node.settings["keepdims"]:
        return transpose(found, axes)
    kept = [k for k in axes if k not in over]
    order = sorted(kept)
    return found if kept == order else transpose(found, tuple(order.index(k) for k in kept))
