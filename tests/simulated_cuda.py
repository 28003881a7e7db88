"""The CUDA target in Numba's simulator; `test_cuda.py` runs this file in a process of its own.

The simulator must be asked for before Numba is imported, so none of this can run beside the other
tests: ``NUMBA_ENABLE_CUDASIM=1 python -m pytest tests/simulated_cuda.py``.
"""

from __future__ import annotations

import inspect
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import graphgrad as gg
from graphgrad import nn
from graphgrad.compiler.cuda import feeding as cuda_feeding
from graphgrad.compiler.cuda import memory as cuda_memory
from graphgrad.compiler.cuda import runtime as cuda_runtime
from graphgrad.compiler.cuda.device import Cut
from graphgrad.compiler.kernels import amount, duration
from graphgrad.errors import CompileError, DeviceMemoryError
from graphgrad.graph import evaluate

from . import test_compiler, test_compiler_threads
from .simulator import late_device, simulator
from .test_compiler import layers
from .test_compiler_ops import GROUPS, graphs

pytestmark = [
    pytest.mark.skipif(
        os.environ.get("NUMBA_ENABLE_CUDASIM") != "1", reason="runs in test_cuda.py's process"
    ),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]


@pytest.fixture(autouse=True, scope="module")
def _own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRAPHGRAD_CACHE", str(tmp_path_factory.mktemp("cache")))
        with simulator():
            yield


def agrees(nodes, inputs=(), arrays=(), tolerance=1e-11):
    """Compare outputs of the CUDA target with the uncompiled graph, twice."""
    f = gg.compile(nodes, inputs, target="cuda")
    expected = evaluate(nodes, dict(zip(inputs, arrays, strict=True)))
    for _ in range(2):
        for node, a, b in zip(nodes, f(*arrays), expected, strict=True):
            assert (a.shape, a.dtype) == (node.shape, node.dtype)
            assert np.allclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True), node
    return f


def random(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


# -- the rule book -----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("group", GROUPS, ids=lambda g: f"{g[0].name}-{g[-1].name}")
def test_every_primitive_and_its_gradient(group, dtype):
    labelled = graphs(group, dtype)
    nodes = [y for _, y in labelled]
    found = gg.compile(nodes, target="cuda")()
    tolerance = 1e-11 if dtype == "float64" else 2e-5
    for (label, y), a, b in zip(labelled, found, evaluate(nodes), strict=True):
        assert (a.shape, a.dtype) == (y.shape, y.dtype), label
        assert np.allclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True), label


@settings(max_examples=5, deadline=None, derandomize=True, database=None)
@given(st.lists(layers(), min_size=3, max_size=3))
def test_random_graphs(found):
    nodes = [n for g in found for n in g]
    for a, b in zip(gg.compile(nodes, target="cuda")(), evaluate(nodes), strict=True):
        assert np.allclose(a, b, rtol=1e-9, atol=1e-9, equal_nan=True)


# -- what all targets do -----------------------------------------------------------------------


def of_every_target():
    """Return the tests of the other targets that ask for nothing but a target."""
    found = {**vars(test_compiler), **vars(test_compiler_threads)}
    return [
        f for name, f in found.items()
        if name.startswith("test_") and [*inspect.signature(f).parameters] == ["target"]
    ]  # fmt: skip


@pytest.mark.parametrize("test", of_every_target(), ids=lambda f: f.__name__)
def test_as_every_target(test):
    test("cuda")


def test_there_are_tests_of_every_target():
    assert len(of_every_target()) >= 10


def test_epochs_of_scalars_of_no_steps_and_of_mapped_files(tmp_path):
    test_compiler_threads.test_epochs_of_scalars_of_no_steps_and_of_mapped_files("cuda", tmp_path)


def test_an_index_out_of_bounds_is_an_error_once():
    x, i = gg.var("x", [1.0, 2.0]), gg.var("i", [0, 5], dtype=int)
    f = gg.compile([gg.take(x, i)], [i], target="cuda")
    with pytest.raises(IndexError, match="out of bounds"):
        f([0, 5])
    assert f([1, -1])[0].tolist() == [2.0, 2.0]


