"""Compiled graphs called with another number of rows: as if they had been made for it."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import graphgrad as gg
from graphgrad.compiler.batches import BatchWarning
from graphgrad.errors import CompileError, DivergenceError, DtypeError, ShapeError
from graphgrad.lengths import rows_of

MADE, GIVEN = 24, 7
quietly = pytest.mark.filterwarnings("ignore")
Build = Callable[[Any, Any, Any], Any]


def normed(z: Any) -> Any:
    return (z - gg.mean(z, 0)) / gg.sqrt(gg.variance(z, 0, ddof=1) + 1e-5)


def images(x: Any) -> Any:
    return gg.reshape(gg.concatenate([x, x, x, x], 1), (-1, 1, 4, 4))


LOSSES: dict[str, Build] = {
    "mean": lambda x, y, W: gg.mean(gg.square(gg.tanh(x @ W)[:, 0] - y)),
    "sum": lambda x, y, W: gg.sum(gg.square((x @ W)[:, 1] - y)),
    "mean by x.shape": lambda x, y, W: gg.sum(gg.square((x @ W)[:, 1] - y)) / x.shape[0],
    "sums of rows": lambda x, y, W: gg.mean(gg.logsumexp(x @ W, 1) * y),
    "batch normalization": lambda x, y, W: gg.mean(gg.square(gg.sum(normed(x @ W), 1) - y)),
    "softmax": lambda x, y, W: gg.mean(gg.log_softmax(x @ W)[:, 2] * y),
    "largest": lambda x, y, W: gg.max(x @ W) + gg.mean(gg.max(x @ W, 1) * y),
    "rows reversed": lambda x, y, W: gg.mean(gg.square((x @ W)[::-1, 0] - y)),
    "products over rows": lambda x, y, W: gg.mean((x @ W)[:, 0] * y * (x.T @ (x @ W))[0, 0]),
    "all pairs": lambda x, y, W: gg.mean(gg.exp(-gg.square(gg.outer(y, y))) * (x @ W @ W.T @ x.T)),
    "flat": lambda x, y, W: gg.mean(gg.tanh(gg.reshape(x @ W, (-1,)))) * gg.mean(y),
    "joined": lambda x, y, W: gg.mean(gg.tanh(gg.concatenate([x @ W, x[:, :3]], 0))) * gg.sum(y),
    "stacked": lambda x, y, W: gg.mean(gg.stack([y, (x @ W)[:, 0]], 1)) * gg.mean(y),
    "differences": lambda x, y, W: gg.mean((y[1:] - y[:-1]) ** 2) * gg.mean(x @ W),
    "every other row": lambda x, y, W: gg.mean((x @ W)[::2, 0] * y[::2]),
    "every third from the end": lambda x, y, W: gg.sum((x @ W)[::-3, 0] * y[-1::-3]),
    "the last one": lambda x, y, W: gg.mean((x @ W)[-1:, 0]) * gg.mean(y[-1:]),
    "convolution": lambda x, y, W: gg.mean(
        gg.max_pool2d(gg.relu(gg.conv2d(images(x), gg.reshape(W, (3, 1, 2, 2)), padding=1)), 2)
    ) * gg.mean(y),
    "dropout": lambda x, y, W: gg.mean(gg.dropout(x @ W, 0.5, gg.const(3), seed=1)[:, 0] * y),
    "a choice": lambda x, y, W: gg.mean(gg.where(y > 0, (x @ W)[:, 0], -y)),
    "ones for a bias": lambda x, y, W: gg.mean((gg.sum(x @ W, 1, keepdims=True)
                                               * gg.reshape(y, (-1, 1)) + [[1.0, 3.0]]) ** 2),
}  # fmt: skip


def made(build: Build, rows: int, target: str = "numpy") -> Any:
    x, y = gg.var("x", shape=(rows, 4)), gg.var("y", shape=(rows,))
    W = gg.var("W", np.linspace(-1.0, 1.0, 12).reshape(4, 3))
    loss = build(x, y, W)
    slope = gg.grad(loss, W)
    f = gg.compile([loss, gg.grad(loss, x)], [x, y], {W: W - 0.01 * slope}, target=target)
    return f, W


def data(rows: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(rows)
    return rng.normal(size=(rows, 4)), rng.normal(size=rows)


@pytest.mark.parametrize("count", [GIVEN, 1, 40])
@pytest.mark.parametrize("name", LOSSES)
def test_another_number_of_rows_is_as_if_made_for_it(name: str, count: int) -> None:
    f, W = made(LOSSES[name], MADE)
    g, V = made(LOSSES[name], count)
    assert f(*data(MADE))[1].shape == (MADE, 4)
    W.value = V.value
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for _ in range(3):
            for a, b in zip(f(*data(count)), g(*data(count)), strict=True):
                np.testing.assert_array_equal(a, b)
            np.testing.assert_array_equal(W.value, V.value)
    (once,) = (w for w in told if issubclass(w.category, BatchWarning))
    assert str(once.message) == (
        f"compiled for {MADE} rows, called with {count}: compiled again for {count}, and so for "
        "every other number; said once"
    )
    assert once.filename == __file__
    assert f(*data(MADE))[1].shape == (MADE, 4)


@quietly
@pytest.mark.parametrize("name", ["mean", "softmax"])
def test_so_it_is_on_threads_and_in_machine_code(name: str) -> None:
    f, W = made(LOSSES[name], MADE, "numba")
    g, V = made(LOSSES[name], GIVEN, "numba")
    for _ in range(2):
        for a, b in zip(f(*data(GIVEN)), g(*data(GIVEN)), strict=True):
            np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(W.value, V.value)


def alone(build: Any, rows: int) -> Any:
    """Compile what `build` makes of an input of shape (rows, 3)."""
    x = gg.var("x", shape=(rows, 3))
    return gg.compile(build(x, rows), [x], target="numpy")


SAME: dict[str, Any] = {
    "the number of rows in a prediction": lambda x, n: [x / x.shape[0]],
    "random numbers": lambda x, n: [gg.dropout(x, 0.5, gg.const(3), seed=1)],
    "results without rows": lambda x, n: [x * 2, gg.const(np.arange(24.0)), gg.const(np.eye(24))],
    "no columns": lambda x, n: [x[:, :0] * 2, gg.sum(x[:, :0], 1)],
    "the last row": lambda x, n: [gg.grad(gg.sum(gg.square(x[-1])) + gg.sum(x), x)],
    "at most thirty from the end": lambda x, n: [gg.mean(x[-30:])],
    "filled up to 64": lambda x, n: [gg.mean(gg.pad(x, ((0, 64 - x.shape[0]), (0, 0))))],
    "no gradient": lambda x, n: [gg.grad(gg.const(2.0) * 1, x), gg.grad(gg.sum(x > 0) * 1.0, x)],
    "NumPy's numbers": lambda x, n: [gg.sum(x) / (x.shape[0] * np.float64(0.3))],
    "a constant": lambda x, n: [gg.sum(x) / gg.const(x.shape[0] - 1)],
    "the size": lambda x, n: [gg.sum(x) / x.size],
    "a chosen number": lambda x, n: [gg.mean(x) * 0.5 + 0.01 * gg.sum(x)],
    "products in rows": lambda x, n: [gg.grad(gg.mean(gg.prod(x, 1)), x)],
}


@quietly
@pytest.mark.parametrize("count", [48, 7, 1])
@pytest.mark.parametrize("name", SAME)
def test_everything_is_as_if_made_for_it(name: str, count: int) -> None:
    rows = np.random.default_rng(0).normal(size=(count, 3))
    for a, b in zip(alone(SAME[name], 24)(rows), alone(SAME[name], count)(rows), strict=True):
        np.testing.assert_array_equal(a, b)


def recurrent(x: Any, n: int) -> Any:
    h: Any = 0.0
    for row in x:
        h = gg.tanh(gg.sum(row) + 0.5 * h)
    return [h]


UNKNOWN: dict[str, tuple[Any, str]] = {
    "a number for each row": (
        lambda x, n: [x * np.arange(1.0 * n)[:, None]],
        "lengths 24 and 48 m",
    ),
    "a parameter for each row": (lambda x, n: [x[:, 0] * gg.var("p", np.ones(n))], "lengths 24 a"),
    "a loop over rows": (recurrent, "picks rows by plain numbers"),
    "a row": (lambda x, n: [gg.sum(x[2])], "picks rows by plain numbers"),
    "rows up to a number": (lambda x, n: [gg.mean(x[1:n] - x[: n - 1])], "picks rows by plain"),
    "more rows than there were": (lambda x, n: [gg.mean(x[:30])], "picks rows by plain numbers"),
    "some rows": (lambda x, n: [gg.sum(gg.take(x, [0, -1], 0))], "picks rows by plain numbers"),
    "an order of the rows": (lambda x, n: [x[np.arange(n)[::-1]]], "picks rows by plain numbers"),
    "a shape": (
        lambda x, n: [gg.sum(gg.reshape(x, (n, -1)), 1) ** 2],
        "number in the shape of resh",
    ),
    "products over rows": (lambda x, n: [gg.grad(gg.sum(gg.prod(x, 0)), x)], "number in the shape"),
    "a size": (lambda x, n: [gg.sum(x) / np.prod(x.shape)], "the number 72 in it may stand for"),
    "a root": (lambda x, n: [gg.sum(x) / np.sqrt(x.shape[0])], "the number 4.89898 in it may"),
    "one less": (lambda x, n: [gg.sum(x) / (n - 1)], "the number 23 in it may stand for the"),
    "an array of shares": (lambda x, n: [gg.sum(x) * np.full(4, 1 / n)], "the number 0.0416667 in"),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_nobody_can_know_is_refused(name: str) -> None:
    build, reason = UNKNOWN[name]
    with pytest.raises(ShapeError, match=reason):
        alone(build, 24)(np.ones((48, 3)))


def test_inputs_of_different_rows_are_told_apart() -> None:
    x, y, w = gg.var("x", shape=(4,)), gg.var("y", shape=(4,)), gg.var("w", 0.0)
    loss = gg.sum(gg.square(x * w - y))
    f = gg.compile([loss], [x, y], {w: w - 0.1 * gg.grad(loss, w)}, target="numpy")
    with pytest.raises(ShapeError, match="lengths 1 and 4 meet"):
        f(np.arange(4.0), [5.0])
    with pytest.raises(ShapeError, match="rows of inputs 'x': 8 for 4 and 'y': 7 for 4: expected"):
        f(np.ones(8), np.ones(7))
    with pytest.raises(ShapeError, match=r"input 'x': .*inhomogeneous"):
        f([[1.0], [2.0, 3.0]], np.ones(4))  # type: ignore[list-item]
    assert w.value == 0.0


@pytest.mark.parametrize("seed", [-1, 2.5, "a"])
def test_the_seed_of_an_epoch_is_a_number(seed: Any) -> None:
    x = gg.var("x", shape=(4,))
    f = gg.compile([gg.mean(x)], [x], target="numpy")
    with pytest.raises(CompileError, match=r"shuffle=.*: expected a whole number of at least 0"):
        f.epoch(np.ones(3), shuffle=seed, drop_last=False)


def test_integers_that_do_not_fit_are_refused() -> None:
    x = gg.var("x", shape=(1,), dtype=int)
    f = gg.compile([x * 1], [x], target="numpy")
    with pytest.raises(
        DtypeError, match="18446744073709551615, expected at most 92233720368547758"
    ):
        f(np.array([2**64 - 1], np.uint64))


REFUSED: dict[str, tuple[Build, str]] = {
    "rows as a number": (
        lambda x, y, W: gg.sum((x @ W)[:, 0] * y) / MADE,
        "the number 24 in it may stand for the number of rows; if so, divide by the "
        "input's x.shape[0]",
    ),
    "one part of as many": (
        lambda x, y, W: gg.sum((x @ W)[:, 0] * y) * (1 / MADE),
        "the number 0.0416667 in it may stand for the number of rows",
    ),
    "weights of the rows": (
        lambda x, y, W: gg.mean((x @ W)[:, 0] * np.linspace(0, 1, MADE) * y),
        "then has no shape: lengths 7 and 24 meet",
    ),
    "a part of the rows": (
        lambda x, y, W: gg.mean((x @ W)[::2, 0] * y[: MADE // 2]),
        "picks rows by plain numbers",
    ),
    "a parameter for each row": (
        lambda x, y, W: gg.mean((x @ W)[:, 0] * y * gg.var("p", np.ones(MADE))),
        "then has no shape: lengths 7 and 24 meet",
    ),
}


@pytest.mark.parametrize("count", [GIVEN, 1])
@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_told_is_refused_and_nothing_runs(name: str, count: int) -> None:
    build, reason = REFUSED[name]
    f, W = made(build, MADE)
    before = W.value
    with pytest.raises(ShapeError) as caught:
        f(*data(count))
    text = str(caught.value)
    assert text.startswith(f"{count} rows given, expected 24; the graph cannot be made for another")
    assert text.endswith(f"; or compile it for {count} rows")
    if count == GIVEN:
        assert reason in text
    np.testing.assert_array_equal(W.value, before)


@quietly
def test_inputs_that_disagree_are_refused() -> None:
    f, _ = made(LOSSES["mean"], MADE)
    x, y = data(GIVEN)
    for arrays in [(x, y[:-1]), (x, data(MADE)[1]), (x,), (x[:, :3], y), (x[:0], y[:0])]:
        with pytest.raises((ShapeError, CompileError)):
            f(*arrays)


def test_a_graph_made_for_one_row_is_refused() -> None:
    f, _ = made(LOSSES["mean"], 1)
    with pytest.raises(ShapeError, match="it was made for 1 row, which broadcasts"):
        f(*data(GIVEN))


@quietly
def test_a_bad_number_is_named_in_other_rows_too() -> None:
    f, W = made(LOSSES["mean"], MADE)
    x, y = data(GIVEN)
    before = W.value
    x[2] = 1e200
    with pytest.raises(DivergenceError, match="square"):
        f(x, y * 1e200, check_finite=True)
    np.testing.assert_array_equal(W.value, before)


def test_predictions_still_run_in_batches_unless_bad_numbers_are_looked_for() -> None:
    x = gg.var("x", shape=(4, 2))
    f = gg.compile([gg.log(x)], [x], target="numpy")
    with pytest.warns(BatchWarning, match="run in batches of 4"):
        assert f(np.ones((9, 2)))[0].shape == (9, 2)
    with pytest.raises(DivergenceError, match="log"):
        f(np.zeros((9, 2)), check_finite=True)


@pytest.mark.parametrize("target", ["numpy", "numba"])
@pytest.mark.parametrize("rows", [2 * MADE + GIVEN, MADE, GIVEN])
def test_an_epoch_to_the_last_row(target: str, rows: int) -> None:
    f, _ = made(LOSSES["mean"], MADE, target)
    x, y = data(rows)
    assert without_rows(f).epoch(x, y, shuffle=5, epoch=2, drop_last=False)[0].shape == (
        -(-rows // MADE),
    )


def without_rows(f: Any) -> Any:
    """Return the same executor without the outputs that have rows."""
    return gg.compile(f._outputs[:1], f.inputs, f._updates, target=f.target)


def test_the_last_batch_is_what_is_left_over() -> None:
    x, w = gg.var("x", shape=(4,)), gg.var("w", 0.0)
    f = gg.compile([gg.sum(x), gg.mean(x)], [x], {w: w + gg.sum(x)}, target="numpy")
    table = 2.0 ** np.arange(10)
    for epoch in range(3):
        w.value = 0.0
        sums, means = f.epoch(table, shuffle=1, epoch=epoch, drop_last=False)
        assert sums.shape == (3,)
        assert float(np.sum(sums)) == w.value == 2.0**10 - 1
        assert means[2] == sums[2] / 2
        np.testing.assert_array_equal(f.epoch(table, shuffle=1, epoch=epoch)[0], sums[:2])


def test_an_epoch_with_what_differs_from_batch_to_batch() -> None:
    x, rate, w = gg.var("x", shape=(4,)), gg.var("rate", shape=()), gg.var("w", 0.0)
    f = gg.compile([rate * gg.mean(x)], [x, rate], {w: w + rate}, target="numpy")
    (found,) = f.epoch(np.ones(10), [1.0, 2.0, 3.0], shuffle=0, drop_last=False)
    assert found.tolist() == [1.0, 2.0, 3.0]
    with pytest.raises(ShapeError, match=r"input 'rate': shape \(2,\), expected \(3,\)"):
        f.epoch(np.ones(10), [1.0, 2.0], shuffle=0, drop_last=False)
    assert w.value == 6.0


def test_epochs_that_have_no_last_batch_of_their_own_are_refused() -> None:
    f, _ = made(LOSSES["mean"], MADE)
    with pytest.raises(ShapeError, match="with drop_last=False outputs must have no rows"):
        f.epoch(*data(30), shuffle=1, drop_last=False)
    with pytest.raises(CompileError, match="drop_last=False: expected shuffle=SEED beside it"):
        f.epoch(*data(48), rows=np.arange(48).reshape(2, 24), drop_last=False)
    with pytest.raises(CompileError, match="1 arrays given; expected 2"):
        f.epoch(data(30)[0], shuffle=1, drop_last=False)


# -- random graphs -----------------------------------------------------------------------------

STEPS: list[Callable[[Any, Any], Any]] = [
    lambda z, W: gg.tanh(z),
    lambda z, W: z @ W,
    lambda z, W: z - gg.mean(z, 0),
    lambda z, W: z / gg.sum(gg.exp(z), 1, keepdims=True),
    lambda z, W: z / (1 + gg.norm(z)),
    lambda z, W: z[::-1] * z,
    lambda z, W: z[:, ::-1] + gg.max(z, 0),
    lambda z, W: z @ (z.T @ z) / z.shape[0],
    lambda z, W: gg.concatenate([z, z * z], 0)[: z.shape[0]],
    lambda z, W: gg.concatenate([z[1:], z[:1]], 0) * 0.5,
    lambda z, W: gg.reshape(gg.reshape(z, (-1, 3 * z.shape[0])), z.shape) - z,
    lambda z, W: gg.transpose(gg.stack([z, -z], 0), (1, 0, 2))[:, 0],
    lambda z, W: gg.pad(z, ((2, 1), (0, 0)))[: -3] + z,
    lambda z, W: gg.where(z > gg.mean(z), z, gg.relu(z) * gg.expand_dims(gg.sum(z, 1), 1)),
    lambda z, W: gg.broadcast_to(gg.sum(z, 0, keepdims=True), z.shape) / (z.shape[0] - 1) + z,
    lambda z, W: gg.softmax(gg.outer(z[:, 0], z[:, 1]), 1) @ z,
]  # fmt: skip
ENDS: list[Callable[[Any], Any]] = [
    lambda z: gg.mean(z),
    lambda z: gg.sum(gg.square(z)) / z.shape[0],
    lambda z: gg.logsumexp(z) + gg.mean(gg.variance(z, 0)),
    lambda z: gg.max(z) + gg.mean(gg.prod(z, 1)),
]


@quietly
@settings(max_examples=80, derandomize=True, deadline=None, database=None)
@given(
    steps=st.lists(st.integers(0, len(STEPS) - 1), min_size=1, max_size=4),
    end=st.integers(0, len(ENDS) - 1),
    rows=st.tuples(st.integers(5, 40), st.integers(3, 40)),
)
def test_random_graphs_are_as_if_made_for_it(
    steps: list[int], end: int, rows: tuple[int, int]
) -> None:
    def compiled(count: int) -> Any:
        x, W = gg.var("x", shape=(count, 3)), gg.var("W", np.eye(3) + 0.125)
        z = x
        for step in steps:
            z = STEPS[step](z, W)
        loss = ENDS[end](z)
        found = [z, loss, *gg.grad(loss, [x, W])]
        return gg.compile(found, [x], target="numpy")

    data = np.random.default_rng(rows).normal(size=(rows[1], 3))
    for a, b in zip(compiled(rows[0])(data), compiled(rows[1])(data), strict=True):
        np.testing.assert_array_equal(a, b)


# -- lengths -----------------------------------------------------------------------------------


def test_lengths_count_as_numbers_do_and_remember() -> None:
    n, m = rows_of(1, 10), rows_of(2, 10)
    there = {1: 3}
    for counted, other in [
        (n + 2, 5), (2 + n, 5), (n - 1, 2), (1 - n, -2), (2 * n, 6), (n * 2, 6), (n + n, 6),
        ((4 * n + 2) // 2, 7), (7 // n, 2), (n * True, 3), (n * m, 30), (n % 4, 3), (-n, -3),
        (n**2, 9), (n / 2, 1.5), (1 / n, 1 / 3), (n * 2.0, 6.0), (1 / (n - 1), 0.5),
        (-(n / 2) + 1, -0.5), (n / n + n // 2, 2.0), (0.5 * (n / 2), 0.75),
    ]:  # fmt: skip
        assert counted.at(there) == other
        assert counted.at({}) == counted
        assert isinstance(counted, float if isinstance(other, float) else int)
    assert (n, repr(n), f"{n}", {n: 1}[10], repr(n / 4)) == (10, "10", "10", 1, "2.5")
    assert type(n + 1j) is complex
    assert {type(x) for x in copy.deepcopy([n, -n])} == {int}
    assert type(pickle.loads(pickle.dumps(n / 2))) is float
    assert isinstance(np.ones(2) * n, np.ndarray)
    with pytest.raises(ZeroDivisionError):
        n // 0
    with pytest.raises(TypeError):
        n + "x"  # type: ignore[operator]


def test_numbers_of_many_operations_are_no_deeper_than_others() -> None:
    n = rows_of(1, 10)
    for _ in range(5000):
        n = n + n - n + 1  # type: ignore[assignment]
    assert (n, n.at({1: 3}), n.of) == (5010, 5003, {1})


def test_graphs_keep_lengths_apart() -> None:
    """Shapes were remembered from graph to graph; another graph's length may not come back."""
    shapes = []
    for _ in range(2):
        x = gg.var("x", shape=(5, 2))
        shapes.append(((x * 2 + x).shape[0].of, x.serial))
    assert all(a == {b} for a, b in shapes)
    assert shapes[0] != shapes[1]
