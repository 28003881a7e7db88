"""Verification of a graph: `verify` proves every edge, and the whole derivative of every variable.

Each edge: SymPy's derivative of the operation's own formula against the rule book's. Each variable:
SymPy's derivative of the whole expression against the gradient that the graph makes. So a mistake
in a rule shows twice, and a mistake in putting rules together shows at the variables.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from graphgrad import dtypes
from graphgrad.errors import GradientError
from graphgrad.explain.formulas import render
from graphgrad.explain.names import pretty
from graphgrad.graph import Node, ancestors, describe
from graphgrad.ops.define import Elementwise
from graphgrad.proof.budget import Budget, hurried
from graphgrad.proof.endings import Endings
from graphgrad.proof.exact import key_of
from graphgrad.proof.findings import GROUPED, Row
from graphgrad.proof.partials import LATE, Proof, prove_partial
from graphgrad.proof.real_shapes import prove_structure
from graphgrad.proof.report import Report
from graphgrad.proof.wording import Words

__all__ = ["verify"]

BUDGET = 10.0
LETTERED = GROUPED["edge"]
"""Edges of a graph whose nodes are not all defined in its table."""
MANY = 2000
"""Edges from which one row speaks of all edges with the same rule."""
LONGEST = 100


def verify(y: Node, *, budget: float = BUDGET) -> Report:
    """Prove the derivatives of a graph with SymPy, edge by edge and as a whole.

    Args:
        y: a floating node of any shape. Values of its variables are not needed; when they are
            there, the report also says whether they lie on a kink or outside a domain.
        budget: seconds that may be spent. What was not decided by then says so.

    Returns:
        A `Report` with a row per edge through which a gradient flows (from 2000 edges on, a row
        per rule), a row per floating variable, and one that compares the value with the formula's.

    Raises:
        GradientError: when y is no floating node.

    Example:
        >>> import graphgrad as gg
        >>> x, w, b = gg.var("x", 2.0), gg.var("w", 3.0), gg.var("b", 1.0)
        >>> report = gg.verify(abs(4 - (x * w + b)))
        >>> report.ok
        True
        >>> [(row.where, row.rule, row.domain) for row in report.rows if row.kind == "edge"][0]
        ('∂v₁/∂x', 'w', 'everywhere')
    """
    if not isinstance(y, Node) or not dtypes.is_float(y.dtype):
        what = f"{describe(y)} is {y.dtype}" if isinstance(y, Node) else f"{y!r} is no graph node"
        raise GradientError(f"{what}: only floating nodes have derivatives to verify")
    clock = Budget(budget)
    order = ancestors(y)
    edges = _Edges(order, clock)
    rows = list(edges.rows())
    rows += Endings(y, edges.words, edges.found, clock).rows()
    return Report(_title(y), rows, clock.spent, clock.seconds, _notes(order))


def _title(y: Node) -> str:
    nodes = ancestors(y)
    names = {n: pretty(n.name) for n in nodes if n.is_leaf and n.name}
    shown = render(y, holes=names) if len(nodes) <= 60 else f"{len(nodes)} nodes"
    name = f"{pretty(y.name)} = " if y.name and not y.is_leaf else ""
    return name + (shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 1]}…")


def _notes(order: Sequence[Node]) -> list[str]:
    still = sum(
        not (x.active and node.primitive.has_rule(i))
        for node in order
        for i, x in enumerate(node.inputs)
    )
    notes = []
    if sum(len(node.inputs) for node in order) > LETTERED:
        notes = [
            "v₁, v₂ … are the nodes in the order in which they are computed; gg.draw shows them."
        ]
    if not still:
        return notes
    edges = "1 edge carries" if still == 1 else f"{still} edges carry"
    why = "(from constants, masks, positions): there is nothing to prove."
    return [*notes, f"{edges} no gradient {why}"]


class _Edges:
    """The edges of a graph through which a gradient can flow, and their rows.

    Attributes:
        words: the names of the nodes.
        found: what was proved about the edges of each node.
    """

    def __init__(self, order: Sequence[Node], clock: Budget):
        self.words, self.clock = Words(order), clock
        self.found: dict[Node, list[Proof]] = {}
        self.edges = [
            (node, i)
            for node in order
            if node.active
            for i, x in enumerate(node.inputs)
            if x.active and node.primitive.has_rule(i)
        ]

    def rows(self) -> Iterator[Row]:
        """Yield a row per edge; where there are many, a row per rule."""
        if len(self.edges) <= MANY:
            for node, i in self.edges:
                yield self._row(node, i, 1)
            return
        groups: dict[Any, list[tuple[Node, int]]] = {}
        for edge in self.edges:
            groups.setdefault(_kind(edge), []).append(edge)
        for edges in groups.values():
            node, i = edges[0]
            yield self._row(node, i, len(edges))
            proof = self.found[node][-1]
            for other, _ in edges[1:]:
                self.found.setdefault(other, []).append(proof)

    def _row(self, node: Node, i: int, count: int) -> Row:
        p = node.primitive
        if not isinstance(p, Elementwise):
            proof, method = prove_structure(node, i, self.clock)
            self.found.setdefault(node, []).append(proof)
            return self.words.structure(node, i, proof, method, count)
        masks = [x.dtype is dtypes.BOOL for x in node.inputs]
        proof = hurried(lambda: prove_partial(p, i, node.settings, masks), self.clock, LATE)
        self.found.setdefault(node, []).append(proof)
        return self.words.edge(node, i, proof, count)


def _kind(edge: tuple[Node, int]) -> Any:
    node, i = edge
    shapes = () if isinstance(node.primitive, Elementwise) else tuple(x.shape for x in node.inputs)
    return key_of(node.primitive, len(node.inputs), node.settings), i, shapes
