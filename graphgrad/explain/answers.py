"""What a learner types: a number or an expression, read as text and never run as code.

What one can do: `read_answer` turns text into a number or array, with the names of the graph in
reach; `matches` says whether it is the number wanted.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

import numpy as np

from graphgrad.errors import GraphError, ParseError
from graphgrad.explain.names import visible
from graphgrad.explain.steps import Wording, adjoint, plain
from graphgrad.graph import Node
from graphgrad.parser import missing, parse

__all__ = ["matches", "reachable", "read_answer", "spellings", "understood"]

TOLERANCE = 0.005
"""Relative error allowed: people compute with the four digits they see."""
NOISE = 1e-12
"""Absolute error allowed: what should be 0 is often not quite 0."""
_SIGNS = str.maketrans(
    {"−": "-", "–": "-", "·": "*", "×": "*", "÷": "/", "²": "**2", "³": "**3", "√": "sqrt"}
    | dict(zip("₀₁₂₃₄₅₆₇₈₉", "0123456789"))
)

_NAME = re.compile(r"(?<![\w.])[^\W\d](?:\w|[\u0300-\u036f])*(?!\s*\()")

_COMMA = re.compile(r"[-+]?\d+,\d+")


def _identifier(name: str) -> str:
    """Return a name as the parser reads it: x1 for x₁ (NFKC, PEP 3131)."""
    return unicodedata.normalize("NFKC", name)


def reachable(wording: Wording) -> dict[str, Any]:
    """Return the numbers that the names of a graph stand for.

    A name stands for the node's value; with a bar, or ``_bar`` behind it, for its adjoint. The
    keys are spelled as the parser reads them: ``x1`` for x₁.
    """
    tape = wording.tape
    known: dict[str, Any] = {}
    for node, shown in wording.names.items():
        bar = tape.adjoint(node) if tape.differentiable else None
        for name in {shown, node.name}:
            key = _identifier(name)
            if key.isidentifier():
                known.setdefault(key, tape.value(node))
                if bar is not None:
                    known.setdefault(f"{key}_bar", bar)
                    known.setdefault(_identifier(plain(adjoint(name))), bar)
    return known


def spellings(wording: Wording, node: Node, barred: bool) -> set[str]:
    """Return how a node's value, or its adjoint, can be written."""
    keys = {_identifier(wording.names[node]), _identifier(node.name)} - {""}
    if not barred:
        return keys
    bars = {_identifier(plain(adjoint(name))) for name in (wording.names[node], node.name) if name}
    return {f"{key}_bar" for key in keys} | bars


def read_answer(text: str, known: dict[str, Any], hidden: set[str]) -> Any:
    """Return the number or array an answer stands for.

    Args:
        text: a number such as ``-2.5``, or an expression such as ``x*w + 1``; the signs − · × ²
            may be used as well.
        known: what names stand for.
        hidden: names that may not be used, for they are what is asked.

    Raises:
        GraphError: when it cannot be read, or uses a name that is not known.

    Example:
        >>> read_answer("2·x + 1", {"x": 3.0}, set())
        7.0
    """
    if not isinstance(text, str):
        raise ParseError(f"an answer is text, got {type(text).__name__}")
    source = text.translate(_SIGNS).strip()
    if not source:
        raise ParseError("the answer is empty: type a number or an expression")
    if _COMMA.fullmatch(source):
        raise ParseError(f"{source}: write the decimal point as in {source.replace(',', '.')}")
    used = list(dict.fromkeys(map(_identifier, _NAME.findall(source))))
    for name in used:
        if name in hidden:
            raise ParseError(f"{visible(name)} is what is asked: answer with what it is made of")
    node = parse(source, **{n: known[n] for n in used if n in known})
    if strange := missing(node):
        raise ParseError(f"{visible(strange[0])} is no name of this graph")
    return node.value


def matches(given: Any, wanted: Any) -> bool:
    """Return whether an answer is the number wanted, but for rounding to the digits shown.

    Example:
        >>> matches(0.667, 2 / 3), matches(0.66, 2 / 3), matches([1.0, 2.0], 1.0)
        (True, False, False)
    """
    a, b = np.asarray(given, float), np.asarray(wanted, float)
    if a.shape != b.shape:
        return False
    return bool(np.all((a == b) | (np.abs(a - b) <= np.maximum(TOLERANCE * np.abs(b), NOISE))))


def understood(text: str, known: dict[str, Any], hidden: set[str]) -> tuple[Any, str]:
    """Return the answer's number and "", or None and what is wrong with the text."""
    try:
        return read_answer(text, known, hidden), ""
    except GraphError as problem:
        return None, str(problem)
