"""Metrics: accuracy, precision, recall, R², and any loss; sums over an epoch, then one number.

A metric says which numbers to add up over the examples, as nodes, and makes its result of the
sums. So a metric of an epoch is that of all its examples, not a mean over batches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from graphgrad.errors import NetworkError
from graphgrad.graph import Node
from graphgrad.nn.losses import NAMES as LOSSES
from graphgrad.nn.losses import Loss, loss_of, per_example
from graphgrad.nn.naming import Configurable, listed
from graphgrad.ops.arithmetic import square
from graphgrad.ops.choices import equal
from graphgrad.ops.reduce import argmax
from graphgrad.ops.shape import cast, reshape

__all__ = ["Accuracy", "MeanOf", "Metric", "Precision", "R2Score", "Recall", "metric_of"]


class Metric(Configurable):
    """What is reported beside the loss.

    Attributes:
        name: the key in the history.
    """

    name = "metric"

    def terms(self, y: Node, p: Node, loss: Loss) -> list[Node]:
        """Return nodes of shape (batch,) to be added up over all examples."""
        raise NotImplementedError

    def result(self, sums: Any, count: Any) -> Any:
        """Return the metric from the sums over `count` examples.

        Args:
            sums: one entry per term: a number, or an array of them for several epochs at once.
            count: likewise.
        """
        return sums[0] / count


class Accuracy(Metric):
    """The share of examples whose class is predicted right.

    With one output the class is 1 above one half (above 0 for logits), else the largest output.
    """

    name = "accuracy"

    def terms(self, y: Node, p: Node, loss: Loss) -> list[Node]:
        """Return 1 where the class is right."""
        if loss.classes:
            right = equal(argmax(p, -1), y)
        elif p.ndim > 1 and p.shape[-1] > 1:
            right = equal(argmax(p, -1), argmax(y, -1))
        else:
            right = equal(_positive(p, loss), _positive_target(y, loss))
        return [per_example(cast(right, p.dtype), p.shape[0], "accuracy")]


class Precision(Metric):
    """Of the examples predicted positive, the share that is; 0 when there are none."""

    name = "precision"

    def terms(self, y: Node, p: Node, loss: Loss) -> list[Node]:
        """Return true positives and predicted positives."""
        return _positives(self.name, y, p, loss, predicted=True)

    def result(self, sums: Any, count: Any) -> Any:
        """Return true positives / predicted positives."""
        return np.where(sums[1] > 0, sums[0] / np.maximum(sums[1], 1e-300), 0.0)[()]


class Recall(Metric):
    """Of the examples that are positive, the share predicted so; 0 when there are none."""

    name = "recall"

    def terms(self, y: Node, p: Node, loss: Loss) -> list[Node]:
        """Return true positives and positives."""
        return _positives(self.name, y, p, loss, predicted=False)

    def result(self, sums: Any, count: Any) -> Any:
        """Return true positives / positives."""
        return np.where(sums[1] > 0, sums[0] / np.maximum(sums[1], 1e-300), 0.0)[()]


class R2Score(Metric):
    """R² = 1 − Σ(y − ŷ)² / Σ(y − ȳ)², over all outputs together; nan for targets all equal."""

    name = "r2"

    def terms(self, y: Node, p: Node, loss: Loss) -> list[Node]:
        """Return squared errors, targets and squared targets, each as means over the outputs."""
        n = p.shape[0]
        wide = [t.astype(float) for t in (y, p)]
        parts = [square(wide[1] - wide[0]), wide[0], square(wide[0])]
        return [per_example(part, n, self.name) for part in parts]

    def result(self, sums: Any, count: Any) -> Any:
        """Return R²."""
        spread = sums[2] - sums[1] ** 2 / count
        return np.where(spread > 0, 1 - sums[0] / np.where(spread > 0, spread, 1), np.nan)[()]


@dataclass(eq=False, repr=False)
class MeanOf(Metric):
    """The mean of a loss, or of a user's function of targets and predictions.

    Args:
        function: of targets and predictions, one number per example or more.
        name: the key in the history.
    """

    function: Any
    name: str = "mean"

    def terms(self, y: Node, p: Node, loss: Loss) -> list[Node]:
        """Return the function's values."""
        return [per_example(self.function(y, p), p.shape[0], f"metric {self.name!r}")]


def _positive(p: Node, loss: Loss) -> Node:
    return p > (0.0 if loss.from_logits or loss.signed else 0.5)


def _positive_target(y: Node, loss: Loss) -> Node:
    return y > (0.0 if loss.signed else 0.5)


def _positives(name: str, y: Node, p: Node, loss: Loss, *, predicted: bool) -> list[Node]:
    if loss.classes or p.size != p.shape[0]:
        raise NetworkError(f"{name} is of two classes: expected one output, got shape {p.shape}")
    yes, truth = _positive(p, loss), _positive_target(y, loss)
    both = [yes & truth, yes if predicted else truth]
    return [reshape(cast(b, p.dtype), (p.shape[0],)) for b in both]


NAMES: dict[str, type[Metric]] = {
    "accuracy": Accuracy, "acc": Accuracy, "precision": Precision, "recall": Recall,
    "r2": R2Score, "r2_score": R2Score,
}  # fmt: skip


def metric_of(given: Any) -> Metric:
    """Return the metric a word stands for; losses and functions are averaged.

    Raises:
        NetworkError: when it is nothing of these.
    """
    if isinstance(given, type) and issubclass(given, Metric):
        return given()
    if isinstance(given, Metric):
        return given
    if isinstance(given, str) and given.lower() in NAMES:
        return NAMES[given.lower()]()
    if isinstance(given, str) and given.lower() in LOSSES:
        return MeanOf(loss_of(given), given.lower())
    if isinstance(given, str) or not callable(given):
        raise NetworkError(f"metric {given!r}: expected {listed(str(given), {**NAMES, **LOSSES})}")
    return MeanOf(given, getattr(given, "__name__", "metric"))
