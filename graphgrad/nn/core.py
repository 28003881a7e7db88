"""Layers of any network: Dense, Activation, Dropout, Flatten, Reshape, Concatenate, Add."""

from __future__ import annotations

import functools
import operator
from dataclasses import dataclass
from typing import Any

from graphgrad import shapes
from graphgrad.errors import NetworkError, ShapeError
from graphgrad.functions import dropout
from graphgrad.graph import Node
from graphgrad.nn.activations import activation_function
from graphgrad.nn.layer import Layer
from graphgrad.nn.parts import Run
from graphgrad.ops.shape import concatenate, reshape

__all__ = ["Activation", "Add", "Concatenate", "Dense", "Dropout", "Flatten", "Reshape", "count"]


def count(name: str, value: Any) -> int:
    """Return a whole number of at least 1.

    Raises:
        ShapeError: when it is something else.
    """
    try:
        n = operator.index(value)
    except TypeError:
        n = 0
    if n < 1 or isinstance(value, bool):
        raise ShapeError(f"{name}={value!r}: expected a whole number of at least 1")
    return n


@dataclass(eq=False, repr=False)
class Dense(Layer):
    """A fully connected layer: activation(x W + b).

    Args:
        units: number of outputs.
        activation: a name such as "relu", a function of nodes, or None.
        use_bias: whether there is a b.
        kernel_initializer, bias_initializer: how W and b start.
        kernel_regularizer, bias_regularizer: penalties on W and b.

    Example:
        >>> from graphgrad import nn
        >>> model = nn.Sequential([nn.Dense(3, activation="relu", input_shape=(2,))])
        >>> model.layers[0].kernel.shape
        (2, 3)
    """

    units: int
    activation: Any = None
    use_bias: bool = True
    kernel_initializer: Any = "glorot_uniform"
    bias_initializer: Any = "zeros"
    kernel_regularizer: Any = None
    bias_regularizer: Any = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.units = count("units", self.units)
        self._function = activation_function(self.activation)

    def build(self, shape: Any) -> None:
        """Make W, shape (inputs, units), and b."""
        if not shape or isinstance(shape, list):
            raise ShapeError(f"Dense: expected one input with an axis of features, got {shape}")
        self.kernel = self.add_weight(
            "W", (shape[-1], self.units), self.kernel_initializer,
            regularizer=self.kernel_regularizer,
        )  # fmt: skip
        if self.use_bias:
            self.bias = self.add_weight(
                "b", (self.units,), self.bias_initializer, regularizer=self.bias_regularizer
            )

    def call(self, x: Node, run: Run) -> Node:
        """Return shape (batch, …, units) for x of shape (batch, …, inputs)."""
        rows = x if x.ndim == 2 else reshape(x, (-1, x.shape[-1]))
        z = rows @ self.kernel
        if self.use_bias:
            z = z + self.bias
        if x.ndim != 2:
            z = reshape(z, (*x.shape[:-1], self.units))
        return self._function(z.named("z"))


@dataclass(eq=False, repr=False)
class Activation(Layer):
    """An activation function as a layer.

    Args:
        activation: a name such as "relu", or a function of nodes.
    """

    activation: Any

    def __post_init__(self) -> None:
        super().__post_init__()
        self._function = activation_function(self.activation)

    def call(self, x: Node, run: Run) -> Node:
        """Return activation(x)."""
        return self._function(x)


@dataclass(eq=False, repr=False)
class Dropout(Layer):
    """In training, sets a random share of the entries to 0 and scales up the others.

    Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov 2014. At prediction it does
    nothing. The masks come from the counter-based generator: same seed, same masks.

    Args:
        rate: the share to drop, in [0, 1).
        seed: of the masks; by default that of the network and the layer's place in it.
    """

    rate: float
    seed: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.rate, int | float) or not 0 <= self.rate < 1:
            raise NetworkError(f"Dropout: rate={self.rate!r}; expected a number in [0, 1)")

    def call(self, x: Node, run: Run) -> Node:
        """Return x, in training with holes."""
        if not run.training or run.counter is None or not self.rate:
            return x
        seed = run.next_seed() if self.seed is None else self.seed
        return dropout(x, self.rate, run.counter, seed)


@dataclass(eq=False, repr=False)
class Flatten(Layer):
    """All axes but the batch's as one."""

    def call(self, x: Node, run: Run) -> Node:
        """Return shape (batch, entries)."""
        return reshape(x, (x.shape[0], shapes.size(x.shape[1:])))


@dataclass(eq=False, repr=False)
class Reshape(Layer):
    """The entries of each example in another shape.

    Args:
        target_shape: without the batch's axis; one size may be -1.
    """

    target_shape: Any

    def __post_init__(self) -> None:
        super().__post_init__()
        sizes = self.target_shape
        self.target_shape = tuple(sizes) if isinstance(sizes, list | tuple) else (sizes,)

    def call(self, x: Node, run: Run) -> Node:
        """Return shape (batch, *target_shape)."""
        sizes = list(self.target_shape)
        if -1 in sizes:
            rest = shapes.size(tuple(n for n in sizes if n != -1))
            sizes[sizes.index(-1)] = shapes.size(x.shape[1:]) // max(rest, 1)
        return reshape(x, (x.shape[0], *sizes))


@dataclass(eq=False, repr=False)
class Concatenate(Layer):
    """Several inputs joined along an axis.

    Args:
        axis: counted with the batch's axis; by default the last.
    """

    axis: int = -1

    def call(self, x: list[Node], run: Run) -> Node:
        """Return the inputs joined."""
        return concatenate(x, self.axis)


@dataclass(eq=False, repr=False)
class Add(Layer):
    """The sum of several inputs, as skip connections need it (He, Zhang, Ren and Sun 2016)."""

    def call(self, x: list[Node], run: Run) -> Node:
        """Return the sum."""
        return functools.reduce(operator.add, x)
