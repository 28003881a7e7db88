"""Matrix products in CUDA text: into which tiles they are cut, and what becomes of the results.

Where there are too few tiles to keep the device busy, the inner sum is split among blocks, and a
second stage adds up the parts in order. The loop that follows a product entry by entry is done
before results are written.
"""

from __future__ import annotations

from graphgrad.compiler.cuda.factors import Factor
from graphgrad.compiler.cuda.loops import Sweep
from graphgrad.compiler.cuda.pen import DEVICE_ARENAS, Piece, power_above
from graphgrad.compiler.cuda.schedule import Unit
from graphgrad.compiler.cuda.tiles import CudaTiles, Job, Tiles
from graphgrad.compiler.cuda.windows import merged
from graphgrad.compiler.text import LETTERS, Loops
from graphgrad.compiler.views import contiguous
from graphgrad.shapes import size

__all__ = ["CudaProducts"]

LONG = 2**29
"""Multiplications of a product whose tiles are better large, though a second stage adds up."""
SHARE = 256
"""Inner entries of a part of a sum, at least, where it is split to keep tiles large."""
AT_ONCE = 8
"""Parts of a sum that are asked for at once: memory answers late."""


class CudaProducts(CudaTiles):
    """Writes matrix products."""

    def matmul_stages(self, unit: Unit) -> list[list[Piece]]:
        """Return the pieces of a product with what follows it."""
        job = self._job(unit)
        t = job.tiles
        if not (t.m * t.n * t.batch):
            return []
        self.begin()
        if not t.k:
            return [[self._ended(job, f"{job.node.dtype.name}(0)")]]
        at = self.scratch(job.node.dtype, t.parts * job.out.size) if t.parts > 1 else 0
        self._positions(job)
        self._inner(job)
        self._results(job, at)
        itemsize = job.node.dtype.itemsize
        heavy = t.rows * t.columns > 8
        stages = [[self.piece(t.blocks, t.shared * itemsize, heavy)]]
        if t.parts > 1:
            self.begin()
            stages.append([self._ended(job, "total", at)])
        return stages

    def _job(self, unit: Unit) -> Job:
        node, out = unit.kernel.nodes[0], unit.kernel.nodes[-1]
        a, b = (self.fused.view(x) for x in node.inputs)
        m, n, k = node.shape[-2], node.shape[-1], a.shape[-1]
        shape, width = node.shape[:-2], n
        batch = size(shape)
        left, right = (
            Factor.of(name, view.broadcast((*shape, *view.shape[-2:])), out is not node)
            for name, view in (("left", a), ("right", b))
        )
        if out is not node:
            batch, k = 1, batch * k
        elif right.stays:  # then all of them are one product of more rows, or of more columns
            left.along, left.batch, right.batch = merged([*left.batch, *left.along]), [], []
            batch, m = 1, batch * m
        elif left.stays:
            right.along, left.batch, right.batch = merged([*right.batch, *right.along]), [], []
            batch, n = 1, batch * n
        tiles = self._tiles(m, n, k, batch, node.dtype.itemsize)
        left.length, left.count, left.deep = m, tiles.tall, tiles.deep
        right.length, right.count, right.deep = n, tiles.wide, tiles.deep
        return Job(unit, node, out, (left, right), tiles, width)

    def _tiles(self, m: int, n: int, k: int, batch: int, itemsize: int) -> Tiles:
        """Return the largest tiles of which there are enough, and into how many parts sums go."""
        side, most = self.grid.side, self.grid.largest * 4 // max(itemsize, 4)
        rows = columns = 1
        while rows < most and side * rows < m:
            rows *= 2
        while columns < most and side * columns < n:
            columns *= 2

        def blocks() -> int:
            return -(-m // (side * rows)) * -(-n // (side * columns)) * batch

        # a sum that is long, or is split even with small tiles, is split rather than large tiles
        least = -(-m // (2 * side)) * -(-n // (2 * side)) * batch
        long = least < self.grid.enough // 2 or m * n * k * batch >= LONG
        shares = max(1, min(k // SHARE, 64)) if long else 1
        while blocks() * shares < self.grid.enough // 2 and max(rows, columns) > 2:
            if rows >= columns:
                rows //= 2
            else:
                columns //= 2
        # small tiles wait for memory, not for arithmetic: they ask for more at a time
        deep = self.grid.deep * (1 if rows * columns > 16 else 2 if rows * columns > 8 else 4)
        deep = min(deep, power_above(k, 64)) if side > 2 else self.grid.deep
        parts = 1
        if blocks() < self.grid.enough // 2:
            parts = max(1, min(self.grid.enough // blocks(), -(-k // deep) // 4, 64))
        tall, wide = side * rows, side * columns
        return Tiles(m, n, k, batch, tall, wide, rows, columns, deep, parts)

    # -- results -----------------------------------------------------------------------------------

    def _results(self, job: Job, at: int) -> None:
        """Write results out, or the parts of them into the scratch."""
        t = job.tiles
        sweep = self._epilogue(job) if t.parts == 1 else None
        for r in range(t.rows):
            self.emit(0, f"i = u32(row + {self._own('y', r, t.rows)})")
            depth = 0
            if t.m % t.tall:
                self.emit(0, f"if i < {t.m}:")
                depth = 1
            for c in range(t.columns):
                self.emit(depth, f"j = u32(column + {self._own('x', c, t.columns)})")
                inside = depth
                if t.n % t.wide:
                    self.emit(depth, f"if j < {t.n}:")
                    inside = depth + 1
                place = f"{t.n}*i + j"
                if t.batch > 1:
                    place = f"{t.m * t.n}*product + {place}"
                if job.width < t.n:
                    product, w = f"u32(j // {job.width})", job.width
                    place = f"{t.m * w}*{product} + {w}*i + u32(j % {w})"
                value = f"_c{r}_{c}"
                if t.parts > 1:
                    arena = DEVICE_ARENAS[job.node.dtype]
                    begin = f"scratch_{arena} + {at} + {job.out.size}*part"
                    self.emit(inside, f"{arena}[{begin} + {place}] = {value}")
                else:
                    self.emit(inside, f"t = {self.whole(job.out.size)}({place})")
                    self._written(inside, job, sweep, value)

    def _epilogue(self, job: Job) -> Sweep | None:
        """Return the loop that follows, with the product as one of the values it is given."""
        loop = job.unit.epilogue
        if loop is None:
            return None
        stores = [n for n in loop.nodes if n in self.plan.start]
        sweep = self._sweep(loop, stores, [], set())
        of_product = [x for x, v in sweep.loads.items() if v.root is job.out]
        rest = {x: v for x, v in sweep.loads.items() if x not in of_product}
        views = [v.strides for v in rest.values()] + [contiguous(loop.domain) for _ in stores]
        sweep.loads = rest
        sweep.loops = Loops.over(loop.domain, views)
        return sweep

    def _written(self, depth: int, job: Job, sweep: Sweep | None, value: str) -> None:
        """Write one result at `t`, or what follows from it."""
        if sweep is None:
            self.emit(depth, f"{self.entry(job.out, 't')} = {value}")
            return
        loop = job.unit.epilogue
        assert loop is not None
        known = {
            x: value for n in loop.nodes for x in n.inputs if self.fused.view(x).root is job.out
        }
        sizes, kind = sweep.loops.sizes, self.whole(job.out.size)
        letters: list[str] = [f"{letter}_" for letter in LETTERS[: len(sizes)]]
        if sizes == [job.tiles.m, job.width] and job.tiles.batch == 1:
            letters = ["i", "j"] if value.startswith("_c") else letters
        if len(sizes) == 1:
            letters = ["t"]
        elif letters and letters[0] != "i":
            self.emit(depth, "s = t")
            self.decoded(depth, "s", sizes, letters, kind)
        self.bodies(depth, sweep, 1, lambda _: letters, known)

    def _ended(self, job: Job, value: str, at: int = 0) -> Piece:
        """Add up the parts of split sums, and do what follows."""
        total, t = job.out.size, job.tiles
        blocks, depth = self.each(total)
        if t.parts > 1:
            arena = DEVICE_ARENAS[job.node.dtype]
            self.emit(depth, f"total = {arena}[scratch_{arena} + {at} + t]")
            begin = f"{arena}[scratch_{arena} + {at} + t"
            for first in range(1, t.parts, AT_ONCE):
                some = range(first, min(first + AT_ONCE, t.parts))
                for k in some:
                    self.emit(depth, f"_part{k - first} = {begin} + {total * k}]")
                for k in some:
                    self.emit(depth, f"total = total + _part{k - first}")
        self._written(depth, job, self._epilogue(job), value)
        self.again(total, blocks)
        return self.piece(blocks)
