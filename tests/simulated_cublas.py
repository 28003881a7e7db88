"""Products through cuBLASLt in Numba's simulator, with NumPy in the library's place.

`test_cublas.py` runs this file in a process of its own, for the simulator must be asked for before
Numba is imported: ``NUMBA_ENABLE_CUDASIM=1 python -m pytest tests/simulated_cublas.py``.
"""

from __future__ import annotations

import gc
import itertools
import os

import numpy as np
import pytest

import graphgrad as gg
from graphgrad import nn
from graphgrad.compiler.cuda import blas as cuda_blas
from graphgrad.compiler.cuda import cublas as cuda_cublas
from graphgrad.compiler.cuda import memory as cuda_memory
from graphgrad.errors import CompileError, DeviceMemoryError, MissingDependencyError
from graphgrad.graph import evaluate

from .cublas_in_numpy import CublasLt
from .simulator import simulator

pytestmark = [
    pytest.mark.skipif(
        os.environ.get("NUMBA_ENABLE_CUDASIM") != "1", reason="runs in test_cublas.py's process"
    ),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]
AUX = ["RELU_AUX_BIAS", "DRELU_BGRAD"]


@pytest.fixture(autouse=True, scope="module")
def _simulated():
    with simulator():
        yield


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """Return a function that puts NumPy in the library's place, for products of any size."""
    monkeypatch.setenv("GRAPHGRAD_CACHE", str(tmp_path))
    monkeypatch.setattr(cuda_blas, "LEAST", 0)

    def put(**settings):
        library = CublasLt(**settings)
        monkeypatch.setattr(cuda_cublas, "bindings", lambda: library)
        return library

    return put


def random(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def through(library, nodes, tolerance=1e-5, **options):
    """Compare with the uncompiled graph, twice; return the epilogues of the second run."""
    f = gg.compile(nodes, target="cuda", **options)
    for _ in range(2):
        library.called.clear()
        for node, a, b in zip(nodes, f(), evaluate(nodes), strict=True):
            assert (a.shape, a.dtype) == (node.shape, node.dtype)
            assert np.allclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True), node
    return library.called


# -- layouts -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("flip", [0, 1, 2, 3])
@pytest.mark.parametrize("shapes", [
    ((1, 1), (1, 1)), ((9, 5), (5, 7)), ((3, 40), (40, 2)), ((4, 3, 5), (4, 5, 2)),
    ((4, 3, 5), (5, 2)), ((3, 5), (4, 5, 2)), ((2, 3, 4, 5), (5, 6)), ((17, 4), (4, 1)),
])  # fmt: skip
def test_products_of_any_shape_and_layout(installed, shapes, flip, dtype):
    factors = []
    for k, shape in enumerate(shapes):
        value = random(*shape, seed=k, dtype=dtype)
        if flip >> k & 1:
            turned = (*range(len(shape) - 2), len(shape) - 1, len(shape) - 2)
            factors.append(gg.transpose(gg.var(f"x{k}", np.transpose(value, turned)), turned))
        else:
            factors.append(gg.var(f"x{k}", value))
    called = through(installed(), [factors[0] @ factors[1]], 1e-5 if dtype == "float32" else 1e-12)
    assert called == ["DEFAULT"]


def test_factors_that_are_parts_of_larger_matrices(installed):
    table = gg.var("table", random(12, 20))
    x, y = table[2:8, 3:9], gg.transpose(table[1:11:2, 5:11])
    assert through(installed(), [x @ y, y.T @ x.T]) == ["DEFAULT"] * 2


@pytest.mark.parametrize("build", [
    lambda x: x[:, ::2] @ x[:5],                                      # not side by side
    lambda x: x[::-1] @ x[:, :5],                                     # backwards
    lambda x: gg.sum(gg.reshape(x, (5, 2, 10)) @ x, 0),               # added up
    lambda x: gg.reshape(x, (2, 1, 5, 10)) @ gg.reshape(x, (5, 10, 2)),  # two batches at once
    lambda x: gg.broadcast_to(x[:1], (10, 10)) @ x,                   # one row again and again
], ids=["strided", "backwards", "added up", "batches", "broadcast"])  # fmt: skip
def test_what_cannot_be_expressed_is_our_own(installed, build):
    library = installed()
    assert through(library, [build(gg.var("x", random(10, 10)))]) == []


# -- epilogues ---------------------------------------------------------------------------------


def dense(activation=gg.relu, seed=0, bias=True):
    x, W = gg.var("x", random(9, 6, seed=seed)), gg.var("W", random(6, 11, seed=seed + 1))
    z = x @ W + gg.var("b", random(11, seed=seed + 2)) if bias else x @ W
    return activation(z), [x, W]