def test_nothing_is_updated_once_an_index_is_out_of_bounds():
    x, i = gg.var("x", [1.0, 2.0]), gg.var("i", shape=(2,), dtype=int)
    w, n = gg.var("w", 0.0), gg.var("n", 0.0)
    total = gg.sum(gg.take(x, i))
    f = gg.compile([gg.take(x, i)], [i], {w: w + total, n: n + 1}, "cuda")
    f([0, 1])
    with pytest.raises(IndexError):
        f([0, 7])
    f([0, 0])
    assert (w.value, n.value) == (5.0, 2.0)
    with pytest.raises(IndexError):
        f.epoch([[0, 0], [1, 1], [0, 9], [0, 0]])
    assert (w.value, n.value) == (11.0, 4.0)  # the two steps before the wrong one stay done
    f([0, 0])
    assert (w.value, n.value) == (13.0, 5.0)


def test_names_of_users_and_of_the_text_do_not_mix():
    names = ["t", "thread", "f64", "part", "row", "x", "_c0_0", "scratch_f64", "lefts", "u32", "a"]
    leaves = [gg.var(n, np.full((2, 6, 6), 1.0 + k)) for k, n in enumerate(names)]
    product = leaves[0] @ gg.transpose(leaves[1], (0, 2, 1))
    y = gg.sum(product, 0) * sum(leaves[2:], 0.0)
    agrees([gg.sum(y), y.named("total"), gg.argmax(leaves[4]), gg.sum(y, 1).named("y")])


# -- forms of kernels --------------------------------------------------------------------------


@pytest.mark.parametrize("shapes", [
    ((1, 1), (1, 1)), ((9, 5), (5, 7)), ((16, 16), (16, 16)), ((3, 40), (40, 2)),
    ((4, 3, 5), (4, 5, 2)), ((4, 1, 3, 5), (2, 5, 6)), ((2, 0), (0, 3)), ((17, 4), (4, 1)),
])  # fmt: skip
@pytest.mark.parametrize("flip", [0, 1, 2, 3])
def test_products_of_any_shape_and_layout(shapes, flip):
    a, b = (random(*s, seed=k) for k, s in enumerate(shapes))
    if flip & 1:
        x = gg.transpose(gg.var("a", np.swapaxes(a, -1, -2)), (*range(a.ndim - 2), -1, -2))
    else:
        x = gg.var("a", a)
    if flip & 2:
        y = gg.transpose(gg.var("b", np.swapaxes(b, -1, -2)), (*range(b.ndim - 2), -1, -2))
    else:
        y = gg.var("b", b)
    bias = gg.var("c", random(b.shape[-1], seed=3))
    total = gg.sum(x @ y, tuple(range(max(a.ndim, b.ndim) - 2))) if max(a.ndim, b.ndim) > 2 else x
    agrees([gg.tanh(x @ y + bias), gg.tanh(total) * 2, (y.T @ x.T).T if a.ndim == 2 else y])


def test_a_product_takes_the_loop_that_follows_along():
    x, W, b = gg.var("x", random(6, 4)), gg.var("W", random(4, 5)), gg.var("b", random(5))
    f = agrees([gg.relu(x @ W + b)])
    assert len(f._runtime.text.step.launches) == 1
    assert f._runtime.plan.sizes[np.dtype(float)] < 6 * 4 + 4 * 5 + 5 + 6 * 5 + 8 * 4


@pytest.mark.parametrize("axis", [None, 0, 1, 2, (0, 1), (1, 2), (0, 2)])
@pytest.mark.parametrize("shape", [(2, 3, 4), (40, 2, 3), (2, 3, 70)])
def test_sums_over_any_axes_beside_each_other(shape, axis):
    x = gg.var("x", random(*shape))
    y = gg.exp(x)
    agrees([gg.sum(y, axis), gg.max(x, axis), gg.sum(y * x, 0), y, gg.argmax(x), gg.prod(x, axis)])


