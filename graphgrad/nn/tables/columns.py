"""What a column holds, and how it becomes the inputs of a network: scaled, or one-hot.

`NumberColumn` and `CategoryColumn` are what is saved with a model. A `Tally` gathers what they
need to know, in one pass over the file.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import Any

import numpy as np

from graphgrad.nn.tables.fields import numbers, texts

__all__ = ["MOST", "CategoryColumn", "Column", "NumberColumn", "Tally"]

MOST = 100
"""A category has at most this many different values: each becomes an input of the network."""


@dataclass(frozen=True)
class NumberColumn:
    """A column of numbers, scaled to mean 0 and standard deviation 1.

    Attributes:
        name: in the header.
        mean, deviation: of the training rows; the deviation of a constant column counts as 1.
    """

    name: str
    mean: float
    deviation: float
    kind = "number"
    width = 1

    def encode(self, fields: Sequence[str]) -> tuple[Any, Any]:
        """Return the inputs of shape (n, 1), with nan where missing, and no faults."""
        values, fault = numbers(fields)
        scaled = (values - self.mean) / self.deviation
        return scaled[:, None], fault

    @property
    def fill(self) -> Any:
        """What stands for a missing value: the mean, which is 0 after scaling."""
        return np.zeros(1)


@dataclass(frozen=True)
class CategoryColumn:
    """A column of categories, each an input that is 1 where it stands and 0 elsewhere.

    Attributes:
        name: in the header.
        values: the categories, sorted.
        shares: of the training rows, how many have each.
    """

    name: str
    values: tuple[str, ...]
    shares: tuple[float, ...]
    kind = "category"

    @property
    def width(self) -> int:
        """How many inputs it becomes."""
        return len(self.values)

    def encode(self, fields: Sequence[str]) -> tuple[Any, int | None]:
        """Return the inputs of shape (n, width), nan where missing, and the first unknown field.

        An unknown category is all zeros.
        """
        places = {value: k for k, value in enumerate(self.values)}
        found = [places.get(t, -1) if t else -2 for t in texts(fields)]
        codes = np.array(found)
        inputs = (codes[:, None] == np.arange(self.width)).astype(float)
        inputs[codes == -2] = np.nan
        return inputs, found.index(-1) if -1 in found else None

    @property
    def fill(self) -> Any:
        """What stands for a missing value: the mean of the inputs."""
        return np.array(self.shares)


Column = NumberColumn | CategoryColumn


@dataclass
class Tally:
    """What is seen of one column while a file goes by.

    Attributes:
        kind: "number", "category", or None while no value has been seen.
        missing: how many fields, over all rows.
        first_missing: the line of the first of them.
        low, high: of the numbers.
        whole: whether all numbers are whole.
        counts: how often each value stands in the training rows; None when there are too many.
        n, mean, squares: of the numbers in training rows: how many, their mean, and the sum of
            their squared distances from it.
    """

    name: str
    place: int
    kind: str | None = None
    missing: int = 0
    first_missing: int | None = None
    low: float = math.inf
    high: float = -math.inf
    whole: bool = True
    counts: Counter[Any] | None = field(default_factory=Counter)
    n: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def add(self, values: Any, there: Any, train: Any) -> None:
        """Count what a chunk holds.

        Args:
            values: numbers with nan for the missing ones, or texts with empty ones.
            there: a mask of the values that are there, in rows that are kept.
            train: a mask of the rows that are kept for training.
        """
        if self.kind == "number":
            self._add_numbers(values[there], values[there & train])
            values = values.tolist() if self.counts is not None else ()
        if self.counts is not None:
            self.counts.update(dict.fromkeys(compress(values, there), 0))
            self.counts.update(compress(values, there & train))
            if len(self.counts) > MOST:
                self.counts = None

    def _add_numbers(self, values: Any, training: Any) -> None:
        if values.size:
            self.low, self.high = min(self.low, values.min()), max(self.high, values.max())
            self.whole = self.whole and bool((values == np.rint(values)).all())
        if training.size:
            # Chan, Golub and LeVeque 1983, The American Statistician 37: merging two variances.
            n, mean = training.size, training.mean()
            away = mean - self.mean
            self.squares += ((training - mean) ** 2).sum() + away**2 * n * self.n / (n + self.n)
            self.n += n
            self.mean += away * n / self.n

    @property
    def deviation(self) -> float:
        """The standard deviation; 1 for numbers that are the same but for rounding."""
        found = math.sqrt(self.squares / self.n) if self.n else 0.0
        return found if found > 1e-12 * max(abs(self.low), abs(self.high)) else 1.0

    def column(self) -> Column:
        """Return the column as it is saved with a model."""
        if self.kind == "number":
            return NumberColumn(self.name, float(self.mean), self.deviation)
        assert self.counts is not None, "the survey refuses a category of too many values"
        values = tuple(sorted(self.counts))
        total = sum(self.counts.values()) or 1
        return CategoryColumn(self.name, values, tuple(self.counts[v] / total for v in values))
