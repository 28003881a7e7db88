"""Matrix products in kernel text: register tiles for small ones, BLAS for large ones."""

from __future__ import annotations

from dataclasses import dataclass

from graphgrad import dtypes
from graphgrad.compiler.pen import Pen
from graphgrad.compiler.text import Loops, index, join, shifted, times
from graphgrad.compiler.views import View, contiguous
from graphgrad.graph import Node

__all__ = ["SMALL_PRODUCT", "Products"]

SMALL_PRODUCT = 500_000
"""Products of fewer multiplications are loops, larger ones calls of BLAS."""
LARGER_PRODUCT = 100_000
"""Products of fewer multiplications get tiles of two rows, others of four."""
TINY_PRODUCT = 2_000
"""Products of fewer multiplications are plain loops: tiles would take longer to compile."""


@dataclass(frozen=True)
class Factor:
    """A matrix in a product: its buffer, where it begins, its strides along the result's axis
    (rows of the left factor, columns of the right one) and along the other."""

    name: str
    at: str
    along: int
    across: int

    def entry(self, i: str, k: str) -> str:
        """Return the entry at i along and k across."""
        return f"{self.name}[{join(self.at, join(times(self.along, i), times(self.across, k)))}]"

    place = entry


@dataclass(frozen=True)
class Span:
    """Part of an axis that is gone through in steps; one step alone needs no loop."""

    start: int
    stop: int
    step: int

    def open(self, writer: Pen, letter: str, depth: int) -> tuple[str, int]:
        """Write the loop, if any; return the index text and the depth inside."""
        if self.start + self.step == self.stop:
            return str(self.start), depth
        writer.emit(depth, f"for {letter} in range({self.start}, {self.stop}, {self.step}):")
        return letter, depth + 1


def _tiled(n: int, step: int) -> list[Span]:
    """Return an axis as steps of equal width and, if need be, one narrower step at the end."""
    whole = n - n % step
    spans = [Span(0, whole, step)] if whole else []
    return spans + ([Span(whole, n, n - whole)] if n - whole else [])


class Products(Pen):
    """Writes matrix products."""

    def _matmul(self, node: Node) -> None:
        a, b = (self.fused.view(x) for x in node.inputs)
        m, n, k = node.shape[-2], node.shape[-1], a.shape[-1]
        batch = node.shape[:-2]
        a, b = a.broadcast((*batch, m, k)), b.broadcast((*batch, k, n))
        loops = Loops.over(batch, [a.strides[:-2], b.strides[:-2], contiguous(node.shape)[:-2]])
        depth = 1
        letters = [f"b{q}_" for q in range(len(loops.sizes))]
        for letter, count in zip(letters, loops.sizes, strict=True):
            self.emit(depth, f"for {letter} in range({count}):")
            depth += 1
        at_a, at_b, at_y = (
            index(s, o, letters)
            for s, o in zip(loops.strides, (a.offset, b.offset, 0), strict=True)
        )
        if m * n * k >= SMALL_PRODUCT and self._blas(node, a, b, at_a, at_b, at_y, depth):
            return
        self._product_loops(node, a, b, at_a, at_b, at_y, depth)

    def _blas(
        self, node: Node, a: View, b: View, at_a: str, at_b: str, at_y: str, depth: int
    ) -> bool:
        m, n, k = node.shape[-2], node.shape[-1], a.shape[-1]
        if 1 not in a.strides[-2:] or 1 not in b.strides[-2:]:
            return False
        routine = "sgemm" if node.dtype is dtypes.FLOAT32 else "dgemm"
        self.routines.add(routine)
        low, high = self.part(m) if not node.shape[:-2] else ("0", str(m))
        rows = str(m) if (low, high) == ("0", str(m)) else f"{high} - {low}"
        left = join(at_a, times(a.strides[-2], low))
        out = join(at_y, times(n, low))
        self.emit(
            depth,
            f"gemm({routine}, {rows}, {n}, {k}, "
            f"{self.name(a.root)}, {left}, {a.strides[-2]}, {a.strides[-1]}, "
            f"{self.name(b.root)}, {at_b}, {b.strides[-2]}, {b.strides[-1]}, "
            f"{self.name(node)}, {out}, {n})",
        )
        return True

    def _product_loops(
        self, node: Node, a: View, b: View, at_a: str, at_b: str, at_y: str, depth: int
    ) -> None:
        """Write a small product as tiles of results that stay in registers over the inner sum."""
        m, n, k = node.shape[-2], node.shape[-1], a.shape[-1]
        left = Factor(self.name(a.root), at_a, a.strides[-2], a.strides[-1])
        right = Factor(self.name(b.root), at_b, b.strides[-1], b.strides[-2])
        out = Factor(self.name(node), at_y, n, 1)
        if right.along != 1 and left.along == 1 and n == 1:
            left, right, out, m, n = right, left, Factor(out.name, at_y, 1, n), n, m
        if m * n * k < TINY_PRODUCT:
            self._plain(node, (left, right, out), m, n, k, depth)
            return
        if right.along != 1 and m > 1:
            right = self._packed(node, right, n, k, depth)
        wide = 64 // node.dtype.itemsize
        # Twice the rows take twice as long to compile and save an eighth of a small product.
        for rows in _tiled(m, 4 if m * n * k >= LARGER_PRODUCT else 2):
            for columns in _tiled(n, wide):
                self._tile(node, (left, right, out), rows, columns, k, depth)

    def _plain(
        self, node: Node, factors: tuple[Factor, Factor, Factor], m: int, n: int, k: int, depth: int
    ) -> None:
        left, right, out = factors
        self.emit(depth, f"for i in range({m}):")
        self.emit(depth + 1, f"for j in range({n}):")
        self.emit(depth + 2, f"sum_ = {node.dtype.name}(0)")
        self.emit(depth + 2, f"for k in range({k}):")
        self.emit(depth + 3, f"sum_ += {left.entry('i', 'k')} * {right.entry('j', 'k')}")
        self.emit(depth + 2, f"{out.place('i', 'j')} = sum_")

    def _packed(self, node: Node, right: Factor, n: int, k: int, depth: int) -> Factor:
        """Copy a factor so that the entries a vector takes stand side by side."""
        self.emit(depth, f"packed_ = np.empty({n * k}, {node.dtype.name})")
        self.emit(depth, f"for k in range({k}):")
        self.emit(depth + 1, f"for j in range({n}):")
        self.emit(depth + 2, f"packed_[{n}*k + j] = {right.entry('j', 'k')}")
        return Factor("packed_", "0", 1, n)

    def _tile(
        self,
        node: Node,
        factors: tuple[Factor, Factor, Factor],
        rows: Span,
        columns: Span,
        k: int,
        depth: int,
    ) -> None:
        left, right, out = factors
        i, depth = rows.open(self, "i", depth)
        j, depth = columns.open(self, "j", depth)
        tile = [(r, c) for r in range(rows.step) for c in range(columns.step)]
        for r, c in tile:
            self.emit(depth, f"y{r}_{c}_ = {node.dtype.name}(0)")
        self.emit(depth, f"for k in range({k}):")
        for r in range(rows.step):
            self.emit(depth + 1, f"x{r}_ = {left.entry(shifted(i, r), 'k')}")
        for c in range(columns.step):
            self.emit(depth + 1, f"w{c}_ = {right.entry(shifted(j, c), 'k')}")
        for r, c in tile:
            self.emit(depth + 1, f"y{r}_{c}_ += x{r}_ * w{c}_")
        for r, c in tile:
            self.emit(depth, f"{out.place(shifted(i, r), shifted(j, c))} = y{r}_{c}_")
