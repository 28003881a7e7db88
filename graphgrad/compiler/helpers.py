"""Text that every generated Numba module begins with: the few helpers its kernels call.

It is text and not a module of functions, since Numba's cache on disk would not notice when a
function in another file changes, and may merge symbols of the same name (numba issue 10486).
"""

from __future__ import annotations

from graphgrad.compiler import fastmath

__all__ = ["HEADER"]

_HELPERS = '''\
import math
from math import (
    acos, asin, atan, atan2, cos, cosh, erf, erfc, exp, expm1, inf, log, log1p, nan, sin, sinh,
    sqrt, tan, tanh,
)

import numpy as np
from numba import njit, prange, types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array, populate_array
from numpy import float32, float64, floor, int64


@intrinsic
def view(typing, arena, start, count):
    """Return entries start … start + count of an arena, without a copy or a reference."""
    def build(context, builder, signature, args):
        kind = signature.args[0]
        source = make_array(kind)(context, builder, args[0])
        out = make_array(signature.return_type)(context, builder)
        width = context.get_abi_sizeof(context.get_data_type(kind.dtype))
        size = context.get_constant(types.intp, width)
        populate_array(
            out, data=builder.gep(source.data, [args[1]]),
            shape=cgutils.pack_array(builder, [args[2]]),
            strides=cgutils.pack_array(builder, [size]), itemsize=size, meminfo=None,
        )
        return out._getvalue()
    return types.Array(arena.dtype, 1, "C")(arena, types.intp, types.intp), build


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
def gemm(typing, address, m, n, k, a, a_at, a_rows, a_columns, b, b_at, b_rows, b_columns,
         c, c_at, c_rows):
    """Multiply matrices by BLAS: entry (i, j) of a stands at a_at + a_rows*i + a_columns*j."""
    kind = a.dtype
    def build(context, builder, signature, args):
        real = context.get_value_type(kind)
        int32 = context.get_value_type(types.int32)
        byte = context.get_value_type(types.uint8)

        def pointer(value, of):
            place = cgutils.alloca_once(builder, of)
            builder.store(value, place)
            return place

        def number(value):
            return pointer(builder.trunc(value, int32), int32)

        def letter(transposed):
            n, t = byte(ord("N")), byte(ord("T"))
            return pointer(builder.select(transposed, t, n), byte)

        def start(array, kind_of, at):
            data = make_array(kind_of)(context, builder, array).data
            return builder.gep(data, [at])

        _, m, n, k, a, a_at, a_rows, a_columns, b, b_at, b_rows, b_columns, c, c_at, c_rows = args
        one = a_rows.type(1)
        # BLAS counts by columns, so it is told to compute the transpose, b' a'; a factor whose
        # entries run on along the inner axis of our row-major view is "transposed" for it
        def factor(rows, columns):
            flipped = builder.icmp_signed("!=", columns, one)
            return letter(flipped), number(builder.select(flipped, columns, rows))

        left, left_step = factor(b_rows, b_columns)
        right, right_step = factor(a_rows, a_columns)
        ints, reals, bytes_ = int32.as_pointer(), real.as_pointer(), byte.as_pointer()
        shape = [bytes_, bytes_, ints, ints, ints, reals, reals, ints, reals, ints, reals]
        shape += [reals, ints]
        function = builder.inttoptr(
            args[0], cgutils.ir.FunctionType(cgutils.ir.VoidType(), shape).as_pointer()
        )
        builder.call(function, [
            left, right, number(n), number(m), number(k), pointer(real(1.0), real),
            start(b, signature.args[8], b_at), left_step,
            start(a, signature.args[4], a_at), right_step,
            pointer(real(0.0), real), start(c, signature.args[12], c_at), number(c_rows),
        ])
        return context.get_dummy_value()
    i = types.intp
    args = (i, i, i, i, a, i, i, i, b, i, i, i, c, i, i)
    return types.void(*args), build


@njit(inline="always")
def checked(at, size):
    if at < 0:
        at += size
    if at < 0 or at >= size:
        raise IndexError("an index is out of bounds")
    return at


@njit
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


@njit
def fill_uniform64(out, count, counter, seed):
    draw = np.uint64(counter)
    for i in range(0, count, 2):
        first, second = philox(np.uint64(i // 2), draw, seed)
        out[i] = float64(first >> np.uint64(11)) * 2.0**-53
        if i + 1 < count:
            out[i + 1] = float64(second >> np.uint64(11)) * 2.0**-53


@njit
def fill_uniform32(out, count, counter, seed):
    draw = np.uint64(counter)
    for i in range(0, count, 2):
        first, second = philox(np.uint64(i // 2), draw, seed)
        out[i] = float32(first >> np.uint64(40)) * float32(2.0**-24)
        if i + 1 < count:
            out[i + 1] = float32(second >> np.uint64(40)) * float32(2.0**-24)


'''

HEADER = _HELPERS + fastmath.SOURCE
"""The beginning of every generated module."""
