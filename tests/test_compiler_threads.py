"""Groups of kernels on shares of rows, threads, blocks, epochs: the same numbers as one by one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.compiler import cpu, regions
from graphgrad.errors import CompileError, DtypeError, ShapeError

pytest.importorskip("numba")
pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def shared(monkeypatch):
    """Let even small work be cut into rows, blocks and columns, among three threads."""

    def set_up(cache=2048, threads=3):
        monkeypatch.setattr(regions, "SHARED_WORK", 1)
        monkeypatch.setattr(regions, "CACHE", cache)
        monkeypatch.setattr(cpu, "count", lambda: threads)

    return set_up


def network(batch=12, sizes=(5, 8, 7, 4), dtype="float64"):
    """Return inputs, parameters and loss of a network with softmax cross-entropy."""
    rng = np.random.default_rng(0)
    x = gg.var("x", shape=(batch, sizes[0]), dtype=dtype)
    y = gg.var("y", shape=(batch,), dtype="int64")
    h, parameters = x, []
    for k in range(len(sizes) - 1):
        W = gg.var(f"W{k}", rng.normal(size=sizes[k : k + 2]).astype(dtype))
        b = gg.var(f"b{k}", rng.normal(size=sizes[k + 1]).astype(dtype))
        parameters += [W, b]
        z = h @ W + b
        h = gg.tanh(z)
    data = rng.normal(size=x.shape).astype(dtype), rng.integers(0, sizes[-1], batch)
    return [x, y], parameters, gg.softmax_cross_entropy(z, y), data


def images(batch=6):
    """Return the same of a small convolutional network."""
    rng = np.random.default_rng(1)
    x = gg.var("x", shape=(batch, 2, 8, 8))
    y = gg.var("y", shape=(batch,), dtype="int64")
    k1, k2 = (gg.var("k", rng.normal(size=s)) for s in ((3, 2, 3, 3), (4, 3, 3, 3)))
    b, W = gg.var("b", rng.normal(size=(3, 1, 1))), gg.var("W", rng.normal(size=(16, 5)))
    h = gg.max_pool2d(gg.relu(gg.conv2d(x, k1, padding=1) + b), 2)
    h = gg.max_pool2d(gg.relu(gg.conv2d(h, k2, padding=1)), 2)
    loss = gg.softmax_cross_entropy(h.reshape(batch, -1) @ W, y)
    return [x, y], [k1, k2, b, W], loss, (rng.normal(size=x.shape), rng.integers(0, 5, batch))


def trained(inputs, parameters, loss):
    """Return outputs and updates of a step with momentum."""
    gradients = gg.grad(loss, parameters)
    updates = {}
    for w, d in zip(parameters, gradients, strict=True):
        m = gg.var("m", np.zeros(w.shape, w.dtype))
        new = 0.9 * m + d
        updates |= {m: new, w: w - 0.1 * new}
    return [loss, *gradients], updates


@pytest.mark.parametrize("make", [network, images])
@pytest.mark.parametrize("cache", [512, 4096, 1 << 20])
def test_rows_and_blocks_give_the_numbers_of_the_uncompiled_graph(shared, make, cache):
    inputs, parameters, loss, data = make()
    outputs, updates = trained(inputs, parameters, loss)
    shared(cache)
    f = gg.compile(outputs, inputs, updates)
    assert "def run(which, part, table):" in f.source
    for _ in range(3):
        report = f.check(*data)
        f(*data)
        assert max(report.values()) < 1e-12


def test_blocks_are_used_where_they_should_be(shared):
    inputs, parameters, loss, data = images()
    shared(4096)
    f = gg.compile([loss, *gg.grad(loss, parameters)], inputs)
    assert "some rows" in f.source
    assert "for low in range(part * 6 // 3, last, 1):" in f.source
    f.check(*data)


def test_wide_products_are_shared_by_columns(shared, monkeypatch):
    monkeypatch.setattr(regions, "SMALL_PRODUCT", 100)
    from graphgrad.compiler import products

    monkeypatch.setattr(products, "SMALL_PRODUCT", 100)
    inputs, parameters, loss, data = network(12, (40, 200, 4))
    shared(2048)
    f = gg.compile([loss, *gg.grad(loss, parameters)], inputs)
    assert "low, high = part * 200 // 3" in f.source
    f.check(*data)


def test_an_index_out_of_bounds_is_an_error_in_any_thread_and_updates_nothing(shared):
    W, at = gg.var("W", np.ones((10, 4))), gg.var("at", shape=(9,), dtype="int64")
    h = gg.tanh(gg.take(W, at, axis=0))
    shared(threads=3)
    f = gg.compile([h], [at], {W: W - gg.grad(gg.sum(h), W)})
    assert "which == 0" in f.source
    before = W.value
    for wrong in (10, -11):
        for place in (0, 8):
            rows = np.zeros(9, int)
            rows[place] = wrong
            with pytest.raises(IndexError, match="out of bounds"):
                f(rows)
            assert np.array_equal(W.value, before)
    f(np.array([0, 1, 2, 3, 4, 5, 6, 9, -1]))
    assert not np.array_equal(W.value, before)


def test_uneven_rows_and_more_threads_than_rows(shared):
    x = gg.var("x", shape=(7, 3))
    y = gg.exp(x) * 2
    shared(threads=5)
    f = gg.compile([y, gg.sum(y, axis=0), gg.sum(y), gg.max(y, axis=0), gg.min(y)], [x])
    f.check(np.random.default_rng(0).normal(size=(7, 3)))
    short = gg.var("s", shape=(2, 3))
    g = gg.compile([gg.sum(gg.exp(short), axis=0)], [short])
    g.check(np.ones((2, 3)))


@pytest.mark.parametrize("make", [lambda: network(64, (16, 32, 8)), images])
def test_the_same_bits_every_time(shared, make):
    inputs, parameters, loss, data = make()
    shared(4096, threads=3)
    f = gg.compile([loss, *gg.grad(loss, parameters)], inputs)
    first = [a.tobytes() for a in f(*data)]
    assert all([a.tobytes() for a in f(*data)] == first for _ in range(2000))


def test_python_threads_may_run_executors_at_the_same_time(shared):
    inputs, parameters, loss, data = network(64, (16, 32, 8))
    shared(threads=2)
    nodes = [loss, *gg.grad(loss, parameters)]
    each = [gg.compile(nodes, inputs) for _ in range(3)]
    expected = [a.tobytes() for a in each[0](*data)]
    wrong = []

    def work(f):
        for _ in range(100):
            if [a.tobytes() for a in f(*data)] != expected:
                wrong.append(f)

    threads = [threading.Thread(target=work, args=(f,)) for f in each]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_has_threads_of_its_own(tmp_path):
    program = """
        import os, sys, numpy as np
        import graphgrad as gg
        from graphgrad.compiler import cpu, regions
        regions.SHARED_WORK, cpu.count = 1, lambda: 2
        x = gg.var("x", shape=(50, 4))
        f = gg.compile([gg.sum(gg.exp(x))], [x])
        data = np.zeros((50, 4))
        assert f(data)[0] == 200
        child = os.fork()
        if not child:
            g = gg.compile([gg.sum(gg.exp(x))], [x])
            os._exit(0 if f(data)[0] == g(data)[0] == 200 else 1)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(program)],
        env={**os.environ, "GRAPHGRAD_CACHE": str(tmp_path)}, capture_output=True, text=True,
        timeout=120,
    )  # fmt: skip
    assert done.stdout == "0\n", done.stderr


