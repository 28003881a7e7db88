"""Sorting in CUDA text: indices in the order of their places, equal ones in their own order.

A key is a place and, below it, the number of its index: no two are equal, so there is one sorted
order, whatever thread comes first. A block sorts as many keys as it has threads, each of which
counts the smaller ones. Then sorted runs are merged, many at a time: a key finds its rank in every
other run by halving, which gives its rank in all of them. So n keys take log n / log 16 launches.
"""

from __future__ import annotations

from collections.abc import Callable

from graphgrad.compiler.cuda.pen import Piece
from graphgrad.compiler.cuda.rows import CudaRows
from graphgrad.dtypes import INT64

__all__ = ["ORDINAL", "CudaSorting"]

ORDINAL = 2**32 - 1
"""The bits of a key that are the number of its index."""
WAYS = 16
"""Runs that are merged at once."""


class CudaSorting(CudaRows):
    """Writes sorts."""

    def sorting(
        self, count: int, place: Callable[[int, str], None]
    ) -> tuple[list[list[Piece]], str]:
        """Return the stages that sort keys, and the text of where they are.

        Args:
            count: how many.
            place: writes, at a depth, the `place` of the index of a number.
        """
        at = [f"scratch_i64 + {self.scratch(INT64, count)}" for _ in range(2)]
        stages, run = [[self._runs(count, place, at[0])]], self.grid.threads
        while run < count:
            stages.append([self._merged(count, run, *at)])
            at.reverse()
            run *= WAYS
        return stages, at[0]

    def _runs(self, count: int, place: Callable[[int, str], None], to: str) -> Piece:
        """Return the piece that sorts runs of a block's length."""
        threads = self.grid.threads
        self.begin()
        self.emit(0, f"first = u32(block*{threads} + thread)")
        self.emit(0, f"mine = int64({2**63 - 1})")
        self.emit(0, f"if first < {count}:")
        place(1, "first")
        self.emit(1, "mine = (place << 32) + int64(first)")
        self.emit(0, f"keys = cuda.shared.array({threads}, int64)")
        self.emit(0, "keys[thread] = mine")
        self.emit(0, "cuda.syncthreads()")
        self.emit(0, "rank = u32(0)")
        self.emit(0, f"for other in range({threads}):")
        self.emit(1, "rank = u32(rank + (keys[other] < mine))")
        self.emit(0, f"if first < {count}:")
        self.emit(1, f"i64[{to} + block*{threads} + rank] = mine")
        return self.piece(-(-count // threads), 8 * threads)

    def _merged(self, count: int, run: int, source: str, to: str) -> Piece:
        """Return the piece that merges runs."""
        self.begin()
        blocks, depth = self.each(count)
        self.emit(depth, f"mine, first = i64[{source} + t], u32(t // {run * WAYS} * {run * WAYS})")
        self.emit(depth, f"rank = u32(first + t % {run})")
        self.emit(depth, f"for other in range({WAYS}):")
        self.emit(depth + 1, f"begin = u32(first + {run}*other)")
        self.emit(depth + 1, f"if begin < {count} and begin != t // {run} * {run}:")
        self.emit(depth + 2, f"row, end = begin, u32(min(begin + {run}, {count}))")
        self.searched(depth + 2, source, "row", "end", "mine")
        self.emit(depth + 2, "rank = u32(rank + row - begin)")
        self.emit(depth, f"i64[{to} + rank] = mine")
        self.again(count, blocks)
        return self.piece(blocks)

    def searched(self, depth: int, keys: str, low: str, high: str, key: str) -> None:
        """Write a search: `low` becomes the first of low … high whose key is not below `key`."""
        self.emit(depth, f"while {low} < {high}:")
        self.emit(depth + 1, f"half = u32(({low} + {high}) // 2)")
        self.emit(depth + 1, f"if i64[{keys} + half] < {key}:")
        self.emit(depth + 2, f"{low} = u32(half + 1)")
        self.emit(depth + 1, "else:")
        self.emit(depth + 2, f"{high} = half")
