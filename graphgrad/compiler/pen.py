"""The pen: what every part of the writer shares: lines, names, literals, shares of rows."""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass, field

from graphgrad import dtypes
from graphgrad.compiler.fuse import Fused, Kernel
from graphgrad.compiler.memory import Plan, outside
from graphgrad.compiler.program import Program
from graphgrad.compiler.regions import Region, Schedule
from graphgrad.compiler.text import RESERVED, join, times
from graphgrad.graph import Node

__all__ = ["Pen"]

_OURS = re.compile(r"(group|result|tile|copy|add)_?\d.*")
"""Names that the text makes with a number; its others end in an underscore, as no user's does."""
LARGEST = "0xFFFFFFFFFFFF"
"""No index is larger."""


@dataclass
class Pen:
    """Lines written so far, and the names of buffers in them.

    Attributes:
        before: lines that a part of a group begins with.
        outs: results that are written straight into the caller's arrays.
        used: the buffers that the function being written touches.
        routines: the BLAS routines it calls.
        tiles, runs: the sizes of tiles that any kernel uses, and moves of short rows.
        kernel, region: what is being written; no region for what runs at the end of a step.
        indent: how much deeper than usual lines are.
        long: whether every kernel is a function of its own, and says itself where its buffers are.
    """

    program: Program
    fused: Fused
    schedule: Schedule
    plan: Plan
    math: str = "fast"
    wide: bool = True
    timed: bool = False
    lines: list[str] = field(default_factory=list)
    before: list[str] = field(default_factory=list)
    names: dict[Node, str] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    used: dict[Node, None] = field(default_factory=dict)
    routines: set[str] = field(default_factory=set)
    tiles: set[tuple[int, int]] = field(default_factory=set)
    runs: dict[str, str] = field(default_factory=dict)
    kernel: Kernel | None = None
    region: Region | None = None
    outs: dict[Node, int] = field(default_factory=dict)
    indent: int = 0
    long: bool = False

    def __post_init__(self) -> None:
        self.outs = outside(self.program, self.fused)

    def emit(self, depth: int, text: str) -> None:
        """Add a line at an indentation."""
        self.lines.append("    " * (depth + self.indent) + text)

    # -- names -------------------------------------------------------------------------------

    def name(self, node: Node) -> str:
        """Return the node's name in the text, made from the user's where it is an identifier."""
        self.used[node] = None
        known = self.names.get(node)
        if known:
            return known
        base = re.sub(r"\W", "_", node.name, flags=re.ASCII).rstrip("_")
        odd = keyword.iskeyword(base) or base in RESERVED or _OURS.fullmatch(base)
        if not base or not base[0].isalpha() or odd:
            base = f"v{len(self.names) + 1}" if not base else f"v_{base}"
        name = self.free(base)
        self.taken.add(name)
        self.names[node] = name
        return name

    def label(self, node: Node) -> str:
        """Return the node's name for a comment or a local variable; its buffer is not touched."""
        touched = node in self.used
        name = self.name(node)
        if not touched:
            del self.used[node]
        return name

    def free(self, base: str) -> str:
        """Return the name, or the first of its kind that is not taken."""
        name, k = base, 1
        while name in self.taken:
            k += 1
            name = f"{base}{k}"
        return name

    def local(self, base: str) -> str:
        """Return a name for a local variable that nothing else has."""
        self.taken.add(name := self.free(base))
        return name

    def literal(self, node: Node) -> str:
        """Return a constant of one entry as a typed literal."""
        value = node._value.reshape(())[()] if node.shape else node._value
        if node.dtype is dtypes.BOOL:
            return str(bool(value))
        text = repr(value.item())
        return text if node.dtype is dtypes.INT64 else f"{node.dtype.name}({text})"

    # -- shares of rows ------------------------------------------------------------------------

    @property
    def cut(self) -> bool:
        """Whether the kernel being written works on some of its rows only."""
        return self.region is not None and not self.region.whole

    def share(self, n: int) -> tuple[str, str]:
        """Return the ends of the share of an axis of length n that is being worked on."""
        if not self.cut:
            return "0", str(n)
        assert self.kernel is not None
        rows = self.schedule.rows[self.kernel]
        return times(n // rows, "low"), times(n // rows, "high")

    def crosses(self, node: Node) -> bool:
        """Return whether a result sums over rows of which only some are being worked on."""
        return self.cut and self.schedule.crossing.get(node) is self.region

    # -- blocks of long sums -------------------------------------------------------------------

    def total(self, node: Node) -> str:
        """Return the name of what adds up the blocks of a long sum."""
        return f"{self.name(node)}_total_"

    def blocks(self, depth: int, letter: str, ends: tuple[str, str], rounds: int) -> str:
        """Write the head of a loop over blocks of a loop, and return the ends of a block.

        The text says what LLVM could not find out, but needs to know before it makes vectors of
        numbers that stand apart: an index is not negative, and runs no further than the block.
        """
        low, high = ends
        first = f"{letter.rstrip('_')}_block_"
        self.emit(depth, f"for {first} in range({low}, {high}, {rounds}):")
        self.emit(depth + 1, f"{first} &= {LARGEST}  # not negative")
        return f"{first}, {first} + min({rounds}, {high} - {first})"

    def afresh(self, depth: int, place: str, base: str, count: int, kind: str) -> None:
        """Write that the sums of a block, which are in memory, begin."""
        self.emit(depth, f"for entry_ in range({count}):")
        self.emit(depth + 1, f"{place}[{join(base, 'entry_')}] = {kind}(0)")

    def add_up(self, depth: int, node: Node, place: str, base: str, count: int) -> None:
        """Write that the sums of a block, which are in memory, are added to those of others."""
        at = join(base, "entry_")
        self.emit(depth, f"for entry_ in range({count}):")
        self.emit(depth + 1, f"{self.total(node)}[{at}] += {place}[{at}]")

    def begin_totals(self, node: Node) -> None:
        """Write that the sums of blocks begin."""
        low, high = self.share(node.size)
        self.emit(1, f"for i in range({low}, {high}):")
        self.emit(2, f"{self.total(node)}[i] = float64(0)")

    def end_totals(self, node: Node) -> None:
        """Write that what the blocks came to is the result."""
        low, high = self.share(node.size)
        self.emit(1, f"for i in range({low}, {high}):")
        self.emit(2, f"{self.name(node)}[i] = {self.total(node)}[i]")
