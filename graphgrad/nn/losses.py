"""Losses, one number per example: squared and absolute error, Huber, hinge, cross-entropies.

A loss is called with targets and predictions, in Keras' order, and gives a node of shape
(batch, …); the network averages. Cross-entropies of probabilities that come straight from a sigmoid
or a softmax are computed from its logits, which is the same number, and stable at ±1000.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphgrad import dtypes
from graphgrad.errors import NetworkError, ShapeError
from graphgrad.functions import one_hot
from graphgrad.graph import Node
from graphgrad.nn.naming import Configurable, choose
from graphgrad.ops.activation import relu, softplus
from graphgrad.ops.arithmetic import abs as absolute
from graphgrad.ops.arithmetic import square
from graphgrad.ops.choices import clip
from graphgrad.ops.elementwise import log
from graphgrad.ops.reduce import logsumexp, mean
from graphgrad.ops.reduce import sum as total
from graphgrad.shapes import Shape

__all__ = [
    "BinaryCrossentropy", "CategoricalCrossentropy", "Hinge", "Huber", "Loss", "MeanAbsoluteError",
    "MeanSquaredError", "SparseCategoricalCrossentropy",
]  # fmt: skip


class Loss(Configurable):
    """What is minimized: ``loss(y_true, y_pred)`` is a node of one number per example or more."""

    from_logits = False
    classes = False
    """Whether targets are class numbers."""
    signed = False
    """Whether the two classes are −1 and 1."""

    def target(self, prediction: Node) -> tuple[Shape, Any]:
        """Return shape and type that targets have for a prediction of shape (batch, …)."""
        return prediction.shape, prediction.dtype

    def __call__(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each example."""
        raise NotImplementedError


class MeanSquaredError(Loss):
    """(ŷ − y)²."""

    def __call__(self, y_true: Any, y_pred: Any) -> Any:
        """Return the squared errors."""
        return square(y_pred - y_true)


class MeanAbsoluteError(Loss):
    """|ŷ − y|."""

    def __call__(self, y_true: Any, y_pred: Any) -> Any:
        """Return the absolute errors."""
        return absolute(y_pred - y_true)


@dataclass(eq=False, repr=False)
class Huber(Loss):
    """½e² for |e| ≤ delta, else delta(|e| − ½ delta) (Huber 1964)."""

    delta: float = 1.0

    def __call__(self, y_true: Any, y_pred: Any) -> Any:
        """Return the losses."""
        error = absolute(y_pred - y_true)
        inside = clip(error, 0.0, self.delta)
        return inside * (error - 0.5 * inside)


class Hinge(Loss):
    """max(0, 1 − y ŷ) for targets of −1 and 1."""

    signed = True

    def __call__(self, y_true: Any, y_pred: Any) -> Any:
        """Return the losses."""
        return relu(1 - y_true * y_pred)


@dataclass(eq=False, repr=False)
class BinaryCrossentropy(Loss):
    """−y log ŷ − (1 − y) log(1 − ŷ).

    Args:
        from_logits: whether ŷ is the sigmoid of what the network gives.
    """

    from_logits: bool = False

    def __call__(self, y_true: Any, y_pred: Any) -> Any:
        """Return the losses; from logits softplus(z) − y z."""
        z = y_pred if self.from_logits else _before_sigmoid(y_pred)
        if z is not None:
            return softplus(z) - y_true * z
        p = clip(y_pred, _tiny(y_pred), 1 - _tiny(y_pred))
        return -y_true * log(p) - (1 - y_true) * log(1 - p)


@dataclass(eq=False, repr=False)
class CategoricalCrossentropy(Loss):
    """−Σ y log ŷ over the last axis, for targets that are distributions, such as one-hot rows.

    Args:
        from_logits: whether ŷ is the softmax of what the network gives.
    """

    from_logits: bool = False

    def __call__(self, y_true: Any, y_pred: Any) -> Any:
        """Return the losses; from logits log Σ eᶻ − Σ y z."""
        z = y_pred if self.from_logits else _before_softmax(y_pred)
        if z is not None:
            return logsumexp(z, -1) * total(y_true, -1) - total(y_true * z, -1)
        return -total(y_true * log(clip(y_pred, _tiny(y_pred), 1.0)), -1)


