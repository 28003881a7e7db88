"""Which kernel computes which of the user's own nodes, and the records of all kernels.

What simplification made of a node may be spread over kernels (a mean is a sum in one, and a
division in the next): then each of them names it. A node that was folded away, or is only another
view of the same numbers, is in none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from graphgrad.compiler.fuse import Fused, Kernel
from graphgrad.compiler.kernels import KernelRecord, Kernels
from graphgrad.compiler.program import Program
from graphgrad.compiler.work import kernel_flops, read, written
from graphgrad.graph import Node, ancestors

__all__ = ["Run", "parts_of", "records", "user_nodes"]


@dataclass(frozen=True)
class Run:
    """A kernel at its place in the program: its number, group, threads, lines, blocks on a GPU."""

    kernel: Kernel
    number: int
    group: int
    threads: int
    source: str
    blocks: int = 0


def user_nodes(outputs: Sequence[Node], updates: Iterable[Node]) -> list[Node]:
    """Return all nodes of a compiled graph, inputs before users.

    Those of the first output come first: so their places, which are their ids in pictures, are
    those in the picture of that output alone.
    """
    first = ancestors(outputs[:1])
    return list(dict.fromkeys([*first, *ancestors([*outputs, *updates])]))


def parts_of(program: Program, nodes: Sequence[Node]) -> dict[Node, list[Node]]:
    """Return for each node the simplified ones made for it; none where it was folded away.

    A node that computes the same as an earlier one has that one's result.
    """
    owned: set[Node] = set()
    found: dict[Node, list[Node]] = {}
    for node in nodes:
        end = program.stands_for.get(node, node)
        mine, stack = [], [end]
        while stack:
            n = stack.pop()
            if n in owned or n.is_leaf:
                continue
            owned.add(n)
            mine.append(n)
            stack += n.inputs
        inherited = {program.stands_for.get(x, x) for x in node.inputs}
        if not mine and not end.is_leaf and end not in inherited:
            mine = [end]
        found[node] = mine
    return found


def records(
    program: Program,
    nodes: Sequence[Node],
    updates: Iterable[tuple[Node, Node]],
    runs: Iterable[Run],
    fused: Fused,
) -> Kernels:
    """Return the table of kernels.

    Args:
        program: the simplified graph.
        nodes: the user's, as `user_nodes` gives them.
        updates: variables and their new values, the user's nodes.
        runs: the kernels in the order in which they run.
        fused: where the kernels' numbers are.
    """
    users: dict[Kernel, dict[Node, None]] = {}
    for node, parts in parts_of(program, nodes).items():
        for part in parts:
            if part in fused.kernel_of:
                users.setdefault(fused.kernel_of[part], {})[node] = None
    changed: dict[Kernel, list[Node]] = {}
    for v, new in updates:
        if kernel := fused.kernel_of.get(program.stands_for[new]):
            changed.setdefault(kernel, []).append(v)
    stored = set(fused.stored)
    return Kernels(
        KernelRecord(
            run.number, run.kernel.kind, run.kernel.domain, tuple(users.get(run.kernel, ())),
            tuple(changed.get(run.kernel, ())), run.group, run.threads, read(run.kernel, fused),
            written(run.kernel, stored), kernel_flops(run.kernel), run.source,
            blocks=run.blocks,
        )
        for run in runs
    )  # fmt: skip
