"""Long sums lose no more than blocked summation does: they neither drift nor come to a halt.

Terms are all alike, for that is the worst case: every addition rounds to the same side. Float32
sums of them, made number by number, are wrong by parts in a thousand.
"""

from __future__ import annotations

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.compiler import cpu, longsums, products, regions
from graphgrad.compiler.cuda.text import Text
from graphgrad.compiler.program import program
from graphgrad.graph import evaluate

from .test_compiler_threads import images, network, trained

pytest.importorskip("numba")
pytestmark = pytest.mark.usefixtures("own_cache")

H = float(np.float32(0.1))
"""Every entry of every input."""
E, T = np.exp(H), np.tanh(H)


def flat(x):
    return [gg.sum(x), gg.mean(gg.exp(x)), gg.sum(gg.tanh(x))], [x.size * H, E, x.size * T]


def beside_a_maximum(x):
    return [gg.sum(gg.exp(x)), gg.max(x)], [x.size * E, H]


def beside_a_logsumexp(x):
    return [gg.sum(2 * x), gg.logsumexp(x)], [x.size * 2 * H, H + np.log(x.size)]


def scalar_functions(x):
    return [gg.sum(gg.sin(x)), gg.min(x)], [x.size * np.sin(H), H]


def columns(x):
    n = x.shape[0]
    means = [gg.mean(x[:, 0]), gg.mean(x[:, 0] * x[:, 1])]
    return [gg.sum(x, 0), gg.sum(gg.exp(x), 0), *means], [n * H, n * E, H, H * H]


def transposed(x):
    n = x.shape[0]
    return [gg.sum(x.T, 1), gg.sum(gg.exp(x.T), 1)], [n * H, n * E]


def narrow_rows(x):
    b = gg.var("b", np.zeros(x.shape[1], x.dtype))
    return [gg.sum(gg.tanh(x + b))], [x.size * T]


def gradients(x):
    b = gg.var("b", np.zeros(x.shape[1], x.dtype))
    loss = gg.mean(gg.tanh(x + b) ** 2)
    return [loss, gg.grad(loss, b)], [T * T, 2 * T * (1 - T * T) / x.shape[1]]


def layer(x):
    w = gg.var("w", np.full((x.shape[1], 4), 0.25, x.dtype))
    b = gg.var("b", np.zeros(4, x.dtype))
    loss = gg.mean((x @ w + b) ** 2)
    y = x.shape[1] * H / 4
    return [loss, gg.grad(loss, b)], [y * y, y / 2]


def inner_axes(x):
    a, b, c = x.shape
    return [gg.sum(x, 1), gg.sum(x, (0, 2)), gg.max(x, 1)], [b * H, a * c * H, H]


def product_of_columns(x):
    return [x.T @ x], [x.shape[0] * H * H]


def product_with_a_vector(x):
    return [x @ x[0]], [x.shape[1] * H * H]


def sum_of_products(x):
    return [gg.sum(x @ x, 0)], [x.shape[0] * x.shape[1] * H * H]


FORMS = [
    (flat, (4_000_000,)),
    (beside_a_maximum, (4_000_000,)),
    (beside_a_logsumexp, (4_000_000,)),
    (scalar_functions, (1_000_000,)),
    (columns, (1_000_000, 3)),
    (columns, (100_000, 40)),
    (transposed, (1_000_000, 3)),
    (transposed, (20_000, 100)),
    (narrow_rows, (1_000_000, 3)),
    (narrow_rows, (400_000, 8)),
    (narrow_rows, (100_000, 20)),
    (gradients, (1_000_000, 2)),
    (gradients, (300_000, 10)),
    (gradients, (30_000, 100)),
    (gradients, (5_000, 1_000)),
    (layer, (1_000_000, 3)),
    (inner_axes, (2, 500_000, 3)),
    (inner_axes, (10_000, 3, 50)),
    (product_of_columns, (40_000, 3)),
    (product_with_a_vector, (1, 400_000)),
    (product_with_a_vector, (2, 100_000)),
    (sum_of_products, (300_000, 2, 2)),
]


