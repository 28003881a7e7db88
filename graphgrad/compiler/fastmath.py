"""Elementary functions in float32 as plain arithmetic, which LLVM turns into vector code.

The C library's functions are called entry by entry. These are straight lines of multiplications
and additions without branches, so a loop over them becomes vector instructions, at a relative
error of a few 1e-7. The logarithm's coefficients and the two halves of log 2 are those of Moshier's
Cephes library (single precision; netlib.org/cephes), and so is exp(x) − 1 near 0. The others are
minimax fits made for this file: exp(r) − 1 − r by degree 6 on |r| ≤ log(2)/2 (to 3e-9), tanh(x)/x
by a quotient of two quartics in x² on |x| ≤ 9 (2e-8), erf(x)/x by one of two quintics on |x| ≤ 4
(3e-8), all exact at 0. Infinities, nan and subnormal results are as in IEEE arithmetic.
"""

from __future__ import annotations

__all__ = ["FAST", "SOURCE"]

FAST = {name: f"{name}32" for name in ("erf", "exp", "expm1", "log", "log1p", "tanh")}
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


@njit(error_model="numpy", fastmath={"contract"}, forceinline=True, cache=True)
def exp32(x):
    # x = n log 2 + r with |r| <= log(2)/2; exp(x) = 2**n exp(r). Adding 1.5 * 2**23 rounds to a
    # whole number and leaves it in the last bits, from where it goes into the exponent.
    c = x if x > float32(-104.0) else float32(-104.0)
    t = c * float32(1.44269504088896341) + float32(12582912.0)
    f = t - float32(12582912.0)
    r = (c - f * float32(0.693359375)) - f * float32(-2.12194440e-4)
    p = float32(1.3814467e-3) * r + float32(8.3687808e-3)
    p = p * r + float32(4.1668392e-2)
    p = p * r + float32(1.6666520e-1)
    p = p * r + float32(4.9999994e-1)
    p = p * r + float32(1.0)
    p = p * r + float32(1.0)
    # results below the normal range are made 2**64 times too large, and then scaled
    tiny = c < float32(-87.0)
    n = np.int32(bits_of_float(t) + (np.int32(64) if tiny else np.int32(0)))
    y = float_of_bits(np.int32(bits_of_float(p) + np.int32(n << np.int32(23))))
    y = y * (float32(5.42101086242752217e-20) if tiny else float32(1.0))
    return y if x <= float32(88.72283) else x * float32(inf)


@njit(error_model="numpy", fastmath={"contract"}, forceinline=True, cache=True)
def expm132(x):
    z = x * x
    p = float32(1.9875691500e-4) * x + float32(1.3981999507e-3)
    p = p * x + float32(8.3334519073e-3)
    p = p * x + float32(4.1665795894e-2)
    p = p * x + float32(1.6666665459e-1)
    p = p * x + float32(5.0000001201e-1)
    near = p * z + x
    return near if abs(x) < float32(0.34) else exp32(x) - float32(1.0)


@njit(error_model="numpy", fastmath={"contract"}, forceinline=True, cache=True)
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
    low = float32(-inf) if x == float32(0.0) else float32(nan)
    return y if x > float32(0.0) else low


@njit(error_model="numpy", fastmath={"contract"}, forceinline=True, cache=True)
def log1p32(x):
    # log(1 + x) and what 1 + x lost of x by rounding, which is nan at -1 and infinity
    w = float32(1.0) + x
    lost = (x - (w - float32(1.0))) / w
    y = log32(w) + (lost if abs(lost) < float32(1.0) else float32(0.0))
    return x if abs(x) < float32(1e-7) else y


@njit(error_model="numpy", fastmath={"contract"}, forceinline=True, cache=True)
def tanh32(x):
    # one choice a line: a choice within a choice can become a branch, and then no vector
    c = float32(9.0) if x > float32(9.0) else x
    c = float32(-9.0) if c < float32(-9.0) else c
    z = c * c
    p = float32(1.3419953e-8) * z + float32(2.0661369e-5)
    p = p * z + float32(3.4990030e-3)
    p = p * z + float32(1.3383986e-1)
    p = p * z + float32(1.0)
    q = float32(7.8047864e-7) * z + float32(3.2910494e-4)
    q = q * z + float32(2.5890234e-2)
    q = q * z + float32(4.6717308e-1)
    q = q * z + float32(1.0)
    y = c * p / q
    y = float32(1.0) if y > float32(1.0) else y
    return float32(-1.0) if y < float32(-1.0) else y


@njit(error_model="numpy", fastmath={"contract"}, forceinline=True, cache=True)
def erf32(x):
    c = float32(4.0) if x > float32(4.0) else x
    c = float32(-4.0) if c < float32(-4.0) else c
    z = c * c
    p = float32(1.9899148e-6) * z + float32(2.8381956e-4)
    p = p * z + float32(3.8562133e-3)
    p = p * z + float32(5.3018841e-2)
    p = p * z + float32(1.9293057e-1)
    p = p * z + float32(1.1283792)
    q = float32(3.7413174e-5) * z + float32(1.1787099e-3)
    q = q * z + float32(1.5153522e-2)
    q = q * z + float32(1.1509429e-1)
    q = q * z + float32(5.0431308e-1)
    q = q * z + float32(1.0)
    y = c * p / q
    y = float32(1.0) if y > float32(1.0) else y
    return float32(-1.0) if y < float32(-1.0) else y


'''
