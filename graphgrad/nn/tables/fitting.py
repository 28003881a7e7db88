"""Networks for tables: made to fit a recipe, and asked about new CSV files."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from graphgrad.errors import TableError
from graphgrad.nn.core import Dense, Dropout
from graphgrad.nn.network import Input
from graphgrad.nn.sequential import Sequential
from graphgrad.nn.tables.recipe import Recipe, Target
from graphgrad.nn.tables.rows import Chunk, Rows

__all__ = ["Score", "goal_of", "network_for", "predictions", "recipe_of"]

UNKNOWN_CHOICES = ("error", "zeros")


def network_for(
    recipe: Recipe,
    hidden: Sequence[int] = (100, 100),
    activation: str = "relu",
    dropout: float = 0.0,
    seed: int = 0,
) -> Sequential:
    """Return a network for a table, not yet compiled; the recipe is saved with it.

    Args:
        recipe: of the table, ``read_csv(…).recipe``.
        hidden: units of each hidden layer.
        activation: of the hidden layers.
        dropout: rate after each hidden layer.
        seed: of first values, dropout and shuffling.

    Example:
        >>> from graphgrad.nn.tables.columns import NumberColumn
        >>> columns = (NumberColumn("a", 0.0, 1.0), NumberColumn("b", 0.0, 1.0))
        >>> recipe = Recipe(columns, Target("t", "classification", ("no", "yes")))
        >>> network_for(recipe, hidden=(8,)).count_params()
        33
    """
    layers: list[Any] = [Input(recipe.width)]
    for units in hidden:
        layers.append(Dense(units, activation=activation))
        if dropout:
            layers.append(Dropout(dropout))
    classes = len(recipe.target.classes)
    last = {0: None, 2: "sigmoid"}.get(classes, "softmax")
    layers.append(Dense(classes if classes > 2 else 1, activation=last))
    model = Sequential(layers, seed=seed)
    model.extra["table"] = recipe.to_json()
    return model


def goal_of(target: Target) -> tuple[str, list[str]]:
    """Return loss and metrics for what is to be predicted."""
    if target.task == "regression":
        return "mse", ["r2"]
    many = len(target.classes) > 2
    return "sparse_categorical_crossentropy" if many else "binary_crossentropy", ["accuracy"]


def recipe_of(model: Any) -> Recipe:
    """Return the recipe that was saved with a network.

    Raises:
        TableError: when there is none.
    """
    if "table" not in model.extra:
        raise TableError(
            "this network was not trained on a CSV file: it does not know what the columns mean; "
            "use model.predict on arrays, or train with 'graphgrad train'"
        )
    return Recipe.from_json(model.extra["table"])


@dataclass
class Score:
    """How well predictions fit a file that has the target column as well.

    Attributes:
        rows: predicted; left_out: not predicted, because something is missing.
        known: predicted rows with a target.
        total: right classes, or the sum of squared errors, over the known rows.
    """

    rows: int = 0
    left_out: int = 0
    known: int = 0
    total: float = 0.0

    def text(self, target: Target) -> str:
        """Return the score in words; empty when no target is known."""
        if not self.known:
            return ""
        if target.task == "regression":
            return f"root mean squared error {math.sqrt(self.total / self.known):.6g}"
        return f"accuracy {self.total / self.known:.4f}"


def predictions(
    model: Any, path: str | Path, unknown: str = "error", delimiter: str = ",",
    score: Score | None = None,
) -> Iterator[list[str]]:  # fmt: skip
    """Give the lines of a CSV file with what a network predicts: header, then a record each.

    Args:
        model: trained on a table, such as ``nn.load_model("model.npz")`` gives.
        path: of the file; it needs the columns of the training, in any order.
        unknown: for categories that were not seen in training: "error", or "zeros".
        delimiter: between fields.
        score: counts what is predicted.

    Returns:
        Records: the file's columns, then ``predicted_`` and the target's name, and for classes
        their ``probability``; both empty where a row is left out.

    Raises:
        TableError: for a fault in the file, with its line and column.
    """
    if unknown not in UNKNOWN_CHOICES:
        raise TableError(f"unknown {unknown!r}; expected one of {', '.join(UNKNOWN_CHOICES)}")
    recipe, rows = recipe_of(model), Rows(path, delimiter)
    places = [rows.place(c.name) for c in recipe.columns]
    target, score = recipe.target, score or Score()
    known = rows.header.index(target.name) if target.name in rows.header else None
    new = [f"predicted_{target.name}", *(["probability"] if target.classes else [])]
    yield [*rows.header, *new]
    for chunk in rows.chunks():
        found = _predicted(model, recipe, rows, chunk, places, unknown)
        score.rows += sum(1 for f in found if f is not None)
        score.left_out += sum(1 for f in found if f is None)
        if known is not None:
            _count(score, target, [row[known] for row in chunk.rows], found)
        for row, one in zip(chunk.rows, found):
            yield [*row, *(_written(one) if one else [""] * len(new))]


def _predicted(
    model: Any, recipe: Recipe, rows: Rows, chunk: Chunk, places: Sequence[int], unknown: str
) -> list[Any]:
    fields = list(zip(*chunk.rows))

    def fault(row: int, column: int, what: str) -> None:
        raise TableError(f"{rows.where(chunk.line(row), places[column])}: {what}")

    inputs = recipe.encode([fields[p] for p in places], unknown, fault)
    whole = np.isfinite(inputs).all(1)
    found: list[Any] = [None] * len(inputs)
    if whole.any():
        outputs = model.predict(inputs[whole].astype(np.float32), batch_size=1000)
        for k, one in zip(np.flatnonzero(whole), recipe.target.decode(outputs)):
            found[k] = one
    return found


def _count(score: Score, target: Target, fields: Sequence[str], found: Sequence[Any]) -> None:
    values = target.encode(fields)
    for value, one in zip(values, found):
        if one is None or np.isnan(value):
            continue
        score.known += 1
        if target.task == "regression":
            score.total += (one[0] - (value * target.deviation + target.mean)) ** 2
        else:
            score.total += target.classes[int(value)] == one[0]


def _written(one: tuple[Any, float | None]) -> list[str]:
    value, probability = one
    text = value if isinstance(value, str) else f"{value:.7g}"
    return [text] if probability is None else [text, f"{probability:.6f}"]
