"""Kernels of one node in CUDA text: moves, positions of extremes, random draws.

All are written from the result's side: a thread computes an entry and asks where it comes from. So
no two threads write the same place, and sums are in a fixed order.
"""

from __future__ import annotations

from collections.abc import Sequence

from graphgrad import dtypes
from graphgrad.compiler.cuda.lookups import CudaLookups
from graphgrad.compiler.cuda.pen import OUTER, Piece
from graphgrad.compiler.text import Loops, index, join
from graphgrad.compiler.views import View, is_injective, places
from graphgrad.graph import Node
from graphgrad.shapes import size

__all__ = ["CudaSingles"]


class CudaSingles(CudaLookups):
    """Writes the kernels that are neither loops over maps nor products."""

    # -- moves -----------------------------------------------------------------------------------

    def move_stages(self, node: Node) -> list[list[Piece]]:
        """Return the pieces of a copy of one or several arrays into one."""
        self.begin()
        total = node.size
        blocks, depth = self.each(total)
        kind = self.whole(total)
        targets = [_upright(*pair) for pair in zip(
            [self.fused.view(x) for x in node.inputs], places(node), strict=True
        )]  # fmt: skip
        alone = len(targets) == 1 and _covers(targets[0][1], total)
        if not alone:
            self.emit(depth, f"value = {node.dtype.name}({node.settings.get('value', 0)!r})")
        for source, goal in targets:
            if alone:
                self._copied(depth, source, goal, kind)
            else:
                self._fetched(depth, node, source, goal)
        self.emit(depth, f"{self.entry(node, 't')} = value")
        self.again(total, blocks)
        return [[self.piece(blocks)]]

    def _copied(self, depth: int, source: View, goal: View, kind: str) -> None:
        """Find the entry of a source that fills the whole result, in another order."""
        order = sorted(range(len(goal.shape)), key=lambda k: -goal.strides[k])
        shape = tuple(goal.shape[k] for k in order)
        views = [tuple(v.strides[k] for k in order) for v in (source, goal)]
        loops = Loops.over(shape, views)
        letters = OUTER[: len(loops.sizes)]
        self.decoded(depth, "t", loops.sizes, letters, kind)
        self.emit(depth, f"value = {self.seen(source, loops.strides[0], letters)}")

    def _fetched(self, depth: int, node: Node, source: View, goal: View) -> None:
        """Look up what a source puts at `t`: nothing, one entry, or the sum of several."""
        order = sorted(
            (k for k in range(len(goal.shape)) if goal.shape[k] > 1), key=lambda k: -goal.strides[k]
        )
        again = _repeats([goal.shape[k] for k in order], [goal.strides[k] for k in order])
        looped = [order[k] for k in again]
        solved = [k for k in order if k not in looped]
        letters = {k: OUTER[at] for at, k in enumerate(order)}
        for k in looped:
            self.emit(depth, f"for {letters[k]} in range({goal.shape[k]}):")
            depth += 1
        shift = index([goal.strides[k] for k in looped], goal.offset, [letters[k] for k in looped])
        self.emit(depth, f"left = t - ({shift})" if shift != "0" else "left = int64(t)")
        self.emit(depth, "if left >= 0:")
        for k in solved:
            self.emit(depth + 1, f"{letters[k]} = left // {goal.strides[k]}")
            self.emit(depth + 1, f"left = left % {goal.strides[k]}")
        tests = ["left == 0"] + [f"{letters[k]} < {goal.shape[k]}" for k in solved[:1]]
        tests += [f"{letters[k]} < {goal.shape[k]}" for k in solved[1:]]
        self.emit(depth + 1, f"if {' and '.join(tests)}:")
        text = self.seen(source, [source.strides[k] for k in order], [letters[k] for k in order])
        whole = bool(looped)
        self.emit(depth + 2, f"value = value + {text}" if whole else f"value = {text}")

    # -- positions of extremes, random draws -------------------------------------------------------

    def reduce_stages(self, node: Node) -> list[list[Piece]]:
        """Return the piece of `argmax`: lanes look at a share each, then the best are compared."""
        source = self.fused.view(node.inputs[0])
        axis = node.settings["axis"]
        kept = [k for k in range(len(source.shape)) if k not in axis]
        outer, inner = _part_of(source, kept), _part_of(source, axis)
        length = size(tuple(inner.sizes))
        lanes = self.lanes(node.size, length, by_rows=True)
        n, w = lanes.lanes, lanes.wide
        kind = self.whole(source.root.size + 2**16)
        self.begin()
        self.emit(0, f"lane, column = {kind}(thread % {n}), {kind}(thread // {n})")
        self.emit(0, f"r = {kind}(block*{w} + column)")
        self.emit(0, f"best, place = {node.inputs[0].dtype.name}(0), int64(-1)")
        self.emit(0, f"if r < {node.size}:")
        letters = OUTER[: len(outer.sizes)]
        self.decoded(1, "r", outer.sizes, letters, kind)
        self.emit(1, "at = lane")
        self.emit(1, f"while at < {length}:")
        inside = [f"{letter}_" for letter in OUTER[: len(inner.sizes)]]
        self.decoded(2, "at", inner.sizes, inside, kind)
        base = index(outer.strides[0], source.offset, letters)
        spot = join(base, index(inner.strides[0], 0, inside))
        value = (
            self.literal(source.root) if self._is_number(source) else self.entry(source.root, spot)
        )
        self.emit(2, f"value = {value}")
        self.emit(2, "if place < 0 or value > best or (value != value and best == best):")
        self.emit(3, "best, place = value, int64(at)")
        self.emit(2, f"at = {kind}(at + {n})")
        shared = 0
        if n > 1:
            self._compared(node, n, w)
            shared = self.grid.threads * (8 + node.inputs[0].dtype.itemsize)
        self.emit(0, f"if lane == 0 and r < {node.size}:")
        self.emit(1, f"{self.entry(node, 'r' if node.size > 1 else '0')} = place")
        return [[self.piece(-(-node.size // w), shared)]]

    def _compared(self, node: Node, n: int, w: int) -> None:
        kind = node.inputs[0].dtype.name
        self.emit(0, f"slot = u32(lane*{w} + column)")
        self.emit(0, f"bests = cuda.shared.array({n * w}, {'bool_' if kind == 'bool' else kind})")
        self.emit(0, f"places = cuda.shared.array({n * w}, int64)")
        self.emit(0, "bests[slot], places[slot] = best, place")
        self.emit(0, "cuda.syncthreads()")
        half = n // 2
        while half:
            self.emit(0, f"if lane < {half}:")
            self.emit(1, f"value, other = bests[slot + {half * w}], places[slot + {half * w}]")
            self.emit(1, "best, place = bests[slot], places[slot]")
            self.emit(1, "same = value == best or (value != value and best != best)")
            self.emit(1, "more = value > best or (value != value and best == best)")
            self.emit(1, "if other >= 0 and (place < 0 or more or (same and other < place)):")
            self.emit(2, "bests[slot], places[slot] = value, other")
            self.emit(0, "cuda.syncthreads()")
            half //= 2
        self.emit(0, "place = places[slot]")

    def random_stages(self, node: Node) -> list[list[Piece]]:
        """Return the piece of random numbers: a block of the generator gives two neighbours."""
        counter = self.fused.view(node.inputs[0])
        seed = int(node.settings["seed"]) & 0xFFFFFFFFFFFFFFFF
        pairs = -(-node.size // 2)
        narrow = node.dtype is dtypes.FLOAT32
        shift, scale = (40, "2.0**-24") if narrow else (11, "2.0**-53")
        draw = self.seen(counter, (), ())
        self.begin()
        blocks, depth = self.each(pairs)
        self.emit(
            depth,
            f"first, second = philox(uint64(t), uint64({draw}), uint64({seed}))",
        )
        kind = node.dtype.name
        for k, word in enumerate(("first", "second")):
            extra = 0
            if k and node.size % 2:
                self.emit(depth, f"if 2*t + 1 < {node.size}:")
                extra = 1
            place = self.entry(node, "2*t" + (" + 1" if k else ""))
            value = f"{kind}({word} >> uint64({shift})) * {kind}({scale})"
            self.emit(depth + extra, f"{place} = {value}")
        self.again(pairs, blocks)
        return [[self.piece(blocks)]]


def _part_of(view: View, axes: Sequence[int]) -> Loops:
    """Return some axes of a view, merged where they run on."""
    shape, strides = (tuple(of[k] for k in axes) for of in (view.shape, view.strides))
    return Loops.over(shape, [strides])


def _upright(source: View, goal: View) -> tuple[View, View]:
    """Return both views with axes turned so that the goal's strides are not negative."""
    ends = [list(source.strides), list(goal.strides)]
    offsets = [source.offset, goal.offset]
    for k, n in enumerate(goal.shape):
        if goal.strides[k] < 0:
            for at in (0, 1):
                offsets[at] += ends[at][k] * (n - 1)
                ends[at][k] = -ends[at][k]
    return (
        View(source.root, source.shape, tuple(ends[0]), offsets[0]),
        View(goal.root, goal.shape, tuple(ends[1]), offsets[1]),
    )


def _covers(goal: View, total: int) -> bool:
    """Return whether a view goes through every entry of a result exactly once."""
    return goal.offset == 0 and size(goal.shape) == total and is_injective(goal.shape, goal.strides)


def _repeats(shape: Sequence[int], strides: Sequence[int]) -> list[int]:
    """Return axes without which no two index tuples reach the same place, short ones first."""
    left = list(range(len(shape)))
    found = []
    while not is_injective([shape[k] for k in left], [strides[k] for k in left]):
        short = min(left, key=lambda k: (shape[k] * (strides[k] > 0), shape[k]))
        left.remove(short)
        found.append(short)
    return sorted(found)
