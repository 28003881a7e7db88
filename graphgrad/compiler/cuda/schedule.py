"""Which kernels one launch runs: all that do not need each other, late rather than early.

A launch takes some microseconds whatever it does, so independent kernels share one, each in blocks
of its own: the gradients of all weights, then the updates of all parameters. Each kernel is put
into the last launch in which its readers still come after it, so that as many as possible meet.
A matrix product takes the loop that reads it entry by entry (bias, activation, its derivative)
along: then the product itself need not be written to memory. Loops that work row by row, each on
what the one before it made (softmax and its cross-entropy), become one: a block takes its rows
through all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from graphgrad.compiler.cuda.epilogues import Able, to_cublas
from graphgrad.compiler.cuda.windows import without_copies
from graphgrad.compiler.fuse import Fused, Kernel
from graphgrad.compiler.program import Program
from graphgrad.compiler.regions import Region, Schedule, aligned, reads
from graphgrad.compiler.views import View, contiguous
from graphgrad.graph import Node, by_serial
from graphgrad.shapes import size

__all__ = ["Level", "Unit", "levels"]


SMALL = 2**16
"""Entries up to which a launch takes longer than its work."""
MOST_SUMS = 16
"""Sums that a block makes at once: each takes shared memory, of which there is little."""
WIDEST = 2048
"""Entries of a row up to which a block takes it through several loops."""


@dataclass(eq=False)
class Unit:
    """One kernel, a product and the loop over its results, or loops over the same rows.

    Attributes:
        kernels: in order.
        rows: how many rows its loops share; 0 when it is a single kernel or a product.
    """

    kernels: list[Kernel]
    rows: int = 0

    @property
    def kernel(self) -> Kernel:
        """The kernel it begins with."""
        return self.kernels[0]

    @property
    def epilogue(self) -> Kernel | None:
        """The loop that a product takes along."""
        return self.kernels[1] if len(self.kernels) > 1 and not self.rows else None


Level = list[Unit]


def levels(
    program: Program, fused: Fused, able: Able | None = None
) -> tuple[Fused, list[Level], Schedule]:
    """Return the program's units by level, in order, and the times at which each is run.

    Args:
        program, fused: what the stages before made.
        able: what cuBLASLt can do, where it is there.

    Returns:
        The kernels and buffers that are left, the levels, and the schedule for `memory.plan`.
    """
    kept = {fused.view(n).root for n in (*program.outputs, *program.updates.values())}
    fused = without_copies(fused, kept)
    fused = _parted(to_cublas(program, fused, able) if able else fused, kept)
    kernels = [k for k in fused.kernels if k.nodes[0].size or k.kind == "loop"]
    units = _chains(_products(kernels, fused, kept), fused)
    inside = {u.kernel.nodes[-1] for u in units if u.epilogue}
    lean = replace(fused, stored=[n for n in fused.stored if n not in inside])
    found = _late(units, lean)
    regions = [Region([k for u in level for k in u.kernels], parts=2) for level in found]
    # a number of its own for each kernel: none may overwrite what another of its level reads
    rows = {k: at for at, k in enumerate((k for r in regions for k in r.kernels), 1)}
    return lean, found, Schedule(regions, rows, time=dict(rows))


def _readers(kernels: Sequence[Kernel], fused: Fused) -> dict[Node, list[Kernel]]:
    readers: dict[Node, list[Kernel]] = {}
    for k in kernels:
        for root in {view.root for view, _ in reads(k, fused)}:
            readers.setdefault(root, []).append(k)
    return readers


def _parted(fused: Fused, kept: set[Node]) -> Fused:
    """Cut sums over rows off from loops that could else go with what comes before them.

    The gradient at a layer is needed at once by the next product, its sum (the bias' gradient)
    only at the end. So the loop goes with the product before it, or with other loops over the same
    rows, and the sum reads what it has stored.
    """
    readers = _readers(fused.kernels, fused)
    stored = set(fused.stored)
    kernels = []
    for k in fused.kernels:
        kernels.append(k)
        maps = Kernel("loop", k.domain, [n for n in k.nodes if n.primitive.kind == "map"])
        sums = [n for n in k.nodes if n.primitive.kind == "reduce" and 0 in n.settings["axis"]]
        if (
            k.kind != "loop"
            or not sums
            or not maps.nodes
            or len(k.nodes) - len(sums) != len(maps.nodes)
        ):
            continue
        inputs = {n.inputs[0] for n in sums}
        # a small loop may store what it need not: a launch less is worth more
        fits = size(k.domain) <= SMALL or inputs <= stored
        products = {v.root for v, _ in reads(maps, fused)} - kept
        awaited = any(readers.get(n) for n in maps.nodes if n in stored)
        goes = (size(k.domain) <= SMALL and awaited) or any(
            len(readers[x]) == 1 and x.primitive.kind in ("matmul", "reduce")
            and fused.kernel_of[x].kind != "cublas"
            and _is_epilogue(maps, x, fused) for x in products
        )  # fmt: skip
        if inputs <= set(maps.nodes) and fits and goes:
            k.nodes[:] = maps.nodes
            for axis in dict.fromkeys(n.settings["axis"] for n in sums):
                alike = [n for n in sums if n.settings["axis"] == axis]
                kernels.append(Kernel("loop", k.domain, alike))
            stored |= inputs
    return replace(
        fused, kernels=kernels, stored=sorted(stored, key=by_serial),
        kernel_of={n: k for k in kernels for n in k.nodes},
    )  # fmt: skip


def _products(kernels: Sequence[Kernel], fused: Fused, kept: set[Node]) -> list[Unit]:
    """Put each loop behind the product it reads, when it may go there and nobody else reads it."""
    readers = _readers(kernels, fused)
    taken: set[Kernel] = set()
    units = []
    for k in kernels:
        if k in taken:
            continue
        unit = Unit([k])
        units.append(unit)
        product = k.nodes[-1]
        users = readers.get(product, [])
        alone = k.kind == "matmul" and len(users) == 1 and product not in kept
        if alone and users[0] not in taken and _is_epilogue(users[0], product, fused):
            unit.kernels.append(users[0])
            taken.add(users[0])
    return _ordered(units, _needs(units, fused))


def _is_epilogue(loop: Kernel, product: Node, fused: Fused) -> bool:
    """Return whether a loop reads a product entry by entry, in order, and sums nothing."""
    if loop.kind != "loop" or any(n.primitive.kind != "map" for n in loop.nodes):
        return False
    views = [view for view, _ in reads(loop, fused) if view.root is product]
    return size(loop.domain) == product.size > 0 and all(
        view.offset == 0 and view.strides == contiguous(view.shape) for view in views
    )


def _chains(units: Sequence[Unit], fused: Fused) -> list[Unit]:
    """Put loops over the same rows into one unit, as long as each reads what another made."""
    needs = _needs(units, fused)
    below: dict[Unit, set[Unit]] = {}
    home: dict[Unit, Unit] = {}
    found: list[Unit] = []
    for u in units:
        direct = {home[x] for x in needs[u]}
        below[u] = direct.union(*(below[x] for x in direct))
        home[u] = u
        rows = _rows(u, fused)
        for chain in direct if rows else ():
            others = direct - {chain}
            if (
                chain.rows == rows
                and _sums([*chain.kernels, u.kernel]) <= MOST_SUMS
                and not any(chain in below[x] for x in others)
                and all(
                    _row_by_row(view, rows)
                    for view, _ in reads(u.kernel, fused)
                    if view.root in {n for k in chain.kernels for n in k.nodes}
                )
            ):
                chain.kernels += u.kernels
                below[chain] |= below[u] - {chain}
                for other in found:  # what stands on the chain now stands on this as well
                    if chain in below[other]:
                        below[other] |= below[chain]
                home[u] = chain
                break
        else:
            u.rows = rows
            found.append(u)
    for u in found:
        u.rows = u.rows if len(u.kernels) > 1 else 0
    return _ordered(found, _needs(found, fused))


def _sums(kernels: Sequence[Kernel]) -> int:
    return sum(n.primitive.kind == "reduce" for k in kernels for n in k.nodes)


def _rows(unit: Unit, fused: Fused) -> int:
    """Return how many rows a loop works on one by one; 0 when it does not."""
    kernel = unit.kernel
    if kernel.kind != "loop" or not kernel.domain or not size(kernel.domain):
        return 0
    rows, rest = kernel.domain[0], tuple(range(1, len(kernel.domain)))
    sums = [n for n in kernel.nodes if n.primitive.kind == "reduce"]
    short = size(kernel.domain) <= WIDEST * rows
    return rows if rows > 1 and short and all(n.settings["axis"] == rest for n in sums) else 0


def _row_by_row(view: View, rows: int) -> bool:
    return bool(view.shape) and aligned(view, 0, rows)


def _needs(units: Sequence[Unit], fused: Fused) -> dict[Unit, set[Unit]]:
    """Return the units whose results each unit reads."""
    home = {n: u for u in units for k in u.kernels for n in k.nodes}
    return {
        u: {home[v.root] for k in u.kernels for v, _ in reads(k, fused) if v.root in home} - {u}
        for u in units
    }


def _late(units: Sequence[Unit], fused: Fused) -> list[Level]:
    needs = _needs(units, fused)
    height = dict.fromkeys(units, 0)
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
