"""Every primitive and its gradient, compiled, against the uncompiled graph."""

from __future__ import annotations

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.errors import GraphError
from graphgrad.graph import evaluate
from graphgrad.ops.define import Elementwise

from . import rulebook

pytest.importorskip("numba")
pytestmark = pytest.mark.usefixtures("own_cache")


def graphs(primitives, dtype):
    """Return (label, node) for every call of the primitives, and for its gradients."""
    found = []
    for p in primitives:
        for k, case in enumerate(rulebook.calls(p)):
            try:
                y, leaves = rulebook.make(p, case, dtype, seed=k)
            except GraphError:
                continue
            found.append((f"{p.name} {case}", y))
            wrt = rulebook.differentiable(leaves)
            if y.dtype.kind == "f" and wrt:
                weights = np.random.default_rng(k).normal(size=y.shape).astype(y.dtype)
                loss = gg.sum(y * weights)
                found += [(f"∂{p.name} {case}", g) for g in gg.grad(loss, wrt)]
    return found


def chunks(primitives, size):
    return [primitives[k : k + size] for k in range(0, len(primitives), size)]


GROUPS = [*chunks(rulebook.ELEMENTWISE, 12), *chunks(rulebook.STRUCTURED, 7)]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("group", GROUPS, ids=lambda g: f"{g[0].name}-{g[-1].name}")
@pytest.mark.parametrize("target", ["numpy", "numba"])
def test_compiled_equals_uncompiled(group, dtype, target):
    labelled = graphs(group, dtype)
    nodes = [y for _, y in labelled]
    found = gg.compile(nodes, target=target)()
    for (label, y), a, b in zip(labelled, found, evaluate(nodes), strict=True):
        assert a.shape == y.shape, label
        assert a.dtype == y.dtype, label
        tolerance = 1e-11 if dtype == "float64" else 2e-5
        assert np.allclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True), label


EDGES = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    -7.5,
    1e-30,
    88.0,
    -88.0,
    1000.0,
    -1000.0,
    np.inf,
    -np.inf,
    np.nan,
]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_edge_values_as_in_numpy(dtype):
    rows = []
    for p in rulebook.ELEMENTWISE:
        n = len(p.domain)
        grid = np.meshgrid(*[np.array(EDGES, dtype)] * n)
        if any(rulebook.masks(p)) or n == 3:
            continue
        leaves = [gg.var(f"x{k}", g.ravel(), dtype=dtype) for k, g in enumerate(grid)]
        for given in p.cases:
            rows.append((p, given, p(*leaves, **given.settings), leaves))
    found = gg.compile([y for *_, y, _ in rows])()
    expected = evaluate([y for *_, y, _ in rows])
    for (p, given, _, leaves), a, b in zip(rows, found, expected, strict=True):
        same = np.isclose(a, b, rtol=1e-6, atol=1e-300, equal_nan=True)
        if p.name in ("sin", "cos", "tan"):
            same |= np.abs(leaves[0].value) > 100
        at = [x.value[~same][:5].tolist() for x in leaves]
        assert same.all(), f"{p.name} {given}: {at} -> {a[~same][:5]} instead of {b[~same][:5]}"


LAYOUTS = {
    "single numbers": lambda f: [f(()), f(()), f(())],
    "nothing": lambda f: [f((2, 0, 3)), f((0, 1)), f((3,))],
    "broadcast": lambda f: [f((3, 1, 4)), f((2, 1)), f(())],
    "transposed and cut": lambda f: [f((4, 6)).T[::-1], f((9, 4))[1::2][:1], f((4,))],
    "large, shared by threads": lambda f: [f((301, 70)), f((301, 1)), f((70,))],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_elementwise_operations_in_every_layout(layout, monkeypatch):
    if "threads" in layout:
        monkeypatch.setattr("graphgrad.compiler.regions.SHARED_WORK", 1)
        monkeypatch.setattr("graphgrad.compiler.cpu.count", lambda: 3)
    nodes = []
    for k, p in enumerate(rulebook.ELEMENTWISE):
        rng = np.random.default_rng(k)
        spans = iter(zip(p.domain, rulebook.masks(p), strict=True))

        def leaf(shape, spans=spans, rng=rng, dtype="float32" if k % 2 else "float64"):
            (low, high), mask = next(spans, ((0.0, 1.0), False))
            value = np.asarray(rng.uniform(low, high, shape), dtype)
            return gg.var("x", value > 0.5 if mask else value)

        operands = LAYOUTS[layout](leaf)[: len(p.domain)]
        nodes.append(p(*operands, **p.cases[0].settings))
    f = gg.compile(nodes)
    assert ("def run(" in f.source) == ("threads" in layout)
    for n, a, b in zip(nodes, f(), evaluate(nodes), strict=True):
        tolerance = 1e-12 if n.dtype == "float64" else 2e-6
        assert a.shape == n.shape, n.op
        assert a.dtype == n.dtype, n.op
        assert np.allclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True), n.op


def test_every_primitive_is_in_a_group():
    assert sum(map(len, GROUPS)) == len(rulebook.ALL)
    assert all(isinstance(p, Elementwise) for p in rulebook.ELEMENTWISE)
