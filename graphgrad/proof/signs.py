"""Graphs with their minus signs gathered: a/b − c for −(−a)/b + (−c)."""

from __future__ import annotations

from collections.abc import Collection

from graphgrad.graph import CONSTANT, Node, ancestors, apply, const

__all__ = ["signs_out"]

ODD = {"neg", "mul", "div", "matmul", "outer", "sum", "mean", "sum_to", "broadcast_to", "reshape",
       "transpose", "expand_dims", "squeeze"}  # fmt: skip
"""Operations that change sign with any one of their inputs."""


def signs_out(root: Node, known: Collection[Node] = ()) -> Node:
    """Return a graph of the same values in which minus signs stand as far out as they can.

    Args:
        root: the graph.
        known: nodes that are left alone, with all below them.

    Example:
        >>> import graphgrad as gg
        >>> a, b = gg.var("a", 1.0), gg.var("b", 2.0)
        >>> from graphgrad.explain.formulas import render
        >>> render(signs_out(-((-a) / b) + (-b) * a))
        'a/b − b·a'
    """
    found: dict[Node, tuple[bool, Node]] = {}
    for node in ancestors(root):
        if node in known or not node.inputs:
            below = node.primitive is CONSTANT and node.size == 1 and float(node._value.item()) < 0
            plain = below and node not in known and not node.name
            found[node] = (True, const(-node._value, node.dtype)) if plain else (False, node)
        else:
            found[node] = _signed(node, [found[x] for x in node.inputs])
    minus, bare = found[root]
    return -bare if minus else bare


def _signed(node: Node, parts: list[tuple[bool, Node]]) -> tuple[bool, Node]:
    """Return whether a node is minus another one, and that other one."""
    signs, bare = [minus for minus, _ in parts], [x for _, x in parts]
    if node.op == "neg":
        return not signs[0], bare[0]
    if node.op in ODD:
        return sum(signs) % 2 == 1, _same(node, bare)
    if node.op in ("add", "sub") and any(signs):
        a, b = bare
        second = signs[1] != (node.op == "sub")  # whether b is subtracted
        if signs[0] and second:
            return True, a + b
        return False, b - a if signs[0] else a - b if second else a + b
    return False, _same(node, [-x if minus else x for minus, x in parts])


def _same(node: Node, inputs: list[Node]) -> Node:
    return node if [*node.inputs] == inputs else apply(node.primitive, inputs, node.settings)
