"""Data as networks take it: arrays checked against inputs and targets, and made to fit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphgrad.errors import DtypeError, NetworkError, ShapeError

__all__ = ["Slot", "array_for", "class_weights"]


@dataclass(frozen=True)
class Slot:
    """What an input or a target of a network takes: a name for messages, a shape, a type.

    Attributes:
        what: how messages speak of it.
        shape: of one example.
        dtype: of the entries.
        below: entries must be whole numbers from 0 to below this; None for any numbers.
    """

    what: str
    shape: tuple[int, ...]
    dtype: Any
    below: int | None = None


def array_for(slot: Slot, given: Any) -> Any:
    """Return data for an input or target as an array (N, *slot.shape); maps stay on disk.

    Raises:
        ShapeError, DtypeError: when it does not fit; the message says what was expected.
    """
    try:
        array = given if isinstance(given, np.memmap) else np.asarray(given)
    except ValueError as problem:
        raise ShapeError(f"{slot.what}: {problem}") from None
    if array.dtype.kind not in "fiub":
        raise DtypeError(
            f"{slot.what}: {array.dtype} entries; expected numbers (classes given as text are "
            f"numbered by np.unique(y, return_inverse=True))"
        )
    array = _shaped(slot, array)
    if slot.below is not None:
        _check_classes(slot, array)
    if isinstance(array, np.memmap):
        return array
    return np.ascontiguousarray(array, slot.dtype)


def _shaped(slot: Slot, array: Any) -> Any:
    if array.ndim and array.shape[1:] == slot.shape:
        return array
    squeezed = [n for n in array.shape[1:] if n != 1]
    if array.ndim and squeezed == [n for n in slot.shape if n != 1]:
        return array.reshape(len(array), *slot.shape)
    one = ", one example is a batch too: x[None]" if array.shape == slot.shape else ""
    expected = f"(examples{''.join(f', {n}' for n in slot.shape)})"
    raise ShapeError(f"{slot.what}: shape {array.shape}, expected {expected}{one}{_hint(slot)}")


def _hint(slot: Slot) -> str:
    if slot.what.startswith("targets") and slot.shape and slot.shape[-1] > 1:
        return "; for class numbers use loss='sparse_categorical_crossentropy'"
    return ""


def _check_classes(slot: Slot, array: Any) -> None:
    if not array.size:
        return
    low, high = array.min(), array.max()
    whole = array.dtype.kind != "f" or bool((array == np.floor(array)).all())
    if not (whole and low >= 0 and high < slot.below):
        raise NetworkError(
            f"{slot.what}: numbers from {low} to {high}; expected whole numbers from 0 to "
            f"{slot.below - 1}"  # type: ignore[operator]
        )


def class_weights(weights: Mapping[int, float], y: Any) -> Any:
    """Return the weight of each example's class; 1 for classes not named.

    Args:
        weights: by class number.
        y: targets: class numbers, 0 and 1, or one-hot rows.
    """
    wide = y.ndim > 1 and math.prod(y.shape[1:]) > 1
    classes = np.argmax(y, -1) if wide else y.reshape(len(y))
    found = np.ones(len(y))
    for number, weight in weights.items():
        found[classes == number] = weight
    return found
