"""Gathers and scatters in CUDA text: entries at positions that are numbers themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from graphgrad.compiler.cuda.loops import UNROLLED
from graphgrad.compiler.cuda.pen import OUTER, Piece
from graphgrad.compiler.cuda.sorting import ORDINAL, CudaSorting
from graphgrad.compiler.fuse import is_literal
from graphgrad.compiler.text import Loops, index, join
from graphgrad.compiler.views import View, contiguous
from graphgrad.graph import Node
from graphgrad.shapes import size

__all__ = ["CudaLookups"]


class CudaLookups(CudaSorting):
    """Writes gathers and scatters."""

    def gather_stages(self, node: Node) -> list[list[Piece]]:
        """Return the piece of ``node[…] = x[…, indices[…], …]``."""
        x, at = node.inputs
        axis = node.settings["axis"]
        source, positions = self.fused.view(x), self.fused.view(at)
        width = len(at.shape)
        across = (*source.strides[:axis], *(0,) * width, *source.strides[axis + 1 :])
        where = (*(0,) * axis, *positions.strides, *(0,) * (len(node.shape) - axis - width))
        loops = Loops.over(node.shape, [across, where])
        letters = OUTER[: len(loops.sizes)]
        self.begin()
        blocks, depth = self.each(node.size)
        self.decoded(depth, "t", loops.sizes, letters, self.whole(node.size))
        self._picked(depth, positions, loops.strides[1], letters, x.shape[axis])
        near = index(loops.strides[0], source.offset, letters)
        far = join(near, f"{source.strides[axis]}*place")
        value = (
            self.literal(source.root) if self._is_number(source) else self.entry(source.root, far)
        )
        self.emit(depth, f"{self.entry(node, 't')} = {value}")
        self.again(node.size, blocks)
        return [[self.piece(blocks)]]

    def _is_number(self, view: View) -> bool:
        return is_literal(view.root) and view.root not in self.plan.start

    def _picked(
        self, depth: int, positions: View, strides: Sequence[int], letters: Sequence[str], n: int
    ) -> None:
        """Write the position that an index stands for; one out of bounds is noted, and is 0."""
        self.emit(depth, f"place = int64({self.seen(positions, strides, letters)})")
        self.emit(depth, "if place < 0:")
        self.emit(depth + 1, f"place = place + {n}")
        self.emit(depth, f"if place < 0 or place >= {n}:")
        self.emit(depth + 1, "i64[bad] = 1")
        self.emit(depth + 1, "place = int64(0)")

    def scatter_stages(self, node: Node) -> list[list[Piece]]:
        """Return the pieces of zeros, and of ``node[…, indices[…], …] += x[…]`` in order.

        The thread of an index looks whether an earlier one goes to the same place. If not, it adds
        up all that do. Many indices are sorted before, so that those stand beside each other.
        """
        x, at = node.inputs
        self.begin()
        blocks, depth = self.each(node.size)
        self.emit(depth, f"{self.entry(node, 't')} = {node.dtype.name}(0)")
        self.again(node.size, blocks)
        zeros = self.piece(blocks)
        if not x.size:
            return [[zeros]]
        count = size(at.shape)
        if count <= self.grid.threads:
            return [[zeros], [self._scattered(node, lambda depth: self._alike(depth, node))]]
        positions, length = self.fused.view(at), node.shape[node.settings["axis"]]

        def place(depth: int, which: str) -> None:
            self._goes(depth, which, "place", positions, at.shape, length)

        stages, keys = self.sorting(count, place)
        last = self._scattered(node, lambda depth: self._in_a_row(depth, node, keys))
        stages[0].append(zeros)
        return [*stages, [last]]

    def _scattered(self, node: Node, found: Callable[[int], None]) -> Piece:
        """Return the piece in which the threads of some indices add up and write results.

        Args:
            node: the scatter.
            found: for the index at `first`, writes `place` and the sum of all that go there as
                `value`, and then the head of a block of lines for those threads that write it.
        """
        x, at = node.inputs
        axis, width = node.settings["axis"], len(at.shape)
        outer, count = size(x.shape[:axis]) * size(x.shape[axis + width :]), size(at.shape)
        kind = self.whole(max(x.size, node.size))
        self.begin()
        blocks, depth = self.each(outer * count)
        self.emit(depth, f"first = {kind}(t // {outer})")
        self._out_of(depth, node, x, axis, kind)
        found(depth)
        big = contiguous(node.shape)[axis]
        self.emit(depth + 1, f"{self.entry(node, f'far + {big}*place')} = value")
        self.again(outer * count, blocks)
        return self.piece(blocks)

    def _alike(self, depth: int, node: Node) -> None:
        """Write how the first of some equal indices finds the others among all."""
        at, n = node.inputs[1], node.shape[node.settings["axis"]]
        positions = self.fused.view(at)
        self._goes(depth, "first", "place", positions, at.shape, n)
        self.emit(depth, "known = False")
        self.emit(depth, "for row in range(first):")
        self._goes(depth + 1, "row", "other", positions, at.shape, n)
        self.emit(depth + 1, "known = known or other == place")
        self.emit(depth, "if not known:")
        self.emit(depth + 1, f"value = {node.dtype.name}(0)")
        self.emit(depth + 1, f"for row in range(first, {size(at.shape)}):")
        self._goes(depth + 2, "row", "other", positions, at.shape, n)
        self.emit(depth + 2, "if other == place:")
        self.emit(depth + 3, f"value = value + {self._given(depth + 3, node, 'row')}")

    def _in_a_row(self, depth: int, node: Node, keys: str) -> None:
        """Write how the first of some equal indices finds the others after it, for all is sorted.

        Several are asked for at once: memory answers late.
        """
        count = size(node.inputs[1].shape)
        self.emit(depth, f"place = i64[{keys} + first] >> 32")
        self.emit(depth, f"if first == 0 or i64[{keys} + first - 1] >> 32 != place:")
        self.emit(depth + 1, f"row, end = u32(first), u32({count})")
        self.searched(depth + 1, keys, "row", "end", "(place + 1) << 32")
        self.emit(depth + 1, f"end, row, value = row, u32(first), {node.dtype.name}(0)")
        for many in (UNROLLED, 1):
            self.emit(depth + 1, f"while row + {many} <= end:")
            names = [f"_at{k}" for k in range(many)]
            for k, name in enumerate(names):
                self.emit(depth + 2, f"which = i64[{keys} + row + {k}] & {ORDINAL}")
                self.emit(depth + 2, f"{name} = {self._given(depth + 2, node, 'which')}")
            for name in names:
                self.emit(depth + 2, f"value = value + {name}")
            self.emit(depth + 2, f"row = u32(row + {many})")

    def _given(self, depth: int, node: Node, which: str) -> str:
        """Return the text of the entry that comes with index number `which`."""
        x, at = node.inputs
        axis, source = node.settings["axis"], self.fused.view(x)
        if self._is_number(source):
            return self.literal(source.root)
        inner = Loops.over(at.shape, [source.strides[axis : axis + len(at.shape)]])
        letters = [f"{letter}_" for letter in OUTER[: len(inner.sizes)]]
        self.decoded(depth, which, inner.sizes, letters, "int64")
        return self.entry(
            source.root, join("near", index(inner.strides[0], source.offset, letters))
        )

    def _out_of(self, depth: int, node: Node, x: Node, axis: int, kind: str) -> None:
        """Write where, apart from the indices, an entry is in the source and in the result."""
        source, width = self.fused.view(x), len(x.shape) - len(node.shape) + 1
        shape = (*x.shape[:axis], *x.shape[axis + width :])
        near = (*source.strides[:axis], *source.strides[axis + width :])
        big = contiguous(node.shape)
        loops = Loops.over(shape, [near, (*big[:axis], *big[axis + 1 :])])
        letters = OUTER[: len(loops.sizes)]
        if letters:
            self.emit(depth, f"s = {kind}(t % {size(shape)})")
            self.decoded(depth, "s", loops.sizes, letters, kind)
        self.emit(depth, f"near = {index(loops.strides[0], 0, letters)}")
        self.emit(depth, f"far = {index(loops.strides[1], 0, letters)}")

    def _goes(
        self, depth: int, which: str, name: str, positions: View, shape: Sequence[int], n: int
    ) -> None:
        """Write the place that index number `which` stands for."""
        loops = Loops.over(tuple(shape), [positions.strides])
        letters = [f"{letter}_" for letter in OUTER[: len(loops.sizes)]]
        self.decoded(depth, which, loops.sizes, letters, "int64")
        if name == "place":
            self._picked(depth, positions, loops.strides[0], letters, n)
            return
        self.emit(depth, f"{name} = int64({self.seen(positions, loops.strides[0], letters)})")
        self.emit(depth, f"if {name} < 0:")
        self.emit(depth + 1, f"{name} = {name} + {n}")
