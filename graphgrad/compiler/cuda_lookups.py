"""Gathers and scatters in CUDA text: entries at positions that are numbers themselves."""

from __future__ import annotations

from collections.abc import Sequence

from graphgrad.compiler.cuda_pen import OUTER, Piece
from graphgrad.compiler.cuda_rows import CudaRows
from graphgrad.compiler.fuse import is_literal
from graphgrad.compiler.text import Loops, index, join
from graphgrad.compiler.views import View, contiguous
from graphgrad.graph import Node
from graphgrad.shapes import size

__all__ = ["CudaLookups"]


class CudaLookups(CudaRows):
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
        up all that do.
        """
        x, at = node.inputs
        axis, width = node.settings["axis"], len(at.shape)
        source, positions = self.fused.view(x), self.fused.view(at)
        self.begin()
        blocks, depth = self.each(node.size)
        self.emit(depth, f"{self.entry(node, 't')} = {node.dtype.name}(0)")
        self.again(node.size, blocks)
        zeros = self.piece(blocks)
        if not x.size:
            return [[zeros]]
        lead, rest = x.shape[:axis], x.shape[axis + width :]
        outer, count = size(lead) * size(rest), size(at.shape)
        kind = self.whole(max(x.size, node.size))
        self.begin()
        blocks, depth = self.each(outer * count)
        self.emit(depth, f"first = {kind}(t // {outer})")
        self._out_of(depth, node, x, axis, kind)
        self._goes(depth, "first", "place", positions, at.shape, node.shape[axis])
        known, span = "known = False", "for row in range(first):"
        self.emit(depth, known)
        self.emit(depth, span)
        self._goes(depth + 1, "row", "other", positions, at.shape, node.shape[axis])
        self.emit(depth + 1, "known = known or other == place")
        self.emit(depth, "if not known:")
        self.emit(depth + 1, f"value = {node.dtype.name}(0)")
        self.emit(depth + 1, f"for row in range(first, {count}):")
        self._goes(depth + 2, "row", "other", positions, at.shape, node.shape[axis])
        self.emit(depth + 2, "if other == place:")
        inner = Loops.over(at.shape, [source.strides[axis : axis + width]])
        letters = [f"{letter}_" for letter in OUTER[: len(inner.sizes)]]
        self.decoded(depth + 3, "row", inner.sizes, letters, "int64")
        text = index(inner.strides[0], source.offset, letters)
        value = (
            self.literal(source.root)
            if self._is_number(source)
            else self.entry(source.root, join("near", text))
        )
        self.emit(depth + 3, f"value = value + {value}")
        big = contiguous(node.shape)[axis]
        self.emit(depth + 1, f"{self.entry(node, f'far + {big}*place')} = value")
        self.again(outer * count, blocks)
        return [[zeros], [self.piece(blocks)]]

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
