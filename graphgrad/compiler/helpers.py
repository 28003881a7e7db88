"""The few helpers that kernels call, as the text of a module that is compiled and cached once.

It is text and not a module of functions, since Numba's cache on disk would not notice when a
function in another file changes. Like all generated modules it bears the hash of its text in its
name, and kernels import it by that name, so a change of a helper makes new modules of kernels.
"""

from __future__ import annotations

from graphgrad.compiler import fastmath, threads, tiles

__all__ = ["EXPORTS", "HELPERS"]

_HELPERS = '''\
import math
import operator
from math import (
    acos, asin, atan, atan2, cos, cosh, erf, erfc, exp, expm1, inf, log, log1p, nan, sin, sinh,
    sqrt, tan, tanh,
)

import numpy as np
from numba import carray, cfunc, njit, prange, types
from numba.core import cgutils
from numba.extending import intrinsic, lower_builtin
from numba.np.arrayobj import make_array
from numpy import float32, float64, floor, int64

ROWS, FLAG, ORDER = 8, 9, 10


@intrinsic
def view(typing, arena, start, count):
    """Return entries start … start + count of an arena; like it, a bare pointer."""
    def build(context, builder, signature, args):
        return builder.gep(args[0], [args[1]])
    return arena(arena, types.intp, types.intp), build


@intrinsic
def memory(typing, address, count, kind):
    """Return a pointer to the `count` entries that begin at an address."""
    def build(context, builder, signature, args):
        return builder.inttoptr(args[0], context.get_value_type(signature.return_type))
    return types.CPointer(kind.dtype)(address, types.intp, kind), build


def data_of(context, builder, kind, value):
    """Return where an array begins, which may be a bare pointer already."""
    return value if isinstance(kind, types.CPointer) else make_array(kind)(
        context, builder, value).data


# Numba's own pointers forget that a bool in memory is a byte
@lower_builtin(operator.getitem, types.CPointer(types.boolean), types.Integer)
def get_bool(context, builder, signature, args):
    return context.unpack_value(builder, types.boolean, builder.gep(args[0], [args[1]]))


@lower_builtin(operator.setitem, types.CPointer(types.boolean), types.Integer, types.Boolean)
def set_bool(context, builder, signature, args):
    context.pack_value(builder, types.boolean, args[2], builder.gep(args[0], [args[1]]))


@intrinsic
def add(typing, a, b):
    """Return a + b, and allow sums of many to be taken in any order: they become vectors."""
    kind = typing.unify_types(a, b)
    def build(context, builder, signature, args):
        left = context.cast(builder, args[0], signature.args[0], kind)
        right = context.cast(builder, args[1], signature.args[1], kind)
        return builder.fadd(left, right, flags=("reassoc", "nsz", "contract"))
    return kind(a, b), build


@intrinsic
def cycles(typing):
    """Return the processor's clock."""
    def build(context, builder, signature, args):
        kind = cgutils.ir.FunctionType(context.get_value_type(types.int64), [])
        name = "llvm.readcyclecounter"
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [])
    return types.int64(), build


@njit("int64()", cache=True)
def now():
    """Return the processor's clock, for Python."""
    return cycles()


@intrinsic
def call(typing, function, which, part, table):
    """Call the function at an address."""
    def build(context, builder, signature, args):
        number = context.get_value_type(types.int64)
        kind = cgutils.ir.FunctionType(cgutils.ir.VoidType(), [number] * 3)
        builder.call(builder.inttoptr(args[0], kind.as_pointer()), args[1:])
        return context.get_dummy_value()
    return types.void(*[types.int64] * 4), build


@intrinsic
def size_of(typing, kind):
    """Return the bytes of one number of a type."""
    def build(context, builder, signature, args):
        size = context.get_abi_sizeof(context.get_data_type(kind.dtype))
        return context.get_constant(types.int64, size)
    return types.int64(kind), build


@njit(cache=True)
def batch(addresses, at, step, count, width, kind):
    """Return where a batch is: the next one in the data, or rows of it copied into a room."""
    size = count*width
    if addresses[at + 2] == 0:
        place = addresses[at] + step*size*size_of(kind)
    else:
        place = addresses[at + 1]
        data, room = memory(addresses[at], 0, kind), memory(place, size, kind)
        rows = memory(addresses[ROWS], 0, int64)
        first = 0 if addresses[ORDER] else step*count
        for i in range(count):
            row = rows[first + i]*width
            for j in range(width):
                room[i*width + j] = data[row + j]
    addresses[at + 3] = place
    return place


@njit(cache=True)
def checked(at, size, addresses):
    """Return an index, counted from the end if it is negative; one out of bounds is noted."""
    if at < 0:
        at += size
    if at < 0 or at >= size:
        addresses[FLAG] = 1
        return 0
    return at


@njit(cache=True)
def philox(block, draw, seed):
    """Return two random 64-bit words (Philox-4x32-10, Salmon et al. 2011)."""
    low = np.uint64(0xFFFFFFFF)
    half = np.uint64(32)
    a, b = block & low, block >> half
    c, d = draw & low, draw >> half
    k0, k1 = seed & low, seed >> half
    for _ in range(10):
        x = a * np.uint64(0xD2511F53)
        y = c * np.uint64(0xCD9E8D57)
        a, b, c, d = (y >> half) ^ b ^ k0, y & low, (x >> half) ^ d ^ k1, x & low
        k0 = (k0 + np.uint64(0x9E3779B9)) & low
        k1 = (k1 + np.uint64(0xBB67AE85)) & low
    return (a << half) | b, (c << half) | d


@njit(cache=True)
def fill_uniform64(out, count, counter, seed):
    draw = np.uint64(counter)
    for i in range(0, count, 2):
        first, second = philox(np.uint64(i // 2), draw, seed)
        out[i] = float64(first >> np.uint64(11)) * 2.0**-53
        if i + 1 < count:
            out[i + 1] = float64(second >> np.uint64(11)) * 2.0**-53


@njit(cache=True)
def fill_uniform32(out, count, counter, seed):
    draw = np.uint64(counter)
    for i in range(0, count, 2):
        first, second = philox(np.uint64(i // 2), draw, seed)
        out[i] = float32(first >> np.uint64(40)) * float32(2.0**-24)
        if i + 1 < count:
            out[i + 1] = float32(second >> np.uint64(40)) * float32(2.0**-24)


'''

HELPERS = _HELPERS + tiles.SOURCE + threads.SOURCE + fastmath.SOURCE
"""The module of helpers."""
EXPORTS = [
    "acos", "add", "asin", "atan", "atan2", "batch", "bits_of_float", "call",
    "cfunc", "checked", "cos", "cosh", "cycles", "erf", "erf32", "erfc", "exp", "exp32", "expm1",
    "expm132", "fill_uniform32", "fill_uniform64", "float32", "float64", "float_of_bits", "floor",
    "gemm", "inf", "int64", "log", "log1p", "log1p32", "log32", "math", "memory", "nan", "njit",
    "np", "run_of", "sin", "sinh", "spread", "sqrt", "tan", "tanh", "tanh32", "tile",
    "transpose16", "view",
]  # fmt: skip
"""What kernels may use of it."""
