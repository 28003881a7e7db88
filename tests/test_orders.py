"""Shuffled epochs: permutations that are functions of seed and epoch, the same on every target."""

from __future__ import annotations

import math

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.compiler import orders
from graphgrad.compiler.orders import Order
from graphgrad.errors import CompileError, ShapeError


def whole(order):
    return order.array().ravel()


@pytest.mark.parametrize("n", [1, 2, 3, 10, 1000])
def test_epochs_are_permutations_and_differ(n):
    found = [whole(Order(n, 1, seed=5, first=e * n)) for e in range(70)]
    for one in found:
        assert np.array_equal(np.sort(one), np.arange(n))
    if n >= 10:
        assert len({one.tobytes() for one in found}) == 70
    assert np.array_equal(whole(Order(n, 1, seed=5).part(69 * n, n)), found[69])
    assert n < 10 or not np.array_equal(whole(Order(n, 1, seed=6, first=69 * n)), found[69])


def test_all_permutations_of_four_are_as_likely():
    counts: dict[bytes, int] = {}
    for e in range(4800):
        key = whole(Order(4, 4, seed=1, first=e)).tobytes()
        counts[key] = counts.get(key, 0) + 1
    assert len(counts) == 24
    chi2 = sum((c - 200) ** 2 / 200 for c in counts.values())
    assert chi2 < 49.7  # 23 degrees of freedom: 0.1 % are above


def test_two_examples_share_a_batch_by_chance():
    # Any two examples share a batch of 10 among 100 with probability 1/11.
    order = Order(100, 10, seed=0)
    together = np.zeros((100, 100))
    for e in range(2000):
        place = np.empty(100, int)
        place[whole(order.part(e * 10, 10))] = np.arange(100) // 10
        together += place[:, None] == place
    off = together[~np.eye(100, dtype=bool)] / 2000
    assert off.mean() == pytest.approx(9 / 99)
    assert off.std() < 2.5 * math.sqrt(9 / 99 * (1 - 9 / 99) / 2000)
    assert off.max() < 0.2


@pytest.mark.parametrize("n", [16, 18])
@pytest.mark.parametrize("seed", [None, 0, 2**63 + 7, 2**64 - 1])
@pytest.mark.parametrize("many", [1 << 22, 5])
@pytest.mark.parametrize("drop", [False, True])
def test_compiled_and_numpy_draw_the_same(monkeypatch, n, seed, many, drop):
    monkeypatch.setattr(orders, "MANY", many)
    pick = orders.compiled().pick
    a = Order(n, 5, seed, steps=12, drop=drop)
    b = Order(n, 5, seed, steps=12, drop=drop)
    assert np.array_equal(a.array(), b.array(pick))
    assert np.array_equal(a.array(), b.array())  # one goes on where the other has stopped
    for first, steps in [(7, 2), (2, 3), (3, 1), (9, 3), (0, 1)]:  # in any order
        fresh = Order(n, 5, seed, first, steps, drop).array()
        assert np.array_equal(a.part(first, steps).array(), fresh)
        assert np.array_equal(b.part(first, steps).array(pick), fresh)
        assert np.array_equal(
            np.array(list(Order(n, 5, seed, drop=drop, steps=12)[first:]))[:steps], fresh
        )


def test_the_last_batch_is_filled_up_or_left_out():
    filled, dropped = Order(7, 3, seed=2), Order(7, 3, seed=2, drop=True)
    assert (len(filled), len(dropped)) == (3, 2)
    numbers = filled.array()
    assert np.array_equal(np.sort(numbers.ravel()[:7]), np.arange(7))
    assert np.array_equal(numbers[2, 1:], numbers[0, :2])
    assert np.array_equal(dropped.array(), numbers[:2])
    assert Order(2, 5).array().tolist() == [[0, 1, 0, 1, 0]]


def test_blocks_of_very_many_rows_are_permuted(monkeypatch):
    monkeypatch.setattr(orders, "MANY", 300)
    order = Order(1003, 1, seed=1)  # 250 blocks of 4, and 3 left over
    assert len(order.table) < 300
    one = whole(order)
    assert np.array_equal(np.sort(one), np.arange(1003))
    assert np.array_equal(np.sort(one[:1000:4]), np.arange(0, 1000, 4))
    assert np.array_equal(one[1000:], [1000, 1001, 1002])
    assert not np.array_equal(one, np.arange(1003))


@pytest.fixture(scope="module", params=["numpy", "numba"])
def step(request):
    x, t = gg.var("x", shape=(4, 2)), gg.var("t", shape=(4,))
    w = gg.var("w", np.zeros(2))
    loss = gg.mean(gg.square(x @ w - t))
    return gg.compile([loss], [x, t], {w: w - 0.1 * gg.grad(loss, w)}, target=request.param), w


def test_an_epoch_shuffles_as_its_order_says(step):
    f, w = step
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(18, 2)), rng.normal(size=18)
    for epoch in (0, 3):
        w.value = np.zeros(2)
        losses = f.epoch(x, t, shuffle=7, epoch=epoch)[0]
        after = w.value
        w.value = np.zeros(2)
        rows = Order(18, 4, seed=7, drop=True).part(epoch * 4, 4).array()
        assert rows.shape == (4, 4)
        assert np.array_equal(f.epoch(x, t, rows=rows)[0], losses)
        assert np.array_equal(w.value, after)


def test_an_epoch_may_mix_tables_and_batches(step):
    f, _ = step
    x, t = np.ones((8, 2)), np.zeros((2, 4))
    assert f.epoch(x, t, shuffle=0)[0].shape == (2,)


@pytest.mark.parametrize(
    ("more", "error", "text"),
    [
        ({"shuffle": -1}, CompileError, "shuffle=-1: expected a whole number of at least 0"),
        ({"shuffle": True}, CompileError, "shuffle=True: expected a whole number"),
        ({"shuffle": 0, "epoch": 0.5}, CompileError, "epoch=0.5: expected a whole number"),
        ({"shuffle": 0, "rows": [[0, 1, 2, 3]]}, CompileError, "rows and shuffle: expected one"),
        ({"rows": Order(9, 4)}, ShapeError, "an order of 9, expected one of 8, as many as input"),
        ({"rows": Order(8, 3)}, ShapeError, "rows: 3 a step, expected 4"),
    ],
)
def test_wrong_orders_are_refused(step, more, error, text):
    f, w = step
    before = w.value
    with pytest.raises(error, match=text):
        f.epoch(np.ones((8, 2)), np.ones(8), **more)
    assert np.array_equal(w.value, before)


def test_shuffling_wants_tables_with_a_batch(step):
    f, _ = step
    with pytest.raises(ShapeError, match="3 rows given, expected at least 4"):
        f.epoch(np.ones((3, 2)), np.ones(3), shuffle=0)
    with pytest.raises(ShapeError, match="an order of 8, expected one of 9, as many as input"):
        f.epoch(np.ones((8, 2)), np.ones(9), shuffle=0)
    with pytest.raises(CompileError, match="no input is given as a table"):
        f.epoch(np.ones((2, 4, 2)), np.ones((2, 4)), shuffle=0)
