"""Where every buffer lies: one arena per data type, temporaries sharing room when never both alive.

Variables, constants and results keep their place for good; a temporary's place is free again
after the last kernel that reads it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from graphgrad.compiler.fuse import Fused
from graphgrad.compiler.program import Program
from graphgrad.dtypes import Dtype
from graphgrad.graph import Node

__all__ = ["Plan", "plan"]

ALIGNMENT = 64
"""Bytes; every buffer starts at a multiple, so that vectors load from one cache line."""


@dataclass(frozen=True)
class Plan:
    """Where buffers lie.

    Attributes:
        start: of each stored node, its first entry in the arena of its type.
        sizes: entries of each arena.
        life: first and last kernel that touches a buffer; None for those that stay.
        in_place: new values that are written over the variable they update.
    """

    start: dict[Node, int]
    sizes: dict[Dtype, int]
    life: dict[Node, tuple[int, int] | None]
    in_place: dict[Node, Node]


def plan(program: Program, fused: Fused) -> Plan:
    """Return a plan in which no two buffers alive at the same time overlap."""
    life = _lives(program, fused)
    in_place = _in_place(program, fused)
    start: dict[Node, int] = {}
    sizes: dict[Dtype, int] = {}
    for dtype in {n.dtype for n in fused.stored}:
        mine = [n for n in fused.stored if n.dtype is dtype and n not in program.inputs]
        mine = [n for n in mine if n not in in_place]
        # Those that stay first, then large before small: the usual good packing.
        mine.sort(key=lambda n: (life[n] is not None, -n.size, n.serial))
        sizes[dtype] = _pack(mine, life, start)
    start.update({new: start[v] for new, v in in_place.items()})
    return Plan(start, sizes, life, in_place)


def _in_place(program: Program, fused: Fused) -> dict[Node, Node]:
    """Return the updates that may be written where the old value stands.

    The kernel that computes the new value must be the last to read the old one, and must read
    entry i of it only for entry i; nobody may ask for the old value as a result.
    """
    outputs = {fused.view(n).root for n in program.outputs}
    news = list(program.updates.values())
    found = {}
    for v, new in program.updates.items():
        kernel = fused.kernel_of.get(new)
        if kernel is None or kernel.kind != "loop" or new.primitive.kind != "map":
            continue
        if v in outputs or v in news or news.count(new) > 1 or new.shape != kernel.domain:
            continue
        last = fused.kernels.index(kernel)
        if all(_reads_safely(k, last, node, v, fused)
               for k, other in enumerate(fused.kernels) for node in other.nodes):  # fmt: skip
            found[new] = v
    return found


def _reads_safely(k: int, last: int, node: Node, v: Node, fused: Fused) -> bool:
    read = [fused.view(x) for x in node.inputs if fused.view(x).root is v]
    if not read or k < last:
        return True
    return k == last and all(view.is_whole and view.shape == v.shape for view in read)


def _lives(program: Program, fused: Fused) -> dict[Node, tuple[int, int] | None]:
    life: dict[Node, tuple[int, int] | None] = {}
    stays = {fused.view(n).root for n in (*program.outputs, *program.updates.values())}
    for n in fused.stored:
        life[n] = None if n.is_leaf or n in stays else (len(fused.kernels), -1)
    for k, kernel in enumerate(fused.kernels):
        for node in kernel.nodes:
            for x in (node, *node.inputs):
                root = fused.view(x).root
                span = life.get(root)
                if span is not None:
                    life[root] = (min(span[0], k), max(span[1], k))
    return life


def _pack(
    nodes: Iterable[Node], life: dict[Node, tuple[int, int] | None], start: dict[Node, int]
) -> int:
    """Put each buffer at the lowest place free during its whole life; return the arena's size."""
    placed: list[tuple[int, int, tuple[int, int] | None]] = []
    end = 0
    for n in nodes:
        step = ALIGNMENT // n.dtype.itemsize
        room = -(-max(n.size, 1) // step) * step
        at = 0
        for begin, stop, span in sorted(placed, key=lambda p: p[0]):
            if _overlap(span, life[n]) and begin < at + room and at < stop:
                at = stop
        start[n] = at
        placed.append((at, at + room, life[n]))
        end = max(end, at + room)
    return end


def _overlap(a: tuple[int, int] | None, b: tuple[int, int] | None) -> bool:
    return a is None or b is None or (a[0] <= b[1] and b[0] <= a[1])
