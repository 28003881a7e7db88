"""The CUDA pen: pieces of launches, indices of threads, and entries of the device's arenas.

A kernel becomes one or two stages (a sum is finished in a second one); each stage is a `Piece`: the
lines that one block of threads runs. Pieces that do not need each other are put into one launch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from graphgrad import dtypes
from graphgrad.compiler.cuda.device import HARDWARE, Cut
from graphgrad.compiler.cuda.fast import fast
from graphgrad.compiler.fuse import Kernel, is_literal
from graphgrad.compiler.loops import Nests
from graphgrad.compiler.text import LETTERS, index
from graphgrad.compiler.views import View
from graphgrad.dtypes import Dtype
from graphgrad.graph import Node

__all__ = ["DEVICE_ARENAS", "OUTER", "CudaPen", "Piece", "power_above"]

DEVICE_ARENAS = {
    dtypes.FLOAT64: "f64",
    dtypes.FLOAT32: "f32",
    dtypes.INT64: "i64",
    dtypes.BOOL: "b8",
}
WORDS = """
    acc ahead at b8 bad begin best bests block bool_ by column cuda end f32 f64 far first floor
    floorf half i64 inf inner int32 intrinsic ir keys known lane last left lefts load_vector min
    mine more near other part philox place places product r rank reciprocal32 rest right rights row
    rows s same second slot step store_vector t thread total turn types u32 uint64 value vector_at
    which x y
"""
"""Names that the text uses itself."""
OUTER = [f"_{letter}" for letter in "abcdefgh"]
"""Indices along a result's axes; no name of a user begins with an underscore."""
LARGEST = 2**31 - 1
"""Entries up to which indices are 32 bits wide: wider ones cost the device several instructions."""


@dataclass
class Piece:
    """What a number of blocks do.

    Attributes:
        lines: of one block, number `block`; without the indentation of a function.
        blocks: how many.
        shared: bytes of shared memory.
        kernels: what it computes, all or a stage of it.
        heavy: whether it needs many registers, so that light pieces are better off elsewhere.
    """

    lines: list[str]
    blocks: int
    shared: int = 0
    kernels: Sequence[Kernel] = ()
    heavy: bool = False


@dataclass
class CudaPen(Nests):
    """Writes lines of pieces.

    Attributes:
        grid: into how many threads and blocks work is cut.
        kept: of sums that are split, where the parts of each begin, by arena: entries in use in
            this launch, and the most in any.
    """

    forms: ClassVar[Mapping[str, str]] = {}
    grid: Cut = HARDWARE
    kept: dict[Dtype, int] = field(default_factory=dict)
    most_kept: dict[Dtype, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.outs = {}  # results stand in the arenas first, as all else
        self.taken |= set(WORDS.split()) | set(DEVICE_ARENAS.values())
        self.taken |= {f"scratch_{name}" for name in DEVICE_ARENAS.values()}

    # -- lines ---------------------------------------------------------------------------------

    def begin(self) -> None:
        """Begin the lines of a piece."""
        self.lines = []

    def piece(self, blocks: int, shared: int = 0, heavy: bool = False) -> Piece:
        """Return the lines written since `begin` as a piece."""
        lines, self.lines = self.lines, []
        return Piece(lines, max(blocks, 1), shared, heavy=heavy)

    def whole(self, count: int) -> str:
        """Return the type that indices below a number have in the text."""
        return "u32" if count <= LARGEST else "int64"

    def each(self, count: int) -> tuple[int, int]:
        """Write the head of a loop in which threads share indices `t` below a number.

        Returns:
            The blocks it takes, and the depth of the loop's body.
        """
        threads = self.grid.threads
        blocks = max(1, min(-(-count // threads), self.grid.blocks))
        kind, step = self.whole(count + blocks * threads), blocks * threads
        self.emit(0, f"t = {kind}(block*{threads} + thread)")
        self.emit(0, f"{'while' if count > step else 'if'} t < {count}:")
        return blocks, 1

    def again(self, count: int, blocks: int) -> None:
        """Write the end of that loop."""
        step = blocks * self.grid.threads
        if count > step:
            self.emit(1, f"t = {self.whole(count + step)}(t + {step})")

    def decoded(
        self, depth: int, linear: str, sizes: Sequence[int], letters: Sequence[str], kind: str
    ) -> None:
        """Write the index along each axis of what is number `linear` in row-major order."""
        if len(sizes) == 1 and letters[0] != linear:
            self.emit(depth, f"{letters[0]} = {linear}")
        rest = linear
        for k in range(len(sizes) - 1, 0, -1):
            if k < len(sizes) - 1:
                rest = "rest"
            self.emit(depth, f"{letters[k]} = {kind}({rest} % {sizes[k]})")
            left = letters[0] if k == 1 else "rest"
            self.emit(depth, f"{left} = {kind}({rest} // {sizes[k]})")

    # -- entries ---------------------------------------------------------------------------------

    def entry(self, node: Node, at: str = "0") -> str:
        """Return the text of an entry of a node's buffer."""
        place = self.name(node) if at == "0" else f"{self.name(node)} + {at}"
        return f"{DEVICE_ARENAS[node.dtype]}[{place}]"

    def seen(self, view: View, strides: Sequence[int], letters: Sequence[str] = LETTERS) -> str:
        """Return the text of an entry of a view; a number where it is one."""
        if is_literal(view.root) and view.root not in self.plan.start:
            return self.literal(view.root)
        return self.entry(view.root, index(strides, view.offset, letters))

    def expression(self, node: Node, operands: Sequence[str]) -> str:
        """Return the scalar code of an elementwise node."""
        text = super().expression(node, operands)
        if dtypes.FLOAT32 not in (node.dtype, *(x.dtype for x in node.inputs)):
            return text
        if self.math == "fast":
            text = fast(text)
        # NumPy's floor is none of the functions that Numba knows on a GPU
        return text.replace("floor(", "floorf(")

    def scratch(self, dtype: Dtype, count: int) -> int:
        """Return where so many entries for unfinished sums begin, in the scratch of a type."""
        at = self.kept.get(dtype, 0)
        self.kept[dtype] = at + -(-count // 16) * 16
        self.most_kept[dtype] = max(self.most_kept.get(dtype, 0), self.kept[dtype])
        return at

    def combined(self, node: Node, so_far: str, value: str) -> str:
        """Return the text of what a reduction makes of two values."""
        step = (node.primitive.combine or ("0", "{0} + {1}"))[1]
        text = step.format(so_far, value)
        return text[1:-1] if text.startswith("(") and step.count("(") == 1 else text


def power_above(n: int, most: int) -> int:
    """Return the smallest power of two that is at least n, but not more than `most`."""
    power = 1
    while power < n and power < most:
        power *= 2
    return power
