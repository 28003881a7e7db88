"""Elementary functions in float32 as plain arithmetic, which LLVM turns into vector code.

The C library's functions are called entry by entry. These are straight lines of multiplications
and additions without branches, so a loop over them becomes vector instructions, at a relative
error of a few 1e-7. Coefficients and range reductions are those of Moshier's Cephes library
(single precision: expf, logf, tanhf; netlib.org/cephes). Infinities, nan and subnormal results
are as in IEEE arithmetic.
"""

from __future__ import annotations

__all__ = ["FAST", "SOURCE"]

FAST = {name: f"{name}32" for name in ("exp", "log", "log1p", "expm1", "tanh")}
"""The functions that have a fast form, and its name."""

SOURCE = '''\
@intrinsic
def float_of_bits(typing, bits):
    """Return the float32 with these 32 bits."""
    def build(context, builder, signature, args):
        return builder.bitcast(args[0], context.get_value_type(types.float32))
    return types.float32(types.int32), build


@intrinsic
def bits_of_float(typing, x):
    """Return the 32 bits of a float32."""
    def build(context, builder, signature, args):
        return builder.bitcast(args[0], context.get_value_type(types.int32))
    return types.int32(types.float32), build


@njit(error_model="numpy", fastmath={"contract"}, cache=True)
def exp32(x):
    # x = n log 2 + r with |r| <= log(2)/2; exp(x) = 2**n exp(r), 2**n in two halves so that
    # neither overflows before the product does
    c = min(max(x, float32(-104.0)), float32(89.0))
    z = c * float32(1.44269504088896341)
    n = np.int32(z + float32(0.5) if z >= float32(0.0) else z - float32(0.5))
    f = float32(n)
    r = (c - f * float32(0.693359375)) - f * float32(-2.12194440e-4)
    p = float32(1.9875691500e-4) * r + float32(1.3981999507e-3)
    p = p * r + float32(8.3334519073e-3)
    p = p * r + float32(4.1665795894e-2)
    p = p * r + float32(1.6666665459e-1)
    p = p * r + float32(5.0000001201e-1)
    p = p * (r * r) + r + float32(1.0)
    half = n >> np.int32(1)
    a = float_of_bits(np.int32((half + np.int32(127)) << np.int32(23)))
    b = float_of_bits(np.int32((n - half + np.int32(127)) << np.int32(23)))
    y = p * a * b
    return y if x == x else x


@njit(error_model="numpy", fastmath={"contract"}, cache=True)
def expm132(x):
    z = x * x
    p = float32(1.9875691500e-4) * x + float32(1.3981999507e-3)
    p = p * x + float32(8.3334519073e-3)
    p = p * x + float32(4.1665795894e-2)
    p = p * x + float32(1.6666665459e-1)
    p = p * x + float32(5.0000001201e-1)
    near = p * z + x
    return near if abs(x) < float32(0.34) else exp32(x) - float32(1.0)


@njit(error_model="numpy", fastmath={"contract"}, cache=True)
def log32(x):
    # subnormal numbers are scaled into the normal range first
    tiny = x < float32(1.17549435e-38)
    s = x * float32(8388608.0) if tiny else x
    bits = bits_of_float(s)
    e = (bits >> np.int32(23)) - np.int32(126)
    m = float_of_bits(np.int32((bits & np.int32(0x007FFFFF)) | np.int32(0x3F000000)))
    low = m < float32(0.707106781186547524)
    k = float32(e) - (float32(1.0) if low else float32(0.0))
    k = k - (float32(23.0) if tiny else float32(0.0))
    t = (m + m if low else m) - float32(1.0)
    z = t * t
    p = float32(7.0376836292e-2) * t + float32(-1.1514610310e-1)
    p = p * t + float32(1.1676998740e-1)
    p = p * t + float32(-1.2420140846e-1)
    p = p * t + float32(1.4249322787e-1)
    p = p * t + float32(-1.6668057665e-1)
    p = p * t + float32(2.0000714765e-1)
    p = p * t + float32(-2.4999993993e-1)
    p = p * t + float32(3.3333331174e-1)
    y = p * (t * z) + k * float32(-2.12194440e-4) - float32(0.5) * z
    y = t + y + k * float32(0.693359375)
    y = y if x < float32(inf) else x
    y = y if x > float32(0.0) else (float32(-inf) if x == float32(0.0) else float32(nan))
    return y if x == x else x


@njit(error_model="numpy", fastmath={"contract"}, cache=True)
def log1p32(x):
    # log(1 + x) and what 1 + x lost of x by rounding
    w = float32(1.0) + x
    y = log32(w) + (x - (w - float32(1.0))) / w
    y = y if w > float32(0.0) and x < float32(inf) else log32(w)
    return x if abs(x) < float32(1e-7) else y


@njit(error_model="numpy", fastmath={"contract"}, cache=True)
def tanh32(x):
    z = x * x
    p = float32(-5.70498872745e-3) * z + float32(2.06390887954e-2)
    p = p * z + float32(-5.37397155531e-2)
    p = p * z + float32(1.33314422036e-1)
    p = p * z + float32(-3.33332819422e-1)
    near = p * z * x + x
    far = float32(1.0) - float32(2.0) / (exp32(float32(2.0) * abs(x)) + float32(1.0))
    far = -far if x < float32(0.0) else far
    return near if abs(x) < float32(0.625) else far


'''
