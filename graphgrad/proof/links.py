"""The factors of a derivation: links between the letters on the board.

A lecturer gives letters to the results that matter and speaks of ∂y/∂x between those. So a `Link`
joins two lettered nodes, and may bundle several edges of the graph that lie between them. Letters
are the names the user gave; an unnamed result is left out where it is used once, and keeps its
letter v₁, v₂ … where it is shared, where formulas would get too long, or where nothing between
the loss and the leaf has a name at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from graphgrad.context import making
from graphgrad.explain.steps import Wording
from graphgrad.graph import Edge, Node, apply, const, var
from graphgrad.ops.define import Elementwise
from graphgrad.proof.marks import Mark, letter
from graphgrad.proof.notation import Notation
from graphgrad.recorder import Tape

__all__ = ["Link", "Links"]

LARGEST_BUNDLE = 24
"""Unnamed results that one lettered result may take in."""
LONGEST_FORMULA = 90
"""Characters of a formula; a lettered result with a longer one is cut into its steps."""


@dataclass(frozen=True, eq=False)
class Link:
    """One factor: how a lettered node depends on another, directly.

    Attributes:
        node: y of ∂y/∂x.
        source: x of ∂y/∂x.
        ways: the chains of edges from y down to x, through results without a letter.
    """

    node: Node
    source: Node
    ways: tuple[tuple[Edge, ...], ...]

    @property
    def edges(self) -> tuple[Edge, ...]:
        """All edges it bundles, from y down."""
        return tuple(dict.fromkeys(e for way in self.ways for e in way))


@dataclass(eq=False)
class Links:
    """The lettered part of a run, and the formulas between the letters.

    Args:
        tape: the recorded run.
        wording: its names and numbers.
        targets: the nodes to differentiate towards; they get letters.
        every: True gives every result a letter, False only named and shared ones, None decides.
    """

    tape: Tape
    wording: Wording
    targets: Sequence[Node]
    every: bool | None = None
    _copies: dict[Node, Node] = field(default_factory=dict)
    _from: dict[Node, list[Link]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.live = {step.edge for step in self.tape.backward}
        self.letters = self._choose()
        self.names = {n: letter(self.wording.names[n], self._latex(n)) for n in self.letters}
        self._shorten()

    # -- who gets a letter ---------------------------------------------------------------------

    def _choose(self) -> set[Node]:
        tape, every = self.tape, self.every
        if every is None:
            between = {n for w in self.targets for n in self.leading_to(w) - {tape.root, w}}
            every = not any(n.name for n in between)
        uses = Counter(x for n in tape.nodes for x in n.inputs)
        wanted = {tape.root, *self.targets}
        found = {n for n in tape.nodes if n.is_leaf or n.name or n in wanted}
        masks = {n for n in tape.nodes if n.dtype.kind == "b"}  # a condition is its own best name
        return found | ({n for n in tape.nodes if every or uses[n] > 1} - masks)

    def _shorten(self) -> None:
        """Give letters to the parts of results whose formula would be too long."""
        for node in self.tape.nodes:
            if node not in self.letters or node.is_leaf:
                continue
            inside = self._unlettered(node)
            if not inside:
                continue
            if len(inside) > LARGEST_BUNDLE or len(str(self.definition(node))) > LONGEST_FORMULA:
                self.letters |= set(inside)
                for n in inside:
                    self.names[n] = letter(self.wording.names[n], self._latex(n))
                self._copies.clear()

    def _unlettered(self, node: Node) -> list[Node]:
        """Return the results without a letter between a lettered one and those below it."""
        found, stack = [], [node]
        while stack:
            new = [x for x in stack.pop().inputs if x not in self.letters]
            found += new
            stack += new
        return found

    def _latex(self, node: Node) -> str:
        return self.wording.latex_names[node]

    # -- walks -----------------------------------------------------------------------------------

    def leading_to(self, target: Node) -> set[Node]:
        """Return the nodes whose value a gradient links to the target, itself included."""
        found = {target}
        for node in self.tape.nodes:
            if node not in found and any(
                x in found and Edge(node, i) in self.live for i, x in enumerate(node.inputs)
            ):
                found.add(node)
        return found

    def links(self, node: Node) -> list[Link]:
        """Return the links from a lettered node to those it depends on, in order of writing."""
        known = self._from.get(node)
        if known is None:
            ways: dict[Node, list[tuple[Edge, ...]]] = {}
            stack: list[tuple[Edge, ...]] = [(e,) for e in self._edges(node)[::-1]]
            while stack:
                way = stack.pop()
                x = way[-1].source
                if x in self.letters:
                    ways.setdefault(x, []).append(way)
                else:
                    stack += [(*way, e) for e in self._edges(x)[::-1]]
            known = [Link(node, x, tuple(w)) for x, w in ways.items()]
            self._from[node] = known
        return known

    def _edges(self, node: Node) -> list[Edge]:
        edges = (Edge(node, i) for i in range(len(node.inputs)))
        return [e for e in edges if e in self.live]

    # -- formulas ----------------------------------------------------------------------------------

    @cached_property
    def notation(self) -> Notation:
        """Writes formulas in the letters."""
        return Notation({}, self.wording.digits)

    def copy(self, node: Node) -> Node:
        """Return a node's formula in letters, as a small graph of its own."""
        known = self._copies.get(node)
        if known is not None:
            return known
        made = self.letter(node) if node in self.letters else self._rebuilt(node)
        self._copies[node] = made
        return made

    def letter(self, node: Node) -> Node:
        """Return the node that stands for a letter in formulas."""
        known = self._copies.get(node)
        if known is None:
            if node.is_leaf and not node.name and node.primitive.name == "constant":
                known = const(node._value, node.dtype)
            else:
                known = var(self.wording.names[node], shape=node.shape, dtype=node.dtype)
                self.notation.letters[known] = self.names[node]
            self._copies[node] = known
        return known

    def _rebuilt(self, node: Node) -> Node:
        with making(scope=""):
            return apply(node.primitive, [self.copy(x) for x in node.inputs], node.settings)

    def stand_in(self, node: Node) -> Node | None:
        """Return what stands for a letter in formulas, if any formula needed it."""
        return self._copies.get(node) if node in self.letters else None

    def definition(self, node: Node) -> Mark:
        """Return what a lettered result is, in the letters below it."""
        plain = Notation(self.notation.letters, self.wording.digits, tidy=False)
        return plain.write(self._rebuilt(node))

    def in_leaves(self, node: Node) -> Mark | None:
        """Return a result's formula down to the leaves; None when it is long."""
        if self._sizes[node] > LARGEST_BUNDLE:
            return None
        leaves = {n: m for n, m in self.names.items() if n.is_leaf}
        return Notation(leaves, self.wording.digits, tidy=False).write(node)

    @cached_property
    def _sizes(self) -> dict[Node, int]:
        """How many operations each formula has when written down to the leaves, at most."""
        sizes: dict[Node, int] = {}
        for node in self.tape.nodes:
            total = sum(sizes[x] for x in node.inputs) + bool(node.inputs)
            sizes[node] = min(total, LARGEST_BUNDLE + 1)
        return sizes

    def operands(self, edge: Edge) -> tuple[Any, list[Node]]:
        """Return output and inputs of an edge's operation as formulas in letters."""
        return self.copy(edge.node), [self.copy(x) for x in edge.node.inputs]

    def partial(self, link: Link) -> Node:
        """Return ∂y/∂x of a link between scalars as a small graph in letters."""
        parts = [self._along(way) for way in link.ways]
        found = parts[0]
        for part in parts[1:]:
            found = found + part
        return found if isinstance(found, Node) else const(float(found))

    def _along(self, way: Sequence[Edge]) -> Any:
        found: Any = 1
        for edge in way:
            y, xs = self.operands(edge)
            p = edge.node.primitive
            assert isinstance(p, Elementwise)
            found = _times(found, p.partial(edge.position, y, xs, edge.node.settings))
        return found

    def pullback(self, link: Link, g: Node, primes: Callable[[Edge], Node | None]) -> Node:
        """Return what a link makes of the adjoint of y, as a small graph in letters and `g`.

        Args:
            link: the factor.
            g: stands for the adjoint of y.
            primes: may give a letter for the derivative on an edge, as in σ′(z).
        """
        total: Any = 0
        for way in link.ways:
            part: Any = g
            for edge in way:
                hidden = primes(edge)
                y, xs = self.operands(edge)
                if hidden is not None:
                    part = part * hidden
                else:
                    rule = edge.node.primitive.vjp
                    part = rule(edge.position, part, y, xs, edge.node.settings)
                if not isinstance(part, Node):
                    break
            if isinstance(part, Node):
                total = part if not isinstance(total, Node) else total + part
        if isinstance(total, Node):
            return total
        return const(link.source.dtype.type(0))

    def value(self, link: Link) -> float:
        """Return ∂y/∂x of a link between scalars in this run."""
        total = 0.0
        for way in link.ways:
            product = 1.0
            for edge in way:
                local: Any = self.tape.local(*edge)
                product *= float(local)
            total += product
        return total


def _times(a: Any, b: Any) -> Any:
    """Return a · b for nodes and plain numbers, without needless nodes."""
    for x, y in ((a, b), (b, a)):
        if not isinstance(x, Node):
            if x == 1:
                return y
            if x == -1:
                return -y
            if x == 0:
                return 0
    return a * b
