"""What a layer is: parameters made once, and nodes made of them whenever a graph is built.

A layer of your own derives from `Layer` and says two things: `build` makes its parameters with
`add_weight`, `call` makes its nodes. Shapes of outputs are found by calling it, so there is no rule
for them; a shape that does not fit is told with the layer's name.

A `Symbol` knows the `Call` it comes from, and that its layer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import numpy as np

from graphgrad import dtypes
from graphgrad.context import scope
from graphgrad.errors import DtypeError, GraphError, NetworkError, ShapeError
from graphgrad.graph import Node, var
from graphgrad.nn.initializers import initializer as initializer_of
from graphgrad.nn.naming import Configurable
from graphgrad.nn.parts import Run, Weight, loading
from graphgrad.nn.regularizers import regularizer as regularizer_of
from graphgrad.shapes import Shape

__all__ = ["Call", "Layer", "Symbol"]


@dataclass(eq=False, repr=False)
class Layer(Configurable):
    """A part of a network; derive from it to write your own.

    Args:
        name: by default its class's name, with a number where there are several.
        input_shape: of one example, for the first layer of a `Sequential`; an int is one axis.
        trainable: whether training changes its parameters.

    Example:
        >>> import graphgrad as gg
        >>> from graphgrad import nn
        >>> class Scale(nn.Layer):
        ...     def build(self, shape):
        ...         self.k = self.add_weight("k", (shape[-1],), "ones")
        ...     def call(self, x, run):
        ...         return x * self.k
        >>> model = nn.Sequential([Scale(input_shape=(2,)), nn.Dense(1)])
        >>> model.count_params()
        5
    """

    _: KW_ONLY
    name: str | None = None
    input_shape: Any = None
    trainable: bool = True

    input_dtype: ClassVar[str | None] = None
    """The type the layer wants its input to be; None: float32, or the type of what it gets."""

    def __post_init__(self) -> None:
        fine = self.name is None or (isinstance(self.name, str) and self.name.strip("/"))
        if not fine or "/" in (self.name or ""):
            raise NetworkError(f"layer name {self.name!r}: expected text without a slash")
        self.weights: list[Weight] = []
        self.built: Any = None
        self.number = 0
        self._dtype = dtypes.FLOAT32

    def build(self, shape: Any) -> None:
        """Make the parameters for inputs of `shape` (without the batch's axis)."""

    def call(self, x: Any, run: Run) -> Node:
        """Return the output, shape (batch, …), as a node made of `x` and the parameters."""
        raise NotImplementedError

    def add_weight(
        self,
        name: str,
        shape: Shape,
        initializer: Any = "glorot_uniform",
        *,
        trainable: bool = True,
        regularizer: Any = None,
        fans: tuple[int, int] | None = None,
    ) -> Node:
        """Make a parameter and return its variable; it has its first value when the network has.

        Args:
            name: such as "W"; unique in the layer.
            shape: of the parameter.
            initializer: a name or object.
            trainable: whether gradients are followed; moving averages are not.
            regularizer: a name, an object, or None.
            fans: fan_in and fan_out; by default the first and last size.
        """
        node = var(name, shape=shape, dtype=self._dtype, role="parameter")
        ends = (shape[0], shape[-1]) if shape else (1, 1)
        start = initializer_of(initializer)
        self.weights.append(
            Weight(node, start, fans or ends, trainable, regularizer_of(regularizer))
        )
        return node

    # -- what networks use -------------------------------------------------------------------

    @property
    def parameters(self) -> list[Weight]:
        """The weights that training changes."""
        return [w for w in self.weights if w.trainable and self.trainable]

    @property
    def kind(self) -> str:
        """The class's name in small letters: what layers are called by default."""
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(self).__name__).lower()

    def __call__(self, x: Any) -> Any:
        """Return the layer's output for a symbol, a node, or a list of them.

        Raises:
            ShapeError: when the shape does not fit the layer.
        """
        many = isinstance(x, list | tuple)
        given = list(x) if many else [x]
        if all(isinstance(g, Node) for g in given):
            self.make([g.shape[1:] for g in given] if many else x.shape[1:], given[0].dtype)
            self.start(0)
            return self.nodes(given, Run())
        if not given or not all(isinstance(g, Symbol) for g in given):
            raise NetworkError(
                f"{self.label} is called on {x!r}: expected nn.Input(…), the output of a layer, "
                f"or a graph node of shape (batch, …)"
            )
        self.make([g.shape for g in given] if many else x.shape, given[0].dtype)
        output = Symbol(*self._traced(given))
        output.call = Call(self, given, output)
        return output

    @property
    def label(self) -> str:
        """How messages speak of the layer."""
        return f"layer {self.name!r}" if self.name else f"a layer {type(self).__name__}"

    def make(self, shape: Any, dtype: Any) -> None:
        """Make the parameters, once."""
        if self.built is None:
            self._dtype = dtype if dtypes.is_float(dtype) else dtypes.FLOAT32
            try:
                self.build(shape)
            except GraphError as problem:
                raise type(problem)(f"{self.label}: {problem}") from None
            self.built = shape
        elif self.weights and self.built != shape:
            raise ShapeError(
                f"{self.label} was made for inputs of shape {self.built}, and is now called on "
                f"{shape}: its parameters fit only the first; make another layer"
            )

    def start(self, seed: int) -> None:
        """Give every parameter that has no value its first one."""
        if loading.get():
            return
        for k, w in enumerate(self.weights):
            if w.node._value is None and w.node._owner is None:
                key = (seed * 1009 + self.number) * 101 + k
                w.node.value = np.asarray(w.start(w.node.shape, w.fans, key))

    def nodes(self, inputs: Sequence[Node], run: Run) -> Node:
        """Return the output's node, made in the layer's scope."""
        try:
            with scope(self.name or self.kind):
                for w in self.weights:
                    w.node.scope = self.name or self.kind
                return self.call(inputs[0] if len(inputs) == 1 else list(inputs), run)
        except (ShapeError, DtypeError) as problem:
            given = " and ".join(str(x.shape[1:]) for x in inputs)
            raise type(problem)(
                f"{self.label} cannot take inputs of shape {given}: {problem}"
            ) from None

    def _traced(self, given: Sequence[Symbol]) -> tuple[Shape, Any]:
        """Return shape and type of the output, found by a call on variables without values."""
        inputs = [var("x", shape=(1, *g.shape), dtype=g.dtype) for g in given]
        found = self.nodes(inputs, Run())
        if not found.shape or found.shape[0] != 1:
            raise ShapeError(
                f"{self.label} gives shape {found.shape} for a batch of 1: the first axis must "
                f"stay the batch's"
            )
        return found.shape[1:], found.dtype

    def get_weights(self) -> list[Any]:
        """Return the values of all parameters, as arrays, in the order they were made."""
        return [np.array(w.node.value) for w in self.weights]

    def set_weights(self, values: Sequence[Any]) -> None:
        """Set the values of all parameters, in the order of `get_weights`.

        Raises:
            NetworkError: when there are too few or too many.
            ShapeError: when one does not fit.
        """
        if len(values) != len(self.weights):
            raise NetworkError(
                f"{self.label} has {len(self.weights)} parameters, got {len(values)} arrays"
            )
        for w, value in zip(self.weights, values, strict=True):
            w.node.value = value


@dataclass(eq=False)
class Call:
    """One use of a layer in a functional network: the symbols that go in and come out."""

    layer: Layer
    inputs: list[Symbol]
    output: Symbol


@dataclass(eq=False)
class Symbol:
    """What stands for an array in a functional network: `Input`, or the output of a layer.

    Attributes:
        shape: without the batch's axis.
        dtype: of the entries.
        call: the use of a layer it comes from; None for an input.
        name: of an input.
    """

    shape: Shape
    dtype: Any
    call: Call | None = None
    name: str | None = None
