"""The built-in data sets: shapes, seeds, geometry, and the digits byte for byte."""

import hashlib
from importlib import resources

import numpy as np
import pytest

from graphgrad.errors import GraphError, ShapeError
from graphgrad.nn import datasets

MADE = [datasets.moons, datasets.circles, datasets.spirals, datasets.xor, datasets.blobs,
        datasets.pass_fail]  # fmt: skip

each = pytest.mark.parametrize("make", MADE, ids=lambda f: f.__name__)


@each
def test_shapes_types_and_seeds(make):
    X, y = make(60)
    assert (X.shape, X.dtype) == ((60, 2), np.float64)
    assert (y.shape, y.dtype) == ((60,), np.int64)
    assert np.isfinite(X).all()
    assert set(np.unique(y)) == set(range(y.max() + 1))
    again, other = make(60), make(60, **({"noise": 0.1} if make is datasets.xor else {}), seed=1)
    assert np.array_equal(X, again[0])
    assert np.array_equal(y, again[1])
    assert not np.array_equal(X, other[0])


@each
def test_the_order_of_examples_says_nothing(make):
    """So that the last examples, which validation takes, are like the first."""
    X, y = make(2000)
    for k in range(y.max() + 1):
        first, last = np.array_split(X[y == k], 2)
        apart = np.abs(first.mean(0) - last.mean(0)) / (X[y == k].std(0) / np.sqrt(len(first)))
        assert apart.max() < 5


@each
def test_the_global_generator_is_left_alone(make):
    np.random.seed(5)
    before = np.random.get_state()[1].copy()
    make(10)
    assert np.array_equal(before, np.random.get_state()[1])


def test_circles_without_noise_lie_on_circles():
    X, y = datasets.circles(50, noise=0, factor=0.3)
    np.testing.assert_allclose(np.hypot(*X.T), np.where(y == 0, 1, 0.3), rtol=1e-12)


def test_moons_are_apart_and_no_line_parts_them():
    X, y = datasets.moons(200, noise=0)
    gaps = np.linalg.norm(X[y == 0][:, None] - X[y == 1][None], axis=-1)
    assert gaps.min() > 0.3
    A = np.column_stack([X, np.ones(len(X))])
    fit = A @ np.linalg.lstsq(A, 2.0 * y - 1, rcond=None)[0]
    assert 0.7 < np.mean((fit > 0) == y) < 0.95


def test_arms_of_spirals_are_turned_copies():
    X, y = datasets.spirals(30, noise=0, classes=3)
    arms = [X[y == k][np.argsort(np.hypot(*X[y == k].T))] for k in range(3)]
    turn = 2 * np.pi / 3
    R = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    np.testing.assert_allclose(arms[0] @ R.T, arms[1], atol=1e-12)
    np.testing.assert_allclose(arms[1] @ R.T, arms[2], atol=1e-12)


def test_noise_has_the_deviation_it_says():
    quiet, _ = datasets.blobs(20000, spread=0, seed=3)
    loud, _ = datasets.blobs(20000, spread=0.7, seed=3)
    assert np.std(loud - quiet) == pytest.approx(0.7, rel=0.02)


def test_pass_fail_is_about_both():
    X, y = datasets.pass_fail(2000)
    assert X.min() >= 0
    assert X[:, 0].max() == 10
    assert X[:, 1].max() <= 12
    assert 0.3 < y.mean() < 0.7
    assert y[X[:, 0] == 0].mean() < 0.05
    assert y[(X[:, 0] >= 5) & (X[:, 1] >= 5)].mean() > 0.95


def test_digits_are_the_real_ones():
    X, y = datasets.digits()
    assert (X.shape, X.dtype, X.min(), X.max()) == ((1797, 8, 8), np.float64, 0, 1)
    assert np.bincount(y).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    first = (16 * X[0]).astype(int)
    assert first[0].tolist() == [0, 0, 5, 13, 9, 1, 0, 0]
    raw = np.column_stack([(16 * X).reshape(-1, 64), y]).astype(np.uint8)
    known = "0fb7b61ad4b54bbf5922334287886f0e04081156"  # of the numbers in scikit-learn's copy
    assert hashlib.sha1(raw.tobytes()).hexdigest() == known


def test_the_licence_of_the_digits_is_shipped_with_them():
    text = (resources.files("graphgrad") / "nn" / "data" / "README.md").read_text("utf-8")
    for said in ("CC BY 4.0", "Alpaydin", "Kaynak", "Kybernetika"):
        assert said in text


def test_split_shares_classes_and_loses_nothing():
    X = np.arange(100)[:, None]
    y = np.repeat([0, 1, 2], [70, 20, 10])
    X_train, X_test, y_train, y_test = datasets.split(X, y, test=0.2, seed=4)
    assert np.bincount(y_test).tolist() == [14, 4, 2]
    assert sorted([*X_train[:, 0], *X_test[:, 0]]) == list(range(100))
    assert np.array_equal(y[X_train[:, 0]], y_train)
    assert np.array_equal(y[X_test[:, 0]], y_test)
    assert not np.array_equal(np.sort(y_train), y_train)


def test_split_of_numbers_takes_any_rows():
    X_train, X_test, *_ = datasets.split(np.arange(10.0), np.linspace(0, 1, 10), test=0.3)
    assert (len(X_train), len(X_test)) == (7, 3)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: datasets.moons(1), GraphError, "n=1: expected at least 2"),
        (lambda: datasets.circles(noise=-1), GraphError, "noise -1: expected 0 or a positive"),
        (lambda: datasets.split([1, 2], [1]), ShapeError, "2 examples but 1 targets"),
        (lambda: datasets.split([1, 2], [1, 2], test=2), GraphError, "test=2; expected a share"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()
