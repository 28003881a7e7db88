"""Launches in CUDA text: functions of one piece, or of several that do not need each other.

Buffers are places in one arena per type; their names stand for where they begin. In a launch of
several pieces each has blocks of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from graphgrad.compiler.cuda.blas import Product
from graphgrad.compiler.cuda.pen import DEVICE_ARENAS, Piece
from graphgrad.compiler.cuda.products import CudaProducts
from graphgrad.compiler.fuse import Kernel
from graphgrad.dtypes import Dtype
from graphgrad.graph import Node

__all__ = ["LOOKUPS", "CudaLaunches", "Launch", "Launched", "Layout", "Written", "groups"]

Argument = tuple[str, Dtype]
SHARED = 40 * 1024
"""Bytes of shared memory that the pieces of a launch may have together."""
MOST_PIECES = 24
"""Pieces of a launch."""
LOOKUPS = ("gather", "scatter")
"""Kinds of kernels whose indices are numbers of the graph."""


@dataclass(frozen=True)
class Launch:
    """One function to launch: its name, its blocks, and the kernels it runs (or stages of them).

    With `call` it is a call of cuBLASLt.
    """

    name: str
    blocks: int
    kernels: tuple[Kernel, ...] = ()
    call: Product | None = None


@dataclass
class Layout:
    """Where, after the buffers of the plan, the ends of a call stand in each arena.

    Attributes:
        inputs, outputs: for each, where it begins in the arena of its type.
        areas: for each type, where the inputs begin and end, and where the outputs do.
        flag: where the note of an index out of bounds is, in the arena of integers; -1: nowhere.
        sizes: entries of each arena.
    """

    inputs: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    areas: dict[Dtype, tuple[int, int, int, int]] = field(default_factory=dict)
    flag: int = -1
    sizes: dict[Dtype, int] = field(default_factory=dict)


@dataclass
class Launched:
    """Where a kernel runs: the number of its first launch, its threads, lines, and blocks."""

    group: int
    threads: int
    lines: list[str]
    blocks: int = 0


@dataclass
class Written:
    """The text of a step, its launches in order, the size of each arena, all kernels and names."""

    text: str
    launches: list[Launch]
    sizes: dict[Dtype, int] = field(default_factory=dict)
    kernels: dict[Kernel, Launched] = field(default_factory=dict)
    names: dict[Node, str] = field(default_factory=dict)


@dataclass
class CudaLaunches(CudaProducts):
    """Writes launches."""

    layout: Layout = field(default_factory=Layout)

    def launch(
        self, text: list[str], pieces: Sequence[Piece], name: str, more: Sequence[Argument] = ()
    ) -> Launch:
        """Write the function of a launch, and those of its pieces if there are several.

        Once an index out of bounds is noted, later launches do nothing, so that nothing is updated.

        Args:
            text: where to.
            pieces: what it runs.
            name: its name.
            more: arguments besides the arenas, with their types.
        """
        given = [(DEVICE_ARENAS[kind], kind) for kind in self.arenas()] + list(more)
        arguments = ", ".join(argument for argument, _ in given)
        kinds = ", ".join(
            f"{'boolean' if kind.name == 'bool' else kind.name}[::1]" for _, kind in given
        )
        if len(pieces) > 1:
            for k, piece in enumerate(pieces, 1):
                text += ["", "", "@cuda.jit(device=True)"]
                text.append(f"def {name}_{k}(block, thread, {arguments}):")
                text += [f"    {line}" for line in piece.lines]
        text += ["", "", f'@cuda.jit("void({kinds})", cache=True)']
        text.append(f"def {name}({arguments}):")
        text.append("    block, thread = u32(cuda.blockIdx.x), u32(cuda.threadIdx.x)")
        if self.layout.flag >= 0 and not more and not any(map(looks_up, pieces)):
            text += [f"    if i64[{self.layout.flag}] != 0:", "        return"]
        if len(pieces) == 1:
            text += [f"    {line}" for line in pieces[0].lines]
        first = 0
        for k, piece in enumerate(pieces, 1):
            if len(pieces) > 1:
                word = "elif" if first else "if"
                text.append(f"    {word} block < {first + piece.blocks}:")
                block = f"u32(block - {first})" if first else "block"
                text.append(f"        {name}_{k}({block}, thread, {arguments})")
            first += piece.blocks
        return Launch(name, max(first, 1), tuple(k for p in pieces for k in p.kernels))

    def arenas(self) -> list[Dtype]:
        """Return the types that have an arena."""
        return [kind for kind in DEVICE_ARENAS if self.layout.sizes.get(kind)]


def looks_up(piece: Piece) -> bool:
    """Return whether a piece may find, and note, an index out of bounds."""
    return any(k.kind in LOOKUPS for k in piece.kernels)


def groups(pieces: Sequence[Piece], together: bool) -> list[list[Piece]]:
    """Put pieces into launches: apart those that need many registers, and those that look up."""
    if not together:
        return [[p] for p in pieces]
    found: list[list[Piece]] = []
    for kind in ((True, True), (True, False), (False, True), (False, False)):
        room = SHARED
        group: list[Piece] = []
        for p in pieces:
            if (looks_up(p), p.heavy) != kind:
                continue
            if group and (p.shared > room or len(group) == MOST_PIECES):
                found.append(group)
                group, room = [], SHARED
            group.append(p)
            room -= p.shared
        if group:
            found.append(group)
    return found
