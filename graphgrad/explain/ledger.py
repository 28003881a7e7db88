"""The path ledger, which answers: where does this gradient come from.

What one can do: ``ledger(loss, w)`` gives the contributions to ∂loss/∂w by edge, the paths they
came along with every factor and their product, what cancels, what killed a path, and how many
paths there are against how many edges backpropagation visits. `str` of it is a report to read.
"""

from __future__ import annotations

import html
import math
from dataclasses import dataclass
from typing import Any

from graphgrad.errors import GraphError
from graphgrad.explain.accounts import chain_latex, chain_text, ledger_lines, ledger_tables
from graphgrad.explain.bookkeeping import (
    Contribution,
    Killer,
    Path,
    contributions,
    killers,
    path_of,
)
from graphgrad.explain.paths import Routes
from graphgrad.explain.steps import Wording
from graphgrad.graph import Node
from graphgrad.recorder import Tape

__all__ = ["Contribution", "Killer", "Ledger", "Path", "ledger"]


@dataclass(frozen=True, eq=False, repr=False)
class Ledger:
    """Where the adjoint of one node comes from; made by `ledger`.

    Attributes:
        tape, node: what it is about.
        total: the adjoint; None when no gradient reaches the node.
        contributions: by edge, in the order of the backward pass.
        paths: the largest by magnitude; empty when arrays are on the way.
        path_count: how many paths there are in all, exactly.
        path_length: how many edges all paths have together.
        edges_visited: how many edges backpropagation visits to find the total.
        dead_count: how many paths have a factor that is exactly 0; None with arrays on the way.
        killers: where they die, those with most paths first.
        positive, negative: sums of all positive and of all negative products; None with arrays.
        scalar: whether every node on the way is a scalar.
    """

    tape: Tape
    node: Node
    total: Any
    contributions: list[Contribution]
    paths: list[Path]
    path_count: int
    path_length: int
    edges_visited: int
    dead_count: int | None
    killers: list[Killer]
    positive: float | None
    negative: float | None
    scalar: bool
    wording: Wording

    def expand(self, contribution: Contribution, most: int = 8) -> list[Path]:
        """Return the largest paths that end with one contribution's edge.

        Args:
            contribution: one of `contributions`.
            most: how many paths.

        Raises:
            GraphError: when arrays are on the way.

        Example:
            >>> import graphgrad as gg
            >>> x = gg.var("x", 3.0)
            >>> found = gg.ledger(x * x + x, x)
            >>> [p.product for p in found.expand(found.contributions[1])]
            [3.0]
        """
        if not self.scalar:
            raise GraphError("paths have no products of numbers where arrays are on the way")
        routes = Routes(self.tape, contribution.edge.node)
        scale = _scale(self.positive, self.negative)
        ends = [contribution.step]
        return [path_of(self.wording, routes, t, scale, ends) for t in routes.best(most)]

    def chain(self, path: Path) -> str:
        """Return the chain rule along one path, in symbols and in numbers.

        Example:
            >>> import graphgrad as gg
            >>> x, w = gg.var("x", 2.0), gg.var("w", 3.0)
            >>> found = gg.ledger(gg.square((x * w).named("z")).named("J"), w)
            >>> found.chain(found.paths[0])
            '∂J/∂z · ∂z/∂w = 12 · 2 = 24'
        """
        return chain_text(self, path)

    def latex(self, path: Path) -> str:
        """Return the chain rule along one path in LaTeX."""
        return chain_latex(self, path)

    def __repr__(self) -> str:
        return "\n".join(ledger_lines(self))

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        text = str(self)
        body = "".join(
            part if part.startswith("<table") else f"<p>{html.escape(part)}</p>"
            for part in ledger_tables(self)
        )
        return {"text/plain": text, "text/html": f'<div class="graphgrad-ledger">{body}</div>'}


def ledger(graph: Node | Tape, node: Node, *, most: int = 8) -> Ledger:
    """Return where the gradient of a node comes from: by edge, by path, factor by factor.

    Args:
        graph: the loss, or a tape of it.
        node: whose adjoint is explained; a variable or any node the loss depends on.
        most: how many paths are listed.

    Returns:
        A `Ledger`; print it, or read its fields.

    Raises:
        GraphError: when the node takes no part in the graph.
        GradientError: when the loss is no floating scalar.

    The count of paths is exact, and no path is walked to find it (see `explain.paths`).

    Example:
        >>> import graphgrad as gg
        >>> x, w, b = gg.var("x", 2.0), gg.var("w", 3.0), gg.var("b", 1.0)
        >>> found = gg.ledger(abs(4 - (x * w + b)), w)
        >>> found.total, found.path_count, found.paths[0].factors
        (2.0, 1, (-1.0, -1.0, 1.0, 2.0))
    """
    if not isinstance(graph, Node | Tape):
        raise GraphError(f"cannot explain {graph!r}: expected a graph node or its tape")
    if not isinstance(node, Node):
        raise GraphError(f"cannot explain the gradient of {node!r}: expected a graph node")
    if not isinstance(most, int) or most < 1:
        raise GraphError(f"most={most!r}: expected how many paths to list, 1 or more")
    tape = graph if isinstance(graph, Tape) else Tape(graph)
    wording = Wording(tape)
    total = tape.adjoint(node)
    routes = Routes(tape, node)
    scalar = routes.scalar and total is not None
    totals = routes.totals if scalar else None
    positive, negative = totals or (None, None)
    scale = _scale(positive, negative)
    trails = routes.best(most) if scalar else []
    return Ledger(
        tape=tape,
        node=node,
        total=total,
        contributions=contributions(routes),
        paths=[path_of(wording, routes, trail, scale, []) for trail in trails],
        path_count=routes.count,
        path_length=routes.length,
        edges_visited=len(routes.steps),
        dead_count=routes.count - routes.alive if scalar else None,
        killers=killers(wording, routes, most) if scalar else [],
        positive=positive,
        negative=negative,
        scalar=scalar,
        wording=wording,
    )


def _scale(positive: float | None, negative: float | None) -> float:
    return math.nan if positive is None or negative is None else positive - negative
