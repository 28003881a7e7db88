"""Windows that products on the GPU read in place: each entry against what the copies give."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import graphgrad as gg
from graphgrad.compiler.cuda.windows import Window, merged, steps, without_copies
from graphgrad.compiler.fuse import fuse
from graphgrad.compiler.program import program
from graphgrad.graph import evaluate


def numbers(digits):
    """Yield what every number along an axis moves: its place, and each coordinate."""
    for at in itertools.product(*(range(s.size) for s in digits)):
        count = max((len(s.moves) for s in digits), default=0)
        moves = [(s.stride, *s.moves, *(0,) * (count - len(s.moves))) for s in digits]
        yield [sum(k * m[q] for k, m in zip(at, moves, strict=True)) for q in range(count + 1)]


def read(view, x):
    """Return a view's entries, one by one."""
    found = []
    bounds = getattr(view, "bounds", ())
    for parts in itertools.product(*(numbers(merged(digits)) for digits in steps(view))):
        place = view.offset + sum(p[0] for p in parts)
        inside = all(
            0 <= b.start + sum(p[1 + q] for p in parts if len(p) > 1) < b.size
            for q, b in enumerate(bounds)
        )
        found.append(x.reshape(-1)[place] if inside else 0.0)
    return np.reshape(found, view.shape)


def moved(draw, x):
    """Return x behind a few moves."""
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["pad", "turn", "flip", "cut", "windows", "reshape"]))
        n = len(x.shape)
        if kind == "pad" and x.size < 100:
            x = gg.pad(x, [tuple(draw(st.tuples(*[st.integers(0, 2)] * 2))) for _ in range(n)])
        elif kind == "turn":
            x = gg.transpose(x, draw(st.permutations(range(n))))
        elif kind == "flip":
            x = x[::-1]
        elif kind == "cut" and x.shape[-1] > 2:
            x = x[..., 1 : x.shape[-1] : 2]
        elif kind == "windows" and n < 4:
            size = tuple(min(k, 2) for k in x.shape[-2:])
            x = gg.windows(x, size, draw(st.integers(1, 2)))
        elif kind == "reshape":
            x = gg.reshape(x, (-1, x.shape[-1] * x.shape[-2], *x.shape[1:-2]))
    return x


@st.composite
def products(draw):
    shape = draw(st.sampled_from([(2, 3), (3, 1), (2, 3, 4), (1, 2, 3), (2, 2, 3, 2)]))
    x = gg.var("x", np.arange(1.0, 1 + np.prod(shape)).reshape(shape))
    factor = moved(draw, x)
    return factor, gg.transpose(factor, (*range(len(factor.shape) - 2), -1, -2))


@settings(max_examples=400, deadline=None, derandomize=True, database=None)
@given(products())
def test_windows_are_what_the_copies_give(made):
    p = program([made[0] @ made[1]], [], {}, gpu=True)
    fused = without_copies(fuse(p), set())
    product = next(k.nodes[0] for k in fused.kernels if k.kind == "matmul")
    for node in product.inputs:
        view = fused.view(node)
        given, expected = evaluate([view.root, node])
        assert np.array_equal(read(view, given), expected)


def test_a_border_and_windows_are_read_in_place():
    x, w = gg.var("x", np.random.default_rng(0).normal(size=(2, 3, 5, 4))), gg.var("w", np.ones(27))
    padded = gg.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    seen = gg.transpose(gg.windows(padded, 3, 1), (0, 2, 3, 1, 4, 5))
    rows = gg.reshape(seen, (40, 27))
    fused = without_copies(fuse(program([rows @ gg.reshape(w, (27, 1))], [], {}, gpu=True)), set())
    assert [k.kind for k in fused.kernels] == ["matmul"]
    view = fused.view(fused.kernels[0].nodes[0].inputs[0])
    assert isinstance(view, Window)
    assert (view.root, [b.size for b in view.bounds]) == (x, [5, 4])
    assert np.array_equal(read(view, x.value), rows.value)


@pytest.mark.parametrize("extra", [0, 1])
def test_a_copy_that_others_read_stays(extra):
    x = gg.var("x", np.ones((3, 4)))
    padded = gg.pad(x, 1)
    nodes = [padded @ gg.transpose(padded), *[gg.exp(padded)] * extra]
    fused = without_copies(fuse(program(nodes, [], {}, gpu=True)), set())
    assert ("move" in {k.kind for k in fused.kernels}) is bool(extra)
