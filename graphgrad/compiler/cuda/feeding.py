"""Epochs on the device: what fits is there as a whole, larger data come in parts.

Parts have two sides of memory. While the device computes on one side, the part after it is cut out
of the data here, and what has been cut is on its way to the other side, on a stream of its own;
results come back on a third. The memory stays for the next epoch, and so do the recorded launches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphgrad.compiler.cuda.epoch import shares
from graphgrad.compiler.cuda.launches import Written
from graphgrad.compiler.cuda.memory import Staging, allocate, free, release
from graphgrad.compiler.cuda.replay import Replay
from graphgrad.compiler.cuda.sides import Side, bytes_of, picked, sliced
from graphgrad.compiler.cuda.text import Text
from graphgrad.compiler.feeding import Feed
from graphgrad.compiler.program import Program
from graphgrad.dtypes import INT64, Dtype

__all__ = ["Epochs"]

SHARE = 0.5
"""Share of the device's free memory that an epoch may take."""
PART = 1 << 28
"""Bytes of a part: enough to keep the device busy, and little beside its memory."""
STEPS = 512
"""Steps of a part: the driver queues about twice as many launches, then it makes this side wait."""


class Epochs:
    """The part of the runtime that feeds it with whole epochs."""

    program: Program
    text: Text
    _cuda: Any
    _stream: Any
    _arenas: dict[Dtype, Any]
    _loaded: Callable[[Written], list[Callable[..., None]]]
    _recorded: Callable[[Callable[[], None]], Replay | None]
    _step: Callable[[], None]
    _finish: Callable[[], None]

    def _begin_epochs(self) -> None:
        """Set up what is needed once."""
        self._up = Staging(self._cuda, self._cuda.stream())
        self._down = Staging(self._cuda, self._cuda.stream())
        self._around: dict[tuple[bool, ...], list[Callable[..., None]]] = {}
        self._ran: set[tuple[bool, ...]] = set()
        self._sides: list[Side] = []
        self._asked: Any = None
        self._at_once = 0

    def epoch(self, feed: Feed) -> list[Any]:
        """Run once per batch and return the outputs of all steps, one below the other."""
        feed = feed.listed()
        results = [np.empty((feed.steps, *n.shape), n.dtype) for n in self.program.outputs]
        if not feed.steps:
            return results
        self._cuda.current_context()  # of this thread, whichever it is
        at_once = self._prepared(feed)
        running: tuple[Side, int, int] | None = None
        for k, first in enumerate(range(0, feed.steps, at_once)):
            side, last = self._sides[k % len(self._sides)], min(first + at_once, feed.steps)
            self._send(side, feed, first, last)
            self._compute(side, last - first)
            if running:
                self._collect(results, *running)
            running = side, first, last
        if running:
            self._collect(results, *running)
        self._finish()
        return results

    # -- memory ----------------------------------------------------------------------------------

    def _prepared(self, feed: Feed) -> int:
        """Have memory for an epoch, that of the last one if it will do.

        Returns:
            How many steps are computed at once: all whose data are there as a whole.
        """
        whole, by_rows = self._sizes(feed, feed.steps, feed.by_rows), tuple(feed.by_rows)
        if len(self._sides) == 1 and self._fits(self._sides[0], whole, by_rows):
            return feed.steps
        if len(self._sides) == 2 and self._asked == whole:
            return self._at_once
        self._sides, self._asked = [], whole
        release(self._cuda)
        room = free(self._cuda)[0] * SHARE
        if bytes_of(whole) <= room:
            self._sides = [self._side(by_rows, whole)]
            return feed.steps
        cut = (False,) * len(by_rows)
        each = bytes_of(self._sizes(feed, 1, cut))
        self._at_once = max(1, min(STEPS, feed.steps, int(min(PART, room / 2) / each)))
        part = self._sizes(feed, self._at_once, cut)
        self._sides = [self._side(cut, part) for _ in range(2)]
        return self._at_once

    def _fits(self, side: Side, sizes: list[tuple[int, Dtype]], by_rows: tuple[bool, ...]) -> bool:
        """Return whether an epoch fits into what is there; tables stay, more steps get room."""
        if side.by_rows != by_rows:
            return False
        lacking = side.lacks(sizes)
        if not lacking or any(by_rows[k] for k in lacking if k < len(by_rows)):
            return not lacking
        steps = [k for k in range(len(sizes)) if not (k < len(by_rows) and by_rows[k])]
        if bytes_of([sizes[k] for k in steps]) > free(self._cuda)[0] * SHARE:
            return False
        self._make_room(side, sizes, steps)
        return True

    def _make_room(self, side: Side, sizes: list[tuple[int, Dtype]], which: list[int]) -> None:
        """Have new memory for some of the arrays of a side."""
        found = allocate(self._cuda, [sizes[k] for k in which])
        for k, array in zip(which, found, strict=True):
            side.arrays[k], side.sizes[k] = array, sizes[k]
        side.replay = None

    def _sizes(self, feed: Feed, steps: int, by_rows: Sequence[bool]) -> list[tuple[int, Dtype]]:
        """Return entries and types of the arrays that so many steps need."""
        ends = zip(feed.data, by_rows, self.program.inputs, strict=True)
        data = [(x.size if rows else steps * n.size, n.dtype) for x, rows, n in ends]
        results = [(steps * n.size, n.dtype) for n in self.program.outputs]
        rows = feed.rows.size if any(by_rows) else 0
        return [*data, *results, (rows, INT64), (1, INT64)]

    def _side(self, by_rows: tuple[bool, ...], sizes: list[tuple[int, Dtype]]) -> Side:
        if by_rows not in self._around:
            self._around[by_rows] = self._loaded(self.text.epoch(by_rows))
        side = Side(by_rows, list(sizes), [None] * len(sizes), self._cuda.event(),
                    self._cuda.event())  # fmt: skip
        tables = [k for k, rows in enumerate(by_rows) if rows]
        self._make_room(side, sizes, tables)
        self._make_room(side, sizes, [k for k in range(len(sizes)) if k not in tables])
        return side

    # -- one part --------------------------------------------------------------------------------

    def _send(self, side: Side, feed: Feed, first: int, last: int) -> None:
        """Send the data of some steps as soon as nobody reads what was there before."""
        side.computed.wait(self._up.stream)
        for k, (x, node) in enumerate(zip(feed.data, self.program.inputs, strict=True)):
            if side.by_rows[k]:
                side.send_table(k, x, self._up)
            elif node.size:
                write = picked if feed.by_rows[k] else sliced
                self._up.send(side.data[k], last - first, node.size, write(feed, k, first))
        if any(side.by_rows):
            self._up.put(side.arrays[-2], feed.rows)
        self._up.put(side.arrays[-1], np.zeros(1, np.int64))
        side.sent.record(self._up.stream)
        side.sent.wait(self._stream)

    def _compute(self, side: Side, steps: int) -> None:
        """Launch some steps; from the second on that this process makes, as a CUDA graph."""
        *around, tick = self._around[side.by_rows]
        data, results, counters = shares(side.data), shares(side.results), side.arrays[-2:]
        fed, kept = around[: len(data)], around[len(data) :]
        arenas = tuple(self._arenas.values())

        def one() -> None:
            for feed, share in zip(fed, data, strict=True):
                feed(*arenas, *share, *counters)
            self._step()
            for keep, share in zip(kept, results, strict=True):
                keep(*arenas, *share, *counters)
            tick(*arenas, *counters)

        for _ in range(steps):
            if side.replay is None and side.by_rows in self._ran:
                side.replay = self._recorded(one)
            (side.replay or one)()
            self._ran.add(side.by_rows)
        side.computed.record(self._stream)

    def _collect(self, results: Sequence[Any], side: Side, first: int, last: int) -> None:
        """Wait for some steps and put their outputs where they belong."""
        side.computed.wait(self._down.stream)
        self._down.fetch(
            (place, whole[first:last].reshape(-1))
            for place, whole in zip(side.results, results, strict=True)
        )
