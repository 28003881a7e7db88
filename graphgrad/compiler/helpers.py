"""The few helpers that kernels call, as the text of a module that is compiled and cached once.

It is text and not a module of functions, since Numba's cache on disk would not notice when a
function in another file changes. Like all generated modules it bears the hash of its text in its
name, and kernels import it by that name, so a change of a helper makes new modules of kernels.
"""

from __future__ import annotations

from graphgrad.compiler import fastmath, threads

__all__ = ["EXPORTS", "HELPERS"]

_HELPERS = '''\
import math
from math import (
    acos, asin, atan, atan2, cos, cosh, erf, erfc, exp, expm1, inf, log, log1p, nan, sin, sinh,
    sqrt, tan, tanh,
)

import numpy as np
from numba import cfunc, njit, prange, types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array, populate_array
from numpy import float32, float64, floor, int64

ROWS, FLAG = 8, 9


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
def memory(typing, address, count, kind):
    """Return the array of `count` entries that begins at an address."""
    def build(context, builder, signature, args):
        out = make_array(signature.return_type)(context, builder)
        pointer = builder.inttoptr(args[0], context.get_data_type(kind.dtype).as_pointer())
        size = context.get_constant(
            types.intp, context.get_abi_sizeof(context.get_data_type(kind.dtype)))
        populate_array(
            out, data=pointer, shape=cgutils.pack_array(builder, [args[1]]),
            strides=cgutils.pack_array(builder, [size]), itemsize=size, meminfo=None,
        )
        return out._getvalue()
    return types.Array(kind.dtype, 1, "C")(address, types.intp, kind), build


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
         c, c_at, c_rows, more):
    """Multiply matrices by BLAS: entry (i, j) of a stands at a_at + a_rows*i + a_columns*j.

    The product is added to what c holds if `more` is 1, and overwrites it if it is 0.
    """
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

        _, m, n, k, a, a_at, a_rows, a_columns, b, b_at, b_rows, b_columns = args[:12]
        c, c_at, c_rows, more = args[12:]
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
            pointer(builder.sitofp(more, real), real), start(c, signature.args[12], c_at),
            number(c_rows),
        ])
        return context.get_dummy_value()
    i = types.intp
    args = (i, i, i, i, a, i, i, i, b, i, i, i, c, i, i, i)
    return types.void(*args), build


def tile(rows, width):
    """Return a function that multiplies `rows` rows by `width` columns, results in registers."""
    @intrinsic
    def multiply(typing, k, a, a_at, a_row, a_step, b, b_at, b_step, c, c_at, c_row, more):
        """c[r, :] = more*c[r, :] + the sum over k of a[r, k]*b[k, :]; rows of b and c run on."""
        real = c.dtype
        def build(context, builder, signature, args):
            k, a, a_at, a_row, a_step, b, b_at, b_step, c, c_at, c_row, more = args
            scalar = context.get_data_type(real)
            vector = cgutils.ir.VectorType(scalar, width)
            int32, align = cgutils.ir.IntType(32), context.get_abi_sizeof(scalar)
            a = make_array(signature.args[1])(context, builder, a).data
            b = make_array(signature.args[5])(context, builder, b).data
            c = make_array(signature.args[8])(context, builder, c).data

            def pack(data, at):
                return builder.bitcast(builder.gep(data, [at]), vector.as_pointer())

            def step(start, by, times):
                return builder.add(start, builder.mul(by, times))

            def number(n):
                return context.get_constant(types.intp, n)

            zero = cgutils.ir.Constant(vector, None)
            places = [pack(c, step(c_at, c_row, number(r))) for r in range(rows)]
            # an addition waits for the one before it, so few rows are summed in several strands
            strands = max(1, 4 // rows)
            totals = [[cgutils.alloca_once(builder, vector) for _ in range(rows)]
                      for _ in range(strands)]
            again = builder.icmp_signed("!=", more, number(0))
            with builder.if_else(again) as (then, otherwise):
                with then:
                    for total, place in zip(totals[0], places):
                        old = builder.load(place)
                        old.align = align
                        builder.store(old, total)
                with otherwise:
                    for total in totals[0]:
                        builder.store(zero, total)
            for strand in totals[1:]:
                for total in strand:
                    builder.store(zero, total)
            undefined = cgutils.ir.Constant(vector, cgutils.ir.Undefined)
            same = cgutils.ir.Constant(cgutils.ir.VectorType(int32, width), None)

            def add_products(at_k, strand):
                w = builder.load(pack(b, step(b_at, b_step, at_k)))
                w.align = align
                for r in range(rows):
                    at = step(step(a_at, a_row, number(r)), a_step, at_k)
                    x = builder.load(builder.gep(a, [at]))
                    x = builder.insert_element(undefined, x, int32(0))
                    x = builder.shuffle_vector(x, undefined, same)
                    product = builder.fmul(x, w, flags=("contract",))
                    total = builder.load(strand[r])
                    total = builder.fadd(total, product, flags=("contract",))
                    builder.store(total, strand[r])

            whole = builder.sdiv(k, number(strands))
            with cgutils.for_range(builder, whole) as loop:
                first = builder.mul(loop.index, number(strands))
                for s in range(strands):
                    add_products(builder.add(first, number(s)), totals[s])
            done = builder.mul(whole, number(strands))
            if strands > 1:
                with cgutils.for_range(builder, builder.sub(k, done)) as loop:
                    add_products(builder.add(done, loop.index), totals[0])
            for r, place in enumerate(places):
                total = builder.load(totals[0][r])
                for strand in totals[1:]:
                    total = builder.fadd(total, builder.load(strand[r]))
                builder.store(total, place).align = align
            return context.get_dummy_value()
        i = types.intp
        return types.void(i, a, i, i, i, b, i, i, c, i, i, i), build
    return multiply


def run_of(length, adds):
    """Return a function that copies or adds so many entries that stand side by side."""
    @intrinsic
    def move(typing, c, c_at, a, a_at):
        """c[c_at + i] = a[a_at + i], or += it, for all i < length."""
        def build(context, builder, signature, args):
            c, c_at, a, a_at = args
            scalar = context.get_data_type(signature.args[0].dtype)
            align = context.get_abi_sizeof(scalar)
            a = make_array(signature.args[2])(context, builder, a).data
            c = make_array(signature.args[0])(context, builder, c).data
            begin, width = 0, 16
            while begin < length:
                while width > length - begin:
                    width //= 2
                vector = cgutils.ir.VectorType(scalar, width)
                here = context.get_constant(types.intp, begin)

                def part(data, at):
                    place = builder.gep(data, [builder.add(at, here)])
                    return builder.bitcast(place, vector.as_pointer())

                value = builder.load(part(a, a_at))
                value.align = align
                if adds:
                    old = builder.load(part(c, c_at))
                    old.align = align
                    value = builder.fadd(old, value)
                builder.store(value, part(c, c_at)).align = align
                begin += width
            return context.get_dummy_value()
        i = types.intp
        return types.void(c, i, a, i), build
    return move


@intrinsic
def transpose16(typing, a, a_at, a_row, c, c_at, c_row):
    """c[j, i] = a[i, j] for 16 by 16 entries; the rows of a and of c run on."""
    def build(context, builder, signature, args):
        a, a_at, a_row, c, c_at, c_row = args
        scalar = context.get_data_type(signature.args[0].dtype)
        vector, int32 = cgutils.ir.VectorType(scalar, 16), cgutils.ir.IntType(32)
        align = context.get_abi_sizeof(scalar)
        a = make_array(signature.args[0])(context, builder, a).data
        c = make_array(signature.args[3])(context, builder, c).data

        def row(data, at, step, r):
            by = builder.mul(step, context.get_constant(types.intp, r))
            place = builder.gep(data, [builder.add(at, by)])
            return builder.bitcast(place, vector.as_pointer())

        def picked(numbers):
            return cgutils.ir.Constant(cgutils.ir.VectorType(int32, 16), list(numbers))

        low = picked(n for k in range(8) for n in (k, 16 + k))
        high = picked(n for k in range(8, 16) for n in (k, 16 + k))
        rows = []
        for r in range(16):
            value = builder.load(row(a, a_at, a_row, r))
            value.align = align
            rows.append(value)
        # four rounds in which the rows of the upper and the lower half are shuffled like cards
        for _ in range(4):
            rows = [builder.shuffle_vector(rows[k], rows[k + 8], mask)
                    for k in range(8) for mask in (low, high)]
        for r in range(16):
            builder.store(rows[r], row(c, c_at, c_row, r)).align = align
        return context.get_dummy_value()
    i = types.intp
    return types.void(a, i, i, c, i, i), build


@intrinsic
def address_of(typing, array):
    """Return where an array begins."""
    def build(context, builder, signature, args):
        data = make_array(signature.args[0])(context, builder, args[0]).data
        return builder.ptrtoint(data, context.get_value_type(types.int64))
    return types.int64(array), build


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
        for i in range(count):
            row = rows[step*count + i]*width
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

HELPERS = _HELPERS + threads.SOURCE + fastmath.SOURCE
"""The module of helpers."""
EXPORTS = [
    "acos", "add", "address_of", "asin", "atan", "atan2", "batch", "bits_of_float", "call",
    "cfunc", "checked", "cos", "cosh", "cycles", "erf", "erfc", "exp", "exp32", "expm1", "expm132",
    "fill_uniform32", "fill_uniform64", "float32", "float64", "float_of_bits", "floor", "gemm",
    "inf", "int64", "log", "log1p", "log1p32", "log32", "math", "memory", "nan", "njit", "np",
    "run_of", "sin", "sinh", "spread", "sqrt", "tan", "tanh", "tanh32", "tile", "transpose16",
    "view",
]  # fmt: skip
"""What kernels may use of it."""