# -- long programs -------------------------------------------------------------------------------


def unrolled(steps):
    """Return the last state and the gradient of a small recurrent network over many steps."""
    W, start = gg.var("W", np.random.default_rng(0).normal(size=(3, 3))), gg.var("h", np.ones(3))
    h = start
    for k in range(steps):
        h = gg.tanh(h @ W + 0.01 * k)
    return [h, *gg.grad(gg.sum(h), [W, start])]


def test_equal_kernels_of_an_unrolled_graph_are_one_function(monkeypatch):
    monkeypatch.setattr("graphgrad.compiler.source.LONG", 20)
    f = gg.compile(unrolled(30))
    assert "calls of kernels, by a table of their buffers" in f.source
    assert f.source.count("\ndef kernel_") < 50 < 100 < len(f.kernels)
    f.check(every=False)


@pytest.mark.parametrize("many", [1, 20])
def test_single_numbers_of_a_long_program_are_entries_of_their_arena(monkeypatch, many):
    monkeypatch.setattr("graphgrad.compiler.source.LONG", 1)
    monkeypatch.setattr("graphgrad.compiler.functions.MANY", many)
    x, weights = gg.var("x", shape=(5,)), [gg.var(f"w{k}", 0.5 + k / 10) for k in range(6)]
    y = x
    for w in weights:
        y = gg.sin(gg.sum(y) * w) * x
    loss = gg.sum(y)
    updates = {w: w - 0.1 * d for w, d in zip(weights, gg.grad(loss, weights), strict=True)}
    f = gg.compile([loss], [x], updates)
    assert re.search(r"w0_at\d* = arena_float64\[\w+\]", f.source)
    assert not re.search(r"view\(arena_float64, \w+, 1\)", f.source)
    for _ in range(2):
        f.check(np.linspace(-1.0, 1.0, 5), every=False)