def test_long_sums_are_split_and_always_add_up_in_the_same_order():
    x = gg.var("x", random(5000, dtype=np.float32))
    f = agrees([gg.sum(gg.tanh(x)), gg.grad(gg.sum(gg.tanh(x)), x)], tolerance=1e-5)
    assert len(f._runtime.text.step.launches) == 2
    assert len({f()[0].tobytes() for _ in range(3)}) == 1


def test_many_sums_at_once_fit_into_shared_memory():
    x = gg.var("x", random(12, 5))
    f = agrees([gg.sum(x**k, 1) for k in range(1, 20)] + [gg.sum(gg.exp(x), 1) / 2])
    most = [text.count("cuda.shared.array") for text in f.source.split("\ndef ")]
    assert 4 < max(most) <= 16


def test_an_argmax_takes_the_first_of_equals_and_the_first_nan():
    values = np.array([[1.0, 3, 3, 0, 3], [1, np.nan, 3, np.nan, 9], [-np.inf] * 5])
    agrees([gg.argmax(gg.var("x", values), 1), gg.argmax(gg.var("y", values))])


def test_a_scatter_adds_in_order():
    at = np.array([3, 0, 3, 3, 1, 0, 2, 3])
    x = gg.var("x", random(8, 3))
    agrees([gg.scatter_add(x, at, 5), gg.scatter_add(gg.transpose(x), at, 4, axis=1)])


@pytest.mark.parametrize(("count", "length"), [
    (4, 3), (5, 3), (64, 64), (70, 1), (90, 1000), (300, 7),
])  # fmt: skip
def test_many_indices_are_sorted_and_their_entries_added_in_order(count, length):
    x = random(count, 2, seed=1, dtype=np.float32)
    i = gg.var("i", shape=(count,), dtype=int)
    f = gg.compile([gg.scatter_add(x, i, length), gg.scatter_add(x.T, i, length, 1)], [i],
                   target="cuda")  # fmt: skip
    for seed in range(3):
        at = np.random.default_rng(seed).integers(-length, length, count)
        expected = np.zeros((length, 2), np.float32)
        np.add.at(expected, at, x)
        a, b = f(at)
        assert a.tobytes() == expected.tobytes() == b.T.tobytes()
    assert len(f._runtime.text.step.launches) == 2 + sum(count > 4 * 16**k for k in range(4))
    with pytest.raises(IndexError, match="out of bounds"):
        f(np.full(count, length))


def test_a_scatter_of_many_indices_of_two_axes():
    at = np.random.default_rng(0).integers(0, 5, (6, 4))
    agrees([gg.scatter_add(gg.var("x", random(3, 6, 4, 2)), at, 5, axis=1)])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_random_numbers_have_the_same_bits_as_on_the_processor(dtype):
    step = gg.var("step", 3, dtype=int)
    draws = [gg.random_uniform(step, (n,), seed=7 + n, dtype=dtype) for n in (1, 2, 33)]
    on_gpu = gg.compile(draws, target="cuda")()
    assert [a.tobytes() for a in on_gpu] == [b.tobytes() for b in evaluate(draws)]


def test_updates_of_all_parameters_are_one_launch():
    shapes = [(4, 3), (3,), (3, 2), (2,)]
    P = [gg.var(f"p{k}", random(*s, seed=k)) for k, s in enumerate(shapes)]
    f = gg.compile([], updates={p: p - 0.1 * gg.square(p) for p in P}, target="cuda")
    assert len(f._runtime.text.step.launches) == 1
    expected = [p.value - 0.1 * p.value**2 for p in P]
    f()
    assert all(np.allclose(p.value, e) for p, e in zip(P, expected, strict=True))
    assert len(f._runtime.plan.in_place) == len(P)


