"""What plots ask of a network: its loss at other weights, its values and gradients by layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphgrad.compiler.executor import compile
from graphgrad.gradient import grad
from graphgrad.graph import Node, evaluate
from graphgrad.nn.graphs import Graph, build
from graphgrad.nn.layer import Layer, Run

__all__ = ["gradients_of", "loss_of_weights", "outputs_of"]


def loss_of_weights(model: Any, X: Any, y: Any) -> Callable[[Sequence[Any]], float]:
    """Return a function from weights, as ``model.get_weights()`` gives them, to the loss.

    The network itself keeps its weights; dropout and its like are off.
    """
    total, graph, arrays = _graph(model, X, y)
    nodes = [w.node for w in model.weights]
    run = compile([total], [*nodes, *graph.feeds], **model._options)

    def loss(weights: Sequence[Any]) -> float:
        given = [np.asarray(w, n.dtype) for w, n in zip(weights, nodes)]
        return float(run(*given, *arrays)[0])

    return loss


def gradients_of(model: Any, X: Any, y: Any) -> list[tuple[Layer, list[Any]]]:
    """Return the gradients of the loss for each layer's trained weights, layer by layer."""
    total, graph, arrays = _graph(model, X, y)
    nodes = model.parameters
    found = evaluate([*grad(total, nodes)], dict(zip(graph.feeds, arrays)))
    by_node = dict(zip(nodes, found))
    return [(k, [by_node[w.node] for w in k.parameters]) for k in model.layers if k.parameters]


def outputs_of(model: Any, X: Any) -> list[tuple[Layer, Any]]:
    """Return what each layer gives for some examples, in the order the layers are called."""
    arrays = model._inputs(X)
    nodes = model.input_nodes(len(arrays[0]))
    known: dict[Any, Node] = dict(zip(model.inputs, nodes))
    found = []
    for call in model.calls:
        known[call.output] = call.layer.nodes([known[s] for s in call.inputs], Run())
        found.append((call.layer, known[call.output]))
    given = [np.asarray(a, n.dtype) for a, n in zip(arrays, nodes)]
    values = evaluate([node for _, node in found], dict(zip(nodes, given)))
    return [(layer, np.asarray(value)) for (layer, _), value in zip(found, values)]


def _graph(model: Any, X: Any, y: Any) -> tuple[Node, Graph, list[Any]]:
    arrays = model._arrays(X, y)
    graph = build(model, len(arrays[0]), model._goals())
    assert graph.loss is not None
    return graph.loss, graph, [np.asarray(a, n.dtype) for a, n in zip(arrays, graph.feeds)]
