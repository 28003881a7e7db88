"""Fits to many digits: NIST's nonlinear sets from their second start, and small known minima."""

from __future__ import annotations

import numpy as np
import pytest

import graphgrad as gg
from graphgrad import nn
from graphgrad.errors import NetworkError

from .test_nist import NONLINEAR, read


def digits(problem):
    """Return to how many digits the worst parameter is right (Altman and McDonald's LRE)."""
    certified = np.array(problem.data["certified"])
    found = np.array([b.value for b in problem.parameters])
    off = np.abs(found - certified) / np.abs(certified)
    return float(-np.log10(np.max(off) + 1e-15))


@pytest.mark.parametrize("name", NONLINEAR)
def test_newton_reaches_the_certified_parameters(name):
    problem = read(name, "expr_objective")
    for b, value in zip(problem.parameters, problem.data["start2"], strict=True):
        b.value = value
    found = nn.minimize(problem.y, problem.parameters)
    assert found.converged
    assert digits(problem) >= 8


def rosenbrock(n):
    x = gg.var("x", np.tile([-1.2, 1.0], n // 2))
    even, odd = x[::2], x[1::2]
    return gg.sum((1 - even) ** 2 + 100 * (odd - even**2) ** 2), x


@pytest.mark.parametrize("method", ["newton", "lbfgs"])
def test_rosenbrocks_valley(method):
    loss, x = rosenbrock(10)
    found = nn.minimize(loss, x, method)
    np.testing.assert_allclose(x.value, 1, rtol=1e-6)
    assert found.converged
    assert found.value < 1e-12
    assert repr(found).startswith("<minimum: ")
    np.testing.assert_array_equal(found.values[0], x.value)


def test_several_variables_of_several_shapes():
    rng = np.random.default_rng(0)
    A = rng.normal(size=(20, 3))
    W, b = gg.var("W", np.zeros((3, 2))), gg.var("b", np.zeros(2))
    y = A @ rng.normal(size=(3, 2)) + 1.5
    found = nn.minimize(gg.sum(gg.square(A @ W + b - y)), [W, b])
    np.testing.assert_allclose(A @ W.value + b.value, y, atol=1e-10)
    assert found.iterations < 10


def test_a_saddle_and_a_limit():
    x, y = gg.var("x", 1e-3), gg.var("y", 1.0)
    nn.minimize(x**4 - x**2 + y**2, [x, y])  # the Hessian is indefinite at the start
    assert abs(x.value) == pytest.approx(np.sqrt(0.5))
    loss, z = rosenbrock(2)
    found = nn.minimize(loss, z, max_iterations=3)
    assert not found.converged
    assert found.iterations == 3
    assert "no minimum yet" in repr(found)


def test_what_cannot_be_minimized():
    x = gg.var("x", -1.0)
    with pytest.raises(NetworkError, match="is not finite at the start"):
        nn.minimize(gg.log(x), x)
    w = gg.var("w", np.float32(1))
    with pytest.raises(NetworkError, match="'w' is no float64 variable"):
        nn.minimize(w * w, w)
    with pytest.raises(NetworkError, match="method 'bfgs': expected newton or lbfgs"):
        nn.minimize(x * x, x, "bfgs")
