"""Elementary functions of float32 as vector code: how exact they are, and that they are vectors."""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest
from numba import njit
from scipy import special

import graphgrad as gg
from graphgrad.compiler.cache import load, name_of
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
    exact = (special.erf if name == "erf" else getattr(np, name))(x.astype(np.float64))
    rounded = exact.astype(np.float32)
    assert np.array_equal(np.isnan(y), np.isnan(rounded))
    normal = np.isfinite(rounded) & (abs(rounded) > 1.2e-38)
    assert np.max(abs(y[normal] / exact[normal] - 1)) < 4e-7
    rest = ~normal & ~np.isnan(rounded)
    infinite = np.isinf(rounded)
    assert np.array_equal(y[infinite], rounded[infinite])
    small = rest & ~infinite
    assert np.max(abs(y[small].astype(float) - exact[small])) < 3e-45


@pytest.mark.parametrize("name", ["erf", "tanh"])
def test_what_is_bounded_never_leaves_its_range(name):
    x = np.linspace(-20, 20, 400_001, dtype=np.float32)
    function = getattr(load(HELPERS), FAST[name])
    y = np.array([function(v) for v in x[:: len(x) // 4001]])
    assert np.max(abs(y)) == 1.0
    assert np.all(np.diff(y) >= -1e-6)


def assert_loops_are_vectors(name):
    helpers = load(HELPERS)
    function, memory, view = (getattr(helpers, f) for f in (FAST[name], "memory", "view"))

    @njit(error_model="numpy", fastmath={"contract"})
    def layer(address):
        """The activation of a layer and its slope, as kernels have them."""
        arena = memory(address, 6176, np.float32)
        z, b = view(arena, 0, 2048), view(arena, 2048, 32)
        y, slope = view(arena, 2080, 2048), view(arena, 4128, 2048)
        for i in range(64):
            for j in range(32):
                value = function(z[32 * i + j] + b[j])
                y[32 * i + j] = value
                slope[32 * i + j] = np.float32(1.0) - value * value

    arena = np.zeros(6176, np.float32)
    layer(arena.ctypes.data)
    code = layer.inspect_llvm(layer.signatures[0])
    assert any(f"fmul contract <{n} x float>" in code for n in (4, 8, 16))
    assert "fmul contract float" not in code


@pytest.mark.parametrize("name", sorted(FAST))
def test_loops_become_vector_code(name):
    assert_loops_are_vectors(name)


@pytest.mark.parametrize("name", ["erf", "tanh"])
def test_loops_become_vector_code_when_nothing_was_compiled_before(name, tmp_path, monkeypatch):
    monkeypatch.setenv("GRAPHGRAD_CACHE", str(tmp_path))
    monkeypatch.delitem(sys.modules, name_of(HELPERS), raising=False)
    x = gg.var("x", shape=(6007,), dtype="float32")
    gg.compile([getattr(gg, name)(x)], [x])
    assert_loops_are_vectors(name)


@pytest.mark.parametrize("width", [8, 10, 16, 24, 32])
@pytest.mark.parametrize("name", ["erf", "tanh"])
def test_narrow_layers_become_vector_code(name, width, tmp_path, monkeypatch):
    """Short loops were unrolled, and the many lines that came of it were left as they were."""
    monkeypatch.setenv("GRAPHGRAD_CACHE", str(tmp_path))
    x, w = (gg.var(n, shape=s, dtype="float32") for n, s in (("x", (100, 2)), ("w", (2, width))))
    b = gg.var("b", np.zeros(width, np.float32))
    y = gg.sum(getattr(gg, name)(x @ w + b) @ np.ones((width, 3), np.float32))
    f = gg.compile([y], [x, w])
    code = "".join(f._runtime._epoch.inspect_llvm().values())
    assert re.search("fdiv (contract )?<(8|16) x float>", code)
    given = np.random.default_rng(0).normal(size=(100, 2)), np.ones((2, width))
    expected = getattr(gg, name)(given[0] @ given[1]).sum() * 3
    assert f(*(a.astype(np.float32) for a in given))[0] == pytest.approx(expected, rel=1e-4)
