"""The sides of an epoch's memory on the device, and what fills them from the data here."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from graphgrad.compiler.cuda.memory import Staging
from graphgrad.compiler.cuda.replay import Replay
from graphgrad.compiler.feeding import Feed
from graphgrad.dtypes import Dtype

__all__ = ["Side", "bytes_of", "picked", "sliced"]


@dataclass
class Side:
    """Device memory for some steps.

    Attributes:
        by_rows: for each input, whether its batches are rows picked from a table.
        sizes: entries of each array, and their types.
        arrays: for each input its data, for each output its results, then the rows of each batch
            and the number of the step.
        sent, computed: what waits for the data to be there, and for the last step.
        tables: read-only arrays that are there already.
    """

    by_rows: tuple[bool, ...]
    sizes: list[tuple[int, Dtype]]
    arrays: list[Any]
    sent: Any
    computed: Any
    replay: Replay | None = None
    tables: dict[int, weakref.ref[Any]] = field(default_factory=dict)

    @property
    def data(self) -> list[Any]:
        """The arrays of the inputs."""
        return self.arrays[: len(self.by_rows)]

    @property
    def results(self) -> list[Any]:
        """The arrays of the outputs."""
        return self.arrays[len(self.by_rows) : -2]

    def lacks(self, sizes: list[tuple[int, Dtype]]) -> list[int]:
        """Return the numbers of the arrays that are smaller than these."""
        pairs = zip(sizes, self.sizes, strict=True)
        return [k for k, ((wanted, _), (there, _)) in enumerate(pairs) if wanted > there]

    def send_table(self, k: int, table: Any, up: Staging) -> None:
        """Send an input's table, unless it is one that cannot change and is there already."""
        there = self.tables.pop(k, None)
        if table.flags.writeable or there is None or there() is not table:
            up.put(self.data[k], table)
        if not table.flags.writeable:
            self.tables[k] = weakref.ref(table)


def bytes_of(sizes: Sequence[tuple[int, Dtype]]) -> int:
    """Return the bytes of arrays of so many entries of these types."""
    return sum(count * dtype.itemsize for count, dtype in sizes)


def sliced(feed: Feed, k: int, begin: int) -> Callable[[int, int, Any], None]:
    """Return what writes batches of an input, given one after the other, into a room."""

    def write(first: int, last: int, room: Any) -> None:
        np.copyto(room, feed.data[k][begin + first : begin + last].reshape(-1))

    return write


def picked(feed: Feed, k: int, begin: int) -> Callable[[int, int, Any], None]:
    """Return what picks the rows of batches out of a table, and writes them into a room."""
    table = feed.data[k]

    def write(first: int, last: int, room: Any) -> None:
        rows = feed.rows[begin + first : begin + last].reshape(-1)
        # all rows are in bounds; with "raise" NumPy would write into a copy first
        table.take(rows, 0, room.reshape(len(rows), *table.shape[1:]), "clip")

    return write
