"""Questions about shapes, for arrays too large to be computed by hand.

What one can do: list the nodes that can be asked about, word the question, read an answer, say what
a wrong one looks like. Of a computed node its own shape is asked; of a variable that of its
gradient, from the shapes that meet where it is used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from graphgrad.explain.numbers import shape_text
from graphgrad.explain.steps import Wording, adjoint, plain
from graphgrad.graph import Edge, Node
from graphgrad.ops.define import Elementwise
from graphgrad.recorder import Tape

__all__ = ["nodes_of", "question", "read", "reason", "wrong"]

_SHAPE = re.compile(r"[(\[]?\s*(\d+(?:\s*[x×*,]\s*\d+)*)?\s*,?\s*[)\]]?")
_NONE = ("scalar", "()", "[]")


def nodes_of(tape: Tape, least: int) -> Iterator[Node]:
    """Yield the nodes whose shape is worth a question: arrays of at least so many entries.

    A result as large as one of its inputs entry by entry is none; nor is a variable of which the
    other shapes say nothing.
    """
    for node in tape.nodes:
        if not node.shape or np.size(tape.value(node)) < least:
            continue
        if node.is_leaf:
            if tape.differentiable and node.active and _use(tape, node) is not None:
                yield node
        elif not isinstance(node.primitive, Elementwise):
            yield node


def question(wording: Wording, node: Node) -> str:
    """Return the sentence that asks for a shape, with the shapes it follows from."""
    name = wording.names[node]
    if not node.is_leaf:
        told = _shapes(wording, node.inputs)
        return f"{name} = {wording.operation(node)} with {told}. What is the shape of {name}?"
    edge = _use(wording.tape, node)
    assert edge is not None
    user, bar = edge.node, wording.names[edge.node]
    told = _shapes(wording, [x for x in user.inputs if x is not node])
    root = wording.names[wording.tape.root]
    return plain(
        f"{bar} = {wording.operation(user)} with {told}, and {adjoint(bar)} of shape "
        f"{shape_text(user.shape)}. What is the shape of {adjoint(name)} = ∂{root}/∂{name}?"
    )


def reason(wording: Wording, node: Node) -> str:
    """Return why a shape is what it is."""
    name, shape = wording.names[node], shape_text(node.shape)
    if node.is_leaf:
        return plain(f"{adjoint(name)} has a number for each of {name}, so its shape is {shape}")
    return f"{name} = {wording.operation(node)} has the shape {shape}"


def read(text: str) -> tuple[int, ...] | None:
    """Return the shape that a text says; None when it says none.

    Example:
        >>> read("20×10"), read("(20, 10)"), read("20x10"), read("5"), read("scalar"), read("x+1")
        ((20, 10), (20, 10), (20, 10), (5,), (), None)
    """
    found = _SHAPE.fullmatch(text.strip()) if text.strip() not in _NONE else None
    if found is None or not found[1]:
        return () if text.strip() in _NONE else None
    return tuple(int(n) for n in re.findall(r"\d+", found[1]))


def wrong(wording: Wording, node: Node, given: tuple[int, ...]) -> str:
    """Return what a wrong shape looks like; "" when it looks like nothing known."""
    wanted, shown = node.shape, shape_text(given)
    if len(given) > 1 and given == wanted[::-1]:
        return "The axes are the other way round: is something transposed?"
    if len(given) != len(wanted):
        has, needs = ("1 axis" if n == 1 else f"{n} axes" for n in (len(given), len(wanted)))
        return f"{shown} has {has}, and the answer has {needs}."
    for x in [*node.inputs, *wording.tape.nodes]:
        if x.shape == given and x is not node:
            return f"{shown} is the shape of {wording.names[x]}."
    return ""


def _use(tape: Tape, leaf: Node) -> Edge | None:
    """Return the first use of a variable from which its gradient's shape can be worked out."""
    for step in tape.arrivals(leaf):
        user = step.edge.node
        others = [x for x in user.inputs if x is not leaf]
        if not isinstance(user.primitive, Elementwise) and others and user.shape:
            return step.edge
    return None


def _shapes(wording: Wording, nodes: Any) -> str:
    each = dict.fromkeys(nodes)
    return ", ".join(f"{wording.names[x]} of shape {shape_text(x.shape)}" for x in each)
