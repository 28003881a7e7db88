"""Threads that call compiled graphs at the same time: each gets its own results, none is lost."""

from __future__ import annotations

import sys
import threading

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.compiler.pieces import Pace
from graphgrad.locks import Several, lock_for, lock_of

pytestmark = pytest.mark.usefixtures("own_cache")
targets = pytest.mark.parametrize("target", ["numpy", "numba"])


@pytest.fixture(autouse=True)
def _switching_often():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def together(*jobs):
    """Run jobs at the same time, a thread each, and return what each returned."""
    found, start = [None] * len(jobs), threading.Barrier(len(jobs))

    def one(k):
        start.wait()
        found[k] = jobs[k]()

    threads = [threading.Thread(target=one, args=(k,)) for k in range(len(jobs))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return found


def held_elsewhere(lock):
    """Return whether another thread would have to wait for a lock."""

    def tried():
        free = lock.acquire(blocking=False)
        if free:
            lock.release()
        return not free

    return together(tried)[0]


@targets
def test_threads_get_their_own_results(target):
    x, W = gg.var("x", shape=(40, 8)), gg.var("W", np.ones((8, 200)))
    h = gg.tanh(x @ W)  # copied on its way out; the sum is not
    f = gg.compile([gg.sum(h), h], [x], target=target)
    data = [np.full((40, 8), 0.01 * k) for k in range(6)]
    want = [f(d) for d in data]

    def calls(k):
        found = (f(data[k]) for _ in range(100))
        return sum(not all(map(np.array_equal, a, want[k])) for a in found)

    assert together(*[lambda k=k: calls(k) for k in range(6)]) == [0] * 6


@targets
def test_no_update_is_lost(target, monkeypatch):
    monkeypatch.setattr(Pace, "_count", lambda self: 2)
    x, v, w = gg.var("x", shape=()), gg.var("v", 0.0), gg.var("w", 0.0)
    one = gg.compile([w], [x], {w: w + x}, target=target)
    other = gg.compile([v], [x], {v: v + x}, target=target)
    both = gg.compile([w], [x], {w: w + x, v: v + x}, target=target)
    ones = np.ones(5)

    def calls(f):
        for _ in range(50):
            f(1.0)
            f.epoch(ones)
            assert w.value + v.value > 0

    together(*[lambda f=f: calls(f) for f in (one, other, both, one, other, both)])
    assert w.value == v.value == 4 * 50 * 6


@targets
def test_a_value_set_during_a_call_comes_after_it(target):
    w = gg.var("w", 0.0)
    f = gg.compile([w], [], {w: w + 1}, target=target)
    f()
    run, setting = f._runtime.run, threading.Thread(target=setattr, args=(w, "value", 10.0))

    def slow(values):
        setting.start()
        setting.join(0.05)  # it has time, and yet must wait
        return run(values)

    f._runtime.run = slow
    f()
    f._runtime.run = run
    setting.join()
    assert w.value == 10
    assert f() == [10]
    assert w.value == 11


@pytest.mark.parametrize(
    ("inner", "outer"),
    [
        ("run", lambda f, x: f(x)),
        ("run", lambda f, x: f(x, check_finite=True)),
        ("run", lambda f, x: f.check(x)),
        ("epoch", lambda f, x: f.epoch([x, x])),
        ("epoch", lambda f, x: f.epoch(x[[0, 1, 1, 0]], shuffle=0, drop_last=False)),
        ("profile", lambda f, x: f.profile(x)),
        ("get", lambda f, x: f.fetch(next(iter(f._updates)))),
    ],
)
def test_all_that_runs_takes_its_turn(inner, outer):
    x, w = gg.var("x", shape=(2,)), gg.var("w", 1.0)
    f = gg.compile([gg.sum(x) * w], [x], {w: w + 1}, target="numpy")
    f(np.ones(2))
    real, seen = getattr(f._runtime, inner), []

    def watched(*arguments):
        seen.append(held_elsewhere(f._lock))
        return real(*arguments)

    setattr(f._runtime, inner, watched)
    outer(f, np.ones(2))
    assert seen
    assert all(seen)
    assert not held_elsewhere(f._lock)


def test_executors_share_a_lock_when_they_share_a_variable():
    x, v, w = gg.var("x", 1.0), gg.var("v", 1.0), gg.var("w", 1.0)
    f, g = gg.compile([x * v], [x], target="numpy"), gg.compile([w + 1], target="numpy")
    assert f._lock is lock_of(x) is lock_of(v)
    assert g._lock is not f._lock
    assert gg.compile([v + 1], target="numpy")._lock is f._lock
    both = lock_for([w, v])
    with both, both:
        assert held_elsewhere(lock_of(v))
        assert held_elsewhere(lock_of(w))
    assert not held_elsewhere(lock_of(v))
    assert not held_elsewhere(lock_of(w))


def test_without_variables_a_lock_is_its_own():
    first, second = (gg.compile([gg.const(1.0) + 1], target="numpy") for _ in range(2))
    assert first._lock is not second._lock


def test_several_locks_are_taken_in_one_order_and_given_back_when_interrupted():
    events = []

    class Lock:
        def acquire(self):
            events.append(("+", self))
            if len(events) == interrupted:
                raise KeyboardInterrupt

        def release(self):
            events.append(("-", self))

    a, b = sorted((Lock(), Lock()), key=id)
    interrupted = 0
    for pair in ((a, b), (b, a)):
        events.clear()
        with Several(pair):
            assert events == [("+", a), ("+", b)]
        assert events[2:] == [("-", b), ("-", a)]
    events.clear()
    interrupted = 2
    with pytest.raises(KeyboardInterrupt), Several((a, b)):
        pass
    assert events == [("+", a), ("+", b), ("-", a)]
