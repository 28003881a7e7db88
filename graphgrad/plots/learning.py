"""Curves of loss and metrics over the epochs of a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graphgrad.errors import GraphError
from graphgrad.plots.canvas import COLORS, grid, inform, plotted

__all__ = ["curves"]


@plotted
def curves(history: Any, best: int | None = None, log: bool = False) -> Any:
    """Plot loss and metrics over the epochs, those of training and of validation together.

    Args:
        history: what `fit` returned, or a dictionary of lists: "loss", "val_loss", "accuracy", ….
        best: the epoch to mark, from 1: the one early stopping goes back to. By default that of
            the history, or the one of least validation loss when training went on after it.
        log: draw the loss on a logarithmic scale.

    Returns:
        The matplotlib figure; `figure.savefig("curves.png")` writes it.

    Example:
        >>> from graphgrad import plots
        >>> figure = plots.curves({"loss": [3.0, 2.0, 1.5], "val_loss": [3.1, 2.4, 2.6]})
        >>> [t.get_text() for t in figure.axes[0].texts]
        ['best: epoch 2']
    """
    series = _series(history)
    names = [n for n in series if not n.startswith("val_")]
    marked = best or getattr(history, "best_epoch", None) or _least(series.get("val_loss", ()))
    page, all_axes = grid(len(names), columns=2, width=6.4, height=4.2)
    for name, axes in zip(names, all_axes):
        _panel(axes, name, series[name], series.get(f"val_{name}"))
        if log and name == "loss":
            axes.set_yscale("log")
        if marked:
            _mark(axes, marked, len(series[name]))
    return page


def _series(history: Any) -> dict[str, list[float]]:
    found = getattr(history, "history", history)
    if not isinstance(found, Mapping) or "loss" not in found:
        raise GraphError(
            f"history: expected what fit returned, or a dictionary with a list 'loss', got "
            f"{history!r:.60}"
        )
    skip = {"lr", "learning_rate", "epoch", "seconds", "time"}
    return {k: list(v) for k, v in found.items() if k not in skip and len(v)}


def _least(losses: Sequence[float]) -> int | None:
    """Return the epoch of the least loss, if training went on after it."""
    finite = [v if np.isfinite(v) else np.inf for v in losses]
    place = int(np.argmin(finite)) + 1 if finite else 0
    return place if 0 < place < len(finite) else None


def _panel(axes: Any, name: str, training: Sequence[float], validation: Any) -> None:
    epochs = range(1, len(training) + 1)
    marker = "o" if len(training) == 1 else None  # a line of one point is not seen
    axes.plot(epochs, training, color=COLORS[0], label="training", marker=marker)
    if validation is not None:
        axes.plot(epochs, validation, "--", color=COLORS[1], label="validation", marker=marker)
        axes.legend()
    title = name.replace("_", " ")
    inform(axes, title, "epoch", title)
    axes.xaxis.get_major_locator().set_params(integer=True)


def _mark(axes: Any, epoch: int, last: int) -> None:
    axes.axvline(epoch, color="#555555", linewidth=1.4, linestyle=(0, (2, 2)))
    right = epoch > 0.6 * last
    axes.annotate(
        f"best: epoch {epoch}",
        (epoch, 0.5),
        xycoords=("data", "axes fraction"),
        xytext=(-6 if right else 6, 0),
        textcoords="offset points",
        ha="right" if right else "left",
        color="#333333",
    )
