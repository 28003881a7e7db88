"""The tape: order, numbers of every step, states at a step, local derivatives, Jacobians."""

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.errors import GradientError, GraphError, ShapeError

from .familiar import book, find


def test_forward_steps_hold_operands_and_values_in_order():
    loss = book()
    steps = gg.tape(loss).forward
    assert [s.index for s in steps] == [1, 2, 3, 4]
    assert [(s.node.name, s.operands, s.value) for s in steps] == [
        ("x1", (2.0, 3.0), 6.0),
        ("x2", (6.0, 1.0), 7.0),
        ("d", (4.0, 7.0), -3.0),
        ("loss", (-3.0,), 3.0),
    ]


def test_backward_steps_follow_reverse_order_and_inputs_first_to_last():
    loss = book()
    rows = [
        (
            s.index,
            s.edge.node.name,
            s.edge.source.name,
            s.upstream,
            s.contribution,
            s.before,
            s.after,
        )
        for s in gg.tape(loss).backward
    ]
    assert rows == [
        (1, "loss", "d", 1, -1, None, -1),
        (2, "d", "x2", -1, 1, None, 1),
        (3, "x2", "x1", 1, 1, None, 1),
        (4, "x2", "b", 1, 1, None, 1),
        (5, "x1", "x", 1, 3, None, 3),
        (6, "x1", "w", 1, 2, None, 2),
    ]


def test_accumulator_before_and_after_when_a_node_has_several_users():
    x = gg.var("x", 3.0)
    t = gg.tape(x * x + x)
    assert [(s.before, s.after) for s in t.arrivals(x)] == [(None, 1.0), (1.0, 4.0), (4.0, 7.0)]
    assert [t.adjoint(x, k) for k in range(5)] == [None, None, 1.0, 4.0, 7.0]
    assert t.arrived(x, 3) == 2


def test_steps_are_forward_then_backward():
    loss = book()
    t = gg.tape(loss)
    assert t.steps == [*t.forward, *t.backward]
    assert repr(t) == "<Tape of 'loss': 8 nodes>"


def test_adjoints_agree_with_backward_and_grad():
    loss = book()
    x, w, b = (find(loss, name) for name in "xwb")
    t = gg.tape(loss)
    loss.backward()
    for n in (x, w, b):
        assert t.adjoint(n) == n.grad == gg.grad(loss, n).value


def test_the_tape_keeps_the_numbers_of_its_run():
    loss = book()
    w = find(loss, "w")
    t = gg.tape(loss)
    w.value = 10.0
    assert (t.value(w), t.value(loss), t.adjoint(w)) == (3.0, 3.0, 2.0)


def test_no_adjoint_is_none_and_never_zero():
    x, c = gg.var("x", 2.0), gg.const(5.0)
    t = gg.tape(x * c + gg.floor(x))
    assert t.adjoint(c) is None
    assert t.contribution(t.root.inputs[0], 1) is None
    assert t.contribution(t.root.inputs[1], 0) == 0.0


def test_local_derivative_of_an_elementwise_edge_is_entrywise():
    x, b = gg.var("x", [1.0, 2.0]), gg.var("b", 3.0)
    y = x * b
    t = gg.tape(gg.sum(y))
    assert t.local(y, 0).tolist() == [3.0, 3.0]
    assert t.local(y, 1).tolist() == [1.0, 2.0]
    assert t.contribution(y, 1) == 3.0


def test_local_derivative_of_a_structured_edge_is_its_jacobian():
    W, x = gg.var("W", [[1.0, 2.0], [3.0, 4.0]]), gg.var("x", [5.0, 6.0])
    y = W @ x
    t = gg.tape(gg.sum(y))
    assert np.array_equal(t.local(y, 1), W.value)
    assert t.local(y, 0).shape == (2, 2, 2)
    assert np.array_equal(t.local(y, 0), gg.jacobian(y, W).value)


def test_no_local_derivative_towards_masks_and_indices():
    x = gg.var("x", [1.0, -1.0])
    y = gg.where(x > 0, x, 0.0)
    assert gg.tape(gg.sum(y)).local(y, 0) is None


def test_huge_jacobian_is_refused():
    x = gg.var("x", np.zeros(1001))
    y = gg.concatenate([x])
    with pytest.raises(GraphError, match="1002001 entries"):
        gg.tape(gg.sum(y)).local(y, 0)


def test_vector_root_needs_a_cotangent():
    x = gg.var("x", [1.0, 2.0])
    y = x * x
    t = gg.tape(y)
    assert not t.differentiable
    assert t.steps == t.forward
    with pytest.raises(GradientError, match="give its adjoint"):
        _ = t.backward
    assert gg.tape(y, cotangent=[1.0, 10.0]).adjoint(x).tolist() == [2.0, 40.0]
    with pytest.raises(ShapeError, match=r"shape \(3,\) for a root of shape \(2,\)"):
        _ = gg.tape(y, cotangent=[1.0, 1.0, 1.0]).seed


@pytest.mark.parametrize("bad", [3.0, "x", None])
def test_only_nodes_are_recorded(bad):
    with pytest.raises(GraphError, match="expected a graph node"):
        gg.tape(bad)


def test_strangers_are_refused():
    loss = book()
    with pytest.raises(GraphError, match="'z' took no part"):
        gg.tape(loss).value(gg.var("z", 1.0))


def test_integer_root_has_no_backward_pass():
    x = gg.var("x", [1.0, 2.0])
    with pytest.raises(GradientError, match="int64"):
        _ = gg.tape(gg.argmax(x)).backward
