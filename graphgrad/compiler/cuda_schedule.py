"""Which kernels one launch runs: all that do not need each other, late rather than early.

A launch takes some microseconds whatever it does, so independent kernels share one, each in blocks
of its own: the gradients of all weights, then the updates of all parameters. Each kernel is put
into the last launch in which its readers still come after it, so that as many as possible meet.
A matrix product takes the loop that reads it entry by entry (bias, activation, its derivative)
along: then the product itself need not be written to memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from graphgrad.compiler.fuse import Fused, Kernel
from graphgrad.compiler.program import Program
from graphgrad.compiler.regions import Region, Schedule, reads
from graphgrad.compiler.views import contiguous
from graphgrad.graph import Node
from graphgrad.shapes import size

__all__ = ["Level", "Unit", "levels"]


@dataclass(eq=False)
class Unit:
    """One kernel, or a product and the loop over its results."""

    kernels: list[Kernel]

    @property
    def kernel(self) -> Kernel:
        """The kernel it begins with."""
        return self.kernels[0]

    @property
    def epilogue(self) -> Kernel | None:
        """The loop that a product takes along."""
        return self.kernels[1] if len(self.kernels) > 1 else None


Level = list[Unit]


def levels(
    program: Program, fused: Fused, together: bool = True
) -> tuple[Fused, list[Level], Schedule]:
    """Return the program's units by level, in order, and the times at which each is run.

    Args:
        program, fused: what the stages before made.
        together: whether independent kernels share a launch.

    Returns:
        The kernels and buffers that are left, the levels, and the schedule for `memory.plan`.
    """
    kernels = [k for k in fused.kernels if k.nodes[0].size or k.kind == "loop"]
    units = _units(kernels, fused, _kept(program, fused)) if together else [
        Unit([k]) for k in kernels
    ]
    inside = {u.kernel.nodes[-1] for u in units if u.epilogue}
    lean = replace(fused, stored=[n for n in fused.stored if n not in inside])
    found = _late(units, lean) if together else [[u] for u in units]
    regions = [Region([k for u in level for k in u.kernels], parts=2) for level in found]
    # a number of its own for each kernel: none may overwrite what another of its level reads
    rows = {k: at for at, k in enumerate((k for r in regions for k in r.kernels), 1)}
    return lean, found, Schedule(regions, rows, time=dict(rows))


def _kept(program: Program, fused: Fused) -> set[Node]:
    return {fused.view(n).root for n in (*program.outputs, *program.updates.values())}


def _units(kernels: Sequence[Kernel], fused: Fused, kept: set[Node]) -> list[Unit]:
    """Put each loop behind the product it reads, when it may go there and nobody else reads it."""
    readers: dict[Node, list[Kernel]] = {}
    for k in kernels:
        for root in {view.root for view, _ in reads(k, fused)}:
            readers.setdefault(root, []).append(k)
    taken: dict[Kernel, Unit] = {}
    units = []
    for k in kernels:
        if k in taken:
            continue
        unit = Unit([k])
        units.append(unit)
        product = k.nodes[-1]
        users = readers.get(product, [])
        if k.kind == "matmul" and len(users) == 1 and product not in kept:
            loop = users[0]
            if _is_epilogue(loop, product, fused) and loop not in taken:
                unit.kernels.append(loop)
                taken[loop] = unit
    return units


def _is_epilogue(loop: Kernel, product: Node, fused: Fused) -> bool:
    """Return whether a loop reads a product entry by entry, in order, and sums nothing."""
    if loop.kind != "loop" or any(n.primitive.kind != "map" for n in loop.nodes):
        return False
    views = [view for view, _ in reads(loop, fused) if view.root is product]
    return size(loop.domain) == product.size > 0 and all(
        view.offset == 0 and view.strides == contiguous(view.shape) for view in views
    )


def _late(units: Sequence[Unit], fused: Fused) -> list[Level]:
    home = {n: u for u in units for k in u.kernels for n in k.nodes}
    height: dict[Unit, int] = {u: 0 for u in units}
    needs = {
        u: {home[v.root] for k in u.kernels for v, _ in reads(k, fused) if v.root in home} - {u}
        for u in units
    }
    for u in reversed(_ordered(units, needs)):
        for x in needs[u]:
            height[x] = max(height[x], height[u] + 1)
    found: list[Level] = [[] for _ in range(max(height.values(), default=-1) + 1)]
    for u in units:
        found[-1 - height[u]].append(u)
    return found


def _ordered(units: Sequence[Unit], needs: dict[Unit, set[Unit]]) -> list[Unit]:
    """Return the units so that each comes after all it needs; a loop may now stand earlier."""
    order: list[Unit] = []
    placed: set[Unit] = set()
    stack = list(reversed(units))
    while stack:
        unit = stack[-1]
        left = [x for x in needs[unit] if x not in placed]
        if left and unit not in placed:
            stack += left
            continue
        stack.pop()
        if unit not in placed:
            placed.add(unit)
            order.append(unit)
    return order
