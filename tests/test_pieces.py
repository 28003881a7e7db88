"""Long epochs in pieces: the same bits as in one, the pace, Ctrl-C between two of them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.compiler import pieces
from graphgrad.compiler.orders import Order
from graphgrad.compiler.pieces import Pace

pytest.importorskip("numba")
pytestmark = pytest.mark.usefixtures("own_cache")

ROWS, BATCH, STEPS = 23, 4, 17
RNG = np.random.default_rng(0)
X = RNG.normal(size=(ROWS, 3)).astype("float32")
T = RNG.integers(0, 2, ROWS)
LISTED = RNG.integers(0, ROWS, (STEPS, BATCH))
RATES = RNG.uniform(0.01, 0.1, STEPS)
ORDERS = {
    "listed": lambda: LISTED,
    "in order": lambda: Order(ROWS, BATCH, steps=STEPS),
    "shuffled": lambda: Order(ROWS, BATCH, seed=5, steps=STEPS),
    "from the third batch": lambda: Order(ROWS, BATCH, seed=5, first=3, steps=STEPS, drop=True),
}


class Clock:
    """A clock by which every piece takes a second; it may ring."""

    def __init__(self, rings=None):
        self.asked, self.rings = 0, rings

    def perf_counter(self):
        self.asked += 1
        if self.asked == self.rings:
            raise KeyboardInterrupt
        return float(self.asked)


def trained(monkeypatch, steps_at_once, data, rows, epochs=2):
    """Return all that some epochs leave: outputs of every step, and the variables."""
    monkeypatch.setattr(Pace, "_count", lambda self: steps_at_once)
    x, t = gg.var("x", shape=(BATCH, 3), dtype="float32"), gg.var("t", shape=(BATCH,), dtype=int)
    rate = gg.var("rate", shape=())
    W, seen = gg.var("W", np.ones((3, 2), "float32")), gg.var("seen", 0, dtype=int)
    z = gg.dropout(x, 0.25, True) @ W
    loss = gg.softmax_cross_entropy(z, t)
    new = W - gg.cast(rate, "float32") * gg.grad(loss, W)
    f = gg.compile([loss, z, z > 0, gg.sum(t)], [x, t, rate], {W: new, seen: seen + 1})
    found = [f.epoch(*data, rows=rows()) for _ in range(epochs)]
    return [*itertools.chain(*found), W.value, np.asarray(seen.value)]


@pytest.mark.parametrize("rows", [*ORDERS, "none"])
def test_pieces_leave_the_same_bits_as_one(rows, monkeypatch):
    table = rows in ORDERS
    data = [X, T, RATES] if table else [X[LISTED], T[LISTED], RATES]
    order = ORDERS.get(rows, lambda: None)
    whole = trained(monkeypatch, STEPS, data, order)
    assert whole[-1] == 2 * STEPS
    for steps_at_once in (1, 3, 7):
        parts = trained(monkeypatch, steps_at_once, data, order)
        for a, b in zip(whole, parts, strict=True):
            np.testing.assert_array_equal(a, b)


def test_tables_and_batches_mixed_in_pieces(monkeypatch):
    data = [X, T[LISTED], RATES]
    whole = trained(monkeypatch, STEPS, data, lambda: LISTED)
    for a, b in zip(whole, trained(monkeypatch, 5, data, lambda: LISTED), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_piece_takes_a_fifth_of_a_second(monkeypatch):
    now = 0.0

    class Time:
        @staticmethod
        def perf_counter():
            return now

    monkeypatch.setattr(pieces, "time", Time)
    pace, found = Pace(), []
    for first, steps in pace.pieces(1000):
        found.append((first, steps))
        now += steps * (2.0**-10 if first < 100 else 2.0**-6)
    assert found[:5] == [(0, 1), (1, 204), (205, 204), (409, 12), (421, 12)]
    assert sum(steps for _, steps in found) == 1000
    assert list(pace.pieces(7)) == [(0, 7)]


def test_steps_longer_than_a_piece_are_made_one_by_one(monkeypatch):
    monkeypatch.setattr(pieces, "time", Clock())
    assert list(Pace().pieces(3)) == [(0, 1), (1, 1), (2, 1)]


def test_short_epochs_are_one_piece(monkeypatch):
    pace = Pace()
    pace.each = 1e-6
    assert list(pace.pieces(100_000)) == [(0, 100_000)]
    assert not list(pace.pieces(0))


def test_steps_before_ctrl_c_stay_done(monkeypatch):
    w, x = gg.var("w", 0.0), gg.var("x", shape=())
    f = gg.compile([w], [x], {w: w + x})
    data = np.arange(1.0, 11.0)
    with monkeypatch.context() as patch:
        patch.setattr(pieces, "time", Clock(rings=6))  # twice a piece: while the third is made
        with pytest.raises(KeyboardInterrupt):
            f.epoch(data)
    assert w.value == 1 + 2 + 3
    assert f(4.0) == [6.0]
    assert f.epoch(data[4:])[0].tolist() == [10, 15, 21, 28, 36, 45]
    assert w.value == 55
