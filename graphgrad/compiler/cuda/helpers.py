"""What generated CUDA modules begin with: imports and device functions, as text.

The simulator runs kernels as plain Python on NumPy's scalars, so there the scalar functions are
NumPy's, which give nan and infinity where Python's raise.
"""

from __future__ import annotations

__all__ = ["header"]

_DEVICE = """\
from math import (
    acos, asin, atan, atan2, cos, cosh, erf, erfc, exp, expm1, inf, log, log1p, nan, sin, sinh,
    sqrt, tan, tanh,
)

from numba import cuda
from numba.cuda.libdevice import floor, floorf
from numpy import bool_, float32, float64, int32, int64, uint32 as u32, uint64
"""

_SIMULATED = """\
from math import inf, nan

from numba import cuda
from numpy import (
    arccos as acos, arcsin as asin, arctan as atan, arctan2 as atan2, bool_, cos, cosh, exp, expm1,
    float32, float64, floor, int64, log, log1p, sin, sinh, sqrt, tan, tanh, uint64,
)
from scipy.special import erf, erfc

floorf, int32, u32 = floor, int, int
"""

_PHILOX = '''

@cuda.jit(device=True)
def philox(block, draw, seed):
    """Return two random 64-bit words (Philox-4x32-10, Salmon et al. 2011)."""
    low = uint64(0xFFFFFFFF)
    half = uint64(32)
    a, b = block & low, block >> half
    c, d = draw & low, draw >> half
    k0, k1 = seed & low, seed >> half
    for _ in range(10):
        x = a * uint64(0xD2511F53)
        y = c * uint64(0xCD9E8D57)
        a, b, c, d = (y >> half) ^ b ^ k0, y & low, (x >> half) ^ d ^ k1, x & low
        k0 = (k0 + uint64(0x9E3779B9)) & low
        k1 = (k1 + uint64(0xBB67AE85)) & low
    return (a << half) | b, (c << half) | d
'''


def header(simulated: bool, random: bool) -> str:
    """Return the first lines of a module of kernels.

    Args:
        simulated: whether it is for Numba's simulator.
        random: whether random numbers are drawn.
    """
    return (_SIMULATED if simulated else _DEVICE) + (_PHILOX if random else "")
