"""`Model`: a network from inputs to outputs, functional, with everything one does with it."""

from __future__ import annotations

from typing import Any

from graphgrad.nn.summary import summary
from graphgrad.nn.training import Trainable

__all__ = ["Model"]


class Model(Trainable):
    """A network from inputs to outputs; layers may be shared, inputs and outputs several.

    Args:
        inputs: an `Input`, or a list of them.
        outputs: what a layer gave, or a list of them.
        name: of the network.
        seed: of first values, dropout and shuffling.

    Example:
        >>> from graphgrad import nn
        >>> a, b = nn.Input(2), nn.Input(2)
        >>> twin = nn.Dense(3, activation="relu")
        >>> joined = nn.Concatenate()([twin(a), twin(b)])
        >>> model = nn.Model([a, b], nn.Dense(1)(joined))
        >>> model.predict([[[1.0, 2.0]], [[3.0, 4.0]]]).shape
        (1, 1)
    """

    def summary(self, console: Any = None) -> None:
        """Print a table of the layers: settings, output shapes, parameters, FLOPs.

        Args:
            console: a rich console to print to.

        Example:
            >>> from graphgrad import nn
            >>> from rich.console import Console
            >>> model = nn.Sequential([nn.Dense(16, activation="relu", input_shape=(2,))])
            >>> model.summary(Console(width=100))
            Model "sequential"
            ...48 parameters, 48 of them trained; 96 floating operations forward per example
        """
        summary(self, console)
