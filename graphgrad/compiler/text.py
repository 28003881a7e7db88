"""Pieces of kernel text: index expressions, loop nests, tiles, names that are taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graphgrad import dtypes
from graphgrad.compiler.fastmath import FAST
from graphgrad.compiler.helpers import EXPORTS
from graphgrad.compiler.views import contiguous
from graphgrad.graph import Node
from graphgrad.shapes import Shape

__all__ = [
    "ARENAS",
    "FLAG",
    "LETTERS",
    "RESERVED",
    "ZERO",
    "Loops",
    "enclosed",
    "index",
    "join",
    "level",
]

ARENAS = {
    dtypes.FLOAT64: "arena_float64",
    dtypes.FLOAT32: "arena_float32",
    dtypes.INT64: "arena_int64",
    dtypes.BOOL: "arena_bool",
}
ROWS = len(ARENAS) + 4
"""Where in the table of addresses row numbers stand: after the arenas, the pool of threads, what
they run, and two BLAS routines."""
FLAG = ROWS + 1
"""Where a kernel notes that an index was out of bounds."""
ORDER = FLAG + 1
"""Where an order's table stands, or 0 when rows are listed; then what draws the rows of a batch,
and the number of the first batch."""
ZERO = ORDER + 3
"""Where a zero stands of which the compiler below does not know that it is one."""
SLOTS = ZERO + 1
"""Where the inputs begin."""
LETTERS = "ijklmnpq"
_WORDS = (
    "abs addresses at at_step best bool epoch high last low max min part range run sgemm dgemm "
    "shares step steps sum table value where which x "
)
RESERVED = {*_WORDS.split(), *EXPORTS, *FAST.values(), *ARENAS.values(), *LETTERS}
"""Names that generated text uses itself, so no buffer may bear them."""


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


def level(strides: Sequence[int]) -> int:
    """Return how many loops an index needs: up to the last axis along which it moves."""
    return max((k + 1 for k, s in enumerate(strides) if s), default=0)


def join(a: str, b: str) -> str:
    """Return the sum of two index texts."""
    return " + ".join(t for t in (a, b) if t != "0") or "0"


def times(stride: int, letter: str) -> str:
    """Return the text of a stride times an index."""
    if letter.isdigit():
        return str(stride * int(letter))
    if " + " in letter and stride != 1:
        base, more = letter.split(" + ")
        return join(times(stride, base), times(stride, more))
    return letter if stride == 1 else ("0" if stride == 0 else f"{stride}*{letter}")


def target(node: Node) -> Shape:
    """Return the strides of a reduction's result over its input's axes: 0 along the reduced."""
    return tuple(spread(node.inputs[0].shape, node.settings["axis"]))


def spread(shape: Shape, axis: Shape) -> list[int]:
    kept = kept_strides(shape, axis)
    kept_axes = [k for k in range(len(shape)) if k not in axis]
    strides = [0] * len(shape)
    for k, s in zip(kept_axes, kept, strict=True):
        strides[k] = s
    return strides


def kept_strides(shape: Shape, axis: Shape) -> list[int]:
    return list(contiguous(tuple(n for k, n in enumerate(shape) if k not in axis)))


def enclosed(text: str) -> bool:
    """Return whether one pair of brackets stands around the whole text."""
    if not text.startswith("("):
        return False
    depth = 0
    for k, c in enumerate(text):
        depth += (c == "(") - (c == ")")
        if depth == 0:
            return k == len(text) - 1
    return False
