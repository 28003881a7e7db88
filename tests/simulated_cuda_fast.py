"""``math="fast"`` in Numba's simulator; `test_cuda.py` runs this file in a process of its own."""

from __future__ import annotations

import os

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.compiler.cuda import fast as cuda_fast

from .simulator import simulator

pytestmark = [
    pytest.mark.skipif(
        os.environ.get("NUMBA_ENABLE_CUDASIM") != "1", reason="runs in test_cuda.py's process"
    ),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]

BITS = np.arange(0, 1 << 32, 399_989, dtype=np.uint64).astype(np.uint32)
EDGES = [0.0, -0.0, 1.0, np.inf, -np.inf, np.nan, 88.8, -87.3, -88.8, -103.9, -104.1, 1e-45, -1e-45]
NUMBERS = np.concatenate([
    BITS.view(np.float32), np.array(EDGES, np.float32), np.linspace(-20, 20, 801, dtype=np.float32),
])  # fmt: skip


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GRAPHGRAD_CACHE", str(tmp_path))
    with simulator():
        yield


def logistic(x):
    """Return σ(x) in float64, exact for x far below 0."""
    small = np.exp(-abs(x))
    return np.where(x >= 0, 1, small) / (1 + small)


@pytest.mark.parametrize("ulps", [-1, 0, 1])
def test_the_logistic_function_is_exact_to_a_few_ulps(ulps, monkeypatch):
    """With reciprocals as far off as a device's may be."""
    off = f"1.0) / x * (float32(1.0) + {ulps} * float32(2.0**-23))"
    text = cuda_fast._SIMULATED.replace("1.0) / x", off)
    monkeypatch.setattr(cuda_fast, "_SIMULATED", text)
    x = gg.var("x", shape=NUMBERS.shape, dtype="float32")
    f = gg.compile([gg.sigmoid(x), gg.silu(x)], [x], target="cuda")
    assert "* reciprocal32(" in f.source
    sigma, silu = f(NUMBERS)
    wide = NUMBERS.astype(float)
    for found, exact, least in (
        (sigma, logistic(wide), 1.2e-38),
        (silu, wide * logistic(wide), 2e-36),  # below it σ(x) is subnormal, and then multiplied
    ):
        rounded = exact.astype(np.float32)
        assert np.array_equal(np.isnan(found), np.isnan(rounded))
        assert np.array_equal(found[np.isinf(rounded)], rounded[np.isinf(rounded)])
        normal = np.isfinite(rounded) & (abs(rounded) > least)
        assert np.max(abs(found[normal] / exact[normal] - 1)) < 4e-7
        small = np.isfinite(rounded) & ~normal
        assert np.max(abs(found[small] - exact[small])) < 3e-7 * least


def test_exact_arithmetic_and_float64_divide():
    for dtype, math in (("float32", "exact"), ("float64", "fast")):
        x = gg.var("x", shape=(3,), dtype=dtype)
        f = gg.compile([gg.sigmoid(x)], [x], target="cuda", math=math)
        assert "reciprocal32" not in f.source
        assert np.allclose(f(np.arange(3, dtype=dtype))[0], logistic(np.arange(3.0)), rtol=1e-6)


def test_what_users_divide_by_may_be_anything():
    x = gg.var("x", shape=(4,), dtype="float32")
    f = gg.compile([1 / x, x / (1 + gg.exp(x))], [x], target="cuda")
    assert "reciprocal32" not in f.source
    assert f(np.array([3e38, 1e-38, 0, np.inf], np.float32))[0][1] > 9e37
