"""Names, numbers and formulas of displays: what they say, and that the arithmetic shown is true."""

import re

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.explain.formulas import fill, local_template, pullback_template, render
from graphgrad.explain.names import node_names, pretty, visible
from graphgrad.explain.numbers import digest, digits_for, number
from graphgrad.explain.steps import Wording, adjoint, plain


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"), (-0.0, "0"), (1.0, "1"), (-17.0, "−17"), (123456.0, "123456"),
        (0.1 + 0.2, "0.3"), (1234567.0, "1.235e6"), (1e-12, "1e−12"), (2 / 3, "0.6667"),
        (float("nan"), "nan"), (float("inf"), "∞"), (True, "true"), (np.int64(5), "5"),
    ],
)  # fmt: skip
def test_number(value, text):
    assert number(value) == text


def test_more_digits_where_numbers_would_look_alike():
    assert digits_for([1.0, 2.0]) == 4
    assert digits_for([1.00001, 1.00002]) == 6


@pytest.mark.parametrize(
    ("value", "lines"),
    [
        (2.5, ["2.5"]),
        ([1.0, -2.0], ["[1 −2]"]),
        ([[1.0, 2.0], [10.0, 3.0]], ["[ 1  2]", "[10  3]"]),
        (np.zeros((0, 3)), ["0×3 (empty)"]),
        (np.arange(100.0), ["100", "0 … 99"]),
        (np.full((50, 2), np.nan), ["50×2", "100 not finite"]),
        (np.ones((2, 2, 2)), ["2×2×2", "all 1"]),
        (np.arange(20) > 3, ["20", "16 true"]),
    ],
)
def test_digest(value, lines):
    assert digest(np.asarray(value)) == lines


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("x1", "x₁"), ("w_12", "w₁₂"), ("θ0", "θ₀"), ("x", "x"), ("loss", "loss"),
        ("h1a", "h1a"), ("W[0,1]", "W[0,1]"), ("a\nb", "a\\nb"), ("n" * 30, "n" * 23 + "…"),
        ("\x1b[31m", "\\x1b[31m"), ("a\u202eb", "a\\u202eb"),
    ],
)  # fmt: skip
def test_pretty(name, shown):
    assert pretty(name) == shown


def test_visible_leaves_ordinary_text_alone():
    assert visible("naïve 变量 ∂x ₁") == "naïve 变量 ∂x ₁"


def test_unnamed_results_are_numbered_around_taken_names():
    v1 = gg.var("v1", 1.0)
    y = gg.exp(gg.sin(v1)) * 2
    names = node_names(gg.ancestors(y))
    assert list(names.values()) == ["v₁", "v₂", "v₃", "2", "v₄"]


@pytest.mark.parametrize(
    ("build", "text", "latex"),
    [
        (lambda x, y: x - (y - x), "x − (y − x)", "x - (y - x)"),
        (lambda x, y: (x - y) - x, "x − y − x", "x - y - x"),
        (lambda x, y: (x + y) * -x, "(x + y)·(−x)", r"(x + y) \cdot (-x)"),
        (lambda x, y: x / (y * x), "x/(y·x)", r"\frac{x}{y \cdot x}"),
        (lambda x, y: (-x) ** 2, "(−x)²", "(-x)^{2}"),
        (lambda x, y: -(x**2), "−x²", "-x^{2}"),
        (lambda x, y: (x**2) ** 2, "(x²)²", "(x^{2})^{2}"),
        (lambda x, y: gg.tanh(x + y), "tanh(x + y)", r"\tanh\left(x + y\right)"),
        (lambda x, y: abs(x) + 2, "|x| + 2", r"\left|x\right| + 2"),
        (lambda x, y: x**y, "x^y", "x^{y}"),
        (lambda x, y: 3 * x ** (-0.5), "3·x^−0.5", r"3 \cdot x^{-0.5}"),
    ],
)
def test_render(build, text, latex):
    x, y = gg.var("x", 2.0), gg.var("y", 3.0)
    assert render(build(x, y)) == text
    assert render(build(x, y), "latex") == latex


