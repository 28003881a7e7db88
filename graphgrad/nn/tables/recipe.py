"""How the fields of a table become the inputs of a network, and its outputs values again.

A `Recipe` is saved with the model, so that new tables are treated as the one it was trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from graphgrad.errors import TableError
from graphgrad.nn.tables.columns import CategoryColumn, Column, NumberColumn, Tally
from graphgrad.nn.tables.fields import numbers, texts
from graphgrad.nn.tables.rows import shown

__all__ = ["MISSING_CHOICES", "TASKS", "Recipe", "Target", "target_of"]

TASKS = ("regression", "classification")
MISSING_CHOICES = ("error", "drop", "mean")
FEW = 10
"""Whole numbers with at most this many different values are taken for classes."""


@dataclass(frozen=True)
class Target:
    """The column to predict.

    Attributes:
        name: in the header.
        task: "regression" or "classification".
        classes: the values to tell apart, sorted; empty for regression.
        mean, deviation: of the training rows, for regression.
    """

    name: str
    task: str
    classes: tuple[str, ...] = ()
    mean: float = 0.0
    deviation: float = 1.0

    def encode(self, fields: Sequence[str]) -> Any:
        """Return classes as their positions, numbers scaled; nan where missing or unknown."""
        if self.task == "regression":
            return (numbers(fields)[0] - self.mean) / self.deviation
        places = {c: k for k, c in enumerate(self.classes)}
        return np.array([places.get(label(t), np.nan) for t in texts(fields)], float)

    def decode(self, outputs: Any) -> list[tuple[Any, float | None]]:
        """Return what outputs of the network say: values, and the probability of each class.

        Args:
            outputs: shape (n, 1): scaled numbers, or probabilities of the second of two classes;
                or shape (n, k): probabilities of k classes.
        """
        outputs = np.asarray(outputs, float)
        if self.task == "regression":
            return [(v, None) for v in (outputs[:, 0] * self.deviation + self.mean).tolist()]
        if outputs.shape[1] == 1:
            outputs = np.concatenate([1 - outputs, outputs], 1)
        best = outputs.argmax(1)
        return [(self.classes[k], float(p[k])) for k, p in zip(best, outputs)]


@dataclass(frozen=True)
class Recipe:
    """How a table becomes arrays.

    Attributes:
        columns: the inputs, in the order of the network's.
        target: the column to predict.
        missing: what to do with missing values: "error", "drop" or "mean".
    """

    columns: tuple[Column, ...]
    target: Target
    missing: str = "error"

    @property
    def width(self) -> int:
        """How many inputs the network has."""
        return sum(c.width for c in self.columns)

    def encode(
        self, fields: Sequence[Sequence[str]], unknown: str, fault: Callable[[int, int, str], None]
    ) -> Any:
        """Return the inputs of some rows, with nan in the rows that are to be left out.

        Args:
            fields: of each column, as many texts as there are rows.
            unknown: what to do with a category that was not seen in training: "error" or "zeros".
            fault: called with row, position in `columns`, and what is wrong there.

        Returns:
            Shape (n, width), float64.
        """
        return np.concatenate(
            [self._one(k, c, fields[k], unknown, fault) for k, c in enumerate(self.columns)], 1
        )

    def _one(self, k: int, column: Column, fields: Any, unknown: str, fault: Any) -> Any:
        inputs, wrong = column.encode(fields)
        if wrong is not None and (column.kind == "number" or unknown == "error"):
            fault(wrong, k, _wrong(column, fields[wrong].strip()))
        absent = np.isnan(inputs[:, 0])
        if absent.any() and self.missing == "error":
            what = "a value is missing, and this model was trained without missing values"
            fault(int(absent.argmax()), k, what)
        if self.missing == "mean":
            inputs[absent] = column.fill
        return inputs

    def to_json(self) -> dict[str, Any]:
        """Return the recipe as what JSON can hold."""
        columns = [{"kind": c.kind, **asdict(c)} for c in self.columns]
        return {"columns": columns, "target": asdict(self.target), "missing": self.missing}

    @classmethod
    def from_json(cls, found: Any) -> Recipe:
        """Return the recipe that `to_json` wrote.

        Raises:
            TableError: when it is none.
        """
        kinds: dict[str, Any] = {"number": NumberColumn, "category": CategoryColumn}
        try:
            columns = tuple(
                kinds[c["kind"]](**_checked(c, kinds[c["kind"]])) for c in found["columns"]
            )
            target = Target(**_checked(found["target"], Target))
            if target.task not in TASKS or found["missing"] not in MISSING_CHOICES or not columns:
                raise ValueError("not one of the choices")
            return cls(columns, target, found["missing"])
        except (KeyError, TypeError, ValueError) as problem:
            raise TableError(f"this is no recipe of a table: {problem!r}") from None


def target_of(tally: Tally, task: str | None, where: str) -> Target:
    """Return what is to be predicted, from what its column holds.

    Texts are classes, and so are whole numbers of few different values; else it is a number.

    Raises:
        TableError: when the task does not fit the column.
    """
    few = tally.counts is not None and len(tally.counts) <= FEW
    if task is None:
        classes = tally.kind == "category" or (tally.whole and few)
        task = "classification" if classes else "regression"
    if task not in TASKS:
        raise TableError(f"task {task!r}; expected regression or classification")
    if tally.low == tally.high or (tally.counts is not None and len(tally.counts) == 1):
        raise TableError(f"{where}: all values are the same; there is nothing to predict")
    if task == "regression":
        if tally.kind == "category":
            raise TableError(f"{where}: regression needs numbers, and this column has texts")
        return Target(tally.name, task, (), float(tally.mean), tally.deviation)
    if tally.counts is None:
        raise TableError(f"{where}: too many different values for classes; say task: regression")
    return Target(tally.name, task, tuple(label(v) for v in sorted(tally.counts)))


def label(value: Any) -> str:
    """Return the one text that stands for a class: 1, 1.0 and "01" are the class "1".

    Example:
        >>> label("1.0"), label(2.5), label("red")
        ('1', '2.5', 'red')
    """
    try:
        return f"{float(value):.15g}" if "_" not in str(value) else str(value)
    except ValueError:
        return str(value)


def _wrong(column: Column, text: str) -> str:
    if isinstance(column, NumberColumn):
        return f"{text[:60]!r} is no number"
    known = ", ".join(map(shown, column.values[:10])) + (", …" if column.width > 10 else "")
    return (
        f"{text[:60]!r} was not among the categories in training: {known}; correct it, or choose "
        f"'zeros' for unknown categories"
    )


def _checked(found: dict[str, Any], kind: type) -> dict[str, Any]:
    """Return the fields of a record if each is of the type that it should be."""
    result: dict[str, Any] = {}
    for name, said in kind.__annotations__.items():
        value = found[name]
        if said == "str" and isinstance(value, str):
            result[name] = value
        elif said == "float" and isinstance(value, int | float):
            result[name] = float(value)
        elif said == "tuple[str, ...]" and all(isinstance(v, str) for v in value):
            result[name] = tuple(value)
        elif said == "tuple[float, ...]" and all(isinstance(v, int | float) for v in value):
            result[name] = tuple(map(float, value))
        else:
            raise ValueError(f"{name}: {value!r}")
    return result
