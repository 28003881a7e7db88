"""grad, vjp, jvp, jacobian, hessian and backward: what they mean, against closed forms."""

from __future__ import annotations

import ast
import inspect
import math
from typing import Any

import numpy as np
import pytest

import graphgrad as gg
from graphgrad import gradient
from graphgrad.errors import GradientError, MissingValueError, ShapeError

from .checks import central_difference, check_gradient

MODES = {
    "grad": lambda y, wrt: [g.value for g in gg.grad(y, wrt)],
    "backward": lambda y, wrt: (y.backward(), [x.grad for x in wrt])[1],
    "jvp": lambda y, wrt: [gg.jvp(y, [x], [1.0]).value for x in wrt],
    "jacobian": lambda y, wrt: [gg.jacobian(y, x).value for x in wrt],
}
each_mode = pytest.mark.parametrize("mode", MODES)


@pytest.fixture
def x() -> gg.Node:
    return gg.var("x", 3.0)


# -- scalars in every mode -------------------------------------------------------------------------

FORMS: dict[str, tuple[Any, Any]] = {
    "x + x": (lambda x: x + x, 2.0),
    "x * x": (lambda x: x * x, 6.0),
    "x - x": (lambda x: x - x, 0.0),
    "x / x": (lambda x: x / x, 0.0),
    "x ** x": (lambda x: x**x, 27 * (1 + math.log(3))),
    "a shared sub-result": (lambda x: (s := gg.exp(x)) * s + s, 2 * math.exp(6) + math.exp(3)),
    "a diamond": (lambda x: gg.sin(u := x * x) * gg.cos(u), 6 * math.cos(18)),
    "maximum(x, x)": (lambda x: gg.maximum(x, x), 1.0),
    "where": (lambda x: gg.where(x > 2, x * x, -x), 6.0),
    "no path": (lambda x: gg.const(2.0), 0.0),
    "a path of derivative 0": (lambda x: gg.floor(x) * 2, 0.0),
    "only a mask": (lambda x: gg.where(x > 2, 1.0, 0.0), 0.0),
    "itself": (lambda x: x, 1.0),
    "a constant factor": (lambda x: np.float64(2) * x - 1, 2.0),
}


@each_mode
@pytest.mark.parametrize("form", FORMS)
def test_derivatives_of_one_variable(form: str, mode: str, x: gg.Node) -> None:
    function, expected = FORMS[form]
    found = MODES[mode](function(x), [x])[0]
    if mode == "backward" and form == "no path":
        assert found is None  # x is no part of that graph, so backward does not touch it
    else:
        assert found == pytest.approx(expected, rel=1e-14, abs=1e-14)


@each_mode
def test_the_example_of_the_first_page(mode: str) -> None:
    x, w, b = gg.var("x", 2.0), gg.var("w", 3.0), gg.var("b", 1.0)
    loss = abs(4 - (x * w + b))
    assert loss.value == 3.0
    assert MODES[mode](loss, [x, w, b]) == [3.0, 2.0, 1.0]


def test_gradients_are_graphs_and_stay_fresh(x: gg.Node) -> None:
    w = gg.var("w", 2.0)
    d = gg.grad(x * x * w, x)
    assert d.value == 12.0
    x.value, w.value = 5.0, 0.5
    assert d.value == 5.0


def test_higher_orders() -> None:
    x = gg.var("x", 0.7)
    y, found = gg.sin(x), []
    for _ in range(6):
        y = gg.grad(y, x)
        found.append(y.value)
    s, c = math.sin(0.7), math.cos(0.7)
    assert found == pytest.approx([c, -s, -c, s, c, -s], rel=1e-14)
    third = gg.grad(gg.grad(gg.grad(gg.tanh(x), x), x), x)
    t = math.tanh(0.7)
    assert third.value == pytest.approx(-2 * (1 - t * t) * (1 - 3 * t * t), rel=1e-13)
    power = gg.grad(gg.grad(gg.grad(x**5, x), x), x)
    assert power.value == pytest.approx(60 * 0.7**2, rel=1e-14)


def test_mixed_second_derivatives_commute() -> None:
    x, w = gg.var("x", 0.3), gg.var("w", 1.2)
    y = gg.exp(x * w) * gg.sin(w - x * x)
    xw = gg.grad(gg.grad(y, x), w).value
    assert xw == pytest.approx(gg.grad(gg.grad(y, w), x).value, rel=1e-14)
    slope = gg.grad(y, x)
    by_difference = central_difference(
        lambda at: gg.evaluate([slope], {w: at[0]})[0], [w.value], [1.0]
    )
    assert xw == pytest.approx(by_difference, rel=1e-8)


