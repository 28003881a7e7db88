"""Orders of rows: which rows of a table make each batch, drawn while the epoch runs.

A shuffled epoch is a permutation that is a function of seed and epoch alone: Fisher and Yates'
shuffle from the front (Knuth, The Art of Computer Programming, vol. 2, 3.4.2, algorithm P), whose
i-th choice is the i-th word of SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable
pseudorandom number generators", OOPSLA), begun with a word of Philox for the epoch. What lies
before a place is final, so a batch draws its own rows and no more; compiled epochs do so between
their steps, the same integers as here. Of very many rows, blocks of neighbours are permuted, so
that the permutation stays small beside data larger than memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from graphgrad.errors import ShapeError
from graphgrad.ops.random import bits

__all__ = ["ROOM", "Order", "compiled"]

MANY = 1 << 22
"""Above so many rows, blocks of neighbours stay together."""
ROWS, BATCH, PER_EPOCH, SHUFFLED, SEED, BLOCK, BLOCKS, EPOCH, KEY, DONE, ROOM = range(11)
"""Where things stand in an order's table: what was given, how far the permutation is drawn, and
from `ROOM` on the rows of a batch, then the permutation."""
GAMMA = 0x9E3779B97F4A7C15
MIX = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)


class Order:
    """The row numbers of batches, epoch after epoch.

    An epoch has one batch more than `rows` // `batch` when some are left over; that one is filled
    up with the first rows of the epoch. With `drop`, what is left over is not part of the epoch.

    Args:
        rows: of the tables.
        batch: rows of a batch.
        seed: of the permutations; None for rows as they stand.
        first: number of the first batch, counted from that of epoch 0.
        steps: number of batches; one epoch by default.
        drop: whether a last batch that is not full is left out.

    Raises:
        ShapeError: when an epoch has no batch.

    Example:
        >>> order = Order(5, 2, seed=0)
        >>> len(order), sorted(set(order.array().ravel().tolist()))
        (3, [0, 1, 2, 3, 4])
        >>> Order(5, 2)[2].tolist()
        [4, 0]
    """

    def __init__(
        self, rows: int, batch: int, seed: int | None = None, first: int = 0,
        steps: int | None = None, drop: bool = False,
    ) -> None:  # fmt: skip
        self.per_epoch = rows // batch if drop and batch else -(-rows // max(batch, 1))
        if not self.per_epoch or not batch:
            raise ShapeError(f"{rows} rows given, expected at least {max(batch, 1)}: one batch")
        self.first, self.steps = first, self.per_epoch if steps is None else steps
        self.rows, self.batch = rows, batch
        block = -(-rows // MANY)
        blocks = rows // block if seed is not None else 0
        word = np.uint64((seed or 0) & 0xFFFFFFFFFFFFFFFF)
        self.table = np.empty(ROOM + batch + blocks, np.int64)
        self.table[:ROOM] = (
            rows, batch, self.per_epoch, seed is not None, word.view(np.int64), block, blocks,
            -1, 0, 0,
        )  # fmt: skip

    def part(self, first: int, steps: int) -> Order:
        """Return other batches of the same epochs; what is drawn already serves both."""
        found = object.__new__(Order)
        found.__dict__.update(self.__dict__, first=first, steps=steps)
        return found

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, at: Any) -> Any:
        """Return the rows of one batch, int64 of shape (batch,), or some batches as an `Order`."""
        if isinstance(at, slice):
            start, stop, _ = at.indices(self.steps)
            return self.part(self.first + start, max(stop - start, 0))
        if not 0 <= at < self.steps:
            raise IndexError(at)
        _pick(self.table, self.first + at)
        return self.table[ROOM : ROOM + self.batch].copy()

    def __iter__(self) -> Iterator[Any]:
        return (self[k] for k in range(self.steps))

    def array(self, pick: Callable[[Any, int], None] | None = None) -> Any:
        """Return all row numbers, int64 of shape (steps, batch).

        Args:
            pick: what draws a batch; `compiled().pick` is faster.
        """
        found = np.empty((self.steps, self.batch), np.int64)
        for k, out in enumerate(found):
            (pick or _pick)(self.table, self.first + k)
            out[...] = self.table[ROOM : ROOM + self.batch]
        return found


def _pick(table: Any, step: int) -> None:
    """Write the rows of a batch into an order's room; as `SOURCE` does."""
    epoch, at = divmod(step, int(table[PER_EPOCH]))
    rows, batch, block, blocks = (int(table[k]) for k in (ROWS, BATCH, BLOCK, BLOCKS))
    places = (at * batch + np.arange(batch)) % rows
    if table[SHUFFLED]:
        wanted = places[places < blocks * block] // block
        order = _drawn(table, epoch, int(wanted.max()) + 1 if len(wanted) else 0)
        moved = places < blocks * block  # what is left over stays at the end
        places[moved] = order[wanted] * block + places[moved] % block
    table[ROOM : ROOM + batch] = places