@pytest.mark.parametrize("first", [False, True])
def test_nothing_is_overwritten_that_another_kernel_of_its_launch_reads(first):
    v = gg.var("v", random(4, 3))
    before = v.value
    news = [v - 0.1 * gg.square(v)] * (not first)
    both = gg.concatenate([v, v])
    news += [v - 0.1 * gg.square(v)] * first
    f = gg.compile([both, gg.sum(gg.exp(v), 0)], updates={v: news[0]}, target="cuda")
    both, sums = f()
    assert np.array_equal(both, np.concatenate([before, before]))
    assert np.allclose(sums, np.exp(before).sum(0))
    assert np.allclose(v.value, before - 0.1 * before**2)
    assert v not in f._runtime.plan.in_place.values()


# -- networks ----------------------------------------------------------------------------------


def network(dtype="float64", batch=6):
    """Return inputs, loss and parameters of a small network with a convolution."""
    X = gg.var("X", shape=(batch, 1, 6, 6), dtype=dtype)
    Y = gg.var("Y", shape=(batch,), dtype=int)
    K = gg.var("K", random(3, 1, 3, 3, seed=1, dtype=dtype))
    b = gg.var("b", random(3, seed=2, dtype=dtype))
    W = gg.var("W", random(27, 4, seed=3, dtype=dtype))
    h = gg.max_pool2d(gg.relu(gg.conv2d(X, K, padding=1) + b.reshape(-1, 1, 1)), 2)
    loss = gg.softmax_cross_entropy(h.reshape(batch, -1) @ W, Y)
    return X, Y, loss, [K, b, W]


def adam(parameters, gradients):
    t = gg.var("t", 0.0)
    now = t + 1
    updates = {t: now}
    for w, d in zip(parameters, gradients, strict=True):
        m, v = (gg.var(n, np.zeros(w.shape)) for n in ("m", "v"))
        m1, v1 = 0.9 * m + 0.1 * d, 0.999 * v + 0.001 * gg.square(d)
        rate = 0.01 * gg.sqrt(1 - 0.999**now) / (1 - 0.9**now)
        updates |= {m: m1, v: v1, w: w - rate * m1 / (gg.sqrt(v1) + 1e-8)}
    return updates


def trained(target, train):
    X, Y, loss, P = network()
    f = gg.compile([loss], [X, Y], adam(P, gg.grad(loss, P)), target)
    return train(f), [p.value for p in P]


def same(a, b):
    return np.allclose(a[0], b[0], rtol=1e-9) and all(
        np.allclose(p, q, rtol=1e-9, atol=1e-12) for p, q in zip(a[1], b[1], strict=True)
    )


TABLE = (random(15, 1, 6, 6, seed=5), np.arange(15) % 4)


def by_steps(f):
    return [float(f(TABLE[0][k : k + 6], TABLE[1][k : k + 6])[0]) for k in (0, 6, 9)]


def by_epoch(f):
    return f.epoch(*TABLE, rows=np.array([range(6), range(6, 12), range(9, 15)]))[0]


def by_shuffled_epoch(f):
    return f.epoch(*TABLE, shuffle=3, epoch=1)[0]


@pytest.mark.parametrize("train", [by_steps, by_epoch, by_shuffled_epoch])
def test_a_network_learns_the_same(train):
    assert same(trained("cuda", train), trained("numpy", train))


def summing(silent=False):
    """Return a step that adds up what it is fed, and the variable it adds to."""
    x, rate, w = gg.var("x", shape=(2,)), gg.var("rate", shape=()), gg.var("w", 0.0)
    outputs, updates = [w, gg.sum(x)], {w: w + rate * gg.sum(x)}
    return gg.compile([] if silent else outputs, [x, rate], updates, "cuda"), w


