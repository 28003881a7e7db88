"""Embedding: a row of numbers for each of a vocabulary's words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from graphgrad.graph import Node
from graphgrad.nn.core import count
from graphgrad.nn.layer import Layer
from graphgrad.nn.parts import Run
from graphgrad.ops.index import take
from graphgrad.ops.shape import cast

__all__ = ["Embedding"]


@dataclass(eq=False, repr=False)
class Embedding(Layer):
    """Turns positions into trained rows of numbers.

    Args:
        input_dim: size of the vocabulary; positions are 0 to input_dim − 1.
        output_dim: numbers in a row.
        embeddings_initializer: how they start.
        embeddings_regularizer: a penalty on them.

    Example:
        >>> from graphgrad import nn
        >>> model = nn.Sequential([nn.Embedding(10, 4, input_shape=(3,)), nn.Flatten()])
        >>> model.predict([[1, 2, 3]]).shape
        (1, 12)
    """

    input_dim: int
    output_dim: int
    embeddings_initializer: Any = "uniform"
    embeddings_regularizer: Any = None

    input_dtype: ClassVar[str | None] = "int64"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.input_dim = count("input_dim", self.input_dim)
        self.output_dim = count("output_dim", self.output_dim)

    def build(self, shape: Any) -> None:
        """Make the table, shape (input_dim, output_dim)."""
        self.embeddings = self.add_weight(
            "E", (self.input_dim, self.output_dim), self.embeddings_initializer,
            regularizer=self.embeddings_regularizer,
        )  # fmt: skip

    def call(self, x: Node, run: Run) -> Node:
        """Return shape (*x.shape, output_dim) for whole numbers x."""
        return take(self.embeddings, cast(x, "int64"))
