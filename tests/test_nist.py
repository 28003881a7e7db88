"""NIST's reference data sets for regression: derivatives, and fits that use them.

National Institute of Standards and Technology, Statistical Reference Datasets,
https://www.itl.nist.gov/div898/strd/. The 27 nonlinear models are read from text; their values,
gradients, Hessians and Jacobians are compared at both starts and at the certified solution.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from scipy.optimize import least_squares

import graphgrad as gg

from . import datasets

NONLINEAR = datasets.names("nist_strd/nonlinear", "*.json")
LINEAR = datasets.names("nist_strd/linear", "*.json")
POINTS = ("start1", "start2", "certified")


class Problem(NamedTuple):
    """A data set, its model or its sum of squares as a graph, and the parameters in order."""

    data: dict[str, Any]
    y: gg.Node
    parameters: list[gg.Node]


def read(name: str, text: str) -> Problem:
    data = datasets.table(datasets.nist(f"nonlinear/{name}"))
    x = np.array(data["x"])
    given = {"x": x} if x.ndim == 1 else {f"x{k + 1}": row for k, row in enumerate(x)}
    if text == "expr_objective":
        given["response"] = np.array(data["response"])
    names = [f"b{k + 1}" for k in range(data["n_params"])]
    y = gg.parse(data[text], **given, **dict.fromkeys(names, 0.0))
    found = {node.name: node for node in gg.ancestors(y) if node.op == "variable"}
    return Problem(data, y, [found[name] for name in names])


def points(problem: Problem) -> Any:
    """Set the parameters to each point in turn, and give what the file says holds there."""
    for point in POINTS:
        expected = problem.data["derivatives"][point]
        for node, value in zip(problem.parameters, expected["params"]):
            node.value = value
        yield expected


@pytest.mark.parametrize("name", NONLINEAR)
def test_sum_of_squares_its_gradient_and_hessian(name: str) -> None:
    problem = read(name, "expr_objective")
    gradient = gg.grad(problem.y, problem.parameters)
    hessian = [gg.grad(g, problem.parameters) for g in gradient]
    for expected in points(problem):
        assert problem.y.value == pytest.approx(expected["sum_of_squares"], rel=1e-11)
        # At a minimum the terms of the gradient cancel: the tolerance is that of their size.
        off = [g.value for g in gradient] - expected["grad_sum_of_squares"]
        assert np.all(np.abs(off) <= 1e-11 * expected["grad_scale_sum_abs_2rJ"])
        second = np.array([[h.value for h in row] for row in hessian])
        units = np.sqrt(np.abs(np.diag(second)))
        off = (second - expected["hessian_of_sum_of_squares"]) / np.outer(units, units)
        assert np.max(np.abs(off)) <= 1e-11
        problem.y.backward()
        for node, g in zip(problem.parameters, gradient):
            assert node.grad == pytest.approx(g.value, rel=1e-12)


@pytest.mark.parametrize("name", NONLINEAR)
def test_jacobian_of_the_model(name: str) -> None:
    problem = read(name, "expr_model")
    columns = [gg.jacobian(problem.y, b) for b in problem.parameters]
    for expected in points(problem):
        jacobian = expected["jacobian_of_model"]
        for column, right in zip(columns, jacobian.T):
            floor = 1e-12 * np.max(np.abs(right))
            np.testing.assert_allclose(column.value, right, rtol=1e-11, atol=floor)


@pytest.mark.parametrize("name", NONLINEAR)
def test_certified_residual_sum_of_squares(name: str) -> None:
    problem = read(name, "expr_objective")
    *_, last = points(problem)
    assert last["params"] == problem.data["certified"]
    if problem.data["name"] == "Lanczos1":  # 11 digits of the parameters cannot give 1.4e-25
        assert problem.y.value < 1e-20
    else:
        assert problem.y.value == pytest.approx(problem.data["certified_rss"], rel=1e-9)


@pytest.mark.parametrize("start", ["start1", "start2"])
@pytest.mark.parametrize("name", NONLINEAR)
def test_fit_with_our_jacobian_reaches_the_certified_parameters(name: str, start: str) -> None:
    # Levenberg and Marquardt's method, as MINPACK has it, with residuals and Jacobian from graphs.
    problem = read(name, "expr_model")
    if (problem.data["name"], start) == ("BoxBOD", "start1"):
        pytest.skip("from BoxBOD's first start the method runs off to infinity, as is well known")
    residuals = problem.y - np.array(problem.data["response"])
    jacobian = gg.stack([gg.jacobian(residuals, b) for b in problem.parameters], axis=-1)

    def at(y: gg.Node) -> Any:
        return lambda b: gg.evaluate([y], dict(zip(problem.parameters, b)))[0]

    found = least_squares(
        at(residuals), problem.data[start], at(jacobian), method="lm", x_scale="jac",
        xtol=1e-15, ftol=1e-15, gtol=1e-15, max_nfev=5000,
    )  # fmt: skip
    np.testing.assert_allclose(found.x, problem.data["certified"], rtol=1e-5)


# -- linear ------------------------------------------------------------------------------------


def linear(name: str) -> tuple[dict[str, Any], gg.Node, gg.Node, Any]:
    """Return a linear data set, its sum of squares, the coefficients (at zero), and the design."""
    data = datasets.table(datasets.nist(f"linear/{name}"))
    x, size = np.array(data["x"]), len(data["coef_exact"])
    first = 0 if data["intercept"] else 1
    if x.ndim == 1:
        design = np.stack([x**k for k in range(first, first + size)], axis=1)
    else:
        design = np.concatenate([np.ones((len(x), 1)), x], axis=1)
    b = gg.var("b", np.zeros(size))
    return data, gg.sum(gg.square(np.array(data["y"]) - design @ b)), b, design


@pytest.mark.parametrize("name", LINEAR)
def test_gradient_is_right_at_zero_and_vanishes_at_the_solution(name: str) -> None:
    data, loss, b, design = linear(name)
    gradient = gg.grad(loss, b)
    assert loss.value == pytest.approx(data["sum_sq_at_zero"], rel=1e-12)
    np.testing.assert_allclose(gradient.value, data["grad_sum_sq_at_zero"], rtol=1e-12)
    b.value = data["coef_exact"]
    sizes = np.abs(data["y"]) + np.abs(design) @ np.abs(b.value)  # of what cancels in a residual
    assert np.all(np.abs(gradient.value) <= 1e-14 * (np.abs(design).T @ sizes))


@pytest.mark.parametrize("name", LINEAR)
def test_hessian_is_the_normal_matrix(name: str) -> None:
    _, loss, b, design = linear(name)
    np.testing.assert_allclose(gg.hessian(loss, b).value, 2 * design.T @ design, rtol=1e-13)


@pytest.mark.parametrize("name", LINEAR)
def test_newton_steps_solve_it(name: str) -> None:
    # One step would do if numbers were exact; the next ones remove its rounding errors.
    data, loss, b, _ = linear(name)
    if data["name"] == "filip":
        pytest.skip("filip's normal matrix keeps no correct digit in double precision")
    gradient, hessian = gg.grad(loss, b), gg.hessian(loss, b).value
    units = np.sqrt(np.diag(hessian))
    inverse = np.linalg.inv(hessian / np.outer(units, units)) / np.outer(units, units)
    for _ in range(4):
        b.value = b.value - inverse @ gradient.value
    np.testing.assert_allclose(b.value, data["coef_exact"], rtol=1e-4)
    spread = np.sqrt(2 * np.diag(inverse)) * data["residual_sd"]
    np.testing.assert_allclose(spread, data["sd"], rtol=1e-6)
