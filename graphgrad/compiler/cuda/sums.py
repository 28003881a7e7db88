"""Sums in CUDA text: reductions by lanes of threads, in a fixed order.

A reduction's results are shared among threads: some lanes of a block sum parts of the same result
and then add up in shared memory, always in the same order. Where results are few and each is long,
it is also split among blocks, and a second stage adds their parts. Lanes run along the reduced
axes where these are the innermost (rows), else neighbouring threads take neighbouring results
(columns), so that threads side by side always read numbers side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from graphgrad.compiler.cuda.loops import UNROLLED, CudaNests, Sweep
from graphgrad.compiler.cuda.pen import DEVICE_ARENAS, Piece, power_above
from graphgrad.compiler.cuda.schedule import MOST_SUMS
from graphgrad.compiler.cuda.vectors import SIDE
from graphgrad.compiler.fuse import Kernel
from graphgrad.compiler.longsums import LONG, is_long
from graphgrad.compiler.text import LETTERS
from graphgrad.graph import Node
from graphgrad.shapes import Shape, size

__all__ = ["CudaSums", "Lanes"]

LEAST = 64
"""Entries for each lane from which on a sum is split among blocks."""
COLUMN_LANES = 32
"""Neighbouring results that are summed together; 128 bytes of float32, a line of memory."""


@dataclass(frozen=True)
class Lanes:
    """How a block is shared: `wide` results side by side, `lanes` threads for each, `parts` blocks.

    Attributes:
        results, length: how many results, and the entries of each.
        by_rows: whether neighbouring threads are lanes of the same result.
    """

    results: int
    length: int
    wide: int
    lanes: int
    parts: int
    by_rows: bool

    @property
    def blocks(self) -> int:
        """Blocks of threads."""
        return -(-self.results // self.wide) * self.parts


class CudaSums(CudaNests):
    """Writes loops with reductions."""

    def loop_stages(self, kernel: Kernel) -> list[list[Piece]]:
        """Return the pieces of a loop, those of the second stage apart."""
        stores = [n for n in kernel.nodes if n.primitive.kind == "map" and n in self.plan.start]
        patterns: dict[tuple[int, ...], list[Node]] = {}
        for n in kernel.nodes:
            if n.primitive.kind == "reduce":
                patterns.setdefault(n.settings["axis"], []).append(n)
        groups = [
            alike[k : k + MOST_SUMS]
            for alike in patterns.values() for k in range(0, len(alike), MOST_SUMS)
        ] or [[]]  # fmt: skip
        # what is written over an old value comes last, for others may read the old one; else the
        # first pass stores, and later ones read what it stored
        first = not any(n in self.plan.in_place for n in stores) and len(groups) > 1
        stages: list[list[Piece]] = []
        for k, reduced in enumerate(groups):
            here = k == 0 if first else k == len(groups) - 1
            given = set(stores) if first and k else set()
            sweep = self._sweep(kernel, stores if here else [], reduced, given)
            stages += [[p] for p in self._swept(kernel.domain, sweep)]
        return stages

    def _swept(self, domain: Shape, sweep: Sweep) -> list[Piece]:
        if not size(domain):
            return [self._starts(n) for n in sweep.reduced]
        if sweep.reduced:
            return self._summing(sweep)
        return [self._elementwise(sweep)] if sweep.stores else []

    def _starts(self, node: Node) -> Piece:
        """Fill what a reduction of nothing gives."""
        self.begin()
        blocks, depth = self.each(node.size)
        self.emit(depth, f"{self.entry(node, 't')} = {self.start_of(node)}")
        self.again(node.size, blocks)
        return self.piece(blocks)

    def _summing(self, sweep: Sweep) -> list[Piece]:
        ends = sweep.loops.strides[-1]
        sizes = sweep.loops.sizes
        kept = [k for k in range(len(sizes)) if ends[k]]
        over = [k for k in range(len(sizes)) if not ends[k]]
        lanes = self.lanes(
            size(tuple(sizes[k] for k in kept)),
            size(tuple(sizes[k] for k in over)),
            by_rows=bool(over) and (not kept or over[-1] > kept[-1]),
        )
        self.begin()
        names = [f"{self.label(n)}_sum_" for n in sweep.reduced]

        def add(depth: int, kind: str) -> None:
            self._summed(depth, sweep, lanes, (kept, over), names, kind)

        each = lanes.length // (lanes.lanes * lanes.parts)
        starts = [
            "float64(0)" if each > LONG and is_long(n) else self.start_of(n) for n in sweep.reduced
        ]
        places = [self._result(n, lanes) for n in sweep.reduced]
        shared = self.folded(sweep.reduced, names, starts, lanes, add, [p for p, _ in places])
        pieces = [self.piece(lanes.blocks, shared)]
        if lanes.parts > 1:
            pieces += [
                self._added_up(n, lanes, at)
                for n, (_, at) in zip(sweep.reduced, places, strict=True)
            ]
        return pieces

    def lanes(self, results: int, length: int, by_rows: bool) -> Lanes:
        """Return how threads share the entries of so many results."""
        threads = self.grid.threads
        if by_rows:
            lanes = power_above(-(-length // 2), threads)
            wide = threads // lanes
        else:
            wide = power_above(results, min(COLUMN_LANES, threads))
            lanes = min(threads // wide, power_above(-(-length // 2), threads))
            wide = threads // lanes
        blocks = -(-results // wide)
        parts = max(1, min(self.grid.enough // blocks, length // (8 * lanes)))
        parts = parts if length >= LEAST * lanes else 1
        if blocks == 1 and length > self.grid.enough * lanes * 64:
            parts = self.grid.blocks  # a sum over very many: as many readers as there can be
        return Lanes(results, length, wide, lanes, parts, by_rows)

    def _result(self, node: Node, lanes: Lanes) -> tuple[str, int]:
        """Return where a result goes, and where in the scratch its parts begin."""
        if lanes.parts == 1:
            return self.entry(node, "r" if lanes.results > 1 else "0"), 0
        at = self.scratch(node.dtype, lanes.parts * lanes.results)
        name = DEVICE_ARENAS[node.dtype]
        return f"{name}[scratch_{name} + {at} + part*{lanes.results} + r]", at

    def folded(
        self,
        nodes: Sequence[Node],
        names: Sequence[str],
        starts: Sequence[str],
        lanes: Lanes,
        add: Callable[[int, str], None],
        places: Sequence[str],
    ) -> int:
        """Write a reduction by lanes: each adds up its entries, then the lanes are added up.

        Args:
            nodes: the reductions.
            names: the locals in which each lane adds up.
            starts: what they begin with.
            lanes: how threads share the work; result `r`, entries from `at` on.
            add: writes the loop over entries.
            places: where results go.

        Returns:
            The bytes of shared memory used.
        """
        kind = self.headed(lanes)
        self.by_lanes(nodes, names, starts, lanes, kind, lambda depth: add(depth, kind), places)
        return 0 if lanes.lanes == 1 else sum(self.grid.threads * x.dtype.itemsize for x in nodes)

    def headed(self, lanes: Lanes) -> str:
        """Write which result a thread works on, as which lane; return the type of indices."""
        kind = self.whole(max(lanes.results * lanes.parts, lanes.length) + 2**16)
        n, w, p = lanes.lanes, lanes.wide, lanes.parts
        rows = lanes.by_rows
        lane, column = (
            (f"thread % {n}", f"thread // {n}") if rows else (f"thread // {w}", f"thread % {w}")
        )
        self.emit(0, f"lane, column = {kind}({lane}), {kind}({column})")
        if p > 1:
            self.emit(0, f"part = {kind}(block % {p})")
        self.emit(0, f"r = {kind}({f'block // {p}' if p > 1 else 'block'}*{w} + column)")
        return kind

    def by_lanes(
        self,
        nodes: Sequence[Node],
        names: Sequence[str],
        starts: Sequence[str],
        lanes: Lanes,
        kind: str,
        add: Callable[[int], None],
        places: Sequence[str],
    ) -> None:
        """Write what lanes do with the entries of their result, and add up what they have."""
        for name, start in zip(names, starts, strict=True):
            self.emit(0, f"{name} = {start}")
        self.emit(0, f"if r < {lanes.results}:")
        first = f"{kind}(part*{lanes.lanes} + lane)" if lanes.parts > 1 else "lane"
        self.emit(1, f"at = {first}")
        add(1)
        if not nodes:
            return
        if lanes.lanes > 1:
            self._tree(nodes, names, lanes)
        self.emit(0, f"if lane == 0 and r < {lanes.results}:")
        for name, place in zip(names, places, strict=True):
            self.emit(1, f"{place} = {name}")

    def _tree(self, nodes: Sequence[Node], names: Sequence[str], lanes: Lanes) -> None:
        """Add up what the lanes hold, by halves, in shared memory."""
        n, w = lanes.lanes, lanes.wide
        self.emit(0, f"slot = u32(lane*{w} + column)")
        for node, name in zip(nodes, names, strict=True):
            kind = "bool_" if node.dtype.name == "bool" else node.dtype.name
            self.emit(0, f"{name}all = cuda.shared.array({n * w}, {kind})")
            self.emit(0, f"{name}all[slot] = {name}")
        self.emit(0, "cuda.syncthreads()")
        half = n // 2
        while half:
            self.emit(0, f"if lane < {half}:")
            for node, name in zip(nodes, names, strict=True):
                self.emit(1, f"{name} = {name}all[slot]")
                other = f"{name}all[slot + {half * w}]"
                self.emit(1, f"{name}all[slot] = {self.combined(node, name, other)}")
            self.emit(0, "cuda.syncthreads()")
            half //= 2
        for name in names:
            self.emit(0, f"{name} = {name}all[slot]")

    def _summed(
        self,
        depth: int,
        sweep: Sweep,
        lanes: Lanes,
        axes: tuple[list[int], list[int]],
        names: Sequence[str],
        kind: str,
    ) -> None:
        """Write the loop over the entries of result `r` that are this lane's."""
        kept, over = axes
        sizes, step = sweep.loops.sizes, lanes.lanes * lanes.parts
        base = [LETTERS[k] for k in range(len(sizes))]
        self.decoded(depth, "r", [sizes[k] for k in kept], [base[k] for k in kept], kind)
        known: dict[Node, str] = {}
        for at, (x, view) in enumerate(sweep.loads.items()):
            strides = sweep.strides(at)
            if not any(strides[k] for k in over):
                text = self.seen(view, strides, base)
                if "[" in text:
                    self.emit(depth, f"{self.label(x)}_at_ = {text}")
                    text = f"{self.label(x)}_at_"
                known[x] = text

        def locate(k: int) -> list[str]:
            letters = list(base)
            for axis in over:
                letters[axis] = f"_{base[axis]}{k}"
            if not over:
                return letters
            self.emit(depth + 1, f"s = {kind}(at + {k * step})" if k else "s = at")
            self.decoded(depth + 1, "s", [sizes[a] for a in over],
                         [letters[a] for a in over], kind)  # fmt: skip
            return letters

        def summed(found: list[dict[Node, str]]) -> None:
            for local in found:
                for node, name in zip(sweep.reduced, names, strict=True):
                    value = self.combined(node, name, local[node.inputs[0]])
                    self.emit(depth + 1, f"{name} = {value}")

        if lanes.length >= 2 * UNROLLED * step and self._along(sweep, over):
            whole = lanes.length // SIDE * SIDE
            self.emit(depth, "first = at")
            self.emit(depth, f"at = {kind}({SIDE}*first)")
            self.emit(depth, f"while at < {whole}:")
            summed(self.side_by_side(depth + 1, sweep, locate(0), known))
            self.emit(depth + 1, f"at = {kind}(at + {SIDE * step})")
            if whole < lanes.length:
                self.emit(depth, f"at = {kind}({whole} + first)")
                self.emit(depth, f"if at < {lanes.length}:")
                summed(self.bodies(depth + 1, sweep, 1, locate, known))
            return
        counts = [1]
        if lanes.length >= 2 * UNROLLED * step:
            counts = [UNROLLED, 1]
        for many in counts:
            last = lanes.length - (many - 1) * step
            self.emit(depth, f"while at < {last}:")
            summed(self.bodies(depth + 1, sweep, many, locate, known))
            self.emit(depth + 1, f"at = {kind}(at + {many * step})")

    def _along(self, sweep: Sweep, over: list[int]) -> bool:
        """Return whether a lane may take neighbours: the last axis is summed over."""
        last = len(sweep.loops.sizes) - 1
        return over[-1:] == [last] and self.can_be_side_by_side(sweep)

    def _added_up(self, node: Node, first: Lanes, at: int) -> Piece:
        """Add up the parts of split sums."""
        self.begin()
        lanes = self.lanes(first.results, first.parts, by_rows=first.results == 1)
        lanes = Lanes(lanes.results, lanes.length, lanes.wide, lanes.lanes, 1, lanes.by_rows)
        name, arena = f"{self.label(node)}_sum_", DEVICE_ARENAS[node.dtype]

        def add(depth: int, kind: str) -> None:
            self.emit(depth, f"while at < {lanes.length}:")
            value = f"{arena}[scratch_{arena} + {at} + at*{first.results} + r]"
            self.emit(depth + 1, f"{name} = {self.combined(node, name, value)}")
            self.emit(depth + 1, f"at = {kind}(at + {lanes.lanes})")

        place = self.entry(node, "r" if first.results > 1 else "0")
        shared = self.folded([node], [name], [self.start_of(node)], lanes, add, [place])
        return self.piece(lanes.blocks, shared)
