"""The numbers of the lectures: what a student computes by hand there has to come out here.

`NUMBERS` is the table: the lesson, an expression, the values in it, its value, its gradients.
The digits are the lectures', or are worked out beside them from the lesson's own formula.
"""

from __future__ import annotations

from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.gradient import sweep


class Number(NamedTuple):
    """One number of a lecture, with the gradients that belong to it."""

    lesson: str
    text: str
    given: dict[str, Any]
    value: Any
    gradients: dict[str, Any]


def s(z: float) -> float:
    """The sigmoid, for gradients by hand."""
    return float(1 / (1 + np.exp(-z)))


PERCEPTRON = {"w0": 1, "W": [3, -2], "X": [-1, 2]}
FIRED = s(-6) * (1 - s(-6))
BANK = {"W": [[1, 1], [-1, 1]], "v": [2, -1], "x": [2, 3]}
OTHER = {"W": [[3, 3], [1, 5]], "v": [2, -1], "x": [-1, 2]}
T5, T1, T3, T9 = np.tanh([5, 1, 3, 9])
ATTENDANCE = {"w": [0.5, 0.1, 0.0058], "x": [0.4, 2, 17], "b": 0.2}
FACTORS = {"x": 2, "w1": 0.5, "w2": 3, "t": 1}
P = np.exp([1, 2, 3]) / np.exp([1, 2, 3]).sum()

NUMBERS = [
    Number("1 perceptron", "w0 + X @ W", PERCEPTRON, -6,
           {"w0": 1, "W": [-1, 2], "X": [3, -2]}),
    Number("1 perceptron", "sigmoid(w0 + X @ W)", PERCEPTRON, 0.0024726231566347743,
           {"w0": FIRED, "W": [-FIRED, 2 * FIRED], "X": [3 * FIRED, -2 * FIRED]}),
    Number("1 perceptron, with a step", "heaviside(w0 + X @ W)", PERCEPTRON, 0,
           {"w0": 0, "W": [0, 0], "X": [0, 0]}),
    Number("1 perceptron, on its line", "sigmoid(1 + 3*x1 - 2*x2)", {"x1": 1, "x2": 2}, 0.5,
           {"x1": 0.75, "x2": -0.5}),
    Number("7 bank_transactions", "v @ (W @ x)", BANK, 9,
           {"v": [5, 1], "x": [3, 1], "W": [[4, 6], [-2, -3]]}),
    Number("7 bank_transactions, tanh", "v @ tanh(W @ x)", BANK, 1.2382242525694254,
           {"v": [T5, T1], "W": np.outer([2 * (1 - T5**2), T1**2 - 1], [2, 3])}),
    Number("7 bank_transactions, the other program", "v @ tanh(W @ x)", OTHER, 0.9901095378334199,
           {"v": [T3, T9], "W": np.outer([2 * (1 - T3**2), T9**2 - 1], [-1, 2])}),
    Number("9 class_attendance, z", "w @ x + b", ATTENDANCE, 0.6986,
           {"w": [0.4, 2, 17], "x": [0.5, 0.1, 0.0058], "b": 1}),
    Number("9 class_attendance, a", "relu(w @ x + b)", ATTENDANCE, 0.6986,
           {"w": [0.4, 2, 17], "b": 1}),
    Number("9 class_attendance, loss", "-y*log(p) - (1 - y)*log(1 - p)", {"p": 0.45, "y": 1},
           0.79850769621777162, {"p": -1 / 0.45}),
    Number("9 class_attendance, loss", "binary_cross_entropy(p, 1)", {"p": 0.45},
           0.79850769621777162, {"p": -1 / 0.45}),
    Number("9 class_attendance, from the logit", "binary_cross_entropy_with_logits(z, 1)",
           {"z": np.log(0.45 / 0.55)}, 0.79850769621777162, {"z": 0.45 - 1}),
    Number("13 losses, MSE", "mse(p, y)", {"p": [1, 2, 4], "y": [1, 0, 1]}, 13 / 3,
           {"p": [0, 4 / 3, 2]}),
    Number("13 losses, cross-entropy", "cross_entropy(p, y)",
           {"p": [0.2, 0.5, 0.3], "y": [0, 1, 0]}, np.log(2), {"p": [0, -2, 0]}),
    Number("13 losses, risk is the mean", "binary_cross_entropy(p, y)",
           {"p": [0.45, 0.9], "y": [1, 0]}, (-np.log(0.45) - np.log(0.1)) / 2,
           {"p": [-0.5 / 0.45, 0.5 / 0.1]}),
    Number("15 forward_backward", "abs(4 - (x*w + b))", {"x": 2, "w": 3, "b": 1}, 3,
           {"w": 2, "b": 1, "x": 3}),
    Number("16 chain_rule", "(w2*(w1*x) - t)**2", FACTORS, 4,  # ∂J/∂ŷ = 4
           {"w2": 4 * 1, "w1": 4 * 3 * 2, "x": 4 * 3 * 0.5}),
    Number("16 chain_rule, dy/dx = dy/du du/dx", "sin(x**2)", {"x": 3}, np.sin(9),
           {"x": np.cos(9) * 6}),
    Number("32 softmax_classifier", "softmax(z)[2]", {"z": [1, 2, 3]}, P[2],
           {"z": P[2] * ([0, 0, 1] - P)}),
    Number("32 softmax_classifier", "softmax_cross_entropy(z, [0, 1, 0])", {"z": [1, 2, 3]},
           -np.log(P[1]), {"z": P - [0, 1, 0]}),
]  # fmt: skip


