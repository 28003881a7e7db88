"""The path ledger, which answers: where does this gradient come from.

What one can do: ``ledger(loss, w)`` gives the contributions to ∂loss/∂w by edge, the paths they
came along with every factor and their product, what cancels, what killed a path, and how many
paths there are against how many edges backpropagation visits. `str` of it is a report to read.
"""

from __future__ import annotations

import math

from graphgrad.errors import GraphError
from graphgrad.explain.accounts import Ledger
from graphgrad.explain.bookkeeping import contributions, killers, path_of
from graphgrad.explain.paths import Routes
from graphgrad.explain.steps import Wording
from graphgrad.graph import Node
from graphgrad.recorder import Tape

__all__ = ["ledger"]


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
    positive, negative = routes.totals if scalar else (None, None)
    scale = math.nan if positive is None or negative is None else positive - negative
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
