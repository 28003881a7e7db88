"""Which kernels run together on the same rows, and which of them threads share.

Most kernels of a network work row by row: row i of a layer's output needs row i of its input. A
`Region` is a run of such kernels. A thread takes some rows through all of them before it waits for
the others, and where that keeps numbers in the cache, it takes a few rows at a time. What sums
over rows (a bias' gradient, a loss) is summed by each thread first, and then over threads, in
order: the same inputs give the same bits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from graphgrad.compiler.fuse import Fused, Kernel
from graphgrad.compiler.longsums import is_interrupted, is_long
from graphgrad.compiler.program import Program
from graphgrad.compiler.views import View, places
from graphgrad.graph import Node
from graphgrad.shapes import size

__all__ = ["Region", "Schedule", "aligned", "crossing", "reads", "rows_of", "schedule"]

SHARED_WORK = 60_000
"""Work from which on threads are worth their start; some ten microseconds."""
CACHE = 512 * 1024
"""Bytes of a region's numbers that are kept in a core's own cache."""
SMALL_PRODUCT = 500_000
"""Products of fewer multiplications are tiles, larger ones calls of BLAS."""
CHEAP = 8
"""Multiplications of a matrix product that are one unit of work."""
SIMPLE = 4
"""Elementwise operations that are one unit of work."""


@dataclass(eq=False)
class Region:
    """Kernels that run one after the other on the same share of rows.

    Attributes:
        kernels: in order.
        parts: how many shares; each is a thread's. With 1 each kernel runs on all its rows.
        blocks: by the number of rows kernels are cut into, how many of them are taken through
            those kernels at a time; 0 for the whole share.
        columns: whether the only kernel is a product of which each part is some columns.
    """

    kernels: list[Kernel]
    parts: int = 1
    blocks: dict[int, int] = field(default_factory=dict)
    columns: bool = False

    @property
    def whole(self) -> bool:
        """Whether the kernels run one after the other, each on all its rows."""
        return self.parts == 1


@dataclass
class Schedule:
    """The regions in order.

    Attributes:
        rows: for each kernel the number of rows it can be cut into; 0 when it cannot be.
        crossing: results that sum over rows, of regions that cut them.
        private: results that nobody reads outside the rows and the region they are made in.
        totals: long sums whose blocks are added up in memory, and the regions they are made in.
        time: when each kernel runs, as a number that grows from kernel to kernel.
    """

    regions: list[Region]
    rows: dict[Kernel, int] = field(default_factory=dict)
    crossing: dict[Node, Region] = field(default_factory=dict)
    private: dict[Node, Region] = field(default_factory=dict)
    totals: dict[Node, Region] = field(default_factory=dict)
    time: dict[Kernel, int] = field(default_factory=dict)

    def span(self, region: Region) -> tuple[int, int]:
        """Return the times at which a region begins and ends."""
        times = [self.time[k] for k in region.kernels]
        return min(times), max(times)


def schedule(program: Program, fused: Fused, threads: int) -> Schedule:
    """Return the regions of a program for a number of threads."""
    kernels = [k for k in fused.kernels if k.nodes[0].size or k.kind == "loop"]
    common = _common_rows(program)
    rows = {k: rows_of(k, fused, common) for k in kernels}
    whole = sum(map(_work, kernels))
    if threads == 1 or whole < SHARED_WORK:
        return _finished(Schedule([Region([k]) for k in kernels], rows))
    wide = {k for k in kernels if _is_wide(k, threads)}
    rows.update(dict.fromkeys(wide, 0))
    plan = Schedule(_regions(kernels, rows, wide, fused), rows)
    regions = []
    for region in plan.regions:
        if region.kernels[0] in wide:
            regions.append(Region(region.kernels, threads, columns=True))
            continue
        cut = all(rows[k] for k in region.kernels)
        if not cut or sum(map(_work, region.kernels)) < SHARED_WORK:
            regions += [Region([k]) for k in region.kernels]
            continue
        region.parts = threads
        region.kernels.sort(key=lambda k: rows[k])
        for count in dict.fromkeys(rows[k] for k in region.kernels):
            section = [k for k in region.kernels if rows[k] == count]
            region.blocks[count] = _block(section, count, fused, threads)
        regions.append(region)
    plan.regions = regions
    for region in regions:
        if not region.whole:
            made = [n for k in region.kernels for n in crossing(k)]
            plan.crossing.update(dict.fromkeys(made, region))
    plan.private = _private(program, plan, fused)
    return _finished(plan)


def crossing(kernel: Kernel) -> list[Node]:
    """Return the results of a kernel that are sums over its rows."""
    if kernel.kind == "matmul":
        return [kernel.nodes[-1]] if len(kernel.nodes) > 1 else []
    return [
        n for n in kernel.nodes if n.primitive.kind == "reduce" and 0 in n.settings["axis"]
    ]  # fmt: skip


def aligned(view: View, axis: int, rows: int) -> bool:
    """Return whether part i of `rows` parts along an axis of a view reads part i of its buffer."""
    root = view.root
    if not root.shape or not view.shape or root.shape[0] % rows or view.shape[axis] % rows:
        return False
    share, along = root.size // rows, view.shape[axis] // rows
    if view.strides[axis] * along != share or min(view.strides) < 0:
        return False
    reach = [
        (along if k == axis else n) - 1 for k, n in enumerate(view.shape)
    ]  # fmt: skip
    return view.offset + sum(r * s for r, s in zip(reach, view.strides, strict=True)) < share


def reads(kernel: Kernel, fused: Fused) -> Iterator[tuple[View, int | None]]:
    """Yield every view a kernel reads from memory, and its axis along the kernel's rows, if any."""
    node = kernel.nodes[0]
    if kernel.kind == "loop":
        mine = set(kernel.nodes)
        for n in kernel.nodes:
            for x in n.inputs:
                if x in mine and x.shape == kernel.domain and x.primitive.kind == "map":
                    continue
                yield fused.view(x).broadcast(kernel.domain), 0 if kernel.domain else None
    elif kernel.kind in ("matmul", "cublas"):
        a, b = (fused.view(x) for x in node.inputs)
        if len(node.shape) == 2:
            yield a, 0
            yield b, None
        else:
            yield a.broadcast((*node.shape[:-2], *a.shape[-2:])), 0
            yield b.broadcast((*node.shape[:-2], *b.shape[-2:])), 0
        for n in kernel.nodes[1:]:
            yield from ((fused.view(x), None) for x in n.inputs if x not in kernel.nodes)
    elif kernel.kind == "gather":
        table, at = (fused.view(n) for n in node.inputs)
        along = node.settings["axis"] > 0  # else the positions say which rows there are
        yield table, 0 if along else None
        yield at, 0 if not along and at.shape else None
    else:
        by_rows = kernel.kind == "move" or (kernel.kind == "reduce" and _keeps_rows(node))
        for x in node.inputs:
            view = fused.view(x)
            yield view, 0 if by_rows and view.shape else None


