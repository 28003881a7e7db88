"""Kernel text: readable Python loops over flat buffers, a comment for every kernel.

Shapes are numbers in the text, so the compiler below can unroll and vectorize. A buffer's entries
stand in row-major order; an index such as ``16*i + j`` says where. The text is one module:
``epoch`` makes a step for each batch, kernel after kernel; where threads share the work of a group
of kernels, each of them calls ``run``.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from graphgrad.compiler.functions import OPTIONS, Functions, tabulated
from graphgrad.compiler.fuse import Fused, Kernel, is_literal
from graphgrad.compiler.memory import Plan
from graphgrad.compiler.products import Products
from graphgrad.compiler.program import Program
from graphgrad.compiler.regions import Region, Schedule
from graphgrad.compiler.singles import Singles
from graphgrad.compiler.text import ARENAS, FLAG, LETTERS, ORDER, SLOTS, Loops, index, times
from graphgrad.compiler.views import contiguous
from graphgrad.dtypes import BOOL, INT64, Dtype
from graphgrad.errors import CompileError
from graphgrad.explain.formulas import fill, operation_template
from graphgrad.graph import Node

__all__ = ["PER_INPUT", "Written", "write"]

LONG = 400
"""Nodes from which on every kernel is a function of its own."""
PER_INPUT = 4
"""Addresses of an input: its data, room for a batch, whether rows are picked, the batch now."""


@dataclass(frozen=True)
class Written:
    """The source of a program, and what a reader looks for in it.

    Attributes:
        text: the whole module.
        kernels: the lines of each kernel that has any, its comment first.
        names: what the text calls a simplified node; not all nodes are in it.
        table: numbers that belong into the arena of integers, and where.
    """

    text: str
    kernels: Mapping[Kernel, str]
    names: Mapping[Node, str]
    table: tuple[int, list[int]]


@dataclass
class Writer(Functions, Products, Singles):
    """Writes the source of one program: every kernel, the step that calls them, and the epoch."""

    texts: dict[Kernel, str] = field(default_factory=dict)
    table: tuple[int, list[int]] = (0, [])

    def write(self) -> str:
        """Return the text."""
        for n in self.program.inputs:
            self.name(n)
        for node, k in self.outs.items():
            assert self.program.outputs[k] is node
            self.name(node)
        numbers = {k: number for number, k in enumerate(self.fused.kernels, 1)}
        self.long = sum(len(k.nodes) for k in self.fused.kernels) > LONG
        step, shared, held = self._step(numbers)
        if self.long:
            first = self.plan.sizes.get(INT64, 0)
            step, table = tabulated(self.called(step), first)
            shared = [(region, self.called(lines)) for region, lines in shared]
            self.table = first, table
            if table:
                self.plan.sizes[INT64] = first + len(table)
        self.lines += self.defined()
        if shared:
            self._runner(shared)
        self._epoch(step, held)
        return "\n".join(self.lines) + "\n"

    def _step(
        self, numbers: dict[Kernel, int]
    ) -> tuple[list[str], list[tuple[Region, list[str]]], dict[Node, None]]:
        """Return the lines of a step, those of the groups that threads share, and the buffers."""
        step: list[str] = []
        shared: list[tuple[Region, list[str]]] = []
        held: dict[Node, None] = {}
        for k, region in enumerate(self.schedule.regions, 1):
            title = [f"        # group {k}"] if len(region.kernels) > 1 else []
            if region.parts == 1:
                step += title + self._group(region, numbers) + _stop_if_out_of_bounds(region)
                held |= self.used
                continue
            lines = self._group(region, numbers)
            shared.append((region, lines))
            at = len(ARENAS)
            call = f"addresses[{at}], addresses[{at + 1}], {len(shared) - 1}, {region.parts}"
            step += [*title, f"        spread({call}, table)"]
            step += self._together(region) + _stop_if_out_of_bounds(region)
            held |= self.used
        step += self._ends()
        return step, shared, held | self.used

    def _group(self, region: Region, numbers: dict[Kernel, int]) -> list[str]:
        """Return the lines of a region; `used` is then what buffers it touches."""
        self.region, self.used, self.indent = region, {}, 1
        outer, self.lines, self.before = self.lines, [], []
        if region.whole:
            self._kernels(region.kernels, numbers)
        elif region.columns:
            count, p = region.kernels[0].domain[1], region.parts
            self.emit(1, f"low, high = part * {count} // {p}, (part + 1) * {count} // {p}")
            self._kernels(region.kernels, numbers)
        else:
            for rows, block in region.blocks.items():
                section = [k for k in region.kernels if self.schedule.rows[k] == rows]
                self._section(region, rows, block)
                self.indent += block > 0
                self._kernels(section, numbers)
                self.indent = 1
        body, self.lines = self.lines, []
        self.kernel = None
        if not region.whole:
            self._begin_sums(region)
            self._places(1, list(self.used))
        self.region = None
        body, self.lines, self.indent = [*self.lines, *self.before, *body], outer, 0
        return body

    def _kernels(self, kernels: Iterable[Kernel], numbers: dict[Kernel, int]) -> None:
        for kernel in kernels:
            self.kernel = kernel
            if self.timed:
                self.emit(1, "begun_ = cycles()")
            if self.long:
                self._as_function(kernel, numbers[kernel])
            else:
                self._commented(kernel, numbers[kernel])
            if self.timed:
                at = f"{numbers[kernel] - 1} + {len(numbers)}*{'part' if self.cut else '0'}"
                self.emit(1, f"ticks_[{at}] += cycles() - begun_")

    def _commented(self, kernel: Kernel, number: int) -> None:
        start = len(self.lines)
        for line in self._comment(number, kernel):
            self.emit(1, f"# {line}")
        self._kernel(kernel)
        self.texts[kernel] = textwrap.dedent("\n".join(self.lines[start:]))

    def _comment(self, k: int, kernel: Kernel) -> list[str]:
        lines = [f"kernel {k}: {kernel.kind} over {list(kernel.domain)}"]
        for n in kernel.nodes:
            template = operation_template(n.primitive, len(n.inputs), n.settings)
            operands = [self._operand_name(x) for x in n.inputs]
            text = fill(template, "", operands)
            lines.append(f"  {self.label(n)} = {text}")
        return lines

    def _operand_name(self, node: Node) -> str:
        view = self.fused.view(node)
        return self.literal(view.root) if is_literal(view.root) else self.label(view.root)

    def _kernel(self, kernel: Kernel) -> None:
        node = kernel.nodes[0]
        if kernel.kind == "loop":
            self._loop(kernel)
        elif kernel.kind == "matmul":
            self._matmul(kernel.nodes)
        elif (method := getattr(self, f"_{kernel.kind}", None)) is not None:
            method(node)
        else:
            raise CompileError(f"{node.op} has no code for this target; use target='numpy'")

    # -- the step and the epoch --------------------------------------------------------------

    def _ends(self) -> list[str]:
        """Return the lines that come last: outputs that are copies, new values of variables."""
        self.used, self.indent = {}, 1
        outer, self.lines = self.lines, []
        for k, node in enumerate(self.program.outputs):
            if self.outs.get(node) != k and node.size:
                view = self.fused.view(node)
                self._copy(view.root, view.shape, view.strides, view.offset, f"result_{k + 1}")
        self._new_values()
        found, self.lines, self.indent = self.lines, outer, 0
        if found:
            found.insert(0, "        # outputs that are copies, and the variables' new values")
        return found

    def _new_values(self) -> None:
        """Write copies of new values; one that is seen in an old value is put aside first."""
        views = {v: self.fused.view(n) for v, n in self.program.updates.items()
                 if n not in self.plan.in_place}  # fmt: skip
        views = {v: view for v, view in views.items() if view.root is not v or not view.is_whole}
        aside: dict[Node, str] = {}
        for v, view in views.items():
            if view.root in self.program.updates:
                aside[v] = self.local(f"{self.name(v)}_new")
                kind = "np.bool_" if v.dtype is BOOL else v.dtype.name
                self.emit(1, f"{aside[v]} = np.empty({v.size}, {kind})")
                self._copy(view.root, view.shape, view.strides, view.offset, aside[v])
        for v, view in views.items():
            if v in aside:
                self.emit(1, f"for i in range({v.size}):")
                self.emit(2, f"{self.name(v)}[i] = {aside[v]}[i]")
            else:
                self._copy(view.root, view.shape, view.strides, view.offset, self.name(v))

    def out(self, k: int) -> str:
        """Return the name of the array that output k is written to."""
        node = self.program.outputs[k]
        return self.label(node) if self.outs.get(node) == k else f"result_{k + 1}"

    def _copy(
        self, root: Node, shape: Sequence[int], strides: Sequence[int], offset: int, to: str
    ) -> None:
        domain = tuple(shape)
        loops = Loops.over(domain, [tuple(strides), contiguous(domain)])
        for k, n in enumerate(loops.sizes):
            self.emit(1 + k, f"for {LETTERS[k]} in range({n}):")
        source = f"{self.name(root)}[{index(loops.strides[0], offset)}]"
        value = self.literal(root) if is_literal(root) and root not in self.plan.start else source
        self.emit(1 + len(loops.sizes), f"{to}[{index(loops.strides[1])}] = {value}")

    def _runner(self, shared: Sequence[tuple[Region, list[str]]]) -> None:
        """Write what a thread runs: its part of one of the groups."""
        self.emit(0, f'@cfunc("void(int64, int64, int64)", {OPTIONS})')
        self.emit(0, "def run(which, part, table):")
        self.emit(1, "part &= 0xFFFF  # not negative: an index that counts from it needs no check")
        self.emit(1, f"addresses = memory(table, {self._slots() + 1}, int64)")
        self._found()
        for k, n in enumerate(self.program.inputs):
            self._now(1, n, f"addresses[{SLOTS + PER_INPUT * k + 3}]")
        for k, n in enumerate(self.program.outputs):
            self._now(1, n, f"addresses[{self._slots() - 1 - k}]", self.out(k))
        for k, (_, lines) in enumerate(shared):
            self.emit(1, f"{'elif' if k else 'if'} which == {k}:")
            self.lines += lines
        self.emit(0, "")
        self.emit(0, "")

    def _slots(self) -> int:
        return SLOTS + PER_INPUT * len(self.program.inputs) + 2 * len(self.program.outputs)

    def _found(self) -> None:
        """Write where the arenas and BLAS are, and the table of times, if times are taken."""
        if self.timed:
            self.emit(1, f"ticks_ = memory(addresses[{self._slots()}], 0, int64)")
        for k, (kind, name) in enumerate(ARENAS.items()):
            if count := self.plan.sizes.get(kind, 0):
                self.emit(1, f"{name} = memory(addresses[{k}], {count}, {_type(kind)})")
        if self.routines:
            at = len(ARENAS) + 2
            self.emit(1, f"sgemm, dgemm = addresses[{at}], addresses[{at + 1}]")

    def _now(self, depth: int, n: Node, address: str, name: str = "") -> None:
        place = f"memory({address}, {n.size}, {_type(n.dtype)})"
        self.emit(depth, f"{name or self.name(n)} = {place}  # {n.dtype.name}{list(n.shape)}")

    def _epoch(self, step: Sequence[str], held: Iterable[Node]) -> None:
        """Write the entry: find the arrays by their addresses, and make a step of every batch."""
        self.emit(0, f'@njit("int64(int64, int64)", {OPTIONS})')
        self.emit(0, "def epoch(table, steps):")
        self.emit(1, f"addresses = memory(table, {self._slots() + 1}, int64)")
        self._found()
        self._views(1, held)
        self.emit(1, "for at_step in range(steps):")
        if any(n.shape for n in self.program.inputs):
            self.emit(2, f"if addresses[{ORDER}] != 0:  # draw the rows of this batch")
            number = f"addresses[{ORDER + 2}] + at_step"
            self.emit(3, f"call(addresses[{ORDER + 1}], {number}, 0, addresses[{ORDER}])")
        for k, n in enumerate(self.program.inputs):
            at, lead = SLOTS + PER_INPUT * k, n.shape[0] if n.shape else 1
            width = n.size // max(lead, 1)
            # as a literal, `at` would give each input a compilation of `batch` of its own; the
            # sizes do so on purpose
            call = f"batch(addresses, int64({at}), at_step, {lead}, {width}, {_type(n.dtype)})"
            self._now(2, n, call)
        for k, n in enumerate(self.program.outputs):
            now = self._slots() - 1 - k
            at = SLOTS + PER_INPUT * len(self.program.inputs) + k
            where = times(n.size * n.dtype.itemsize, "at_step")
            self.emit(2, f"addresses[{now}] = addresses[{at}] + {where}")
            self._now(2, n, f"addresses[{now}]", self.out(k))
        self.lines += step or ["        pass"]
        self.emit(1, "return 0")


def _stop_if_out_of_bounds(region: Region) -> list[str]:
    """Return the lines that raise an error, before anything is updated with wrong numbers."""
    if not any(k.kind in ("gather", "scatter") for k in region.kernels):
        return []
    return [
        f"        if addresses[{FLAG}] != 0:",
        f"            addresses[{FLAG}] = 0",
        '            raise IndexError("an index is out of bounds")',
    ]


def _type(kind: Dtype) -> str:
    return "np.bool_" if kind.name == "bool" else kind.name


def write(
    program: Program,
    fused: Fused,
    times_: Schedule,
    plan: Plan,
    math: str = "fast",
    wide: bool = True,
    timed: bool = False,
) -> Written:
    """Return the source of a program's kernels; math is "fast" or "exact".

    Args:
        program, fused, times_, plan: what the stages before made.
        math: see `gg.compile`.
        wide: whether the processor has 32 vector registers of 64 bytes (AVX-512).
        timed: whether kernels note how long they take.
    """
    writer = Writer(program, fused, times_, plan, math, wide, timed)
    text = writer.write()
    tiles = "".join(f"tile{r}x{c} = tile({r}, {c})\n" for r, c in sorted(writer.tiles))
    tiles += "".join(f"{name} = {made}\n" for name, made in writer.runs.items())
    text = f"{tiles}\n\n{text}" if tiles else text
    return Written(text, writer.texts, writer.names, writer.table)
