"""Vectors of 16 bytes in CUDA text: neighbouring entries that one instruction loads or stores.

A quarter of the instructions move the same bytes. Numba has no such loads, so generated modules
that use them begin with two functions that write LLVM's. An address must be a multiple of 16: each
arena begins at one of 256, and where in it a buffer begins is known when the text is written.
"""

from __future__ import annotations

from collections.abc import Sequence

from graphgrad import dtypes
from graphgrad.compiler.cuda.pen import DEVICE_ARENAS, CudaPen
from graphgrad.graph import Node

__all__ = ["SIDE", "CudaVectors", "beside", "header"]

BYTES = 16
"""Of a vector; the most that one instruction of the device moves."""
SIDE = 4
"""Neighbouring entries that a thread takes: a vector of float32, two of float64."""

_DEVICE = '''

from llvmlite import ir
from numba import types
from numba.cuda.extending import intrinsic


def vector_at(context, builder, array, data, kind, at):
    """Return the address of the 16 bytes that begin at an entry of an array, and its width."""
    view = context.make_array(array)(context, builder, data)
    entry = builder.gep(view.data, [context.cast(builder, at, kind, types.intp)])
    width = 16 * 8 // array.dtype.bitwidth
    wide = ir.VectorType(context.get_value_type(array.dtype), width)
    return builder.bitcast(entry, wide.as_pointer(entry.type.addrspace)), wide


@intrinsic
def load_vector(typing, array, at):
    """Return the neighbouring entries that 16 bytes hold."""
    def write(context, builder, signature, given):
        place, wide = vector_at(context, builder, array, given[0], at, given[1])
        vector = builder.load(place, align=16)
        values = [builder.extract_element(vector, ir.IntType(32)(k)) for k in range(wide.count)]
        return context.make_tuple(builder, signature.return_type, values)
    return types.UniTuple(array.dtype, 16 * 8 // array.dtype.bitwidth)(array, at), write


@intrinsic
def store_vector(typing, array, at, values):
    """Store neighbouring entries that fill 16 bytes."""
    def write(context, builder, signature, given):
        place, wide = vector_at(context, builder, array, given[0], at, given[1])
        vector = wide(ir.Undefined)
        for k in range(wide.count):
            value = builder.extract_value(given[2], k)
            value = context.cast(builder, value, values[k], array.dtype)
            vector = builder.insert_element(vector, value, ir.IntType(32)(k))
        builder.store(vector, place, align=16)
        return context.get_dummy_value()
    return types.void(array, at, values), write
'''

_SIMULATED = '''

def load_vector(array, at):
    """Return the neighbouring entries that 16 bytes hold."""
    width = 16 // array.dtype.itemsize
    assert at % width == 0, "not aligned"
    return [array[at + k] for k in range(width)]


def store_vector(array, at, values):
    """Store neighbouring entries that fill 16 bytes."""
    assert at % len(values) == 0 and len(values) * array.dtype.itemsize == 16, "not aligned"
    for k, value in enumerate(values):
        array[at + k] = value
'''


def header(simulated: bool) -> str:
    """Return the functions that load and store vectors, for the device or Numba's simulator."""
    return _SIMULATED if simulated else _DEVICE


class CudaVectors(CudaPen):
    """Writes loads and stores of vectors."""

    def width(self, root: Node, strides: Sequence[int], offset: int = 0) -> int:
        """Return how many entries of a view one vector holds along the last axis; 0 if none can.

        Args:
            root: whose buffer it is.
            strides: along each axis of a loop.
            offset: where in the buffer the view begins.
        """
        if root.dtype not in (dtypes.FLOAT32, dtypes.FLOAT64) or root not in self.plan.start:
            return 0
        width = BYTES // root.dtype.itemsize
        steps = [self.plan.start[root] + offset, *strides[:-1]]
        aligned = all(step % width == 0 for step in steps)
        return width if aligned and list(strides[-1:]) == [1] else 0

    def load(self, depth: int, root: Node, at: str, names: Sequence[str], width: int) -> None:
        """Write loads of neighbouring entries, from the first one's index on, into locals."""
        for k in range(0, len(names), width):
            place = self._place_of(root, at, k)
            some = ", ".join(names[k : k + width])
            self.emit(depth, f"{some} = load_vector({place})")

    def store(self, depth: int, node: Node, at: str, names: Sequence[str], width: int) -> None:
        """Write stores of neighbouring entries of a node."""
        for k in range(0, len(names), width):
            some = ", ".join(names[k : k + width])
            self.emit(depth, f"store_vector({self._place_of(node, at, k)}, ({some}))")

    def _place_of(self, node: Node, at: str, k: int) -> str:
        places = [self.name(node), at, str(k)]
        sum_ = " + ".join(p for p in places if p != "0")
        return f"{DEVICE_ARENAS[node.dtype]}, {sum_}"


def beside(letters: Sequence[str], k: int) -> list[str]:
    """Return the indices of the k-th neighbour along the last axis.

    Example:
        >>> beside(["i", "j"], 2), beside(["t"], 0)
        (['i', '(j + 2)'], ['t'])
    """
    return [*letters[:-1], f"({letters[-1]} + {k})"] if k else list(letters)
