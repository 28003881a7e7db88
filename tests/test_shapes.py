"""Shape arithmetic agrees with NumPy, in results and in what it refuses."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from graphgrad import shapes
from graphgrad.errors import DtypeError, ShapeError

SHAPES = [(), (1,), (3,), (0,), (2, 3), (1, 3), (2, 1), (0, 3), (3, 0), (4, 1, 3), (2, 2, 3)]


@pytest.mark.parametrize("n", [1, 2, 3])
def test_broadcasting_is_numpys(n: int) -> None:
    for given in itertools.product(SHAPES, repeat=n):
        try:
            expected = np.broadcast_shapes(*given)
        except ValueError:
            with pytest.raises(ShapeError, match="do not broadcast"):
                shapes.broadcast(*given)
        else:
            assert shapes.broadcast(*given) == expected


def test_matmul_is_numpys() -> None:
    for a, b in itertools.product([*SHAPES, (3, 2), (3, 3), (5, 3, 2), (2, 1, 3, 4)], repeat=2):
        try:
            expected = np.matmul(np.zeros(a), np.zeros(b)).shape
        except ValueError:
            with pytest.raises(ShapeError):
                shapes.matmul(a, b)
        else:
            assert shapes.matmul(a, b) == expected


@pytest.mark.parametrize("shape", SHAPES)
def test_reductions_are_numpys(shape: Any) -> None:
    assert shapes.size(shape) == np.zeros(shape).size
    n = len(shape)
    picks = [None, *range(-n, n), *itertools.permutations(range(n), 2), tuple(range(n))]
    for axis, keepdims in itertools.product(picks, (False, True)):
        over = shapes.axes(axis, n)
        expected = np.sum(np.zeros(shape), axis=axis, keepdims=keepdims).shape
        assert shapes.reduced(shape, over, keepdims) == expected
        assert shapes.axes(over, n) == over  # idempotent


@pytest.mark.parametrize("shape", SHAPES)
def test_reshaping_is_numpys(shape: Any) -> None:
    for target in [*SHAPES, (-1,), (3, -1), (-1, 2), (-1, 0), (-1, -1), (6,), (3, 2, 1), (12,)]:
        try:
            expected = np.zeros(shape).reshape(target).shape
        except ValueError:
            with pytest.raises(ShapeError, match="cannot reshape"):
                shapes.reshaped(shape, target)
        else:
            assert shapes.reshaped(shape, target) == expected


def test_permutations_and_joining_are_numpys() -> None:
    shape = (2, 3, 4)
    for order in [None, *itertools.permutations(range(3)), (-1, 0, 1)]:
        found = tuple(shape[k] for k in shapes.permutation(order, 3))
        assert found == np.zeros(shape).transpose(order).shape
    for wrong in [(0, 0, 1), (0, 1), (0, 1, 3)]:
        with pytest.raises(ShapeError):
            shapes.permutation(wrong, 3)
    for axis in range(3):
        parts = [shape, (*shape[:axis], 5, *shape[axis + 1 :])]
        expected = np.concatenate([np.zeros(p) for p in parts], axis).shape
        assert shapes.concatenated(parts, axis) == expected


def test_windows_are_counted_as_they_fit() -> None:
    for n, size, stride, pads in itertools.product(
        range(6), range(1, 5), (1, 2, 3), ((0, 0), (1, 2))
    ):
        total = n + sum(pads)
        expected = len([k for k in range(0, total, stride) if k + size <= total])
        if size > total:
            with pytest.raises(ShapeError, match=f"a window of {size} does not fit"):
                shapes.windows(n, size, stride, pads)
        else:
            assert shapes.windows(n, size, stride, pads) == expected


BOUNDS = (None, 0, 1, 3, 4, 9, -1, -3, -4, -9)


@pytest.mark.parametrize("n", [0, 1, 3, 4])
def test_every_slice_is_numpys_and_normalizing_twice_changes_nothing(n: int) -> None:
    array = np.arange(n)
    for start, stop, step in itertools.product(BOUNDS, BOUNDS, (None, 1, 2, 5, -1, -2, -5)):
        expected = array[start:stop:step]
        key = shapes.index_key(slice(start, stop, step), (n,))
        np.testing.assert_array_equal(array[shapes.as_slices(key)], expected)
        assert shapes.indexed((n,), key) == expected.shape
        assert shapes.index_key(key, (n,)) == key


@pytest.mark.parametrize(
    "key",
    [0, -1, None, ..., (0, 1), (0, ..., -1), (None, 0, None), (..., None), (slice(1), ...),
     (slice(None), None, 2), (..., slice(None, None, -2), 0), (None, ..., None), (0, 1, 2)],
    ids=repr,
)  # fmt: skip
def test_keys_are_numpys(key: Any) -> None:
    array = np.arange(24).reshape(2, 3, 4)
    full = shapes.index_key(key, array.shape)
    np.testing.assert_array_equal(array[shapes.as_slices(full)], array[key])
    assert shapes.indexed(array.shape, full) == np.shape(array[key])
    assert shapes.index_key(full, array.shape) == full


def test_errors_say_what_was_wrong() -> None:
    for call, error, text in [
        (lambda: shapes.broadcast((3,), (4,)), ShapeError,
         r"shapes \(3,\) and \(4,\) do not broadcast: axis -1 has sizes 3 and 4; expected equal"),
        (lambda: shapes.axes((0, 0), 2), ShapeError, r"axis \(0, 0\) names an axis twice"),
        (lambda: shapes.axes(2, 2), ShapeError, "axis 2 is out of range for 2 dimensions"),
        (lambda: shapes.axes(1.5, 2), ShapeError, "axis 1.5: expected an integer"),
        (lambda: shapes.axes((1.5,), 2), ShapeError, "axis 1.5: expected an integer"),
        (lambda: shapes.as_shape((2.0,)), ShapeError, r"shape \(2.0,\): expected an int or"),
        (lambda: shapes.as_shape("ab"), ShapeError, "expected an int or a tuple of ints"),
        (lambda: shapes.as_shape(-1), ShapeError, "sizes must not be negative"),
        (lambda: shapes.as_shape((2, -2), least=-1), ShapeError, "sizes must not be negative"),
        (lambda: shapes.reshaped((4,), (3,)), ShapeError, r"cannot reshape \(4,\) to \(3,\): 4"),
        (lambda: shapes.reshaped((4,), (-1, -1)), ShapeError, "only one size may be -1"),
        (lambda: shapes.matmul((2, 3), (2,)), ShapeError, "for @: 3 columns meet 2 rows"),
        (lambda: shapes.index_key(3, (3,)), ShapeError, "index 3 is out of bounds for axis 0"),
        (lambda: shapes.index_key((0, 0), (3,)), ShapeError, "has too many places"),
        (lambda: shapes.index_key((..., ...), (3,)), ShapeError, "has too many places"),
        (lambda: shapes.index_key(slice(None, None, 0), (3,)), ShapeError, "cannot be zero"),
        (lambda: shapes.index_key(True, (3,)), DtypeError, "index True: expected ints, slices"),
        (lambda: shapes.index_key("a", (3,)), DtypeError, "index 'a': expected ints, slices"),
        (lambda: shapes.index_key(1.0, (3,)), DtypeError, "index 1.0: expected ints, slices"),
        (lambda: shapes.concatenated([(2,), (2, 2)], 0), ShapeError, "cannot be joined along"),
    ]:  # fmt: skip
        with pytest.raises(error, match=text):
            call()
