"""Where everything of the user's graph is in the compiled one: in which kernel, in memory or not.

A `Chart` is what the picture of a compiled graph shows. A node's operation is drawn in the kernel
that does most of its work. A box is a value in memory, between kernels; a value that never leaves
a kernel has a box only if it has a name. What is neither has no kernel: a view of other numbers,
or folded away.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from graphgrad.compiler.kernels import KernelRecord, Kernels
from graphgrad.compiler.places import Places
from graphgrad.errors import GraphError
from graphgrad.graph import Node

__all__ = ["Chart", "Item", "chart"]

AUTO_COLLAPSE = 60
"""Above this many nodes, kernels are drawn as one box each unless the caller says otherwise."""


@dataclass(frozen=True)
class Item:
    """A box or an operation: its id, its node, and the number of the kernel it stands in, or 0.

    Of an operation `part` is true if it is only a part, done in another kernel than the rest.
    """

    key: str
    node: Node
    kernel: int = 0
    group: int = 0
    part: bool = False


@dataclass
class Chart:
    """What is drawn.

    Attributes:
        kernels: all kernels.
        collapsed: the numbers of those that are drawn as one box.
        boxes, dots: values and operations.
        arrows: from where to where, by id.
        names: what nodes are called, unnamed ones as in the source.
        state: of nodes that are in no kernel, why: "view" or "folded".
        outputs: the nodes that a call returns.
        updates: variables by the node of their new value.
    """

    kernels: Kernels
    collapsed: set[int]
    names: Mapping[Node, str]
    state: Mapping[Node, str]
    outputs: set[Node]
    updates: Mapping[Node, list[Node]]
    boxes: list[Item] = field(default_factory=list)
    dots: list[Item] = field(default_factory=list)
    arrows: dict[str, tuple[str, str]] = field(default_factory=dict)


def chart(
    executor: Any, collapse: bool | str | Iterable[str] | None, open: str | Iterable[str]
) -> Chart:
    """Return the chart of an executor; the options are those of `gg.draw`.

    Raises:
        GraphError: when a kernel to collapse or open is not there.
    """
    kernels = executor.kernels
    places = Places(executor, {k.number: at for at, k in enumerate(kernels)})
    chosen = _chosen(kernels, collapse, open, len(places.nodes))
    return _Charter(executor, places, kernels, chosen).chart


def _chosen(
    kernels: Kernels,
    collapse: bool | str | Iterable[str] | None,
    open: str | Iterable[str],
    count: int,
) -> set[int]:
    numbers = {f"kernel {k.number}": k.number for k in kernels}
    opened = [open] if isinstance(open, str) else list(open)
    if collapse is None:
        collapse = count > AUTO_COLLAPSE
    if isinstance(collapse, bool):
        named = list(numbers) if collapse else []
    else:
        named = [collapse] if isinstance(collapse, str) else list(collapse)
    for name in (*named, *opened):
        if name not in numbers:
            listed = ", ".join(map(repr, numbers)) or "none"
            raise GraphError(f"no kernel {name!r} in this compiled graph; it has {listed}")
    return {numbers[n] for n in named} - {numbers[n] for n in opened}


class _Charter:
    def __init__(
        self, executor: Any, places: Places, kernels: Kernels, collapsed: set[int]
    ) -> None:
        self.places, self.nodes, self.home = places, places.nodes, places.home
        self.at = {n: k for k, n in enumerate(self.nodes)}
        self.record: dict[int, KernelRecord] = {k.number: k for k in kernels}
        self.new = executor._updates
        updates: dict[Node, list[Node]] = {}
        for v, new in self.new.items():
            updates.setdefault(new, []).append(v)
        idle = [n for n in self.nodes if not n.is_leaf and not places.stages[n]]
        state = {n: places.state(n) for n in idle}
        outputs = set(executor._outputs)
        self.chart = Chart(kernels, collapsed, places.names, state, outputs, updates)
        self.literals = {f"n{k}" for k, n in enumerate(self.nodes) if _is_literal(n)}
        self.same = self._same()
        self.users: dict[Node, list[Node]] = {n: [] for n in self.nodes}
        for n in self.nodes:
            for x in dict.fromkeys(n.inputs):
                self.users[self.same.get(x, x)].append(n)
        self.shown = self._shown() if collapsed else set(self.nodes)
        self.boxed = {n for n in self.nodes if self._has_box(n)}
        self._draw()

    def _same(self) -> dict[Node, Node]:
        """Return for each computed node the first with the same result, which is drawn for it.

        Names are not lost, nor ends: what bears one is drawn itself, if its kernel is not one box.
        """
        firsts: dict[Node, Node] = {}
        found = {}
        for n in self.nodes:
            if self.home[n]:
                first = firsts.setdefault(self.places.end(n), n)
                told = n.name or n in self.chart.updates
                alone = told and self.home[n] not in self.chart.collapsed
                found[n] = n if alone or n in self.chart.outputs else first
        return found

    # -- what is seen --------------------------------------------------------------------------

    def _is_hidden(self, node: Node) -> bool:
        """Return whether a node's operation is not drawn by itself."""
        home = self.home[node]
        return home in self.chart.collapsed if home else node not in self.shown

    def _shown(self) -> set[Node]:
        """Return the nodes in no kernel that are drawn: ends, and what something drawn reads."""
        shown: set[Node] = set()
        for node in reversed(self.nodes):
            if not self.home[node] and not node.is_leaf:
                readers = self.users[node]
                opened = any(self.home[u] and not self._is_hidden(u) for u in readers)
                if opened or self._is_end(node) or any(u in shown for u in readers):
                    shown.add(node)
        return shown

    def _is_end(self, node: Node) -> bool:
        return node in self.chart.outputs or node in self.chart.updates

    def _has_box(self, node: Node) -> bool:
        if node in self.chart.outputs:
            return True
        if node.is_leaf:
            return not self._is_updated_inside(node)
        if self._is_hidden(node):
            return self._is_seen(node)
        if node in self.chart.updates or node.name:
            return True
        return self.places.in_memory(node)

    def _is_seen(self, node: Node) -> bool:
        """Return whether others read what a collapsed kernel leaves in memory."""
        here = self.home[node]
        if not here or self.same[node] is not node or not self.places.in_memory(node):
            return False
        return any(self.home[u] != here for u in self.users[node])

    def _is_updated_inside(self, node: Node) -> bool:
        """Return whether only the collapsed kernel that updates a variable has to do with it."""
        homes = {self.home[u] for u in self.users[node]}
        new = self.new.get(node)
        return new is not None and homes == {self.home[new]} and homes <= self.chart.collapsed

    # -- items and arrows ----------------------------------------------------------------------

    def _draw(self) -> None:
        sources: dict[Node, list[str]] = {}
        for node in self.nodes:
            if (first := self.same.get(node, node)) is not node:
                sources[node] = sources[first]
                continue
            chain = self._chain(node)
            for pair, key in self._arrows(node, chain, sources):
                self.chart.arrows.setdefault(key, pair)
            if node in self.boxed:
                sources[node] = [f"n{self.at[node]}"]
            elif chain:
                sources[node] = chain[-1:]
            else:
                sources[node] = list(dict.fromkeys(s for x in node.inputs for s in sources[x]))
        seen = {key for pair in self.chart.arrows.values() for key in pair}
        for node in self.nodes:
            if node in self.boxed and (f"n{self.at[node]}" in seen or self._is_end(node)):
                self.chart.boxes.append(self._box(node))

    def _arrows(
        self, node: Node, chain: Sequence[str], sources: Mapping[Node, list[str]]
    ) -> Iterator[tuple[tuple[str, str], str]]:
        """Yield the arrows into a node's operation and from there to its box, with their ids."""
        k = self.at[node]
        for i, x in enumerate(node.inputs if chain else ()):
            for source in self._seen_from(node, x, sources):
                heads = self._readers(node, x, chain)
                for head in heads:
                    inside = head.startswith("kernel")
                    if source != head and not (inside and source in self.literals):
                        own = head == heads[0] and not inside
                        yield (source, head), f"e{k}_{i}" if own else f"{source}-{head}"
        for tail, head in pairwise(chain):
            if tail != head:
                yield (tail, head), f"{tail}-{head}"
        if node in self.boxed and chain:
            yield (chain[-1], f"n{k}"), f"o{k}"

    def _seen_from(self, user: Node, x: Node, sources: Mapping[Node, list[str]]) -> Sequence[str]:
        """Return where an arrow into `user` begins: within a kernel, not at the box outside."""
        last = self.places.stages[x][-1:]
        here = [self.home[user]] == last and self.places.in_memory(x)
        return self._chain_of(x)[-1:] if here else sources[x]

    def _readers(self, node: Node, x: Node, chain: Sequence[str]) -> list[str]:
        """Return the ids of those parts of a node's computation that read its input x."""
        stages = zip(chain, self.places.stages[node] or [0])
        found = [key for key, number in stages if self.places.reads(node, number, x)]
        return list(dict.fromkeys(found)) or [chain[0]]

    def _chain(self, node: Node) -> list[str]:
        """Return the ids of what computes a node, and note the operations to be drawn."""
        found = self._chain_of(node)
        for key, number in zip(found, self.places.stages[node] or [0]):
            if key.startswith("op"):
                item = Item(key, node, number, self._group(number), number != self.home[node])
                self.chart.dots.append(item)
        return found

    def _chain_of(self, node: Node) -> list[str]:
        """Return the ids of what computes a node, in order."""
        home, at = self.home[node], f"op{self.at[node]}"
        if node.is_leaf or (not home and self._is_hidden(node)):
            return []
        return [
            f"kernel{number}" if number in self.chart.collapsed
            else at if number == home else f"{at}k{number}"
            for number in self.places.stages[node] or [0]
        ]  # fmt: skip

    def _group(self, number: int) -> int:
        return self.record[number].group if number else 0

    def _box(self, node: Node) -> Item:
        """Return a value's box: in its kernel, if nobody else sees it, else in its group, if so."""
        key = f"n{self.at[node]}"
        users = {self.home[u] for u in self.users[node]}
        if _is_literal(node) and len(users) == 1:
            (kernel,) = users
            return Item(key, node, kernel, self._group(kernel))
        if node.is_leaf or not self.places.stages[node]:
            return Item(key, node)
        last = self.places.stages[node][-1]
        if not self.places.in_memory(node) and not self._is_end(node):
            return Item(key, node, last, self._group(last))
        group = self._group(last)
        inside = not self._is_end(node) and all(self._group(u) == group for u in users)
        return Item(key, node, 0, group if inside else 0)


def _is_literal(node: Node) -> bool:
    return node.op == "constant" and node.size == 1