def test_data_larger_than_the_device_come_in_parts(monkeypatch):
    data = np.arange(40.0), 10.0 ** np.arange(5)
    rows = np.array([[0, 5], [1, 2], [3, 3], [39, 1], [0, 0]])
    f, w = summing()
    whole, after = f.epoch(*data, rows=rows), w.value
    assert after == 40635.0
    f, w = summing()
    monkeypatch.setattr(cuda_feeding, "free", lambda cuda: (520.0, 1e9))  # two steps a side
    assert [a.tolist() for a in f.epoch(*data, rows=rows)] == [a.tolist() for a in whole]
    assert w.value == after
    assert f._runtime._at_once == 2
    assert [s.by_rows for s in f._runtime._sides] == [(False, False)] * 2


@pytest.mark.parametrize("silent", [False, True])
@pytest.mark.parametrize("room", [520.0, 1e9], ids=["parts", "whole"])
def test_everything_waits_for_what_it_needs(room, silent, monkeypatch):
    """On a device that does nothing before it must: copies, launches and results in order."""
    monkeypatch.setattr(cuda_memory, "ROOM", 32)  # bytes: every array comes piece by piece
    monkeypatch.setattr(cuda_feeding, "free", lambda cuda: (room, 1e9))
    rng = np.random.default_rng(0)
    with late_device():
        f, w = summing(silent)
        for _ in range(3):
            table, rates = rng.normal(size=40), rng.normal(size=13)
            rows, w.value = rng.integers(0, 40, (13, 2)), rng.normal()
            sums = table[rows].sum(1)
            before = float(w.value) + np.concatenate([[0], np.cumsum(sums * rates)])
            found = f.epoch(table, rates, rows=rows)
            table[:], rates[:], rows[:] = np.nan, np.nan, 0  # their values are no longer needed
            assert silent or np.allclose(found, [before[:-1], sums])
            now = f([1.0, 2.0], 3.0)
            assert silent or np.allclose(now, [before[-1], 3.0])
            assert np.isclose(w.value, before[-1] + 9.0)


def test_a_fit_sends_its_tables_once(monkeypatch):
    sent, put = [], cuda_memory.Staging.put
    monkeypatch.setattr(
        cuda_memory.Staging, "put", lambda self, a, x: sent.append(x.size) or put(self, a, x)
    )
    X = random(13, 3, dtype=np.float32)
    losses = {}
    for target in ("numpy", "cuda"):
        layers = [nn.Dense(4, activation="tanh"), nn.Dense(1, activation="sigmoid")]
        model = nn.Sequential(layers, seed=1)
        model.compile("sgd", "binary_crossentropy", target=target)
        fitted = model.fit(X, X[:, 0] > 0, batch_size=4, epochs=3, verbose=0)
        losses[target] = fitted.history["loss"]
    assert np.allclose(losses["numpy"], losses["cuda"], rtol=1e-5)
    assert sent.count(39) == 1  # however many steps it takes at a time


def test_epochs_of_more_arrays_than_a_launch_takes():
    X = [gg.var(f"x{k}", shape=(2,) if k % 7 else (0,)) for k in range(30)]
    f = gg.compile([gg.sum(x) * k for k, x in enumerate(X)], X, target="cuda")
    data = [np.arange(6.0).reshape(3, 2)[:, : x.size] for x in X]
    found = f.epoch(*data)
    assert all(y.tolist() == (k * d.sum(1)).tolist() for k, (y, d) in enumerate(zip(found, data)))


def test_a_table_that_cannot_change_is_sent_once(monkeypatch):
    sent, put = [], cuda_memory.Staging.put
    monkeypatch.setattr(
        cuda_memory.Staging, "put", lambda self, a, x: sent.append(x.size) or put(self, a, x)
    )
    f, _ = summing()
    table, rates, rows = np.arange(40.0), np.ones(2), np.array([[0, 1], [2, 3]])
    first = f.epoch(table, rates, rows=rows)
    table[:] = 1.0
    assert f.epoch(table, rates, rows=rows)[1].tolist() == [2.0, 2.0] != first[1].tolist()
    assert sent.count(40) == 2
    table.flags.writeable = False
    for _ in range(3):
        assert f.epoch(table, rates, rows=rows)[1].tolist() == [2.0, 2.0]
    assert sent.count(40) == 3
    other = np.full(40, 3.0)
    other.flags.writeable = False
    assert f.epoch(other, rates, rows=rows)[1].tolist() == [6.0, 6.0]


