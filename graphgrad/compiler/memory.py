"""Where every buffer lies: one arena per data type, temporaries sharing room when never both alive.

Variables, constants and results keep their place for good; a temporary's place is free again
after the last kernel that reads it.
"""

from __future__ import annotations

import bisect
import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from graphgrad.compiler.fuse import Fused, Kernel
from graphgrad.compiler.longsums import is_summed_in_memory
from graphgrad.compiler.program import Program
from graphgrad.compiler.regions import Region, Schedule, aligned, reads
from graphgrad.compiler.views import View
from graphgrad.dtypes import FLOAT64, Dtype
from graphgrad.graph import Node

__all__ = ["Plan", "outside", "plan"]

MANY = 2000
"""Temporaries from which on they are packed by a quicker rule."""
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
        sums: where the sums over rows of a region are. In the end those of the first part are
            the sums of all.
        totals: of long sums, what `shares` says of them, of the float64 that add up their blocks.
    """

    start: dict[Node, int]
    sizes: dict[Dtype, int]
    life: dict[Node, tuple[int, int] | None]
    in_place: dict[Node, Node]
    shares: dict[Node, tuple[int, int]] = field(default_factory=dict)
    sums: list[Shares] = field(default_factory=list)
    totals: dict[Node, tuple[int, int]] = field(default_factory=dict)


@dataclass
class Shares:
    """Buffers of one type of which every part of a region has its own, side by side.

    They are sums over rows, or what only the part's own rows need.

    Attributes:
        nodes: where they are in a part's share.
        step: entries of a share. The first thread's begins at `start`, the others' follow.
        totals: whether they add up the blocks of long sums.
        together: whether the parts' are added up when all have been made.
    """

    region: Region
    dtype: Dtype
    nodes: dict[Node, int]
    step: int
    totals: bool = False
    together: bool = False
    start: int = 0


def plan(program: Program, fused: Fused, times: Schedule) -> Plan:
    """Return a plan in which no two buffers alive at the same time overlap."""
    life = _lives(program, fused, times)
    in_place = _in_place(program, fused, times)
    elsewhere = {*program.inputs, *in_place, *outside(program, fused)}
    found = Plan({}, {}, life, in_place)
    apart = {n for n in times.crossing if n not in times.totals}
    homes = set(times.totals.values())
    sharing = [r for r in times.regions if not r.whole or r in homes]
    dtypes = {n.dtype for n in (*fused.stored, *times.crossing)}
    for dtype in sorted(dtypes | {FLOAT64} if times.totals else dtypes, key=str):
        wanted = [
            _Buffer(n, n.size, life[n])
            for n in fused.stored
            if n.dtype is dtype and n not in elsewhere
            and n not in times.private and n not in apart
        ]  # fmt: skip
        for region in sharing:
            for group in _groups(region, dtype, life, times):
                size, span = group.step * region.parts, _life(group, life, times)
                wanted.append(_Buffer(group, size, span))
        found.sizes[dtype] = _pack(wanted, dtype)
        for b in wanted:
            if isinstance(b.thing, Node):
                found.start[b.thing] = b.start
                continue
            b.thing.start = b.start
            for n, at in b.thing.nodes.items():
                shares = found.totals if b.thing.totals else found.shares
                shares[n] = (b.start + at, b.thing.step)
                if n in apart and n not in elsewhere:
                    found.start[n] = b.start + at
            if b.thing.together:
                found.sums.append(b.thing)
    found.start.update({new: found.start[v] for new, v in in_place.items()})
    return found


def _groups(
    region: Region, dtype: Dtype, life: dict[Node, tuple[int, int] | None], times: Schedule
) -> Iterator[Shares]:
    """Yield what each part of a region has its own of, of one type."""
    mine = [n for n, home in times.crossing.items() if home is region and n.dtype is dtype]
    long = [n for n in mine if n in times.totals]
    at_once = [
        n for k in region.kernels for n in k.nodes
        if n in long and (k.kind == "matmul" or is_summed_in_memory(n))
    ]  # fmt: skip
    totals = [n for n, home in times.totals.items() if home is region and dtype is FLOAT64]
    groups = [
        _side_by_side(region, dtype, [n for n in mine if n not in times.totals], together=True),
        _side_by_side(region, dtype, at_once),
        _side_by_side(region, dtype, [n for n in totals if n in times.crossing], True, True),
        _side_by_side(region, dtype, [n for n in totals if n not in times.crossing], True),
    ]
    if not region.whole:
        groups.append(_workspace(region, dtype, life, times))
    yield from (g for g in groups if g.nodes)


def _side_by_side(
    region: Region,
    dtype: Dtype,
    mine: list[Node],
    totals: bool = False,
    together: bool = False,
) -> Shares:
    """Return sums of a region side by side, those that begin with the same number together."""
    mine.sort(key=lambda n: (str(n.primitive.combine), n.serial))
    line, at = ALIGNMENT // dtype.itemsize, 0
    nodes: dict[Node, int] = {}
    for n in mine:
        if n.size >= line:
            at = -(-at // line) * line
        nodes[n] = at
        at += max(n.size, 1)
    return Shares(region, dtype, nodes, -(-at // line) * line, totals, together)


def _workspace(
    region: Region, dtype: Dtype, life: dict[Node, tuple[int, int] | None], times: Schedule
) -> Shares:
    """Return what each part of a region needs for its own rows; it works there alone."""
    line = ALIGNMENT // dtype.itemsize
    mine = [n for n, home in times.private.items() if home is region and n.dtype is dtype]
    buffers = {n: _Buffer(n, _rows_of(n, region, times), life[n]) for n in mine}
    step = _pack(list(buffers.values()), dtype)
    nodes = {n: b.start for n, b in buffers.items()}
    return Shares(region, dtype, nodes, -(-step // line) * line)


def _life(
    group: Shares, life: dict[Node, tuple[int, int] | None], times: Schedule
) -> tuple[int, int] | None:
    """Return when a group is needed: in all of its region, for parts run at different speeds."""
    if group.totals:
        return times.span(group.region)
    spans = [times.span(group.region), *(life[n] for n in group.nodes)]
    known = [span for span in spans if span is not None]
    if len(known) < len(spans):
        return None
    return min(s[0] for s in known), max(s[1] for s in known)


def outside(program: Program, fused: Fused) -> dict[Node, int]:
    """Return the outputs that kernels write straight into the caller's arrays, and which."""
    ends = {*program.updates, *(fused.view(n).root for n in program.updates.values())}
    found: dict[Node, int] = {}
    for k, node in enumerate(program.outputs):
        if node in fused.kernel_of and node not in ends and node.size:
            found.setdefault(node, k)
    return found


