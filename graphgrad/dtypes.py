"""The four data types a node can have, and which one an operation gives.

float64 (the default), float32, int64 (indices, counters) and bool (masks). Other NumPy types are
converted where nothing is lost (int32 to int64) and refused where something would be (complex).
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from graphgrad.errors import DtypeError

Dtype = np.dtype[Any]

FLOAT64: Dtype = np.dtype(np.float64)
FLOAT32: Dtype = np.dtype(np.float32)
INT64: Dtype = np.dtype(np.int64)
BOOL: Dtype = np.dtype(np.bool_)


@functools.cache
def canonical(dtype: Any) -> Dtype:
    """Return the one of the four types that stands for `dtype`, or raise `DtypeError`."""
    try:
        given = np.dtype(dtype)
    except TypeError:
        raise DtypeError(f"{dtype!r} is no data type; expected one of {_NAMES}") from None
    if given in (FLOAT64, FLOAT32, BOOL):
        return np.dtype(given.type)
    if given.kind in "iu":
        return INT64
    raise DtypeError(f"data type {given} is not supported; convert to one of {_NAMES} first")


_NAMES = "float64, float32, int64, bool"


def is_float(dtype: Dtype) -> bool:
    """Return whether values of this type can carry a gradient."""
    return dtype is FLOAT64 or dtype is FLOAT32


@functools.cache
def promote(*dtypes: Dtype) -> Dtype:
    """Return NumPy's common type of the given ones (an int64 beside a float32 gives float64)."""
    return canonical(np.result_type(*dtypes))


@functools.cache
def arithmetic(*dtypes: Dtype) -> Dtype:
    """Return the common type of an arithmetic operation; two masks have none."""
    result = promote(*dtypes)
    if result is BOOL:
        raise DtypeError("expected numbers, got bool; cast the mask first: mask.astype(float)")
    return result


@functools.cache
def floating(*dtypes: Dtype) -> Dtype:
    """Return the common floating type; integers become float64, masks are refused."""
    result = arithmetic(*dtypes)
    return result if is_float(result) else FLOAT64


def boolean(*dtypes: Dtype) -> Dtype:
    """Return bool: the type of every comparison."""
    return BOOL


def logical(*dtypes: Dtype) -> Dtype:
    """Return bool, and refuse anything that is not bool."""
    if any(d is not BOOL for d in dtypes):
        raise DtypeError("expected masks (bool); compare first, as in x > 0")
    return BOOL


def integer(*dtypes: Dtype) -> Dtype:
    """Return int64: the type of counts and positions."""
    return INT64


def same(*dtypes: Dtype) -> Dtype:
    """Return the type of the first input: for operations that only move entries."""
    return dtypes[0]


@functools.cache
def counted(*dtypes: Dtype) -> Dtype:
    """Return the type of a sum: masks are counted as int64, all else keeps its type."""
    return INT64 if dtypes[0] is BOOL else dtypes[0]


@functools.cache
def averaged(*dtypes: Dtype) -> Dtype:
    """Return the type of a mean: floating types stay, masks and integers give float64."""
    return dtypes[0] if is_float(dtypes[0]) else FLOAT64
