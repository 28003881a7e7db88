"""ADBench's four problems: values and derivatives against its data, and against NumPy.

The first half runs anywhere, on small inputs drawn from a seed; the second half reads ADBench's
own inputs and published derivatives, where they lie beside the project.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax

import graphgrad as gg

from . import datasets
from .adbench import ba, gmm, hand, lstm, reference, small
from .adbench.reference import complex_step

each_problem = pytest.mark.parametrize("problem", small.PROBLEMS, ids=lambda p: p.name)
continued = [p for p in small.PROBLEMS if p.analytic]
smooth = [p for p in small.PROBLEMS if p.name != "ba, one still"]
"""A rotation of zero is x + r×x, which has the derivative of a rotation, but not the second."""


def agree(actual: Any, expected: Any, rtol: float = 1e-8) -> None:
    """Compare entry by entry; entries below 1e-14 of the largest count as zero."""
    floor = 1e-14 * float(np.max(np.abs(expected), initial=0.0))
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=floor)


def variables(inputs: dict[str, Any]) -> list[gg.Node]:
    return [gg.var(name, value) for name, value in inputs.items()]


def graph_at(y: gg.Node, x: gg.Node) -> Any:
    """Return y as a NumPy function of x, continued to complex numbers."""
    return lambda value: gg.evaluate([y], {x: value}, analytic=True)[0]


def moved(function: Any, values: list[Any], k: int, value: Any) -> Any:
    """Return the function of `values` with the one at `k` replaced."""
    return function(*values[:k], value, *values[k + 1 :])


def test_an_entry_that_is_wrong_by_a_thousandth_is_noticed() -> None:
    with pytest.raises(AssertionError, match="Mismatch"):
        agree([1.0, 1.001e-6], [1.0, 1.0e-6])


# -- small inputs of our own -------------------------------------------------------------------


@each_problem
def test_value_is_that_of_plain_numpy(problem: small.Problem) -> None:
    y = problem.graph(*variables(problem.inputs))
    agree(y.value, problem.numpy(*problem.inputs.values()), rtol=1e-11)


@each_problem
def test_jacobian_is_the_complex_step_of_the_graph(problem: small.Problem) -> None:
    wrt = variables(problem.inputs)
    y = problem.graph(*wrt)
    for x in wrt:
        agree(gg.jacobian(y, x).value, complex_step(graph_at(y, x), x.value), rtol=1e-9)


@pytest.mark.parametrize("problem", continued, ids=lambda p: p.name)
def test_jacobian_is_the_complex_step_of_plain_numpy(problem: small.Problem) -> None:
    values = list(problem.inputs.values())
    wrt = variables(problem.inputs)
    y = problem.graph(*wrt)
    for k, x in enumerate(wrt):
        alone = partial(moved, problem.numpy, values, k)
        agree(gg.jacobian(y, x).value, complex_step(alone, values[k]), rtol=1e-9)


@each_problem
def test_backward_is_the_gradient_graph(problem: small.Problem) -> None:
    wrt = variables(problem.inputs)
    loss = gg.sum(gg.square(problem.graph(*wrt)))
    loss.backward()
    for x, g in zip(wrt, gg.grad(loss, wrt)):
        agree(x.grad, g.value, rtol=1e-12)


@pytest.mark.parametrize("problem", smooth, ids=lambda p: p.name)
def test_second_derivative_along_a_line(problem: small.Problem) -> None:
    wrt = variables(problem.inputs)
    loss = gg.sum(gg.square(problem.graph(*wrt)))
    r = np.random.default_rng(6)
    along = [r.normal(size=x.shape) for x in wrt]
    gradient = gg.grad(loss, wrt)
    products = gg.jvp(gradient, wrt, along)
    step = {x: x.value + 1e-30j * v for x, v in zip(wrt, along)}
    for product, there in zip(products, gg.evaluate(gradient, step, analytic=True)):
        agree(product.value, np.imag(there) / 1e-30, rtol=1e-8)


def test_mixture_has_the_gradient_of_the_textbook() -> None:
    # With responsibilities r and weights π: ∂L/∂α_k = Σ_i r_ik − n π_k and, with precisions P,
    # ∂L/∂μ_k = Σ_i r_ik P_k (x_i − μ_k) (Bishop 2006, section 9.2).
    inputs, x = small.mixture(1).inputs, np.random.default_rng(7).normal(size=(6, 3))
    wrt = variables(inputs)
    gradient = gg.grad(gmm.objective(*wrt, x, 1.0, 0), wrt)
    r = softmax(reference.component_logs(*inputs.values(), x), axis=0)
    agree(gradient[0].value, r.sum(axis=1) - 6 * softmax(inputs["alphas"]), rtol=1e-10)
    for k, p in enumerate(reference.precisions(inputs["icf"], 3)):
        agree(gradient[1].value[k], r[k] @ (x - inputs["means"][k]) @ p, rtol=1e-10)


def test_bundle_blocks_forward_and_reverse_are_the_dense_jacobian() -> None:
    problem = small.bundle()
    wrt = variables(problem.inputs)
    error = problem.graph(*wrt)
    forward, reverse = ba.blocks_forward(error, wrt).value, ba.blocks_reverse(error, wrt).value
    assert forward.shape == (4, 2, 15)
    agree(forward, reverse, rtol=1e-12)
    dense = gg.jacobian(error, wrt[0]).value
    for i in range(4):
        agree(dense[i, :, i], forward[i, :, :11], rtol=1e-12)
        assert not np.any(np.delete(dense[i], i, axis=1))


def test_bundle_is_linear_in_weight_and_principal_point() -> None:
    cam, point, weight = variables(small.bundle().inputs)
    error = ba.reprojection_error(cam, point, weight, np.zeros((4, 2)))
    block = ba.blocks_forward(error, [cam, point, weight]).value
    agree(block[:, :, 14], error.value / weight.value[:, None], rtol=1e-12)
    agree(block[:, :, 7:9], weight.value[:, None, None] * np.eye(2), rtol=1e-12)
    agree(gg.grad(gg.sum(ba.weight_error(weight)), weight).value, -2 * weight.value)


def test_hand_moves_with_its_translation() -> None:
    theta, us = variables(small.complicated_hand().inputs)
    error = small.complicated_hand().graph(theta, us)
    agree(gg.jacobian(error, theta).value[:, :, 3:6], np.tile(-np.eye(3), (3, 1, 1)))


def test_hand_that_is_not_turned_keeps_the_benchmarks_convention() -> None:
    # Below an angle of 1e-4 the benchmark takes the identity, whose derivative is zero.
    problem = small.simple_hand()
    theta = gg.var("theta", np.where(np.arange(26) < 3, 0.0, problem.inputs["theta"]))
    error = problem.graph(theta)
    agree(error.value, problem.numpy(theta.value))
    jacobian = gg.jacobian(error, theta).value
    assert not np.any(jacobian[:, :, :3])
    agree(jacobian[:, :, 3:], complex_step(graph_at(error, theta), theta.value)[:, :, 3:])


def test_text_with_no_weights_costs_the_log_of_its_normaliser() -> None:
    # With all parameters zero y = 0, so each character costs (bits set) · log(2 + bits).
    sequence = np.array([[1.0, 0, 1], [0, 1, 1], [0, 0, 0], [1, 1, 1]])
    zero = [gg.var(name, np.zeros(shape)) for name, shape in zip("mes", [(4, 12), (3, 3), (4, 3)])]
    loss = lstm.objective(*zero, sequence)
    assert loss.value == pytest.approx((2 + 0 + 3) * np.log(5) / 9, rel=1e-15)
    bias = gg.grad(loss, zero[1]).value[2]  # ∂loss/∂y_j = Σ (bits set)/(2 + bits) − bit_j
    agree(bias, ((2 + 0 + 3) / 5 - sequence[1:].sum(axis=0)) / 9)


# -- ADBench's own inputs ----------------------------------------------------------------------


@pytest.mark.parametrize("name", datasets.names("adbench", "gmm_*.npz"))
def test_mixture_of_the_benchmark(name: str) -> None:
    case = datasets.arrays(datasets.adbench(name))
    wrt = variables({key: case[key] for key in ("alphas", "means", "icf")})
    sign = -1 if "corrected" in name else 1
    y = gmm.objective(*wrt, case["x"], float(case["gamma"]), int(case["m"]), sign)
    agree(y.value, case["objective"])
    y.backward()
    for x, g in zip(wrt, gg.grad(y, wrt)):
        agree(x.grad, case[f"d_{x.name}"])
        agree(g.value, case[f"d_{x.name}"])
    if "published_gradient" in case:
        published = np.concatenate([np.ravel(x.grad) for x in wrt])
        agree(y.value, case["published_objective"])
        agree(published, case["published_gradient"])


def blocks() -> tuple[list[Any], list[gg.Node], gg.Node]:
    cases = datasets.table(datasets.adbench("ba_blocks.json"))["cases"]
    wrt = variables({key: np.array([c[key] for c in cases]) for key in ("cam", "X", "w")})
    return cases, wrt, ba.reprojection_error(*wrt, np.array([c["feat"] for c in cases]))


@pytest.mark.parametrize("mode", [ba.blocks_forward, ba.blocks_reverse])
def test_bundle_of_the_benchmark(mode: Any) -> None:
    cases, wrt, error = blocks()
    found = mode(error, wrt).value
    for case, value, block in zip(cases, error.value, found):
        agree(value, case["reproj_err"])
        agree(block, case["jacobian"])
        if case.get("published"):
            agree(block, case["published"]["jacobian"])


def test_bundle_weights_of_the_benchmark() -> None:
    cases, (_, _, weight), _ = blocks()
    error = ba.weight_error(weight)
    agree(error.value, [c["w_err"] for c in cases])
    agree(gg.grad(gg.sum(error), weight).value, [c["d_w_err"] for c in cases])


def test_bundle_of_ten_thousand_observations() -> None:
    cases = datasets.table(datasets.adbench("ba_blocks.json"))["cases"]
    case = next(c for c in cases if c["name"] == "ba1_to_ba20_block")
    wrt = variables({k: np.repeat(np.array([case[k]]), 10_000, 0) for k in ("cam", "X", "w")})
    error = ba.reprojection_error(*wrt, case["feat"])
    for mode in (ba.blocks_forward, ba.blocks_reverse):
        agree(mode(error, wrt).value, np.broadcast_to(case["jacobian"], (10_000, 2, 15)))


@pytest.mark.parametrize("name", datasets.names("adbench", "hand_[sc]*.npz"))
def test_hand_of_the_benchmark(name: str) -> None:
    case = datasets.arrays(datasets.adbench(name))
    parts = datasets.arrays(datasets.adbench("hand_model.npz"))
    model = hand.Model(*(parts[key] for key in hand.Model.__dataclass_fields__))
    theta, fixed = gg.var("theta", case["theta"]), (model, case["points"], case["correspondences"])
    if "us" in case:
        us = gg.var("us", case["us"])
        error, wrt = hand.complicated(theta, us, *fixed), [us, theta]
    else:
        error, wrt = hand.simple(theta, *fixed), [theta]
    agree(np.ravel(error.value), case["objective"])
    rows = error.size
    found = [gg.jacobian(error, x).value.reshape(rows, x.size) for x in wrt]
    agree(np.concatenate(found, axis=1), case["jacobian"])


@pytest.mark.parametrize("name", datasets.names("adbench", "lstm_*.npz"))
def test_text_of_the_benchmark(name: str) -> None:
    case = datasets.arrays(datasets.adbench(name))
    wrt = variables({key: case[key] for key in ("main_params", "extra_params")})
    y = lstm.objective(*wrt, case["state"], case["sequence"].astype(float))
    agree(y.value, case["objective"])
    y.backward()
    for x, g in zip(wrt, gg.grad(y, wrt)):
        agree(x.grad, case[f"d_{x.name}"])
        agree(g.value, case[f"d_{x.name}"])
