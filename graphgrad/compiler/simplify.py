"""Fewer, simpler nodes with the same values: constants, common sub-expressions, algebra.

Each primitive's own `lower` says what it is in simpler ones; nothing here knows an operation.
Nodes that need no change stay the same objects, so that pictures and checks can find them again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphgrad.compiler.turns import turned_out
from graphgrad.context import making
from graphgrad.graph import CONSTANT, Node, ancestors, apply, by_serial, const

__all__ = ["simplify"]

FOLDED = 4096
"""Constants of more entries than this, and than their inputs have, are left to be computed."""


def simplify(roots: Sequence[Node], gpu: bool = False) -> dict[Node, Node]:
    """Return for each node the roots depend on the node that stands for it.

    Values agree up to rounding (a mean becomes a sum and a division, for example).

    Args:
        roots: nodes.
        gpu: whether what is best on a GPU is taken where a primitive has a choice.

    Example:
        >>> import graphgrad as gg
        >>> x = gg.var("x", 3.0)
        >>> y = (x * 1 + 0) * gg.exp(x) + gg.exp(x) * (gg.const(2.0) * 3)
        >>> [n.op for n in gg.ancestors(simplify([y])[y])]
        ['variable', 'exp', 'mul', 'constant', 'mul', 'add']
    """
    work = _Rewriter(gpu)
    for node in ancestors(roots):
        work.visit(node)
    return work.stands_for


class _Rewriter:
    def __init__(self, gpu: bool) -> None:
        self._gpu = gpu
        self.stands_for: dict[Node, Node] = {}
        self._known: dict[Any, Node] = {}
        self._settled_nodes: set[Node] = set()

    def visit(self, node: Node) -> None:
        with making(scope=node.scope, source=node.source, origin=node.origin):
            new = self._settled(self._rebuilt(node))
        if node.name and not new.name and not new.is_leaf:
            new.name = node.name
        self.stands_for[node] = new

    def _rebuilt(self, node: Node) -> Node:
        inputs = tuple(self.stands_for[x] for x in node.inputs)
        if inputs == node.inputs:
            return node
        return apply(node.primitive, inputs, node.settings)

    def _settled(self, node: Node) -> Node:
        """Return the node in its simplest form; what lowering makes is settled in turn."""
        ways = [node.primitive.lower_gpu] * self._gpu + [node.primitive.lower]
        tried = (lower(*node.inputs, **node.settings) for lower in ways if lower)
        simpler = next((n for n in tried if n is not None), None)
        if simpler is not None:
            return self._settle_below(simpler)
        folded = self._folded(node)
        if folded is not None:
            return self._shared(folded)
        turned = turned_out(node)
        return self._shared(node) if turned is None else self._settle_below(turned)

    def _settle_below(self, root: Node) -> Node:
        """Settle the few nodes that a lowering made on top of nodes that are settled already."""
        made, stack = {root}, [root]
        while stack:
            for x in stack.pop().inputs:
                if x not in made and x not in self._settled_nodes:
                    made.add(x)
                    stack.append(x)
        known: dict[Node, Node] = {}
        for n in sorted(made - self._settled_nodes, key=by_serial):
            inputs = tuple(known.get(x, x) for x in n.inputs)
            again = n if inputs == n.inputs else apply(n.primitive, inputs, n.settings)
            known[n] = self._settled(again)
        return known.get(root, root)

    def _folded(self, node: Node) -> Node | None:
        if not node.inputs or node.primitive.kind == "random":
            return None
        if any(x.primitive is not CONSTANT for x in node.inputs):
            return None
        if node.size > max(FOLDED, *(x.size for x in node.inputs)):
            return None
        with np.errstate(all="ignore"):
            value = node.primitive.forward(*[x._value for x in node.inputs], **node.settings)
        return const(np.asarray(value), node.dtype)

    def _shared(self, node: Node) -> Node:
        """Return the first node that computes the same thing."""
        if node.primitive is CONSTANT:
            value = node._value
            key: Any = ("constant", node.shape, node.dtype, value.tobytes())
        elif node.is_leaf:
            self._settled_nodes.add(node)
            return node
        else:
            inputs = node.inputs
            if node.primitive.commutative and inputs[0].serial > inputs[1].serial:
                inputs = (inputs[1], inputs[0])
            key = (node.primitive, inputs, tuple(node.settings.items()))
        first = self._known.setdefault(key, node)
        self._settled_nodes.add(first)
        return first
