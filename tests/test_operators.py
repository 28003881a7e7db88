"""Operators and NumPy functions on nodes, on either side, as on arrays; identity and truth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.errors import DtypeError

SAME: list[tuple[str, Callable[[Any, Any], Any]]] = [
    ("+", lambda a, b: a + b), ("-", lambda a, b: a - b), ("*", lambda a, b: a * b),
    ("/", lambda a, b: a / b), ("**", lambda a, b: a**b), ("<", lambda a, b: a < b),
    ("<=", lambda a, b: a <= b), (">", lambda a, b: a > b), (">=", lambda a, b: a >= b),
    ("maximum", np.maximum), ("arctan2", np.arctan2), ("power", np.power),
    ("subtract", np.subtract), ("true_divide", np.true_divide), ("equal", np.equal),
    ("not_equal", np.not_equal), ("heaviside", lambda a, b: np.heaviside(a, 0.5)),
    ("&", lambda a, b: (a > 1) & (b > 1)), ("|", lambda a, b: (a > 1) | (b > 1)),
    ("~", lambda a, b: ~(a > b)), ("np.invert", lambda a, b: np.invert(a > b)),
    ("-x", lambda a, b: -a), ("+x", lambda a, b: +a), ("abs", lambda a, b: abs(a - b)),
    ("@", lambda a, b: a @ b), ("exp", lambda a, b: np.exp(a)), ("sqrt", lambda a, b: np.sqrt(a)),
    ("square", lambda a, b: np.square(a)), ("negative", lambda a, b: np.negative(a)),
    ("absolute", lambda a, b: np.absolute(-a)), ("arctan", lambda a, b: np.arctan(a)),
    ("sum", lambda a, b: a.sum()), ("mean", lambda a, b: a.mean(axis=-1)),
    ("prod", lambda a, b: a.prod(keepdims=True)), ("max", lambda a, b: a.max(axis=0)),
    ("min", lambda a, b: a.min()), ("reshape", lambda a, b: a.reshape(3, 1)),
    ("reshape tuple", lambda a, b: a.reshape((1, -1))), ("T", lambda a, b: a.T),
    ("transpose", lambda a, b: a.reshape(1, 3).transpose(1, 0)),
    ("transpose tuple", lambda a, b: a.reshape(1, 3).transpose((1, 0))),
    ("astype", lambda a, b: (a > 1).astype(float)), ("float_power", np.float_power),
]  # fmt: skip


@pytest.mark.parametrize(("name", "function"), SAME, ids=[name for name, _ in SAME])
def test_operators_and_numpy_functions_do_what_they_do_on_arrays(
    name: str, function: Callable[[Any, Any], Any]
) -> None:
    a, b = np.array([0.5, 1.5, 2.5]), np.array([2.0, 0.25, 2.5])
    x, w = gg.var("x", a), gg.var("w", b)
    expected = function(a, b)
    for found in (function(x, w), function(x, b), function(a, w)):
        if isinstance(found, gg.Node):
            found = found.value
        np.testing.assert_allclose(found, expected, rtol=1e-15)
    assert isinstance(function(x, w), gg.Node)


@pytest.mark.parametrize("number", [2, 2.0, np.float64(2), np.int64(2), np.array(2.0), True])
def test_plain_numbers_on_either_side(number: Any) -> None:
    x = gg.var("x", 3.0)
    pairs = [(x + number, 3 + number), (number + x, number + 3), (number - x, number - 3.0),
             (number * x, number * 3.0), (number / x, number / 3.0)]  # fmt: skip
    for node, expected in pairs:
        assert isinstance(node, gg.Node)
        assert node.value == pytest.approx(float(expected), rel=1e-15)
    assert (number < x).value is True
    if number is not True:
        assert (number**x).value == 8.0
        assert (x**number).op == ("pow" if isinstance(number, np.ndarray) else "square")


def test_numpy_functions_without_counterpart_are_refused() -> None:
    x = gg.var("x", [1.0, 2.0])
    for call in (lambda: np.cbrt(x), lambda: np.add.reduce(x), lambda: np.add(x, 1, out=np.ones(2)),
                 lambda: np.ones(2).__iadd__(x)):  # fmt: skip
        with pytest.raises(DtypeError, match="no counterpart in the rule book"):
            call()


def test_a_node_is_itself_and_nothing_else() -> None:
    x = gg.var("x", 2.0)
    other = gg.var("x", 2.0)
    assert x == x
    assert x != other
    assert not x == 2.0  # noqa: SIM201
    assert len({x, x, other}) == 2
    assert {x: 1}[x] == 1
    assert x in [other, x]
    assert x not in [other]


def test_truth_length_and_iteration() -> None:
    x = gg.var("x", [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    with pytest.raises(DtypeError, match=r"the truth of 'x' is not known .* use gg.where"):
        bool(x)
    with pytest.raises(DtypeError, match="the truth of"):
        _ = 1 if x > 2 else 0
    assert len(x) == 3
    assert [row.value.tolist() for row in x] == [[1, 2], [3, 4], [5, 6]]
    a, b = x[0]
    assert (a.value, b.value) == (1, 2)
    with pytest.raises(TypeError, match="'s' is a scalar and has no length"):
        list(gg.var("s", 1.0))


@pytest.mark.parametrize(
    "call",
    [np.sum, np.mean, np.prod, np.max, np.min, np.argmax, np.transpose,
     lambda x: np.reshape(x, (3, 2)), lambda x: np.sum(x, axis=0, keepdims=True),
     lambda x: np.concatenate([x, x], axis=1), lambda x: np.stack([x, x]),
     lambda x: np.where(x > 0, x, 0.0), lambda x: np.clip(x, 0, 1)],
)  # fmt: skip
def test_numpys_functions_make_nodes(call):
    array = np.arange(6.0).reshape(2, 3) - 2.5
    node = call(gg.var("x", array))
    assert isinstance(node, gg.Node)
    if node.op != "where":
        assert np.array_equal(node.value, call(array))


@pytest.mark.parametrize("call", [np.cumsum, np.linalg.norm, np.fft.fft, np.median])
def test_numpys_other_functions_say_that_there_is_none(call):
    with pytest.raises(TypeError, match=r"NumPy's .* has no counterpart"):
        call(gg.var("x", [1.0, 2.0]))
