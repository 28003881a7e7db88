"""Several loops over the same rows in CUDA text: a block takes its rows through all of them."""

from __future__ import annotations

from collections.abc import Sequence

from graphgrad.compiler.cuda.pen import Piece, power_above
from graphgrad.compiler.cuda.schedule import Unit
from graphgrad.compiler.cuda.sums import CudaSums, Lanes
from graphgrad.compiler.fuse import Kernel
from graphgrad.compiler.text import Loops
from graphgrad.shapes import Shape, size

__all__ = ["CudaRows"]


class CudaRows(CudaSums):
    """Writes loops over the same rows as one piece."""

    def chain_stages(self, unit: Unit) -> list[list[Piece]]:
        """Return the piece of loops that a block takes its rows through, one after the other."""
        rows = unit.rows
        widest = max(size(k.domain) // rows for k in unit.kernels)
        n = power_above(-(-widest // 2), self.grid.threads)
        lanes = Lanes(rows, widest, self.grid.threads // n, n, 1, by_rows=True)
        self.begin()
        kind = self.headed(lanes)
        shared = 0
        for kernel in unit.kernels:
            if kernel is not unit.kernel:
                self.emit(0, "cuda.syncthreads()  # what was written is there for all lanes")
            shared += self._link(kernel, lanes, kind)
        return [[self.piece(lanes.blocks, shared)]]

    def _link(self, kernel: Kernel, lanes: Lanes, kind: str) -> int:
        stores = [n for n in kernel.nodes if n.primitive.kind == "map" and n in self.plan.start]
        reduced = [n for n in kernel.nodes if n.primitive.kind == "reduce"]
        sweep = self._sweep(kernel, stores, reduced, set())
        sweep.loops = _by_row(kernel.domain, sweep.views)
        mine = Lanes(lanes.results, size(kernel.domain) // lanes.results, lanes.wide, lanes.lanes,
                     1, by_rows=True)  # fmt: skip
        names = [f"{self.label(n)}_sum_" for n in reduced]
        over = list(range(1, len(sweep.loops.sizes)))
        self.by_lanes(
            reduced,
            names,
            [self.start_of(n) for n in reduced],
            mine,
            kind,
            lambda depth: self._summed(depth, sweep, mine, ([0], over), names, kind),
            [self.entry(n, "r") for n in reduced],
        )
        return 0 if lanes.lanes == 1 else sum(self.grid.threads * n.dtype.itemsize for n in reduced)


def _by_row(domain: Shape, views: Sequence[Shape]) -> Loops:
    """Return merged axes of which the first stays as it is."""
    inner = Loops.over(domain[1:], [v[1:] for v in views])
    strides = [[v[0], *rest] for v, rest in zip(views, inner.strides, strict=True)]
    return Loops([domain[0], *inner.sizes], strides)
