"""Loop nests in kernel text: elementwise nodes and reductions over one domain of indices."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from graphgrad import dtypes
from graphgrad.compiler.fastmath import FAST
from graphgrad.compiler.fuse import Kernel, is_literal
from graphgrad.compiler.longsums import MANY, SHORT, block_terms, cut, is_long, is_summed_in_memory
from graphgrad.compiler.pen import Pen
from graphgrad.compiler.text import LETTERS, ZERO, Loops, enclosed, index, level, target
from graphgrad.compiler.views import View, contiguous
from graphgrad.errors import CompileError
from graphgrad.graph import Node
from graphgrad.shapes import size

__all__ = ["Nests"]

LANES, UNROLLED = 8, 32
"""The shortest loop that is worth a vector, and the longest that LLVM may unroll instead."""
_FUNCTION = re.compile(r"\b([a-z]\w*)\(")
_LITERAL = re.compile(r"(?<![\w.])(\d+\.\d*(?:e[+-]?\d+)?)")


@dataclass
class Reduction:
    """A reduction inside a loop: where it goes, and from which axis on it is kept in a local.

    Attributes:
        strides: of the result along the loops; 0 along what is reduced.
        local_from: all loops from this one on are reduced, so a local variable holds their sum.
        adds: whether the result is combined with what its buffer holds, for an outer loop or
            another block of rows is reduced as well.
        start: what it begins with: a float64 where vectors are filled number by number, which
            leaves some numbers of each block to be added one after the other.
        total: of a long sum, what adds up its blocks: a local, or with `adds` a buffer.
        begins: the loop inside which it begins, outside of all others: `local_from`, or where a
            block of a long sum begins.
        rounds: how many rounds of that loop are a block; 0 for all.
    """

    node: Node
    strides: list[int]
    local_from: int
    name: str
    place: str
    adds: bool
    start: str
    total: str = ""
    begins: int = 0
    rounds: int = 0


class Nests(Pen):
    """Writes loops over elementwise nodes and reductions."""

    forms: ClassVar[Mapping[str, str]] = FAST  # of float32, with math "fast"

    def _loop(self, kernel: Kernel) -> None:
        mine = set(kernel.nodes)
        loads: dict[Node, View] = {}
        for n in kernel.nodes:
            for x in n.inputs:
                if x in mine and x.shape == kernel.domain and x.primitive.kind == "map":
                    continue
                loads.setdefault(x, self.fused.view(x).broadcast(kernel.domain))
        stored = [n for n in kernel.nodes if n.primitive.kind == "map" and self._is_stored(n)]
        reduced = [n for n in kernel.nodes if n.primitive.kind == "reduce"]
        whole = contiguous(kernel.domain)
        views = [v.strides for v in loads.values()] + [whole] * len(stored)
        loops = Loops.over(kernel.domain, views + [target(n) for n in reduced])
        load_strides = dict(zip(loads, loops.strides, strict=False))
        store_strides = loops.strides[len(loads)] if stored else []
        ends = loops.strides[len(loads) + len(stored) :]
        reductions = [self._reduction(n, loops, s) for n, s in zip(reduced, ends, strict=True)]
        if any(r.total for r in reductions):
            apart = any(1 < s[-1] <= SHORT for s in loops.strides)
            writes = bool(stored) or any(is_summed_in_memory(n) for n in reduced)
            self._cut(kernel, loops, reductions, (apart, writes))
        whole_sums = [r for r in reductions if r.adds and not self.crosses(r.node)]
        for r in whole_sums:
            self._initialize(r)
        self._nest(kernel, loops, loads, load_strides, stored, store_strides, reductions)
        for r in whole_sums:
            if r.total:
                self.end_totals(r.node)

    def _is_stored(self, node: Node) -> bool:
        return node in self.plan.start or node in self.outs or node in self.plan.shares

    def _reduction(self, node: Node, loops: Loops, strides: list[int]) -> Reduction:
        k = len(loops.sizes)
        while k and strides[k - 1] == 0:
            k -= 1
        name = self.name(node)
        adds = k == len(loops.sizes) or any(strides[q] == 0 for q in range(k))
        crosses = self.crosses(node)
        place = f"{name}_part_" if crosses else name
        total = self.total(node) if is_long(node) else ""
        start = self.start_of(node)
        adds = adds or crosses
        return Reduction(node, strides, k, f"{name}_sum_", place, adds, start, total, k)

    def _cut(
        self,
        kernel: Kernel,
        loops: Loops,
        reductions: Sequence[Reduction],
        memory: tuple[bool, bool],
    ) -> None:
        """Cut the loops that long sums run over into blocks; for `memory` see `block_terms`."""
        fast = set(self.forms) if self.math == "fast" and _in_float32(kernel) else set()
        here, in_memory = block_terms(kernel.nodes, loops.sizes[-1], *memory, fast)
        for r in (r for r in reductions if r.total):
            local = r.local_from < len(loops.sizes)
            first = r.local_from if local else 0
            over = [k for k, s in enumerate(r.strides) if s == 0 and k >= first]
            r.start = "float64(0)" if memory[0] else r.start
            terms = here if local else in_memory
            if r.node.dtype is dtypes.FLOAT64:  # what adds up the blocks is no better
                terms = max(terms, MANY)
            r.begins, r.rounds = cut(loops.sizes, over, terms)

    def _initialize(self, r: Reduction) -> None:
        if r.total:
            self.begin_totals(r.node)
            return
        low, high = self.share(max(r.node.size, 1))
        self.emit(1, f"for i in range({low}, {high}):")
        self.emit(2, f"{r.place}[i] = {self.start_of(r.node)}")

    def start_of(self, node: Node) -> str:
        """Return the text of what a reduction begins with."""
        if node.primitive.combine is None:
            return f"{node.dtype.name}(0)"
        start = node.primitive.combine[0]
        if dtypes.is_float(node.dtype):
            return f"{node.dtype.name}({start})"
        return {"-inf": str(-(2**63)), "inf": str(2**63 - 1)}.get(start, start)

    def _nest(
        self,
        kernel: Kernel,
        loops: Loops,
        loads: dict[Node, View],
        load_strides: dict[Node, list[int]],
        stored: list[Node],
        store_strides: list[int],
        reductions: list[Reduction],
    ) -> None:
        depth = len(loops.sizes)
        local: dict[Node, str] = {}
        overwritten = {v for new, v in self.plan.in_place.items() if new in stored}
        for k in range(depth + 1):
            for x, view in loads.items():
                if level(load_strides[x]) == k:
                    local[x] = self._load(view, load_strides[x], k, depth, overwritten)
            for r in reductions:
                if r.total and not r.adds and r.local_from == k:
                    self.emit(1 + k, f"{r.total} = float64(0)")
            self._begin([r for r in reductions if r.begins == k and not r.rounds], k, loops)
            if k < depth:
                low, high = self.share(loops.sizes[k]) if k == 0 else ("0", str(loops.sizes[k]))
                ends = high if low == "0" else f"{low}, {high}"
                if cut_here := [r for r in reductions if r.begins == k and r.rounds]:
                    rounds = min(r.rounds for r in cut_here)
                    ends = self.blocks(1 + k, LETTERS[k], (low, high), rounds)
                    self.indent += 1
                    self._begin(cut_here, k, loops)
                # where all goes into one sum, vectors run along the loop around unrolled lines
                several = bool(stored) or any(r.local_from for r in reductions)
                if 0 < k == depth - 1 and several and self._would_unroll(kernel, loops.sizes[k]):
                    self.emit(1 + k, "# + 0, unknown to the compiler: vectors, not unrolled lines")
                    ends += f" + addresses[{ZERO}]"
                self.emit(1 + k, f"for {LETTERS[k]} in range({ends}):")
        for node in kernel.nodes:
            if node.primitive.kind != "map":
                continue
            local[node] = f"{self.label(node)}_"
            code = self.expression(node, [local[x] for x in node.inputs])
            self.emit(1 + depth, f"{local[node]} = {code}")
            if node in stored:
                place = self.name(self.plan.in_place.get(node, node))
                self.emit(1 + depth, f"{place}[{index(store_strides)}] = {local[node]}")
        for r in reductions:
            self._accumulate(r, local[r.node.inputs[0]], 1 + depth, depth)
        for k in reversed(range(depth)):
            if cut_here := [r for r in reductions if r.begins == k and r.rounds]:
                self._finish(cut_here, k, loops)
                self.indent -= 1
            self._finish([r for r in reductions if r.begins == k and not r.rounds], k, loops)
            for r in reductions:
                if r.total and not r.adds and r.local_from == k:
                    self.emit(1 + k, f"{r.place}[{index(r.strides[:k])}] = {r.total}")

    def _would_unroll(self, kernel: Kernel, length: int) -> bool:
        """Return whether a loop is so short that LLVM unrolls it, and of functions so long that it
        then finds no vectors in the lines.
        """
        nodes = [n for n in kernel.nodes if n.primitive.kind == "map"]
        texts = [self.expression(n, ["x"] * len(n.inputs)) for n in nodes]
        fast = any(f"{f}(" in t for t in texts for f in self.forms.values())
        return fast and LANES <= length <= UNROLLED

    def _load(
        self, view: View, strides: Sequence[int], at: int, depth: int, overwritten: set[Node]
    ) -> str:
        """Return the text of an entry; what does not change in the inner loops is read before."""
        if is_literal(view.root):
            return self.literal(view.root)
        entry = f"{self.name(view.root)}[{index(strides, view.offset)}]"
        if at == depth and view.root not in overwritten:
            return entry
        name = self.local(f"{self.name(view.root)}_at")
        self.emit(1 + at, f"{name} = {entry}")
        return name

    def _accumulate(self, r: Reduction, value: str, inner: int, depth: int) -> None:
        if r.local_from < depth:
            self.emit(inner, f"{r.name} = {self.combined(r.node, r.name, value)}")
        else:
            entry = f"{r.place}[{index(r.strides)}]"
            self.emit(inner, f"{entry} = {self.combined(r.node, entry, value)}")

    def _begin(self, reductions: Sequence[Reduction], k: int, loops: Loops) -> None:
        """Write what reductions that begin inside loop k begin with."""
        for r in reductions:
            if r.local_from < len(loops.sizes):
                self.emit(1 + k, f"{r.name} = {r.start}")
            elif r.total:
                base, count = index(r.strides[:k]), _entries(r, k, loops)
                self.afresh(1 + k, r.place, base, count, r.node.dtype.name)

    def _finish(self, reductions: Sequence[Reduction], k: int, loops: Loops) -> None:
        """Write where reductions, or the blocks of them, that began inside loop k go."""
        for r in reductions:
            at = index(r.strides[: r.local_from])
            if r.local_from == len(loops.sizes):
                if r.total:
                    base, count = index(r.strides[:k]), _entries(r, k, loops)
                    self.add_up(1 + k, r.node, r.place, base, count)
            elif r.total:
                self.emit(1 + k, f"{r.total}{f'[{at}]' if r.adds else ''} += {r.name}")
            else:
                entry = f"{r.place}[{at}]"
                value = self.combined(r.node, entry, r.name) if r.adds else r.name
                self.emit(1 + k, f"{entry} = {value}")

    def combined(self, node: Node, so_far: str, value: str) -> str:
        """Return the text of what a reduction makes of two values."""
        step = (node.primitive.combine or ("0", "{0} + {1}"))[1]
        if step == "{0} + {1}" and dtypes.is_float(node.dtype):
            return f"add({so_far}, {value})"
        return step.format(so_far, value)

    def expression(self, node: Node, operands: Sequence[str]) -> str:
        """Return the scalar code of an elementwise node."""
        p = node.primitive
        if p.code is None:
            raise CompileError(f"{node.op} has no code for this target; use target='numpy'")
        settings = {k: v.name if hasattr(v, "name") else repr(v) for k, v in node.settings.items()}
        code = p.code
        if dtypes.FLOAT32 in (node.dtype, *(x.dtype for x in node.inputs)):
            code = _LITERAL.sub(r"float32(\1)", code)
            if self.math == "fast":
                code = _FUNCTION.sub(lambda m: self.forms.get(m[1], m[1]) + "(", code)
            settings = {k: f"float32({v})" if _LITERAL.fullmatch(v.lstrip("-")) else v
                        for k, v in settings.items()}  # fmt: skip
        text = code.format(*operands, **settings)
        return text[1:-1] if enclosed(text) else text


def _entries(r: Reduction, k: int, loops: Loops) -> int:
    """Return how many results, side by side, the loops from number k on add to."""
    return size(tuple(n for n, s in zip(loops.sizes[k:], r.strides[k:], strict=True) if s))


def _in_float32(kernel: Kernel) -> bool:
    nodes = {x for n in kernel.nodes for x in (n, *n.inputs)}
    return all(n.dtype is not dtypes.FLOAT64 for n in nodes)
