"""Transpositions moved out of loops: the same numbers, and pooling without copies."""

from __future__ import annotations

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.compiler.fuse import fuse
from graphgrad.compiler.program import program
from graphgrad.compiler.turns import turned_out
from graphgrad.graph import evaluate

X = gg.var("X", shape=(2, 3, 4, 5))
T = gg.transpose(X, (1, 2, 0, 3))
ROW, COLUMN = gg.var("row", shape=(5,)), gg.var("column", shape=(4, 1, 5))
WHOLE = gg.var("whole", shape=(3, 4, 2, 5))
VALUES = {
    n: np.random.default_rng(k).normal(size=n.shape) for k, n in enumerate((X, ROW, COLUMN, WHOLE))
}
TURNED = {
    "one operand": gg.exp(T),
    "a row": T * ROW,
    "lower rank": COLUMN - T,
    "a number": 2 / T,
    "two turned alike": T + gg.transpose(gg.square(X), (1, 2, 0, 3)),
    "spread": T * gg.broadcast_to(COLUMN, T.shape),
    "a choice": gg.where(ROW > 0, T, 0.0),
    "sum of the last": gg.sum(T, 3),
    "sum of two": gg.sum(T, (0, 3)),
    "sum that turns what is left": gg.sum(T, (1,)),
    "kept axes": gg.max(T, (0, 2), keepdims=True),
    "all": gg.sum(T),
}
LEFT = {
    "beside one that lies in order": T * WHOLE,
    "the last axis moves": gg.exp(gg.transpose(X, (0, 1, 3, 2))),
    "turned in two ways": T + gg.transpose(WHOLE, (0, 1, 2, 3)) * 1,
    "nothing to turn": gg.exp(X),
    "what is only repeated": gg.exp(gg.transpose(gg.broadcast_to(ROW, (4, 2, 5)), (1, 0, 2))),
}


def agrees(node):
    inputs = [n for n in VALUES if n in gg.ancestors([node])]
    for target in ("numpy", "numba"):
        f = gg.compile([node], inputs, target=target)
        expected = evaluate([node], {n: VALUES[n] for n in inputs})[0]
        assert np.allclose(f(*[VALUES[n] for n in inputs])[0], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", TURNED)
def test_what_is_made_of_turned_arrays_is_turned(name):
    node = TURNED[name]
    turned = turned_out(node)
    assert turned is not None
    assert (turned.shape, turned.dtype) == (node.shape, node.dtype)
    given = {n: v for n, v in VALUES.items() if n in gg.ancestors([node])}
    a, b = evaluate([node, turned], given)
    assert np.allclose(a, b, rtol=1e-13, atol=0)
    agrees(node)


@pytest.mark.parametrize("name", LEFT)
def test_what_would_be_read_out_of_order_stays(name):
    assert turned_out(LEFT[name]) is None
    agrees(LEFT[name])


@pytest.mark.parametrize(("pool", "shape", "size", "moves"), [
    (gg.max_pool2d, (2, 3, 4, 6), 2, 0),
    (gg.max_pool2d, (4, 6), (2, 3), 0),
    (gg.avg_pool2d, (2, 4, 6), 2, 1),  # its gradient only repeats numbers
    (gg.max_pool2d, (2, 5, 6), 2, 1),
])  # fmt: skip
def test_pooling_copies_no_windows_that_lie_side_by_side(pool, shape, size, moves):
    x = gg.var("x", shape=shape)
    y = pool(x, size)
    g = gg.var("g", shape=y.shape)
    dx = gg.grad(gg.sum(y * g), x)
    kernels = fuse(program([y, dx], [x, g], {})).kernels
    assert sum(k.kind == "move" for k in kernels) == moves
    values = {n: np.random.default_rng(k).normal(size=n.shape) for k, n in enumerate((x, g))}
    f = gg.compile([y, dx], [x, g])
    for a, b in zip(f(*values.values()), evaluate([y, dx], values), strict=True):
        assert np.allclose(a, b, rtol=1e-12, atol=1e-12)
