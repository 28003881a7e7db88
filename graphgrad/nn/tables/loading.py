"""`read_csv`: a CSV file as arrays to train with, in two passes and bounded memory.

The first pass finds out what the columns hold, the second writes scaled numbers into arrays,
which are memory-mapped temporary files when they would be large.
"""

from __future__ import annotations

import math
import shutil
import tempfile
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from graphgrad.errors import TableError
from graphgrad.nn.tables.recipe import MISSING_CHOICES, Recipe, target_of
from graphgrad.nn.tables.rows import Chunk, Rows
from graphgrad.nn.tables.survey import Holdout, Survey, survey

__all__ = ["Table", "read_csv"]

IN_MEMORY = 32 * 2**20
"""Arrays of more bytes than this are memory-mapped files."""


@dataclass
class Table:
    """A CSV file as arrays.

    Attributes:
        X, y: the rows that train: shape (n, inputs), float32, and shape (n,), float32 for
            regression, int64 for classification.
        X_validation, y_validation: the rows set aside.
        recipe: how the columns became inputs; save it with the model.
        survey: what was found in the columns.
    """

    X: Any
    y: Any
    X_validation: Any
    y_validation: Any
    recipe: Recipe
    survey: Survey
    _store: Any = field(default=None, repr=False)  # its files vanish when the table does


def read_csv(
    path: str | Path,
    target: str,
    *,
    task: str | None = None,
    validation: float = 0.2,
    missing: str = "error",
    categories: Sequence[str] = (),
    ignore: Sequence[str] = (),
    delimiter: str = ",",
    seed: int = 0,
) -> Table:
    """Return a CSV file as arrays to train with: numbers scaled, categories one-hot.

    Args:
        path: of the file, UTF-8 with a header line.
        target: name of the column to predict.
        task: "regression" or "classification"; by default what the target column looks like.
        validation: share of the rows set aside, from 0 to 0.5.
        missing: for missing values: "error"; "drop" to leave such rows out; "mean" to fill in
            the mean of the column (rows without a target are left out).
        categories: names of columns of numbers that are categories, such as postal codes.
        ignore: names of columns to leave out.
        delimiter: between fields.
        seed: of the choice of rows set aside.

    Raises:
        TableError: for a fault in the file, with its line and column.

    Example:
        >>> import pathlib, tempfile
        >>> file = pathlib.Path(tempfile.mkdtemp(), "rent.csv")
        >>> _ = file.write_text("rooms,town,rent\\n2,Ulm,700\\n3,Bonn,950\\n1,Ulm,500\\n4,Ulm,900")
        >>> table = read_csv(file, target="rent", task="regression", validation=0.25)
        >>> table.X.shape, table.X_validation.shape, table.recipe.columns[1].values
        ((3, 3), (1, 3), ('Bonn', 'Ulm'))
    """
    if missing not in MISSING_CHOICES:
        raise TableError(f"missing {missing!r}; expected one of {', '.join(MISSING_CHOICES)}")
    rows = Rows(path, delimiter)
    rows.place(target, "target column")
    for name in (*categories, *ignore):
        rows.place(name)
    if target in ignore:
        raise TableError(f"column {target!r} is the target: it cannot be ignored")
    names = [n for n in rows.header if n not in ignore and n != target]
    if not names:
        raise TableError(f"{path}: no column is left to predict {target!r} from")
    seen = survey(rows, [*names, target], categories, missing, Holdout(validation, seed))
    goal = target_of(seen.tallies[-1], task, f"{path}, column {target!r}")
    recipe = Recipe(tuple(t.column() for t in seen.tallies[:-1]), goal, missing)
    return _filled(rows, recipe, seen, Holdout(validation, seed))


def _filled(rows: Rows, recipe: Recipe, seen: Survey, holdout: Holdout) -> Table:
    places = [t.place for t in seen.tallies]
    kind = np.float32 if recipe.target.task == "regression" else np.int64
    store = _Store()
    n, m = seen.train, seen.validation
    X, X_aside = store.array((n, recipe.width)), store.array((m, recipe.width))
    y, y_aside = store.array((n,), kind), store.array((m,), kind)
    at = aside_at = 0
    for chunk in rows.chunks():
        inputs, targets = _encoded(rows, chunk, recipe, places)
        train = holdout.training(len(inputs))
        count, aside = int(train.sum()), int((~train).sum())
        X[at : at + count], y[at : at + count] = inputs[train], targets[train]
        X_aside[aside_at : aside_at + aside] = inputs[~train]
        y_aside[aside_at : aside_at + aside] = targets[~train]
        at, aside_at = at + count, aside_at + aside
    return Table(X, y, X_aside, y_aside, recipe, seen, store)


def _encoded(rows: Rows, chunk: Chunk, recipe: Recipe, places: list[int]) -> tuple[Any, Any]:
    fields = list(zip(*chunk.rows))

    def fault(row: int, column: int, what: str) -> None:
        raise TableError(f"{rows.where(chunk.line(row), places[column])}: {what}")

    # A category of dropped rows only is unknown, and of no consequence.
    inputs = recipe.encode([fields[p] for p in places[:-1]], "zeros", fault)
    targets = recipe.target.encode(fields[places[-1]])
    keep = np.isfinite(targets) & np.isfinite(inputs).all(1)
    return inputs[keep], targets[keep]


class _Store:
    """Gives arrays in memory, or in files of a temporary folder when they are large."""

    def __init__(self) -> None:
        self._files: list[Path] = []

    def array(self, shape: tuple[int, ...], dtype: Any = np.float32) -> Any:
        if math.prod(shape) * np.dtype(dtype).itemsize <= IN_MEMORY:
            return np.empty(shape, dtype)
        if not self._files:
            folder = tempfile.mkdtemp(prefix="graphgrad-")
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            self._files.append(Path(folder))
        self._files.append(self._files[0] / f"{len(self._files)}.npy")
        return np.lib.format.open_memmap(self._files[-1], "w+", dtype, shape)