def _rows_of(node: Node, region: Region, times: Schedule) -> int:
    """Return the entries that a thread's rows of a buffer take, a whole number of cache lines."""
    line = ALIGNMENT // node.dtype.itemsize
    rows = times.rows[next(k for k in region.kernels if node in k.nodes)]
    count = node.size // rows * region.blocks[rows]
    return -(-max(count, 1) // line) * line


def _in_place(program: Program, fused: Fused, times: Schedule) -> dict[Node, Node]:
    """Return the updates that may be written where the old value stands.

    The kernel that computes the new value must be the last to read the old one, and must read
    entry i of it only for entry i; nobody may ask for the old value as a result.
    """
    outputs = {fused.view(n).root for n in program.outputs}
    news = list(program.updates.values())
    seen_again = outputs | {fused.view(n).root for n in news}
    order = [k for region in times.regions for k in region.kernels]
    readers: dict[Node, dict[int, list[tuple[View, int | None]]]] = {v: {} for v in program.updates}
    for at, kernel in enumerate(order):
        for view, axis in reads(kernel, fused):
            if view.root in readers:
                readers[view.root].setdefault(at, []).append((view, axis))
    found = {}
    for v, new in program.updates.items():
        home = fused.kernel_of.get(new)
        if home not in times.time or home is None or home.kind != "loop":
            continue
        if new.primitive.kind != "map" or new.shape != home.domain or new in outputs:
            continue
        if v in seen_again or news.count(new) > 1:
            continue
        last = order.index(home)
        if all(_reads_safely(k, last, order, read, times) for k, read in readers[v].items()):
            found[new] = v
    return found


def _reads_safely(
    k: int,
    last: int,
    order: Sequence[Kernel],
    read: Sequence[tuple[View, int | None]],
    times: Schedule,
) -> bool:
    """Return whether kernel k may read, so, a variable whose new value kernel `last` writes."""
    kernel = order[k]
    if k == last:
        return all(view.is_whole for view, _ in read)
    if k > last:
        return False
    home = next(r for r in times.regions if order[last] in r.kernels)
    if home.whole or kernel not in home.kernels:
        return True
    rows = times.rows[kernel]
    return rows == times.rows[order[last]] and all(
        axis is not None and aligned(view, axis, rows) for view, axis in read
    )


def _lives(program: Program, fused: Fused, times: Schedule) -> dict[Node, tuple[int, int] | None]:
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
    thing: Node | Shares
    size: int
    life: tuple[int, int] | None
    start: int = 0

    @property
    def serial(self) -> int:
        thing = self.thing
        return thing.serial if isinstance(thing, Node) else next(iter(thing.nodes)).serial


def _pack(buffers: list[_Buffer], dtype: Dtype) -> int:
    """Put each buffer at the lowest place free during its whole life; return the arena's size."""
    # Those that stay first, then large before small: the usual good packing.
    buffers.sort(key=lambda b: (b.life is not None, -b.size, b.serial))
    line, end = ALIGNMENT // dtype.itemsize, 0
    placed: list[tuple[int, int, tuple[int, int]]] = []
    for b in buffers:
        step = line if b.size >= line else 1  # small ones need not begin a cache line
        if b.life is None:
            b.start = -(-end // step) * step
            end = b.start + max(b.size, 1)
    end = -(-end // line) * line
    passing = [b for b in buffers if b.life is not None]
    if len(passing) > MANY:
        return _pack_in_time(passing, end, line)
    for b in passing:
        if b.life is not None:
            step, room = line if b.size >= line else 1, max(b.size, 1)
            b.start = end
            for start, stop, span in placed:
                if b.start + room <= start:
                    break
                if b.start < stop and span[0] <= b.life[1] and b.life[0] <= span[1]:
                    b.start = -(-stop // step) * step
            bisect.insort(placed, (b.start, b.start + room, b.life))
    return max([end, *(stop for _, stop, _ in placed)])


def _pack_in_time(buffers: list[_Buffer], end: int, line: int) -> int:
    """Do the same for very many buffers: each takes the place of one that is no longer needed."""
    free: dict[int, list[int]] = {}
    ends: list[tuple[int, int, int]] = []
    for b in sorted(buffers, key=lambda b: (b.life or (0, 0), b.serial)):
        room = max(b.size, 1)
        room = -(-room // line) * line if room >= line else room
        while ends and b.life is not None and ends[0][0] < b.life[0]:
            _, place, size = heapq.heappop(ends)
            free.setdefault(size, []).append(place)
        if places := free.get(room):
            b.start = places.pop()
        else:
            b.start = -(-end // line) * line if room >= line else end
            end = b.start + room
        if b.life is not None:
            heapq.heappush(ends, (b.life[1], b.start, room))
    return end
