"""`Model`: a network from inputs to outputs, functional, with everything one does with it."""

from __future__ import annotations

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
