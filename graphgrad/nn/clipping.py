"""What is done to gradients before they are used: clipped by value or norm, added up over batches.

Norms are guarded, so that a gradient of zero stays zero.
"""

from __future__ import annotations

import functools
import operator
from typing import Any

from graphgrad.context import scope
from graphgrad.graph import Node
from graphgrad.ops.arithmetic import sqrt, square
from graphgrad.ops.choices import clip, equal, maximum, where
from graphgrad.ops.reduce import sum as total

__all__ = ["accumulated", "clipped"]


def clipped(
    gradients: list[Node],
    value: float | None,
    norm: float | None,
    global_norm: float | None,
) -> list[Node]:
    """Return the gradients limited in value, then each in norm, then all together in norm."""
    if value is not None:
        gradients = [clip(g, -value, value) for g in gradients]
    if norm is not None:
        with scope("clipnorm"):
            gradients = [g * _factor(_squares(g), norm) for g in gradients]
    if global_norm is not None and gradients:
        with scope("global_clipnorm"):
            squares = [_squares(g).astype(gradients[0].dtype) for g in gradients]
            factor = _factor(functools.reduce(operator.add, squares), global_norm)
            gradients = [g * factor.astype(g.dtype) for g in gradients]
    return gradients


def _squares(g: Node) -> Node:
    return total(square(g))


def _factor(squares: Node, limit: float) -> Node:
    """Return limit / max(norm, limit): 1 where the norm is small enough."""
    return limit / maximum(sqrt(squares), limit)


def accumulated(
    optimizer: Any, parameters: list[Node], gradients: list[Node], every: int
) -> dict[Node, Node]:
    """Return updates that add gradients up, and change the parameters every so many batches."""
    count = optimizer.waiting
    due = equal(count + 1, every)
    sums = [optimizer.state(p, "sum") for p in parameters]
    new = [s + g for s, g in zip(sums, gradients, strict=True)]
    changes = optimizer.plain_updates(parameters, [s / every for s in new])
    held = {v: where(due, node, v) for v, node in changes.items()}
    emptied = {s: where(due, 0.0, n).astype(s.dtype) for s, n in zip(sums, new, strict=True)}
    return {**held, **emptied, count: where(due, 0, count + 1)}
