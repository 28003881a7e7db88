"""Loops in CUDA text: elementwise nodes, an entry after the other or several at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from graphgrad.compiler.cuda.pen import Piece
from graphgrad.compiler.cuda.vectors import SIDE, CudaVectors, beside
from graphgrad.compiler.fuse import Kernel
from graphgrad.compiler.text import LETTERS, Loops, index, target
from graphgrad.compiler.views import View, contiguous
from graphgrad.graph import Node
from graphgrad.shapes import Shape, size

__all__ = ["UNROLLED", "CudaNests", "Sweep"]

UNROLLED = 4
"""Entries that a thread asks for at once in long loops: memory answers late, but many at a time."""


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


class CudaNests(CudaVectors):
    """Writes loops over elementwise nodes."""

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
        for k in range(many):
            self._loaded(depth, sweep, found[k], letters[k], k, many)
        for k in range(many):
            self._mapped(depth, sweep, found[k], letters[k], k, many, sweep.stores)
        return found

    def side_by_side(
        self, depth: int, sweep: Sweep, first: Sequence[str], known: dict[Node, str] | None = None
    ) -> list[dict[Node, str]]:
        """Write the same for `SIDE` neighbours along the last axis, by vectors where possible.

        `first` has the indices of the first of them.
        """
        letters = [beside(first, k) for k in range(SIDE)]
        found: list[dict[Node, str]] = [dict(known or {}) for _ in range(SIDE)]
        for at, (x, view) in enumerate(sweep.loads.items()):
            width = self.width(view.root, sweep.strides(at), view.offset)
            if width and x not in found[0]:
                names = [f"_{self.label(x)}_at_{k}" for k in range(SIDE)]
                begin = index(sweep.strides(at), view.offset, first)
                self.load(depth, view.root, begin, names, width)
                for k, name in enumerate(names):
                    found[k][x] = name
        # what does not change along the last axis is loaded once
        same = [x for at, x in enumerate(sweep.loads) if not sweep.strides(at)[-1]]
        for k in range(SIDE):
            if k:
                found[k].update({x: found[0][x] for x in same})
            self._loaded(depth, sweep, found[k], letters[k], k, SIDE)
        strides = self._stored_by(sweep)
        widths = {n: self.width(n, strides) for n in sweep.maps if n in sweep.stores}
        alone = [n for n, width in widths.items() if not width]
        for k in range(SIDE):
            self._mapped(depth, sweep, found[k], letters[k], k, SIDE, alone)
        for node, width in widths.items():
            if width:
                names = [local[node] for local in found]
                self.store(depth, node, index(strides, 0, first), names, width)
        return found

    def can_be_side_by_side(self, sweep: Sweep) -> bool:
        """Return whether neighbours along the last axis are worth taking together."""
        sizes = sweep.loops.sizes
        if not sizes or (len(sizes) > 1 and sizes[-1] % SIDE):
            return False
        views = [(v.root, sweep.strides(at), v.offset) for at, v in enumerate(sweep.loads.values())]
        views += [(n, self._stored_by(sweep), 0) for n in sweep.stores]
        return any(self.width(*view) for view in views)

    def _stored_by(self, sweep: Sweep) -> list[int]:
        return sweep.strides(len(sweep.loads)) if sweep.stores else []

    def _loaded(
        self,
        depth: int,
        sweep: Sweep,
        local: dict[Node, str],
        letters: Sequence[str],
        k: int,
        many: int,
    ) -> None:
        """Write the loads of an entry that are no locals yet."""
        overwritten = {v for new, v in self.plan.in_place.items() if new in sweep.stores}
        for at, (x, view) in enumerate(sweep.loads.items()):
            if x in local:
                continue
            text = self.seen(view, sweep.strides(at), letters)
            if "[" in text and (many > 1 or view.root in overwritten):
                name = self._numbered(f"{self.label(x)}_at_", k, many)
                self.emit(depth, f"{name} = {text}")
                text = name
            local[x] = text

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
        stores: Sequence[Node],
    ) -> None:
        for node in sweep.maps:
            code = self.expression(node, [local[x] for x in node.inputs])
            local[node] = self._numbered(f"{self.label(node)}_", k, many)
            self.emit(depth, f"{local[node]} = {code}")
            if node in stores:
                place = self.entry(node, index(self._stored_by(sweep), 0, letters))
                self.emit(depth, f"{place} = {local[node]}")

    # -- elementwise -----------------------------------------------------------------------------

    def _elementwise(self, sweep: Sweep) -> Piece:
        self.begin()
        sizes = sweep.loops.sizes
        total = size(tuple(sizes))
        least = SIDE * self.grid.enough * self.grid.threads  # fewer would not keep it all busy
        if total >= least and self.can_be_side_by_side(sweep):
            return self._by_vectors(sweep, total)
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

    def _by_vectors(self, sweep: Sweep, total: int) -> Piece:
        """Write a loop of which each thread takes neighbours, and what is left one by one."""
        sizes, threads, whole = sweep.loops.sizes, self.grid.threads, total // SIDE * SIDE
        blocks = min(-(-whole // (SIDE * threads)), self.grid.blocks)
        step = SIDE * blocks * threads
        kind = self.whole(total + step)
        self.emit(0, f"t = {kind}({SIDE}*{kind}(block*{threads} + thread))")
        self.emit(0, f"{'while' if whole > step else 'if'} t < {whole}:")
        self.side_by_side(1, sweep, self._place(sizes, kind, 0, step))
        if whole > step:
            self.emit(1, f"t = {kind}(t + {step})")
        if whole < total:
            self.emit(0, f"t = {kind}({whole} + block*{threads} + thread)")
            self.emit(0, f"if t < {total}:")
            self.bodies(1, sweep, 1, lambda _: ["t"])
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
