"""Random numbers as a pure function of a seed and a counter: the same bits on every executor.

The generator is Philox-4x32-10 (Salmon, Moraes, Dror and Shaw 2011, "Parallel random numbers: as
easy as 1, 2, 3", SC11). Entry i of the counter-th draw needs nothing but i, the counter and the
seed, so any number of threads computes the same numbers in any order.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from graphgrad import dtypes, shapes
from graphgrad.errors import DtypeError, ShapeError
from graphgrad.ops.define import case, structured

__all__ = ["philox", "random_uniform"]

MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
WEYL = (np.uint64(0x9E3779B9), np.uint64(0xBB67AE85))
ROUNDS = 10
LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)


def philox(counter: tuple[Any, Any, Any, Any], key: tuple[Any, Any]) -> tuple[Any, Any, Any, Any]:
    """Return four 32-bit words per counter, as uint64 arrays holding values below 2**32.

    Args:
        counter: four uint64 scalars or arrays holding 32-bit words; they broadcast.
        key: two uint64 scalars holding 32-bit words.

    Example:
        >>> [f"{int(w):08x}" for w in philox((0, 0, 0, 0), (0, 0))]
        ['6627e8d5', 'e169c58d', 'bc57ac4c', '9b00dbd8']
    """
    a, b, c, d = (np.asarray(w, np.uint64) for w in counter)
    k0, k1 = (np.asarray(w, np.uint64) for w in key)
    for _ in range(ROUNDS):
        x, y = a * MULTIPLIERS[0], c * MULTIPLIERS[1]
        a, b, c, d = (y >> HALF) ^ b ^ k0, y & LOW, (x >> HALF) ^ d ^ k1, x & LOW
        k0, k1 = (k0 + WEYL[0]) & LOW, (k1 + WEYL[1]) & LOW
    return a, b, c, d


def bits(n: int, counter: int, seed: int) -> Any:
    """Return n random 64-bit words: two per Philox block, block i // 2 for entry i."""
    blocks = np.arange((n + 1) // 2, dtype=np.uint64)
    draw = np.uint64(counter & 0xFFFFFFFFFFFFFFFF)
    w = philox(
        (blocks & LOW, blocks >> HALF, draw & LOW, draw >> HALF),
        (seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF),
    )
    words = np.stack([(w[0] << HALF) | w[1], (w[2] << HALF) | w[3]], axis=-1)
    return words.reshape(-1)[:n]


def _uniform(counter: Any, shape: shapes.Shape, seed: int, dtype: Any) -> Any:
    words = bits(shapes.size(shape), int(np.real(counter)), seed).reshape(shape)
    if dtype is dtypes.FLOAT32:
        return ((words >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24))[()]
    return ((words >> np.uint64(11)).astype(np.float64) * 2.0**-53)[()]


def _prepare(counter: Any, shape: Any = (), seed: int = 0, dtype: Any = float) -> Any:
    kind = dtypes.canonical(dtype)
    if not dtypes.is_float(kind):
        raise DtypeError(f"random_uniform: dtype {kind}; expected float64 or float32")
    size = shapes.as_shape(shape)
    return (counter,), {"shape": size, "seed": operator.index(seed), "dtype": kind}


def _shape(counter: shapes.Shape, shape: shapes.Shape, **_: Any) -> shapes.Shape:
    if counter != ():
        raise ShapeError(f"the counter has shape {counter}; expected a scalar")
    return shape


def _counter_type(counter: Any) -> Any:
    if counter is not dtypes.INT64:
        raise DtypeError(f"the counter is {counter}; expected int64, as in gg.var(…, dtype=int)")
    return dtypes.FLOAT64


random_uniform = structured(
    "random_uniform",
    doc="""Return numbers drawn uniformly from [0, 1), a pure function of counter and seed.

    Args:
        counter: which draw it is: an int64 scalar, often a variable that counts the steps.
        shape: of the result.
        seed: an integer below 2**64; give each use in a graph its own.
        dtype: float64 (53 random bits each) or float32 (24).

    Example:
        >>> import graphgrad as gg
        >>> step = gg.var("step", 0, dtype=int)
        >>> u = gg.random_uniform(step, (2,), seed=7)
        >>> first = u.value.tolist()
        >>> step.value = 1
        >>> u.value.tolist() == first
        False
        >>> step.value = 0
        >>> u.value.tolist() == first
        True
    """,
    prepare=_prepare,
    forward=_uniform,
    shape=_shape,
    kind="random",
    vjp=[None],
    dtype=_counter_type,
    text="uniform(#1)",
    latex=r"\operatorname{uniform}\left(#1\right)",
    symbol="random",
    cases=[case(3, shape=(5,), seed=1), case(0, shape=(2, 3)), case(1, dtype="float32")],
)