def test_a_bias_and_relu_go_along(installed):
    y, _ = dense()
    plain, _ = dense(lambda z: z)
    bare, _ = dense(bias=False)
    other, _ = dense(gg.tanh)
    library = installed()
    assert through(library, [y]) == ["RELU_BIAS"]
    assert through(library, [plain]) == ["BIAS"]
    assert through(library, [bare]) == ["RELU"]
    assert through(library, [other]) == ["DEFAULT"]


def test_a_bias_along_rows_is_none_of_the_librarys(installed):
    x, W = gg.var("x", random(9, 6)), gg.var("W", random(6, 9))
    b = gg.var("b", random(9, 1))
    assert through(installed(), [gg.relu(x @ W + b)]) == ["DEFAULT"]


def test_nobody_else_may_want_what_is_not_written(installed):
    y, _ = dense()
    z = y.inputs[0]
    library = installed()
    assert through(library, [y, z]) == ["DEFAULT"]
    assert through(library, [z]) == ["BIAS"]
    assert through(library, [y, z.inputs[0]]) == ["DEFAULT"]
    assert through(library, [y, gg.exp(z)]) == ["DEFAULT"]


def layers(loss=gg.sum, zeros=False):
    """Return a loss of two layers of ReLU and its gradients; some sums may be exactly 0."""
    x, y = gg.var("x", random(9, 6)), gg.var("y", random(9, 5, seed=9))
    if zeros:
        x = gg.var("x", np.where(np.arange(9)[:, None] % 3, random(9, 6), 0).astype(np.float32))
    sizes, h, parameters = (6, 13, 150, 5), x, []
    for k, (m, n) in enumerate(itertools.pairwise(sizes)):
        W = gg.var(f"W{k}", random(m, n, seed=k))
        b = gg.var(f"b{k}", random(n, seed=k + 5) * (not zeros))
        parameters += [W, b]
        h = h @ W + b
        h = gg.relu(h) if k < 2 else h
    total = loss(gg.square(h - y))
    return [total, *gg.grad(total, [*parameters, x])]


@pytest.mark.parametrize("zeros", [False, True])
def test_the_way_back_uses_the_bits_of_the_way_there(installed, zeros):
    called = through(installed(), layers(zeros=zeros), 1e-4)
    assert called.count("RELU_AUX_BIAS") == called.count("DRELU_BGRAD") == 2
    assert len(called) == 3 + 3 + 3


@pytest.mark.parametrize(("settings", "expected"), [
    ({"at_zero": 1}, {"RELU_BIAS": 2, "RELU_AUX_BIAS": 0, "DRELU_BGRAD": 0, "DEFAULT": 7}),
    ({"lacks": AUX[:1]}, {"RELU_BIAS": 2, "DRELU_BGRAD": 0, "DEFAULT": 7}),
    ({"lacks": AUX[1:]}, {"RELU_AUX_BIAS": 2, "DRELU": 2}),
    ({"lacks": ["DRELU", *AUX[1:]]}, {"RELU_BIAS": 2, "DRELU": 0, "DEFAULT": 7}),
    ({"lacks": ["RELU_BIAS"]}, {"RELU_AUX_BIAS": 2, "DRELU_BGRAD": 2}),
    ({"keeps_nan": False}, {"RELU_BIAS": 0, "RELU_AUX_BIAS": 0, "DEFAULT": 9}),
    ({"lacks": ["DEFAULT"]}, {}),
], ids=str)  # fmt: skip
def test_what_the_library_does_otherwise_or_not_is_our_own(installed, settings, expected):
    called = through(installed(**settings), layers(zeros=True), 1e-4)
    assert {name: called.count(name) for name in expected} == expected
    assert bool(called) is bool(expected)


def test_nan_stays_nan(installed):
    x = gg.var("x", np.full((4, 4), np.nan, np.float32))
    y = gg.relu(x @ gg.var("W", random(4, 4)) + gg.var("b", random(4)))
    assert through(installed(), [y, *gg.grad(gg.sum(y), [x])])
    assert np.isnan(gg.compile([y], target="cuda")()[0]).all()


def test_the_slope_of_relu_is_not_stored(installed):
    installed(lacks=["RELU_AUX_BIAS"])
    f = gg.compile(layers(), target="cuda")
    slopes = [n for k in f._runtime.fused.kernels for n in k.nodes if n.op == "heaviside"]
    assert len(slopes) == 2
    assert not set(slopes) & set(f._runtime.fused.stored)


