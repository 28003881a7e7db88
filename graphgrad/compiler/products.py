"""Matrix products in kernel text: register tiles for small ones, BLAS for large ones."""

from __future__ import annotations

from dataclasses import dataclass

from graphgrad import dtypes
from graphgrad.compiler.longsums import FEW, LONG, MANY, cut, is_long
from graphgrad.compiler.pen import Pen
from graphgrad.compiler.regions import SMALL_PRODUCT
from graphgrad.compiler.text import Loops, index, join, times
from graphgrad.compiler.views import contiguous
from graphgrad.graph import Node

__all__ = ["Products"]

TINY_PRODUCT = 64
"""Products of fewer multiplications are plain loops."""
BLOCK = 16
"""Rows and columns of the squares that are transposed in registers."""


@dataclass(frozen=True)
class Factor:
    """A matrix in a product: its buffer, where it begins, its strides along the result's axis
    (rows of the left factor, columns of the right one) and along the other."""

    name: str
    at: str
    along: int
    across: int

    def place(self, i: str, k: str) -> str:
        """Return where the entry at i along and k across stands in the buffer."""
        return join(self.at, join(times(self.along, i), times(self.across, k)))

    def entry(self, i: str, k: str) -> str:
        """Return the entry at i along and k across."""
        return f"{self.name}[{self.place(i, k)}]"


