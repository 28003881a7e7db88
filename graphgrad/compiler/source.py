"""Kernel text: readable Python loops over flat buffers, one comment per kernel.

Shapes are numbers in the text, so the compiler below can unroll and vectorize. A buffer's entries
stand in row-major order; an index such as ``16*i + j`` says where.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from graphgrad import dtypes
from graphgrad.compiler.fastmath import FAST
from graphgrad.compiler.fuse import Fused, Kernel, is_literal
from graphgrad.compiler.memory import Plan
from graphgrad.compiler.program import Program
from graphgrad.compiler.views import View, contiguous, is_injective, places
from graphgrad.dtypes import Dtype
from graphgrad.errors import CompileError
from graphgrad.explain.formulas import operation_template
from graphgrad.graph import Node, describe
from graphgrad.shapes import Shape, size

__all__ = ["ARENAS", "write"]

ARENAS = {
    dtypes.FLOAT64: "arena_float64",
    dtypes.FLOAT32: "arena_float32",
    dtypes.INT64: "arena_int64",
    dtypes.BOOL: "arena_bool",
}
LETTERS = "ijklmnpq"
SMALL_PRODUCT = 500_000
"""Matrix products of fewer multiplications are loops, larger ones calls of BLAS."""
SHARED_WORK = 200_000
"""Operations from which on a kernel is shared among threads."""
HELPER = '@njit(error_model="numpy", fastmath={"contract"})'
DECORATOR = '@njit([{signature}], cache=True, error_model="numpy", fastmath={{"contract"}})'
_FUNCTION = re.compile(r"\b([a-z]\w*)\(")
_LITERAL = re.compile(r"(?<![\w.])(\d+\.\d*(?:e[+-]?\d+)?)")


@dataclass
class Loops:
    """A loop nest being written: sizes of its axes, and the strides of all it touches."""

    sizes: list[int]
    strides: list[list[int]]

    @classmethod
    def over(cls, domain: Shape, views: Sequence[Shape]) -> Loops:
        """Return a nest with axes of size 1 dropped and axes that run on in all views merged."""
        keep = [k for k, n in enumerate(domain) if n != 1]
        sizes = [domain[k] for k in keep]
        strides = [[v[k] for k in keep] for v in views]
        k = len(sizes) - 2
        while k >= 0:
            if all(s[k] == s[k + 1] * sizes[k + 1] for s in strides):
                sizes[k] *= sizes.pop(k + 1)
                for s in strides:
                    s[k] = s[k + 1]
                    s.pop(k + 1)
            k -= 1
        return cls(sizes, strides)


@dataclass
class Reduction:
    """A reduction inside a loop: where it goes, and from which axis on it is kept in a local."""

    node: Node
    strides: list[int]
    local_from: int
    name: str


@dataclass(frozen=True)
class Factor:
    """A matrix in a product: its buffer, where it begins, its strides along the result's axis
    (rows of the left factor, columns of the right one) and along the other."""

    name: str
    at: str
    along: int
    across: int

    def entry(self, i: str, k: str) -> str:
        """Return the entry at i along and k across."""
        return f"{self.name}[{join(self.at, join(times(self.along, i), times(self.across, k)))}]"

    place = entry


@dataclass(frozen=True)
class Span:
    """Part of an axis that is gone through in steps; one step alone needs no loop."""

    start: int
    stop: int
    step: int

    def open(self, writer: Writer, letter: str, depth: int) -> tuple[str, int]:
        """Write the loop, if any; return the index text and the depth inside."""
        if self.start + self.step == self.stop:
            return str(self.start), depth
        writer.emit(depth, f"for {letter} in range({self.start}, {self.stop}, {self.step}):")
        return letter, depth + 1


def _tiled(n: int, step: int) -> list[Span]:
    """Return an axis as steps of equal width and, if need be, one narrower step at the end."""
    whole = n - n % step
    spans = [Span(0, whole, step)] if whole else []
    return spans + ([Span(whole, n, n - whole)] if n - whole else [])


def times(stride: int, letter: str) -> str:
    """Return the text of a stride times an index."""
    if letter.isdigit():
        return str(stride * int(letter))
    if " + " in letter and stride != 1:
        base, more = letter.split(" + ")
        return join(times(stride, base), times(stride, more))
    return letter if stride == 1 else ("0" if stride == 0 else f"{stride}*{letter}")


def shifted(letter: str, by: int) -> str:
    """Return an index moved by a number."""
    if letter.isdigit():
        return str(int(letter) + by)
    return f"{letter} + {by}" if by else letter


@dataclass
class Writer:
    """Writes the source of one program."""

    program: Program
    fused: Fused
    plan: Plan
    math: str = "fast"
    threads: int = 1
    lines: list[str] = field(default_factory=list)
    names: dict[Node, str] = field(default_factory=dict)
    _taken: set[str] = field(default_factory=set)
    _used: dict[Node, None] = field(default_factory=dict)
    _calls: list[str] = field(default_factory=list)
    _routines: set[str] = field(default_factory=set)
    _shared: bool = False
    _spread: list[str] = field(default_factory=list)

    def emit(self, depth: int, text: str) -> None:
        """Add a line at an indentation."""
        self.lines.append("    " * depth + text)

    # -- names -------------------------------------------------------------------------------

    def name(self, node: Node) -> str:
        """Return the node's name in the text, made from the user's where it is an identifier."""
        self._used[node] = None
        known = self.names.get(node)
        if known:
            return known
        base = re.sub(r"\W", "_", node.name, flags=re.ASCII) if node.name else ""
        if not base or not base[0].isalpha() or keyword.iskeyword(base) or base in RESERVED:
            base = f"v{len(self.names) + 1}" if not base else f"v_{base}"
        name = self._free(base)
        self._taken.add(name)
        self.names[node] = name
        return name

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
        if self._spread:
            self._spreading()
        self.emit(0, DECORATOR.format(signature=self._signature()))
        self.emit(0, f"def step({', '.join(self._arguments())}):")
        for call in self._calls:
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
        self._used, self._routines = {}, set()
        self._shared = kernel is not None and self._may_share(kernel)
        outer, self.lines = self.lines, []
        if kernel is None:
            self._updates()
        else:
            self._kernel(kernel)
        body, self.lines = self.lines, outer
        if not body:
            return
        mine = [n for n in self._used if n in self.plan.start]
        fed = [self.name(n) for n in self._used if n in self.program.inputs]
        arenas = list(dict.fromkeys(ARENAS[n.dtype] for n in mine))
        call = f"{name}({', '.join([*arenas, *fed, *sorted(self._routines), *['part'] * self._shared])})"
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
        if self._shared:
            self._spread.append(call)
            call = f"spread({len(self._spread) - 1}, {', '.join(self._arguments())})"
        self._calls.append(call)

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
        targets = [_target(n) for n in kernel.nodes if n.primitive.kind == "reduce"]
        first = next((k for k, n in enumerate(kernel.domain) if n != 1), 0)
        return all(t[first] != 0 for t in targets)

    def _spreading(self) -> None:
        """Write the one function that gives every thread its part of a kernel."""
        arguments = ", ".join(self._arguments())
        self.emit(0, HELPER)
        self.emit(0, f"def run(which, part, {arguments}):")
        for k, call in enumerate(self._spread):
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
            text = re.sub(r"#(\d+)", lambda m, o=operands: o[int(m[1]) - 1], template)
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
        targets = [_target(n) for n in reduced]
        views = [v.strides for v in loads.values()] + [whole] * len(stored) + targets
        loops = Loops.over(kernel.domain, views)
        load_strides = dict(zip(loads, loops.strides, strict=False))
        store_strides = loops.strides[len(loads)] if stored else []
        reductions = [
            self._reduction(n, loops, s)
            for n, s in zip(reduced, loops.strides[len(loads) + len(stored) :], strict=True)
        ]
        for r in reductions:
            if r.local_from == len(loops.sizes) or any(r.strides[k] == 0 for k in range(r.local_from)):
                self._initialize(r)
        self._nest(kernel, loops, loads, load_strides, stored, store_strides, reductions)

    def _is_stored(self, node: Node) -> bool:
        return node in self.plan.start

    def _reduction(self, node: Node, loops: Loops, strides: list[int]) -> Reduction:
        k = len(loops.sizes)
        while k and strides[k - 1] == 0:
            k -= 1
        return Reduction(node, strides, k, f"{self.name(node)}_sum")

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
        for level in range(depth + 1):
            for x, view in loads.items():
                if _level(load_strides[x]) == level:
                    local[x] = self._load(view, load_strides[x], level, depth, overwritten)
            for r in reductions:
                if r.local_from == level and level < depth:
                    self.emit(1 + level, f"{r.name} = {self._start(r.node)}")
            if level < depth:
                n = loops.sizes[level]
                low, high = self._part(n) if level == 0 else ("0", str(n))
                ends = high if low == "0" else f"{low}, {high}"
                self.emit(1 + level, f"for {LETTERS[level]} in range({ends}):")
        inner = 1 + depth
        for n in kernel.nodes:
            if n.primitive.kind == "map":
                temporary = f"{self.name(n)}_"
                self.emit(inner, f"{temporary} = {self.expression(n, [local[x] for x in n.inputs])}")
                local[n] = temporary
                if n in stored:
                    place = self.plan.in_place.get(n, n)
                    self.emit(inner, f"{self.name(place)}[{index(store_strides)}] = {temporary}")
        for r in reductions:
            self._accumulate(r, local[r.node.inputs[0]], inner, depth)
        for level in reversed(range(depth)):
            for r in reductions:
                if r.local_from == level:
                    self._finish(r, 1 + level)

    def _load(
        self, view: View, strides: Sequence[int], level: int, depth: int, overwritten: set[Node]
    ) -> str:
        """Return the text of an entry; what does not change in the inner loops is read before."""
        if is_literal(view.root):
            return self.literal(view.root)
        entry = f"{self.name(view.root)}[{index(strides, view.offset)}]"
        if level == depth and view.root not in overwritten:
            return entry
        self._taken.add(name := self._free(f"{self.name(view.root)}_at"))
        self.emit(1 + level, f"{name} = {entry}")
        return name

    def _free(self, base: str) -> str:
        name, k = base, 1
        while name in self._taken:
            k += 1
            name = f"{base}{k}"
        return name

    def _accumulate(self, r: Reduction, value: str, inner: int, depth: int) -> None:
        if r.local_from < depth:
            self.emit(inner, f"{r.name} = {self._combined(r.node, r.name, value)}")
        else:
            target = f"{self.name(r.node)}[{index(r.strides)}]"
            self.emit(inner, f"{target} = {self._combined(r.node, target, value)}")

    def _finish(self, r: Reduction, depth: int) -> None:
        target = f"{self.name(r.node)}[{index(r.strides[: r.local_from])}]"
        partial = any(r.strides[k] == 0 for k in range(r.local_from))
        value = self._combined(r.node, target, r.name) if partial else r.name
        self.emit(depth, f"{target} = {value}")

    def _combined(self, node: Node, so_far: str, value: str) -> str:
        step = node.primitive.combine[1]  # type: ignore[index]
        if step == "{0} + {1}" and dtypes.is_float(node.dtype):
            return f"add({so_far}, {value})"
        return step.format(so_far, value)

    # -- scalar code -------------------------------------------------------------------------

    def literal(self, node: Node) -> str:
        """Return a constant of one entry as a typed literal."""
        value = node._value.reshape(())[()] if node.shape else node._value
        if node.dtype is dtypes.BOOL:
            return str(bool(value))
        text = repr(value.item())
        return text if node.dtype is dtypes.INT64 else f"{node.dtype.name}({text})"

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
        return text[1:-1] if _enclosed(text) else text

    # -- kernels of one node -------------------------------------------------------------------

    def _matmul(self, node: Node) -> None:
        a, b = (self.fused.view(x) for x in node.inputs)
        m, n, k = node.shape[-2], node.shape[-1], a.shape[-1]
        batch = node.shape[:-2]
        a, b = a.broadcast((*batch, m, k)), b.broadcast((*batch, k, n))
        loops = Loops.over(batch, [a.strides[:-2], b.strides[:-2], contiguous(node.shape)[:-2]])
        depth = 1
        letters = [f"b{q}" for q in range(len(loops.sizes))]
        for letter, count in zip(letters, loops.sizes, strict=True):
            self.emit(depth, f"for {letter} in range({count}):")
            depth += 1
        at_a, at_b, at_y = (
            index(s, o, letters)
            for s, o in zip(loops.strides, (a.offset, b.offset, 0), strict=True)
        )
        if m * n * k >= SMALL_PRODUCT and self._blas(node, a, b, at_a, at_b, at_y, depth):
            return
        self._product_loops(node, a, b, at_a, at_b, at_y, depth)

    def _blas(
        self, node: Node, a: View, b: View, at_a: str, at_b: str, at_y: str, depth: int
    ) -> bool:
        m, n, k = node.shape[-2], node.shape[-1], a.shape[-1]
        if 1 not in a.strides[-2:] or 1 not in b.strides[-2:]:
            return False
        routine = "sgemm" if node.dtype is dtypes.FLOAT32 else "dgemm"
        self._routines.add(routine)
        low, high = self._part(m) if not node.shape[:-2] else ("0", str(m))
        rows = str(m) if (low, high) == ("0", str(m)) else f"{high} - {low}"
        left = join(at_a, times(a.strides[-2], low))
        out = join(at_y, times(n, low))
        self.emit(
            depth,
            f"gemm({routine}, {rows}, {n}, {k}, "
            f"{self.name(a.root)}, {left}, {a.strides[-2]}, {a.strides[-1]}, "
            f"{self.name(b.root)}, {at_b}, {b.strides[-2]}, {b.strides[-1]}, "
            f"{self.name(node)}, {out}, {n})",
        )
        return True

    def _part(self, n: int) -> tuple[str, str]:
        """Return the ends of the share of an axis that one thread takes, if the work is shared."""
        if not self._shared:
            return "0", str(n)
        self.emit(1, f"low, high = part * {n} // {self.threads}, (part + 1) * {n} // {self.threads}")
        return "low", "high"

    def _product_loops(
        self, node: Node, a: View, b: View, at_a: str, at_b: str, at_y: str, depth: int
    ) -> None:
        """Write a small product as tiles of results that stay in registers over the inner sum."""
        m, n, k = node.shape[-2], node.shape[-1], a.shape[-1]
        left = Factor(self.name(a.root), at_a, a.strides[-2], a.strides[-1])
        right = Factor(self.name(b.root), at_b, b.strides[-1], b.strides[-2])
        out = Factor(self.name(node), at_y, n, 1)
        if right.along != 1 and left.along == 1 and n == 1:
            left, right, out, m, n = right, left, Factor(out.name, at_y, 1, n), n, m
        if right.along != 1 and m > 1:
            right = self._packed(node, right, n, k, depth)
        wide = 64 // node.dtype.itemsize
        for rows in _tiled(m, 4):
            for columns in _tiled(n, wide):
                self._tile(node, (left, right, out), rows, columns, k, depth)

    def _packed(self, node: Node, right: Factor, n: int, k: int, depth: int) -> Factor:
        """Copy a factor so that the entries a vector takes stand side by side."""
        self.emit(depth, f"packed = np.empty({n * k}, {node.dtype.name})")
        self.emit(depth, f"for k in range({k}):")
        self.emit(depth + 1, f"for j in range({n}):")
        self.emit(depth + 2, f"packed[{n}*k + j] = {right.entry('j', 'k')}")
        return Factor("packed", "0", 1, n)

    def _tile(
        self,
        node: Node,
        factors: tuple[Factor, Factor, Factor],
        rows: Span,
        columns: Span,
        k: int,
        depth: int,
    ) -> None:
        left, right, out = factors
        i, depth = rows.open(self, "i", depth)
        j, depth = columns.open(self, "j", depth)
        tile = [(r, c) for r in range(rows.step) for c in range(columns.step)]
        for r, c in tile:
            self.emit(depth, f"y{r}_{c} = {node.dtype.name}(0)")
        self.emit(depth, f"for k in range({k}):")
        for r in range(rows.step):
            self.emit(depth + 1, f"x{r} = {left.entry(shifted(i, r), 'k')}")
        for c in range(columns.step):
            self.emit(depth + 1, f"w{c} = {right.entry(shifted(j, c), 'k')}")
        for r, c in tile:
            self.emit(depth + 1, f"y{r}_{c} += x{r} * w{c}")
        for r, c in tile:
            self.emit(depth, f"{out.place(shifted(i, r), shifted(j, c))} = y{r}_{c}")

    def _move(self, node: Node) -> None:
        targets = places(node)
        covered = sum(x.size for x in node.inputs)
        apart = all(is_injective(v.shape, v.strides) for v in targets)
        if covered < node.size or not apart:
            self.emit(1, f"for i in range({max(node.size, 1)}):")
            self.emit(2, f"{self.name(node)}[i] = {self._border(node)}")
        for x, target in zip(node.inputs, targets, strict=True):
            source = self.fused.view(x)
            loops = Loops.over(x.shape, [source.strides, target.strides])
            for level, n in enumerate(loops.sizes):
                self.emit(1 + level, f"for {LETTERS[level]} in range({n}):")
            value = (
                self.literal(source.root)
                if is_literal(source.root)
                else f"{self.name(source.root)}[{index(loops.strides[0], source.offset)}]"
            )
            place = f"{self.name(node)}[{index(loops.strides[1], target.offset)}]"
            text = f"{place} = {value}" if apart else f"{place} = {place} + {value}"
            self.emit(1 + len(loops.sizes), text)

    def _border(self, node: Node) -> str:
        """Return what a copying move puts where no input goes, as `pad` does."""
        value = node.settings.get("value", 0)
        return f"{node.dtype.name}({value!r})"

    def _gather(self, node: Node) -> None:
        x, at = node.inputs
        self._indexed(node, x, at, node.settings["axis"], scatter=False)

    def _scatter(self, node: Node) -> None:
        x, at = node.inputs
        self.emit(1, f"for i in range({max(node.size, 1)}):")
        self.emit(2, f"{self.name(node)}[i] = {node.dtype.name}(0)")
        self._indexed(node, x, at, node.settings["axis"], scatter=True)

    def _indexed(self, node: Node, x: Node, at: Node, axis: int, scatter: bool) -> None:
        """Loop over the small side: node[…, at[…], …] += x[…], or node[…] = x[…, at[…], …]."""
        source, positions = self.fused.view(x), self.fused.view(at)
        domain = x.shape if scatter else node.shape
        width = len(at.shape)
        big = contiguous(node.shape) if scatter else source.strides
        across = (*big[:axis], *(0,) * width, *big[axis + 1 :])
        small = source.strides if scatter else contiguous(node.shape)
        lead, rest = (0,) * axis, (0,) * (len(domain) - axis - width)
        where_ = (*lead, *positions.strides, *rest)
        loops = Loops.over(domain, [across, small, where_])
        for level, n in enumerate(loops.sizes):
            self.emit(1 + level, f"for {LETTERS[level]} in range({n}):")
        depth = 1 + len(loops.sizes)
        self.emit(depth, f"at = {self.name(positions.root)}[{index(loops.strides[2], positions.offset)}]")
        count = node.shape[axis] if scatter else x.shape[axis]
        self.emit(depth, f"at = checked(at, {count})")
        far = join(index(loops.strides[0], 0 if scatter else source.offset), f"{big[axis]}*at")
        near = index(loops.strides[1], source.offset if scatter else 0)
        y, v = self.name(node), self.name(source.root)
        if scatter:
            self.emit(depth, f"{y}[{far}] = {y}[{far}] + {v}[{near}]")
        else:
            self.emit(depth, f"{y}[{near}] = {v}[{far}]")

    def _reduce(self, node: Node) -> None:
        """Positions of the largest entries: the one reduction that carries two values."""
        source = self.fused.view(node.inputs[0])
        axis = node.settings["axis"]
        kept = [k for k in range(len(source.shape)) if k not in axis]
        outer = Loops.over(
            tuple(source.shape[k] for k in kept),
            [[source.strides[k] for k in kept], _kept_strides(source.shape, axis)],  # type: ignore[list-item]
        )
        for level, n in enumerate(outer.sizes):
            self.emit(1 + level, f"for {LETTERS[level]} in range({n}):")
        depth, base = 1 + len(outer.sizes), index(outer.strides[0], source.offset)
        self.emit(depth, "best, where, at = 0, 0, 0")
        over = [source.shape[k] for k in axis]
        letters = [f"r{q}" for q in range(len(over))]
        for q, (letter, n) in enumerate(zip(letters, over, strict=True)):
            self.emit(depth + q, f"for {letter} in range({n}):")
        inner = depth + len(over)
        spot = join(base, index([source.strides[k] for k in axis], 0, letters))
        x = f"{self.name(source.root)}[{spot}]"
        self.emit(inner, f"value, best_value = {x}, {self.name(source.root)}[best]")
        self.emit(inner, "if at == 0 or value > best_value or "
                         "(value != value and best_value == best_value):")  # fmt: skip
        self.emit(inner + 1, f"best, where = {spot}, at")
        self.emit(inner, "at += 1")
        self.emit(depth, f"{self.name(node)}[{index(outer.strides[1])}] = where")

    def _random(self, node: Node) -> None:
        counter = self.fused.view(node.inputs[0])
        seed = int(node.settings["seed"]) & 0xFFFFFFFFFFFFFFFF
        fill = "fill_uniform32" if node.dtype is dtypes.FLOAT32 else "fill_uniform64"
        draw = f"{self.name(counter.root)}[{counter.offset}]"
        self.emit(1, f"{fill}({self.name(node)}, {node.size}, {draw}, np.uint64({seed}))")

    # -- updates -------------------------------------------------------------------------------

    def _updates(self) -> None:
        for v, new in self.program.updates.items():
            view = self.fused.view(new)
            if view.root is v or new in self.plan.in_place:
                continue
            loops = Loops.over(v.shape, [view.strides, contiguous(v.shape)])
            for level, n in enumerate(loops.sizes):
                self.emit(1 + level, f"for {LETTERS[level]} in range({n}):")
            source = f"{self.name(view.root)}[{index(loops.strides[0], view.offset)}]"
            target = f"{self.name(v)}[{index(loops.strides[1])}]"
            self.emit(1 + len(loops.sizes), f"{target} = {source}")


RESERVED = {"np", "view", "add", "checked", "step", "fill_uniform32", "fill_uniform64", "total",
            "best", "where", "at", "value", "best_value", "x", "exp", "expm1", "log", "log1p",
            "sin", "cos", "tan", "asin", "acos", "atan", "atan2", "sinh", "cosh", "tanh", "erf",
            "sqrt", "floor", "abs", "min", "max", "packed", "range", "part", "low", "high", "spread", "run", "sgemm", "dgemm", "gemm", "update", *FAST.values(), "inf", "nan", "float32", "float64", "int64", "bool",
            *ARENAS.values(), *LETTERS}  # fmt: skip


def index(strides: Sequence[int], offset: int = 0, letters: Sequence[str] = LETTERS) -> str:
    """Return the text of ``offset + Σ stride · letter``.

    Example:
        >>> index((16, 1)), index((0, 2), 3), index(())
        ('16*i + j', '3 + 2*j', '0')
    """
    terms = [str(offset)] if offset else []
    for s, letter in zip(strides, letters, strict=False):
        if s:
            terms.append(letter if s == 1 else f"{s}*{letter}")
    return " + ".join(terms) or "0"


def _level(strides: Sequence[int]) -> int:
    """Return how many loops an index needs: up to the last axis along which it moves."""
    return max((k + 1 for k, s in enumerate(strides) if s), default=0)


def join(a: str, b: str) -> str:
    """Return the sum of two index texts."""
    return " + ".join(t for t in (a, b) if t != "0") or "0"


def _target(node: Node) -> Shape:
    """Return the strides of a reduction's result over its input's axes: 0 along the reduced."""
    return tuple(_spread(node.inputs[0].shape, node.settings["axis"]))


def _spread(shape: Shape, axis: Shape) -> list[int]:
    kept = _kept_strides(shape, axis)
    kept_axes = [k for k in range(len(shape)) if k not in axis]
    strides = [0] * len(shape)
    for k, s in zip(kept_axes, kept, strict=True):
        strides[k] = s
    return strides


def _kept_strides(shape: Shape, axis: Shape) -> list[int]:
    return list(contiguous(tuple(n for k, n in enumerate(shape) if k not in axis)))


def _enclosed(text: str) -> bool:
    """Return whether one pair of brackets stands around the whole text."""
    if not text.startswith("("):
        return False
    depth = 0
    for k, c in enumerate(text):
        depth += (c == "(") - (c == ")")
        if depth == 0:
            return k == len(text) - 1
    return False


def write(
    program: Program, fused: Fused, plan: Plan, math: str = "fast", threads: int = 1
) -> str:
    """Return the source text of a program's kernels; math is "fast" or "exact"."""
    return Writer(program, fused, plan, math, threads).write()


