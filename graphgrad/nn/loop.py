"""The training loop: epochs in compiled chunks, and what happens between them.

Steps run many at a time in compiled code. A chunk ends where somebody wants to look: at the end of
an epoch when there is validation or a callback, at every batch when a callback wants batches, and
else after about a tenth of a second, for the progress bar, Ctrl-C and the search for nan.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from graphgrad.nn.callbacks import Callback, overrides
from graphgrad.nn.diagnosis import divergence
from graphgrad.nn.feeding import Chunk
from graphgrad.nn.graphs import Graph
from graphgrad.nn.history import History
from graphgrad.nn.interrupts import Interrupts

__all__ = ["Loop", "logs_of", "run_chunk"]

SECONDS = 0.08
"""How long a chunk is meant to take."""


def run_chunk(step: Any, graph: Graph, chunk: Chunk) -> list[Any]:
    """Run a compiled graph over the batches of a chunk; one array per output, a row a batch."""
    data = list(chunk.data)
    if graph.mask is not None:
        data.append(np.ones((len(chunk.sizes), graph.mask.size), np.float32)
                    if chunk.mask is None else chunk.mask)  # fmt: skip
    found: list[Any] = step.epoch(*data, rows=chunk.rows)
    return found


def logs_of(graph: Graph, totals: Any, examples: Any) -> dict[str, Any]:
    """Return loss and metrics from their sums over an epoch, or over several epochs at once.

    Args:
        graph: whose measures are meant.
        totals: shape (1 + sums, …): Σ loss · examples, then the sums of the metrics.
        examples: how many examples there were, shape (…).
    """
    logs = {"loss": totals[0] / examples}
    with np.errstate(all="ignore"):
        for m in graph.measures:
            logs[m.key] = m.metric.result(totals[1:][m.at], examples)
    return logs


class Loop:
    """One call of `fit`.

    Attributes:
        epoch, batch: where it is: epochs done, batches of the present one done.
        history: of the epochs done.
    """

    def __init__(
        self, model: Any, graph: Graph, step: Any, source: Any, epochs: range,
        callbacks: list[Callback], validate: Any, progress: Any,
    ) -> None:  # fmt: skip
        self.model, self.graph, self.step, self.source = model, graph, step, source
        self.epochs, self.callbacks, self.validate = epochs, callbacks, validate
        self.progress = progress
        self.history = History()
        self.epoch, self.batch = epochs.start, 0
        self.totals: Any = np.zeros(1 + len(graph.sums))
        self.examples = 0
        self._by_batch = [c for c in callbacks if overrides(c, "on_train_batch_end")]
        self._by_epoch = [
            c for c in callbacks
            if overrides(c, "on_epoch_end") or overrides(c, "on_epoch_begin")
        ]  # fmt: skip
        self._steps = 1
        self._kept: list[tuple[Any, Chunk, int, int]] = []

    def run(self) -> History:
        """Train until the last epoch, or until somebody stops it."""
        begin = time.perf_counter()
        self.model.stop_training = False
        with Interrupts() as interrupts, self.progress:
            while self.epoch < self.epochs.stop and not self.model.stop_training:
                if not self.batch:
                    for c in self._by_epoch:
                        c.on_epoch_begin(self.epoch)
                self._advance()
                if interrupts.seen:
                    self.model.stop_training = "interrupted"
        stopped = self.model.stop_training
        self.history.stopped = "a callback" if stopped is True else stopped or None
        self.history.seconds += time.perf_counter() - begin
        for c in self.callbacks:
            c.on_train_end(self.history)
        return self.history

    def _advance(self) -> None:
        """Run one chunk, and close the epochs that it ends."""
        whole = self._whole_epochs()
        steps = 1 if self._by_batch else self._steps
        chunk = self.source.chunk(self._key(), self.batch, steps, whole)
        if chunk is None:
            self._close(self.totals[:, None], np.array([self.examples]))
            return
        begin = time.perf_counter()
        found = self._run(chunk)
        self._resize(len(chunk.sizes), time.perf_counter() - begin)
        self._count(chunk, found, whole)
        self.progress.batches(self, len(chunk.sizes))

    def _run(self, chunk: Chunk) -> Any:
        """Return losses and sums, (1 + sums, steps), or raise when one is not finite."""
        saved = {v: v.value for v in self.graph.updates}
        self._kept = [*self._kept[-1:], (saved, chunk, self.epoch, self.batch)]
        found = np.array(run_chunk(self.step, self.graph, chunk), np.float64)
        if not np.isfinite(found[0]).all():
            raise divergence(self.graph, self.step, self._kept, found[0], self.source.steps)
        return found

    def _count(self, chunk: Chunk, found: Any, whole: int) -> None:
        found[0] *= chunk.sizes
        if whole > 1 or len(chunk.sizes) == self.source.steps:
            sums = found.reshape(len(found), whole, -1).sum(-1)
            self.batch = 0
            self._close(sums, chunk.sizes.reshape(whole, -1).sum(-1))
            return
        self.totals = self.totals + found.sum(-1)
        self.examples += int(chunk.sizes.sum())
        self.batch += len(chunk.sizes)
        for c in self._by_batch:
            c.on_train_batch_end(self.batch - 1, {"loss": found[0, -1] / chunk.sizes[-1]})
        if self.batch == self.source.steps:
            self._close(self.totals[:, None], np.array([self.examples]))

    def _close(self, totals: Any, examples: Any) -> None:
        """End one epoch, or several at once."""
        first, count = self.epoch, len(examples)
        logs = {k: np.broadcast_to(v, (count,)).tolist()
                for k, v in logs_of(self.graph, totals, examples).items()}  # fmt: skip
        if self.validate is not None:
            logs.update({f"val_{k}": [v] for k, v in self.validate().items()})
        self.epoch, self.batch, self.examples = first + count, 0, 0
        self.model.epochs_done += count
        self.totals = np.zeros_like(self.totals)
        self.history.add(first, count, logs)
        for c in self._by_epoch:
            c.on_epoch_end(first, {k: v[0] for k, v in logs.items()})
        self.progress.epoch(self, logs)

    def _whole_epochs(self) -> int:
        """Return how many whole epochs the next chunk may hold."""
        steps = self.source.steps
        alone = self._by_epoch or self._by_batch or self.validate is not None or self.batch
        if alone or not self.source.foreseen:
            return 1
        return max(1, min(self._steps // steps, self.epochs.stop - self.epoch))

    def _key(self) -> int:
        """Return the number of the present epoch among all the network was ever trained."""
        return int(self.model.epochs_done)

    def _resize(self, steps: int, seconds: float) -> None:
        """Choose the size of the next chunk from how long this one took."""
        rate = steps / max(seconds, 1e-9)
        self._steps = max(1, min(int(SECONDS * rate), 4 * steps))
