"""Vectors of 16 bytes in Numba's simulator, whose loads and stores check that they are aligned.

As `simulated_cuda.py`, this runs in a process of its own, which `test_cuda.py` starts.
"""

from __future__ import annotations

import os

import numpy as np
import pytest

import graphgrad as gg

from .simulator import simulator

pytestmark = pytest.mark.skipif(
    os.environ.get("NUMBA_ENABLE_CUDASIM") != "1", reason="runs in test_cuda.py's process"
)
SIZES = [31, 32, 33, 35, 36, 63, 64, 65, 67, 131]
"""Around where vectors begin to be used (32 entries here), and around multiples of a grid."""


@pytest.fixture(autouse=True, scope="module")
def _own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRAPHGRAD_CACHE", str(tmp_path_factory.mktemp("cache")))
        with simulator():
            yield


def random(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def agrees(nodes):
    """Compare the CUDA target with NumPy, two calls of each; return the former's text."""
    found, sources = [], []
    for target in ("cuda", "numpy"):
        made, variables = nodes()
        f = gg.compile(made, updates=variables, target=target)
        calls = [a for _ in range(2) for a in f()]
        found.append([*calls, *(v.value for v in variables)])
        sources.append(f.source)
    for a, b in zip(*found, strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        assert np.allclose(a, b, rtol=2e-5 if a.dtype == np.float32 else 1e-11, equal_nan=True)
    return sources[0]


def uses(source):
    """Return how many loads and stores of vectors a text has."""
    body = source[source.index("def launch_1") :]
    return body.count("load_vector("), body.count("store_vector(")


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize(("dtype", "each"), [("float32", 1), ("float64", 2)])
def test_long_loops_of_every_size(n, dtype, each):
    def nodes():
        x, y = (gg.var(k, random(n, seed=ord(k), dtype=dtype)) for k in "xy")
        return [x * gg.tanh(y) + gg.var("s", np.asarray(0.5, dtype))], {}

    assert uses(agrees(nodes)) == ((2 * each, each) if n >= 32 else (0, 0))


@pytest.mark.parametrize("n", [32, 67])
def test_entries_of_several_types_side_by_side(n):
    def nodes():
        x, y = gg.var("x", random(n, dtype=np.float32)), gg.var("y", random(n, seed=1))
        i = gg.var("i", np.arange(n) % 5, dtype=int)
        flags = gg.var("flags", np.arange(n) % 3 == 0, dtype=bool)
        total = x * y + i
        return [total, total > 0, gg.where(flags, x, x * 2), gg.var("k", 2.0) * y], {}

    assert uses(agrees(nodes)) == (3, 5)


@pytest.mark.parametrize("n", [32, 33, 66])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_updates_in_place(n, dtype):
    def nodes():
        w, m, g = (gg.var(k, random(n, seed=ord(k), dtype=dtype)) for k in "wmg")
        m1 = m * np.asarray(0.9, dtype) + g
        return [], {m: m1, w: w - gg.tanh(m1) * np.asarray(0.1, dtype)}

    each = 1 if dtype == "float32" else 2
    assert uses(agrees(nodes)) == (3 * each, 2 * each)


@pytest.mark.parametrize(("shape", "count"), [((5, 8), 2), ((5, 10), 0), ((3, 2, 8), 2)])
def test_rows_and_columns_that_are_repeated(shape, count):
    def nodes():
        x, row = gg.var("x", random(*shape)), gg.var("row", random(shape[-1], seed=1))
        column = gg.var("column", random(*shape[:-1], 1, seed=2))
        return [x * column + row], {}

    loads, stores = uses(agrees(nodes))
    assert (loads >= 2 * count, stores) == (True, count)


@pytest.mark.parametrize("start", [0, 1, 4])
def test_what_does_not_begin_at_a_multiple_is_loaded_entry_by_entry(start):
    def nodes():
        x = gg.var("x", random(40, dtype=np.float32))
        return [x[start : start + 36] * x[::-1][:36]], {}

    assert uses(agrees(nodes)) == (1 if start % 4 == 0 else 0, 1)


def test_turned_arrays_are_loaded_entry_by_entry():
    def nodes():
        x, y = gg.var("x", random(8, 12)), gg.var("y", random(12, 8, seed=1))
        return [gg.exp(x) + gg.transpose(y)], {}

    assert uses(agrees(nodes)) == (2, 2)


@pytest.mark.parametrize("n", [127, 128, 129, 131, 600])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sums_that_store_what_they_add_up(n, dtype):
    def nodes():
        x = gg.var("x", random(n, dtype=dtype))
        return [gg.sum(gg.tanh(x)), gg.grad(gg.sum(gg.tanh(x)), x), gg.max(x)], {}

    loads, stores = uses(agrees(nodes))
    assert loads > 0
    assert stores > 0


@pytest.mark.parametrize("shape", [(3, 64), (3, 65), (64, 3), (2, 3, 64), (2, 64, 4)])
@pytest.mark.parametrize("axis", [-1, 0, (0, -1)])
def test_sums_along_any_axis(shape, axis):
    def nodes():
        x, s = gg.var("x", random(*shape)), gg.var("s", random(shape[-1], seed=1))
        return [gg.sum(x * s, axis), gg.prod(gg.tanh(x), axis)], {}

    agrees(nodes)


def test_inputs_begin_at_a_multiple_whatever_stands_before_them():
    x = gg.var("data", shape=(64,), dtype="float32")
    a, b, c = (
        gg.var(k, random(*shape, dtype=np.float32))
        for k, shape in {"a": (19, 3), "b": (3, 1), "c": (1, 2)}.items()
    )
    f = gg.compile([gg.tanh(x), (a @ b) @ c], [x], target="cuda")
    assert f._runtime.plan.sizes[x.dtype] % 4 != 0  # the product between ends with its 19 entries
    assert "load_vector(f32, data" in f.source
    given = random(64, dtype=np.float32)
    assert np.allclose(f(given)[0], np.tanh(given))
