"""Parts: stretches of expression text with what they mean, and the literals among them.

What one can do: hold a `Part`; turn it into what Python has for it with `plain`; ask whether that
is a number, all numbers, or free of nodes; name a number, as π, with `labelled`.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from graphgrad.graph import Node

__all__ = [
    "PI", "Labelled", "Part", "is_literal", "is_number", "is_numeric", "labelled", "plain",
]  # fmt: skip


class Part(NamedTuple):
    """A stretch of the text and what it means.

    `value` is a node, or a literal that is not yet one, for it may turn out to be a setting: an
    int, float, bool or None, an Ellipsis or a slice in an index, a tuple or list of parts.
    """

    value: Any
    start: int
    end: int


class Labelled(float):
    """A number with a name of its own, such as π."""

    label = ""

    def __neg__(self) -> Labelled:
        return labelled(-float(self), "−" + self.label)


def labelled(value: float, label: str) -> Labelled:
    """Return a number with a name."""
    number = Labelled(value)
    number.label = label
    return number


PI = dict.fromkeys(("pi", "π"), labelled(math.pi, "π"))


def plain(part: Part) -> Any:
    """Return a part as Python has it: a node, or a literal with lists and tuples of such."""
    if isinstance(part.value, list | tuple):
        return type(part.value)(plain(p) for p in part.value)
    return part.value


def is_number(value: Any) -> bool:
    """Return whether a part's value is a literal number; True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_numeric(value: Any) -> bool:
    """Return whether a plain value is a number, or a list of numbers however deep."""
    return all(map(is_numeric, value)) if isinstance(value, list) else is_number(value)


def is_literal(value: Any) -> bool:
    """Return whether a plain value holds no node."""
    if isinstance(value, list | tuple):
        return all(map(is_literal, value))
    return not isinstance(value, Node)
