"""The training loop: epochs in compiled chunks, and what happens between them.

Steps run many at a time in compiled code. A chunk ends where somebody wants to look: at the end of
an epoch when there is validation or a callback, at every batch when a callback wants batches, and
else after about a tenth of a second, for the progress bar, Ctrl-C and the search for nan. Where it
ends changes no number.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from graphgrad.errors import CheckpointError, NetworkError
from graphgrad.nn.backup import BackupAndRestore
from graphgrad.nn.callback import Callback, overrides
from graphgrad.nn.diagnosis import Past, divergence
from graphgrad.nn.graphs import Graph
from graphgrad.nn.history import History
from graphgrad.nn.interrupts import Interrupts
from graphgrad.nn.running import logs_of, run_chunk

__all__ = ["Loop"]

SECONDS = 0.08
"""How long a chunk is meant to take, or `SHARE` times as long as saving the variables before it."""
SHARE = 40


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
        self.epochs, self.validate, self.progress = epochs, validate, progress
        self.history = History()
        self.epoch, self.batch = epochs.start, 0
        self._results: list[Any] = []  # of the present epoch: (1 + sums, steps) each
        self._sizes: list[Any] = []
        self.callbacks = callbacks
        self._backups = [c for c in callbacks if isinstance(c, BackupAndRestore)]
        self._by_batch = [c for c in callbacks if overrides(c, "on_train_batch_end")]
        self._by_epoch = [
            c for c in callbacks
            if overrides(c, "on_epoch_end") or overrides(c, "on_epoch_begin")
        ]  # fmt: skip
        self._steps = max(1, int(SECONDS * model.pace))
        self._past: list[Past] = []
        self._began = 0.0  # by the clock, less what was spent before it was taken up again

    def run(self) -> History:
        """Train until the last epoch, or until somebody stops it."""
        self._began = time.perf_counter()
        self.model.stop_training = False
        self._begin()
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
        self.history.seconds = time.perf_counter() - self._began
        for c in self.callbacks:
            c.on_train_end(self.history)
        return self.history

    def _begin(self) -> None:
        """Begin the callbacks, anew or from a backup."""
        for backup in self._backups:
            state = backup.find()
            if state is not None:
                self.restore(state)
                return
        for c in self.callbacks:
            c.on_train_begin()

    def _advance(self) -> None:
        """Run one chunk, and close the epochs that it ends."""
        whole = self._whole_epochs()
        chunk = self.source.chunk(self.model.epochs_done, self.batch, self._length(), whole)
        if chunk is None:
            if not self.batch:
                raise NetworkError(
                    "the iterable of batches is used up: give one that can be iterated again, "
                    "such as a list, or steps_per_epoch"
                )
            self._close(1)
            return
        begin = time.perf_counter()
        self._past = [*self._past[-1:], Past(self.graph, chunk, self.epoch, self.batch)]
        saved, begin = time.perf_counter() - begin, time.perf_counter()
        found = np.array(run_chunk(self.step, self.graph, chunk), np.float64)
        steps = len(chunk.sizes)
        self.model.pace = steps / (time.perf_counter() - begin + 1e-9)
        seconds = min(max(SECONDS, SHARE * saved), 1.0)
        self._steps = max(1, min(int(seconds * self.model.pace), 4 * steps))
        if not np.isfinite(found[0]).all():
            raise divergence(self.graph, self.step, self._past, found[0], self.source.steps)
        self._note(found, chunk.sizes, whole)
        self.progress.batches(self, steps)

    def _note(self, found: Any, sizes: Any, whole: int) -> None:
        """Keep the results of a chunk, tell those who want batches, end the epoch if it is over."""
        self._results.append(found)
        self._sizes.append(sizes)
        self.batch += len(sizes)
        for c in self._by_batch:
            c.on_train_batch_end(self.batch - 1, {"loss": float(found[0, -1])})
        if self.source.steps is not None and self.batch == whole * self.source.steps:
            self._close(whole)
            return
        for c in self._backups:
            c.save_batch(self.batch)

    def _close(self, count: int) -> None:
        """End one epoch, or several at once."""
        found, sizes = np.concatenate(self._results, -1), np.concatenate(self._sizes)
        found[0] *= sizes
        totals = np.ascontiguousarray(found.reshape(len(found), count, -1)).sum(-1)
        examples = sizes.reshape(count, -1).sum(-1)
        measured = logs_of(self.graph, totals, examples)
        logs = {k: np.broadcast_to(v, (count,)).tolist() for k, v in measured.items()}
        if self.validate is not None:
            logs.update({f"val_{k}": [v] for k, v in self.validate().items()})
        first = self.epoch
        self.epoch, self.batch = first + count, 0
        self._results, self._sizes = [], []
        self.model.epochs_done += count
        if self._by_epoch:
            shared = {k: v[0] for k, v in logs.items()}  # callbacks may add numbers of their own
            for c in self._by_epoch:
                c.on_epoch_end(first, shared)
            logs = {k: [v] for k, v in shared.items()}
        self.history.add(first, count, logs)
        for c in self._backups:
            c.save_epoch()
        self.progress.epoch(self, logs)

    def _whole_epochs(self) -> int:
        """Return how many whole epochs the next chunk may hold."""
        looked_at = self._by_epoch or self._by_batch or self._backups or self.validate
        if looked_at or self.batch or not self.source.foreseen:
            return 1
        return max(1, min(self._steps // self.source.steps, self.epochs.stop - self.epoch))

    def _length(self) -> int:
        """Return how many batches the next chunk may hold."""
        if self._by_batch:
            return 1
        return min([self._steps, *(c.batches_left(self.batch) for c in self._backups)])

    # -- saved and taken up again ------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return where the training is, as plain data and arrays."""
        return {
            "epoch": self.epoch,
            "batch": self.batch,
            "results": self._results,
            "sizes": self._sizes,
            "history": self.history.history,
            "epochs": self.history.epoch,
            "seconds": time.perf_counter() - self._began,
            "stop": self.model.stop_training,
            "callbacks": [[type(c).__name__, c.state()] for c in self.callbacks],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up what `state` returned.

        Raises:
            CheckpointError: when there were other callbacks.
        """
        kinds = [type(c).__name__ for c in self.callbacks]
        saved = [name for name, _ in state["callbacks"]]
        if saved != kinds:
            raise CheckpointError(
                f"the training was saved with callbacks {', '.join(saved)}, and is taken up with "
                f"{', '.join(kinds)}: give the same ones, or remove the file"
            )
        self.epoch, self.batch = int(state["epoch"]), int(state["batch"])
        self._results, self._sizes = list(state["results"]), list(state["sizes"])
        self.history.history = {k: list(v) for k, v in state["history"].items()}
        self.history.epoch = list(state["epochs"])
        self._began -= float(state["seconds"])
        self.model.stop_training = state["stop"]
        for c, (_, own) in zip(self.callbacks, state["callbacks"], strict=True):
            c.restore(own)
