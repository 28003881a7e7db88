"""Nodes: values always fresh and never computed twice; structure, names, messages, size."""

from __future__ import annotations

import dataclasses
import gc
import re
import sys
import weakref
from typing import Any

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.errors import DtypeError, GraphError, MissingValueError, ShapeError

LONG = 300_000
"""Operations in the chain that must not meet a recursion limit."""


def counting(name: str) -> tuple[Any, list[Any]]:
    """Return a primitive that notes each forward call, and its notes."""
    p = gg.PRIMITIVES[name]
    notes: list[Any] = []

    def forward(*xs: Any, **settings: Any) -> Any:
        notes.append(xs)
        return p.forward(*xs, **settings)

    return dataclasses.replace(p, forward=forward), notes


# -- values --------------------------------------------------------------------------------------


def test_the_value_follows_the_variables() -> None:
    x, w = gg.var("x", 2.0), gg.var("w", 3.0)
    y = gg.exp(x * w) + x
    for a, b in [(2.0, 3.0), (0.5, 3.0), (0.5, -1.0), (2.0, 3.0)]:
        x.value, w.value = a, b
        assert y.value == pytest.approx(np.exp(a * b) + a, rel=1e-15)


def test_nothing_is_computed_before_it_is_asked_for_nor_twice() -> None:
    exp, notes = counting("exp")
    x = gg.var("x", 1.0)
    y = exp(x)
    assert notes == []
    both = y * y + y
    assert [both.value, both.value, y.value] == [both.value] * 2 + [y.value]
    assert len(notes) == 1


def test_only_what_depends_on_a_set_variable_is_computed_again() -> None:
    exp, of_x = counting("exp")
    sin, of_w = counting("sin")
    x, w = gg.var("x", 1.0), gg.var("w", 2.0)
    y = exp(x) * sin(w)
    assert y.value == np.exp(1.0) * np.sin(2.0)
    w.value = 0.5
    assert y.value == np.exp(1.0) * np.sin(0.5)
    assert (len(of_x), len(of_w)) == (1, 2)
    gg.var("stranger", 1.0).value = 2.0
    assert y.value == np.exp(1.0) * np.sin(0.5)
    assert (len(of_x), len(of_w)) == (1, 2)


def test_a_value_asked_for_in_between_does_not_make_a_later_one_stale() -> None:
    x = gg.var("x", 1.0)
    y = x * 2
    z = y + 1
    assert z.value == 3
    x.value = 5
    assert y.value == 10  # refreshes y, and must leave z marked as out of date
    assert z.value == 11


def test_a_node_made_after_its_inputs_were_computed_is_computed() -> None:
    x = gg.var("x", 1.0)
    y = x * 2
    assert y.value == 2
    late = y + x
    x.value = 4
    assert y.value == 8
    assert late.value == 12


def test_a_diamond_is_computed_once_per_node() -> None:
    mul, notes = counting("mul")
    y = gg.var("x", 1.5)
    for _ in range(60):  # 2**60 paths
        y = mul(y, y) * 0.5 + 0.5
    first = y.value
    assert y.value == first
    assert len(notes) == 60


def test_random_numbers_without_variables_are_drawn_once() -> None:
    u = gg.random_uniform(gg.const(3), (4,), seed=1)
    assert u.value is u.value


def test_setting_checks_shape_type_and_kind() -> None:
    x = gg.var("x", [1.0, 2.0])
    x.value = [3, 4]
    assert x.value.tolist() == [3.0, 4.0]
    for wrong, error, text in [
        ([1.0], ShapeError, r"'x' has shape \(2,\); a value of shape \(1,\) does not fit"),
        ("a", DtypeError, "value of 'x': expected a number or an array of numbers, got str 'a'"),
        (None, DtypeError, "got NoneType None"),
        ([1j, 2], DtypeError, "expected a number or an array of numbers"),
        ([[1], [1, 2]], DtypeError, "value of 'x'"),
        (gg.var("w", 1.0), DtypeError, "got a graph node; use its .value"),
    ]:
        with pytest.raises(error, match=text):
            x.value = wrong
    assert x.value.tolist() == [3.0, 4.0]
    with pytest.raises(GraphError, match=r"is a mul: only a variable's value can be set"):
        (x * 2).value = [1.0, 2.0]
    with pytest.raises(GraphError, match="is a constant"):
        gg.const(1.0).value = 2.0


