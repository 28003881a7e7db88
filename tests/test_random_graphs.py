"""Random graphs: their value is NumPy's, their gradients the complex step's, in every mode.

A recipe is drawn first, as plain data; it is then run on NumPy arrays and on nodes alike. Recipes
share sub-results, broadcast, and mix maps, reductions, moves, products and choices.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import graphgrad as gg

from .checks import check_gradient, complex_step

# Every entry keeps values of moderate size moderate, so that no digits are lost on the way.
ONE: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "sin": (np.sin, gg.sin),
    "tanh": (np.tanh, gg.tanh),
    "square": (lambda a: np.tanh(a) ** 2, lambda a: gg.tanh(a) ** 2),
    "exp": (lambda a: np.exp(np.sin(a)), lambda a: gg.exp(gg.sin(a))),
    "log": (lambda a: np.log(2 + np.cos(a)), lambda a: gg.log(2 + gg.cos(a))),
    "sqrt": (lambda a: np.sqrt(1 + a * a), lambda a: gg.sqrt(1 + a * a)),
    "sigmoid": (lambda a: 1 / (1 + np.exp(-a)), gg.sigmoid),
    "softplus": (lambda a: np.log(1 + np.exp(a)), gg.softplus),
    "atan": (np.arctan, gg.atan),
    "reciprocal": (lambda a: 1 / (1 + a**2), lambda a: gg.reciprocal(1 + a**2)),
    "power": (lambda a: (1 + a**2) ** -0.5, lambda a: (1 + a**2) ** -0.5),
    "abs": (np.abs, gg.abs),
    "relu": (lambda a: np.where(a > 0, a, 0), gg.relu),
    "elu": (lambda a: np.where(a > 0, a, np.expm1(np.minimum(a, 0))), gg.elu),
    "clip": (lambda a: np.clip(a, -0.75, 0.75), lambda a: gg.clip(a, -0.75, 0.75)),
    "negative": (lambda a: -a, lambda a: -a),
}
TWO: dict[str, tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]] = {
    "add": (lambda a, b: a + b, lambda a, b: a + b),
    "sub": (lambda a, b: a - b, lambda a, b: a - b),
    "mul": (lambda a, b: a * np.tanh(b), lambda a, b: a * gg.tanh(b)),
    "div": (lambda a, b: a / (2 + np.sin(b)), lambda a, b: a / (2 + gg.sin(b))),
    "maximum": (np.maximum, gg.maximum),
    "where": (
        lambda a, b: np.where(a < b, np.sin(a), b),
        lambda a, b: gg.where(a < b, gg.sin(a), b),
    ),
    "pow": (
        lambda a, b: (1.5 + np.sin(a)) ** np.sin(b),
        lambda a, b: (1.5 + gg.sin(a)) ** gg.sin(b),
    ),
    "atan2": (lambda a, b: np.arctan2(a, 2 + np.cos(b)), lambda a, b: gg.atan2(a, 2 + gg.cos(b))),
}  # fmt: skip
ARRAY: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "sum": (lambda a: a.sum(axis=0) / 2, lambda a: a.sum(axis=0) / 2),
    "mean": (lambda a: a.mean(axis=1, keepdims=True), lambda a: a.mean(axis=1, keepdims=True)),
    "max": (lambda a: a.max(axis=0), lambda a: a.max(axis=0)),
    "prod": (lambda a: np.prod(np.sin(a), axis=1), lambda a: gg.prod(gg.sin(a), axis=1)),
    "logsumexp": (
        lambda a: np.log(np.exp(a).sum(axis=1, keepdims=True)),
        lambda a: gg.logsumexp(a, axis=1, keepdims=True),
    ),
    "transpose": (lambda a: a.T, lambda a: a.T),
    "reverse": (lambda a: a[::-1, ::2], lambda a: a[::-1, ::2]),
    "take": (lambda a: a[:, [0, 2, 0]], lambda a: a[:, [0, 2, 0]]),
    "matmul": (lambda a: a @ np.tanh(a), lambda a: a @ gg.tanh(a)),
    "stack": (
        lambda a: np.stack([a[0], a[1], a[0]]),
        lambda a: gg.stack([a[0], a[1], a[0]]),
    ),
    "concatenate": (
        lambda a: np.concatenate([a[:1], a[2:], a[:1]]),
        lambda a: gg.concatenate([a[:1], a[2:], a[:1]]),
    ),
    "pad": (lambda a: np.pad(a, 1)[1:, 1:], lambda a: gg.pad(a, 1)[1:, 1:]),
}

Step = tuple[str, int, int]
scalar_steps = st.lists(
    st.tuples(st.sampled_from([*ONE, *TWO]), st.integers(0, 99), st.integers(0, 99)),
    min_size=1, max_size=12,
)  # fmt: skip
array_steps = st.lists(
    st.tuples(st.sampled_from([*ONE, *TWO, *ARRAY]), st.integers(0, 99), st.integers(0, 99)),
    min_size=1, max_size=8,
)  # fmt: skip
seeds = st.integers(0, 2**32 - 1)


def run(steps: list[Step], inputs: list[Any], which: int) -> Any:
    """Run a recipe on arrays (`which` 0) or nodes (1); later steps use any earlier results."""
    known = list(inputs)
    for name, i, j in steps:
        a, b = known[i % len(known)], known[j % len(known)]
        if name in ARRAY:
            known.append(ARRAY[name][which](_square(a)))
        elif name in ONE:
            known.append(ONE[name][which](a))
        else:
            known.append(TWO[name][which](*_fitting(a, b)))
    return known[-1] + sum(k.sum() for k in known) * 0.125


def _square(a: Any) -> Any:
    """Return a, or its sum, broadcast to (3, 3), where every array operation fits."""
    fits = len(a.shape) <= 2 and all(n in (1, 3) for n in a.shape)
    return (a if fits else a.sum()) + np.zeros((3, 3))


def _fitting(a: Any, b: Any) -> tuple[Any, Any]:
    try:
        np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        return a, b.sum()
    return a, b


def drawn(seed: int, shapes: list[tuple[int, ...]]) -> tuple[list[Any], list[gg.Node]]:
    rng = np.random.default_rng(seed)
    values = [np.asarray(rng.uniform(-2, 2, s))[()] for s in shapes]
    return values, [gg.var(f"x{k}", v) for k, v in enumerate(values)]


def check_recipe(steps: list[Step], seed: int, shapes: list[tuple[int, ...]]) -> None:
    values, nodes = drawn(seed, shapes)
    y = run(steps, nodes, 1)
    expected = run(steps, values, 0)
    assert y.shape == expected.shape
    np.testing.assert_allclose(y.value, expected, rtol=1e-11, atol=1e-12)
    check_gradient(y, nodes, rtol=1e-8)
    loss = (y * np.linspace(0.5, 1.5, y.size).reshape(y.shape)).sum()
    gradients = gg.grad(loss, nodes)
    loss.backward()
    for x, g in zip(nodes, gradients, strict=True):
        np.testing.assert_allclose(x.grad, g.value, rtol=1e-12, atol=1e-13)
    _check_hessian_vector(loss, nodes[0], gradients[0])


def _check_hessian_vector(loss: gg.Node, x: gg.Node, gradient: gg.Node) -> None:
    v = np.asarray(np.random.default_rng(0).normal(size=x.shape))[()]
    forward = gg.jvp(gradient, [x], [v]).value
    backward = gg.grad((gradient * v).sum(), x).value

    def slope(at: list[Any]) -> Any:
        return gg.evaluate([gradient], {x: at[0]}, analytic=True)[0]

    stepped = complex_step(slope, [x.value], [v])
    floor = 1e-9 * (1 + np.abs(stepped).max())
    np.testing.assert_allclose(forward, stepped, rtol=1e-8, atol=floor)
    np.testing.assert_allclose(backward, stepped, rtol=1e-8, atol=floor)


@settings(max_examples=300, derandomize=True, deadline=None, database=None)
@given(steps=scalar_steps, seed=seeds)
def test_random_scalar_graphs(steps: list[Step], seed: int) -> None:
    check_recipe(steps, seed, [(), (), ()])


@settings(max_examples=300, derandomize=True, deadline=None, database=None)
@given(steps=array_steps, seed=seeds)
def test_random_array_graphs(steps: list[Step], seed: int) -> None:
    check_recipe(steps, seed, [(3, 3), (3,), (3, 1), ()])


def test_every_entry_of_the_tables_on_its_own() -> None:
    for name in [*ONE, *TWO, *ARRAY]:
        check_recipe([(name, 0, 1)], 7, [(3, 3), (3,), (3, 1), ()])
