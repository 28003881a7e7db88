"""A tile of a matrix product in CUDA text: shared memory, and a square of results per thread.

A block of 16 × 16 threads computes a tile of up to 128 × 128 results. It loads a few columns of the
left and rows of the right factor into shared memory, whichever way they lie in memory, and each
thread multiplies what its rows and columns need, with its results in registers.
"""

from __future__ import annotations

from dataclasses import dataclass

from graphgrad.compiler.cuda_pen import DEVICE_ARENAS
from graphgrad.compiler.cuda_schedule import Unit
from graphgrad.compiler.cuda_singles import CudaSingles
from graphgrad.compiler.text import Loops, index, join
from graphgrad.compiler.views import View
from graphgrad.graph import Node

__all__ = ["CudaTiles", "Job", "Tiles"]

PAD = 4
"""Entries between the columns of a tile in shared memory, so that they stand in other banks."""


@dataclass(frozen=True)
class Tiles:
    """How a product is cut.

    Attributes:
        m, n, k: rows, columns and inner length of one product.
        batch: how many products have a result of their own.
        summed: how many products are added up for each result.
        tall, wide: results of a block; `rows` × `columns` of them are a thread's.
        deep: inner entries that are loaded at a time.
        parts: blocks that share the inner sum of a tile.
    """

    m: int
    n: int
    k: int
    batch: int
    summed: int
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
    def shared(self) -> int:
        """Entries of shared memory."""
        return (self.tall + self.wide + 2 * PAD) * self.deep


@dataclass
class Job:
    """A product being written: its nodes, its factors as views of each matrix, its tiles."""

    unit: Unit
    node: Node
    out: Node
    left: View
    right: View
    tiles: Tiles
    loops: Loops

    @property
    def letters(self) -> list[str]:
        """Letters of the axes of batches."""
        return [f"_b{k}" for k in range(len(self.loops.sizes))]