@pytest.mark.parametrize("make", [network, images])
@pytest.mark.parametrize("threads", [1, 3])
def test_kernels_as_functions_give_the_same_numbers(shared, monkeypatch, make, threads):
    monkeypatch.setattr("graphgrad.compiler.source.LONG", 1)
    monkeypatch.setattr("graphgrad.compiler.functions.MANY", 3)
    inputs, parameters, loss, data = make()
    outputs, updates = trained(inputs, parameters, loss)
    shared(4096, threads)
    f = gg.compile(outputs, inputs, updates)
    assert f.source.count("def kernel_") > 5
    f.check(*data, every=False)
    f.check(*data, every=False)


# -- epochs ------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["numpy", "numba"])
def test_an_epoch_is_its_steps_one_by_one(target):
    inputs, parameters, loss, _ = network(4, (3, 5, 2))
    outputs, updates = trained(inputs, parameters, loss)
    start = {v: v.value for v in updates}
    f = gg.compile(outputs, inputs, updates, target=target)
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(10, 3)), rng.integers(0, 2, 10)
    rows = rng.integers(0, 10, (6, 4))
    found = f.epoch(X, Y, rows=rows)
    after = [v.value for v in updates]
    for v, value in start.items():
        v.value = value
    single = [f(X[r], Y[r]) for r in rows]
    for k, whole in enumerate(found):
        assert whole.shape == (6, *outputs[k].shape)
        assert all(np.array_equal(whole[s], single[s][k]) for s in range(6))
    assert all(np.array_equal(v.value, a) for v, a in zip(updates, after, strict=True))
    again = f.epoch(X[rows], Y[rows])
    assert again[0].shape == (6,)


@pytest.mark.parametrize("target", ["numpy", "numba"])
def test_epochs_of_scalars_of_no_steps_and_of_mapped_files(target, tmp_path):
    x, rate, w = gg.var("x", shape=(2,)), gg.var("rate", shape=()), gg.var("w", 0.0)
    f = gg.compile([w], [x, rate], {w: w + rate * gg.sum(x)}, target=target)
    np.save(tmp_path / "x.npy", np.arange(6.0))
    table = np.load(tmp_path / "x.npy", mmap_mode="r")
    (seen,) = f.epoch(table, np.array([1.0, 10.0]), rows=np.array([[0, 5], [1, 2]]))
    assert seen.tolist() == [0.0, 5.0]
    assert w.value == 35.0
    (none,) = f.epoch(table, np.zeros(0), rows=np.zeros((0, 2), int))
    assert none.shape == (0,)
    assert w.value == 35.0
    clock = gg.compile([w * 1], updates={w: w + 1}, target=target)
    assert clock.epoch(rows=np.zeros((3, 0), int))[0].tolist() == [35.0, 36.0, 37.0]


@pytest.mark.parametrize("target", ["numpy", "numba"])
@pytest.mark.parametrize(
    ("data", "rows", "error", "text"),
    [
        (([1.0, 2.0],), None, CompileError, "1 arrays given; expected 2: 'x', 'rate'"),
        (([1.0, 2.0], [0.5]), [[0, 2]], ShapeError, "rows: 2, expected 0 to 1"),
        (([1.0, 2.0], [0.5]), [[0, -1]], ShapeError, "rows: -1, expected 0 to 1"),
        (([1.0, 2.0], [0.5]), [[0]], ShapeError, "rows: 1 a step, expected 2"),
        (([1.0, 2.0], [0.5]), [0, 1], ShapeError, r"rows: shape \(2,\), expected \(steps, batch"),
        (([1.0, 2.0], [0.5]), [[0.0, 1.0]], DtypeError, "rows: float64, expected integers"),
        (([1.0, 2.0], [0.5, 1]), [[0, 1]], ShapeError, r"'rate': shape \(2,\), expected \(1,\)"),
        (([[1.0, 2.0, 3.0]], [0.5]), None, ShapeError, r"expected \(1, 2\), a batch a step"),
        (([1.0, 2.0], [0.5]), None, ShapeError, r"expected \(steps, 2\), a batch a step"),
        (([1j, 2], [0.5]), [[0, 1]], DtypeError, "complex128, expected float64"),
    ],
)
def test_what_does_not_fit_an_epoch_is_refused_before_it_runs(target, data, rows, error, text):
    x, rate, w = gg.var("x", shape=(2,)), gg.var("rate", shape=()), gg.var("w", 0.0)
    f = gg.compile([], [x, rate], {w: w + rate * gg.sum(x)}, target=target)
    with pytest.raises(error, match=text):
        f.epoch(*data, rows=rows)
    assert w.value == 0.0
