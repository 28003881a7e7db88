"""What ``graphgrad train`` tells: the columns it found, how training ended, how good it is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.table import Table as Grid
from rich.text import Text

from graphgrad.drawing.terminal.canvas import clean

if TYPE_CHECKING:
    from graphgrad.nn.tables import Table
    from graphgrad.nn.tables.columns import Tally
    from graphgrad.nn.tables.recipe import Target

__all__ = ["columns", "ending", "scores"]

SHOWN = 30


def columns(table: Table) -> Grid:
    """Return a table of the columns of a file: what they hold, and what becomes of them."""
    found, target = table.survey, table.recipe.target
    grid = Grid(title=None, header_style="bold", caption=_rows(table), caption_justify="left")
    for name in ("column", "kind", "values"):
        grid.add_column(name)
    for name in ("missing", "inputs"):
        grid.add_column(name, justify="right")
    *inputs, last = found.tallies
    for tally, column in list(zip(inputs, table.recipe.columns))[:SHOWN]:
        grid.add_row(
            _text(tally.name), column.kind, _text(_values(tally)), _missing(tally),
            str(column.width),
        )  # fmt: skip
    if len(inputs) > SHOWN:
        grid.add_row(f"… {len(inputs) - SHOWN} more", "", "", "", "")
    grid.add_section()
    grid.add_row(
        _text(last.name), target.task, _text(_goal(last, target)), _missing(last), "target"
    )
    return grid


def _rows(table: Table) -> str:
    found = table.survey
    left = f", {found.dropped:,} left out for missing values" if found.dropped else ""
    return f"{found.train:,} rows to train with, {found.validation:,} set aside{left}"


def _text(text: str) -> Text:
    return Text(clean(text), overflow="ellipsis")


def _missing(tally: Tally) -> str:
    return f"{tally.missing:,}" if tally.missing else "-"


def _values(tally: Tally) -> str:
    if tally.kind == "category":
        names = sorted(tally.counts or ())
        return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    if tally.low == tally.high:
        return f"always {tally.low:.6g}"
    return f"{tally.low:.4g} to {tally.high:.4g}, mean {tally.mean:.4g}, σ {tally.deviation:.3g}"


def _goal(tally: Tally, target: Target) -> str:
    if target.task == "regression":
        return _values(tally)
    names = ", ".join(target.classes[:6]) + (", …" if len(target.classes) > 6 else "")
    return f"{len(target.classes)} classes: {names}"


def ending(history: Any, stopping: Any) -> list[str]:
    """Return how the training ended, in a line or two."""
    done = len(history.epoch)
    lines = [f"trained {done} epoch{'s' * (done != 1)} in {history.seconds:.1f} s"]
    if history.stopped == "interrupted":
        lines[0] += ", then interrupted"
    elif history.stopped:
        lines[0] += f", then stopped: {history.stopped}"
    if stopping is not None and stopping.best_epoch is not None:
        lines[0] += f"; kept the weights of epoch {stopping.best_epoch + 1}"
    return lines


def scores(model: Any, table: Table) -> Grid:
    """Return a table of losses and metrics on both parts, beside guessing without the inputs."""
    target = table.recipe.target
    regression = target.task == "regression"
    grid = Grid(header_style="bold")
    heads = (
        ["", "loss", f"error in {target.name}", "R²"] if regression else ["", "loss", "accuracy"]
    )
    for k, head in enumerate(heads):
        grid.add_column(_text(head), justify="right" if k else "left")
    parts = [("training", table.X, table.y), ("validation", table.X_validation, table.y_validation)]
    for name, X, y in parts:
        if len(X):
            logs = model.evaluate(X, y, return_dict=True)
            grid.add_row(name, *_numbers(logs, target))
    grid.add_section()
    grid.add_row(*_guess(table, parts[1][2] if len(parts[1][2]) else table.y))
    return grid


def _numbers(logs: dict[str, float], target: Target) -> list[str]:
    loss = f"{logs['loss']:.4g}"
    if target.task == "regression":
        error = math.sqrt(logs["loss"]) * target.deviation
        return [loss, f"±{error:.4g}", f"{logs['r2']:.4f}"]
    return [loss, f"{logs['accuracy']:.4f}"]


def _guess(table: Table, y: Any) -> list[Text | str]:
    """Return a row about the best that can be done without looking at the inputs."""
    target = table.recipe.target
    if target.task == "regression":
        error = float(np.sqrt(np.mean(np.square(y)))) * target.deviation
        return ["always the mean", f"{np.mean(np.square(y)):.4g}", f"±{error:.4g}", "-"]
    most = int(np.bincount(table.y).argmax())
    return [_text(f"always {target.classes[most]}"), "-", f"{np.mean(y == most):.4f}"]
