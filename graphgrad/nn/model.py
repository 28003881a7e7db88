"""`Model`: a network from inputs to outputs, functional, with everything one does with it."""

from __future__ import annotations

from typing import Any

from graphgrad.nn import checkpoint
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

    def save(self, path: Any) -> None:
        """Write the network to a file: structure, parameters, optimizer, counters, `extra`.

        The file is an ``.npz`` of plain arrays with one JSON text, never pickle, and is put in
        its place in one stroke: killed at any moment, the old file or the new one is there.

        Args:
            path: of the file; written as given.

        Raises:
            NetworkError: when a part of it cannot be written, such as a lambda.
        """
        checkpoint.save(self, path)

    def restore(self, path: Any) -> dict[str, Any] | None:
        """Take up parameters, optimizer and counters from a file of this very network.

        Returns:
            The state of the training the file was saved in; None when there was none.

        Raises:
            CheckpointError: when it is the file of another network, or damaged.
        """
        return checkpoint.restore(self, path)

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