def error(form, shape, dtype, **settings):
    """Return the largest relative error of a form's sums."""
    x = gg.var("x", shape=shape, dtype=dtype)
    outputs, exact = form(x)
    found = gg.compile(outputs, [x], **settings)(np.full(shape, np.float32(0.1), dtype))
    return max(np.max(np.abs(a / b - 1)) for a, b in zip(found, exact, strict=True) if b)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("form", "shape"), FORMS)
def test_float32_sums_of_numbers_that_are_alike_are_right(monkeypatch, form, shape, threads):
    monkeypatch.setattr(cpu, "count", lambda: threads)
    assert error(form, shape, "float32") < 1e-6


@pytest.mark.parametrize(("form", "shape"), FORMS[::2])
def test_float64_sums_of_numbers_that_are_alike_are_right(form, shape):
    assert error(form, shape, "float64") < 1e-13


def test_exact_functions_are_summed_as_well():
    assert error(flat, (1_000_000,), "float32", math="exact") < 5e-7


def test_a_sum_goes_on_where_ones_no_longer_count():
    n = 50_000_000  # more than 2 threads times 2**24
    x = gg.var("x", shape=(n,), dtype="float32")
    ones = np.lib.stride_tricks.as_strided(np.ones(1, np.float32), (n,), (0,))
    assert gg.compile([gg.sum(x * x), gg.max(x)], [x])(ones)[0] == n


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("make", [network, images])
@pytest.mark.parametrize("few", [(3, 2, 5), (5, 4, 8), (2, 2, 3)])
def test_networks_of_long_sums_give_the_numbers_of_the_uncompiled_graph(
    monkeypatch, make, few, threads
):
    inputs, parameters, loss, data = make()
    outputs, updates = trained(inputs, parameters, loss)
    for name, value in zip(("LONG", "FEW", "MANY"), few, strict=True):
        monkeypatch.setattr(longsums, name, value)
        monkeypatch.setattr(products, name, value)
    monkeypatch.setattr(regions, "SHARED_WORK", 1)
    monkeypatch.setattr(regions, "CACHE", 1024)
    monkeypatch.setattr(cpu, "count", lambda: threads)
    f = gg.compile(outputs, inputs, updates)
    assert "_total_[" in f.source
    given = dict(zip(inputs, data, strict=True))
    expected = evaluate([*outputs, *updates.values()], given)
    found = [*f(*data), *(v.value for v in updates)]
    for a, b in zip(found, expected, strict=True):
        assert np.allclose(a, b, rtol=1e-12, atol=1e-12)


def test_the_same_inputs_give_the_same_bits():
    x = gg.var("x", shape=(100_000, 7), dtype="float32")
    numbers = np.random.default_rng(0).normal(size=x.shape).astype(np.float32)
    f = gg.compile([gg.sum(gg.exp(x), 0), gg.mean(x)], [x])
    first = [a.tobytes() for a in f(numbers)]
    assert all([a.tobytes() for a in f(numbers)] == first for _ in range(20))


def test_short_sums_are_not_cut():
    x = gg.var("x", shape=(64, 64), dtype="float32")
    source = gg.compile([gg.sum(x), gg.sum(x, 0), x.T @ x], [x]).source
    assert "_block_" not in source
    assert "float64(" not in source


@pytest.mark.parametrize(("rows", "exact"), [(2_000_000, True), (1000, False)])
def test_a_gpu_thread_that_adds_up_many_numbers_does_so_in_float64(rows, exact):
    x = gg.var("x", shape=(rows, 512), dtype="float32")
    text = Text(program([gg.sum(x, 0)], [x], {}, gpu=True)).step.text
    assert ("_sum_ = float64(0)" in text) == exact


@pytest.mark.parametrize("target", ["numpy", "numba"])
@pytest.mark.parametrize("axis", [0, None])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_logsumexp_over_no_entries_is_minus_infinity(target, axis, dtype):
    z = gg.var("z", shape=(0, 3), dtype=dtype)
    (found,) = gg.compile([gg.logsumexp(z, axis)], [z], target=target)(np.zeros((0, 3), dtype))
    assert found.dtype == dtype
    assert np.array_equal(found, [-np.inf] * 3 if axis == 0 else -np.inf)
