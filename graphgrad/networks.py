"""`to_networkx`: the graph as a networkx MultiDiGraph, for questions about paths and structure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphgrad.graph import Node
from graphgrad.recorder import Tape, tape

if TYPE_CHECKING:
    import networkx

__all__ = ["to_networkx"]


def to_networkx(graph: Node | Tape) -> networkx.MultiDiGraph[Node]:
    """Return the graph with a run's numbers as attributes.

    The keys are the nodes themselves. Arrows point from inputs to users, one per edge, with the
    position of the input as key, so ``x * x`` has two.

    Args:
        graph: a node (it is run with its current values) or a tape.

    Returns:
        A MultiDiGraph. Node attributes: name, op, shape, dtype, scope, value, adjoint. Edge
        attributes: position, local, upstream, contribution; the last three are None where no
        gradient flows, and `local` only for elementwise operations.

    Raises:
        MissingValueError: when a variable has no value.

    Example:
        >>> import graphgrad as gg, networkx as nx
        >>> x = gg.var("x", 3.0)
        >>> y = x * x + gg.sin(x)
        >>> G = gg.to_networkx(y)
        >>> len(list(nx.all_simple_edge_paths(G, x, y)))
        3
        >>> [d["local"] for _, _, d in G.edges(data=True) if d["local"] == 3.0]
        [3.0, 3.0]
    """
    import networkx

    recorded = graph if isinstance(graph, Tape) else tape(graph)
    result: networkx.MultiDiGraph[Any] = networkx.MultiDiGraph()
    backward = recorded.differentiable
    for n in recorded.nodes:
        result.add_node(
            n,
            name=n.name,
            op=n.op,
            shape=n.shape,
            dtype=n.dtype.name,
            scope=n.scope,
            value=recorded.value(n),
            adjoint=recorded.adjoint(n) if backward else None,
        )
    for n in recorded.nodes:
        for i, x in enumerate(n.inputs):
            result.add_edge(x, n, key=i, position=i, **_numbers(recorded, n, i))
    return result


def _numbers(recorded: Tape, node: Node, position: int) -> dict[str, Any]:
    step = recorded.step_of(node, position) if recorded.differentiable else None
    if step is None:
        return {"local": None, "upstream": None, "contribution": None}
    elementwise = node.primitive.kind == "map"
    return {
        "local": recorded.local(node, position) if elementwise else None,
        "upstream": recorded.adjoint(node),
        "contribution": recorded.contribution(node, position),
    }
