"""Verification of a graph: `verify` proves every edge, and the whole derivative of every variable.

Each edge: SymPy's derivative of the operation's own formula against the rule book's. Each variable:
SymPy's derivative of the whole expression against the gradient that the graph makes. So a mistake
in a rule shows twice, and a mistake in putting rules together shows at the variables.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from graphgrad import dtypes
from graphgrad.errors import GradientError, GraphError
from graphgrad.explain.formulas import render
from graphgrad.explain.names import pretty
from graphgrad.graph import Node, ancestors, describe, refresh
from graphgrad.ops.define import Elementwise
from graphgrad.proof.budget import Budget
from graphgrad.proof.endings import Endings
from graphgrad.proof.exact import key_of
from graphgrad.proof.partials import UNDECIDED, Proof, prove_partial
from graphgrad.proof.report import Report, Row
from graphgrad.proof.structures import prove_structure
from graphgrad.proof.wording import Words

__all__ = ["verify"]

BUDGET = 10.0
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
    words = Words(order)
    rows = [*_edges(order, words, clock), *Endings(y, words, clock).rows()]
    return Report(_title(y), rows, clock.spent, clock.seconds, _notes(order))


def _title(y: Node) -> str:
    nodes = ancestors(y)
    shown = render(y) if len(nodes) <= 60 else f"{len(nodes)} nodes"
    name = f"{pretty(y.name)} = " if y.name and not y.is_leaf else ""
    return name + (shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 1]}…")


def _notes(order: Sequence[Node]) -> list[str]:
    still = sum(
        not (x.active and node.primitive.has_rule(i)) for node in order for i, x in enumerate(node.inputs)
    )
    if not still:
        return []
    edges = "1 edge" if still == 1 else f"{still} edges"
    return [f"{edges} into constants and masks carry no gradient: there is nothing to prove."]


def _edges(order: Sequence[Node], words: Words, clock: Budget) -> Iterator[Row]:
    """Yield a row per edge through which a gradient can flow."""
    edges = [
        (node, i)
        for node in order
        if node.active
        for i, x in enumerate(node.inputs)
        if x.active and node.primitive.has_rule(i)
    ]
    counts = Counter(map(_kind, edges))
    if len(edges) > MANY:
        first: dict[Any, tuple[Node, int]] = {}
        for edge in edges:
            first.setdefault(_kind(edge), edge)
        for kind, edge in first.items():
            yield _row(*edge, words, clock, counts[kind])
        return
    for node, i in edges:
        yield _row(node, i, words, clock, 1)


def _kind(edge: tuple[Node, int]) -> Any:
    node, i = edge
    shapes = () if isinstance(node.primitive, Elementwise) else tuple(x.shape for x in node.inputs)
    return key_of(node.primitive, len(node.inputs), node.settings), i, shapes


def _row(node: Node, i: int, words: Words, clock: Budget, count: int) -> Row:
    if not clock.left:
        late = Proof(UNDECIDED, "time was up")
        if isinstance(node.primitive, Elementwise):
            return Row("edge", words.derivative(node, i), UNDECIDED, of=words.definition(node),
                       method="time was up", count=count)  # fmt: skip
        return words.structure(node, i, late, late.method, count)
    if isinstance(node.primitive, Elementwise):
        masks = [x.dtype is dtypes.BOOL for x in node.inputs]
        return words.edge(node, i, prove_partial(node.primitive, i, node.settings, masks), count)
    proof, method = prove_structure(node, i)
    return words.structure(node, i, proof, method, count)
