"""Compiling, fitting, evaluating and predicting: what a network does with data."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from graphgrad.errors import NetworkError
from graphgrad.graph import Node, var
from graphgrad.nn.callbacks import Callback
from graphgrad.nn.feeding import Stream, Table, array_for, class_weights, parts_of
from graphgrad.nn.goals import goals_of, input_slots, target_slots
from graphgrad.nn.graphs import Goal, Graph, build
from graphgrad.nn.history import History
from graphgrad.nn.loop import Loop
from graphgrad.nn.network import Network
from graphgrad.nn.optimizers import Optimizer, optimizer_of
from graphgrad.nn.progress import progress_for
from graphgrad.nn.running import logs_of, run_chunk

__all__ = ["Trainable"]

BATCH = 32
"""The size of batches when nobody says."""
AT_ONCE = 1024
"""Batches of one compiled call of `evaluate` and `predict`."""


class Trainable(Network):
    """A network with an optimizer, losses and metrics.

    Attributes:
        optimizer: None before `compile`.
        history: of the last `fit`.
        stop_training: set it to True, or to a reason, to end `fit` after the present epoch.
        epochs_done: how many epochs the network was ever trained; shuffling depends on it.
        loop: the training under way; None when there is none.
        extra: what you want to be saved with the network, as JSON can hold it.
    """

    optimizer: Optimizer | None = None

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None, seed: int = 0) -> None:
        self.history: History | None = None
        self.loop: Loop | None = None
        self.extra: dict[str, Any] = {}
        self.stop_training: Any = False
        self.epochs_done = 0
        self._steps: dict[Any, tuple[Graph, Any]] = {}
        self._batch: int | None = None
        self._example: list[Any] = []
        self._wish: tuple[Any, Any, Any] = (None, None, None)
        self._options: dict[str, str] = {"target": "numba", "math": "fast"}
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
            target: "numba", or "numpy" for the slow and plain reference.
            math: "fast" or "exact", as in `gg.compile`.
        """
        self.optimizer = optimizer_of(optimizer)
        self._wish = (loss, metrics, loss_weights)
        self._options = {"target": target, "math": math}
        self._steps = {}
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

    @property
    def graph_node(self) -> Node:
        """What `gg.draw` and `gg.step` take for the network: its loss on one example.

        The example is the first that `fit` was given. Before that it is the output, for zeros.
        """
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
            step = compile(outputs, graph.feeds, graph.updates, **self._options)
            self._steps[key] = (graph, step)
        return self._steps[key]

    def __call__(self, *x: Node) -> Any:
        """Return the outputs as nodes, for inputs that are nodes of shape (batch, …)."""
        from graphgrad.nn.layer import Run

        if not self.outputs and x:
            self.build(x[0].shape[1:])
        if len(x) != len(self.inputs) or not all(isinstance(n, Node) for n in x):
            raise NetworkError(f"a network of {len(self.inputs)} inputs is called on {x!r}; "
                               f"expected graph nodes; for arrays use predict")  # fmt: skip
        found = self.forward(x, Run(seed=self.seed))
        return found[0] if len(found) == 1 else found

    # -- data --------------------------------------------------------------------------------

    def _inputs(self, x: Any) -> list[Any]:
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
        arrays = self._inputs(x)
        slots = target_slots(self, self._goals())
        given = [y] if len(slots) == 1 else list(y)
        targets = [array_for(s, a) for s, a in zip(slots, given, strict=True)]
        if weight is None and by_class is None:
            return arrays + targets
        each = np.ones(len(targets[0])) if weight is None else np.asarray(weight, float).ravel()
        if by_class is not None:
            each = each * class_weights(by_class, targets[0])
        if not (np.isfinite(each).all() and each.min(initial=0) >= 0):
            raise NetworkError("weights of examples must be finite and at least 0")
        return [*arrays, *targets, each.astype(np.float32)]

    # -- training ----------------------------------------------------------------------------

    def fit(
        self, x: Any, y: Any = None, batch_size: int | None = None, epochs: int = 1,
        verbose: Any = "auto", callbacks: Sequence[Callback] | Callback | None = None,
        validation_split: float = 0.0, validation_data: Any = None, shuffle: bool = True,
        class_weight: Mapping[int, float] | None = None, sample_weight: Any = None,
        initial_epoch: int = 0, steps_per_epoch: int | None = None,
    ) -> History:  # fmt: skip
        """Train, and return the history.

        Args:
            x: inputs, an array of N examples (also memory-mapped), a list of them for several
                inputs; or, without `y`, an iterable of batches (x, y) or (x, y, weight).
            y: targets, an array of N rows; a list of them for several outputs.
            batch_size: examples of a step, 32 by default; 1 goes example by example, len(x) takes
                all at once.
            epochs: number of the last epoch; each sees every example once.
            verbose: 0 nothing, 1 a bar in terminals, 2 a line per epoch; "auto" is 1.
            callbacks: such as `nn.EarlyStopping`.
            validation_split: share of the examples, the last ones, that is only evaluated.
            validation_data: (x, y) or (x, y, weight) to evaluate after each epoch.
            shuffle: whether each epoch has an order of its own.
            class_weight: weights of the examples of each class, by its number.
            sample_weight: weights of the examples, shape (N,).
            initial_epoch: number of the first epoch, for a training that goes on.
            steps_per_epoch: batches of an epoch, for an iterable that does not end.

        Returns:
            The `History`; Ctrl-C ends training at a batch, and returns it as well.

        Raises:
            NetworkError, ShapeError, DtypeError: when data does not fit the network.
            DivergenceError: when the loss becomes nan or infinite; it names the first number that
                did, and the network has the parameters from before.
        """
        source: Table | Stream
        validate = None
        if y is None:
            source, weighted = self._stream(x, steps_per_epoch, batch_size)
        else:
            arrays = self._arrays(x, y, sample_weight, class_weight)
            weighted = sample_weight is not None or class_weight is not None
            if validation_split and validation_data is None:
                arrays, held = _split(arrays, validation_split)
                validate = self._validation(held, weighted)
            batch = min(_positive("batch_size", batch_size or BATCH), len(arrays[0]))
            dtypes = self._dtypes(weighted)
            source = Table(arrays, dtypes, batch, shuffle, self.seed)
        if validation_data is not None:
            held = self._arrays(*validation_data)
            validate = self._validation(held, len(validation_data) > 2)
        self._batch = source.batch
        self._example = source.example
        graph, step = self._compiled("fit", source.batch, not source.full, weighted)
        loop = Loop(
            self, graph, step, source, range(initial_epoch, epochs), _listed(callbacks, self),
            validate, progress_for(verbose),
        )  # fmt: skip
        self.history, self.loop = loop.history, loop
        try:
            return loop.run()
        finally:
            self.loop = None

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
        inputs = self._inputs(first[0])
        slots = [*input_slots(self), *target_slots(self, self._goals())]
        parts = parts_of(first, len(inputs), len(slots), weighted)
        size = batch or len(inputs[0])
        source = Stream(batches, slots, len(inputs), size, weighted, limit)
        source.example = [
            array_for(s, a)[:1] for s, a in zip(slots, parts, strict=False)
        ]
        return source, weighted

    def _validation(self, arrays: list[Any], weighted: bool) -> Any:
        """Return a function that evaluates the validation data."""
        return lambda: self._evaluated(arrays, weighted, self._batch)

    def _evaluated(self, arrays: list[Any], weighted: bool, batch: int | None) -> dict[str, float]:
        table = Table(arrays, self._dtypes(weighted), batch or self._batch or BATCH)
        graph, step = self._compiled("evaluate", table.batch, not table.full, weighted)
        totals: Any = 0.0
        for start in range(0, table.steps, AT_ONCE):
            chunk = table.chunk(0, start, AT_ONCE)
            found = np.array(run_chunk(step, graph, chunk), np.float64)
            found[0] *= chunk.sizes
            totals = totals + found.sum(-1)
        return {k: float(v) for k, v in logs_of(graph, totals, table.n).items()}

    def evaluate(
        self, x: Any, y: Any, batch_size: int | None = None, sample_weight: Any = None,
        return_dict: bool = False,
    ) -> Any:  # fmt: skip
        """Return loss and metrics on data: a number, a list, or a dict with `return_dict`.

        Args:
            x, y: inputs and targets, as in `fit`.
            batch_size: examples computed at a time; the result does not depend on it.
            sample_weight: weights of the examples in the loss.
            return_dict: whether to return a dict by name.
        """
        arrays = self._arrays(x, y, sample_weight)
        logs = self._evaluated(arrays, sample_weight is not None, batch_size)
        if return_dict:
            return logs
        return next(iter(logs.values())) if len(logs) == 1 else list(logs.values())

    def predict(self, x: Any, batch_size: int | None = None) -> Any:
        """Return the outputs for data, as an array of N rows; a list for several outputs.

        Args:
            x: inputs, as in `fit`.
            batch_size: examples computed at a time.
        """
        arrays = self._inputs(x)
        table = Table(
            arrays, [s.dtype for s in input_slots(self)], batch_size or self._batch or BATCH
        )
        _, step = self._compiled("predict", table.batch)
        parts = []
        for start in range(0, table.steps, AT_ONCE):
            chunk = table.chunk(0, start, AT_ONCE)
            parts.append([a.reshape(-1, *a.shape[2:])
                          for a in step.epoch(*chunk.data, rows=chunk.rows)])  # fmt: skip
        found = [np.concatenate(column)[: table.n] for column in zip(*parts, strict=True)]
        return found[0] if len(found) == 1 else found

    def train_on_batch(self, x: Any, y: Any) -> float:
        """Make one training step with a batch and return its loss."""
        arrays = self._arrays(x, y)
        _, step = self._compiled("fit", len(arrays[0]))
        return float(step(*arrays)[0])


def _positive(name: str, value: Any) -> int:
    if not isinstance(value, int | np.integer) or value < 1:
        raise NetworkError(f"{name}={value!r}: expected a whole number of at least 1")
    return int(value)


def _listed(callbacks: Any, model: Any) -> list[Callback]:
    found = [callbacks] if isinstance(callbacks, Callback) else list(callbacks or [])
    for c in found:
        if not isinstance(c, Callback):
            raise NetworkError(f"callbacks: {c!r} is no nn.Callback")
        c.model = model
    return found


def _split(arrays: list[Any], share: float) -> tuple[list[Any], list[Any]]:
    """Return the first part of the arrays, and the last as validation data."""
    n = len(arrays[0])
    at = n - int(n * share)
    if not 0 < at < n:
        raise NetworkError(f"validation_split={share!r} of {n} examples leaves a part empty")
    return [a[:at] for a in arrays], [a[at:] for a in arrays]
