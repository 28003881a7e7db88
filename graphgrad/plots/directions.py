"""Directions to look at a network's loss along, and the path its weights take in training.

Random directions are normalized filter by filter, as Li, Xu, Taylor, Studer and Goldstein 2018,
"Visualizing the loss landscape of neural nets" (NeurIPS), arXiv:1712.09913, have it: a network can
be scaled without changing what it computes, and so would the distances in a picture be.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphgrad.errors import GraphError
from graphgrad.nn.callbacks import Callback

__all__ = ["WeightPath", "filter_normalized", "principal", "projected", "share"]


class WeightPath(Callback):
    """A callback for `fit` that remembers the weights after each epoch, for `landscape`.

    Args:
        every: epochs between two remembered.

    Attributes:
        weights: lists of arrays, as ``model.get_weights()`` gives; the first are before training.
    """

    def __init__(self, every: int = 1) -> None:
        self.every = every
        self.weights: list[list[Any]] = []

    def on_epoch_begin(self, epoch: int) -> None:
        """Remember the weights training starts with."""
        if not self.weights:
            self.weights.append(self.model.get_weights())

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Remember the weights."""
        if (epoch + 1) % self.every == 0:
            self.weights.append(self.model.get_weights())


def filter_normalized(weights: Sequence[Any], random: np.random.Generator) -> list[Any]:
    """Return a random direction, each filter as long as the filter of the weights.

    A filter is what feeds one unit: a column of a matrix (inputs, units), or the numbers with the
    same first index of a kernel (filters, channels, rows, columns). Biases and the like, weights of
    one axis, have the direction 0.

    Example:
        >>> W = np.array([[3.0, 0.0], [4.0, 1.0]])
        >>> d, zero = filter_normalized([W, np.ones(2)], np.random.default_rng(0))
        >>> np.linalg.norm(d, axis=0).round(9).tolist(), zero.tolist()
        ([5.0, 1.0], [0.0, 0.0])
    """
    direction = []
    for w in weights:
        if w.ndim < 2:
            direction.append(np.zeros(w.shape))
            continue
        d = random.standard_normal(w.shape)
        axes = 0 if w.ndim == 2 else tuple(range(1, w.ndim))
        norms = [np.sqrt((a**2).sum(axes, keepdims=True)) for a in (w, d)]
        direction.append(d * norms[0] / norms[1])
    return direction


def principal(path: Sequence[Sequence[Any]], center: Sequence[Any]) -> list[list[Any]]:
    """Return the two directions of length 1 in which a path moves most, seen from the centre.

    Args:
        path: weights, as `WeightPath` remembers them.
        center: weights, usually those at the path's end.

    Raises:
        GraphError: when the path has fewer than three points.
    """
    if len(path) < 3:
        raise GraphError(f"a path of {len(path)} points; its two main directions need three")
    _, _, rows = np.linalg.svd(_moves(path, center), full_matrices=False)
    return [_shaped(row, center) for row in rows[:2]]


def share(
    path: Sequence[Sequence[Any]], center: Sequence[Any], directions: Sequence[Sequence[Any]]
) -> float:
    """Return what part of a path's squared distances from the centre some directions span.

    Example:
        >>> share([[np.array([3.0, 4.0])]], [np.zeros(2)], [[np.array([0.0, 2.0])]])
        0.64
    """
    moves = _moves(path, center)
    basis = np.linalg.qr(np.array([_flat(d) for d in directions]).T)[0]
    whole = float((moves**2).sum())
    return float(((moves @ basis) ** 2).sum()) / whole if whole else 0.0


def projected(
    path: Sequence[Sequence[Any]], center: Sequence[Any], directions: Sequence[Sequence[Any]]
) -> Any:
    """Return where a path is, in units of two directions from the centre, by least squares.

    Returns:
        Shape (points, 2).
    """
    basis = np.array([_flat(d) for d in directions])
    return np.linalg.lstsq(basis.T, _moves(path, center).T, rcond=None)[0].T


def _moves(path: Sequence[Sequence[Any]], center: Sequence[Any]) -> Any:
    return np.array([_flat(w) - _flat(center) for w in path])


def _flat(weights: Sequence[Any]) -> Any:
    return np.concatenate([np.asarray(w, float).ravel() for w in weights])


def _shaped(row: Any, like: Sequence[Any]) -> list[Any]:
    ends = np.cumsum([w.size for w in like])[:-1]
    return [part.reshape(w.shape) for part, w in zip(np.split(row, ends), like)]
