"""Algebra lessons: golden text, every line true by an independent check, witnesses, limits."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import sympy as sp

import graphgrad as gg
from graphgrad.errors import GraphError, MissingValueError
from graphgrad.proof.algebra import (
    collapse,
    derive_activation,
    derive_softmax_cross_entropy,
    three_two_two_one,
)
from graphgrad.proof.board import EQUAL, Line
from graphgrad.proof.marks import letter
from graphgrad.proof.prover import Prover

from . import goldens


def two_layers():
    values = {"x": 2, "w1": 3, "b1": 4, "w2": 5, "b2": 6}
    x, w1, b1, w2, b2 = (gg.var(n, v) for n, v in values.items())
    return (w2 * (w1 * x + b1) + b2).named("y")


LESSONS = {
    "sigmoid": lambda: derive_activation("sigmoid"),
    "tanh": lambda: derive_activation("tanh"),
    "relu": lambda: derive_activation("relu"),
    "softplus": lambda: derive_activation("softplus"),
    "softmax-2": lambda: derive_softmax_cross_entropy(2),
    "softmax-3": lambda: derive_softmax_cross_entropy(3),
    "collapse": lambda: collapse(two_layers()),
    "collapse-3221": lambda: collapse(three_two_two_one()),
    "no-collapse-3221": lambda: collapse(three_two_two_one(gg.relu)),
}
each_lesson = pytest.mark.parametrize("name", LESSONS)


@each_lesson
def test_golden(name):
    lesson = LESSONS[name]()
    goldens.compare(f"algebra-{name}.txt", lesson.text + "\n")
    goldens.compare(f"algebra-{name}.tex", lesson.latex() + "\n")


@each_lesson
def test_latex_and_mathml(name):
    lesson = LESSONS[name]()
    latex = lesson.latex()
    assert latex.isascii()
    assert latex.count("{") - latex.count(r"\{") == latex.count("}") - latex.count(r"\}")
    assert latex.count(r"\left") == latex.count(r"\right")
    ET.fromstring(lesson.mathml())
    ET.fromstring(lesson._repr_html_())


# -- derivations of functions --------------------------------------------------------------------

NUMBERS = {
    "exp": np.exp, "log": np.log, "tanh": np.tanh, "σ": lambda x: 1 / (1 + np.exp(-x)),
}  # fmt: skip


def number_of(text: str, **values: float) -> float:
    """Return what a formula as shown comes to, by plain Python."""
    for sign, python in {"−": "-", "·": "*", "²": "**2", "∂": "D"}.items():
        text = text.replace(sign, python)
    text = text.translate(str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789"))
    return float(eval(text, {**NUMBERS, **values}))


@pytest.mark.parametrize(
    ("name", "slope"),
    [
        ("sigmoid", lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2),
        ("tanh", lambda z: 1 / np.cosh(z) ** 2),
        ("softplus", lambda z: 1 / (1 + np.exp(-z))),
    ],
)
def test_every_line_of_an_activation_comes_to_the_slope(name, slope):
    lines = derive_activation(name).lines[1:]
    for z in (-1.5, 0.0, 0.3, 2.0):
        for line in lines:
            assert number_of(str(line.right), z=z) == pytest.approx(slope(z), rel=1e-12)


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "softplus"])
def test_the_last_line_is_the_rule_of_the_rule_book(name):
    z = gg.var("z", 0.7)
    y = getattr(gg, name)(z)
    last = derive_activation(name).result
    assert number_of(str(last.right), z=0.7) == pytest.approx(gg.grad(y, z).value, rel=1e-14)


def test_relu_is_a_proof_by_cases():
    lesson = derive_activation("relu")
    assert [str(line) for line in lesson.lines[:2]] == [
        "ReLU(z) = z if z > 0, 0 if z ≤ 0",
        "ReLU′(z) = 1 if z > 0, 0 if z < 0",
    ]
    assert lesson.board.notes == (
        "The two limits differ, so ReLU has no derivative at 0.",
        "Convention: ReLU′(0) = 0.",
    )


def test_an_unknown_activation():
    with pytest.raises(GraphError, match="'swish': expected one of 'sigmoid', 'tanh'"):
        derive_activation("swish")


@pytest.mark.parametrize("k", [2, 3, 4])
def test_every_line_of_softmax_comes_to_the_gradient(k):
    rng = np.random.default_rng(k)
    z, y = rng.normal(size=k), rng.dirichlet(np.ones(k))
    p = np.exp(z) / np.exp(z).sum()
    node = gg.var("z", z)
    expected = gg.grad(gg.softmax_cross_entropy(node, y), node).value
    np.testing.assert_allclose(p - y, expected, rtol=1e-12)
    values = {f"z{i + 1}": z[i] for i in range(k)} | {f"y{i + 1}": y[i] for i in range(k)}
    values |= {f"p{i + 1}": p[i] for i in range(k)} | {"S": np.exp(z).sum()}
    left, checked = "", 0
    for line in derive_softmax_cross_entropy(k).lines:
        left = str(line.left) if line.left else left
        if "∂" in str(line.right):
            continue
        if match := re.fullmatch(r"∂L/∂z(.)", left):
            goal = expected["₁₂₃₄".index(match[1])]
        elif match := re.fullmatch(r"∂p(.)/∂z₁", left):
            i = "₁₂₃₄".index(match[1])
            goal = p[i] * ((i == 0) - p[0])
        else:
            continue
        assert number_of(str(line.right), **values) == pytest.approx(goal, rel=1e-10), str(line)
        checked += 1
    assert checked >= 3 * k


@pytest.mark.parametrize("k", [1, 6, 2.5, "3"])
def test_softmax_of_too_few_or_many_classes(k):
    with pytest.raises(GraphError, match="from 2 to 5"):
        derive_softmax_cross_entropy(k)


def test_a_false_line_is_refused():
    z = gg.var("z")
    s = sp.Symbol("z", real=True)
    prover = Prover({z: s})
    right = gg.sigmoid(z) * (1 - gg.sigmoid(z))
    wrong = gg.sigmoid(z) * (1 + gg.sigmoid(z))
    truth = sp.diff(1 / (1 + sp.exp(-s)), s)
    assert prover.lines(letter("f", "f"), truth, [(right, "")])
    with pytest.raises(GraphError, match="is not true"):
        prover.lines(letter("f", "f"), truth, [(right, ""), (wrong, "")])


# -- collapse ------------------------------------------------------------------------------------


def test_row_11_one_input():
    found = collapse(two_layers())
    assert str(found.board.blocks[0].lines[1]) == "= w₂·w₁·x + (w₂·b₁ + b₂)"
    assert found.affine
    assert found.coefficients == {"x": "w₂·w₁"}
    assert found.constant == "w₂·b₁ + b₂"
    assert str(found.board.blocks[0].lines[2].right) == "15·x + 26"


def test_row_11_three_inputs():
    y = three_two_two_one()
    found = collapse(y)
    assert found.affine
    assert found.coefficients["X₁"] == "w₁₁·w₇·w₁ + w₁₁·w₉·w₂ + w₁₂·w₈·w₁ + w₁₂·w₁₀·w₂"
    assert str(found.board.blocks[0].lines[0]) == (
        "y = w₁₁·(w₇·(w₁·X₁ + w₃·X₂ + w₅·X₃) + w₉·(w₂·X₁ + w₄·X₂ + w₆·X₃)) + "
        "w₁₂·(w₈·(w₁·X₁ + w₃·X₂ + w₅·X₃) + w₁₀·(w₂·X₁ + w₄·X₂ + w₆·X₃))"
    )
    leaves = {n.name: n for n in gg.ancestors(y) if n.name}
    for k in (1, 2, 3):
        slope = gg.grad(y, leaves[f"X{k}"]).value
        weights = {f"w{i}": leaves[f"w{i}"].value for i in range(1, 13)}
        assert number_of(found.coefficients[f"X{'₁₂₃'[k - 1]}"], **weights) == pytest.approx(slope)


@pytest.mark.parametrize("g", [gg.relu, gg.tanh, gg.sigmoid, gg.square, abs])
def test_activations_do_not_collapse_and_the_witness_is_one(g):
    y = three_two_two_one(g)
    found = collapse(y)
    assert found.affine is False
    inputs = sorted((n for n in gg.ancestors(y) if n.role == "input"), key=lambda n: n.name)

    def f(x):
        return float(gg.evaluate([y], dict(zip(inputs, x)))[0])

    w = found.witness
    zero = f([0, 0, 0])
    parts = f(w.u) + f(w.v) - 2 * zero
    whole = f(np.add(w.u, w.v)) - zero
    assert (parts, whole) == pytest.approx((w.parts, w.whole))
    assert parts != pytest.approx(whole)


def test_matrices_collapse_entry_by_entry():
    rng = np.random.default_rng(1)
    shapes = {"W1": (2, 3), "W2": (1, 2), "b": 2}
    W1, W2, b = (gg.var(n, rng.normal(size=s)) for n, s in shapes.items())
    x = gg.var("x", [1.0, 2.0, 3.0])
    y = (W2 @ (W1 @ x + b))[0]
    found = collapse(y)
    assert found.affine
    assert found.coefficients["x[0]"] == "W2[0,0]·W1[0,0] + W2[0,1]·W1[1,0]"
    assert found.constant == "W2[0,0]·b[0] + W2[0,1]·b[1]"
    slopes = gg.grad(y, x).value
    numbers = str(found.board.blocks[0].lines[-1].right).replace("− ", "−")
    shown = re.findall(r"(−?[\d.]+)·x", numbers)
    np.testing.assert_allclose([float(s.replace("−", "-")) for s in shown], slopes, rtol=1e-3)


def test_inputs_can_be_named():
    w, v = gg.var("w", 2.0), gg.var("v", 3.0)
    assert collapse(w * v, inputs=[v]).affine
    assert collapse(w * v, inputs=[w, v]).affine is False
    with pytest.raises(GraphError, match="has no inputs"):
        collapse(w * v)


def test_what_is_hidden_from_the_witness_is_said():
    x = gg.var("x", 1.0)
    found = collapse(gg.relu(x + 1000.0).named("y"))
    assert found.affine is None
    assert "no two inputs tried show it" in found.text


def test_constants_and_identities():
    x, w = gg.var("x", 1.0), gg.var("w", 2.0)
    assert collapse((x * 1).named("y")).coefficients == {"x": "1"}
    assert collapse(w + 0 * x, inputs=[x]).constant == "w"
    assert str(collapse((-2 * x - w).named("y")).board.blocks[0].lines[-1].right) == "−2·x − 2"


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: collapse(gg.var("x", [1.0, 2.0]) * 2), GraphError, "expected a scalar node"),
        (lambda: collapse(3), GraphError, "3: expected a scalar node"),
        (lambda: collapse(gg.relu(gg.var("x") * gg.var("w"))), MissingValueError, "'w'"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()


def test_a_large_network_is_refused_in_time():
    layers = [gg.var(f"W{k}", np.ones((6, 6))) for k in range(6)]
    h = gg.var("x", np.ones(6))
    for W in layers:
        h = W @ h
    with pytest.raises(GraphError, match="more than 3000 terms"):
        collapse(h[0])


def test_lines_read_as_equations():
    assert str(Line(letter("a", "a"), EQUAL, letter("b", "b"))) == "a = b"
    assert str(Line(None, EQUAL, letter("b", "b"))) == "= b"
    assert repr(derive_activation("tanh")).startswith("<Demonstration: tanh(z) = (exp(z)")
    assert repr(collapse(two_layers())) == "<Collapse: affine=True>"
