"""Text for the GPU: a launch for each level of kernels, and the ends of a step of an epoch.

Buffers are places in one arena per type; their names stand for where they begin. A launch runs
one piece, or several that do not need each other, each in blocks of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from graphgrad.compiler.cuda_helpers import header
from graphgrad.compiler.cuda_pen import DEVICE_ARENAS, Piece
from graphgrad.compiler.cuda_products import CudaProducts
from graphgrad.compiler.cuda_schedule import Level, Unit
from graphgrad.compiler.fuse import Kernel, is_literal
from graphgrad.compiler.text import Loops, times
from graphgrad.compiler.views import View
from graphgrad.dtypes import INT64, Dtype
from graphgrad.errors import CompileError
from graphgrad.explain.formulas import fill, operation_template
from graphgrad.graph import Node
from graphgrad.shapes import size

__all__ = ["Launch", "Layout", "Writer", "Written"]

Argument = tuple[str, Dtype]

SHARED = 40 * 1024
"""Bytes of shared memory that the pieces of a launch may have together."""
MOST_PIECES = 24
"""Pieces of a launch."""


@dataclass(frozen=True)
class Launch:
    """One function to launch: its name, its blocks, and the kernels it runs (or stages of them)."""

    name: str
    blocks: int
    kernels: tuple[Kernel, ...] = ()


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
    """Where a kernel runs: the number of its first launch, its threads, its lines."""

    group: int
    threads: int
    lines: list[str]


@dataclass
class Written:
    """The text of a step, its launches in order, the size of each arena, all kernels and names."""

    text: str
    launches: list[Launch]
    sizes: dict[Dtype, int] = field(default_factory=dict)
    kernels: dict[Kernel, Launched] = field(default_factory=dict)
    names: dict[Node, str] = field(default_factory=dict)


@dataclass
class Writer(CudaProducts):
    """Writes the source of one program."""

    layout: Layout = field(default_factory=Layout)

    def write(self, levels: Sequence[Level], together: bool) -> Written:
        """Return the text of a step."""
        launches: list[Launch] = []
        text: list[str] = []
        found: dict[Kernel, Launched] = {}

        def launch(pieces: Sequence[Piece]) -> None:
            for group in _groups(pieces, together):
                launches.append(self._launch(text, group, f"launch_{len(launches) + 1}"))
                for piece in group:
                    threads = piece.blocks * self.grid.threads
                    for k in piece.kernels:
                        found.setdefault(k, Launched(len(launches), threads, []))
                        found[k].lines += piece.lines

        for level in levels:
            self.kept = {}
            for pieces in self._by_stage(level):
                launch(pieces)
        self.kept = {}
        for pieces in self._ends():
            launch(pieces)
        return self._finished(text, launches, found)

    def _by_stage(self, level: Level) -> list[list[Piece]]:
        """Return the pieces of a level's first stages, then of the second, and so on."""
        numbers = {k: at for at, k in enumerate(self.fused.kernels, 1)}
        stages: list[list[Piece]] = []
        for unit in level:
            notes = [f"# {line}" for k in unit.kernels for line in self._comment(numbers[k], k)]
            for at, pieces in enumerate(self._stages(unit)):
                if at == len(stages):
                    stages.append([])
                for piece in pieces:
                    piece.kernels = unit.kernels
                    piece.lines[:0] = notes
                stages[at] += pieces
        return stages

    def _finished(
        self, text: list[str], launches: list[Launch], found: dict[Kernel, Launched]
    ) -> Written:
        random = any("philox(" in line for line in text)
        sizes = dict(self.layout.sizes)
        places = ["", ""]
        for kind, name in DEVICE_ARENAS.items():
            if self.most_kept.get(kind):
                places.append(f"scratch_{name} = {sizes.get(kind, 0)}  # parts of sums")
                sizes[kind] = sizes.get(kind, 0) + self.most_kept[kind]
        if self.layout.flag >= 0:
            places.append(f"bad = {self.layout.flag}  # whether an index was out of bounds")
        for node, name in self.names.items():
            if node in self.plan.start:
                what = f"{DEVICE_ARENAS[node.dtype]}{list(node.shape)}"
                places.append(f"{name} = {self.plan.start[node]}  # {what}")
        lines = [header(self.grid.simulated, random), *places, *text]
        return Written("\n".join(lines) + "\n", launches, sizes, found, self.names)

    def _launch(
        self, text: list[str], pieces: Sequence[Piece], name: str, more: Sequence[Argument] = ()
    ) -> Launch:
        """Write the function of a launch, and those of its pieces if there are several.

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

    def _stages(self, unit: Unit) -> list[list[Piece]]:
        node, kind = unit.kernel.nodes[0], unit.kernel.kind
        if unit.rows:
            return self.chain_stages(unit)
        if kind == "loop":
            return self.loop_stages(unit.kernel)
        if kind == "matmul" and node.primitive.name == "matmul":
            return self.matmul_stages(unit)
        write = getattr(self, f"{kind}_stages", None)
        if write is None or kind == "matmul":
            raise CompileError(f"{node.op} has no code for the GPU; use target='numba'")
        stages: list[list[Piece]] = write(node)
        return stages

    def _ends(self) -> list[list[Piece]]:
        """Return what comes last: outputs that are copies, then new values of variables."""
        outputs = []
        for k, node in enumerate(self.program.outputs):
            if node.size and self.plan.start.get(node) != self.layout.outputs[k]:
                outputs.append(self._copy(self.fused.view(node), self.layout.outputs[k]))
        news = []
        for v, new in self.program.updates.items():
            view = self.fused.view(new)
            if view.root is not v and new not in self.plan.in_place and v.size:
                news.append((v, view))
        # a new value that is another variable's old one is put aside first
        aside = [(v, view, self.scratch(v.dtype, v.size)) for v, view in news if view.root.is_leaf]
        first = [self._copy(view, at, aside=True) for _, view, at in aside]
        second = [self._fetch(v, at) for v, _, at in aside]
        second += [
            self._copy(view, self.plan.start[v]) for v, view in news if not view.root.is_leaf
        ]
        return [outputs + first, second]

    def _copy(self, view: View, to: int, aside: bool = False) -> Piece:
        """Copy a view into a place of the arena."""
        self.begin()
        loops = Loops.over(view.shape, [view.strides])
        total = size(view.shape)
        blocks, depth = self.each(total)
        letters = [f"_{letter}" for letter in "abcdefgh"[: len(loops.sizes)]]
        self.decoded(depth, "t", loops.sizes, letters, self.whole(total))
        arena = DEVICE_ARENAS[view.root.dtype]
        base = f"scratch_{arena} + {to}" if aside else str(to)
        value = self.seen(view, loops.strides[0], letters)
        self.emit(depth, f"{arena}[{base} + t] = {value}")
        self.again(total, blocks)
        return self.piece(blocks)

    def _fetch(self, v: Node, at: int) -> Piece:
        self.begin()
        blocks, depth = self.each(v.size)
        arena = DEVICE_ARENAS[v.dtype]
        self.emit(depth, f"{self.entry(v, 't')} = {arena}[scratch_{arena} + {at} + t]")
        self.again(v.size, blocks)
        return self.piece(blocks)

    def _comment(self, k: int, kernel: Kernel) -> list[str]:
        lines = [f"kernel {k}: {kernel.kind} over {list(kernel.domain)}"]
        for n in kernel.nodes:
            template = operation_template(n.primitive, len(n.inputs), n.settings)
            lines.append(f"  {self.label(n)} = {fill(template, '', [*map(self._named, n.inputs)])}")
        return lines

    def _named(self, node: Node) -> str:
        root = self.fused.view(node).root
        return self.literal(root) if is_literal(root) else self.label(root)

    # -- epochs ------------------------------------------------------------------------------------

    def write_epoch(self, by_rows: Sequence[bool]) -> Written:
        """Return the text of what an epoch does before and after each step.

        ``feed`` brings the next batch to where the step reads it, ``keep`` puts its results aside,
        ``tick`` counts.

        Args:
            by_rows: for each input, whether its batches are rows picked from a table.
        """
        text: list[str] = []
        data = [(f"data_{k}", n.dtype) for k, n in enumerate(self.program.inputs)]
        results = [(f"results_{k}", n.dtype) for k, n in enumerate(self.program.outputs)]
        fed = [
            self._fed(k, n, self.layout.inputs[k], by_rows[k])
            for k, n in enumerate(self.program.inputs) if n.size
        ]  # fmt: skip
        put = [
            self._put(k, n, self.layout.outputs[k])
            for k, n in enumerate(self.program.outputs) if n.size
        ]  # fmt: skip
        counters = [("rows", INT64), ("step", INT64)]
        launches = [
            self._launch(text, fed, "feed", [*data, *counters]),
            self._launch(text, put, "keep", [*results, *counters]),
        ]
        self.begin()
        self.emit(0, "if thread == 0:")
        self.emit(1, "step[0] = step[0] + 1")
        launches.append(self._launch(text, [self.piece(1)], "tick", counters))
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


def _groups(pieces: Sequence[Piece], together: bool) -> list[list[Piece]]:
    """Put pieces into launches: those that need many registers apart from the others."""
    if not together:
        return [[p] for p in pieces]
    found: list[list[Piece]] = []
    for heavy in (True, False):
        room = SHARED
        group: list[Piece] = []
        for p in pieces:
            if p.heavy is not heavy:
                continue
            if group and (p.shared > room or len(group) == MOST_PIECES):
                found.append(group)
                group, room = [], SHARED
            group.append(p)
            room -= p.shared
        if group:
            found.append(group)
    return found