def test_layers_of_many_axes(installed):
    x, W, b = gg.var("x", random(2, 3, 4)), gg.var("W", random(4, 7)), gg.var("b", random(7))
    V = gg.var("V", random(7, 2))
    y = gg.sum(gg.square(gg.relu(x @ W + b) @ V))
    called = through(installed(), [y, *gg.grad(y, [x, W, b, V])], 1e-4)
    assert "RELU_AUX_BIAS" in called
    assert "DRELU_BGRAD" in called


def test_second_derivatives(installed):
    x, W = gg.var("x", random(5, 4)), gg.var("W", random(4, 6))
    y = gg.sum(gg.square(gg.relu(x @ W + gg.var("b", random(6)))))
    (g,) = gg.grad(y, [W])
    assert through(installed(), [y, g, *gg.grad(gg.sum(gg.square(g)), [x, W])], 1e-3)


def net(seed):
    """Return a random network of layers, shared, skipped, masked and turned, and its gradients."""
    rng = np.random.default_rng(seed)

    def leaf(*shape):
        # small integers: sums are exact, and many of them exactly 0
        return gg.var(f"v{rng.integers(10**6)}", rng.integers(-2, 3, shape).astype(np.float32))

    n, width = (int(k) for k in rng.integers(2, 7, 2))
    x = leaf(n, width)
    pool, leaves = [x], [x]
    for _ in range(int(rng.integers(2, 5))):
        h = pool[rng.choice([-1, -1, -1, 0])]
        W, b = leaf(width, width), leaf(width)
        z = h @ (W.T if rng.integers(2) else W)
        z = (z + b, b + z, z, z + leaf(n, 1))[rng.integers(4)]
        y = (gg.relu, gg.relu, gg.relu, gg.tanh)[rng.integers(4)](z)
        y = (y, y, y + h, y * leaf(n, width), gg.relu(y))[rng.integers(5)]
        pool += [y] if rng.integers(4) else [y, z]
        leaves += [W, b]
    loss = gg.sum(gg.tanh((pool[-1] @ leaf(width, 3)) / 20))
    return [loss, *gg.grad(loss, leaves)] + ([pool[-1]] if rng.integers(2) else [])


def test_random_networks(installed):
    seen = set()
    for seed in range(25):
        seen |= set(through(installed(), net(seed), 1e-4))
    assert {"DEFAULT", "RELU", "RELU_BIAS", "RELU_AUX", "RELU_AUX_BIAS", "DRELU",
            "DRELU_BGRAD"} <= seen  # fmt: skip


# -- training ----------------------------------------------------------------------------------


def trained(target, epochs=3):
    x, y = random(40, 7), np.arange(40) % 3
    model = nn.Sequential([nn.Dense(16, activation="relu"), nn.Dense(9, activation="relu"),
                           nn.Dense(3)])  # fmt: skip
    model.compile(optimizer=nn.Adam(1e-2), loss="sparse_categorical_crossentropy", target=target)
    history = model.fit(x, y, epochs=epochs, batch_size=8, verbose=0)
    return history.history["loss"], [v.value for v in model.parameters]


def test_a_network_learns_the_same(installed):
    library = installed()
    library.called.clear()
    loss, found = trained("cuda")
    expected, values = trained("numpy")
    assert {*AUX, "DEFAULT"} <= set(library.called)
    assert np.allclose(loss, expected, rtol=1e-4)
    assert all(np.allclose(a, b, rtol=1e-3, atol=1e-4) for a, b in zip(found, values, strict=True))


# -- fewer digits ------------------------------------------------------------------------------


@pytest.mark.parametrize(("math", "least", "most"), [
    ("fast", 0, 2e-6), ("exact", 0, 2e-6), ("tf32", 1e-5, 2e-3), ("bf16", 1e-4, 1e-2),
])  # fmt: skip
def test_digits_are_lost_only_when_asked_for(installed, math, least, most):
    installed()
    x, y = random(20, 30), random(30, 20, seed=1)
    (found,) = gg.compile([gg.var("x", x) @ gg.var("y", y)], target="cuda", math=math)()
    exact = x.astype(float) @ y.astype(float)
    assert least <= np.abs(found - exact).max() / np.abs(exact).max() <= most


@pytest.mark.parametrize("math", ["tf32", "bf16"])
def test_a_check_allows_for_them(installed, math):
    installed()
    x = gg.var("x", random(20, 30))
    f = gg.compile([gg.tanh(x @ gg.var("y", random(30, 20, seed=1)))], target="cuda", math=math)
    assert 1e-5 < max(f.check().values()) < 0.1
    with pytest.raises(CompileError, match="differs by"):
        f.check(rtol=1e-6)


@pytest.mark.parametrize("math", ["tf32", "bf16"])
def test_float64_keeps_its_digits(installed, math):
    a, b = gg.var("a", random(5, 6, dtype=float)), gg.var("b", random(6, 7, dtype=float))
    assert through(installed(), [a @ b], 1e-13, math=math) == ["DEFAULT"]


