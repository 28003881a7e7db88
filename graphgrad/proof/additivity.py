"""Two inputs at which a function is not additive: why it cannot be one layer without activation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from graphgrad.graph import Node, evaluate

__all__ = ["Witness", "find"]


@dataclass(frozen=True)
class Witness:
    """Two inputs at which additivity fails.

    Attributes:
        u, v: the inputs, one number per entry.
        parts: g(u) + g(v), with g(x) = f(x) − f(0).
        whole: g(u + v).
    """

    u: tuple[float, ...]
    v: tuple[float, ...]
    parts: float
    whole: float


def find(y: Node, inputs: Sequence[Node]) -> Witness | None:
    """Return two inputs with g(u + v) ≠ g(u) + g(v), g(x) = y(x) − y(0); None when none was found.

    Args:
        y: a scalar.
        inputs: scalar variables; all others keep their values.
    """

    def f(x: Any) -> float:
        return float(evaluate([y], dict(zip(inputs, x)))[0])

    start = f(np.zeros(len(inputs)))
    for u, v in _tries(len(inputs)):
        first, second, whole = f(u) - start, f(v) - start, f(u + v) - start
        parts = first + second
        scale = max(abs(parts), abs(whole), abs(first), abs(second))
        if np.isfinite(scale) and abs(parts - whole) > 1e-9 * max(scale, 1e-300):
            return Witness(tuple(u.tolist()), tuple(v.tolist()), parts, whole)
    return None


def _tries(n: int) -> Iterator[tuple[Any, Any]]:
    """Yield pairs of inputs: opposite ones first, which show a kink at 0, then small integers."""
    basis = np.eye(n)
    for size, e in product((1.0, 4.0, 0.25), basis):
        yield size * e, -size * e
    for a, b in product(basis, basis):
        yield a, -2 * b
    drawn = np.random.default_rng(0)
    for _ in range(200):
        yield drawn.integers(-5, 6, n).astype(float), drawn.integers(-5, 6, n).astype(float)
