"""What a thread has of its own, in kernel text: its rows, its sums over them, room for its work."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

from graphgrad.compiler.loops import Nests
from graphgrad.compiler.memory import Shares
from graphgrad.compiler.regions import Region
from graphgrad.compiler.text import ARENAS, times
from graphgrad.dtypes import FLOAT64
from graphgrad.graph import Node

__all__ = ["Parts"]


class Parts(Nests):
    """Writes which rows a part takes, and where its buffers are."""

    def _section(self, region: Region, rows: int, block: int) -> None:
        """Write which rows this part takes, and the loop over blocks of them, if any."""
        first, last = f"part * {rows} // {region.parts}", f"(part + 1) * {rows} // {region.parts}"
        if not block:
            self.emit(1, f"low, high = {first}, {last}")
            return
        self.emit(1, f"last = {last}")
        self.emit(1, f"for low in range({first}, last, {block}):")
        self.emit(2, f"high = {'low + 1' if block == 1 else f'min(low + {block}, last)'}")
        if not self.long:
            for n, home in self.schedule.private.items():
                if home is region and self.schedule.rows[self.fused.kernel_of[n]] == rows:
                    self._own_rows(2, n)

    def _places(self, depth: int, nodes: list[Node], with_rows: bool = False) -> None:
        """Write where buffers are, and where this part's own are."""
        own = [n for n in nodes if self.crosses(n)]
        self._views(depth, [n for n in nodes if n not in own])
        self._totals(depth, own)
        for n in (n for n in own if n in self.plan.shares):
            start, step = self.plan.shares[n]
            view = f"view({ARENAS[n.dtype]}, {start} + {step}*part, {max(n.size, 1)})"
            self.emit(depth, f"{self.name(n)}_part_ = {view}  # {n.dtype.name}{list(n.shape)}")
        for n in nodes if with_rows else []:
            if n in self.schedule.private:
                self._own_rows(depth, n)

    def _views(self, depth: int, nodes: Iterable[Node]) -> None:
        """Write where buffers are."""
        for n in nodes:
            if n in self.plan.start and n not in self.outs:
                begin, count = self.plan.start[n], max(n.size, 1)
                view = f"view({ARENAS[n.dtype]}, {begin}, {count})"
                self.emit(depth, f"{self.name(n)} = {view}  # {n.dtype.name}{list(n.shape)}")
        self._totals(depth, nodes)

    def _totals(self, depth: int, nodes: Iterable[Node]) -> None:
        """Write where the blocks of long sums are added up."""
        for n in self.summed_here(nodes):
            start, step = self.plan.totals[n]
            at = f"{start} + {step}*part" if self.cut else start
            view = f"view({ARENAS[FLOAT64]}, {at}, {max(n.size, 1)})"
            self.emit(depth, f"{self.total(n)} = {view}  # float64{list(n.shape)}")

    def summed_here(self, nodes: Iterable[Node]) -> list[Node]:
        """Return the nodes that are long sums of the region being written, or of any whole one."""
        homes = {n: self.schedule.totals.get(n) for n in nodes}
        anywhere = self.region is None
        return [n for n, r in homes.items() if r and (r is self.region or (r.whole and anywhere))]

    def _begin_sums(self, region: Region) -> None:
        """Begin this part's own sums over rows."""
        for group in (g for g in self.plan.sums if g.region is region):
            at = f"{group.start} + {group.step}*part"
            sums = "totals_" if group.totals else "sums_"
            self.emit(1, f"{sums} = view({ARENAS[group.dtype]}, {at}, {group.step})")
            for (first, last), nodes in _runs(group):
                self.emit(1, f"for i in range({first}, {last}):")
                start = "float64(0)" if group.totals else self.start_of(nodes[0])
                self.emit(2, f"{sums}[i] = {start}")

    def _own_rows(self, depth: int, n: Node) -> None:
        """Write where a part's own rows of a buffer are, as if the buffer were whole."""
        start, step = self.plan.shares[n]
        rows = self.schedule.rows[self.fused.kernel_of[n]]
        at = f"{start} + {step}*part - {times(n.size // rows, 'low')}"
        shape = f"{n.dtype.name}{list(n.shape)}, some rows"
        self.emit(depth, f"{self.name(n)} = view({ARENAS[n.dtype]}, {at}, {n.size})  # {shape}")

    def _together(self, region: Region) -> list[str]:
        """Return the lines that combine what each part left of the sums, always in order."""
        self.used, self.indent = {}, 1
        outer, self.lines = self.lines, []
        for group in (g for g in self.plan.sums if g.region is region):
            count = f"{group.start}, {group.step * region.parts}"
            sums = "totals_" if group.totals else "sums_"
            self.emit(1, f"{sums} = view({ARENAS[group.dtype]}, {count})  # of all parts")
            self.emit(1, f"for part in range(1, {region.parts}):")
            for (first, last), nodes in _runs(group):
                self.emit(2, f"for i in range({first}, {last}):")
                other = f"{sums}[{group.step}*part + i]"
                value = self.combined(nodes[0], f"{sums}[i]", other)
                self.emit(3, f"{sums}[i] = {value}")
            for n, at in group.nodes.items():
                if n in self.outs or group.totals:
                    self.emit(1, f"for i in range({max(n.size, 1)}):")
                    self.emit(2, f"{self.name(n)}[i] = {sums}[{at} + i]")
        found, self.lines, self.indent = self.lines, outer, 0
        return found


def _runs(group: Shares) -> Iterator[tuple[tuple[int, int], list[Node]]]:
    """Yield the stretches of sums that begin with the same number, and the nodes in them."""
    for _, run in itertools.groupby(group.nodes, key=lambda n: n.primitive.combine):
        nodes = list(run)
        yield (group.nodes[nodes[0]], group.nodes[nodes[-1]] + max(nodes[-1].size, 1)), nodes
