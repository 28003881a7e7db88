"""What plots ask of a network: its loss at other weights, its values and gradients by layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphgrad.compiler.executor import compile
from graphgrad.gradient import grad
from graphgrad.graph import evaluate
from graphgrad.nn.layer import Layer
from graphgrad.nn.parts import Run

__all__ = ["gradients_of", "loss_of_weights", "outputs_of"]


def loss_of_weights(model: Any, X: Any, y: Any) -> Callable[[Sequence[Any]], float]:
    """Return a function from weights, as ``model.get_weights()`` gives them, to the loss.

    The network itself keeps its weights; dropout and its like are off.
    """
    graph, arrays = model.loss_graph(X, y)
    nodes = [w.node for w in model.weights]
    run = compile([graph.loss], [*nodes, *graph.feeds], **model.options)

    def loss(weights: Sequence[Any]) -> float:
        given = [np.asarray(w, n.dtype) for w, n in zip(weights, nodes)]
        return float(run(*given, *arrays)[0])

    return loss


def gradients_of(model: Any, X: Any, y: Any) -> list[tuple[Layer, list[Any]]]:
    """Return the gradients of the loss for each layer's trained weights, layer by layer."""
    graph, arrays = model.loss_graph(X, y)
    nodes = model.parameters
    found = evaluate([*grad(graph.loss, nodes)], dict(zip(graph.feeds, arrays)))
    by_node = dict(zip(nodes, found))
    return [(k, [by_node[w.node] for w in k.parameters]) for k in model.layers if k.parameters]


def outputs_of(model: Any, X: Any) -> list[tuple[Layer, Any]]:
    """Return what each layer gives for some examples, in the order the layers are called."""
    arrays = model.input_arrays(X)
    nodes = model.input_nodes(len(arrays[0]))
    known = model.trace(nodes, Run())
    given = {n: np.asarray(a, n.dtype) for n, a in zip(nodes, arrays)}
    values = evaluate([known[call.output] for call in model.calls], given)
    return [(call.layer, np.asarray(value)) for call, value in zip(model.calls, values)]
