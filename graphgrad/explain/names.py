"""What nodes are called in displays: the user's names, constants' numbers, v₁, v₂ … for the rest.

The letters v₁, v₂ … for unnamed results are those of the survey by Baydin, Pearlmutter, Radul and
Siskind (2018, "Automatic differentiation in machine learning: a survey", JMLR 18).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from graphgrad.explain.numbers import DIGITS, number, shape_text
from graphgrad.graph import CONSTANT, Node

__all__ = ["node_names", "pretty", "subscript", "visible"]

LONGEST = 24
"""Characters of a name that displays show."""
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_INDEXED = re.compile(r"([A-Za-zα-ωΑ-Ω])_?(\d{1,3})")
_HIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff\ufffe\uffff]"
)


def subscript(number: int) -> str:
    """Return a whole number in subscript digits."""
    return str(number).translate(_SUBSCRIPTS)


def pretty(name: str) -> str:
    """Return a name as it is typeset: a number after one letter is lowered, long ones are cut.

    Example:
        >>> pretty("x1"), pretty("w_12"), pretty("layer2")
        ('x₁', 'w₁₂', 'layer2')
    """
    match = _INDEXED.fullmatch(name)
    if match:
        return match[1] + match[2].translate(_SUBSCRIPTS)
    text = visible(name)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def visible(text: str) -> str:
    """Return text with control characters and direction marks written as escapes.

    Example:
        >>> visible("a\\x1b[31m")
        'a\\\\x1b[31m'
    """
    return _HIDDEN.sub(lambda m: m[0].encode("unicode_escape", "replace").decode(), text)


def node_names(nodes: Sequence[Node], digits: int = DIGITS) -> dict[Node, str]:
    """Return the display name of every node; unnamed results are numbered in order.

    Two nodes with the same name are told apart by primes only when both are results; variables
    keep the name the user gave.
    """
    taken = {pretty(n.name) for n in nodes if n.name}
    names: dict[Node, str] = {}
    count = 0
    for node in nodes:
        if node.name:
            names[node] = pretty(node.name)
        elif node.primitive is CONSTANT:
            scalar = node.size == 1
            names[node] = (
                number(node._value.reshape(())[()], digits)
                if scalar
                else f"const {shape_text(node.shape)}"
            )
        else:
            count += 1
            while f"v{subscript(count)}" in taken:
                count += 1
            names[node] = f"v{subscript(count)}"
    return names
