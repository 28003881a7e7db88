"""Optimizers against PyTorch's trajectories and the papers' formulas; clipping; schedules."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import graphgrad as gg
from graphgrad import nn
from graphgrad.errors import NetworkError

GOLDEN = json.loads((Path(__file__).parent / "golden" / "optimizers.json").read_text("utf-8"))
START = [0.3, -0.4, 0.8]
CASES = {
    "sgd": lambda: nn.SGD(0.05),
    "momentum": lambda: nn.SGD(0.02, momentum=0.9),
    "nesterov": lambda: nn.SGD(0.02, momentum=0.9, nesterov=True),
    "adagrad": lambda: nn.Adagrad(0.3),
    "adagrad_from_0.1": lambda: nn.Adagrad(0.3, initial_accumulator_value=0.1),
    "adadelta": lambda: nn.Adadelta(),
    "rmsprop": lambda: nn.RMSprop(0.004),
    "adam": lambda: nn.Adam(0.05),
    "adamw": lambda: nn.AdamW(0.05, weight_decay=0.1),
    "clipvalue": lambda: nn.SGD(0.05, clipvalue=0.2),
    "clipnorm": lambda: nn.SGD(0.05, clipnorm=0.3),
    "exponential": lambda: nn.Adam(nn.ExponentialDecay(0.1, 1, 0.97)),
    "step": lambda: nn.SGD(nn.StepDecay(0.1, 30, 0.5)),
    "cosine": lambda: nn.SGD(nn.CosineDecay(0.1, 100)),
}


def bent(w):
    first = 0.5 * (w[0] - 1) ** 2 + 2 * (w[1] - w[0] ** 2) ** 2
    return first + gg.softplus(w[2] * w[0]) + 0.1 * w[2] ** 2


def compiled(optimizer, dtype=float, target="numpy"):
    w = gg.var("w", np.array(START, dtype), dtype=dtype)
    loss = bent(w)
    updates = optimizer.updates([w], [gg.grad(loss, w)])
    return w, gg.compile([loss], [], updates, target=target), updates


def trajectory(optimizer, dtype=float):
    w, step, _ = compiled(optimizer, dtype)
    points = []
    for k in range(1, 101):
        step()
        if k % 10 == 0:
            points.append(w.value)
    return np.array(points)


@pytest.mark.parametrize("name", CASES)
def test_trajectory_of_100_steps(name):
    np.testing.assert_allclose(trajectory(CASES[name]()), GOLDEN[name], rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", CASES)
def test_float32_stays_near(name):
    np.testing.assert_allclose(trajectory(CASES[name](), "float32"), GOLDEN[name], atol=3e-4)


def test_the_goldens_tell_optimizers_apart():
    ends = [np.array(GOLDEN[name][-1]) for name in CASES]
    for k, a in enumerate(ends):
        for b in ends[:k]:
            assert np.max(np.abs(a - b)) > 1e-5


def test_momentum_has_the_rate_inside_as_in_the_paper():
    # Qian 1999 and Keras: v = μ v − α g. PyTorch's v = μ v + g differs when α changes.
    rates = nn.PiecewiseConstantDecay([0], [0.1, 0.01])
    w = gg.var("w", 1.0)
    optimizer = nn.SGD(rates, momentum=0.5)
    step = gg.compile([w], [], optimizer.updates([w], [gg.grad(w * w, w)]), target="numpy")
    v, x = 0.0, 1.0
    for alpha in (0.1, 0.01, 0.01):
        v = 0.5 * v - alpha * 2 * x
        x += v
        step()
    assert w.value == pytest.approx(x, rel=1e-14)


def test_rate_can_be_set_between_steps():
    optimizer = nn.SGD(0.1)
    w, step, _ = compiled(optimizer)
    step()
    before = w.value
    optimizer.learning_rate = 0.0
    step()
    assert np.array_equal(before, w.value)
    assert optimizer.iterations.value == 2


def test_accumulated_gradients_are_a_larger_batch():
    rng = np.random.default_rng(0)
    data = rng.normal(size=(8, 3))

    def end(optimizer, batches):
        w, x = gg.var("w", START), gg.var("x", shape=batches[0].shape)
        loss = gg.mean(gg.square(x @ w - 1))
        step = gg.compile([loss], [x], optimizer.updates([w], [gg.grad(loss, w)]), target="numpy")
        found = []
        for batch in batches * 3:
            step(batch)
            found.append(w.value)
        return found, optimizer

    whole, _ = end(nn.Adam(0.1, global_clipnorm=0.5), [data])
    parts, optimizer = end(
        nn.Adam(0.1, global_clipnorm=0.5, gradient_accumulation_steps=4), np.split(data, 4)
    )
    np.testing.assert_allclose(parts[3::4], whole, rtol=1e-12)
    assert np.array_equal(parts[2], START)
    assert optimizer.iterations.value == 3


def test_global_norm_is_of_all_gradients_together():
    a, b = gg.var("a", [3.0, 0.0]), gg.var("b", 4.0)
    loss = a[0] * 3 + b * 4
    updates = nn.SGD(1.0, global_clipnorm=1.0).updates([a, b], gg.grad(loss, [a, b]))
    np.testing.assert_allclose(updates[a].value, [3 - 0.6, 0])
    assert updates[b].value == pytest.approx(4 - 0.8)


@pytest.mark.parametrize("limit", ["clipvalue", "clipnorm", "global_clipnorm"])
def test_a_gradient_of_zero_stays_zero_when_clipped(limit):
    a = gg.var("a", [0.0, 0.0])
    updates = nn.SGD(1.0, **{limit: 1.0}).updates([a], [gg.grad(gg.sum(a * a), a)])
    assert updates[a].value.tolist() == [0.0, 0.0]


def test_an_update_can_be_drawn_and_stepped():
    optimizer = nn.Adam(0.1)
    w, step, updates = compiled(optimizer)
    step()
    (m,) = [v for v in updates if v.name == "m"]
    t = gg.tape(updates[w])
    assert m in t.nodes
    names = {n.name for n in t.nodes}
    assert {"m", "v", "m̂", "v̂", "t", "learning_rate", "iterations"} <= names
    g = gg.draw(updates[w], phase="forward").source
    assert "adam" in g
    (corrected,) = [n for n in t.nodes if n.name == "m̂"]
    assert t.value(corrected) == pytest.approx(updates[m].value / (1 - 0.9**2))


@pytest.mark.parametrize("target", ["numpy", "numba"])
def test_compiled_update_is_the_graph(target):
    _, step, _ = compiled(nn.AdamW(nn.WarmUp(nn.CosineDecay(0.1, 9), 3)), "float32", target)
    for _ in range(3):
        assert max(step.check().values()) < 1e-5


SCHEDULES = {
    "constant": (nn.ConstantRate(0.1), lambda t: 0.1),
    "exponential": (nn.ExponentialDecay(0.1, 10, 0.5), lambda t: 0.1 * 0.5 ** (t / 10)),
    "staircase": (
        nn.ExponentialDecay(0.1, 10, 0.5, staircase=True), lambda t: 0.1 * 0.5 ** (t // 10),
    ),
    "step": (nn.StepDecay(0.1, 10), lambda t: 0.1 * 0.1 ** (t // 10)),
    "cosine": (
        nn.CosineDecay(0.1, 20, 0.1),
        lambda t: 0.1 * (0.9 * 0.5 * (1 + np.cos(np.pi * min(t / 20, 1))) + 0.1),
    ),
    "cosine after a warm-up": (
        nn.CosineDecay(0.0, 20, warmup_target=0.2, warmup_steps=5),
        lambda t: 0.2 * t / 5 if t < 5
        else 0.1 * (1 + np.cos(np.pi * min((t - 5) / 20, 1))),
    ),
    "pieces": (
        nn.PiecewiseConstantDecay([3, 7], [1.0, 0.5, 0.1]),
        lambda t: 1.0 if t <= 3 else 0.5 if t <= 7 else 0.1,
    ),
    "warm-up": (nn.WarmUp(0.1, 10), lambda t: 0.1 * min(t / 10, 1)),
}  # fmt: skip


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedule_as_number_and_as_graph(name):
    schedule, formula = SCHEDULES[name]
    step = gg.var("step", 0, dtype=int)
    node = schedule(step)
    assert node.dtype == np.float64
    assert node.shape == ()
    for t in range(40):
        step.value = t
        assert schedule(t) == pytest.approx(formula(t), rel=1e-13)
        assert node.value == pytest.approx(formula(t), rel=1e-13)


def test_settings_that_cannot_be():
    for make, message in [
        (lambda: nn.SGD(-1), "learning_rate=-1: expected a number of at least 0"),
        (lambda: nn.SGD("fast"), "learning_rate='fast'"),
        (lambda: nn.SGD(momentum=1.0), r"momentum=1.0: expected a number in \[0, 1\)"),
        (lambda: nn.Adam(beta_2=1.5), "beta_2=1.5"),
        (lambda: nn.Adam(clipnorm=0), "Adam: 0; expected a number above 0"),
        (lambda: nn.PiecewiseConstantDecay([1], [1.0]), "1 boundaries and 1 values"),
    ]:
        with pytest.raises(NetworkError, match=message):
            make()
    scheduled = nn.SGD(nn.WarmUp(0.1, 3))
    with pytest.raises(NetworkError, match="follows a schedule"):
        scheduled.learning_rate = 0.1
