"""Batch normalization: features with mean 0 and variance 1 over the batch, then scaled again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from graphgrad import shapes
from graphgrad.errors import NetworkError
from graphgrad.graph import Node
from graphgrad.nn.layer import Layer
from graphgrad.nn.parts import Run
from graphgrad.ops.arithmetic import sqrt, square
from graphgrad.ops.reduce import mean
from graphgrad.ops.reduce import sum as total
from graphgrad.ops.shape import reshape

__all__ = ["BatchNormalization"]


@dataclass(eq=False, repr=False)
class BatchNormalization(Layer):
    """γ (x − μ) / √(σ² + ε) + β, with μ and σ² of the batch (Ioffe and Szegedy 2015).

    At prediction, moving averages stand for μ and σ². The variance is the biased one, also in the
    average, as in Keras. Rows that only fill a batch up do not count.

    Args:
        axis: of the features, which are normalized one by one; counted with the batch's axis.
        momentum: of the moving averages: avg ← momentum · avg + (1 − momentum) · new.
        epsilon: keeps the root away from 0.
        center, scale: whether there are β and γ.

    Example:
        >>> from graphgrad import nn
        >>> model = nn.Sequential([nn.BatchNormalization(input_shape=(3,))])
        >>> [w.node.name for w in model.weights]
        ['γ', 'β', 'moving_mean', 'moving_variance']
    """

    axis: int = -1
    momentum: float = 0.99
    epsilon: float = 1e-3
    center: bool = True
    scale: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.momentum < 1:
            raise NetworkError(f"momentum={self.momentum!r}: expected a number in [0, 1)")

    def build(self, shape: Any) -> None:
        """Make γ, β and the moving averages, one number per feature."""
        axis = shapes.one_axis(self.axis, len(shape) + 1)
        if axis == 0:
            raise NetworkError("BatchNormalization: axis 0 is the batch's; name that of features")
        size = (shape[axis - 1],)
        if self.scale:
            self.gamma = self.add_weight("γ", size, "ones")
        if self.center:
            self.beta = self.add_weight("β", size, "zeros")
        self.moving_mean = self.add_weight("moving_mean", size, "zeros", trainable=False)
        self.moving_variance = self.add_weight("moving_variance", size, "ones", trainable=False)

    def call(self, x: Node, run: Run) -> Node:
        """Return x, normalized."""
        axis = shapes.one_axis(self.axis, x.ndim)
        wide = tuple(n if k == axis else 1 for k, n in enumerate(x.shape))
        if run.training and self.trainable:
            center, spread = self._moments(x, axis, run)
            self._follow(run, self.moving_mean, center)
            self._follow(run, self.moving_variance, spread)
        else:
            center, spread = self.moving_mean, self.moving_variance
        y = (x - reshape(center, wide)) / sqrt(reshape(spread, wide) + self.epsilon)
        if self.scale:
            y = y * reshape(self.gamma, wide)
        return y + reshape(self.beta, wide) if self.center else y

    def _moments(self, x: Node, axis: int, run: Run) -> tuple[Node, Node]:
        """Return mean and variance of each feature over the examples of the batch."""
        over = tuple(k for k in range(x.ndim) if k != axis)
        if run.mask is None:
            center = mean(x, over, keepdims=True)
            spread = mean(square(x - center), over)
            return reshape(center, (-1,)), spread
        mask = reshape(run.mask.astype(x.dtype), (-1, *(1,) * (x.ndim - 1)))
        others = shapes.size(x.shape) // (x.shape[0] * x.shape[axis])
        each = total(mask) * others
        center = total(mask * x, over, keepdims=True) / each
        spread = total(mask * square(x - center), over) / each
        return reshape(center, (-1,)), spread

    def _follow(self, run: Run, average: Node, new: Node) -> None:
        old = run.updates.get(average, average)
        run.updates[average] = self.momentum * old + (1 - self.momentum) * new
