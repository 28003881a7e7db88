"""A graph of scalars for many samples at once."""

from __future__ import annotations

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.errors import ShapeError


def neurons():
    """Return inputs, parameters and loss of a 2-3-1 network, drawn neuron by neuron."""
    rng = np.random.default_rng(0)
    x1, x2, y = (gg.var(n, 0.5) for n in ("x1", "x2", "y"))
    parameters, hidden = [], []

    def weight(name):
        parameters.append(gg.var(name, rng.normal()))
        return parameters[-1]

    for j in range(3):
        with gg.scope(f"neuron{j}"):
            hidden.append(gg.tanh(x1 * weight(f"a{j}") + x2 * weight(f"b{j}") + weight(f"c{j}")))
    z = sum((h * weight(f"v{j}") for j, h in enumerate(hidden)), weight("bias"))
    return [x1, x2, y], parameters, gg.binary_cross_entropy_with_logits(z, y)


@pytest.mark.parametrize("target", ["numpy", "numba"])
def test_losses_and_gradients_are_those_of_the_samples(target):
    inputs, parameters, loss = neurons()
    rng = np.random.default_rng(1)
    data = [rng.normal(size=50), rng.normal(size=50), rng.integers(0, 2, 50).astype(float)]
    losses, variables = gg.over_samples(loss, inputs, 50)
    assert [v.name for v in variables] == ["x1", "x2", "y"]
    assert losses.shape == (50,)
    mean = gg.mean(losses)
    f = gg.compile([losses, *gg.grad(mean, parameters)], variables, target=target)
    found = f(*data)
    expected, gradients = [], np.zeros(len(parameters))
    for sample in zip(*data, strict=True):
        for v, value in zip(inputs, sample, strict=True):
            v.value = value
        loss.backward()
        expected.append(loss.value)
        gradients += [p.grad / 50 for p in parameters]
    assert np.allclose(found[0], expected, rtol=1e-12)
    assert np.allclose(found[1:], gradients, rtol=1e-10)


def test_nodes_that_no_sample_touches_stay_as_they_are():
    x, w = gg.var("x", 1.0), gg.var("w", 2.0)
    shared = gg.exp(w)
    (a, b), (xs,) = gg.over_samples([x * shared, x + 1], [x], 4)
    assert shared in gg.ancestors([a])
    assert a.shape == b.shape == xs.shape == (4,)


def test_names_and_scopes_are_kept():
    inputs, _, loss = neurons()
    loss.name = "loss"
    losses, _ = gg.over_samples(loss, inputs, 2)
    assert losses.name == "loss"
    assert {n.scope for n in gg.ancestors([losses])} >= {"neuron0", "neuron1", "neuron2"}


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda x, v: gg.over_samples(x * 2, [v], 3), r"'v': expected a scalar variable"),
        (lambda x, v: gg.over_samples(x * 2, [x * 1], 3), "expected a scalar variable"),
        (lambda x, v: gg.over_samples(x * 2, [3], 3), "3: expected a scalar variable"),
        (lambda x, v: gg.over_samples(x * 2, [x], 0), "count=0: expected at least one sample"),
        (lambda x, v: gg.over_samples(gg.sum(v), [x], 3), "does not depend on the inputs"),
        (lambda x, v: gg.over_samples(gg.sum(v * x), [x], 3), "give this graph a batch axis"),
    ],
)
def test_what_is_no_graph_of_scalars_is_refused(call, text):
    x, v = gg.var("x", 1.0), gg.var("v", [1.0, 2.0])
    with pytest.raises(ShapeError, match=text):
        call(x, v)