def test_forward_over_reverse_is_reverse_over_forward() -> None:
    x = gg.var("x", [0.3, -1.2, 2.0])
    y = gg.sum(gg.exp(x) * x[::-1])
    v = np.array([1.0, 2.0, -0.5])
    forward_over_reverse = gg.jvp(gg.grad(y, x), [x], [v]).value
    reverse_over_forward = gg.grad(gg.jvp(y, [x], [v]), x).value
    np.testing.assert_allclose(forward_over_reverse, reverse_over_forward, rtol=1e-14)
    np.testing.assert_allclose(forward_over_reverse, gg.hessian(y, x).value @ v, rtol=1e-14)


# -- what one differentiates towards ---------------------------------------------------------------


def test_towards_intermediate_nodes_and_y_itself(x: gg.Node) -> None:
    u = x * x
    v = gg.sin(u)
    y = u * v
    found = [g.value for g in gg.grad(y, [x, u, v, y])]
    s, c = math.sin(9), math.cos(9)
    assert found == pytest.approx([6 * (s + 9 * c), s + 9 * c, 9.0, 1.0], rel=1e-14)
    assert gg.grad(y, u).value == found[1]


def test_towards_the_same_node_twice_and_in_any_order(x: gg.Node) -> None:
    w = gg.var("w", 5.0)
    assert [g.value for g in gg.grad(x * w, [w, x, w])] == [3.0, 5.0, 3.0]
    assert gg.grad(x * w, []) == []


def test_a_node_or_a_list_in_a_node_or_a_list_out(x: gg.Node) -> None:
    assert isinstance(gg.grad(x * x, x), gg.Node)
    assert isinstance(gg.grad(x * x, [x]), list)
    assert isinstance(gg.grad(x * x, (x,)), list)
    assert isinstance(gg.jvp(x * x, [x], [1.0]), gg.Node)
    assert isinstance(gg.jvp([x * x, x], [x], [1.0]), list)


def test_zeros_have_shape_and_type_of_the_stranger(x: gg.Node) -> None:
    stranger = gg.var("W", np.ones((2, 3), np.float32))
    zero = gg.grad(x * x, stranger)
    assert (zero.shape, zero.dtype) == ((2, 3), np.float32)
    assert not zero.value.any()
    assert gg.jvp(x * x, [stranger], [np.ones((2, 3))]).value == 0.0
    assert gg.jacobian(gg.stack([x, x]), stranger).shape == (2, 2, 3)


def test_broadcast_inputs_get_the_sum() -> None:
    x, b, s = gg.var("x", np.ones((4, 3))), gg.var("b", [1.0, 2.0, 3.0]), gg.var("s", 2.0)
    column = gg.var("c", np.ones((4, 1)))
    y = gg.sum((x * s + b) * column)
    found = gg.grad(y, [x, b, s, column])
    assert [g.shape for g in found] == [(4, 3), (3,), (), (4, 1)]
    assert found[1].value.tolist() == [4.0, 4.0, 4.0]
    assert found[2].value == 12.0
    check_gradient(y, [x, b, s, column])


# -- vectors ---------------------------------------------------------------------------------------


def test_vjp_and_jvp_are_products_with_the_jacobian() -> None:
    x = gg.var("x", [0.5, 1.5])
    y = gg.stack([x[0] * x[1], gg.exp(x[0]), x[1] ** 3])
    J = np.array([[1.5, 0.5], [math.exp(0.5), 0.0], [0.0, 3 * 1.5**2]])
    v, dx = np.array([1.0, -2.0, 0.5]), np.array([3.0, 1.0])
    np.testing.assert_allclose(gg.vjp(y, x, v).value, v @ J, rtol=1e-15)
    np.testing.assert_allclose(gg.jvp(y, [x], [dx]).value, J @ dx, rtol=1e-15)
    np.testing.assert_allclose(gg.jacobian(y, x).value, J, rtol=1e-15)


def test_products_with_nodes_as_vectors() -> None:
    x, v = gg.var("x", [1.0, 2.0]), gg.var("v", [3.0, 4.0])
    product = gg.vjp(x * x, x, v)
    assert product.value.tolist() == [6.0, 16.0]
    v.value = [1.0, 0.0]
    assert product.value.tolist() == [2.0, 0.0]
    check_gradient(product, [x, v])
    check_gradient(gg.jvp(x * x, [x], [v]), [x, v])


