"""The order of examples in an epoch, as a function of seed and epoch alone.

A permutation P is drawn by sorting random words, which costs more than a small network's steps.
So one P serves `LIFE` epochs: in each, the order is i ↦ P[P[i + a] + b] (all modulo n) with two
random shifts a and b, which is one gather. Few examples have too few shifts, and are cheap to
sort: they get a permutation of their own in every epoch. Of very many, blocks of neighbours are
permuted, so that the permutation stays small beside data larger than memory.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from graphgrad.ops.random import bits

__all__ = ["Shuffle"]

LIFE = 64
"""Epochs that are drawn at once."""
FEW = 256
"""Up to so many examples every epoch has a permutation of its own."""
MANY = 1 << 22
"""Above so many examples, blocks of neighbours stay together."""
STREAM = 0x5348_5546_464C_4500
"""What sets these seeds apart from those of layers."""


class Shuffle:
    """Orders of n examples; ``shuffle.order(epoch)`` is an int64 array.

    Args:
        n: number of examples.
        seed: of the random numbers.

    Example:
        >>> shuffle = Shuffle(5, seed=0)
        >>> sorted(shuffle.order(0).tolist())
        [0, 1, 2, 3, 4]
        >>> bool((Shuffle(5, seed=0).order(7) == shuffle.order(7)).all())
        True
    """

    def __init__(self, n: int, seed: int) -> None:
        self.rows = n
        self.block = -(-n // MANY)
        self.n, self.seed = n // self.block, (seed ^ STREAM) & (2**64 - 1)
        self._life = -1
        self._orders: Any = None  # of few examples, one row per epoch
        self._twice: Any = None  # P and P again, so that no index need be taken modulo n
        self._shifts: Any = None

    def order(self, epoch: int) -> Any:
        """Return the permutation of an epoch."""
        out = np.empty(self.rows, np.int64)
        self.write(epoch, 0, out)
        return out

    def write(self, epoch: int, start: int, out: Any) -> None:
        """Write the permutation of an epoch from place `start` on, as much as fits into `out`."""
        if self.block == 1:
            self._write(epoch, start, out)
            return
        places = np.arange(start, start + len(out))
        whole = places < self.n * self.block  # what is left over stays at the end
        blocks, inside = np.divmod(places[whole], self.block)
        order = np.empty(len(blocks) and blocks[-1] + 1 - blocks[0], np.int64)
        if len(order):
            self._write(epoch, int(blocks[0]), order)
            out[whole] = order[blocks - blocks[0]] * self.block + inside
        out[~whole] = places[~whole]

    def _write(self, epoch: int, start: int, out: Any) -> None:
        """Do so for blocks."""
        life, k = divmod(epoch, LIFE)
        if life != self._life:
            self._draw(life)
        n, stop = self.n, start + len(out)
        if n <= FEW:
            out[:] = self._orders[k, start:stop]
            return
        a, b = self._shifts[k]
        # "clip" (nothing is out of range) lets NumPy write to `out` without a copy between.
        self._twice[b : b + n].take(self._twice[a + start : a + stop], 0, out, "clip")

    def _draw(self, life: int) -> None:
        n = self.n
        if n <= FEW:
            words = bits(n * LIFE, life, self.seed).reshape(LIFE, n)
            self._orders = np.argsort(words)
        else:
            words = bits(n + 2 * LIFE, life, self.seed)
            permutation = np.argsort(words[:n])
            self._twice = np.concatenate([permutation, permutation])
            self._shifts = (words[n:] % np.uint64(n)).astype(int).reshape(-1, 2).tolist()
        self._life = life