@pytest.mark.parametrize(
    ("build", "position", "template"),
    [
        (lambda a, b: a * b, 0, "#2"),
        (lambda a, b: a / b, 1, "−#y/#2"),
        (lambda a, b: a - b, 1, "−1"),
        (lambda a, b: gg.sigmoid(a), 0, "#y·(1 − #y)"),
        (lambda a, b: a**3, 0, "3·#1^2"),
        (lambda a, b: gg.clip(a, 0, 1), 0, "[#1 ≥ 0 ∧ #1 ≤ 1]"),
    ],
)
def test_local_templates_come_from_the_rules(build, position, template):
    y = build(gg.var("a", 2.0), gg.var("b", 3.0))
    assert local_template(y, position) == template


def test_pullbacks_of_structured_rules():
    W, X = gg.var("W", np.ones((2, 3))), gg.var("X", np.ones((3, 4)))
    assert pullback_template(W @ X, 0) == "#g @ #2ᵀ"
    assert pullback_template(W @ X, 1) == "#1ᵀ @ #g"
    assert pullback_template(gg.sum(W, 0), 0) == "#g"
    assert pullback_template(gg.mean(W), 0) == "#g/6"
    assert pullback_template(gg.logsumexp(W), 0) == "#g·exp(#1 − #y)"


@pytest.mark.parametrize(
    ("template", "values", "text"),
    [
        ("#1·#2", ("−2", "−3"), "−2·(−3)"),
        ("#1²", ("−2", ""), "(−2)²"),
        ("#1 − #2", ("4", "−1"), "4 − (−1)"),
        ("tanh(#1)", ("−2", ""), "tanh(−2)"),
    ],
)
def test_numbers_put_into_templates(template, values, text):
    assert fill(template, "", values) == text


def test_bars_over_plain_text():
    assert plain(adjoint("x")) == "x\u0304"
    assert plain(adjoint("x₁")) == "x\u0304₁"
    assert plain(f"{adjoint('ab')} = 2") == "a\u0305b\u0305 = 2"


def random_scalar_graph(seed):
    rng = np.random.default_rng(seed)
    pool = [gg.var(f"a{k}", float(np.round(rng.uniform(0.3, 2), 2))) for k in range(3)]
    operations = [
        lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b, lambda a, b: a / b,
        lambda a, b: gg.tanh(a), lambda a, b: gg.sigmoid(b), lambda a, b: a**2, lambda a, b: -b,
    ]  # fmt: skip
    for _ in range(8):
        a, b = rng.choice(len(pool), 2)
        pool.append(operations[rng.integers(len(operations))](pool[a], pool[b]))
    return pool[-1]


@pytest.mark.parametrize("seed", range(20))
def test_the_arithmetic_shown_in_a_backward_step_is_true(seed):
    wording = Wording(gg.tape(random_scalar_graph(seed)), digits=12)
    for step in wording.tape.backward:
        text = wording.backward(step)
        shown = text.rsplit(" = ", 2)[-2:]
        product, result = (s.replace("−", "-") for s in shown)
        terms = [
            np.prod([float(f.strip("() ")) for f in term.split(" · ")])
            for term in re.split(r" \+ ", product)
        ]
        scale = max(1.0, *map(abs, terms))
        assert sum(terms) == pytest.approx(float(result), rel=1e-9, abs=1e-9 * scale), text


def test_a_forward_step_in_symbols_and_numbers():
    x, w = gg.var("x", 2.0), gg.var("w", -3.0)
    t = gg.tape((x - w).named("z1"))
    assert Wording(t).forward(t.forward[0]) == "z₁ = x − w = 2 − (−3) = 5"


def test_the_position_is_told_where_an_input_stands_twice():
    x = gg.var("x", 3.0)
    y = x * x
    wording = Wording(gg.tape(y))
    assert wording.local(y, 0) == "∂v₁/∂x (input 1) = x = 3"
    assert wording.local(y, 1) == "∂v₁/∂x (input 2) = x = 3"
