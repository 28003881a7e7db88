"""Scalar circuits: equal to the vector graph in value and gradient, with indexed names."""

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.errors import GraphError
from graphgrad.graph import VARIABLE

RNG = np.random.default_rng(3)


def matrix(name, *shape):
    return gg.var(name, np.round(RNG.uniform(0.2, 1.5, shape), 3))


A, B, V, S = matrix("A", 2, 3), matrix("B", 3, 2), matrix("v", 3), gg.var("s", 0.7)
IMAGE, KERNEL = matrix("image", 1, 2, 4, 4), matrix("k", 2, 2, 2, 2)

GRAPHS = {
    "map, broadcast": gg.tanh(A * V + S),
    "matmul": A @ B,
    "matmul with vectors": (V @ B) @ (A @ V),
    "batched matmul": gg.reshape(A, (2, 1, 3)) @ gg.stack([B, B * 2]),
    "outer": gg.outer(V, V),
    "sum": gg.sum(A, 0),
    "mean": gg.mean(A, 1, keepdims=True),
    "prod": gg.prod(A, 1),
    "max": gg.max(A, 0) + gg.min(A),
    "logsumexp": gg.logsumexp(A, 1),
    "softmax": gg.softmax(A),
    "norm": gg.norm(V),
    "where": gg.where(A > 0.7, A, A * 2),
    "moves": gg.transpose(gg.pad(A[:, ::-1], 1, value=2.0)),
    "joins": gg.concatenate([A, gg.stack([V, V])], axis=1),
    "gather": gg.take(A, [2, 0, 2], axis=1),
    "scatter": gg.scatter_add(V, [1, 1, 0], 3),
    "indexed": A[[0, 1], [2, 0]],
    "convolution": gg.conv2d(IMAGE, KERNEL, stride=2, padding=1),
    "pooling": gg.max_pool2d(IMAGE, 2) + gg.avg_pool2d(IMAGE, 2),
    "cross-entropy": gg.softmax_cross_entropy(A, [2, 0]),
    "float32": gg.cast(A, "float32") * gg.var("h", np.float32(0.5)),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_equal_in_value_and_gradient(name):
    y = GRAPHS[name]
    weights = np.random.default_rng(0).normal(size=y.shape)
    loss = gg.sum(y * weights)
    circuit = gg.expand(loss)
    assert circuit.value == pytest.approx(loss.value, rel=1e-6 if name == "float32" else 1e-12)
    assert all(n.shape == () for n in gg.ancestors(circuit))
    loss.backward()
    circuit.backward()
    for leaf in gg.ancestors(circuit):
        if leaf.primitive is not VARIABLE:
            continue
        base, _, at = leaf.name.partition("[")
        whole = next(n for n in gg.ancestors(loss) if n.name == base)
        key = tuple(map(int, at.rstrip("]").split(","))) if at else ()
        assert leaf.grad == pytest.approx(np.asarray(whole.grad)[key], rel=1e-5, abs=1e-12)


def test_the_root_keeps_its_shape():
    y = gg.expand(A @ B)
    assert y.shape == (2, 2)
    assert np.allclose(y.value, (A @ B).value)


def test_scalar_variables_stay_the_same_nodes():
    assert S in gg.ancestors(gg.expand(gg.sum(V * S)))


def test_names_scopes_and_lines_are_kept():
    with gg.scope("layer"):
        h = gg.tanh(A @ V).named("h")
    y = gg.expand(gg.sum(h))
    named = {n.name: n for n in gg.ancestors(y) if n.name}
    assert {"A[0,0]", "A[1,2]", "v[2]", "h[0]", "h[1]"} <= set(named)
    assert named["h[1]"].scope == "layer"
    assert "gg.tanh(A @ V)" in named["h[1]"].source.text


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: gg.sum(gg.random_uniform(gg.const(1), (3,))), "random_uniform has no scalar form"),
        (lambda: gg.argmax(V), "argmax has no scalar form"),
        (lambda: gg.sum(gg.var("big", np.zeros(100_001))), "entries; a scalar circuit of more"),
    ],
)
def test_errors(build, message):
    with pytest.raises(GraphError, match=message):
        gg.expand(build())
