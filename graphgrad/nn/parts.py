"""What layers are made of: weights, and the run in which their nodes are built."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from graphgrad.graph import Node

__all__ = ["Run", "Weight", "loading", "without_values"]

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
