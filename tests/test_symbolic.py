"""The bridge to SymPy and back: exact numbers, formulas of every primitive, clear refusals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import sympy as sp

import graphgrad as gg
from graphgrad.errors import GraphError, TooLargeError
from graphgrad.ops.define import Elementwise
from graphgrad.primitive import Case, Primitive
from graphgrad.proof.bridge import tree_size
from graphgrad.proof.exact import exact
from graphgrad.proof.texts import latex, shortened, text

from . import rulebook
from .rulebook import ELEMENTWISE, STRUCTURED
from .test_every_op import label

X, Y = sp.symbols("x y", real=True)


# -- numbers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (0.1, sp.Rational(1, 10)),
        (1 / 3, sp.Rational(1, 3)),
        (1 - 0.9, sp.Rational(1, 10)),
        (0.1 + 0.2, sp.Rational(3, 10)),
        (-2.0, sp.Integer(-2)),
        (3, sp.Integer(3)),
        (True, sp.true),
        (np.bool_(False), sp.false),
        (np.float32(0.5), sp.Rational(1, 2)),
        (math.pi, sp.pi),
        (-math.pi / 2, -sp.pi / 2),
        (math.sqrt(2), sp.sqrt(2)),
        (math.sqrt(2 * math.pi), sp.sqrt(2 * sp.pi)),
        (2 / math.sqrt(math.pi), 2 / sp.sqrt(sp.pi)),
        (math.log(2), sp.log(2)),
        (math.inf, sp.oo),
        (-math.inf, -sp.oo),
        (0.1234567890123456, sp.Rational("0.1234567890123456")),
        (1e-300, sp.Rational(1, 10**300)),
        (sp.Rational(2, 7), sp.Rational(2, 7)),
    ],
)
def test_floats_are_read_as_the_numbers_they_round(value: Any, number: Any) -> None:
    assert exact(value) == number
    if isinstance(value, float) and math.isfinite(value):
        assert float(number) == pytest.approx(value, rel=1e-15)


def test_nan_stays_nan() -> None:
    assert exact(math.nan) is sp.nan


def test_ordinary_numbers_are_not_taken_for_constants() -> None:
    drawn = np.random.default_rng(0).normal(size=2000)
    found = [exact(v) for v in drawn]
    assert all(e.is_Rational and e.p / e.q == v for e, v in zip(found, drawn, strict=True))


# -- to SymPy ------------------------------------------------------------------------------------


def test_scalars_and_names() -> None:
    x, w = gg.var("x", 2.0), gg.var("w")
    assert gg.to_sympy(abs(4 - x * w)) == sp.Abs(4 - X * sp.Symbol("w", real=True))
    assert gg.to_sympy(x > 1) == (X > 1)
    assert gg.to_sympy(gg.const(0.25)) == sp.Rational(1, 4)
    again = gg.var("x", 3.0)
    assert gg.to_sympy(x * again) == X * sp.Symbol("x′", real=True)


def test_arrays_entry_by_entry() -> None:
    W, x = gg.var("W", [[1, 2], [3, 4]]), gg.var("x", [5, 6])
    product = gg.to_sympy(W @ x)
    assert product.shape == (2, 1)
    assert str(product[1]) == "W[1,0]*x[0] + W[1,1]*x[1]"
    assert gg.to_sympy(W.T).shape == (2, 2)
    assert gg.to_sympy(gg.reshape(W, (1, 2, 2))).shape == (1, 2, 2)
    assert str(gg.to_sympy(x > 5)) == "[x[0] > 5, x[1] > 5]"
    assert gg.to_sympy(gg.var("e", np.zeros((0, 3)))).shape == (0, 3)


def test_inner_nodes_can_be_named() -> None:
    x = gg.var("x", 2.0)
    h = gg.tanh(x)
    H = sp.Symbol("h", real=True)
    assert gg.to_sympy(h * h + x, symbols={h: H}) == H**2 + X
    with pytest.raises(GraphError, match=r"'z' has shape \(2,\)"):
        gg.to_sympy(gg.var("z", [1, 2]).sum(), symbols={gg.var("z", [1, 2]): H})


def test_positions_and_random_numbers_keep_their_values() -> None:
    z = gg.var("z", [1.0, 5.0, 2.0])
    assert str(gg.to_sympy(gg.take(z, gg.argmax(z)))) == "z[1]"
    dropped = gg.to_sympy(gg.dropout(z, 0.5, 3))
    assert set(sp.flatten(dropped)) <= {0, *(2 * sp.Symbol(f"z[{k}]", real=True) for k in range(3))}
    step = gg.var("step", 2, dtype=int)
    assert str(gg.to_sympy(z[step])) == "z[2]"


@pytest.mark.parametrize(
    ("make", "shown"),
    [
        (lambda W, x, b: W @ x, "W*x"),
        (lambda W, x, b: x @ W, "W.T*x"),
        (lambda W, x, b: W @ x + b, "W*x + b"),
        (lambda W, x, b: x @ x, "(x.T*x)[0, 0]"),
        (lambda W, x, b: (2 * W - W.T) / 3, "(2/3)*W - (1/3)*W.T"),
    ],
)
def test_large_arrays_are_matrix_symbols(make: Any, shown: str) -> None:
    W, x, b = gg.var("W", shape=(99, 99)), gg.var("x", shape=99), gg.var("b", shape=99)
    assert str(gg.to_sympy(make(W, x, b))) == shown


def test_matrix_forms_come_back_with_their_values() -> None:
    r = np.random.default_rng(0)
    values = {"W": r.normal(size=(9, 9)), "x": r.normal(size=(9, 1)), "b": r.normal(size=(9, 1))}
    W, x, b = (gg.var(n, v if n == "W" else v[:, 0]) for n, v in values.items())
    forms = [
        W @ x, gg.tanh(W @ x + b), gg.mean(W * 2 + b), gg.sum(gg.tanh(W @ x) ** 2), x @ x,
        gg.sum(W * W, axis=0), gg.sum(W, axis=1, keepdims=True), gg.sum(W, keepdims=True) * W,
        x @ W, gg.outer(x, b), gg.exp(-x) / 2, gg.sum(x, keepdims=True), W - gg.mean(W, axis=0),
    ]  # fmt: skip
    for y in forms:
        e = gg.to_sympy(y, entries=4)
        names = {s.name for s in e.free_symbols}
        back = gg.from_sympy(e, **{n: v for n, v in values.items() if n in names})
        np.testing.assert_allclose(np.ravel(back.value), np.ravel(y.value), rtol=1e-12)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: gg.logsumexp(gg.var("x", shape=99)), "logsumexp.*no form in matrix symbols.*99"),
        (lambda: gg.var("x", shape=(9, 9, 9)).sum(), "x.*has no form in matrix symbols"),
        (lambda: gg.maximum(gg.var("x", shape=99), 0), "maximum.*no form in matrix symbols"),
        (lambda: 1 / gg.var("x", shape=99), "div.*no form in matrix symbols"),
    ],
)
def test_what_has_no_matrix_form_is_refused(make: Any, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        gg.to_sympy(make())


def test_what_would_be_endless_is_refused() -> None:
    y = gg.var("x", 0.5)
    for _ in range(60):
        y = gg.sin(y) * y
    assert tree_size([y])[0] > 2**60
    with pytest.raises(GraphError, match=r"has 10\^18 operations, 120 deep"):
        gg.to_sympy(y)
    deep = gg.var("x", 0.5)
    for _ in range(500):
        deep = gg.sin(deep)
    with pytest.raises(GraphError, match="500 deep"):
        gg.to_sympy(deep)
    nines = gg.const(9.0) ** (gg.const(9.0) ** gg.const(9.0))
    with pytest.raises(TooLargeError, match="no finite value"):
        gg.to_sympy(nines * gg.var("x"))
    with pytest.raises(TooLargeError, match="too many digits"):
        gg.to_sympy(gg.power(2 * gg.var("x"), 387420489))
    with pytest.raises(TooLargeError, match="too many digits"):
        gg.to_sympy(gg.power(gg.const(1.000000001), 1e9) * gg.var("x"))
    assert gg.to_sympy(gg.power(gg.var("x"), 1e9)) == X ** (10**9)


def test_what_is_no_node_is_refused() -> None:
    with pytest.raises(GraphError, match="expected a graph node"):
        gg.to_sympy(3.0)


# -- every primitive, there and back -------------------------------------------------------------


def values_of(expression: Any, at: dict[str, Any]) -> Any:
    """Return a SymPy expression's value, or its entries' values, to 20 digits, as floats."""
    flat = sp.flatten(expression) if hasattr(expression, "shape") else [expression]
    found = []
    for e in flat:
        numbers = {s: at[s.name] for s in e.free_symbols}
        value = e.subs(numbers)
        found.append(float(value == sp.true) if value in (sp.true, sp.false) else sp.N(value, 20))
    return np.array(found, float)


@pytest.mark.parametrize(("p", "case"), [*rulebook.settled(ELEMENTWISE)], ids=label)
def test_elementwise_formulas_there_and_back(p: Elementwise, case: Case) -> None:
    masks, points = rulebook.masks(p), rulebook.points(p, 3)
    for point in list(zip(*points, strict=True))[:3]:
        xs = [gg.var(f"x{k}", v, dtype=bool if m else float)
              for k, (v, m) in enumerate(zip(point, masks))]  # fmt: skip
        y = p(*xs, **case.settings)
        e = gg.to_sympy(y)
        at = {x.name: (sp.true if v else sp.false) if m else sp.Float(float(v), 30)
              for x, v, m in zip(xs, point, masks)}  # fmt: skip
        expected = np.ravel(np.asarray(y.value, float))
        np.testing.assert_allclose(values_of(e, at), expected, rtol=1e-12, atol=1e-14)
        if not any(masks):
            names = {s.name for s in e.free_symbols}
            back = gg.from_sympy(e, **{x.name: x.value for x in xs if x.name in names})
            np.testing.assert_allclose(back.value, y.value, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("p", "case"), [*rulebook.settled(STRUCTURED)], ids=label)
def test_structured_formulas_there_and_back(p: Primitive, case: Case) -> None:
    y, variables = rulebook.make(p, case)
    if not y.active or not y.size:
        return
    e = gg.to_sympy(y, entries=200)
    at = {}
    for x in variables:
        for k in np.ndindex(x.shape):
            at[x.name + (f"{list(k)}".replace(" ", "") if k else "")] = np.asarray(x.value)[k]
    expected = np.ravel(y.value)
    np.testing.assert_allclose(values_of(e, at), expected, rtol=1e-12, atol=1e-14)
    entries = e if hasattr(e, "shape") else sp.Matrix([[e]])
    names = {s.name for s in entries.free_symbols}
    back = gg.from_sympy(entries, **{n: v for n, v in at.items() if n in names})
    np.testing.assert_allclose(np.ravel(back.value), expected, rtol=1e-12, atol=1e-14)


# -- from SymPy ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (sp.sin(X) ** 2 + sp.Max(X, 3, Y), math.sin(2) ** 2 + 3),
        (X / (Y * 2) - 3 * X**-2, 2 / 1 - 0.75),
        (-X * Y / 3, -1 / 3),
        (sp.Piecewise((X, X < 0), (Y, X < 3)), 0.5),
        (sp.exp(-X) / sp.sqrt(X), math.exp(-2) / math.sqrt(2)),
        (sp.pi * X + sp.E**2, 2 * math.pi + math.e**2),
        (sp.log(X, 2), 1.0),
        (X**Y + 2**X, math.sqrt(2) + 4),
        (sp.Abs(X - 5) + sp.floor(Y) + sp.sign(-X), 2.0),
        (sp.Heaviside(X - 2, 0.25), 0.25),
        (sp.Min(X, Y) + sp.atan2(X, Y), 0.5 + math.atan2(2, 0.5)),
        (sp.Rational(1, 3) * X - sp.Float("0.5"), 2 / 3 - 0.5),
        (sp.oo, math.inf),
        (sp.GoldenRatio * X, 1 + math.sqrt(5)),
        (sp.cosh(X) + sp.erf(Y) + sp.asin(Y), math.cosh(2) + math.erf(0.5) + math.asin(0.5)),
    ],
)
def test_expressions_become_graphs(expression: Any, expected: float) -> None:
    at = {"x": 2.0, "y": 0.5}
    names = {s.name for s in expression.free_symbols}
    assert gg.from_sympy(expression, **{n: v for n, v in at.items() if n in names}).value == (
        pytest.approx(expected, rel=1e-14)
    )


def test_masks_and_missing_cases() -> None:
    condition = sp.And(X > 0, sp.Or(Y < 1, sp.Not(sp.Eq(X, Y))))
    assert gg.from_sympy(condition, x=2, y=3).value is True
    assert gg.from_sympy(sp.Ne(X, 2), x=2).value is False
    assert math.isnan(gg.from_sympy(sp.Piecewise((1, X < 0)), x=2).value)
    assert gg.from_sympy(sp.true).value is True


def test_equal_parts_are_one_node_and_values_can_wait() -> None:
    y = gg.from_sympy(sp.sin(X + Y) * sp.exp(sp.sin(X + Y)))
    assert [n.op for n in gg.ancestors(y)].count("sin") == 1
    assert {n.name for n in gg.ancestors(y) if n.op == "variable"} == {"x", "y"}


def test_matrices_of_expressions() -> None:
    m = gg.from_sympy(sp.Matrix([[X, Y], [1, X * Y]]), x=2, y=3)
    assert m.value.tolist() == [[2, 3], [1, 6]]
    A, B = sp.MatrixSymbol("A", 2, 2), sp.MatrixSymbol("B", 2, 2)
    a, b = [[1.0, 2.0], [3.0, 4.0]], [[0.0, 1.0], [1.0, 0.0]]
    both = gg.from_sympy(A * B.T + 2 * A, A=a, B=b)
    assert both.value.tolist() == (np.array(a) @ np.array(b).T + 2 * np.array(a)).tolist()


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (sp.gamma(X), r"gamma\(x\): the rule book has no function gamma; rewrite"),
        (X + sp.sec(Y), r"sec\(y\): the rule book has no function sec"),
        (sp.Integral(sp.sin(sp.sin(X)), (X, 0, 1)), r"Integral\(.*no function Integral"),
        (sp.I * X, "I: not a real number"),
        (sp.zoo, "zoo: not a real number"),
        ("x + 1", "is text: gg.parse reads expressions"),
        (object(), "is no SymPy expression"),
        (sp.Matrix(0, 3, []), "has no entries"),
    ],
)
def test_what_has_no_counterpart_is_named(expression: Any, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        gg.from_sympy(expression)


def test_a_value_for_no_symbol_is_refused() -> None:
    with pytest.raises(GraphError, match="a value is given for 'z'; the symbols are x"):
        gg.from_sympy(X + 1, z=2)


# -- text and LaTeX ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("e", "shown"),
    [
        (1 - sp.tanh(X) ** 2, "1 − tanh(x)²"),
        (-X / (2 * Y), "−x/(2·y)"),
        (X**-3, "1/x³"),
        (X ** sp.Rational(2, 3), "x^(2/3)"),
        ((X + Y) * (Y - 1), "(x + y)·(y − 1)"),
        (sp.Rational(1, 100) * X, "0.01·x"),
        (sp.Rational(1, 4) * X, "x/4"),
        (sp.Piecewise((1, X > 0), (0, True)), "[x > 0]"),
        (sp.Max(0, X) + sp.Heaviside(Y), "step(y) + max(0, x)"),
        (-sp.sqrt(X) - Y, "−√(x) − y"),
        (sp.exp(-X) / (1 + sp.exp(-X)) ** 2, "exp(−x)/(1 + exp(−x))²"),
        (2 * sp.exp(-(X**2)) / sp.sqrt(sp.pi), "2·exp(−x²)/√(π)"),
    ],
)
def test_formulas_read_like_the_house(e: Any, shown: str) -> None:
    assert text(e) == shown


def test_names_go_in_last_and_safely() -> None:
    assert text(X**2 * Y, {X: "a*b", Y: "−2"}) == "a*b²·(−2)"
    assert text(X, {X: "−2"}) == "−2"
    assert latex(X + 1, {X: "50%_{a}"}) == r"\mathrm{50\%\_\{a\}} + 1"
    assert shortened(sum(sp.sin(k * X) for k in range(1, 99))).endswith("operations)")