@pytest.mark.parametrize("math", ["tf32", "bf16"])
def test_fewer_digits_need_the_extra(math):
    with pytest.raises(MissingDependencyError) as caught:
        gg.compile([gg.var("x", 1.0) + 1], target="cuda", math=math)
    said = str(caught.value)
    assert said.startswith(f"math '{math}': products on tensor cores need cuBLAS; ")
    assert said.endswith("or use math='fast'")


def test_a_library_that_is_wrong_is_not_used(installed, monkeypatch):
    library = installed()
    right = library.matmul
    monkeypatch.setattr(
        library, "matmul", lambda *a: (right(*a), library._matrices(*a[8:10]).fill(0))
    )
    x = gg.var("x", random(4, 4))
    f = gg.compile([x @ x], target="cuda")
    assert not any(launch.call for launch in f._runtime.text.step.launches)
    with pytest.raises(MissingDependencyError, match="a product of ones came out wrong"):
        gg.compile([x @ x], target="cuda", math="tf32")


# -- what is asked and held --------------------------------------------------------------------


def test_small_products_do_not_even_load_it(installed, monkeypatch):
    installed()
    monkeypatch.setattr(cuda_blas, "LEAST", 10**9)
    monkeypatch.setattr(cuda_cublas, "bindings", lambda: pytest.fail("loaded"))
    y, _ = dense()
    gg.compile([y], target="cuda")()


def test_sums_are_never_added_atomically_and_alignment_is_as_it_is(installed):
    library = installed()
    table = gg.var("table", random(33, 33))
    gg.compile([table[1:17, 1:17] @ table[16:32, 16:32]], target="cuda")
    told, preference = library.asked[-1]
    assert preference["REDUCTION_SCHEME_MASK"] == 2
    assert preference["MAX_WORKSPACE_BYTES"] == 32 * 2**20
    # A is our right factor, from entry 16·33 + 16; B the left one, from entry 34
    assert preference["MIN_ALIGNMENT_A_BYTES"] == 64
    assert preference["MIN_ALIGNMENT_B_BYTES"] == 8
    assert preference["MIN_ALIGNMENT_D_BYTES"] == preference["MIN_ALIGNMENT_C_BYTES"] == 64
    assert told["compute"] == 68


def test_everything_is_given_back(installed):
    library = installed()
    f = gg.compile(layers(), target="cuda")
    f()
    assert library.alive
    del f
    gc.collect()
    assert not library.alive


def test_no_room_for_the_workspace_is_an_error_with_sizes(installed, monkeypatch):
    installed(workspace=2**22)
    x = gg.var("x", random(4, 4))
    real = cuda_memory.free
    monkeypatch.setattr(cuda_memory, "free", lambda cuda: (2**21, real(cuda)[1]))
    with pytest.raises(DeviceMemoryError, match=r"0\.00419 GB are needed, 0\.0021 of the device's"):
        gg.compile([x @ x], target="cuda")


def test_a_call_that_fails_is_one_sentence(installed, monkeypatch):
    library = installed()
    x = gg.var("x", random(4, 4))
    f = gg.compile([x @ x], target="cuda")
    monkeypatch.setattr(library, "matmul", lambda *_: 1 / 0)
    with pytest.raises(CompileError) as caught:
        f()
    assert str(caught.value) == (
        "target 'cuda': cuBLAS does not make D[4, 4] = A·B over 4, column by column, leading "
        "dimensions A 4, B 4, D 4; epilogue DEFAULT (division by zero); use target='numba', which "
        "needs no GPU"
    )


# -- what is shown -----------------------------------------------------------------------------


def test_calls_are_seen_in_text_table_and_picture(installed):
    installed()
    f = gg.compile(layers(), target="cuda")
    table = str(f.kernels)
    assert "cublas 9×13" in table
    assert "matmul" in table
    calls = [k for k in f.kernels if k.kind == "cublas"]
    assert len(calls) == 9
    assert calls[0].flops == 2 * 9 * 13 * 6 + 3 * 9 * 13
    assert "epilogue RELU_AUX_BIAS" in calls[0].source
    assert "#   D[13, 9] = A·B over 6, column by column, leading dimensions A 13" in f.source
    compile(f.source, "source", "exec")
    assert "cublas over 9×13" in gg.draw(f).source
    assert len(f.profile()) == len(f.kernels)


def test_node_by_node_it_is_the_uncompiled_graph(installed):
    installed()
    f = gg.compile(layers(), target="cuda")
    assert max(f.check().values()) < 1e-4
