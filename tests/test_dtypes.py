"""Data types: of variables, constants and results; what is refused; weak Python numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.errors import DtypeError
from graphgrad.graph import refresh

F64, F32, INT, BOOL = np.float64, np.float32, np.int64, np.bool_


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [
        (1, None, F64), ([1, 2], None, F64), (np.int32(1), None, F64), (True, None, F64),
        (np.ones(2, F32), None, F32), (np.array([True]), None, BOOL), (1, int, INT),
        ([0, 1], bool, BOOL), (2, "float32", F32), (np.float32(1), float, F64),
        (2.0, int, INT),
    ],
)  # fmt: skip
def test_variables_are_float64_unless_said_otherwise(value: Any, dtype: Any, expected: Any) -> None:
    x = gg.var("x", value, dtype=dtype)
    assert x.dtype == expected
    assert np.asarray(x.value).tolist() == np.asarray(value).tolist()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, INT), (1.0, F64), (True, BOOL), ([1, 2], INT), (np.float32(1), F32),
        (np.arange(3, dtype=np.int16), INT), (np.zeros((0, 2)), F64),
    ],
)  # fmt: skip
def test_constants_keep_the_type_of_what_is_given(value: Any, expected: Any) -> None:
    assert gg.const(value).dtype == expected


@pytest.mark.parametrize(
    ("value", "dtype", "text"),
    [
        (1.5, int, "1.5 does not fit int64 without loss"),
        (np.nan, int, "nan does not fit int64"),
        ([2], bool, r"\[2\] does not fit bool"),
        (np.array([2**63], np.uint64), int, "does not fit int64"),
        (2**70, None, "got int 1180591620717411303424"),
        (1j, None, "got complex 1j"),
        ("1", None, "got str '1'"),
        (1.0, complex, "data type complex128 is not supported; convert to one of float64"),
        (1.0, "float16", "data type float16 is not supported"),
        (1.0, "nonsense", "'nonsense' is no data type"),
    ],
)
def test_what_does_not_fit_is_refused(value: Any, dtype: Any, text: str) -> None:
    with pytest.raises(DtypeError, match=text):
        gg.const(value, dtype)


def test_python_numbers_take_the_type_of_what_they_meet() -> None:
    x32, k, m = (
        gg.var("x", np.ones(2, F32)),
        gg.var("k", [1, 2], dtype=int),
        gg.const([True, False]),
    )
    for node, expected in [
        (x32 * 2, F32), (2.5 * x32, F32), (x32 + np.float64(1), F64), (x32**0.5, F32),
        (x32 * np.float32(2), F32), (k * 2, INT), (k * 2.5, F64), (k / 2, F64), (k**2, INT),
        (k * x32, F64), (m * 2, INT), (m * x32, F32), (gg.where(m, x32, 0), F32),
        (gg.where(m, 1.0, 0), F64), (gg.maximum(x32, 0), F32), (x32 > 0.5, BOOL),
        (gg.clip(x32, 0, 0.5), F32), (x32.mean(), F32), (k.mean(), F64), (m.sum(), INT),
        (k.sum(), INT), (gg.exp(k), F64), (-k, INT), (abs(k), INT),
    ]:  # fmt: skip
        assert node.dtype == expected, node
        assert refresh(node).dtype == expected, node


def test_powers_of_integers_neither_fail_nor_overflow() -> None:
    k = gg.var("k", [2, 3], dtype=int)
    assert (k ** gg.var("n", [-1, 2], dtype=int)).value.tolist() == [0.5, 9.0]
    assert (2 ** gg.var("n", 70, dtype=int)).value == 2.0**70


def test_masks_are_no_numbers() -> None:
    mask = gg.var("x", [1.0, 2.0]) > 1
    for make in (lambda: mask + mask, lambda: -mask, lambda: gg.exp(mask), lambda: ~gg.var("x", 1)):
        with pytest.raises(DtypeError):
            make()
    with pytest.raises(DtypeError, match=r"add: expected numbers, got bool.*\(inputs 'm'"):
        _ = mask.named("m") + True