@pytest.mark.parametrize(("m", "n"), [(4, 2), (2, 4), (3, 3)])
def test_the_jacobian_is_the_same_in_both_modes(m: int, n: int) -> None:
    rng = np.random.default_rng(0)
    x, A = gg.var("x", rng.normal(size=(n,))), rng.normal(size=(m, n))
    y = gg.tanh(A @ x) * x.sum()
    found = gg.jacobian(y, x).value  # by reverse mode when m <= n
    by_rows = [gg.vjp(y, x, e).value for e in np.eye(m)]
    by_columns = [gg.jvp(y, [x], [e]).value for e in np.eye(n)]
    np.testing.assert_allclose(found, by_rows, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(found, np.transpose(by_columns), rtol=1e-13, atol=1e-15)
    check_gradient(gg.jacobian(y, x), x)


@pytest.mark.parametrize("shapes", [((2, 2), (3,)), ((3,), (2, 2)), ((), (2, 2)), ((2,), ()),
                                    ((0,), (2,)), ((2,), (0, 3))])  # fmt: skip
def test_the_jacobian_has_the_shape_of_y_and_x_side_by_side(shapes: Any) -> None:
    of_y, of_x = shapes
    x = gg.var("x", np.ones(of_x))
    J = gg.jacobian(gg.broadcast_to(gg.sum(x), of_y), x)
    assert J.shape == of_y + of_x
    np.testing.assert_array_equal(J.value, np.ones(of_y + of_x))


def test_the_hessian_of_a_quadratic_form_and_its_symmetry() -> None:
    rng = np.random.default_rng(1)
    A = rng.normal(size=(4, 4))
    x = gg.var("x", rng.normal(size=4))
    np.testing.assert_allclose(gg.hessian(x @ A @ x, x).value, A + A.T, rtol=1e-14)
    H = gg.hessian(gg.logsumexp(gg.sin(x) * x[::-1]), x).value
    np.testing.assert_allclose(H, H.T, rtol=1e-13, atol=1e-15)
    assert np.abs(H).max() > 0.1
    W = gg.var("W", rng.normal(size=(2, 3)))
    assert gg.hessian(gg.sum(W * W * W), W).shape == (2, 3, 2, 3)


# -- backward --------------------------------------------------------------------------------------


def test_backward_is_fresh_each_time_and_adds_when_asked(x: gg.Node) -> None:
    y = x * x
    y.backward()
    assert x.grad == 6.0
    y.backward()
    assert x.grad == 6.0
    y.backward(accumulate=True)
    assert (x.grad, y.grad) == (12.0, 2.0)
    (2 * x).backward(accumulate=True)
    assert x.grad == 14.0
    (2 * x).backward()
    assert x.grad == 2.0


def test_backward_reaches_every_node_that_carries_a_gradient(x: gg.Node) -> None:
    k, m = gg.const(2.0), x > 0
    u = x * k
    y = gg.where(m, u, 0.0) + gg.floor(x)
    y.backward()
    assert (y.grad, u.grad, x.grad) == (1.0, 1.0, 2.0)
    assert k.grad is None
    assert m.grad is None


def test_backward_uses_current_values(x: gg.Node) -> None:
    y = x * x
    y.backward()
    x.value = 5.0
    assert x.grad == 6.0  # of the last backward; setting a value does not touch it
    y.backward()
    assert x.grad == 10.0


def test_backward_keeps_gradients_of_other_graphs() -> None:
    a, b = gg.var("a", 1.0), gg.var("b", 2.0)
    (a * 3).backward()
    (b * 4).backward()
    assert (a.grad, b.grad) == (3.0, 4.0)


@pytest.mark.parametrize("function", [gg.floor, lambda x: gg.where(x > 0, 1.0, 0.0)])
def test_a_gradient_that_was_there_becomes_zero_when_no_path_is_left(function: Any) -> None:
    x, w = gg.var("x", 3.0), gg.var("w", 1.0)
    (x * w).backward()
    (function(x) * w).backward()
    assert x.grad == 0.0


def test_backward_in_arrays_is_grad_in_nodes() -> None:
    rng = np.random.default_rng(2)
    x, W = gg.var("x", rng.normal(size=(5, 3))), gg.var("W", rng.normal(size=(3, 2)))
    loss = gg.mean(gg.softplus(gg.tanh(x @ W).max(axis=1)) * x[:, 0])
    loss.backward()
    for node, g in zip([x, W], gg.grad(loss, [x, W]), strict=True):
        np.testing.assert_array_equal(node.grad, g.value)
    check_gradient(loss, [x, W])


# -- types -----------------------------------------------------------------------------------------


def test_gradients_have_the_type_of_what_they_belong_to() -> None:
    x32, x64 = gg.var("x", np.ones(2, np.float32)), gg.var("x", np.ones(2))
    k = gg.var("k", [2, 3], dtype=int)
    y = gg.sum(x32 * x64 * k)
    assert y.dtype == np.float64
    assert [g.dtype for g in gg.grad(y, [x32, x64])] == [np.float32, np.float64]
    y.backward()
    assert (x32.grad.dtype, x64.grad.dtype, k.grad) == (np.float32, np.float64, None)
    assert gg.jvp(y, [x32], [np.ones(2)]).dtype == np.float64
    y32 = gg.sum(gg.softmax(x32 * 2) ** 2)
    order = gg.ancestors([*gg.grad(y32, [x32]), gg.jvp(y32, [x32], [np.ones(2)])])
    assert {n.dtype for n in order} <= {np.dtype(np.float32), np.dtype(bool)}


def test_vectors_take_the_type_of_what_they_meet() -> None:
    x = gg.var("x", np.ones(2, np.float32))
    v = gg.var("v", [1.0, 2.0])
    assert gg.vjp(x, x, v).dtype == np.float32
    assert gg.jvp(x, [x], [v]).dtype == np.float32
    assert gg.vjp(x * 2, x, [1, 2]).dtype == np.float32


def test_no_gradient_passes_integers_and_masks() -> None:
    x = gg.var("x", 2.6)
    y = x.astype(int) * x
    assert gg.grad(y, x).value == 2.0
    assert gg.grad((x > 1).astype(float) * x, x).value == 1.0


def test_gradients_pass_a_change_of_width() -> None:
    x = gg.var("x", [1.5, 2.0])
    d = gg.grad(gg.sum(x.astype("float32") ** 2), x)
    assert d.dtype == np.float64
    assert d.value.tolist() == [3.0, 4.0]


# -- errors ----------------------------------------------------------------------------------------


def test_errors_say_what_was_wrong_and_what_to_do() -> None:
    x, v = gg.var("x", 2.0), gg.var("v", [1.0, 2.0])
    k, mask = gg.var("k", 1, dtype=int), v > 1
    for call, error, text in [
        (lambda: gg.grad(v * v, v), GradientError, r"grad of mul#\d+ with shape \(2,\): expected"),
        (lambda: (v * v).backward(), GradientError, r"backward of .* take .sum\(\) or .mean\(\)"),
        (lambda: gg.grad(x, k), GradientError, "'k', is int64: only floating nodes carry"),
        (lambda: gg.grad(k * 2, x), GradientError, r"y, mul#\d+, is int64: only floating nodes"),
        (lambda: gg.vjp(mask, v, [1.0, 1.0]), GradientError, "is bool: only floating"),
        (lambda: gg.grad(x, 2.0), GradientError, "towards 2.0: expected a graph node"),
        (lambda: gg.grad(x, [x, "w"]), GradientError, "towards 'w': expected a graph node"),
        (lambda: gg.grad(2.0, x), GradientError, "y is 2.0: expected a graph node"),
        (lambda: gg.jacobian(v, k), GradientError, "x, 'k', is int64"),
        (lambda: gg.vjp(v, v, [1.0]), ShapeError, r"cotangent of shape \(1,\) for y of shape"),
        (lambda: gg.jvp(v, [v], [1.0]), ShapeError, r"tangent of shape \(\) for 'v' of \(2,\)"),
        (lambda: gg.jvp(v, [v], []), GradientError, "1 nodes but 0 tangents"),
        (lambda: (x * gg.var("w")).backward(), MissingValueError, "no value for 'w'"),
    ]:
        with pytest.raises(error, match=text):
            call()


def test_a_graph_without_values_can_be_differentiated() -> None:
    x, w = gg.var("x", shape=(3,)), gg.var("w")
    d = gg.grad(gg.sum(x * w), [x, w])
    x.value, w.value = [1, 2, 3], 2.0
    assert [d[0].value.tolist(), d[1].value] == [[2.0, 2.0, 2.0], 6.0]


# -- the module names no operation -----------------------------------------------------------------

MOVES = {"broadcast_to", "reshape", "stack"}
"""What jacobians and tangents are put together with; of the mathematics none is named."""


def test_the_sweep_names_no_operation() -> None:
    tree = ast.parse(inspect.getsource(gradient))
    names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    attributes = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
    code = {*names, *attributes}
    texts = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)}
    assert "TABLE" not in code
    assert not texts & set(gg.PRIMITIVES)
    assert names & set(gg.PRIMITIVES) == MOVES
