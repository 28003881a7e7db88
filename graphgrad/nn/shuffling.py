"""The order of examples in an epoch, as a function of seed and epoch alone.

A permutation P is drawn by sorting random words, which costs more than a small network's steps.
So one P serves `LIFE` epochs: in each, the order is i ↦ P[P[i + a] + b] (all modulo n) with two
random shifts a and b, which is one gather.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from graphgrad.ops.random import bits

__all__ = ["Shuffle"]

LIFE = 32
"""Epochs that share a permutation."""
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
        self.n, self.seed = n, (seed ^ STREAM) & (2**64 - 1)
        self._life = -1
        self._twice: Any = None
        self._shifts: Any = None

    def order(self, epoch: int) -> Any:
        """Return the permutation of an epoch."""
        life, k = divmod(epoch, LIFE)
        if life != self._life:
            self._draw(life)
        a, b = self._shifts[k]
        n, twice = self.n, self._twice
        return np.take(twice[b : b + n], twice[a : a + n])

    def _draw(self, life: int) -> None:
        words = bits(self.n + 2 * LIFE, life, self.seed)
        permutation = np.argsort(words[: self.n], kind="stable")
        self._twice = np.concatenate([permutation, permutation])
        self._shifts = (words[self.n :] % np.uint64(max(self.n, 1))).astype(int).reshape(-1, 2)
        self._shifts = self._shifts.tolist()
        self._life = life
