"""Indexing: ``x[key]`` against NumPy for every kind of key, its gradient, and its errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.errors import DtypeError, ShapeError

from .checks import check_gradient

A = np.arange(24.0).reshape(2, 3, 4)
S = np.s_
M3 = np.array([True, False, True])
M34 = A[0] % 3 == 1

KEYS: dict[str, Any] = {
    "int": 1, "negative int": -1, "numpy int": np.int64(1), "0-d array": np.array(1),
    "ints": (1, 2), "all ints": (1, -2, 3), "slice": S[1:], "slices": S[:, 1:3, ::2],
    "negative step": S[::-1], "negative steps": S[:, 2:0:-1, ::-3], "beyond the ends": S[-9:9, 7:],
    "reversed from beyond": S[:, -9::-1], "empty": S[:, 2:1], "None": None,
    "Nones": S[:, None, 0, None],
    "Ellipsis": ..., "Ellipsis first": S[..., 1], "Ellipsis last": S[1, ...],
    "Ellipsis between": S[0, ..., ::-1], "idle Ellipsis": S[0, 1, ..., 2], "empty tuple": (),
    "list": [1, 0, 1], "list in a tuple": ([1, 0],), "array": np.array([1, -1]),
    "array of two axes": np.array([[0, 1], [1, 1]]), "int32 array": np.array([1], np.int32),
    "empty list": [], "list at axis 1": S[:, [2, 0]], "list at the end": S[..., [3, 3, 0]],
    "list after None": S[None, [1, 0]], "list before None": S[..., [3, 0], None],
    "two lists": ([0, 1], [2, -1]), "lists at the end": S[:, [0, 1], [2, 3]],
    "lists that broadcast": S[:, [[0], [2]], [1, 3]], "three lists": ([0, 1], [2, 0], [3, 3]),
    "list and slice": S[[1, 0], ::-1, 2:], "list and int": S[[1, 0], 2],
    "int and list": S[:, 0, [1, 3]], "int between lists": S[[0, 1], 0, [1, 2]],
    "mask": np.array([True, False]), "list mask": [False, True], "mask at axis 1": S[:, M3],
    "mask of two axes": S[:, M34], "mask after int": S[1, M3], "full mask": A > 5,
    "Ellipsis and mask": S[..., M34], "mask and slice": S[:, M3, ::-2], "mask of nothing": A < 0,
    "mask and list": S[:, M3, [0, 1]],
}  # fmt: skip


@pytest.mark.parametrize("name", KEYS)
def test_every_key_picks_what_numpy_picks(name: str) -> None:
    key = KEYS[name]
    x = gg.var("x", A)
    y = x[key]
    np.testing.assert_array_equal(y.value, A[key])
    assert y.shape == np.shape(A[key])
    np.testing.assert_array_equal(gg.index(A, key), A[key])
    check_gradient(y, x)
    check_gradient(gg.vjp(y * y, x, np.ones(y.shape)), x)
    found = gg.grad(y.sum(), x).value
    counted = np.zeros_like(A)
    np.add.at(counted, key, 1.0)
    np.testing.assert_array_equal(found, counted)


def test_integer_nodes_index_and_may_change() -> None:
    x, k = gg.var("x", A), gg.var("k", [1, 0, 1], dtype=int)
    y = x[k, [0, 1, 2]]
    np.testing.assert_array_equal(y.value, A[[1, 0, 1], [0, 1, 2]])
    k.value = [0, 0, -2]
    np.testing.assert_array_equal(x[k].value, A[[0, 0, -2]])
    check_gradient(x[k], x)
    scalar = gg.var("i", 2, dtype=int)
    np.testing.assert_array_equal(x[:, scalar].value, A[:, 2])
    k.value = [0, 5, 0]
    with pytest.raises(IndexError):
        _ = x[k].value


def test_take_and_scatter_add_are_transposes() -> None:
    rng = np.random.default_rng(0)
    indices = np.array([[2, 0, 2], [1, 2, -1]])
    for axis in (0, 1, -1):
        shape = (3, 3, 3)
        x = rng.normal(size=shape)
        taken = gg.take(x, indices, axis)
        np.testing.assert_array_equal(taken, np.take(x, indices, axis))
        u = rng.normal(size=taken.shape)
        back = gg.scatter_add(u, indices, 3, axis % 3)
        assert back.shape == shape
        assert np.sum(taken * u) == pytest.approx(np.sum(x * back), rel=1e-12)


def test_slices_of_variables_of_no_entries() -> None:
    x = gg.var("x", np.zeros((0, 3)))
    assert x[::-1].shape == (0, 3)
    assert x[:, 1].shape == (0,)
    assert gg.grad(x[5:].sum(), x).shape == (0, 3)


ERRORS: list[tuple[Any, Any, str]] = [
    (2, ShapeError, "index 2 is out of bounds for axis 0 with size 2"),
    ((0, -4), ShapeError, "index -4 is out of bounds for axis 1 with size 3"),
    ((0, 0, 0, 0), ShapeError, r"index \(0, 0, 0, 0\) has too many places for shape \(2, 3, 4\)"),
    ((..., 0, ...), ShapeError, "has too many places"),
    (S[::0], ShapeError, "slice step cannot be zero"),
    (1.0, DtypeError, "index 1.0: expected ints, slices, None, Ellipsis or integer arrays"),
    ("a", DtypeError, "index 'a': expected ints"),
    (True, DtypeError, "index True: expected ints"),
    (np.array(True), DtypeError, "expected ints"),
    (([0], "a"), DtypeError, "index 'a': expected ints"),
    ([0.5], DtypeError, "indices are float64; expected integers"),
    ([0, 2], ShapeError, "take: index 2 is out of bounds for size 2"),
    (([0], [3]), ShapeError, "index: index 3 is out of bounds for size 3"),
    (([0], slice(None), [1]), ShapeError, "must stand side by side; index in two steps"),
    ((0, slice(None), [1]), ShapeError, "must stand side by side"),
    (([0, 1], [0, 1, 2]), ShapeError, "do not broadcast"),
    (np.array([True]), ShapeError, r"a mask of shape \(1,\) does not fit axes \(2,\) of shape"),
    ((0, np.ones(4, bool)), ShapeError, r"a mask of shape \(4,\) does not fit axes \(3,\)"),
    (np.ones((2, 4), bool), ShapeError, r"a mask of shape \(2, 4\) does not fit axes \(2, 3\)"),
    (gg.var("m", [True, False], dtype=bool), DtypeError, "a mask that is a node cannot index"),
    (gg.var("f", [0.0]), DtypeError, r"indices are float64; expected int64 \(dtype=int\)"),
]  # fmt: skip


@pytest.mark.parametrize(("key", "error", "text"), ERRORS)
def test_what_is_no_index_is_refused(key: Any, error: Any, text: str) -> None:
    with pytest.raises(error, match=text):
        gg.var("x", A)[key]