class CudaTiles(CudaSingles):
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
        self.emit(0, f"lefts = cuda.shared.array({(t.tall + PAD) * t.deep}, {kind}{extra})")
        self.emit(0, f"rights = cuda.shared.array({(t.wide + PAD) * t.deep}, {kind}{extra})")
        for r in range(t.rows):
            sums = [f"_c{r}_{c}" for c in range(t.columns)]
            zeros = ", ".join([f"{kind}(0)"] * t.columns)
            self.emit(0, f"{', '.join(sums)} = {zeros}")

    def _inner(self, job: Job) -> None:
        """Write the loops over the inner axis, and over the products that are added up."""
        t = job.tiles
        depth = 0
        if t.summed > 1:
            low, high = f"part * {t.summed} // {t.parts}", f"(part + 1) * {t.summed} // {t.parts}"
            self.emit(0, f"for product in range({low}, {high}):")
            depth = 1
        self.decoded(depth, "product", job.loops.sizes, job.letters, "int64")
        for name, view, strides in zip(
            ("left_at", "right_at"), (job.left, job.right), job.loops.strides, strict=True
        ):
            place = index(strides, view.offset, job.letters)
            whole = join(self.name(view.root), place) if not self._is_number(view) else place
            self.emit(depth, f"{name} = {whole}")
        steps = -(-t.k // t.deep)
        low, high = "0", str(t.k)
        if t.summed == 1 and t.parts > 1:
            low, high = "first", "end"
            ends = [f"{p} * {steps} // {t.parts} * {t.deep}" for p in ("part", "(part + 1)")]
            self.emit(depth, f"first, end = {', '.join(ends)}")
        # the next tile is on its way from memory while this one is multiplied
        self.emit(depth, f"ahead = {low}")
        self._ask(depth, job)
        self.emit(depth, f"for inner in range({low}, {high}, {t.deep}):")
        self._deposit(depth + 1, job)
        self.emit(depth + 1, "cuda.syncthreads()")
        self.emit(depth + 1, f"ahead = inner + {t.deep}")
        self.emit(depth + 1, f"if ahead < {high}:")
        self._ask(depth + 2, job)
        self._multiply(depth + 1, t)
        self.emit(depth + 1, "cuda.syncthreads()")

    def _slots(self, job: Job, is_left: bool) -> list[tuple[str, str, str, str]]:
        """Return for each entry of a tile that a thread copies: a test that it is one, where it
        is along the result and along the inner axis, and the local that holds it."""
        t = job.tiles
        view, tile = (job.left, t.tall) if is_left else (job.right, t.wide)
        along, inner = view.strides[-2:] if is_left else view.strides[:-3:-1]
        count, step = tile * t.deep, self.grid.side**2
        found = []
        for k, first in enumerate(range(0, count, step)):
            slot = f"(thread + {first})" if first else "thread"
            test = f"{slot} < {count}" if first + step > count else ""
            # neighbouring threads copy what lies side by side in memory
            i, j = (
                (f"{slot} // {t.deep}", f"{slot} % {t.deep}")
                if abs(inner) < abs(along) or (along == 0)
                else (f"{slot} % {tile}", f"{slot} // {tile}")
            )
            found.append((test, i, j, f"_{'left' if is_left else 'right'}{k}"))
        return found

    def _ask(self, depth: int, job: Job) -> None:
        """Write how threads read the next tiles of both factors, each some entries."""
        t = job.tiles
        for is_left in (True, False):
            view = job.left if is_left else job.right
            tile, whole, begin = (t.tall, t.m, "row") if is_left else (t.wide, t.n, "column")
            for test, i, k, name in self._slots(job, is_left):
                self.emit(depth, f"i, k = u32({i}), u32({k})")
                tests = [test] if test else []
                if whole % tile:
                    tests.append(f"{begin} + i < {whole}")
                if t.k % t.deep:
                    tests.append(f"ahead + k < {t.k}")
                text = self._factor(view, is_left)
                if tests:
                    text = f"{text} if {' and '.join(tests)} else {job.node.dtype.name}(0)"
                self.emit(depth, f"{name} = {text}")

    def _deposit(self, depth: int, job: Job) -> None:
        """Write how threads put what they have read into shared memory."""
        t = job.tiles
        for is_left, into, tile in ((True, "lefts", t.tall), (False, "rights", t.wide)):
            for test, i, k, name in self._slots(job, is_left):
                if test:
                    self.emit(depth, f"if {test}:")
                place = f"{into}[u32({k})*{tile + PAD} + u32({i})]"
                self.emit(depth + bool(test), f"{place} = {name}")

    def _factor(self, view: View, is_left: bool) -> str:
        """Return the text of an entry of a factor."""
        if self._is_number(view):
            return self.literal(view.root)
        begin = "row" if is_left else "column"
        along, inner = view.strides[-2:] if is_left else view.strides[:-3:-1]
        terms = [f"{'left' if is_left else 'right'}_at"]
        for stride, letter in ((along, f"({begin} + i)"), (inner, "(ahead + k)")):
            if stride:
                terms.append(letter if stride == 1 else f"{stride}*{letter}")
        return f"{DEVICE_ARENAS[view.root.dtype]}[{' + '.join(terms)}]"

    def _multiply(self, depth: int, t: Tiles) -> None:
        self.emit(depth, f"for k in range({t.deep}):")
        for r in range(t.rows):
            self.emit(depth + 1, f"_x{r} = lefts[k*{t.tall + PAD} + {self._own('y', r, t.rows)}]")
        for c in range(t.columns):
            place = self._own("x", c, t.columns)
            self.emit(depth + 1, f"_y{c} = rights[k*{t.wide + PAD} + {place}]")
        for r in range(t.rows):
            for c in range(t.columns):
                self.emit(depth + 1, f"_c{r}_{c} = _c{r}_{c} + _x{r} * _y{c}")

    def _own(self, thread: str, k: int, count: int) -> str:
        """Return which row or column of a tile is a thread's k-th: four side by side, if it can.

        Four that stand side by side are one load; neighbouring threads take neighbouring fours.
        """
        run = min(count, 4)
        base = thread if run == 1 else f"{run}*{thread}"
        more = k % run + k // run * run * self.grid.side
        return f"{base} + {more}" if more else base
