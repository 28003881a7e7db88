"""Formulas that are written already, as they stand in those of other nodes.

What one can do: ask the `Operands` for the formula of an input: fitted to a shape, as an array, or
as a factor.
"""

from __future__ import annotations

from collections.abc import Callable

from graphgrad.graph import Node
from graphgrad.ops.define import Elementwise
from graphgrad.proof.array_marks import fitted, ones, transposed
from graphgrad.proof.marks import Mark
from graphgrad.proof.numerals import scaled

__all__ = ["Operands"]

Decorate = Callable[[Node, Mark, bool], Mark]


class Operands:
    """Formulas by node, and how they stand in others.

    Attributes:
        letters: what stands for a node; the walk does not go below it.
        spine: the nodes through which an adjoint runs. What is multiplied onto the spine is a
            factor of its own, and is handed to `decorate`.
        decorate: ``(node, mark, turned) -> mark`` for such a factor; it may stand transposed.
    """

    def __init__(self, letters: dict[Node, Mark]):
        self.letters = letters
        self.spine: set[Node] = set()
        self.decorate: Decorate = lambda node, mark, turned: mark
        self._marks: dict[Node, Mark] = {}
        self._thin: dict[Node, bool] = {}

    def operand(self, node: Node, k: int) -> Mark:
        """Return an input's formula as it stands in the node's, fitted to the node's shape."""
        x = node.inputs[k]
        mark = self.factor(node, x)
        if not isinstance(node.primitive, Elementwise) or self.thin(x):
            return mark
        return fitted(mark, x.shape, node.shape)

    def factor(self, node: Node, x: Node, vector: bool = False, turned: bool = False) -> Mark:
        """Return an input's formula, decorated where it is a factor on the spine."""
        mark = self.vector(x) if vector else self._marks[x]
        mark = transposed(mark) if turned else mark
        beside = node in self.spine and x not in self.spine
        return self.decorate(x, mark, turned) if beside else mark

    def known(self, x: Node) -> Mark:
        """Return the formula of a node that has been written already."""
        return self._marks[x]

    def vector(self, x: Node) -> Mark:
        """Return the formula of an array as an array, also where all its entries are equal."""
        mark = self._marks[x]
        if x.size == 1 or not self.thin(x):
            return mark
        if mark.text == "1":
            return ones(x.shape)
        return scaled(mark, ones(x.shape))

    def thin(self, node: Node) -> bool:
        """Return whether the formula of a node is that of a scalar: all its entries are equal."""
        known = self._thin.get(node)
        if known is None:
            bare = self._bare(node)
            known = bare.size == 1 or (
                bare not in self.letters
                and bool(bare.inputs)
                and isinstance(bare.primitive, Elementwise)
                and all(self.thin(x) for x in bare.inputs)
            )
            self._thin[node] = known
        return known

    def _bare(self, node: Node) -> Node:
        while node.op == "broadcast_to" and node not in self.letters:
            node = node.inputs[0]
        return node
