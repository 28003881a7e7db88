"""What is to be compiled: outputs, fed inputs, updates, and the variables that live inside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from graphgrad.compiler.simplify import simplify
from graphgrad.errors import CompileError, DtypeError, ShapeError
from graphgrad.graph import VARIABLE, Node, ancestors, describe

__all__ = ["Program", "program"]


@dataclass(frozen=True)
class Program:
    """A simplified graph with its ends.

    Attributes:
        inputs: the variables whose values are given at each call, in order.
        outputs: the nodes whose values are returned, simplified, in order.
        updates: for each variable that a call changes, the simplified node of its new value.
        states: all other variables the graph reads or writes; their values live between calls.
        order: every node to compute or read, inputs before users.
        stands_for: for each of the user's nodes the simplified one.
    """

    inputs: tuple[Node, ...]
    outputs: tuple[Node, ...]
    updates: Mapping[Node, Node]
    states: tuple[Node, ...]
    order: tuple[Node, ...]
    stands_for: Mapping[Node, Node] = field(repr=False)


def program(
    outputs: Sequence[Node], inputs: Sequence[Node], updates: Mapping[Node, Node], gpu: bool = False
) -> Program:
    """Check what `gg.compile` was given and return it, simplified; for a GPU if so asked.

    Raises:
        CompileError: when an input or an updated node is no variable, is named twice, or is both.
        ShapeError, DtypeError: when an update does not fit its variable.
    """
    for node in (*outputs, *inputs, *updates, *updates.values()):
        if not isinstance(node, Node):
            raise CompileError(f"compile: expected graph nodes, got {type(node).__name__} {node!r}")
    _check_leaves("input", inputs)
    _check_leaves("updated node", list(updates))
    for v in updates:
        if v in inputs:
            raise CompileError(f"{describe(v)} is an input and cannot be updated as well")
    for v, new in updates.items():
        if new.shape != v.shape:
            raise ShapeError(f"update of {describe(v)}: shape {new.shape}, expected {v.shape}")
        if new.dtype is not v.dtype:
            raise DtypeError(f"update of {describe(v)}: {new.dtype}, expected {v.dtype}")
    stands_for = simplify([*outputs, *updates.values(), *inputs, *updates], gpu)
    new_outputs = tuple(stands_for[n] for n in outputs)
    new_updates = {v: stands_for[n] for v, n in updates.items()}
    order = tuple(ancestors([*new_outputs, *new_updates.values(), *inputs, *updates]))
    states = tuple(n for n in order if n.primitive is VARIABLE and n not in set(inputs))
    return Program(tuple(inputs), new_outputs, new_updates, states, order, stands_for)


def _check_leaves(what: str, nodes: Sequence[Node]) -> None:
    seen: set[Any] = set()
    for node in nodes:
        if node.primitive is not VARIABLE:
            raise CompileError(f"{what} {describe(node)} is a {node.op}; expected a variable")
        if node in seen:
            raise CompileError(f"{what} {describe(node)} is named twice")
        seen.add(node)
