"""Numeric checks: right gradients pass, wrong ones are told with point, numbers and tolerance."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.errors import GradientError, GradientMismatchError, MissingValueError
from graphgrad.graph import apply
from graphgrad.ops.define import Elementwise
from graphgrad.primitive import TABLE
from graphgrad.proof.check import compare_gradient, rtol_of
from graphgrad.proof.numeric import CENTRAL, COMPLEX, compare_function
from graphgrad.proof.slopes import central_difference, complex_step

from . import rulebook

RIGHT: dict[str, tuple[str, dict[str, Any]]] = {
    "lesson 15": ("abs(4 - (x*w + b))", {"x": 2, "w": 3, "b": 1}),
    "logistic": ("p = sigmoid(w*x + b); -log(p)", {"w": 0.3, "x": -1.2, "b": 0.1}),
    "layer": ("sum(relu(W @ x + b)**2)", {"W": [[1, -2], [3, 4]], "x": [1, 2], "b": [1, 1]}),
    "softmax": ("logsumexp(z) - z[1]", {"z": [1, 2, -3]}),
    "kinks beside": ("max(x, y) + relu(x - 1) + clip(y, 0, 1)", {"x": 1.5, "y": 0.75}),
    "choice": ("where(x > y, x**3, y)", {"x": 2, "y": 1}),
    "steps": ("floor(x)*x + sign(x)", {"x": 2.5}),
    "large numbers": ("x*y", {"x": 1e150, "y": 1e-150}),
    "small numbers": ("x**2/(1 + x)", {"x": 1e-9}),
    "power": ("x**y", {"x": 0.25, "y": -1.5}),
    "vector root": ("tanh(W @ x)", {"W": [[1, -2], [3, 4]], "x": [0.1, 0.2]}),
    "reduction": ("prod(x) + min(x) + mean(x)", {"x": [1.5, 2, -3]}),
}
each_graph = pytest.mark.parametrize("name", RIGHT)
each_method = pytest.mark.parametrize("method", [COMPLEX, CENTRAL])


def graph(name: str) -> gg.Node:
    text, values = RIGHT[name]
    return gg.parse(text, **values)


@each_graph
@pytest.mark.parametrize("method", ["auto", CENTRAL])
def test_right_gradients_pass(name: str, method: str) -> None:
    found = gg.check_gradient(graph(name), method=method)
    assert found
    assert all(c.ok and np.isfinite(c.expected) for c in found)
    if method == CENTRAL:
        assert {c.method for c in found} == {CENTRAL}
        assert all(c.tolerance <= 1e-3 * max(abs(c.expected), 1e-6) for c in found)


def wrong(p: Any, factor: float) -> Any:
    """Return a primitive whose rules are all wrong by a factor."""
    if isinstance(p, Elementwise):
        partials = tuple(scaled(r, factor) for r in p.partials)
        return dataclasses.replace(p, partials=partials, rules=partials)
    return dataclasses.replace(p, rules=tuple(scaled(r, factor) for r in p.rules))


def scaled(rule: Any, factor: float) -> Any:
    if not callable(rule):
        return rule and rule * factor
    return lambda *args, **settings: factor * rule(*args, **settings)


@each_method
def test_a_rule_wrong_by_a_thousandth_is_told_readably(method: str) -> None:
    x = gg.var("x", 0.5)
    y = apply(wrong(gg.PRIMITIVES["tanh"], 1.001), [x])
    with pytest.raises(GradientMismatchError) as caught:
        gg.check_gradient(y, method=method)
    first, at, numbers = str(caught.value).split("\n")
    assert first == f"the gradient towards x differs from the {method}"
    assert at == "  at x = 0.5"
    assert numbers.startswith("  gradient: 0.78723418")
    assert f", {method}: 0.78644773" in numbers
    assert ", tolerance: " in numbers
    assert isinstance(caught.value, AssertionError)


ONE = [p for p in TABLE.values() if isinstance(p, Elementwise) and any(p.partials)]


@each_method
@pytest.mark.parametrize("p", ONE, ids=lambda p: p.name)
def test_every_map_wrong_by_a_thousandth_is_rejected(p: Elementwise, method: str) -> None:
    xs = [gg.var(f"x{k}", v) for k, v in enumerate(rulebook.points(p))]
    settings = rulebook.settings(p, p.cases[0])
    moved = [x for k, x in enumerate(xs) if x.dtype.kind == "f" and p.has_rule(k)]
    right = compare_gradient(apply(p, xs, settings), moved, method=method)
    assert all(c.ok for c in right)
    found = compare_gradient(apply(wrong(p, 1.001), xs, settings), moved, method=method)
    assert any(not c.ok for c in found) or all(c.expected == 0 for c in right)


def test_a_large_graph_is_moved_along_random_directions() -> None:
    rng = np.random.default_rng(0)
    W, x = gg.var("W", rng.normal(size=(200, 300))), gg.var("x", rng.normal(size=300))
    found = gg.check_gradient(gg.sum(gg.tanh(W @ x)))
    assert [c.argument for c in found] == [
        f"{name} along random direction {k}" for name in "Wx" for k in (1, 2, 3)
    ]
    many = [gg.var(f"w{k}", v) for k, v in enumerate(rng.normal(size=500))]
    total = gg.const(0.0)
    for k, w in enumerate(many):
        total = total + gg.sin(w * (k % 7))
    found = gg.check_gradient(total, directions=2)
    assert [c.argument for c in found] == [
        f"all 500 arguments along random direction {k}" for k in (1, 2)
    ]
    assert found[0].point.endswith("… (500 arguments)")
    assert len(found[0].point) < 400


def test_one_wrong_entry_of_many_is_noticed_in_a_projection() -> None:
    x = np.random.default_rng(0).normal(size=10_000)
    gradient = np.cos(x)
    gradient[777] *= 1.001

    def f(xs: Any) -> Any:
        return np.sum(np.sin(xs[0]))

    found = compare_function(f, [gradient], [x], analytic=f)
    assert not any(c.ok for c in found)


def test_float32_graphs_have_a_wider_tolerance() -> None:
    x = gg.var("x", np.float32([0.1, 0.7, -1.3]), dtype="float32")
    y = gg.sum(gg.tanh(x * 3) ** 2)
    found = gg.check_gradient(y)
    assert y.dtype == np.float32
    assert all(1e-5 < c.tolerance / abs(c.expected) < 1e-3 for c in found)
    assert not all(c.ok for c in compare_gradient(y, rtol=1e-9))
    bad = gg.sum(apply(wrong(gg.PRIMITIVES["tanh"], 1.001), [x]))
    with pytest.raises(GradientMismatchError, match=r"towards x\[0\] differs"):
        gg.check_gradient(bad)
    assert rtol_of([]) == 1e-9


def test_points_that_are_not_finite_are_refused() -> None:
    with pytest.raises(GradientError, match=r"log#\d+ is not finite here: x = 0\.0\. There is no"):
        gg.check_gradient(gg.log(gg.var("x", 0.0)))
    with pytest.raises(GradientMismatchError, match="gradient: inf") as caught:
        gg.check_gradient(gg.sqrt(gg.var("x", 0.0)), method=CENTRAL)
    assert str(caught.value).endswith("a derivative that is not finite is none")
    with pytest.raises(MissingValueError):
        gg.check_gradient(gg.var("x") * 2)
    with pytest.raises(GradientError, match="method='newton': expected 'auto'"):
        gg.check_gradient(gg.var("x", 1.0) * 2, method="newton")
    with pytest.raises(GradientError, match=r"shape \(2,\), the argument \(3,\)"):
        compare_function(lambda xs: xs[0].sum(), [np.ones(2)], [np.ones(3)])


def test_at_a_kink_the_convention_is_no_derivative() -> None:
    assert not compare_gradient(gg.relu(gg.var("x", 0.0)), method=CENTRAL)[0].ok
    assert gg.check_gradient(abs(gg.var("x", 0.0)), method=CENTRAL)  # the mean of both slopes


@pytest.mark.parametrize("x", [1e-8, 0.3, 1.0, 40.0, 1e6])
def test_differences_know_their_own_error(x: float) -> None:
    for f, slope in ((np.sin, np.cos), (np.log, lambda x: 1 / x), (lambda x: x**5, quintic)):
        found, error = central_difference(lambda xs, f=f: f(xs[0]), [x], [1.0])
        truth = float(slope(x))
        assert abs(found - truth) <= 10 * error + 1e-12 * abs(truth)
        assert error <= 1e-6 * max(abs(truth), 1e-3)
        assert complex_step(lambda xs, f=f: f(xs[0]), [x], [1.0]) == pytest.approx(truth, 1e-12)


def quintic(x: float) -> float:
    return 5 * x**4


def test_what_is_not_analytic_is_left_to_differences() -> None:
    def f(xs: Any) -> Any:
        return np.abs(xs[0]) ** 3  # the modulus: its complex step is 0

    (found,) = compare_function(f, [12.0], [2.0], analytic=f)
    assert (found.ok, found.method) == (True, CENTRAL)
    (found,) = compare_function(f, [12.012], [2.0], analytic=f)
    assert not found.ok
    (found,) = compare_function(lambda xs: float(xs[0]) ** 2, [4.0], [2.0], analytic=f_real)
    assert (found.ok, found.method) == (True, CENTRAL)


def f_real(xs: Any) -> Any:
    raise TypeError("no complex numbers here")


def test_names_are_shown_safely() -> None:
    x = gg.var("\x1b[31mx", 0.5)
    (found,) = gg.check_gradient(gg.tanh(x))
    assert "\x1b" not in str(found)
    (bare,) = compare_function(lambda xs: xs[0] ** 2, [1.0], [0.5])
    assert str(bare).startswith("the gradient towards argument 1 agrees with the central")
