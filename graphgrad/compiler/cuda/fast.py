"""Fast arithmetic of float32 in CUDA text: reciprocals where the divisor is near 1.

A division to the last bit is a dozen instructions and a branch, for divisors that are huge or tiny.
The logistic function divides by 1 + exp(−|x|), between 1 and 2, where the device's reciprocal is
one instruction and at most 1 ulp off (PTX ISA, rcp.approx.ftz.f32). What a user divides by may be
anything, so other divisions stay as they are; and so do NVIDIA's exp, log and tanh, which are
straight lines of arithmetic already.
"""

from __future__ import annotations

__all__ = ["fast", "header"]

_LOGISTIC = "(float32(1.0) + exp(-abs("

_DEVICE = '''

from llvmlite import ir
from numba import types
from numba.cuda.extending import intrinsic


@intrinsic
def reciprocal32(typing, x):
    """Return 1/x of a float32 between 1 and 2, to 1 ulp; of nan, nan."""
    def write(context, builder, signature, given):
        kind = ir.FunctionType(ir.FloatType(), [ir.FloatType()])
        return builder.call(ir.InlineAsm(kind, "rcp.approx.ftz.f32 $0, $1;", "=f,f"), given)
    return types.float32(types.float32), write
'''

_SIMULATED = '''

def reciprocal32(x):
    """Return 1/x of a float32."""
    return float32(1.0) / x
'''


def header(simulated: bool) -> str:
    """Return the function of fast reciprocals, for the device or Numba's simulator."""
    return _SIMULATED if simulated else _DEVICE


def fast(text: str) -> str:
    """Return the code of a float32 with fast reciprocals.

    Example:
        >>> fast("x / (float32(1.0) + exp(-abs(x)))")
        'x * reciprocal32(float32(1.0) + exp(-abs(x)))'
    """
    return text.replace(f" / {_LOGISTIC}", f" * reciprocal32{_LOGISTIC}")