@pytest.mark.parametrize("number", NUMBERS, ids=lambda n: f"{n.lesson}: {n.text}")
def test_number(number: Number) -> None:
    y = gg.parse(number.text, **number.given)
    assert y.value == pytest.approx(number.value, rel=1e-14)
    found = variables(y)
    y.backward()
    for name, expected in number.gradients.items():
        close = pytest.approx(np.asarray(expected, float), rel=1e-13, abs=1e-300)
        assert found[name].grad == close
        assert gg.grad(y, found[name]).value == close


def variables(y: gg.Node) -> dict[str, gg.Node]:
    return {node.name: node for node in gg.ancestors(y) if node.name}


def test_perceptron_1_half_planes() -> None:
    # 1 + 3x₁ − 2x₂ = 0 cuts the plane: ŷ < ½ where it is negative, ŷ > ½ where it is positive.
    x = gg.var("x", shape=(2,))
    y = gg.sigmoid(1 + np.array([3.0, -2.0]) @ x)
    for point in product(np.linspace(-4, 4, 9), repeat=2):
        x.value = point
        side = 1 + 3 * point[0] - 2 * point[1]
        assert np.sign(y.value - 0.5) == np.sign(side)


def test_bank_transactions_7_hidden_nodes() -> None:
    hidden = gg.parse("W @ x", W=BANK["W"], x=BANK["x"])
    assert hidden.value.tolist() == [5, 1]


def test_class_attendance_9_decision() -> None:
    go = gg.parse("p > 0.5", p=0.45)
    assert go.value is False
    assert round(gg.parse("w @ x + b", **ATTENDANCE).value, 1) == 0.7  # as the lecture rounds it


def test_linear_collapse_11_one_input() -> None:
    x, w1, w2, b1, b2 = (gg.var(n, v) for n, v in zip("xabcd", [0.7, 1.3, -2.1, 0.4, 5.0]))
    two, one = w2 * (w1 * x + b1) + b2, (w2 * w1) * x + (w2 * b1 + b2)
    assert two.value == pytest.approx(one.value, rel=1e-14)
    names = [x, w1, w2, b1, b2]
    for a, b in zip(gg.grad(two, names), gg.grad(one, names)):
        assert a.value == pytest.approx(b.value, rel=1e-14)
    assert gg.hessian(two, x).value == 0


THREE_TWO_TWO_ONE = """
    h1 = w1*X[0] + w3*X[1] + w5*X[2]
    h2 = w2*X[0] + w4*X[1] + w6*X[2]
    w11*g(w7*h1 + w9*h2) + w12*g(w8*h1 + w10*h2)
"""


@pytest.mark.parametrize(("g", "collapses"), [("", True), ("relu", False)])
def test_linear_collapse_11_three_inputs(g: str, collapses: bool) -> None:
    w = np.random.default_rng(11).normal(size=13)  # w₁ … w₁₂, as the lecture numbers them
    given = {f"w{k}": w[k] for k in range(1, 13)}
    y = gg.parse(THREE_TWO_TWO_ONE.replace("g(", f"{g}("), X=[0, 0, 0], **given)
    x = variables(y)["X"]
    slope = w[1:7].reshape(3, 2) @ w[7:11].reshape(2, 2) @ w[11:13]
    gradient = gg.grad(y, x)
    points = np.random.default_rng(12).normal(size=(20, 3))
    linear = []
    for x.value in points:
        linear.append(y.value == pytest.approx(x.value @ slope, rel=1e-10)
                      and gradient.value == pytest.approx(slope, rel=1e-10))  # fmt: skip
    assert all(linear) == collapses


@pytest.mark.parametrize("size", [1000.0, -1000.0])
@pytest.mark.parametrize("target", [0.0, 1.0])
def test_losses_13_from_logits_far_out(size: float, target: float) -> None:
    z = gg.var("z", size)
    p = 1.0 if size > 0 else 0.0
    loss = gg.binary_cross_entropy_with_logits(z, target)
    assert loss.value == abs(p - target) * 1000
    assert gg.grad(loss, z).value == p - target
    assert gg.sigmoid(z).value == p
    assert np.isfinite(gg.binary_cross_entropy(gg.sigmoid(z), target).value)


