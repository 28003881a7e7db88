"""Activation functions by name, as layers take them: relu, sigmoid, softmax and more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphgrad import functions
from graphgrad.errors import NetworkError
from graphgrad.graph import Node
from graphgrad.nn.naming import FUNCTIONS, choose
from graphgrad.ops import activation, arithmetic, elementwise

__all__ = ["ACTIVATIONS", "activation_function"]


def linear(x: Any) -> Any:
    """Return x."""
    return x


ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "linear": linear,
    "relu": activation.relu,
    "sigmoid": activation.sigmoid,
    "tanh": elementwise.tanh,
    "softmax": functions.softmax,
    "log_softmax": functions.log_softmax,
    "softplus": activation.softplus,
    "elu": activation.elu,
    "leaky_relu": activation.leaky_relu,
    "gelu": activation.gelu,
    "silu": activation.silu,
    "swish": activation.silu,
    "log_sigmoid": activation.log_sigmoid,
    "exponential": elementwise.exp,
    "exp": elementwise.exp,
    "sin": elementwise.sin,
    "square": arithmetic.square,
}
FUNCTIONS.update(ACTIVATIONS)


def activation_function(given: Any) -> Callable[[Node], Node]:
    """Return the function a word stands for; None is the identity, functions pass unchanged.

    Example:
        >>> float(activation_function("relu")(-2.0))
        0.0
    """
    found: Any = choose("linear" if given is None else given, ACTIVATIONS, "activation")
    if not callable(found):
        raise NetworkError(f"activation {given!r}: expected a name, a function of nodes, or None")
    return found
