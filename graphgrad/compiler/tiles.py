"""Matrix products and moves in vector registers, as text of the helpers' module.

They are written in LLVM's own instructions, for two reasons: a tile of 8 by 32 numbers is one call
in the kernels' text and not hundreds of lines, which would take Numba long to compile; and vectors
are asked for and not hoped for. Large products are calls of BLAS.
"""

from __future__ import annotations

__all__ = ["SOURCE"]

SOURCE = '''\
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
            data = data_of(context, builder, kind_of, array)
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
            a = data_of(context, builder, signature.args[1], a)
            b = data_of(context, builder, signature.args[5], b)
            c = data_of(context, builder, signature.args[8], c)

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
            a = data_of(context, builder, signature.args[2], a)
            c = data_of(context, builder, signature.args[0], c)
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
        a = data_of(context, builder, signature.args[0], a)
        c = data_of(context, builder, signature.args[3], c)

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


'''
"""The part of the helpers' module that multiplies and moves."""
