"""The fields of one column as numbers or as texts, and which of them are missing.

A field is missing when it is empty or one of the usual words for it (`MISSING`). A column is a
number or a category, and `kind_of` says which when its first fields are seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphgrad.nn.tables.rows import LARGEST, is_number

__all__ = ["MISSING", "kind_of", "numbers", "texts"]

MISSING = frozenset(
    ["", "?", "NA", "na", "N/A", "n/a", "#N/A", "NaN", "nan", "NAN", "NULL", "null", "Null"]
)
"""What stands for a value that is not there. "None" may be a category, and is not in the list."""


def numbers(fields: Sequence[str]) -> tuple[Any, int | None]:
    """Return fields as float64 with nan for the missing ones, and the first that is no number.

    Example:
        >>> numbers(["1", " 2.5", "NA", "x", "1_0"])
        (array([1. , 2.5, nan, nan, nan]), 3)
        >>> numbers(["1", "", "3"])
        (array([ 1., nan,  3.]), None)
    """
    try:
        values = np.array(list(map(float, fields)))
    except ValueError:
        values = None
    # float() also takes 1_000, inf, nan and 1e300: these go the long way, which tells them apart.
    if values is None or "_" in "".join(fields) or not (np.abs(values) <= LARGEST).all():
        known = [is_number(f) for f in fields]
        values = np.array([float(f) if k else np.nan for f, k in zip(fields, known)])
        for position, (field, k) in enumerate(zip(fields, known)):
            if not k and field.strip() not in MISSING:
                return values, position
    return values, None


def texts(fields: Sequence[str]) -> list[str]:
    """Return fields without the blanks around them, and the missing ones as empty texts.

    Example:
        >>> texts([" red", "NA", "blue "])
        ['red', '', 'blue']
    """
    return ["" if f in MISSING else f for f in map(str.strip, fields)]


def kind_of(fields: Sequence[str]) -> tuple[str | None, int | None]:
    """Return "number" or "category", or None when all fields are missing.

    Numbers with fewer texts than numbers among them are a column of numbers with a fault.

    Returns:
        The kind, and the position of the first text in a column of numbers, if there is one.

    Example:
        >>> kind_of(["1", "2", "NA"]), kind_of(["1", "2", "x"]), kind_of(["a", "2", "b"])
        (('number', None), ('number', 2), ('category', None))
    """
    values, fault = numbers(fields)
    counted = int(np.isfinite(values).sum())
    if fault is None:
        return ("number" if counted else None), None
    there = [f for f in texts(fields) if f]
    like_numbers = sum(map(_like_a_number, there))
    return ("number", fault) if 2 * like_numbers >= len(there) else ("category", None)


def _like_a_number(text: str) -> bool:
    """Return whether a text is meant as a number, even one that is refused, such as inf."""
    try:
        float(text)
    except ValueError:
        return False
    return True
