"""`Sequential`: layers one after the other, connected once the shape of an example is known."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from graphgrad import shapes
from graphgrad.errors import NetworkError
from graphgrad.nn.layer import Layer, Symbol
from graphgrad.nn.model import Model
from graphgrad.nn.network import Input

__all__ = ["Sequential"]


class Sequential(Model):
    """A network of layers, each fed by the one before.

    The shape of an example is taken from an `Input` put first, from the first layer's
    `input_shape`, or from the data it is first given.

    Args:
        layers: in order; more can be added with `add`.
        name: of the network.
        seed: of first values, dropout and shuffling.

    Example:
        >>> from graphgrad import nn
        >>> X, y = nn.datasets.xor()
        >>> model = nn.Sequential([nn.Dense(8, activation="tanh"), nn.Dense(1, "sigmoid")])
        >>> model.compile(nn.Adam(0.1), "binary_crossentropy", ["accuracy"], target="numpy")
        >>> history = model.fit(X, y, epochs=100, batch_size=4, verbose=0)
        >>> history.history["accuracy"][-1]
        1.0
    """

    _kind = "sequential"

    def __init__(self, layers: Iterable[Any] = (), name: str | None = None, seed: int = 0) -> None:
        self._stack: list[Layer] = []
        self._start: Symbol | None = None
        super().__init__((), (), name, seed)
        for layer in layers:
            self.add(layer)

    def add(self, layer: Any) -> None:
        """Put a layer at the end.

        Raises:
            NetworkError: when it is no layer, or in the network already.
        """
        if isinstance(layer, Symbol):
            if self._stack or layer.call is not None:
                raise NetworkError("an input can only be the first in a Sequential")
            self._start = layer
            return
        if not isinstance(layer, Layer):
            raise NetworkError(
                f"Sequential: {layer!r} is no layer; expected objects such as nn.Dense(8)"
            )
        if layer in self._stack:
            raise NetworkError(f"{layer.label} is in this Sequential already: make another")
        if not self._stack and layer.input_shape is not None and self._start is None:
            self._start = Input(shapes.as_shape(layer.input_shape, 1), layer.input_dtype)
        self._stack.append(layer)
        if self._start is not None:
            first = self.outputs[0] if self.outputs else self._start
            self._connect([self._start], [layer(first)])
        else:
            self.layers = list(self._stack)

    def build(self, input_shape: Any, dtype: Any = None) -> None:
        """Connect the layers for examples of a shape, if that has not been done.

        Args:
            input_shape: of one example, without the batch's axis.
            dtype: of the inputs; float32 by default, int64 where the first layer wants that.
        """
        if self._start is not None or not self._stack:
            return
        wanted = self._stack[0].input_dtype
        self._start = Input(input_shape, dtype if wanted is None else wanted)
        last = self._start
        for layer in self._stack:
            last = layer(last)
        self._connect([self._start], [last])

    @property
    def built(self) -> bool:
        """Whether the shape of an example is known, so that there are parameters."""
        return bool(self.outputs)
