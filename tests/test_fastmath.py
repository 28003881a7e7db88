"""Elementary functions of float32 as vector code: how exact they are, and that they are vectors."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from graphgrad.compiler.cache import load
from graphgrad.compiler.fastmath import FAST
from graphgrad.compiler.helpers import HELPERS

BITS = np.arange(0, 1 << 32, 9973, dtype=np.uint64).astype(np.uint32)
EDGES = np.array(
    [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 88.72283, 88.7229, -87.3, -87.4, -103.9, -104.1,
     1e-45, -1e-45, 1.1754942e-38, 3.4e38, -3.4e38, 0.625, 9.0, -9.0, 9.1, 1e-7, -0.99999994],
    np.float32,
)  # fmt: skip


@pytest.fixture(scope="module", params=sorted(FAST))
def compiled(request):
    """A loop over a fast function, its name, and the function itself."""
    function = getattr(load(HELPERS), FAST[request.param])

    @njit(error_model="numpy")
    def run(x, y):
        for i in range(len(x)):
            y[i] = function(x[i])

    return request.param, run


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_every_float32_is_exact_to_a_few_ulps(compiled):
    name, run = compiled
    x = np.concatenate([BITS.view(np.float32), EDGES, np.linspace(-2, 2, 4001, dtype=np.float32)])
    y = np.empty_like(x)
    run(x, y)
    exact = getattr(np, name)(x.astype(np.float64))
    rounded = exact.astype(np.float32)
    assert np.array_equal(np.isnan(y), np.isnan(rounded))
    normal = np.isfinite(rounded) & (abs(rounded) > 1.2e-38)
    assert np.max(abs(y[normal] / exact[normal] - 1)) < 4e-7
    rest = ~normal & ~np.isnan(rounded)
    infinite = np.isinf(rounded)
    assert np.array_equal(y[infinite], rounded[infinite])
    small = rest & ~infinite
    assert np.max(abs(y[small].astype(float) - exact[small])) < 3e-45


def test_tanh_never_leaves_its_range():
    x = np.linspace(-20, 20, 400_001, dtype=np.float32)
    run_tanh = getattr(load(HELPERS), FAST["tanh"])
    y = np.array([run_tanh(v) for v in x[:: len(x) // 4001]])
    assert np.max(abs(y)) == 1.0
    assert np.all(np.diff(y) >= -1e-6)


def test_loops_become_vector_code(compiled):
    _, run = compiled
    x = np.zeros(64, np.float32)
    run(x, x.copy())
    code = run.inspect_llvm(run.signatures[0])
    assert any(f"fmul contract <{n} x float>" in code or f"fmul <{n} x float>" in code
               for n in (4, 8, 16))  # fmt: skip