def _drawn(table: Any, epoch: int, stop: int) -> Any:
    """Draw an epoch's permutation up to a place and return it."""
    order, words = table[ROOM + int(table[BATCH]) :], table.view(np.uint64)
    if table[EPOCH] != epoch:
        order[...] = np.arange(len(order))
        words[KEY] = bits(1, epoch, int(words[SEED]))[0]
        table[EPOCH], table[DONE] = epoch, 0
    start = int(table[DONE])
    if stop > start:
        places = np.arange(start, stop)
        shares = (_words(words[KEY], places) >> np.uint64(11)).astype(np.float64) * 2.0**-53
        chosen = (places + (shares * (len(order) - places)).astype(np.int64)).tolist()
        entries = memoryview(order)  # as Python's integers, which are quicker one by one
        for i, j in zip(range(start, stop), chosen, strict=True):
            entries[i], entries[j] = entries[j], entries[i]
        table[DONE] = stop
    return order


def _words(key: Any, places: Any) -> Any:
    """Return a random 64-bit word for each place."""
    word = key + places.astype(np.uint64) * np.uint64(GAMMA)
    word = (word ^ (word >> np.uint64(30))) * np.uint64(MIX[0])
    word = (word ^ (word >> np.uint64(27))) * np.uint64(MIX[1])
    return word ^ (word >> np.uint64(31))


SOURCE = f'''
@njit(cache=True)
def draw(order, epoch, stop):
    """Draw an epoch's permutation up to a place."""
    blocks, batch = order[{BLOCKS}], order[{BATCH}]
    room = order[{ROOM}:]
    places = room[batch:]
    if order[{EPOCH}] != epoch:
        for i in range(blocks):
            places[i] = i
        key, _ = philox(np.uint64(0), np.uint64(epoch), np.uint64(order[{SEED}]))
        order[{EPOCH}], order[{KEY}], order[{DONE}] = epoch, int64(key), 0
    key = np.uint64(order[{KEY}])
    while order[{DONE}] < stop:
        begin = order[{DONE}]
        count = min(stop - begin, batch)
        for i in range(count):
            word = key + np.uint64(begin + i)*np.uint64({GAMMA})
            word = (word ^ (word >> np.uint64(30)))*np.uint64({MIX[0]})
            word = (word ^ (word >> np.uint64(27)))*np.uint64({MIX[1]})
            share = float64((word ^ (word >> np.uint64(31))) >> np.uint64(11))*2.0**-53
            room[i] = begin + i + int64(share*float64(blocks - begin - i))
        for i in range(count):
            chosen = room[i]
            places[begin + i], places[chosen] = places[chosen], places[begin + i]
        order[{DONE}] = begin + count


@njit("void(int64[::1], int64)", cache=True)
def pick(order, step):
    """Write the rows of a batch into an order's room."""
    rows, batch, per_epoch = order[{ROWS}], order[{BATCH}], order[{PER_EPOCH}]
    block, blocks, room = order[{BLOCK}], order[{BLOCKS}], order[{ROOM}:]
    at = step % per_epoch * batch
    if order[{SHUFFLED}] == 0:
        for i in range(batch):
            room[i] = at + i if at + i < rows else (at + i) % rows
        return
    draw(order, step // per_epoch, min((at + batch + block - 1) // block, blocks))
    places = room[batch:]
    if block == 1 and at + batch <= rows:
        for i in range(batch):
            room[i] = places[at + i]
        return
    for i in range(batch):
        place = (at + i) % rows
        room[i] = place
        if place < blocks*block:
            room[i] = places[place // block]*block + place % block


@cfunc("void(int64, int64, int64)", cache=True)
def next_rows(step, _, order):
    """Write the rows of a batch into the room of an order at an address."""
    settings = memory(order, {ROOM}, int64)
    size = {ROOM} + settings[{BATCH}] + settings[{BLOCKS}]
    pick(carray(memory(order, size, int64), size), step)
'''


def compiled() -> Any:
    """Return the module of the same as compiled code: `pick(table, step)`, `next_rows.address`."""
    from graphgrad.compiler.cache import load, name_of
    from graphgrad.compiler.helpers import HELPERS

    load(HELPERS)
    names = "carray, cfunc, float64, int64, memory, njit, np, philox"
    return load(f"from {name_of(HELPERS)} import {names}\n\n{SOURCE}")
