"""Which nodes share a loop. The order of writing is kept; each node joins the first loop it can.

A `Loop` runs over a domain of indices and computes, at each, any number of elementwise nodes of
that shape, and reductions of such nodes. Products, gathers, copies and random draws are kernels of
their own. Moves that are views are no kernel at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from graphgrad.compiler.longsums import SUM
from graphgrad.compiler.program import Program
from graphgrad.compiler.views import View, contiguous, through
from graphgrad.graph import CONSTANT, Node, by_serial
from graphgrad.lengths import plain
from graphgrad.shapes import Shape

__all__ = ["Fused", "Kernel", "fuse"]

LONGEST = 96
"""Nodes of a loop at most: the compiler below takes more than twice as long for twice as many."""


@dataclass(eq=False)
class Kernel:
    """One loop nest: ``"loop"``, or the kind of its only node.

    A product of many pairs of matrices may have a second node, their sum.
    """

    kind: str
    domain: Shape
    nodes: list[Node] = field(default_factory=list)


@dataclass
class Fused:
    """Kernels in order, which nodes have a buffer, and how every other is seen.

    Attributes:
        kernels: in the order in which they run.
        stored: the nodes that have a buffer, inputs, states and large constants among them.
        views: for moves that copy nothing, where their numbers are.
        kernel_of: the kernel that computes a node.
    """

    kernels: list[Kernel]
    stored: list[Node]
    views: dict[Node, View]
    kernel_of: dict[Node, Kernel]

    def view(self, node: Node) -> View:
        """Return where the numbers of a stored node or of a view are."""
        known = self.views.get(node)
        return known or _whole(node)


def _whole(node: Node) -> View:
    shape = plain(node.shape)
    return View(node, shape, contiguous(shape))


def is_literal(node: Node) -> bool:
    """Return whether a node is written into the source as a number."""
    return node.primitive is CONSTANT and node.size == 1


def fuse(program: Program) -> Fused:
    """Return the kernels of a program."""
    work = _Fuser()
    work.uses = Counter(x for n in program.order for x in n.inputs)
    work.uses.update((*program.outputs, *program.updates.values()))
    for node in program.order:
        work.place(node)
    return work.finish([*program.outputs, *program.updates, *program.updates.values()])


class _Fuser:
    def __init__(self) -> None:
        self.kernels: list[Kernel] = []
        self.index: dict[Node, int] = {}
        self.views: dict[Node, View] = {}
        self.needed: set[Node] = set()
        self.forced: set[Node] = set()
        self.uses: Counter[Node] = Counter()

    def place(self, node: Node) -> None:
        kind = node.primitive.kind
        if kind == "leaf":
            return
        if not node.size:
            self._need(node, always=True)  # nothing to compute, but somebody may ask for it
            return
        if kind == "move" and self._is_view(node):
            return
        if kind == "map":
            self._join(node, plain(node.shape))
        elif self._sums_products(node):
            kernel = self.kernels[self.index[node.inputs[0]]]
            kernel.nodes.append(node)
            self.index[node] = self.index[node.inputs[0]]
            self.needed.discard(node.inputs[0])
            self.needed.add(node)
        elif kind == "reduce" and node.primitive.combine:
            self._join(node, plain(node.inputs[0].shape))
        else:
            for x in node.inputs:
                self._need(x, always=True)
            self.index[node] = len(self.kernels)
            self.kernels.append(Kernel(kind, plain(node.shape), [node]))
            self.needed.add(node)

    def _sums_products(self, node: Node) -> bool:
        """Return whether a node is the sum of matrix products that nobody else asks for."""
        if node.primitive.kind != "reduce" or node.primitive.combine != SUM:
            return False
        (x,) = node.inputs
        batch = tuple(range(len(x.shape) - 2))
        if not batch or node.settings["axis"] != batch or self.uses[x] != 1:
            return False
        return x.primitive.kind == "matmul" and self.kernels[self.index[x]].nodes == [x]

    def _is_view(self, node: Node) -> bool:
        if len(node.inputs) != 1:
            return False
        x = node.inputs[0]
        base = self.views.get(x) or _whole(x)
        view = through(node, base)
        if view is None:
            return False
        self.views[node] = view
        self._need(x)
        return True

    def _need(self, node: Node, always: bool = False) -> None:
        """Note that a node's numbers must stand in memory; always, even if it is a literal."""
        root = self.views[node].root if node in self.views else node
        self.needed.add(root)
        if always:
            self.forced.add(root)

    def _join(self, node: Node, domain: Shape) -> None:
        """Put an elementwise node or a reduction into the first loop over `domain` it can join."""
        first = 0
        for x in node.inputs:
            root = self.views[x].root if x in self.views else x
            if root not in self.index:
                continue
            made_in = self.kernels[self.index[root]]
            same = x.primitive.kind == "map" and x.shape == domain == made_in.domain
            here = x is root and made_in.kind == "loop" and same
            first = max(first, self.index[root] + (not here))
        for k in range(first, len(self.kernels)):
            kernel = self.kernels[k]
            if kernel.kind == "loop" and kernel.domain == domain and len(kernel.nodes) < LONGEST:
                break
        else:
            k = len(self.kernels)
            self.kernels.append(Kernel("loop", domain))
        self.kernels[k].nodes.append(node)
        self.index[node] = k
        if node.primitive.kind == "reduce":
            self.needed.add(node)
        for x in node.inputs:
            if self.index.get(x) != k or x.shape != domain or x.primitive.kind == "reduce":
                self._need(x)

    def _sink(self, ends: set[Node]) -> None:
        """Move nodes made long before they are needed to the loop that needs them.

        β·m of an optimizer can be computed as soon as the step begins, but then it would have to be
        stored for the loop that adds the gradient.
        """
        users: dict[Node, set[int]] = {}
        for k, kernel in enumerate(self.kernels):
            for n in kernel.nodes:
                for x in n.inputs:  # through a view, a node must stand in memory
                    users.setdefault(self._root(x), set()).add(k if self._root(x) is x else -1)
        for k, kernel in enumerate(self.kernels):
            for n in reversed(list(kernel.nodes)):
                goal, *others = users.get(n, {-1})
                if kernel.kind != "loop" or n.primitive.kind != "map" or others or goal < 0:
                    continue
                inside = any(self.index.get(self._root(x)) == k for x in n.inputs)
                if goal == k or inside or n in ends or not self._takes(goal, kernel.domain):
                    continue
                kernel.nodes.remove(n)
                self.kernels[goal].nodes.insert(0, n)
                self.index[n] = goal
                self.needed.discard(n)
        self.kernels = [k for k in self.kernels if k.nodes]

    def _takes(self, k: int, domain: Shape) -> bool:
        kernel = self.kernels[k]
        return kernel.kind == "loop" and kernel.domain == domain and len(kernel.nodes) < LONGEST

    def _root(self, x: Node) -> Node:
        return self.views[x].root if x in self.views else x

    def finish(self, ends: Sequence[Node]) -> Fused:
        self._sink({self._root(n) for n in ends} | set(ends))
        for node in ends:
            self._need(node, always=True)
        stored = [n for n in self.needed if n in self.forced or not is_literal(n)]
        stored.sort(key=by_serial)
        kernel_of = {n: k for k in self.kernels for n in k.nodes}
        return Fused(self.kernels, stored, self.views, kernel_of)
