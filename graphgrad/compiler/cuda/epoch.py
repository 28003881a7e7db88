"""The steps of an epoch as text for the GPU: what comes before and after each of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphgrad.compiler.cuda.helpers import header
from graphgrad.compiler.cuda.launches import CudaLaunches, Written
from graphgrad.compiler.cuda.pen import DEVICE_ARENAS, Piece
from graphgrad.compiler.text import times
from graphgrad.dtypes import INT64
from graphgrad.graph import Node

__all__ = ["EpochWriter", "shares"]

MOST = 24
"""Arrays of a launch, besides the arenas: what a device takes as arguments is limited."""


def shares(arrays: Sequence[Any]) -> list[Sequence[Any]]:
    """Return arrays in shares, each for a launch.

    Example:
        >>> [len(share) for share in shares(range(50))]
        [24, 24, 2]
    """
    return [arrays[at : at + MOST] for at in range(0, len(arrays), MOST)]


class EpochWriter(CudaLaunches):
    """Writes the launches around each step of an epoch."""

    def write(self, by_rows: Sequence[bool]) -> Written:
        """Return the text of what an epoch does before and after each step.

        ``feed_1`` … bring the next batch to where the step reads it, ``keep_1`` … put its results
        aside, each for its share of the arrays, ``tick`` counts.

        Args:
            by_rows: for each input, whether its batches are rows picked from a table.
        """
        text: list[str] = []
        counters = [("rows", INT64), ("step", INT64)]
        launches = []
        for at, share in enumerate(shares([*enumerate(self.program.inputs)]), 1):
            data = [(f"data_{k}", n.dtype) for k, n in share]
            fed = [self._fed(k, n, self.layout.inputs[k], by_rows[k]) for k, n in share if n.size]
            launches.append(self.launch(text, fed, f"feed_{at}", [*data, *counters]))
        for at, share in enumerate(shares([*enumerate(self.program.outputs)]), 1):
            results = [(f"results_{k}", n.dtype) for k, n in share]
            put = [self._put(k, n, self.layout.outputs[k]) for k, n in share if n.size]
            launches.append(self.launch(text, put, f"keep_{at}", [*results, *counters]))
        self.begin()
        self.emit(0, "if thread == 0:")
        self.emit(1, "step[0] = step[0] + 1")
        launches.append(self.launch(text, [self.piece(1)], "tick", counters))
        return Written("\n".join([header(self.grid.simulated, False), *text]) + "\n", launches)

    def _fed(self, k: int, node: Node, to: int, by_rows: bool) -> Piece:
        self.begin()
        count = node.shape[0] if node.shape else 1
        width = node.size // count
        blocks, depth = self.each(node.size)
        source = f"{times(node.size, 'step[0]')} + t"
        if by_rows:
            which, more = (f"t // {width}", f"*{width} + t % {width}") if width > 1 else ("t", "")
            source = f"rows[{times(count, 'step[0]')} + {which}]{more}"
        self.emit(depth, f"{DEVICE_ARENAS[node.dtype]}[{to} + t] = data_{k}[{source}]")
        self.again(node.size, blocks)
        return self.piece(blocks)

    def _put(self, k: int, node: Node, at: int) -> Piece:
        self.begin()
        blocks, depth = self.each(node.size)
        place = f"{times(node.size, 'step[0]')} + t"
        self.emit(depth, f"results_{k}[{place}] = {DEVICE_ARENAS[node.dtype]}[{at} + t]")
        self.again(node.size, blocks)
        return self.piece(blocks)