def test_blocks_as_on_a_device(monkeypatch):
    """A step of a small network with blocks of 256 threads, tiles and lanes as on hardware."""
    cut = Cut(blocks=2, enough=4, simulated=True)
    monkeypatch.setattr(cuda_runtime, "SIMULATED", cut)
    x, W = gg.var("x", random(20, 18)), gg.var("W", random(18, 17, seed=1))
    h = gg.tanh(x @ W)
    loss = gg.sum(gg.square(h))
    agrees([loss, *gg.grad(loss, [x, W]), gg.sum(h, 0)], tolerance=1e-9)


# -- refusals ----------------------------------------------------------------------------------


def test_what_does_not_fit_is_refused_with_sizes(monkeypatch):
    from numba import cuda

    monkeypatch.setattr(
        type(cuda.current_context()), "get_memory_info", lambda self: (1_000_000, 80_000_000_000)
    )
    x = gg.var("x", shape=(1000, 1000))
    message = r"0\.016 GB are needed, 0\.001 of the device's 80 GB are free; .*target='numba'"
    with pytest.raises(DeviceMemoryError, match=message):
        gg.compile([x * 2], [x], target="cuda")
    assert issubclass(DeviceMemoryError, MemoryError)


def test_a_toolkit_that_fails_is_one_sentence(monkeypatch):
    def fails(text):
        raise OSError("PTX version 9.4\ndoes not fit driver 12.2")

    monkeypatch.setattr(cuda_runtime, "load_module", fails)
    x = gg.var("x", 1.0)
    message = r"cannot be compiled for this device \(PTX version 9\.4 does not fit driver 12\.2\); "
    with pytest.raises(CompileError, match=message + "see `graphgrad doctor`, or use target='num"):
        gg.compile([x * 2], [x], target="cuda")


def test_an_operation_without_code_is_refused(monkeypatch):
    y = gg.exp(gg.var("x", [1.0, 2.0]))
    monkeypatch.setitem(vars(y.primitive), "code", None)
    with pytest.raises(CompileError, match="exp has no code for this target; use target='num"):
        gg.compile([y], target="cuda")


# -- what is told ------------------------------------------------------------------------------


def test_the_table_of_kernels_and_its_picture_say_launches_and_threads():
    X, Y, loss, P = network()
    f = gg.compile([loss], [X, Y], adam(P, gg.grad(loss, P)), "cuda")
    text = str(f.kernels)
    assert "matmul" in text
    assert [k.group for k in f.kernels] == sorted(k.group for k in f.kernels)
    for k in f.kernels:
        assert k.threads % 4 == 0
        assert f"# kernel {k.number}: {k.kind} over" in k.source
    picture = gg.draw(f, collapse=False).source
    assert "cluster_kernel1 " in picture
    assert 'label="launch ' in picture


def test_a_profile_has_a_time_for_each_kernel_and_the_picture_what_it_achieved():
    x, W = gg.var("x", random(6, 4)), gg.var("W", random(4, 5))
    f = gg.compile([gg.sum(gg.tanh(x @ W + 1), 1)], target="cuda")
    assert "launch" in str(f.kernels)
    assert "/s" not in gg.draw(f).source.split("tooltip")[0]
    found = f.profile()
    assert all(k.seconds > 0 for k in found)
    assert found.seconds == pytest.approx(sum(k.seconds for k in f.kernels))
    for options in ({"collapse": False}, {"collapse": True}):
        text = gg.draw(f, **options).source
        for k in found:
            assert k.speed.endswith("FLOP/s" if k.kind == "matmul" else "B/s")
            assert f"{k.blocks}×{k.threads // k.blocks} threads · {amount(k.bytes)} · " in text
            assert f"{duration(k.seconds)} · {k.speed}" in text
            assert k.source.splitlines()[0].strip().replace(" ", "\u00a0") in text
