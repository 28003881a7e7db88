"""A tile of a matrix product in CUDA text: shared memory, and a square of results per thread.

A block of 16 × 16 threads computes a tile of up to 128 × 128 results. It loads a few columns of the
left and rows of the right factor into shared memory, whichever way they lie in memory, and each
thread multiplies what its rows and columns need, with its results in registers.
"""

from __future__ import annotations

from dataclasses import dataclass

from graphgrad.compiler.cuda.factors import PAD, CudaFactors, Factor
from graphgrad.compiler.cuda.schedule import Unit
from graphgrad.graph import Node

__all__ = ["CudaTiles", "Job", "Tiles"]

AT_ONCE = 2
"""Inner entries that are multiplied in a turn of the loop, which costs some instructions itself."""


@dataclass(frozen=True)
class Tiles:
    """How a product is cut.

    Attributes:
        m, n, k: rows, columns and inner length of one product.
        batch: how many products.
        tall, wide: results of a block; `rows` × `columns` of them are a thread's.
        deep: inner entries that are loaded at a time.
        parts: blocks that share the inner sum of a tile.
    """

    m: int
    n: int
    k: int
    batch: int
    tall: int
    wide: int
    rows: int
    columns: int
    deep: int
    parts: int

    @property
    def across(self) -> int:
        """Tiles side by side."""
        return -(-self.n // self.wide)

    @property
    def down(self) -> int:
        """Tiles below each other."""
        return -(-self.m // self.tall)

    @property
    def blocks(self) -> int:
        """Blocks of threads."""
        return self.across * self.down * self.batch * self.parts

    @property
    def buffers(self) -> int:
        """Tiles of each factor in shared memory: small ones leave room for other kernels."""
        return 2 if self.rows * self.columns > 16 else 1

    @property
    def shared(self) -> int:
        """Entries of shared memory."""
        return self.buffers * (self.tall + self.wide + 2 * PAD) * self.deep


@dataclass
class Job:
    """A product being written: its nodes, its factors, its tiles.

    Attributes:
        width: columns of each product, of which `tiles` may have several side by side.
    """

    unit: Unit
    node: Node
    out: Node
    factors: tuple[Factor, Factor]
    tiles: Tiles
    width: int


class CudaTiles(CudaFactors):
    """Writes what a block does for its tile."""

    def _positions(self, job: Job) -> None:
        t, side = job.tiles, self.grid.side
        self.emit(0, f"x, y = u32(thread % {side}), u32(thread // {side})")
        self.emit(0, f"column = u32(block % {t.across} * {t.wide})")
        self.emit(0, f"row = u32(block // {t.across} % {t.down} * {t.tall})")
        self.emit(0, f"part = u32(block // {t.across * t.down} % {t.parts})")
        self.emit(0, f"product = u32(block // {t.across * t.down * t.parts})")
        kind = job.node.dtype.name
        extra = "" if self.grid.simulated else ", alignment=16"
        self.emit(
            0, f"lefts = cuda.shared.array({t.buffers * (t.tall + PAD) * t.deep}, {kind}{extra})"
        )
        self.emit(
            0, f"rights = cuda.shared.array({t.buffers * (t.wide + PAD) * t.deep}, {kind}{extra})"
        )
        for r in range(t.rows):
            sums = [f"_c{r}_{c}" for c in range(t.columns)]
            zeros = ", ".join([f"{kind}(0)"] * t.columns)
            self.emit(0, f"{', '.join(sums)} = {zeros}")

    def _inner(self, job: Job) -> None:
        """Write the loop over the inner axis."""
        t = job.tiles
        for f in job.factors:
            self.locate(0, f)
        low, high = "0", str(t.k)
        if t.parts > 1:
            low, high = "first", "end"
            steps = -(-t.k // t.deep)
            ends = [f"{p} * {steps} // {t.parts} * {t.deep}" for p in ("part", "(part + 1)")]
            self.emit(0, f"first, end = {', '.join(ends)}")
        # a tile is multiplied while the next one is on its way from memory; where this goes where
        # the one before was, threads wait for each other once a tile
        self.emit(0, f"ahead, turn = {low}, u32(0)")
        for f in job.factors:
            self.ask(0, f, t.k)
        for f in job.factors:
            self.deposit(0, f)
        self.emit(0, "cuda.syncthreads()")
        self.emit(0, f"for inner in range({low}, {high}, {t.deep}):")
        self.emit(1, f"ahead = inner + {t.deep}")
        self.emit(1, f"if ahead < {high}:")
        for f in job.factors:
            self.ask(2, f, t.k)
        self._multiply(1, t)
        self.emit(1, "turn = u32(1 - turn)" if t.buffers > 1 else "cuda.syncthreads()")
        self.emit(1, f"if ahead < {high}:")
        for f in job.factors:
            self.deposit(2, f)
        self.emit(1, "cuda.syncthreads()")

    def _multiply(self, depth: int, t: Tiles) -> None:
        # only of an index that has no sign is it seen that entries stand side by side, and can be
        # loaded at once
        self.emit(depth, f"k = u32({t.deep}*turn)")
        self.emit(depth, f"last = u32(k + {t.deep})")
        self.emit(depth, "while k < last:")
        for k in range(AT_ONCE):
            for r in range(t.rows):
                place = _place(k, t.tall, self._own("y", r, t.rows))
                self.emit(depth + 1, f"_x{r} = lefts[{place}]")
            for c in range(t.columns):
                place = _place(k, t.wide, self._own("x", c, t.columns))
                self.emit(depth + 1, f"_y{c} = rights[{place}]")
            for r in range(t.rows):
                for c in range(t.columns):
                    self.emit(depth + 1, f"_c{r}_{c} = _c{r}_{c} + _x{r} * _y{c}")
        self.emit(depth + 1, f"k = u32(k + {AT_ONCE})")

    def _own(self, thread: str, k: int, count: int) -> str:
        """Return which row or column of a tile is a thread's k-th: four side by side, if it can.

        Four that stand side by side are one load; neighbouring threads take neighbouring fours.
        """
        run = min(count, 4)
        base = thread if run == 1 else f"{run}*{thread}"
        more = k % run + k // run * run * self.grid.side
        return f"{base} + {more}" if more else base


def _place(k: int, count: int, own: str) -> str:
    """Return where an entry of a tile is, `k` inner entries on."""
    step = count + PAD
    return f"{step}*k + {own} + {step * k}" if k else f"{step}*k + {own}"
