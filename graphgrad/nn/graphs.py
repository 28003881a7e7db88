"""The graphs of a network for batches of a fixed size: prediction, evaluation, a training step.

A batch that is not full is filled up with rows that a mask marks as no examples, so one compiled
step serves all batches. The loss is Σ wᵢ lᵢ / n over the n examples of the batch, plus penalties.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from graphgrad.context import scope
from graphgrad.errors import NetworkError
from graphgrad.gradient import grad
from graphgrad.graph import Node, const, var
from graphgrad.nn.losses import Loss, per_example
from graphgrad.nn.metrics import Metric
from graphgrad.nn.network import Network
from graphgrad.nn.optimizer import Optimizer
from graphgrad.nn.parts import Run
from graphgrad.ops.reduce import mean
from graphgrad.ops.reduce import sum as total

__all__ = ["Goal", "Graph", "Measure", "build"]


@dataclass(frozen=True)
class Goal:
    """What is minimized and measured at one output: loss, its share, metrics, a name."""

    loss: Loss
    share: float
    metrics: Sequence[Metric]
    name: str


@dataclass(frozen=True)
class Measure:
    """A metric at an output: its key in the history, and which of the sums are its."""

    key: str
    metric: Metric
    at: slice


@dataclass
class Graph:
    """The nodes of a network for one size of batch.

    Attributes:
        inputs, targets, outputs: one per input and output of the network, first axis the batch.
        mask: shape (batch,), 1 for examples and 0 for rows that fill up; None without.
        weight: shape (batch,), the examples' weights; None without.
        loss: scalar, with the penalties; None where there is no loss.
        sums: scalars that metrics are made of.
        measures: the metrics.
        updates: in training, the new value of every variable that the step changes.
        gradients: in training, the gradient of the loss by parameter.
    """

    inputs: list[Node]
    outputs: list[Node]
    targets: list[Node] = field(default_factory=list)
    mask: Node | None = None
    weight: Node | None = None
    loss: Node | None = None
    sums: list[Node] = field(default_factory=list)
    measures: list[Measure] = field(default_factory=list)
    updates: dict[Node, Node] = field(default_factory=dict)
    gradients: dict[Node, Node] = field(default_factory=dict)

    @property
    def feeds(self) -> list[Node]:
        """What a compiled step is given, in order: inputs, targets, weights, mask."""
        more = [n for n in (self.weight, self.mask) if n is not None]
        return [*self.inputs, *self.targets, *more]

    @property
    def graph_node(self) -> Node:
        """What `gg.draw` and `gg.step` take: the loss, or the first output without one."""
        return self.outputs[0] if self.loss is None else self.loss


def build(
    network: Network,
    batch: int,
    goals: Sequence[Goal] = (),
    *,
    optimizer: Optimizer | None = None,
    counter: Node | None = None,
    masked: bool = False,
    weighted: bool = False,
) -> Graph:
    """Return the network's graph for batches of a size.

    Args:
        network: whose layers are called.
        batch: number of rows.
        goals: one per output, for a graph with a loss; none for prediction.
        optimizer: for a training step.
        counter: counts the training steps, for dropout.
        masked: whether batches may be filled up.
        weighted: whether examples have weights.
    """
    training = optimizer is not None
    inputs = network.input_nodes(batch)
    kind = inputs[0].dtype if inputs[0].dtype.kind == "f" else "float32"
    mask = var("mask", shape=(batch,), dtype=kind, role="input") if masked else None
    weight = var("weight", shape=(batch,), dtype=kind, role="input") if weighted else None
    run = Run(training, counter, mask, seed=network.seed)
    outputs = network.forward(inputs, run)
    graph = Graph(inputs, outputs, mask=mask, weight=weight)
    if goals:
        _add_loss(network, graph, goals, batch)
    if optimizer is not None:
        _add_updates(network, graph, optimizer, run)
    return graph


def _add_loss(network: Network, graph: Graph, goals: Sequence[Goal], batch: int) -> None:
    rows = Rows(graph.mask, graph.weight)
    parts = []
    for k, (goal, p) in enumerate(zip(goals, graph.outputs, strict=True)):
        shape, dtype = goal.loss.target(p)
        name = f"y{k + 1}" if len(goals) > 1 else "y"
        y = var(name, shape=shape, dtype=dtype, role="input")
        graph.targets.append(y)
        with scope("loss"):
            found = goal.loss(y, p)
            each = per_example(found, batch, f"loss of {goal.name!r}")
            part = mean(found) if rows.plain else rows.mean(each)
            parts.append(part if goal.share == 1 else goal.share * part)
        with scope("metrics"):
            if len(goals) > 1:
                _measure(graph, f"{goal.name}_loss", _Reported(), [rows.weighted(each)])
            for metric in goal.metrics:
                key = f"{goal.name}_{metric.name}" if len(goals) > 1 else metric.name
                _measure(graph, key, metric, [rows.sum(t) for t in metric.terms(y, p, goal.loss)])
    with scope("loss"):
        parts += _penalties(network)
        graph.loss = functools.reduce(operator.add, parts)
        if not graph.loss.name:
            graph.loss.name = "loss"


def _penalties(network: Network) -> list[Node]:
    return [w.penalty(w.node) for w in network.weights if w.penalty is not None and w.trainable]


def _measure(graph: Graph, key: str, metric: Metric, sums: list[Node]) -> None:
    start = len(graph.sums)
    graph.measures.append(Measure(key, metric, slice(start, start + len(sums))))
    graph.sums += sums


def _add_updates(network: Network, graph: Graph, optimizer: Optimizer, run: Run) -> None:
    if graph.loss is None:
        raise NetworkError("a training step needs a loss: model.compile(loss=…)")
    parameters = network.parameters
    found = grad(graph.loss, parameters) if parameters else []
    graph.gradients = dict(zip(parameters, found, strict=True))
    graph.updates = {**optimizer.updates(parameters, found), **run.updates}
    if run.counter is not None and run.draws:
        graph.updates[run.counter] = run.counter + 1


class _Reported(Metric):
    """The loss of one output, of several."""


@dataclass(frozen=True)
class Rows:
    """How numbers of the examples in a batch become one."""

    mask: Node | None
    weight: Node | None

    @property
    def plain(self) -> bool:
        """Whether all rows are examples of weight 1."""
        return self.mask is None and self.weight is None

    def sum(self, each: Node) -> Node:
        """Return the sum over the examples."""
        return total(each if self.mask is None else each * self.mask.astype(each.dtype))

    def weighted(self, each: Node) -> Node:
        """Return the sum over the examples, each times its weight."""
        return self.sum(each if self.weight is None else each * self.weight.astype(each.dtype))

    def mean(self, each: Node) -> Node:
        """Return the weighted sum over the number of examples."""
        count: Any = const(float(each.size), each.dtype)
        if self.mask is not None:
            count = total(self.mask).astype(each.dtype)
        return self.weighted(each) / count
