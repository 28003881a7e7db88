"""Products that read through copies, in Numba's simulator; `test_cuda.py` runs this file too."""

from __future__ import annotations

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.compiler.cuda import products as cuda_products
from graphgrad.compiler.cuda import runtime as cuda_runtime
from graphgrad.compiler.cuda.device import Cut

from .simulated_cuda import _own_cache, agrees, pytestmark, random

__all__ = ["_own_cache", "pytestmark"]

CONVOLUTIONS = [
    # images, kernels, stride, padding, the moves that are left
    ((2, 2, 5, 4), (3, 2, 3, 3), 1, 1, 0),
    ((1, 1, 4, 4), (1, 1, 1, 1), 1, 0, 0),
    ((3, 2, 4, 4), (2, 2, 1, 1), 2, 0, 2),
    ((2, 3, 5, 6), (2, 3, 2, 3), (2, 1), ((1, 0), (2, 1)), 1),
    ((1, 2, 6, 5), (2, 2, 3, 2), 2, "same", 1),
    ((2, 1, 4, 4), (2, 1, 2, 2), 3, ((0, 1), (1, 0)), 1),
    ((2, 2, 3, 3), (2, 2, 3, 3), 1, 4, 1),
    ((2, 1, 1, 5), (2, 1, 1, 3), 1, (0, 1), 0),
    ((1, 3, 7, 7), (5, 3, 3, 3), 1, "same", 0),
]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("images", "kernels", "stride", "padding", "moves"), CONVOLUTIONS)
def test_convolutions_and_their_gradients(images, kernels, stride, padding, moves, dtype):
    x, w = gg.var("x", shape=images, dtype=dtype), gg.var("w", shape=kernels, dtype=dtype)
    y = gg.conv2d(x, w, stride=stride, padding=padding)
    loss = gg.sum(gg.tanh(y) * random(*y.shape, seed=9, dtype=np.dtype(dtype)))
    nodes = [y, *gg.grad(loss, [x, w])]
    f, g = (gg.compile(nodes, [x, w], target=target) for target in ("cuda", "numpy"))
    tolerance = 1e-11 if dtype == "float64" else 2e-5
    for seed in range(3):
        given = [
            random(*n.shape, seed=seed + k, dtype=np.dtype(dtype)) for k, n in enumerate([x, w])
        ]
        for a, b in zip(f(*given), g(*given), strict=True):
            assert np.allclose(a, b, rtol=tolerance, atol=tolerance)
    assert [k.kind for k in f._runtime.fused.kernels].count("move") == moves


def test_second_derivatives_of_a_convolution():
    x, w = gg.var("x", random(1, 2, 4, 4)), gg.var("w", random(2, 2, 3, 3, seed=1))
    (g,) = gg.grad(gg.sum(gg.square(gg.conv2d(x, w, padding=1))), [x])
    agrees(gg.grad(gg.sum(gg.sin(g)), [x, w]))


def test_other_copies_that_products_read():
    x, y = gg.var("x", random(4, 3, 5)), gg.var("y", random(3, 6, seed=1))
    turned = gg.reshape(gg.transpose(x, (2, 0, 1)), (20, 3))
    bordered = gg.pad(x[:, ::-1, 1:4], ((0, 2), (0, 4), (1, 2)))
    each = gg.reshape(gg.transpose(bordered, (1, 0, 2)), (7, 6, 6))
    tilted = gg.windows(gg.pad(y, ((1, 1), (0, 0))), (2, 3), 1)
    rows = gg.reshape(gg.transpose(tilted, (0, 2, 1, 3)), (8, 12))
    nodes = [turned @ y, each @ gg.transpose(each, (0, 2, 1)), rows.T @ rows,
             gg.sum(each @ gg.transpose(each, (0, 2, 1)), 0), each @ y.T]  # fmt: skip
    f = agrees(nodes)
    assert "move" not in {k.kind for k in f._runtime.fused.kernels}


def test_copies_that_must_be_made_are():
    x, y = gg.var("x", random(3, 4)), gg.var("y", random(6, 2, seed=1))
    ones, kept = gg.pad(x, 1, value=1.0), gg.pad(x, 1)
    twice = gg.pad(gg.pad(gg.exp(x), ((1, 0), (0, 0))), ((0, 1), (2, 0)))
    f = agrees([ones @ y, kept @ y, kept, gg.concatenate([x, x], 0).T @ y, twice @ y])
    assert [k.kind for k in f._runtime.fused.kernels].count("move") == 4


@pytest.mark.parametrize("shapes", [
    ((5, 4, 3), (3, 6)), ((4, 3), (5, 3, 6)), ((2, 1, 4, 3), (3, 6)), ((2, 5, 4, 3), (5, 3, 2)),
    ((4, 3), (2, 2, 3, 5)), ((2, 1, 2, 3), (2, 3, 3, 2)),
])  # fmt: skip
def test_products_of_which_some_have_a_factor_in_common(shapes):
    a, b = (gg.var(name, random(*s, seed=k)) for k, (name, s) in enumerate(zip("ab", shapes)))
    c = a @ b
    bias = gg.var("c", random(*c.shape[-2:], seed=3))
    batch = tuple(range(len(c.shape) - 2))
    agrees([c, gg.tanh(a @ b + bias), gg.sum(gg.exp(a) @ b, batch)])


def test_convolutions_in_blocks_as_on_a_device(monkeypatch):
    cut = Cut(blocks=2, enough=4, simulated=True)
    monkeypatch.setattr(cuda_runtime, "SIMULATED", cut)
    x, w = gg.var("x", random(2, 3, 6, 5)), gg.var("w", random(17, 3, 3, 3, seed=1))
    y = gg.conv2d(x, w, padding=1)
    agrees([y, *gg.grad(gg.sum(gg.square(y)), [x, w])], tolerance=1e-9)


@pytest.mark.parametrize("parts", [1, 3])
def test_large_tiles_take_turns_in_shared_memory(parts, monkeypatch):
    cut = Cut(blocks=2, enough=2 * parts, simulated=True)
    monkeypatch.setattr(cuda_runtime, "SIMULATED", cut)
    monkeypatch.setattr(cuda_products, "SHARE", 32)
    monkeypatch.setattr(cuda_products, "LONG", 1)
    numbers = random(66, 100, dtype=np.float32), random(100, 70, seed=1, dtype=np.float32)
    x, y = (gg.var(name, value) for name, value in zip("xy", numbers, strict=True))
    f = agrees([gg.tanh(x @ y / 10)], tolerance=1e-5)
    assert f.source.count("turn = u32(1 - turn)") == 1
    assert len(f._runtime.text.step.launches) == 1 + (parts > 1)