def test_values_are_copies_and_read_only() -> None:
    given = np.array([1.0, 2.0])
    x = gg.var("x", given)
    y = x.reshape(1, 2)
    given[0] = 99.0
    assert x.value.tolist() == [1.0, 2.0]
    for node in (x, y, x + 1, x[0:1], gg.const([1.0])):
        with pytest.raises(ValueError, match="read-only"):
            node.value[...] = 0.0
    y.sum().backward()
    with pytest.raises(ValueError, match="read-only"):
        x.grad[0] = 0.0


def test_scalars_are_python_numbers() -> None:
    x = gg.var("x", 2.0)
    found = [x.value, (x * 2).value, (x > 1).value, gg.argmax(gg.const([1, 3])).value]
    assert [type(v) for v in found] == [float, float, bool, int]
    assert float(x) == 2.0
    x.backward()
    assert type(x.grad) is float


def test_missing_values_are_named() -> None:
    x, w, b = gg.var("x", shape=(2,)), gg.var("w"), gg.var("b", 1.0)
    with pytest.raises(MissingValueError, match="no value for 'x', 'w': set it first"):
        _ = (x * w + b).value
    with pytest.raises(MissingValueError, match="no value for 'x', 'w'"):
        (x * w + b).sum().backward()
    with pytest.raises(MissingValueError, match="no value for 'w'"):
        gg.evaluate([x * w + b], {x: np.ones(2)})
    w.value = 2.0
    with pytest.raises(MissingValueError, match="no value for 'x'"):
        _ = (x * w).value
    x.value = [1, 2]
    assert (x * w).value.tolist() == [2.0, 4.0]


def test_evaluate_replaces_and_remembers_nothing() -> None:
    x = gg.var("x", 2.0)
    y = x * x
    z = y + 1
    assert gg.evaluate([z, y, z], {x: 3}) == [10.0, 9.0, 10.0]
    assert gg.evaluate([z], {y: 0.5}) == [1.5]
    assert gg.evaluate([x, z], {x: 4.0}) == [4.0, 17.0]
    assert (z.value, x.value) == (5.0, 2.0)
    a, b = gg.var("a"), gg.var("b")
    assert gg.evaluate([a / b], {a: 1.0, b: 0.0}) == [np.inf]
    assert gg.evaluate([a * b], {a: [1, 2], b: [3, 4]})[0].tolist() == [3, 8]


def test_computing_is_silent_where_numpy_warns() -> None:
    x = gg.var("x", [0.0, -1.0, 1000.0])
    assert gg.log(x).value[0] == -np.inf
    assert np.isnan(gg.log(x).value[1])
    assert gg.exp(x).value[2] == np.inf
    assert (x / x).value[1:].tolist() == [1.0, 1.0]
    assert gg.var("s", 1e300, dtype="float32").value == np.inf


# -- structure, names, messages --------------------------------------------------------------------


def test_x_times_x_has_two_edges() -> None:
    x = gg.var("x", 3.0)
    y = x * x
    assert y.inputs == (x, x)
    edges = [gg.Edge(y, i) for i in range(len(y.inputs))]
    assert [e.source for e in edges] == [x, x]
    assert edges[0] != edges[1]
    assert [n.op for n in gg.ancestors(y)] == ["variable", "mul"]


