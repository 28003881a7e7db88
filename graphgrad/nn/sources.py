"""Where batches come from: a table of whole arrays, or an iterable of batches.

Both hand out chunks: several batches of one size, ready for a compiled epoch. A table may be
memory-mapped and larger than memory; it gives row numbers, and nobody copies it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphgrad.compiler.orders import Order
from graphgrad.errors import NetworkError, ShapeError
from graphgrad.nn.feeding import Slot, array_for

__all__ = ["Chunk", "Stream", "Table", "parts_of"]

STREAM = 0x5348_5546_464C_4500
"""What sets the seeds of orders apart from those of layers."""
CONVERTED = 1 << 25
"""Bytes of a chunk that is converted from a map of another type."""


@dataclass(frozen=True)
class Chunk:
    """Some batches in a row.

    Attributes:
        data: one array per input, target and weight, as `Executor.epoch` takes them.
        rows: which rows make each batch; None when `data` is batch by batch.
        mask: (steps, batch), 1 for examples; None when all rows are.
        sizes: how many examples each batch has.
    """

    data: list[Any]
    rows: Order | None
    mask: Any
    sizes: Any

    def batch(self, step: int) -> list[Any]:
        """Return the arrays of one batch."""
        if self.rows is None:
            return [a[step] for a in self.data]
        return [a[self.rows[step]] for a in self.data]


class Table:
    """Whole arrays, of one length, in batches.

    Args:
        arrays: one per input, target and weight, in the order of a graph's `feeds`.
        dtypes: what they are to be.
        batch: rows of a batch.
        shuffle: whether each epoch has an order of its own.
        seed: of the orders.

    Attributes:
        steps: batches of an epoch.
        full: whether all batches are.
        foreseen: whether several epochs may be taken at once.
    """

    def __init__(
        self, arrays: Sequence[Any], dtypes: Sequence[Any], batch: int,
        shuffle: bool = False, seed: int = 0,
    ) -> None:  # fmt: skip
        self.arrays, self.dtypes, self.batch = list(arrays), list(dtypes), batch
        self.n = len(arrays[0])
        for array in arrays:
            if len(array) != self.n:
                lengths = " and ".join(str(len(a)) for a in arrays)
                raise ShapeError(f"arrays of {lengths} examples: expected equal numbers")
        if not self.n:
            raise ShapeError("no examples: the arrays are empty")
        self._order = Order(self.n, batch, seed ^ STREAM if shuffle else None)
        self.steps = self._order.per_epoch
        self.full = self.n % batch == 0
        self._fixed = [_read_only(a) for a in self.arrays]
        self.example = [np.array(a[:1]) for a in arrays]
        pairs = list(zip(self.arrays, self.dtypes, strict=True))
        self._direct = self.foreseen = all(a.dtype == d for a, d in pairs)
        size = sum(batch * d.itemsize * (a.size // self.n) for a, d in pairs)
        self._most = self.steps if self._direct else max(1, CONVERTED // size)

    def chunk(self, epoch: int, start: int, steps: int, epochs: int = 1) -> Chunk:
        """Return batches `start` … of an epoch, or the whole of several epochs.

        Maps of another type are converted, and then there may be fewer batches than asked for.
        """
        stop = min(start + min(steps, self._most), self.steps)
        rows = self._order.part(epoch * self.steps + start, epochs * (stop - start))
        sizes = np.full(len(rows), self.batch)
        mask = None
        if not self.full:
            mask = np.ones((len(rows), self.batch), np.float32)
            if stop == self.steps:
                last = slice(stop - start - 1, None, stop - start)
                sizes[last] = self.n % self.batch
                mask[last, self.n % self.batch :] = 0
        if self._direct:
            return Chunk(self._fixed, rows, mask, sizes)
        numbers = rows.array()
        picked = [
            np.asarray(a[numbers.reshape(-1)], d).reshape(*numbers.shape, *a.shape[1:])
            for a, d in zip(self.arrays, self.dtypes, strict=True)
        ]
        return Chunk(picked, None, mask, sizes)

    def chunks(self, steps: int) -> Iterator[Chunk]:
        """Yield all batches, so many at a time."""
        start = 0
        while start < self.steps:
            chunk = self.chunk(0, start, steps)
            start += len(chunk.sizes)
            yield chunk


def _read_only(array: Any) -> Any:
    """Return a view that cannot be written to: what is the same in every epoch is sent once."""
    view = np.asarray(array).view()
    view.flags.writeable = False
    return view


class Stream:
    """An iterable of batches: (x, y) or (x, y, weight) each, iterated anew every epoch.

    Args:
        batches: the iterable; x and y may be tuples, for several inputs or outputs.
        slots: of inputs and targets, in order.
        inputs: how many of the slots are inputs.
        batch: rows of a full batch; smaller ones are filled up.
        weighted: whether there are weights.
        limit: batches of an epoch; None for all.
    """

    full = False
    foreseen = False

    def __init__(
        self, batches: Iterable[Any], slots: Sequence[Slot], inputs: int, batch: int,
        weighted: bool, limit: int | None = None,
    ) -> None:  # fmt: skip
        self.slots, self.inputs, self.batch, self.weighted = list(slots), inputs, batch, weighted
        self.steps = limit
        self._batches = batches
        self._iterator: Iterator[Any] | None = None
        self.example: list[Any] = []
        self._place = (-1, 0)

    def chunk(self, epoch: int, start: int, steps: int, epochs: int = 1) -> Chunk | None:
        """Return the next batches, or None when the epoch is over."""
        self._go_to(epoch, start)
        assert self._iterator is not None
        found = []
        for _ in range(steps if self.steps is None else min(steps, self.steps - start)):
            item = next(self._iterator, None)
            if item is None:
                break
            found.append(self._filled(item))
        self._place = (epoch, start + len(found))
        if not found:
            return None
        columns = [np.stack(column) for column in zip(*[f[0] for f in found], strict=True)]
        sizes = np.array([f[1] for f in found])
        mask = (np.arange(self.batch) < sizes[:, None]).astype(np.float32)
        return Chunk(columns, None, mask, sizes)

    def _go_to(self, epoch: int, start: int) -> None:
        """Begin an epoch, or skip what a resumed one has seen."""
        if self._place == (epoch, start) and self._iterator is not None:
            return
        again = iter(self._batches)
        once = again is self._batches
        if self._iterator is None or not once:
            self._iterator = again
            for _ in range(start):
                next(self._iterator, None)
        self._place = (epoch, start)

    def _filled(self, item: Any) -> tuple[list[Any], int]:
        parts = parts_of(item, self.inputs, len(self.slots), self.weighted)
        arrays = [array_for(s, a) for s, a in zip(self.slots, parts, strict=False)]
        if self.weighted:
            arrays.append(np.asarray(parts[-1], np.float32).reshape(-1))
        n = len(arrays[0])
        if not 0 < n <= self.batch or any(len(a) != n for a in arrays):
            lengths = ", ".join(str(len(a)) for a in arrays)
            raise ShapeError(
                f"a batch of {lengths} rows: expected equal numbers, from 1 to {self.batch}, the "
                f"number of the first batch"
            )
        rows = np.resize(np.arange(n), self.batch)
        return [np.asarray(a)[rows] for a in arrays], n


def parts_of(item: Any, inputs: int, slots: int, weighted: bool) -> list[Any]:
    """Return one batch of an iterable as a flat list: inputs, targets, weights.

    Raises:
        NetworkError: when it is no tuple of the right length.
    """
    expected = 2 + weighted
    if not isinstance(item, tuple | list) or len(item) != expected:
        raise NetworkError(
            f"a batch is a {type(item).__name__}; expected a tuple (x, y{', weight' * weighted})"
        )
    parts: list[Any] = []
    for given, number in zip(item, (inputs, slots - inputs, 1)):
        parts += [given] if number == 1 else list(given)
    return parts
