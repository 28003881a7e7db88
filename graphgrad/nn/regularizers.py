"""Penalties on parameters, added to the loss: L1, L2, and both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from graphgrad.graph import Node
from graphgrad.nn.naming import Configurable, choose
from graphgrad.ops.arithmetic import abs as absolute
from graphgrad.ops.arithmetic import square
from graphgrad.ops.reduce import sum as total

__all__ = ["L1", "L1L2", "L2", "Regularizer"]


class Regularizer(Configurable):
    """A penalty on a parameter: ``regularizer(W)`` is a scalar node."""

    def __call__(self, w: Node) -> Node:
        """Return the penalty."""
        raise NotImplementedError


@dataclass(eq=False, repr=False)
class L1(Regularizer):
    """l1 · Σ|w| (Tibshirani 1996): drives weights to 0 exactly."""

    l1: float = 0.01

    def __call__(self, w: Node) -> Node:
        """Return the penalty."""
        return self.l1 * total(absolute(w))


@dataclass(eq=False, repr=False)
class L2(Regularizer):
    """l2 · Σw² (weight decay): keeps weights small."""

    l2: float = 0.01

    def __call__(self, w: Node) -> Node:
        """Return the penalty."""
        return self.l2 * total(square(w))


@dataclass(eq=False, repr=False)
class L1L2(Regularizer):
    """l1 · Σ|w| + l2 · Σw² (Zou and Hastie 2005, the elastic net)."""

    l1: float = 0.0
    l2: float = 0.0

    def __call__(self, w: Node) -> Node:
        """Return the penalty."""
        return self.l1 * total(absolute(w)) + self.l2 * total(square(w))


def regularizer(given: Any) -> Any:
    """Return the regularizer a word stands for; objects and None pass unchanged."""
    return choose(given, {"l1": L1, "l2": L2}, "regularizer")
