"""A step as text for the GPU: a launch or two for each level of kernels, and copies at the end."""

from __future__ import annotations

from collections.abc import Sequence

from graphgrad.compiler.cuda import fast, vectors
from graphgrad.compiler.cuda.blas import Call
from graphgrad.compiler.cuda.helpers import header
from graphgrad.compiler.cuda.launches import CudaLaunches, Launch, Launched, Written, groups
from graphgrad.compiler.cuda.pen import DEVICE_ARENAS, Piece
from graphgrad.compiler.cuda.schedule import Level, Unit
from graphgrad.compiler.fuse import Kernel, is_literal
from graphgrad.compiler.text import Loops
from graphgrad.compiler.views import View
from graphgrad.errors import CompileError
from graphgrad.explain.formulas import fill, operation_template
from graphgrad.graph import Node
from graphgrad.shapes import size

__all__ = ["Writer"]


class Writer(CudaLaunches):
    """Writes the source of one program."""

    def write(self, levels: Sequence[Level], together: bool) -> Written:
        """Return the text of a step."""
        launches: list[Launch] = []
        text: list[str] = []
        found: dict[Kernel, Launched] = {}

        def launch(pieces: Sequence[Piece]) -> None:
            for group in groups(pieces, together):
                launches.append(self.launch(text, group, f"launch_{len(launches) + 1}"))
                for piece in group:
                    threads = piece.blocks * self.grid.threads
                    for k in piece.kernels:
                        found.setdefault(k, Launched(len(launches), threads, [], piece.blocks))
                        found[k].lines += piece.lines

        for level in levels:
            self.kept = {}
            for call in [u.kernel for u in level if isinstance(u.kernel, Call)]:
                launches.append(Launch(f"cublas_{len(launches) + 1}", 0, (call,), call.product))
                lines = self._called(call)
                text += ["", "", *lines]
                found[call] = Launched(len(launches), 0, lines)
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
            if isinstance(unit.kernel, Call):
                continue
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
        lines = [header(self.grid.simulated, random)]
        if any("_vector(" in line for line in text):
            lines.append(vectors.header(self.grid.simulated))
        if any("reciprocal32(" in line for line in text):
            lines.append(fast.header(self.grid.simulated))
        lines += [*places, *text]
        return Written("\n".join(lines) + "\n", launches, sizes, found, self.names)

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
            same = view.root is v and view.is_whole
            if not same and new not in self.plan.in_place and v.size:
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

    def _called(self, call: Call) -> list[str]:
        """Return what is said of a call of cuBLASLt, in place of its text."""
        number = self.fused.kernels.index(call) + 1
        matrices = zip("ABD", (call.product.a, call.product.b, call.product.d), strict=True)
        letters = ", ".join(f"{letter} is {self.label(x.node)}" for letter, x in matrices)
        lines = [*self._comment(number, call), f"  cuBLASLt: {letters}", f"  {call.product}"]
        return [f"# {line}" for line in lines]

    def _comment(self, k: int, kernel: Kernel) -> list[str]:
        lines = [f"kernel {k}: {kernel.kind} over {list(kernel.domain)}"]
        for n in kernel.nodes:
            template = operation_template(n.primitive, len(n.inputs), n.settings)
            name = self.label(n)
            given = [self.label(x) if x in kernel.nodes else self._named(x) for x in n.inputs]
            lines.append(f"  {name} = {fill(template, '', given)}")
        return lines

    def _named(self, node: Node) -> str:
        root = self.fused.view(node).root
        return self.literal(root) if is_literal(root) else self.label(root)