@dataclass(eq=False, repr=False)
class SparseCategoricalCrossentropy(Loss):
    """−log ŷ of the right class, for targets that are class numbers from 0.

    Args:
        from_logits: whether ŷ is the softmax of what the network gives.
    """

    from_logits: bool = False
    classes = True

    def target(self, prediction: Node) -> tuple[Shape, Any]:
        """Return the prediction's shape without its last axis, and int64."""
        return prediction.shape[:-1], dtypes.INT64

    def __call__(self, y_true: Any, y_pred: Any) -> Any:
        """Return the losses; from logits log Σ eᶻ − z of the right class."""
        chosen = one_hot(y_true, y_pred.shape[-1], y_pred.dtype)
        z = y_pred if self.from_logits else _before_softmax(y_pred)
        if z is not None:
            return logsumexp(z, -1) - total(chosen * z, -1)
        return -total(chosen * log(clip(y_pred, _tiny(y_pred), 1.0)), -1)


def _tiny(probability: Any) -> float:
    """Return how far probabilities are kept from 0 and 1."""
    return 1e-7 if getattr(probability, "dtype", None) == np.float32 else 1e-12


def _before_sigmoid(p: Any) -> Any:
    """Return z where p is the node sigmoid(z); None otherwise."""
    return p.inputs[0] if isinstance(p, Node) and p.op == "sigmoid" else None


def _before_softmax(p: Any) -> Any:
    """Return z where p is the node exp(z − logsumexp(z)) over the last axis; None otherwise."""
    if not isinstance(p, Node) or p.op != "exp" or p.inputs[0].op != "sub":
        return None
    z, norm = p.inputs[0].inputs
    last = norm.op == "logsumexp" and norm.settings["axis"] == (z.ndim - 1,)
    return z if last and norm.inputs[0] is z else None


NAMES: dict[str, type[Loss]] = {
    "mse": MeanSquaredError, "mean_squared_error": MeanSquaredError,
    "mae": MeanAbsoluteError, "mean_absolute_error": MeanAbsoluteError,
    "huber": Huber, "hinge": Hinge,
    "binary_crossentropy": BinaryCrossentropy,
    "categorical_crossentropy": CategoricalCrossentropy,
    "sparse_categorical_crossentropy": SparseCategoricalCrossentropy,
}  # fmt: skip


class _Own(Loss):
    """A user's function as a loss."""

    def __init__(self, function: Callable[[Any, Any], Any]) -> None:
        self.function = function

    def __call__(self, y_true: Any, y_pred: Any) -> Any:
        return self.function(y_true, y_pred)


def loss_of(given: Any) -> Loss:
    """Return the loss a word stands for; functions of (y_true, y_pred) become losses.

    Raises:
        NetworkError: when it is neither.
    """
    found = choose(given, NAMES, "loss")
    if not isinstance(found, Loss):
        if not callable(found):
            raise NetworkError(f"loss {given!r}: expected a name, an nn.Loss, or a function")
        found = _Own(found)
    return found


def per_example(values: Any, batch: int, what: str) -> Node:
    """Return one number per example: the mean over all axes but the first.

    Raises:
        ShapeError: when there is no axis of examples.
    """
    if not isinstance(values, Node) or values.shape[:1] != (batch,):
        shape = getattr(values, "shape", None)
        raise ShapeError(
            f"{what} gives shape {shape} for a batch of {batch}: expected a node with one number "
            f"per example (leave out the mean over the batch)"
        )
    return values if values.ndim == 1 else mean(values, tuple(range(1, values.ndim)))