def _keeps_rows(node: Node) -> bool:
    return 0 not in node.settings["axis"]


def _common_rows(program: Program) -> int:
    """Return the first axis that most inputs have: the number of examples."""
    counts = Counter(n.shape[0] for n in program.inputs if n.shape and n.shape[0] > 1)
    return counts.most_common(1)[0][0] if counts else 0


def rows_of(kernel: Kernel, fused: Fused, common: int) -> int:
    """Return how many rows a kernel can be cut into; 0 when it cannot."""
    if not kernel.domain or kernel.domain[0] < 2:
        return 0
    first = kernel.domain[0]
    rows = common if common and first % common == 0 else first
    if kernel.kind == "move":
        whole = [View(v.root, v.shape, v.strides, v.offset) for v in places(kernel.nodes[0])]
        alone = len(whole) == 1 and bool(whole[0].shape)
        return rows if alone and aligned(whole[0], 0, rows) else 0
    if kernel.kind == "matmul":
        return rows if _cuttable_product(kernel) else 0
    if kernel.kind == "reduce":
        return rows if _keeps_rows(kernel.nodes[0]) else 0
    if kernel.kind == "gather":
        return rows if kernel.nodes[0].settings["axis"] or kernel.nodes[0].inputs[1].shape else 0
    if kernel.kind != "loop":
        return 0
    # A sum over the first axis alone, or over all: each part has its own, added up afterwards. Of
    # others, each row has its own.
    return rows if all(n.size for n in kernel.nodes) else 0


def _cuttable_product(kernel: Kernel) -> bool:
    node = kernel.nodes[0]
    return len(node.shape) >= 2 and node.size > 0


def _is_wide(kernel: Kernel, threads: int) -> bool:
    """Return whether threads had better share a product's columns than its rows.

    They had when the right factor is too large for a core's cache: so each reads a part of it.
    """
    if kernel.kind != "matmul" or len(kernel.nodes[0].shape) != 2:
        return False
    (m, n), node = kernel.nodes[0].shape, kernel.nodes[0]
    k = node.inputs[0].shape[-1]
    return k * n * node.dtype.itemsize > CACHE and n >= 64 * threads and m * n * k >= SMALL_PRODUCT


