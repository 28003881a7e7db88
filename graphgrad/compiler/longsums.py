"""Which sums are long, and how they are made of sums of few numbers.

Each addition rounds, and the errors of a sum grow with the numbers added one after the other: a
float32 that has come to 2²⁴ does not change at all when 1 is added. So a long sum is cut into
blocks. Each block is summed afresh, in the type of its numbers, and a float64 adds up the blocks
(blocked summation; Higham, The accuracy of floating point summation, 1993).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from graphgrad import dtypes
from graphgrad.graph import Node

__all__ = ["FEW", "LONG", "MANY", "SHORT", "SUM", "block_terms", "cut", "is_long"]

SUM = ("0", "{0} + {1}")
"""How a reduction that adds begins and goes on."""
LONG = 4096
"""Numbers in a sum from which on it is cut into blocks."""
FEW = 64
"""Numbers of a block that are added one after the other."""
MANY = 1024
"""Numbers of a block in a loop that becomes vectors: each of some 64 lanes adds up a few."""
SHORT = 16
"""An inner loop shorter than that makes clumsy vectors, and so do numbers less far apart."""
_FUNCTION = re.compile(r"\b([a-z]\w*)\(|\*\*")
_INSTRUCTIONS = {"abs", "floor", "sqrt"}
"""Functions that are instructions of vectors."""


def is_long(node: Node) -> bool:
    """Return whether a node is a sum in which each result is made of very many numbers."""
    if node.primitive.combine != SUM or not dtypes.is_float(node.dtype):
        return False
    return node.inputs[0].size > LONG * max(node.size, 1)


def is_summed_in_memory(node: Node) -> bool:
    """Return whether numbers are added to many results in turn, as those of rows to a row."""
    wide = [k for k, n in enumerate(node.inputs[0].shape) if n > 1]
    return bool(wide) and wide[-1] not in node.settings["axis"]


def is_interrupted(node: Node) -> bool:
    """Return whether other results come before all numbers of a result have been added."""
    wide = [k in node.settings["axis"] for k, n in enumerate(node.inputs[0].shape) if n > 1]
    return wide != sorted(wide)


def cut(sizes: Sequence[int], over: Sequence[int], terms: int) -> tuple[int, int]:
    """Return where the sums of blocks begin: a loop, and how many of its rounds are a block.

    Args:
        sizes: of the loops.
        over: the loops that run over what is summed, the outermost first.
        terms: numbers in a block at most.

    Returns:
        The loop that is cut into blocks of so many rounds; with 0 rounds none is cut, and a block
        is all that the loop runs over.

    Example:
        >>> cut([1000, 10], [0, 1], 64), cut([1000, 40], [0, 1], 64), cut([1000, 3], [0], 64)
        ((0, 6), (1, 0), (0, 64))
    """
    inner = 1
    for k in reversed(over):
        if inner * sizes[k] > terms:
            rounds = terms // inner
            return (k, rounds) if rounds > 1 else (k + 1, 0)
        inner *= sizes[k]
    return over[0], 0


def block_terms(
    nodes: Sequence[Node], size: int, apart: bool, writes: bool, fast: set[str]
) -> tuple[int, int]:
    """Return how many numbers of a loop a block is made of: of sums in registers, and in memory.

    A loop that becomes vectors needs longer blocks to be quick, and each lane of a vector adds up
    only some of a block's numbers. The figures were measured.

    Args:
        nodes: what a loop computes.
        size: of its innermost axis.
        apart: whether numbers that follow each other along it stand apart.
        writes: whether entries of arrays are written or summed in it, which can keep outer loops
            from becoming vectors.
        fast: functions that become vectors.
    """
    known = fast | _INSTRUCTIONS
    codes = [n.primitive.code or "" for n in nodes]
    plain = all(name in known for code in codes for name in _FUNCTION.findall(code))
    if not plain or any(n.primitive.combine not in (None, SUM) for n in nodes):
        return FEW, FEW
    if writes and size < MANY:
        return max(FEW, min((16 if size < FEW else 8) * size, 4 * MANY)), FEW
    return (4 * MANY if apart or size < SHORT else MANY), FEW