class Products(Pen):
    """Writes matrix products.

    Attributes:
        more: 1 if the product being written is added to what its buffer holds, else 0.
    """

    more = 0

    def _matmul(self, nodes: list[Node]) -> None:
        """Write the product of matrices, or of many pairs, or the sum of the products of many."""
        node, out = nodes[0], nodes[-1]
        a, b = (self.fused.view(x) for x in node.inputs)
        m, n, k = node.shape[-2], node.shape[-1], a.shape[-1]
        batch = node.shape[:-2]
        a, b = a.broadcast((*batch, m, k)), b.broadcast((*batch, k, n))
        steps = contiguous(node.shape)[:-2] if out is node else (0,) * len(batch)
        loops = Loops.over(batch, [a.strides[:-2], b.strides[:-2], steps])
        long = out is not node and is_long(out)
        if out is not node and not self.crosses(out):
            if long:
                self.begin_totals(out)
            else:
                self.emit(1, f"for i in range({out.size}):")
                self.emit(2, f"{self.name(out)}[i] = {node.dtype.name}(0)")
        letters = [f"b{q}_" for q in range(len(loops.sizes))]
        begins, rounds = cut(loops.sizes, range(len(letters)), FEW) if long else (-1, 0)
        for q, (letter, count) in enumerate(zip(letters, loops.sizes, strict=True)):
            ends = self.share(count) if q == 0 else ("0", str(count))
            text = ", ".join(ends)
            if q == begins:
                if rounds:
                    text = self.blocks(1 + q, letter, ends, rounds)
                    self.indent += 1
                self.afresh(1 + q, self.written(out), "0", out.size, out.dtype.name)
            self.emit(1 + q, f"for {letter} in range({text}):")
        left, right, result = (
            index(s, o, letters)
            for s, o in zip(loops.strides, (a.offset, b.offset, 0), strict=True)
        )
        columns = self.region is not None and self.region.columns
        rows = ("0", str(m)) if batch or columns else self.share(m)
        self.more = int(out is not node)
        factors = (
            Factor(self.name(a.root), left, a.strides[-2], a.strides[-1]),
            Factor(self.name(b.root), right, b.strides[-1], b.strides[-2]),
            Factor(self.written(out), result, n, 1),
        )
        depth = 1 + len(letters)
        large = (m if batch else self._at_once(m)) * n * k >= SMALL_PRODUCT
        if large and 1 in a.strides[-2:] and 1 in b.strides[-2:]:
            self._blas(node, factors, rows, ("low", "high") if columns else ("0", str(n)), k, depth)
        else:
            self._small(node, factors, rows, (m, n, k), depth)
        if long:
            self.add_up(1 + begins, out, self.written(out), "0", out.size)
            self.indent -= rounds > 0
            if not self.crosses(out):
                self.end_totals(out)

    def _at_once(self, m: int) -> int:
        """Return how many of a product's rows are in one block."""
        rows = self.schedule.rows.get(self.kernel, 0) if self.kernel else 0
        block = self.region.blocks.get(rows, 0) if self.region else 0
        return m * block // rows if block else m

    def written(self, node: Node) -> str:
        """Return the name of the buffer a result goes to: the thread's own, if it sums rows."""
        return f"{self.name(node)}_part_" if self.crosses(node) else self.name(node)

    def _blas(
        self,
        node: Node,
        factors: tuple[Factor, Factor, Factor],
        rows: tuple[str, str],
        columns: tuple[str, str],
        k: int,
        depth: int,
    ) -> None:
        left, right, out = factors
        routine = "sgemm" if node.dtype is dtypes.FLOAT32 else "dgemm"
        self.routines.add(routine)
        m, n = (high if low == "0" else f"{high} - {low}" for low, high in (rows, columns))
        self.emit(
            depth,
            f"gemm({routine}, {m}, {n}, {k}, "
            f"{left.name}, {left.place(rows[0], '0')}, {left.along}, {left.across}, "
            f"{right.name}, {right.place(columns[0], '0')}, {right.across}, {right.along}, "
            f"{out.name}, {out.place(rows[0], columns[0])}, {out.along}, {self.more})",
        )

    def _small(
        self,
        node: Node,
        factors: tuple[Factor, Factor, Factor],
        rows: tuple[str, str],
        sizes: tuple[int, int, int],
        depth: int,
    ) -> None:
        """Write a small product as tiles of results that stay in registers over the inner sum."""
        left, right, out = factors
        m, n, k = sizes
        if n == 1 and left.along == 1 and rows == ("0", str(m)):
            # one column: the long axis is the one that becomes vectors
            left, right, out, n = right, left, Factor(out.name, out.at, 1, n), m
            rows, m = ("0", "1"), 1
        if m * n * k < TINY_PRODUCT or n == 1 or not dtypes.is_float(node.dtype):
            self._plain(node, (left, right, out), rows, n, k, depth)
            return
        if right.along != 1:
            if self.cut and not node.shape[:-2]:
                # all rows need the same packed factor: it is made before the loop over blocks
                lines, self.lines, indent = self.lines, self.before, self.indent
                self.indent = 0 if self.long else 1
                right = self._packed(node, right, n, k, 1)
                self.lines, self.indent = lines, indent
            else:
                right = self._packed(node, right, n, k, depth)
        vector = 64 // node.dtype.itemsize
        if k > LONG:
            self._tiles_of_blocks((left, right, out), rows, (m, n, k), vector, depth)
        else:
            self._tiles((left, right, out), rows, n, str(k), vector, depth)

    def _tiles_of_blocks(
        self,
        factors: tuple[Factor, Factor, Factor],
        rows: tuple[str, str],
        sizes: tuple[int, int, int],
        vector: int,
        depth: int,
    ) -> None:
        """Write a small product with a long inner sum as a float64 sum of products of blocks."""
        left, right, out = factors
        m, n, k = sizes
        total = self.local(f"{out.name}_total")
        entries = f"for entry_ in range({times(n, rows[0])}, {times(n, rows[1])}):"
        entry = f"{out.name}[{join(out.at, 'entry_')}]"
        self.emit(depth, f"{total} = np.empty({m * n}, float64)")
        self.emit(depth, entries)
        self.emit(depth + 1, f"{total}[entry_] = {entry if self.more else 'float64(0)'}")
        more, self.more = self.more, 0
        self.emit(depth, f"for k in range(0, {k}, {FEW}):")
        left, right = (
            Factor(f.name, join(f.at, times(f.across, "k")), f.along, f.across)
            for f in (left, right)
        )
        count = f"min({FEW}, {k} - k)"
        self._tiles((left, right, out), rows, n, count, vector, depth + 1)
        self.more = more
        self.emit(depth + 1, entries)
        self.emit(depth + 2, f"{total}[entry_] += {entry}")
        self.emit(depth, entries)
        self.emit(depth + 1, f"{entry} = {total}[entry_]")

    def _plain(
        self,
        node: Node,
        factors: tuple[Factor, Factor, Factor],
        rows: tuple[str, str],
        n: int,
        k: int,
        depth: int,
    ) -> None:
        left, right, out = factors
        total = self.local(f"{out.name}_sum")
        self.emit(depth, f"for i in range({rows[0]}, {rows[1]}):")
        self.emit(depth + 1, f"for j in range({n}):")
        start = out.entry("i", "j") if self.more else f"{node.dtype.name}(0)"
        self.emit(depth + 2, f"{total} = {start}")
        ends, deep = str(k), depth + 2
        long, inner = k > LONG and dtypes.is_float(node.dtype), total
        if long:
            inner = self.local(f"{out.name}_block")
            self.lines[-1] = self.lines[-1].replace(start, f"float64({start})")
            terms = MANY if left.across == right.across == 1 else FEW
            ends = self.blocks(deep, "k", ("0", ends), terms)
            deep += 1
            self.emit(deep, f"{inner} = {node.dtype.name}(0)")
        self.emit(deep, f"for k in range({ends}):")
        product = f"{left.entry('i', 'k')} * {right.entry('j', 'k')}"
        add = f"add({inner}, {product})" if dtypes.is_float(node.dtype) else f"{inner} + {product}"
        self.emit(deep + 1, f"{inner} = {add}")
        if long:
            self.emit(deep, f"{total} += {inner}")
        self.emit(depth + 2, f"{out.entry('i', 'j')} = {total}")

    def _packed(self, node: Node, right: Factor, n: int, k: int, depth: int) -> Factor:
        """Copy a factor so that the entries a vector takes stand side by side."""
        name = self.local(f"{right.name}_packed")
        self.emit(depth, f"{name} = np.empty({n * k}, {node.dtype.name})")
        tall, wide = n - n % BLOCK, k - k % BLOCK
        if right.across != 1 or not tall or not wide:
            tall = wide = 0
        if tall:
            self.emit(depth, f"for j in range(0, {tall}, {BLOCK}):")
            self.emit(depth + 1, f"for k in range(0, {wide}, {BLOCK}):")
            self.emit(
                depth + 2,
                f"transpose16({right.name}, {right.place('j', 'k')}, {right.along}, "
                f"{name}, {n}*k + j, {n})",
            )
        for columns, inner in (((tall, n), (0, k)), ((0, tall), (wide, k))):
            if columns[0] < columns[1] and inner[0] < inner[1]:
                self.emit(depth, f"for j in range({columns[0]}, {columns[1]}):")
                self.emit(depth + 1, f"for k in range({inner[0]}, {inner[1]}):")
                self.emit(depth + 2, f"{name}[{n}*k + j] = {right.entry('j', 'k')}")
        return Factor(name, "0", 1, n)

    def _tiles(
        self,
        factors: tuple[Factor, Factor, Factor],
        rows: tuple[str, str],
        n: int,
        k: str,
        vector: int,
        depth: int,
    ) -> None:
        tall = 8 if self.wide else 6
        width = 2 * vector if self.wide else vector
        at = 0
        while at < n:
            while width > n - at:
                width //= 2
            count = (n - at) // width
            end = at + count * width
            letter, inner = str(at), depth
            if count > 1:
                self.emit(depth, f"for j in range({at}, {end}, {width}):")
                letter, inner = "j", depth + 1
            self._rows(factors, rows, letter, (tall, width), k, inner)
            at = end

    def _rows(
        self,
        factors: tuple[Factor, Factor, Factor],
        rows: tuple[str, str],
        j: str,
        size: tuple[int, int],
        k: str,
        depth: int,
    ) -> None:
        tall, width = size
        low, high = rows
        if low.isdigit() and high.isdigit():
            first, last = int(low), int(high)
            whole = last - (last - first) % tall
            spans = [(first, whole, tall), (whole, last, last - whole)]
        else:
            spans = []
            self.emit(depth, f"for i in range({low}, {high} - {tall - 1}, {tall}):")
            self._tile(factors, "i", j, (tall, width), k, depth + 1)
            self.emit(depth, f"for i in range({high} - ({high} - {low}) % {tall}, {high}):")
            self._tile(factors, "i", j, (1, width), k, depth + 1)
        for start, stop, step in spans:
            if start + step < stop:
                self.emit(depth, f"for i in range({start}, {stop}, {step}):")
                self._tile(factors, "i", j, (step, width), k, depth + 1)
            elif start < stop:
                self._tile(factors, str(start), j, (step, width), k, depth)

    def _tile(
        self,
        factors: tuple[Factor, Factor, Factor],
        i: str,
        j: str,
        size: tuple[int, int],
        k: str,
        depth: int,
    ) -> None:
        left, right, out = factors
        self.tiles.add(size)
        self.emit(
            depth,
            f"tile{size[0]}x{size[1]}({k}, "
            f"{left.name}, {left.place(i, '0')}, {left.along}, {left.across}, "
            f"{right.name}, {right.place(j, '0')}, {right.across}, "
            f"{out.name}, {out.place(i, j)}, {out.along}, {self.more})",
        )