@pytest.mark.parametrize("right", [0, 1, 2])
def test_losses_13_and_32_softmax_far_out(right: int) -> None:
    z = gg.var("z", [1000.0, -1000.0, 0.0])
    loss = gg.softmax_cross_entropy(z, right)
    p = np.array([1.0, 0.0, 0.0])
    assert loss.value == [0, 2000, 1000][right]
    assert gg.grad(loss, z).value.tolist() == (p - np.eye(3)[right]).tolist()
    assert not np.any(gg.hessian(loss, z).value)


def test_softmax_classifier_32_is_p_minus_y_for_a_batch() -> None:
    r = np.random.default_rng(32)
    z, classes = gg.var("z", r.normal(size=(4, 3))), np.array([2, 0, 1, 1])
    p = np.exp(z.value) / np.exp(z.value).sum(axis=1, keepdims=True)
    gradient = gg.grad(gg.softmax_cross_entropy(z, classes), z)
    np.testing.assert_allclose(gradient.value, (p - np.eye(3)[classes]) / 4, rtol=1e-12)
    one = gg.var("z", z.value[0])
    second = gg.hessian(gg.softmax_cross_entropy(one, 2), one).value
    np.testing.assert_allclose(second, np.diag(p[0]) - np.outer(p[0], p[0]), rtol=1e-12)


def test_forward_backward_15_every_number_of_the_two_figures() -> None:
    loss = gg.parse("x1 = x*w; x2 = x1 + b; abs(4 - x2)", x=2, w=3, b=1)
    n = variables(loss)
    assert (n["x1"].value, n["x2"].value, loss.value) == (6, 7, 3)
    locals_ = [(loss, "x2"), (n["x2"], "x1"), (n["x2"], "b"), (n["x1"], "w")]
    assert [gg.grad(y, n[x]).value for y, x in locals_] == [1, 1, 1, 2]
    loss.backward()
    assert (n["w"].grad, n["b"].grad) == (1 * 1 * 2, 1 * 1)


def test_chain_rule_16_each_factor() -> None:
    loss = gg.parse("z1 = w1*x; y = sigmoid(w2*z1); -log(y)", x=2, w1=0.5, w2=3)
    n = variables(loss)

    def d(y: gg.Node, x: str) -> float:
        return gg.grad(y, n[x]).value

    y = s(3.0)
    assert d(loss, "y") == pytest.approx(-1 / y, rel=1e-15)
    assert d(n["y"], "z1") == pytest.approx(y * (1 - y) * 3, rel=1e-15)
    assert d(n["z1"], "w1") == 2
    assert d(loss, "w2") == pytest.approx(d(loss, "y") * d(n["y"], "w2"), rel=1e-15)
    factors = d(loss, "y") * d(n["y"], "z1") * d(n["z1"], "w1")
    assert d(loss, "w1") == pytest.approx(factors, rel=1e-15)
    assert d(loss, "w1") == pytest.approx((y - 1) * 3 * 2, rel=1e-15)


THREE_SIGMOIDS = """
    z1 = w11*x1 + w21*x2; s1 = sigmoid(z1)
    z2 = w12*x1 + w22*x2; s2 = sigmoid(z2)
    z3 = w31*s1 + w32*s2; s3 = sigmoid(z3)
    (s3 - 1)**2
"""


def test_backprop_reuse_17_the_bracket_is_computed_once() -> None:
    given = {"x1": 0.5, "x2": -1.5, "w11": 1, "w21": -2, "w12": 0.3, "w22": 0.7}
    loss = gg.parse(THREE_SIGMOIDS, **given, w31=1.2, w32=-0.4)
    n = variables(loss)
    loss.backward()
    s1, s2 = s(0.5 + 3), s(0.3 * 0.5 - 0.7 * 1.5)
    s3 = s(1.2 * s1 - 0.4 * s2)
    bracket = 2 * (s3 - 1) * s3 * (1 - s3)  # ∂Loss/∂σ₃ · ∂σ₃/∂z₃
    assert n["z3"].grad == pytest.approx(bracket, rel=1e-14)
    assert n["w31"].grad == pytest.approx(bracket * s1, rel=1e-14)
    assert n["w21"].grad == pytest.approx(bracket * 1.2 * s1 * (1 - s1) * -1.5, rel=1e-14)
    assert n["w22"].grad == pytest.approx(bracket * -0.4 * s2 * (1 - s2) * -1.5, rel=1e-14)


@pytest.mark.parametrize("depth", [1, 5, 60])
def test_backprop_reuse_17_edges_grow_by_layers_and_paths_double(depth: int) -> None:
    a = b = gg.var("x", 1.0)
    for _ in range(depth):
        a, b = a + b, a - b
    order = gg.ancestors(a + b)
    loss, paths, visited = order[-1], {}, []
    for node in order:
        paths[node] = sum(paths[x] for x in node.inputs) if node.inputs else 1
    loss.backward()
    sweep(order, set(order), {loss: np.float64(1)}, lambda n: np.float64(n.value),
          lambda node, i, *_: visited.append((node, i)))  # fmt: skip
    assert paths[loss] == 2 ** (depth + 1)
    assert len(visited) == len(set(visited)) == 4 * depth + 2
