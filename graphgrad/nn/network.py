"""How layers make a network: functional from inputs to outputs, or one after the other.

A network is a list of calls in order. Running it means making their nodes, for a batch of any
size, in training or not; the parameters are the same variables every time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from graphgrad import dtypes, shapes
from graphgrad.errors import NetworkError
from graphgrad.graph import Node, var
from graphgrad.nn.layer import Call, Layer, Symbol
from graphgrad.nn.parts import Run, Weight

__all__ = ["Input", "Network"]


def Input(shape: Any = (), dtype: Any = None, name: str | None = None) -> Symbol:  # noqa: N802
    """Return what stands for the input of a functional network.

    Args:
        shape: of one example; an int is one axis.
        dtype: float32 by default; "int64" for positions that go into an Embedding; "float64"
            makes the layers that follow float64.
        name: of the input, such as "x".

    Example:
        >>> from graphgrad import nn
        >>> inputs = nn.Input(3)
        >>> hidden = nn.Dense(4, activation="relu")(inputs)
        >>> model = nn.Model(inputs, nn.Dense(2)(hidden))
        >>> model.predict([[1.0, 2.0, 3.0]]).shape
        (1, 2)
    """
    kind = dtypes.FLOAT32 if dtype is None else dtypes.canonical(dtype)
    return Symbol(shapes.as_shape(shape, 1), kind, None, name)


class Network:
    """The structure: inputs, calls in order, outputs, and the layers' parameters.

    Attributes:
        inputs, outputs: symbols.
        layers: each once, in the order they are called.
        seed: of first values, dropout and shuffling.
    """

    _kind: ClassVar[str] = "model"
    """What its file calls it."""

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None, seed: int = 0) -> None:
        self.name = name or type(self).__name__.lower()
        self.seed = seed
        self.layers: list[Layer] = []
        self.calls: list[Call] = []
        self.inputs: list[Symbol] = []
        self.outputs: list[Symbol] = []
        self._connect(_symbols("inputs", inputs), _symbols("outputs", outputs))

    def _connect(self, inputs: list[Symbol], outputs: list[Symbol]) -> None:
        self.inputs, self.outputs = inputs, outputs
        self.calls = _in_order(inputs, outputs)
        self.layers = list(dict.fromkeys(call.layer for call in self.calls))
        self._name_layers()
        for layer in self.layers:
            layer.start(self.seed)

    def _name_layers(self) -> None:
        """Give layers without a name their class's, with a number from the second on."""
        taken = [layer.name for layer in self.layers if layer.name]
        twice = {n for n in taken if taken.count(n) > 1}
        if twice:
            raise NetworkError(f"two layers are called {twice.pop()!r}: names must differ")
        for place, layer in enumerate(self.layers):
            if layer.name is None:
                layer.name, k = layer.kind, 0
                while layer.name in taken:
                    k += 1
                    layer.name = f"{layer.kind}_{k}"
                taken.append(layer.name)
            layer.number = place

    @property
    def weights(self) -> list[Weight]:
        """All parameters, also those that training does not change."""
        return [w for layer in self.layers for w in layer.weights]

    @property
    def parameters(self) -> list[Node]:
        """The variables that training changes."""
        return [w.node for layer in self.layers for w in layer.parameters]

    def get_layer(self, name: str) -> Layer:
        """Return the layer of a name.

        Raises:
            NetworkError: when there is none.
        """
        for layer in self.layers:
            if layer.name == name:
                return layer
        names = ", ".join(str(layer.name) for layer in self.layers)
        raise NetworkError(f"no layer is called {name!r}; there are {names}")

    def count_params(self) -> int:
        """Return how many numbers the parameters have together."""
        return sum(w.node.size for w in self.weights)

    def get_weights(self) -> list[Any]:
        """Return the values of all parameters as arrays, layer by layer."""
        return [value for layer in self.layers for value in layer.get_weights()]

    def set_weights(self, values: Sequence[Any]) -> None:
        """Set all parameters, in the order of `get_weights`.

        Raises:
            NetworkError, ShapeError: when they do not fit.
        """
        if len(values) != len(self.weights):
            raise NetworkError(f"{len(self.weights)} parameters, got {len(values)} arrays")
        for w, value in zip(self.weights, values, strict=True):
            w.node.value = value

    def input_nodes(self, batch: int) -> list[Node]:
        """Return new variables for a batch of inputs."""
        several = len(self.inputs) > 1
        return [
            var(
                s.name or (f"x{k + 1}" if several else "x"),
                shape=(batch, *s.shape), dtype=s.dtype, role="input",
            )
            for k, s in enumerate(self.inputs)
        ]  # fmt: skip

    def forward(self, inputs: Sequence[Node], run: Run) -> list[Node]:
        """Return the outputs' nodes for inputs of shape (batch, …)."""
        known = self.trace(inputs, run)
        return [known[s] for s in self.outputs]

    def trace(self, inputs: Sequence[Node], run: Run) -> dict[Symbol, Node]:
        """Return the node of every input and of what every call gives, in order."""
        known = dict(zip(self.inputs, inputs, strict=True))
        for call in self.calls:
            known[call.output] = call.layer.nodes([known[s] for s in call.inputs], run)
        return known


def _symbols(what: str, given: Any) -> list[Symbol]:
    found = list(given) if isinstance(given, list | tuple) else [given]
    for s in found:
        if not isinstance(s, Symbol):
            raise NetworkError(f"{what}: {s!r}; expected nn.Input(…) or the output of a layer")
    return found


def _in_order(inputs: list[Symbol], outputs: list[Symbol]) -> list[Call]:
    """Return the calls between inputs and outputs, each after those it needs."""
    order: dict[Call, None] = {}
    given = set(inputs)
    stack = [(s, False) for s in reversed(outputs)]
    while stack:
        symbol, ready = stack.pop()
        call = symbol.call
        if symbol in given or call in order:
            continue
        if call is None:
            raise NetworkError(
                f"an input of shape {symbol.shape} leads to the outputs, but is not among the "
                f"inputs: name it in Model(inputs, outputs)"
            )
        if ready:
            order[call] = None
            continue
        stack.append((symbol, True))
        stack += [(s, False) for s in reversed(call.inputs)]
    return list(order)
