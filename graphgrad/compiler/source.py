"""Kernel text: readable Python loops over flat buffers, one comment per kernel.

Shapes are numbers in the text, so the compiler below can unroll and vectorize. A buffer's entries
stand in row-major order; an index such as ``16*i + j`` says where.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from graphgrad import dtypes
from graphgrad.compiler.fastmath import FAST
from graphgrad.compiler.fuse import Fused, Kernel, is_literal
from graphgrad.compiler.memory import Plan
from graphgrad.compiler.products import SMALL_PRODUCT, Products
from graphgrad.compiler.program import Program
from graphgrad.compiler.singles import Singles
from graphgrad.compiler.text import ARENAS, LETTERS, Loops, enclosed, index, level, target
from graphgrad.compiler.views import View, contiguous
from graphgrad.dtypes import Dtype
from graphgrad.errors import CompileError
from graphgrad.explain.formulas import fill, operation_template
from graphgrad.graph import Node
from graphgrad.shapes import size

__all__ = ["write"]

SHARED_WORK = 200_000
"""Operations from which on a kernel is shared among threads."""

HELPER = '@njit(error_model="numpy", fastmath={"contract"})'
DECORATOR = '@njit([{signature}], cache=True, error_model="numpy", fastmath={{"contract"}})'
_FUNCTION = re.compile(r"\b([a-z]\w*)\(")
_LITERAL = re.compile(r"(?<![\w.])(\d+\.\d*(?:e[+-]?\d+)?)")


@dataclass
class Reduction:
    """A reduction inside a loop: where it goes, and from which axis on it is kept in a local."""

    node: Node
    strides: list[int]
    local_from: int
    name: str


@dataclass
class Writer(Products, Singles):
    """Writes the source of one program: every kernel, and the step that calls them."""

    calls: list[str] = field(default_factory=list)
    spread: list[str] = field(default_factory=list)

    # -- the whole ---------------------------------------------------------------------------

    def write(self) -> str:
        """Return the text: a function per kernel, and ``step``, which calls them in order."""
        for n in self.program.inputs:
            self.name(n)
        for k, kernel in enumerate(self.fused.kernels, 1):
            if kernel.nodes[0].size or kernel.kind == "loop":
                self._function(f"kernel_{k}", self._comment(k, kernel), kernel)
        if self.program.updates:
            self._function("update", ["the new values become the variables'"], None)
        if self.spread:
            self._spreading()
        self.emit(0, DECORATOR.format(signature=self._signature()))
        self.emit(0, f"def step({', '.join(self._arguments())}):")
        for call in self.calls:
            self.emit(1, call)
        self.emit(1, "return 0")
        return "\n".join(self.lines) + "\n"

    def _signature(self) -> str:
        def arrays(kinds: Iterable[Dtype]) -> list[str]:
            names = [kind.name.replace("bool", "boolean") for kind in kinds]
            return [f"types.{name}[::1]" for name in names]

        fed = arrays(n.dtype for n in self.program.inputs)
        kinds = [*arrays(ARENAS), "types.int64", "types.int64", *fed]
        return f"types.int64({', '.join(kinds)})"

    def _function(self, name: str, comment: Sequence[str], kernel: Kernel | None) -> None:
        """Write one kernel as a function of the arenas and inputs it touches."""
        self.used, self.routines = {}, set()
        self.shared = kernel is not None and self._may_share(kernel)
        outer, self.lines = self.lines, []
        if kernel is None:
            self._updates()
        else:
            self._kernel(kernel)
        body, self.lines = self.lines, outer
        if not body:
            return
        mine = [n for n in self.used if n in self.plan.start]
        fed = [self.name(n) for n in self.used if n in self.program.inputs]
        arenas = list(dict.fromkeys(ARENAS[n.dtype] for n in mine))
        more = [*sorted(self.routines), *["part"] * self.shared]
        call = f"{name}({', '.join([*arenas, *fed, *more])})"
        self.emit(0, HELPER)
        self.emit(0, f"def {call}:")
        for line in comment:
            self.emit(1, f"# {line}")
        for n in mine:
            begin, count = self.plan.start[n], max(n.size, 1)
            shape = f"{n.dtype.name}{list(n.shape)}"
            self.emit(1, f"{self.name(n)} = view({ARENAS[n.dtype]}, {begin}, {count})  # {shape}")
        self.lines += body
        self.emit(0, "")
        self.emit(0, "")
        if not self.shared:
            self.calls.append(call)
            return
        self.spread.append(call)
        self.calls.append(f"spread({len(self.spread) - 1}, {', '.join(self._arguments())})")
        for n in _totals(kernel) if kernel else ():
            self._together(f"{name}_{self.name(n)}", n)

    def _together(self, name: str, node: Node) -> None:
        """Write the function that combines what each thread left of a total, always in order."""
        total, arena = self.name(node), ARENAS[node.dtype]
        self.emit(0, HELPER)
        self.emit(0, f"def {name}({arena}):")
        self.emit(1, "# what the threads found, together")
        self.emit(1, f"{total} = view({arena}, {self.plan.start[node]}, {self.threads})")
        self.emit(1, f"for part in range(1, {self.threads}):")
        self.emit(2, f"{total}[0] = {self._combined(node, f'{total}[0]', f'{total}[part]')}")
        self.emit(0, "")
        self.emit(0, "")
        self.calls.append(f"{name}({arena})")

    def _arguments(self) -> list[str]:
        return [*ARENAS.values(), "sgemm", "dgemm", *(self.name(n) for n in self.program.inputs)]

    def _may_share(self, kernel: Kernel) -> bool:
        """Return whether threads are worth their start, and may take parts of the first axis."""
        if self.threads == 1:
            return False
        node = kernel.nodes[0]
        if kernel.kind == "matmul":
            work = node.size * node.inputs[0].shape[-1]
            return work >= SHARED_WORK and len(node.shape) == 2 and work >= SMALL_PRODUCT
        if kernel.kind != "loop" or size(kernel.domain) * len(kernel.nodes) < SHARED_WORK:
            return False
        # Threads take parts of the first axis, so each must have its own results: what is summed
        # over has to be all axes (a total per thread), or the last axes and not the first.
        axes = [n.settings["axis"] for n in kernel.nodes if n.primitive.kind == "reduce"]
        first = next((k for k, n in enumerate(kernel.domain) if n != 1), 0)
        last = len(kernel.domain)
        return all(
            a == tuple(range(last - len(a), last)) and (len(a) == last or first not in a)
            for a in axes
        )

    def _spreading(self) -> None:
        """Write the one function that gives every thread its part of a kernel."""
        arguments = ", ".join(self._arguments())
        self.emit(0, HELPER)
        self.emit(0, f"def run(which, part, {arguments}):")
        for k, call in enumerate(self.spread):
            self.emit(1, f"{'elif' if k else 'if'} which == {k}:")
            self.emit(2, call)
        self.emit(0, "")
        self.emit(0, "")
        self.emit(0, HELPER[:-1] + ", parallel=True)")
        self.emit(0, f"def spread(which, {arguments}):")
        self.emit(1, f"for part in prange({self.threads}):")
        self.emit(2, f"run(which, part, {arguments})")
        self.emit(0, "")
        self.emit(0, "")

    def _comment(self, k: int, kernel: Kernel) -> list[str]:
        lines = [f"kernel {k}: {kernel.kind} over {list(kernel.domain)}"]
        for n in kernel.nodes:
            template = operation_template(n.primitive, len(n.inputs), n.settings)
            operands = [self._operand_name(x) for x in n.inputs]
            text = fill(template, "", operands)
            lines.append(f"  {self.name(n)} = {text}")
        return lines

    def _operand_name(self, node: Node) -> str:
        view = self.fused.view(node)
        if is_literal(view.root):
            return self.literal(view.root)
        return self.name(view.root)

    def _kernel(self, kernel: Kernel) -> None:
        if kernel.kind == "loop":
            self._loop(kernel)
            return
        node = kernel.nodes[0]
        method = getattr(self, f"_{kernel.kind}", None)
        if method is None:
            raise CompileError(f"{node.op} has no code for this target; use target='numpy'")
        method(node)

    # -- loops -------------------------------------------------------------------------------

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
        targets = [target(n) for n in reduced]
        views = [v.strides for v in loads.values()] + [whole] * len(stored) + targets
        loops = Loops.over(kernel.domain, views)
        load_strides = dict(zip(loads, loops.strides, strict=False))
        store_strides = loops.strides[len(loads)] if stored else []
        reductions = [
            self._reduction(n, loops, s)
            for n, s in zip(reduced, loops.strides[len(loads) + len(stored) :], strict=True)
        ]
        for r in reductions:
            partial = any(r.strides[k] == 0 for k in range(r.local_from))
            if partial or r.local_from == len(loops.sizes):
                self._initialize(r)
        self._nest(kernel, loops, loads, load_strides, stored, store_strides, reductions)

    def _is_stored(self, node: Node) -> bool:
        return node in self.plan.start

    def _reduction(self, node: Node, loops: Loops, strides: list[int]) -> Reduction:
        k = len(loops.sizes)
        while k and strides[k - 1] == 0:
            k -= 1
        return Reduction(node, strides, k, f"{self.name(node)}_sum_")

    def _initialize(self, r: Reduction) -> None:
        start = self._start(r.node)
        self.emit(1, f"for i in range({max(r.node.size, 1)}):")
        self.emit(2, f"{self.name(r.node)}[i] = {start}")

    def _start(self, node: Node) -> str:
        start = node.primitive.combine[0]  # type: ignore[index]
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
                if r.local_from == k < depth:
                    self.emit(1 + k, f"{r.name} = {self._start(r.node)}")
            if k < depth:
                low, high = self.part(loops.sizes[k]) if k == 0 else ("0", str(loops.sizes[k]))
                ends = high if low == "0" else f"{low}, {high}"
                self.emit(1 + k, f"for {LETTERS[k]} in range({ends}):")
        for node in kernel.nodes:
            if node.primitive.kind != "map":
                continue
            local[node] = f"{self.name(node)}_"
            code = self.expression(node, [local[x] for x in node.inputs])
            self.emit(1 + depth, f"{local[node]} = {code}")
            if node in stored:
                place = self.name(self.plan.in_place.get(node, node))
                self.emit(1 + depth, f"{place}[{index(store_strides)}] = {local[node]}")
        for r in reductions:
            self._accumulate(r, local[r.node.inputs[0]], 1 + depth, depth)
        for k in reversed(range(depth)):
            for r in reductions:
                if r.local_from == k:
                    self._finish(r, 1 + k)

    def _load(
        self, view: View, strides: Sequence[int], at: int, depth: int, overwritten: set[Node]
    ) -> str:
        """Return the text of an entry; what does not change in the inner loops is read before."""
        if is_literal(view.root):
            return self.literal(view.root)
        entry = f"{self.name(view.root)}[{index(strides, view.offset)}]"
        if at == depth and view.root not in overwritten:
            return entry
        self.taken.add(name := self.free(f"{self.name(view.root)}_at"))
        self.emit(1 + at, f"{name} = {entry}")
        return name

    def _accumulate(self, r: Reduction, value: str, inner: int, depth: int) -> None:
        if r.local_from < depth:
            self.emit(inner, f"{r.name} = {self._combined(r.node, r.name, value)}")
        else:
            target = f"{self.name(r.node)}[{index(r.strides)}]"
            self.emit(inner, f"{target} = {self._combined(r.node, target, value)}")

    def _finish(self, r: Reduction, depth: int) -> None:
        target = f"{self.name(r.node)}[{index(r.strides[: r.local_from])}]"
        if self.shared and r.local_from == 0:
            target = f"{self.name(r.node)}[part]"
        partial = any(r.strides[k] == 0 for k in range(r.local_from))
        value = self._combined(r.node, target, r.name) if partial else r.name
        self.emit(depth, f"{target} = {value}")

    def _combined(self, node: Node, so_far: str, value: str) -> str:
        step = node.primitive.combine[1]  # type: ignore[index]
        if step == "{0} + {1}" and dtypes.is_float(node.dtype):
            return f"add({so_far}, {value})"
        return step.format(so_far, value)

    # -- scalar code -------------------------------------------------------------------------

    def expression(self, node: Node, operands: Sequence[str]) -> str:
        """Return the scalar code of an elementwise node."""
        p = node.primitive
        if p.code is None:
            raise CompileError(f"{node.op} has no code for this target; use target='numpy'")
        settings = {
            k: v.name if hasattr(v, "name") else repr(v) for k, v in node.settings.items()
        }
        code = p.code
        if dtypes.FLOAT32 in (node.dtype, *(x.dtype for x in node.inputs)):
            code = _LITERAL.sub(r"float32(\1)", code)
            if self.math == "fast":
                code = _FUNCTION.sub(lambda m: FAST.get(m[1], m[1]) + "(", code)
            settings = {k: f"float32({v})" if _LITERAL.fullmatch(v.lstrip("-")) else v
                        for k, v in settings.items()}  # fmt: skip
        text = code.format(*operands, **settings)
        return text[1:-1] if enclosed(text) else text

    # -- kernels of one node -------------------------------------------------------------------

    # -- updates -------------------------------------------------------------------------------

    def _updates(self) -> None:
        for v, new in self.program.updates.items():
            view = self.fused.view(new)
            if view.root is v or new in self.plan.in_place:
                continue
            loops = Loops.over(v.shape, [view.strides, contiguous(v.shape)])
            for k, n in enumerate(loops.sizes):
                self.emit(1 + k, f"for {LETTERS[k]} in range({n}):")
            source = f"{self.name(view.root)}[{index(loops.strides[0], view.offset)}]"
            target = f"{self.name(v)}[{index(loops.strides[1])}]"
            self.emit(1 + len(loops.sizes), f"{target} = {source}")


def _totals(kernel: Kernel) -> list[Node]:
    """Return the reductions over all axes of a kernel."""
    last = len(kernel.domain)
    reduced = [n for n in kernel.nodes if n.primitive.kind == "reduce"]
    return [n for n in reduced if len(n.settings["axis"]) == last]


def write(
    program: Program, fused: Fused, plan: Plan, math: str = "fast", threads: int = 1
) -> str:
    """Return the source text of a program's kernels; math is "fast" or "exact"."""
    return Writer(program, fused, plan, math, threads).write()


