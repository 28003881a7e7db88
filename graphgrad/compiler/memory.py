"""Where every buffer lies: one arena per data type, temporaries sharing room when never both alive.

Variables, constants and results keep their place for good; a temporary's place is free again
after the last kernel that reads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from graphgrad.compiler.fuse import Fused, Kernel
from graphgrad.compiler.program import Program
from graphgrad.compiler.regions import Region, Schedule, aligned, reads
from graphgrad.dtypes import Dtype
from graphgrad.graph import Node

__all__ = ["Plan", "outside", "plan"]

ALIGNMENT = 64
"""Bytes; every buffer starts at a multiple, so that vectors load from one cache line."""


@dataclass(frozen=True)
class Plan:
    """Where buffers lie.

    Attributes:
        start: of each stored node, its first entry in the arena of its type.
        sizes: entries of each arena.
        life: first and last moment (of `Schedule.time`) at which a buffer is touched; None for
            those that stay.
        in_place: new values that are written over the variable they update.
        shares: for results that each thread has its own of (a sum over its rows, or numbers that
            only its rows need), where the first thread's is, and how far to the next.
    """

    start: dict[Node, int]
    sizes: dict[Dtype, int]
    life: dict[Node, tuple[int, int] | None]
    in_place: dict[Node, Node]
    shares: dict[Node, tuple[int, int]] = field(default_factory=dict)


def plan(program: Program, fused: Fused, times: Schedule) -> Plan:
    """Return a plan in which no two buffers alive at the same time overlap."""
    life = _lives(program, fused, times)
    in_place = _in_place(program, fused, times)
    elsewhere = {*program.inputs, *in_place, *outside(program, fused)}
    found = Plan({}, {}, life, in_place)
    shares = {n: r for n, r in times.crossing.items() if r.parts > 1} | times.private
    for dtype in sorted({n.dtype for n in (*fused.stored, *shares)}, key=str):
        wanted = [
            _Buffer(n, n.size, life[n], n.dtype)
            for n in fused.stored
            if n.dtype is dtype and n not in elsewhere and n not in times.private
        ]
        for n, region in shares.items():
            if n.dtype is dtype:
                step = _share(n, region, times)
                found.shares[n] = (0, step)
                span = life[n] if n in times.private else times.span(region)
                wanted.append(_Buffer(n, step * region.parts, span, dtype, shared=True))
        found.sizes[dtype] = _pack(wanted)
        for b in wanted:
            if b.shared:
                found.shares[b.node] = (b.start, found.shares[b.node][1])
            else:
                found.start[b.node] = b.start
    found.start.update({new: found.start[v] for new, v in in_place.items()})
    return found


def outside(program: Program, fused: Fused) -> dict[Node, int]:
    """Return the outputs that kernels write straight into the caller's arrays, and which."""
    ends = {*program.updates, *(fused.view(n).root for n in program.updates.values())}
    found: dict[Node, int] = {}
    for k, node in enumerate(program.outputs):
        if node in fused.kernel_of and node not in ends and node.size:
            found.setdefault(node, k)
    return found


def _share(node: Node, region: Region, times: Schedule) -> int:
    """Return the entries that one thread's share of a buffer takes, a whole number of lines."""
    line = ALIGNMENT // node.dtype.itemsize
    count = node.size
    if node in times.private:
        kernel = next(k for k in region.kernels if node in k.nodes)
        rows = times.rows[kernel]
        count = node.size // rows * region.blocks[rows]
    return -(-max(count, 1) // line) * line


def _in_place(program: Program, fused: Fused, times: Schedule) -> dict[Node, Node]:
    """Return the updates that may be written where the old value stands.

    The kernel that computes the new value must be the last to read the old one, and must read
    entry i of it only for entry i; nobody may ask for the old value as a result.
    """
    outputs = {fused.view(n).root for n in program.outputs}
    news = list(program.updates.values())
    order = [k for region in times.regions for k in region.kernels]
    found = {}
    for v, new in program.updates.items():
        kernel = fused.kernel_of.get(new)
        if kernel not in times.time or kernel is None or kernel.kind != "loop":
            continue
        if new.primitive.kind != "map" or new.shape != kernel.domain or new in outputs:
            continue
        if v in outputs or v in news or news.count(new) > 1:
            continue
        last = order.index(kernel)
        if all(_reads_safely(k, last, order, v, fused, times) for k in range(len(order))):
            found[new] = v
    return found


def _reads_safely(
    k: int, last: int, order: Sequence[Kernel], v: Node, fused: Fused, times: Schedule
) -> bool:
    kernel = order[k]
    read = [(view, axis) for view, axis in reads(kernel, fused) if view.root is v]
    if not read:
        return True
    if k == last:
        return all(view.is_whole and view.shape == v.shape for view, _ in read)
    if k > last:
        return False
    home = next(r for r in times.regions if order[last] in r.kernels)
    if home.whole or kernel not in home.kernels:
        return True
    rows = times.rows[kernel]
    return rows == times.rows[order[last]] and all(
        axis is not None and aligned(view, axis, rows) for view, axis in read
    )


def _lives(
    program: Program, fused: Fused, times: Schedule
) -> dict[Node, tuple[int, int] | None]:
    life: dict[Node, tuple[int, int] | None] = {}
    stays = {fused.view(n).root for n in (*program.outputs, *program.updates.values())}
    for n in fused.stored:
        life[n] = None if n.is_leaf or n in stays else (len(fused.kernels), -1)
    for region in times.regions:
        begin, end = times.span(region)
        for kernel in region.kernels:
            now = times.time[kernel]
            for node in kernel.nodes:
                for x in (node, *node.inputs):
                    root = fused.view(x).root
                    span = life.get(root)
                    if span is None:
                        continue
                    # parts of a region run at different speeds, so all it touches is alive in all
                    # of it, but for what each part has its own of
                    alone = region.whole or root in times.private
                    first, last = (now, now) if alone else (begin, end)
                    life[root] = (min(span[0], first), max(span[1], last))
    return life


@dataclass
class _Buffer:
    node: Node
    size: int
    life: tuple[int, int] | None
    dtype: Dtype
    shared: bool = False
    start: int = 0


def _pack(buffers: list[_Buffer]) -> int:
    """Put each buffer at the lowest place free during its whole life; return the arena's size."""
    # Those that stay first, then large before small: the usual good packing.
    buffers.sort(key=lambda b: (b.life is not None, -b.size, b.node.serial))
    placed: list[_Buffer] = []
    ends: list[int] = []
    for b in buffers:
        step = ALIGNMENT // b.dtype.itemsize
        room = -(-max(b.size, 1) // step) * step
        for other, stop in sorted(zip(placed, ends, strict=True), key=lambda p: p[0].start):
            if _overlap(other.life, b.life) and other.start < b.start + room and b.start < stop:
                b.start = stop
        placed.append(b)
        ends.append(b.start + room)
    return max(ends, default=0)


def _overlap(a: tuple[int, int] | None, b: tuple[int, int] | None) -> bool:
    return a is None or b is None or (a[0] <= b[1] and b[0] <= a[1])
