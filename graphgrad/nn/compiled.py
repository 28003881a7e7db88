"""A network with an optimizer, losses and metrics: its graphs, compiled, and data for them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from graphgrad.errors import NetworkError
from graphgrad.graph import Node, var
from graphgrad.nn.feeding import array_for, class_weights
from graphgrad.nn.goals import goals_of, input_slots, target_slots
from graphgrad.nn.graphs import Goal, Graph, build
from graphgrad.nn.history import History
from graphgrad.nn.loop import Loop
from graphgrad.nn.network import Network
from graphgrad.nn.optimizer import Optimizer
from graphgrad.nn.optimizers import optimizer_of
from graphgrad.nn.parts import Run
from graphgrad.nn.sources import Stream, parts_of

__all__ = ["NO_SHAPE", "Compiled"]

NO_SHAPE = (
    "the network has no parameters yet: give its first layer an input_shape, or train it first"
)


class Compiled(Network):
    """A network with an optimizer, losses and metrics.

    Attributes:
        optimizer: None before `compile`.
        history: of the last `fit`.
        stop_training: set it to True, or to a reason, to end `fit` after the present epoch.
        epochs_done: how many epochs the network was ever trained; shuffling depends on it.
        loop: the training under way; None when there is none.
        pace: steps per second of the last chunk, from which the next takes its size.
        options: target and math of the compiled graphs.
        extra: what you want to be saved with the network, as JSON can hold it.
    """

    optimizer: Optimizer | None = None

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None, seed: int = 0) -> None:
        self.history: History | None = None
        self.loop: Loop | None = None
        self.pace = 0.0
        self.extra: dict[str, Any] = {}
        self.stop_training: Any = False
        self.epochs_done = 0
        self._steps: dict[Any, tuple[Graph, Any]] = {}
        self._batch: int | None = None
        self._example: list[Any] = []
        self._wish: tuple[Any, Any, Any] = (None, None, None)
        self.options: dict[str, str] = {"target": "numba", "math": "fast"}
        self._counter = var("draws", 0, dtype=int, role="parameter")
        super().__init__(inputs, outputs, name, seed)

    def compile(
        self, optimizer: Any = "adam", loss: Any = None, metrics: Any = None,
        loss_weights: Any = None, target: str = "numba", math: str = "fast",
    ) -> None:  # fmt: skip
        """Say what the network is trained for, and how.

        Args:
            optimizer: a name such as "adam", or one such as ``nn.SGD(0.1, momentum=0.9)``.
            loss: a name, an `nn.Loss`, a function of (y_true, y_pred); for several outputs also
                a list or a dict by the names of the output layers.
            metrics: names, `nn.Metric` objects, losses or functions.
            loss_weights: shares of the losses of several outputs.
            target: "numba", "cuda", or "numpy" for the slow and plain reference.
            math: "fast", "exact", or on a GPU "tf32" or "bf16", as in `gg.compile`.
        """
        self.optimizer = optimizer_of(optimizer)
        self._wish = (loss, metrics, loss_weights)
        self.options = {"target": target, "math": math}
        self._steps, self.pace = {}, 0.0
        if self.outputs:
            self._goals()

    def _goals(self) -> list[Goal]:
        if self.optimizer is None or self._wish[0] is None:
            raise NetworkError(
                "the network has no loss yet: call model.compile(optimizer, loss) first, as in "
                "model.compile('adam', 'mse')"
            )
        return goals_of(self, *self._wish)

    # -- graphs ------------------------------------------------------------------------------

    def build(self, input_shape: Any, dtype: Any = None) -> None:
        """Connect the layers of a `Sequential`; other networks are connected already."""

    def training_graph(self, batch_size: int = 1, **options: Any) -> Graph:
        """Return the graph of a training step: loss, gradients, updates, as nodes.

        Args:
            batch_size: rows of the batch.
            options: ``masked=True`` and ``weighted=True`` add inputs for filled-up batches and
                for weights of examples.

        Example:
            >>> from graphgrad import nn
            >>> model = nn.Sequential([nn.Dense(1, input_shape=(2,))])
            >>> model.compile("sgd", "mse")
            >>> graph = model.training_graph(batch_size=4)
            >>> [v.name for v in graph.updates]
            ['iterations', 'W', 'b']
        """
        goals = self._goals()
        return build(
            self, batch_size, goals, optimizer=self.optimizer, counter=self._counter, **options
        )

    def loss_graph(self, x: Any, y: Any) -> tuple[Graph, list[Any]]:
        """Return the graph of loss and metrics of some examples at once, and what it is fed.

        Args:
            x, y: inputs and targets, as in `fit`.

        Returns:
            A `Graph` in which dropout and its like are off, and arrays for its `feeds`.
        """
        arrays = self._arrays(x, y)
        graph = build(self, len(arrays[0]), self._goals())
        return graph, [np.asarray(a, n.dtype) for a, n in zip(arrays, graph.feeds, strict=True)]

    @property
    def graph_node(self) -> Node:
        """What `gg.draw` and `gg.step` take for the network: its loss on one example.

        The example is the first that `fit` was given. Before that it is the output, for zeros.
        """
        if not self.outputs:
            raise NetworkError(NO_SHAPE)
        if self._example:
            graph = self.training_graph()
            for node, array in zip(graph.feeds, self._example, strict=False):
                node.value = array
        else:
            graph = build(self, 1)
            for node in graph.inputs:
                node.value = np.zeros(node.shape)
        return graph.graph_node

    def _compiled(
        self, kind: str, batch: int, masked: bool = False, weighted: bool = False
    ) -> tuple[Graph, Any]:
        """Return a graph and its executor: kind "fit", "evaluate" or "predict"."""
        frozen = tuple(layer.trainable for layer in self.layers)
        key = (kind, batch, masked, weighted, frozen)
        if key not in self._steps:
            from graphgrad.compiler.executor import compile

            if kind == "fit":
                graph = self.training_graph(batch, masked=masked, weighted=weighted)
            else:
                goals = self._goals() if kind == "evaluate" else ()
                graph = build(self, batch, goals, masked=masked, weighted=weighted)
            outputs = graph.outputs if graph.loss is None else [graph.loss, *graph.sums]
            step = compile(outputs, graph.feeds, graph.updates, **self.options)
            self._steps[key] = (graph, step)
        return self._steps[key]

    def __call__(self, *x: Node) -> Any:
        """Return the outputs as nodes, for inputs that are nodes of shape (batch, …)."""
        if not self.outputs and x:
            self.build(x[0].shape[1:])
        if len(x) != len(self.inputs) or not all(isinstance(n, Node) for n in x):
            raise NetworkError(f"a network of {len(self.inputs)} inputs is called on {x!r}; "
                               f"expected graph nodes; for arrays use predict")  # fmt: skip
        found = self.forward(x, Run(seed=self.seed))
        return found[0] if len(found) == 1 else found

    # -- data --------------------------------------------------------------------------------

    def input_arrays(self, x: Any) -> list[Any]:
        """Return the input arrays, and connect a network that did not know their shape."""
        if not self.outputs:
            found = np.shape(x)
            self.build(found[1:] if len(found) > 1 else (1,))
        if not self.outputs:
            raise NetworkError("the network has no layers: add one, as in nn.Dense(1)")
        given = [x] if len(self.inputs) == 1 else list(x)
        slots = input_slots(self)
        if len(given) != len(slots):
            raise NetworkError(f"{len(given)} input arrays for {len(slots)} inputs")
        return [array_for(s, a) for s, a in zip(slots, given, strict=True)]

    def _arrays(
        self, x: Any, y: Any, weight: Any = None, by_class: Mapping[int, float] | None = None
    ) -> list[Any]:
        """Return all arrays of a training or evaluation, weights last where there are any."""
        arrays = self.input_arrays(x)
        slots = target_slots(self, self._goals())
        given = [y] if len(slots) == 1 else list(y)
        targets = [array_for(s, a) for s, a in zip(slots, given, strict=True)]
        if weight is None and by_class is None:
            return arrays + targets
        each = np.ones(len(targets[0])) if weight is None else np.asarray(weight, float).ravel()
        if by_class is not None:
            if len(targets) > 1 or not isinstance(by_class, Mapping):
                raise NetworkError(
                    f"class_weight={by_class!r}: expected a dict of weights by class number, for a "
                    f"network of one output"
                )
            each = each * class_weights(by_class, targets[0])
        if not (np.isfinite(each).all() and each.min(initial=0) >= 0):
            raise NetworkError("weights of examples must be finite and at least 0")
        return [*arrays, *targets, each.astype(np.float32)]

    def _dtypes(self, weighted: bool) -> list[Any]:
        slots = [*input_slots(self), *target_slots(self, self._goals())]
        return [s.dtype for s in slots] + [np.dtype(np.float32)] * weighted

    def _stream(
        self, batches: Iterable[Any], limit: int | None, batch: int | None
    ) -> tuple[Stream, bool]:
        """Return an iterable of batches as a source, and whether it has weights."""
        if not isinstance(batches, Iterable) or isinstance(batches, np.ndarray):
            raise NetworkError("fit without targets: give y, or an iterable of batches (x, y)")
        iterator = iter(batches)
        first = next(iterator, None)
        if not isinstance(first, tuple | list) or len(first) not in (2, 3):
            raise NetworkError(
                "fit without y takes an iterable of batches, tuples (x, y) or (x, y, weight); got "
                f"{type(first).__name__}"
            )
        weighted = len(first) == 3
        if iterator is batches:
            batches = itertools.chain([first], iterator)
        inputs = self.input_arrays(first[0])
        slots = [*input_slots(self), *target_slots(self, self._goals())]
        parts = parts_of(first, len(inputs), len(slots), weighted)
        size = batch or len(inputs[0])
        source = Stream(batches, slots, len(inputs), size, weighted, limit)
        source.example = [array_for(s, a)[:1] for s, a in zip(slots, parts, strict=False)]
        return source, weighted
