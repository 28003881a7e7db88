"""Loops in CUDA text: elementwise nodes, and reductions by lanes of threads in a fixed order.

A reduction's results are shared among threads: some lanes of a block sum parts of the same result
and then add up in shared memory, always in the same order. Where results are few and each is long,
it is also split among blocks, and a second stage adds their parts. Lanes run along the reduced
axes where these are the innermost (rows), else neighbouring threads take neighbouring results
(columns), so that threads side by side always read numbers side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from graphgrad.compiler.cuda_pen import DEVICE_ARENAS, CudaPen, Piece, power_above
from graphgrad.compiler.cuda_schedule import Unit
from graphgrad.compiler.fuse import Kernel
from graphgrad.compiler.text import LETTERS, Loops, index, target
from graphgrad.compiler.views import View, contiguous
from graphgrad.graph import Node
from graphgrad.shapes import Shape, size

__all__ = ["CudaNests", "Sweep"]

UNROLLED = 4
"""Entries that a thread asks for at once in long loops: memory answers late, but many at a time."""
LEAST = 64
"""Entries for each lane from which on a sum is split among blocks."""
COLUMN_LANES = 32
"""Neighbouring results that are summed together; 128 bytes of float32, a line of memory."""


@dataclass
class Sweep:
    """One pass over a domain: what it stores, and the reductions of one pattern.

    Attributes:
        maps: the elementwise nodes it computes, in order.
        loads: what it reads, broadcast to the domain.
        stores: the maps it writes.
        reduced: reductions over the same axes.
        views: strides over the domain, of loads, then of stores, then of reductions.
        loops: the same over merged axes.
    """

    maps: list[Node]
    loads: dict[Node, View]
    stores: list[Node]
    reduced: list[Node]
    views: list[Shape]
    loops: Loops

    def strides(self, k: int) -> list[int]:
        """Return the strides of the k-th view."""
        return self.loops.strides[k]


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


class CudaNests(CudaPen):
    """Writes loops over elementwise nodes and reductions."""

    def loop_stages(self, kernel: Kernel) -> list[list[Piece]]:
        """Return the pieces of a loop, those of the second stage apart."""
        stores = [n for n in kernel.nodes if n.primitive.kind == "map" and n in self.plan.start]
        patterns: dict[tuple[int, ...], list[Node]] = {}
        for n in kernel.nodes:
            if n.primitive.kind == "reduce":
                patterns.setdefault(n.settings["axis"], []).append(n)
        groups = list(patterns.values()) or [[]]
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

    def _sweep(
        self, kernel: Kernel, stores: Sequence[Node], reduced: list[Node], given: set[Node]
    ) -> Sweep:
        mine = {n for n in kernel.nodes if n.primitive.kind == "map"} - given
        domain = kernel.domain

        def inside(x: Node) -> bool:
            return x in mine and x.shape == domain

        wanted, stack = set(stores), list(stores)
        for x in (n.inputs[0] for n in reduced):
            if inside(x):
                wanted.add(x)
                stack.append(x)
        while stack:
            for x in stack.pop().inputs:
                if inside(x) and x not in wanted:
                    wanted.add(x)
                    stack.append(x)
        maps = [n for n in kernel.nodes if n in wanted]
        loads: dict[Node, View] = {}
        for n in [*maps, *reduced]:
            for x in n.inputs:
                if x not in wanted:
                    loads.setdefault(x, self.fused.view(x).broadcast(domain))
        views: list[Shape] = [v.strides for v in loads.values()]
        views += [contiguous(domain) for _ in stores] + [target(n) for n in reduced]
        return Sweep(maps, loads, list(stores), reduced, views, Loops.over(domain, views))

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

    # -- bodies ----------------------------------------------------------------------------------

    def bodies(
        self,
        depth: int,
        sweep: Sweep,
        many: int,
        locate: Callable[[int], Sequence[str]],
        known: dict[Node, str] | None = None,
    ) -> list[dict[Node, str]]:
        """Write loads, maps and stores of several entries, all loads first.

        Args:
            depth: of the lines.
            sweep: what to write.
            many: how many entries.
            locate: writes the indices of an entry, if need be, and returns their names.
            known: the names of loads that are locals already.

        Returns:
            For each entry the local that holds each node.
        """
        letters = [list(locate(k)) for k in range(many)]
        found: list[dict[Node, str]] = [dict(known or {}) for _ in range(many)]
        overwritten = {v for new, v in self.plan.in_place.items() if new in sweep.stores}
        for k in range(many):
            for at, (x, view) in enumerate(sweep.loads.items()):
                if x in found[k]:
                    continue
                text = self.seen(view, sweep.strides(at), letters[k])
                if "[" in text and (many > 1 or view.root in overwritten):
                    name = self._numbered(f"{self.label(x)}_at_", k, many)
                    self.emit(depth, f"{name} = {text}")
                    text = name
                found[k][x] = text
        for k in range(many):
            self._mapped(depth, sweep, found[k], letters[k], k, many)
        return found

    def _numbered(self, name: str, k: int, many: int) -> str:
        return f"_{name}{k}" if many > 1 else name

    def _mapped(
        self,
        depth: int,
        sweep: Sweep,
        local: dict[Node, str],
        letters: Sequence[str],
        k: int,
        many: int,
    ) -> None:
        store = sweep.strides(len(sweep.loads)) if sweep.stores else []
        for node in sweep.maps:
            code = self.expression(node, [local[x] for x in node.inputs])
            local[node] = self._numbered(f"{self.label(node)}_", k, many)
            self.emit(depth, f"{local[node]} = {code}")
            if node in sweep.stores:
                place = self.entry(node, index(store, 0, letters))
                self.emit(depth, f"{place} = {local[node]}")

    # -- elementwise -----------------------------------------------------------------------------

    def _elementwise(self, sweep: Sweep) -> Piece:
        self.begin()
        sizes = sweep.loops.sizes
        total = size(tuple(sizes))
        step = min(-(-total // self.grid.threads), self.grid.blocks) * self.grid.threads
        kind = self.whole(total + UNROLLED * step)
        if total >= UNROLLED * step and step == self.grid.blocks * self.grid.threads:
            self.emit(0, f"t = {kind}(block*{self.grid.threads} + thread)")
            self.emit(0, f"while t < {total - (UNROLLED - 1) * step}:")
            self.bodies(1, sweep, UNROLLED, lambda k: self._place(sizes, kind, k, step))
            self.emit(1, f"t = {kind}(t + {UNROLLED * step})")
            self.emit(0, f"while t < {total}:")
            self.bodies(1, sweep, 1, lambda k: self._place(sizes, kind, 0, step))
            self.emit(1, f"t = {kind}(t + {step})")
            return self.piece(step // self.grid.threads)
        blocks, depth = self.each(total)
        self.bodies(depth, sweep, 1, lambda k: self._place(sizes, kind, 0, step))
        self.again(total, blocks)
        return self.piece(blocks)

    def _place(self, sizes: Sequence[int], kind: str, k: int, step: int) -> list[str]:
        """Write the indices of the k-th entry after `t`."""
        if len(sizes) < 2:
            if k == 0:
                return ["t"]
            self.emit(1, f"_t{k} = {kind}(t + {k * step})")
            return [f"_t{k}"]
        letters = [f"_{letter}{k}" for letter in LETTERS[: len(sizes)]]
        self.emit(1, f"s = {kind}(t + {k * step})" if k else "s = t")
        self.decoded(1, "s", sizes, letters, kind)
        return letters

    # -- reductions ------------------------------------------------------------------------------

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

        starts = [self.start_of(n) for n in sweep.reduced]
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

        counts = [1]
        if lanes.length >= 2 * UNROLLED * step:
            counts = [UNROLLED, 1]
        for many in counts:
            last = lanes.length - (many - 1) * step
            self.emit(depth, f"while at < {last}:")
            for local in self.bodies(depth + 1, sweep, many, locate, known):
                for node, name in zip(sweep.reduced, names, strict=True):
                    value = self.combined(node, name, local[node.inputs[0]])
                    self.emit(depth + 1, f"{name} = {value}")
            self.emit(depth + 1, f"at = {kind}(at + {many * step})")

    # -- several loops over the same rows ----------------------------------------------------------

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


def _by_row(domain: Shape, views: Sequence[Shape]) -> Loops:
    """Return merged axes of which the first stays as it is."""
    inner = Loops.over(domain[1:], [v[1:] for v in views])
    strides = [[v[0], *rest] for v, rest in zip(views, inner.strides, strict=True)]
    return Loops([domain[0], *inner.sizes], strides)
