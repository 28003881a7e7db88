"""The first pass over a CSV file: what its columns hold, and which rows train."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphgrad.errors import TableError
from graphgrad.nn.tables.columns import MOST, Tally
from graphgrad.nn.tables.fields import kind_of, numbers, texts
from graphgrad.nn.tables.rows import LARGEST, Chunk, Rows, shown

__all__ = ["Holdout", "Survey", "survey"]


class Holdout:
    """Sets a share of rows aside as they go by, without knowing how many there will be.

    Of each stretch of 1/share rows one is set aside by chance, so the share is right to within
    one row, and a file sorted by its target is shared evenly.

    Example:
        >>> int(Holdout(0.25, seed=0).training(8).sum())
        6
    """

    def __init__(self, share: float, seed: int) -> None:
        if not 0 <= share <= 0.5:
            raise TableError(f"validation {share!r}; expected a share from 0 to 0.5")
        self._share, self._start, self._stretch = share, 0, 0
        self._random = np.random.default_rng([seed, 0x5E7])
        self._aside = np.empty(0, int)

    def training(self, n: int) -> Any:
        """Return a mask of the next n rows, True for those that train."""
        mask = np.ones(n, bool)
        end = self._start + n
        while self._share and self._stretch < end * self._share:
            count = self._stretch + np.arange(1025)
            edges = np.ceil(count / self._share).astype(int)
            chance = self._random.random(1024)
            chosen = edges[:-1] + (chance * np.diff(edges)).astype(int)
            self._aside = np.concatenate([self._aside, chosen])
            self._stretch += 1024
        here = np.searchsorted(self._aside, end)
        mask[self._aside[:here] - self._start] = False
        self._aside, self._start = self._aside[here:], end
        return mask


@dataclass
class Survey:
    """What a file holds.

    Attributes:
        tallies: one per column that is used, the target last.
        train, validation: how many rows there are of each.
        dropped: how many rows are left out because something is missing.
    """

    tallies: list[Tally]
    train: int = 0
    validation: int = 0
    dropped: int = 0


def survey(
    rows: Rows, names: Sequence[str], categories: Sequence[str], missing: str, holdout: Holdout
) -> Survey:
    """Return what the named columns hold, the last of them being the target.

    Args:
        rows: the file.
        names: of the columns to use.
        categories: names of columns that are categories though they hold numbers.
        missing: "error", "drop" or "mean".
        holdout: says which rows train.

    Raises:
        TableError: for a fault, with its place.
    """
    found = Survey([Tally(n, rows.place(n)) for n in names])
    for tally in found.tallies:
        if tally.name in categories:
            tally.kind = "category"
    for chunk in rows.chunks():
        _add(found, rows, chunk, missing, holdout)
    _check(found, rows, missing)
    return found


def _add(found: Survey, rows: Rows, chunk: Chunk, missing: str, holdout: Holdout) -> None:
    fields = list(zip(*chunk.rows))
    values = [_values(t, fields[t.place], chunk, rows) for t in found.tallies]
    there = [_there(t, v) for t, v in zip(found.tallies, values)]
    keep = np.logical_and.reduce(there) if missing == "drop" else there[-1]
    train = np.zeros(len(keep), bool)
    train[keep] = holdout.training(int(keep.sum()))
    found.train += int(train.sum())
    found.validation += int((keep & ~train).sum())
    found.dropped += int((~keep).sum())
    for tally, value, here in zip(found.tallies, values, there):
        _count_missing(tally, here, chunk)
        tally.add(value, here & keep, train)
        if tally.kind == "category" and tally.counts is None:
            raise TableError(
                _too_many(rows, tally, fields[tally.place], tally is found.tallies[-1])
            )


def _too_many(rows: Rows, tally: Tally, fields: Sequence[str], target: bool) -> str:
    some = ", ".join(map(repr, list(dict.fromkeys(texts(fields)))[:3]))
    return (
        f"{rows.path}, {rows.column(tally.place)}: more than {MOST} different texts, such as "
        f"{some}; " + ("these are too many classes to tell apart" if target
        else "a category has fewer, so ignore this column")
    )  # fmt: skip


def _values(tally: Tally, fields: Sequence[str], chunk: Chunk, rows: Rows) -> Any:
    fault: int | None
    if tally.kind is None:
        tally.kind, fault = kind_of(fields)
    if tally.kind == "category":
        return texts(fields)
    values, fault = numbers(fields)
    if fault is not None:
        raise TableError(_no_number(rows, chunk, fault, tally.place))
    return values


def _no_number(rows: Rows, chunk: Chunk, k: int, place: int) -> str:
    text = chunk.rows[k][place].strip()
    where = f"{rows.where(chunk.line(k), place)}: {text[:60]!r}"
    with suppress(ValueError):
        if not abs(float(text)) <= LARGEST:
            return f"{where} is too large; numbers go up to {LARGEST:g}"
    hint = "; decimals are written with a point" if text.count(",") == 1 else ""
    return (
        f"{where} is no number, as the other values of this column are{hint}; correct it, or name "
        f"the column among the categories"
    )


def _there(tally: Tally, values: Any) -> Any:
    if tally.kind == "category":
        return np.array([v != "" for v in values])
    return np.isfinite(values)


def _count_missing(tally: Tally, there: Any, chunk: Chunk) -> None:
    count = int((~there).sum())
    if count and tally.first_missing is None:
        tally.first_missing = chunk.line(int(np.argmin(there)))
    tally.missing += count


def _check(found: Survey, rows: Rows, missing: str) -> None:
    faulty = [t for t in found.tallies if t.first_missing is not None]
    for tally in faulty:
        if tally.kind is None:
            raise TableError(f"{rows.path}, {rows.column(tally.place)}: all values are missing; "
                             f"ignore this column")  # fmt: skip
    if faulty and missing == "error":
        first = min(faulty, key=lambda t: (t.first_missing or 0, t.place))
        counts = ", ".join(f"{t.missing} in {shown(t.name)}" for t in faulty)
        raise TableError(
            f"{rows.where(first.first_missing or 0, first.place)}: a value is missing (in all: "
            f"{counts}); choose for missing values 'drop', to leave such rows out, or 'mean', to "
            f"fill in the mean of the column"
        )
    if not found.train:
        reason = "and no row is complete" if found.dropped else "but no rows"
        raise TableError(f"{rows.path} has a header, {reason}")
    for tally in faulty:
        if not tally.counts and tally.low > tally.high:
            raise TableError(f"{rows.path}, {rows.column(tally.place)}: all values are missing in "
                             f"the rows with a target; ignore this column")  # fmt: skip
