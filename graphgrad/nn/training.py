"""Fitting, evaluating and predicting: what a network does with data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graphgrad.errors import NetworkError
from graphgrad.nn.callback import Callback
from graphgrad.nn.compiled import Compiled
from graphgrad.nn.goals import input_slots
from graphgrad.nn.history import History
from graphgrad.nn.loop import Loop
from graphgrad.nn.progress import progress_for
from graphgrad.nn.running import logs_of, run_chunk
from graphgrad.nn.sources import Stream, Table

__all__ = ["Trainable"]

BATCH = 32
"""The size of batches when nobody says."""
AT_ONCE = 1024
"""Batches of one compiled call of `evaluate` and `predict`."""


class Trainable(Compiled):
    """A network that learns from data, and answers."""

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
            shuffle: whether each epoch has an order of its own; of more than four million
                examples, blocks of neighbours stay together.
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
        if not isinstance(epochs, int | np.integer) or epochs < 0:
            raise NetworkError(f"epochs={epochs!r}: expected a whole number of at least 0")
        source: Table | Stream
        held, weighted = None, sample_weight is not None or class_weight is not None
        if y is None:
            source, weighted = self._stream(x, steps_per_epoch, batch_size)
        else:
            arrays = self._arrays(x, y, sample_weight, class_weight)
            if validation_split and validation_data is None:
                arrays, held = _split(arrays, validation_split)
            batch = min(_positive("batch_size", batch_size or BATCH), len(arrays[0]))
            source = Table(arrays, self._dtypes(weighted), batch, shuffle, self.seed)
        validate = self._validation(held, weighted, validation_data)
        self._batch, self._example = source.batch, source.example
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

    def _validation(self, arrays: list[Any] | None, weighted: bool, given: Any) -> Any:
        """Return a function that evaluates the validation data; None without any."""
        if given is not None:
            if not isinstance(given, tuple | list) or len(given) not in (2, 3):
                raise NetworkError("validation_data: expected a tuple (x, y) or (x, y, weight)")
            arrays, weighted = self._arrays(*given), len(given) > 2
        if arrays is None:
            return None
        return lambda: self._evaluated(arrays, weighted, self._batch)

    def _evaluated(self, arrays: list[Any], weighted: bool, batch: int | None) -> dict[str, float]:
        table = Table(arrays, self._dtypes(weighted), batch or self._batch or BATCH)
        graph, step = self._compiled("evaluate", table.batch, not table.full, weighted)
        totals: Any = 0.0
        for chunk in table.chunks(AT_ONCE):
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
        arrays = self.input_arrays(x)
        table = Table(
            arrays, [s.dtype for s in input_slots(self)], batch_size or self._batch or BATCH
        )
        _, step = self._compiled("predict", table.batch)
        parts = []
        for chunk in table.chunks(AT_ONCE):
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
