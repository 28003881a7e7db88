"""How primitives are used, apart from the numbers: shapes, types and settings, to be proved."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from graphgrad import dtypes
from graphgrad.graph import Node, apply, const, refresh, var
from graphgrad.primitive import Case, Primitive
from graphgrad.shapes import Shape

__all__ = ["Use", "cases_of", "positions", "use_of"]


class Use(NamedTuple):
    """How a primitive is used, apart from the numbers in its inputs.

    Attributes:
        p: the primitive.
        inputs: shape, type and fixed value of each input; a value only for positions.
        settings: as in the node.
    """

    p: Primitive
    inputs: tuple[tuple[Shape, Any, tuple[int, ...] | None], ...]
    settings: tuple[tuple[str, Any], ...]

    def node(self) -> Node:
        """Return the primitive on new variables x₁, x₂ …"""
        xs = [
            var(f"x{k + 1}", shape=shape, dtype=dtype)
            if fixed is None
            else const(np.reshape(fixed, shape), dtype)
            for k, (shape, dtype, fixed) in enumerate(self.inputs)
        ]
        return apply(self.p, xs, dict(self.settings))

    def jacobian(self, i: int) -> int:
        """Return the number of entries of the Jacobian in input i."""
        return self.node().size * self.node().inputs[i].size


def use_of(node: Node) -> Use:
    """Return how a node uses its primitive."""
    inputs = tuple(
        (x.shape, x.dtype, tuple(map(int, np.ravel(refresh(x)))) if positions(x) else None)
        for x in node.inputs
    )
    return Use(node.primitive, inputs, tuple(node.settings.items()))


def positions(x: Node) -> bool:
    """Return whether a node holds whole numbers, which enter rules as they are."""
    return x.dtype is dtypes.INT64


def cases_of(p: Primitive) -> list[Use]:
    """Return the uses of a primitive that its block in the rule book names."""
    return [use_of(_called(p, case)) for case in p.cases]


def _called(p: Primitive, case: Case) -> Node:
    def argument(a: Any) -> Any:
        if isinstance(a, tuple) and all(isinstance(n, int) for n in a):
            return var("x", shape=a)
        return [argument(part) for part in a] if isinstance(a, list) else a

    args = [argument(a) for a in case.args]
    if not any(isinstance(a, Node | list) for a in args):
        args[0] = const(args[0])
    result: Node = p(*args, **case.settings)
    return result
