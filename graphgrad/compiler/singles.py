"""Kernels of one node in kernel text: copies, gathers, positions of extremes, random draws."""

from __future__ import annotations

from graphgrad import dtypes
from graphgrad.compiler.fuse import is_literal
from graphgrad.compiler.pen import Pen
from graphgrad.compiler.text import LETTERS, Loops, index, join, kept_strides
from graphgrad.compiler.views import View, contiguous, is_injective, places
from graphgrad.graph import Node

__all__ = ["Singles"]

SHORT = 64
"""Entries up to which a row that is moved is written as one move and not as a loop."""


class Singles(Pen):
    """Writes the kernels that are neither loops over maps nor products."""

    def _move(self, node: Node) -> None:
        targets = places(node)
        covered = sum(x.size for x in node.inputs)
        apart = all(is_injective(v.shape, v.strides) for v in targets)
        if covered < node.size or not apart:
            low, high = self.share(max(node.size, 1))
            self.emit(1, f"for i in range({low}, {high}):")
            self.emit(2, f"{self.name(node)}[i] = {self._border(node)}")
        for x, target in zip(node.inputs, targets, strict=True):
            self._moved(node, self.fused.view(x), target, apart)

    def _moved(self, node: Node, source: View, target: View, apart: bool) -> None:
        """Copy a view into its place, or add it there when places overlap."""
        order = _by_stride(source, target, 1 if self.cut else 0)
        shape = tuple(source.shape[k] for k in order)
        ends = [tuple(v.strides[k] for k in order) for v in (source, target)]
        loops = Loops.over(shape, ends)
        run = len(loops.sizes) > 1 and 2 <= loops.sizes[-1] <= SHORT and not is_literal(source.root)
        run = run and loops.strides[0][-1] == loops.strides[1][-1] == 1
        if run and dtypes.is_float(node.dtype):
            self._moved_by_runs(node, source, target, loops, apart)
            return
        self._around(loops.sizes)
        value = (
            self.literal(source.root)
            if is_literal(source.root)
            else f"{self.name(source.root)}[{index(loops.strides[0], source.offset)}]"
        )
        place = f"{self.name(node)}[{index(loops.strides[1], target.offset)}]"
        text = f"{place} = {value}" if apart else f"{place} = {place} + {value}"
        self.emit(1 + len(loops.sizes), text)

    def _around(self, sizes: list[int]) -> None:
        """Write the heads of loops, the first over the share of rows being worked on."""
        for level, n in enumerate(sizes):
            low, high = self.share(n) if level == 0 else ("0", str(n))
            self.emit(1 + level, f"for {LETTERS[level]} in range({low}, {high}):")

    def _moved_by_runs(
        self, node: Node, source: View, target: View, loops: Loops, apart: bool
    ) -> None:
        """Move short rows whose entries stand side by side, a whole row at a time."""
        length = loops.sizes[-1]
        self._around(loops.sizes[:-1])
        name = f"{'copy' if apart else 'add'}{length}"
        self.runs[name] = f"run_of({length}, {not apart})"
        at = [index(s[:-1], v.offset) for s, v in zip(loops.strides, (source, target), strict=True)]
        move = f"{name}({self.name(node)}, {at[1]}, {self.name(source.root)}, {at[0]})"
        self.emit(len(loops.sizes), move)

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
        self._around(loops.sizes)
        depth = 1 + len(loops.sizes)
        spot = index(loops.strides[2], positions.offset)
        count = node.shape[axis] if scatter else x.shape[axis]
        self.emit(depth, f"at = checked({self.name(positions.root)}[{spot}], {count}, addresses)")
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
            [[source.strides[k] for k in kept], kept_strides(source.shape, axis)],  # type: ignore[list-item]
        )
        self._around(outer.sizes)
        depth, base = 1 + len(outer.sizes), index(outer.strides[0], source.offset)
        best, value = self.local("best"), self.local("value")
        self.emit(depth, f"{best}, where, at = 0, 0, 0")
        over = [source.shape[k] for k in axis]
        letters = [f"r{q}_" for q in range(len(over))]
        for q, (letter, n) in enumerate(zip(letters, over, strict=True)):
            self.emit(depth + q, f"for {letter} in range({n}):")
        inner = depth + len(over)
        spot = join(base, index([source.strides[k] for k in axis], 0, letters))
        x = f"{self.name(source.root)}[{spot}]"
        so_far = f"{self.name(source.root)}[{best}]"
        self.emit(inner, f"{value} = {x}")
        self.emit(inner, f"if at == 0 or {value} > {so_far} or "
                         f"({value} != {value} and {so_far} == {so_far}):")  # fmt: skip
        self.emit(inner + 1, f"{best}, where = {spot}, at")
        self.emit(inner, "at += 1")
        self.emit(depth, f"{self.name(node)}[{index(outer.strides[1])}] = where")

    def _random(self, node: Node) -> None:
        counter = self.fused.view(node.inputs[0])
        seed = int(node.settings["seed"]) & 0xFFFFFFFFFFFFFFFF
        fill = "fill_uniform32" if node.dtype is dtypes.FLOAT32 else "fill_uniform64"
        draw = f"{self.name(counter.root)}[{counter.offset}]"
        self.emit(1, f"{fill}({self.name(node)}, {node.size}, {draw}, np.uint64({seed}))")


def _by_stride(source: View, target: View, fixed: int) -> list[int]:
    """Return the axes with the widest strides first, so that inner loops run along memory."""
    axes = range(fixed, len(source.shape))
    wide = sorted(axes, key=lambda k: -abs(source.strides[k]) - abs(target.strides[k]))
    return [*range(fixed), *wide]