def test_what_a_node_says_about_itself() -> None:
    x = gg.var("x", shape=(2, 3), role="parameter")
    y = gg.sum(x, axis=1, keepdims=True)
    assert (y.op, y.inputs, y.shape, y.ndim, y.size) == ("sum", (x,), (2, 1), 2, 2)
    assert y.settings == {"axis": (1,), "keepdims": True}
    assert (x.is_leaf, y.is_leaf, x.role) == (True, False, "parameter")
    assert (x.op, gg.const(1).op) == ("variable", "constant")
    assert repr(x) == "<Node x (variable) shape=(2, 3) dtype=float64>"
    assert repr(y.named("s")) == "<Node s = sum('x') shape=(2, 1) dtype=float64>"


def test_gradients_can_flow_where_active_says() -> None:
    x, k = gg.var("x", [1.0]), gg.var("k", [0], dtype=int)
    active = [x, x * 2, gg.where(x > 0, x, 1.0), x[k], x.astype("float32"), gg.sign(x)]
    still = [k, gg.const(1.0), x > 0, x.astype(int), k * 2.0, gg.argmax(x), gg.where(x > 0, 1.0, 0)]
    assert [n.active for n in active] == [True] * len(active)
    assert [n.active for n in still] == [False] * len(still)


def test_roles_follow_the_usual_names() -> None:
    roles = {name: gg.var(name).role for name in ("x", "X", "target", "y", "w", "b", "alpha")}
    assert [n for n, role in roles.items() if role == "input"] == ["x", "X", "target", "y"]
    with pytest.raises(GraphError, match="role 'weight': expected 'input' or 'parameter'"):
        gg.var("w", role="weight")


def test_names() -> None:
    x = gg.var("x", 1.0)
    y = (x * 2).named("twice")
    assert y.name == "twice"
    y.name = "double"
    assert y.name == "double"
    assert (x * 2).name == ""
    for wrong in ("", None, 3):
        with pytest.raises(GraphError, match="expected a non-empty string"):
            y.name = wrong
        with pytest.raises(GraphError, match="expected a non-empty string"):
            gg.var(wrong, 1.0)
    with pytest.raises(AttributeError):
        y.nmae = "typing error"


def test_errors_name_the_operation_and_the_inputs() -> None:
    a, b = gg.var("a", shape=(3,)), gg.var("b", shape=(4,))
    with pytest.raises(ShapeError) as caught:
        _ = a + b
    assert str(caught.value) == (
        "add: shapes (3,) and (4,) do not broadcast: axis -1 has sizes 3 and 4; expected equal "
        "sizes, or 1 (inputs 'a': float64[3], 'b': float64[4])"
    )
    with pytest.raises(ShapeError, match=r"matmul: shapes \(3,\) and \(4,\) do not fit for @"):
        _ = a @ b
    with pytest.raises(ShapeError, match=r"inputs mul#\d+: float64\[3\], \d"):
        _ = (a * 2) @ 3.0
    with pytest.raises(ShapeError, match=r"variable 'c': value of shape \(2,\), but shape=\(3,\)"):
        gg.var("c", [1, 2], shape=(3,))
    with pytest.raises(ShapeError, match="sizes must not be negative"):
        gg.var("c", shape=(-1,))


# -- size ----------------------------------------------------------------------------------------


def chain(n: int) -> tuple[gg.Node, gg.Node]:
    x = gg.var("x", 1.0)
    y = x
    for _ in range(n):
        y = -y
    return x, y


def test_a_very_long_chain_is_built_computed_differentiated_and_freed() -> None:
    limit = sys.getrecursionlimit()
    x, y = chain(LONG)
    assert y.value == 1.0
    y.backward()
    assert x.grad == 1.0
    d = gg.grad(y, x)
    assert d.value == 1.0
    assert len(gg.ancestors(y)) > LONG
    assert sys.getrecursionlimit() == limit
    gone = weakref.ref(y)
    del y, d
    gc.collect()
    assert gone() is None


def test_a_wide_sum_of_shared_terms() -> None:
    x = gg.var("x", 0.5)
    s = x * x
    y = gg.sum(gg.stack([s + k for k in range(1000)]))
    y.backward()
    assert x.grad == pytest.approx(1000.0)
    assert re.fullmatch(r"<Node = sum\(stack#\d+\) shape=\(\) dtype=float64>", repr(y))
