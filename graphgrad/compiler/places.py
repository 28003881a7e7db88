"""Where the user's nodes are computed: in which kernels, from what, in memory or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from graphgrad.compiler.origins import parts_of
from graphgrad.compiler.work import flops
from graphgrad.explain.names import node_names
from graphgrad.graph import Node

__all__ = ["Places"]


class Places:
    """The user's nodes in the kernels of an executor.

    Attributes:
        nodes: all, inputs before users.
        stages: of each node the numbers of the kernels that have a part of it, as they run.
        home: the number of the kernel that does most of its work; 0 for none.
        names: what nodes are called, unnamed ones as in the source.
    """

    def __init__(self, executor: Any, order: Mapping[int, int]) -> None:
        runtime = executor._runtime
        self.nodes: list[Node] = executor._nodes
        self._stands_for, self._fused = executor._program.stands_for, runtime.fused
        self._stored = set(self._fused.stored)
        self._reads: dict[tuple[Node, int], set[Node]] = {}
        self.stages: dict[Node, list[int]] = {}
        self.home: dict[Node, int] = {}
        numbers = {run.kernel: run.number for run in runtime.runs()}
        for node, parts in parts_of(executor._program, self.nodes).items():
            work = self._work(node, parts, numbers)
            self.stages[node] = sorted(work, key=order.__getitem__)
            self.home[node] = max(self.stages[node], key=work.__getitem__, default=0)
        self.names = {**node_names(self.nodes), **self._source_names(runtime.names)}

    def _work(
        self, node: Node, parts: Sequence[Node], numbers: Mapping[Any, int]
    ) -> dict[int, int]:
        """Return the floating operations of a node by kernel, and note what each kernel reads."""
        work: dict[int, int] = {}
        for part in parts:
            number = numbers.get(self._fused.kernel_of.get(part))
            if number is not None:
                work[number] = work.get(number, 0) + flops(part)
                roots = {self._fused.view(x).root for x in part.inputs}
                self._reads.setdefault((node, number), set()).update(roots)
        return work

    def _source_names(self, known: Mapping[Node, str]) -> dict[Node, str]:
        found = {}
        for n in self.nodes:
            at = self._root(n) if self.stages[n] else self.end(n)
            if not n.name and not n.is_leaf and (name := known.get(self.end(n)) or known.get(at)):
                found[n] = name
        return found

    def end(self, node: Node) -> Node:
        """Return the simplified node that stands for a node."""
        return self._stands_for.get(node, node)

    def _root(self, node: Node) -> Node:
        root: Node = self._fused.view(self.end(node)).root
        return root

    def in_memory(self, node: Node) -> bool:
        """Return whether a kernel leaves a node's numbers in a buffer."""
        return bool(self.stages[node]) and self._root(node) in self._stored

    def reads(self, node: Node, number: int, x: Node) -> bool:
        """Return whether the part of a node in a kernel reads its input x."""
        return self._root(x) in self._reads.get((node, number), ())

    def state(self, node: Node) -> str:
        """Return why a node is in no kernel: "view" or "folded"."""
        end = self.end(node)
        inherited = {self.end(x) for x in node.inputs}
        return "view" if end in self._fused.views and end not in inherited else "folded"
