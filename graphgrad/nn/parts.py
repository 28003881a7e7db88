"""What layers and networks are made of: weights, calls, symbols, and the run they are built in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from graphgrad.graph import Node
from graphgrad.shapes import Shape

if TYPE_CHECKING:
    from graphgrad.nn.layer import Layer

__all__ = ["Call", "Run", "Symbol", "Weight", "loading", "without_values"]

loading: ContextVar[bool] = ContextVar("graphgrad_loading", default=False)


@contextmanager
def without_values() -> Iterator[None]:
    """Leave parameters without values: those of a file follow."""
    token = loading.set(True)
    try:
        yield
    finally:
        loading.reset(token)


@dataclass
class Run:
    """What a layer may need to know of the graph being built, and what it may add to it.

    Attributes:
        training: whether dropout and its like are on.
        counter: int64 scalar that counts the training steps, for random numbers.
        mask: shape (batch,): 1 for an example, 0 for a row that only fills the batch up; None
            when every row is an example.
        updates: new values of variables, such as moving averages.
        seed: of the network's random numbers.
        draws: how many layers have drawn random numbers so far.
    """

    training: bool = False
    counter: Node | None = None
    mask: Node | None = None
    updates: dict[Node, Node] = field(default_factory=dict)
    seed: int = 0
    draws: int = 0

    def next_seed(self) -> int:
        """Return a seed for one use of random numbers, different from all others."""
        self.draws += 1
        return self.seed * 1009 + self.draws


@dataclass(frozen=True, eq=False)
class Weight:
    """A parameter of a layer: its variable, and how it starts, is trained and is penalized."""

    node: Node
    start: Any
    fans: tuple[int, int]
    trainable: bool
    penalty: Any


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