def _regions(
    kernels: Sequence[Kernel], rows: dict[Kernel, int], wide: set[Kernel], fused: Fused
) -> list[Region]:
    """Put each kernel into the earliest region that it fits in, after all that it needs."""
    found: list[Region] = []
    home: dict[Node, int] = {}
    maker: dict[Node, Kernel] = {}
    for kernel in kernels:
        first = 0
        for view, axis in reads(kernel, fused):
            if view.root in home:
                made = home[view.root]
                other = maker[view.root]
                same = not wide & {kernel, other} and _together(kernel, other, view, axis, rows)
                first = max(first, made if same else made + 1)
        for k in range(first, len(found)):
            other = found[k].kernels[0]
            if other not in wide and kernel not in wide and bool(rows[other]) == bool(rows[kernel]):
                break
        else:
            k = len(found)
            found.append(Region([]))
        found[k].kernels.append(kernel)
        home.update(dict.fromkeys(kernel.nodes, k))
        maker.update(dict.fromkeys(kernel.nodes, kernel))
    return found


def _together(
    kernel: Kernel, maker: Kernel, view: View, axis: int | None, rows: dict[Kernel, int]
) -> bool:
    """Return whether a kernel may read, row by row, what another makes in the same region."""
    if not rows[kernel]:
        return not rows[maker]
    if axis is None or rows[kernel] != rows[maker] or view.root in crossing(maker):
        return False
    return aligned(view, axis, rows[kernel])


def _work(kernel: Kernel) -> int:
    node = kernel.nodes[0]
    if kernel.kind == "matmul":
        return node.size * node.inputs[0].shape[-1] // CHEAP
    return size(kernel.domain) * len(kernel.nodes) // SIMPLE


def _block(section: Sequence[Kernel], rows: int, fused: Fused, parts: int) -> int:
    """Return how many rows to take at a time so that what they make stays in the cache; 0: all.

    What all rows need (weights) is read again for every block, which must not cost more than the
    cache saves.
    """
    stored = set(fused.stored)
    own = {n for k in section for n in k.nodes if n in stored}
    made = sum(n.size * n.dtype.itemsize for n in own)
    if len(section) < 2 or made <= CACHE * parts:
        return 0
    peak = _peak(section, own, fused)
    block = max(1, CACHE * rows // peak)
    others = {v.root for k in section for v, axis in reads(k, fused)
              if axis is None or not aligned(v, axis, rows)}  # fmt: skip
    shared = sum(n.size * n.dtype.itemsize for n in others)
    return block if block < rows // parts and shared * rows // block < made else 0


def _peak(section: Sequence[Kernel], own: set[Node], fused: Fused) -> int:
    """Return the most bytes of results that are needed at the same time."""
    last: dict[Node, int] = {}
    for at, kernel in enumerate(section):
        for view, _ in reads(kernel, fused):
            last[view.root] = at
    live: list[int] = [0] * len(section)
    for at, kernel in enumerate(section):
        for n in kernel.nodes:
            if n in own:
                for k in range(at, last.get(n, at) + 1):
                    live[k] += n.size * n.dtype.itemsize
    return max(live)


def _private(program: Program, plan: Schedule, fused: Fused) -> dict[Node, Region]:
    """Return the results of blocked regions that are needed only by the rows they belong to."""
    kept = {fused.view(n).root for n in (*program.outputs, *program.updates.values())}
    kept |= set(program.updates)
    found = {
        n: region
        for region in plan.regions
        for k in region.kernels if region.blocks.get(plan.rows[k])
        for n in k.nodes if n in set(fused.stored) and n not in plan.crossing and n not in kept
    }  # fmt: skip
    for region in plan.regions:
        for kernel in region.kernels:
            for view, _ in reads(kernel, fused):
                if found.get(view.root) not in (None, region):
                    del found[view.root]
    return found


def _finished(plan: Schedule) -> Schedule:
    for region in plan.regions:
        for kernel in region.kernels:
            for n in filter(is_long, kernel.nodes):
                if n in plan.crossing or kernel.kind == "matmul" or is_interrupted(n):
                    plan.totals[n] = region
    order = [k for region in plan.regions for k in region.kernels]
    plan.time = {kernel: now for now, kernel in enumerate(order)}
    return plan
