"""Loops in CUDA text: elementwise nodes, an entry after the other or several at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from graphgrad.compiler.cuda_pen import CudaPen, Piece
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


class CudaNests(CudaPen):
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
