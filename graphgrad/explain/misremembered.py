"""Wrong local derivatives as people misremember them: tanh′ = 1 − x², (a − b)′ without its minus.

What one can do: `misremembered` picks the first operation of a backward pass whose wrong rule
gives another number; `SLIPS` lists the wrong rules, by operation and input.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from graphgrad.explain.blunders import WrongPass, alike
from graphgrad.explain.formulas import fill
from graphgrad.explain.steps import Wording
from graphgrad.graph import Edge, Node
from graphgrad.ops.define import Elementwise
from graphgrad.recorder import BackwardStep

__all__ = ["SLIPS", "Misremembered", "Slip", "misremembered", "slip_of"]

Local = Callable[[Any, tuple[Any, ...]], Any]
OUTPUT_FOR_INPUT = "the result was put where the input belongs"
INPUT_FOR_OUTPUT = "the input was put where the result belongs"
NO_SIGN = "the minus sign is lost"


class Slip(NamedTuple):
    """A wrong rule: its text as a template, how it is computed, what went wrong in the head."""

    text: str
    local: Local
    why: str


def _one(y: Any, xs: tuple[Any, ...]) -> Any:
    return np.ones_like(y)


SLIPS: dict[tuple[str, int], Slip] = {
    ("sub", 1): Slip("1", _one, NO_SIGN),
    ("neg", 0): Slip("1", _one, NO_SIGN),
    ("mul", 0): Slip("#1", lambda y, xs: xs[0], "each factor was put for the other one"),
    ("mul", 1): Slip("#2", lambda y, xs: xs[1], "each factor was put for the other one"),
    ("div", 1): Slip("#1/#2²", lambda y, xs: xs[0] / xs[1] ** 2, NO_SIGN),
    ("reciprocal", 0): Slip("1/#1²", lambda y, xs: 1 / xs[0] ** 2, NO_SIGN),
    ("square", 0): Slip("#1", lambda y, xs: xs[0], "the factor 2 is lost"),
    ("sqrt", 0): Slip("1/(2·#1)", lambda y, xs: 1 / (2 * xs[0]), INPUT_FOR_OUTPUT),
    ("abs", 0): Slip("1", _one, "the sign of the input is lost"),
    ("exp", 0): Slip(
        "#1·exp(#1 − 1)", lambda y, xs: xs[0] * np.exp(xs[0] - 1), "the rule for powers was used"
    ),
    ("log", 0): Slip("1/#y", lambda y, xs: 1 / y, OUTPUT_FOR_INPUT),
    ("sin", 0): Slip("−cos(#1)", lambda y, xs: -np.cos(xs[0]), "the sign belongs to cos′"),
    ("cos", 0): Slip("sin(#1)", lambda y, xs: np.sin(xs[0]), NO_SIGN),
    ("tanh", 0): Slip("1 − #1²", lambda y, xs: 1 - xs[0] ** 2, INPUT_FOR_OUTPUT),
    ("sigmoid", 0): Slip("#1·(1 − #1)", lambda y, xs: xs[0] * (1 - xs[0]), INPUT_FOR_OUTPUT),
    ("relu", 0): Slip("1", _one, "the gate is left open"),
    ("maximum", 0): Slip("1", _one, "both gates are left open"),
    ("maximum", 1): Slip("1", _one, "both gates are left open"),
    ("minimum", 0): Slip("1", _one, "both gates are left open"),
    ("minimum", 1): Slip("1", _one, "both gates are left open"),
}
"""The wrong rules, by operation and input."""


@dataclass(frozen=True)
class Misremembered:
    """A wrong rule as it was used on a graph: the sentences, and the rule for each edge."""

    what: str
    why: str
    rules: dict[Edge, Local] = field(default_factory=dict)


def misremembered(wording: Wording, done: WrongPass) -> Misremembered:
    """Return the first wrong rule that gives another number on this graph.

    Args:
        wording: of the tape.
        done: a pass that has not begun, for the values.
    """
    steps = wording.tape.backward
    for step in steps:
        slip = SLIPS.get((step.edge.node.op, step.edge.position))
        if slip is not None and _tells(step, slip.local, done):
            return _all_uses(wording, step.edge, slip)
    for step in steps:
        if isinstance(step.edge.node.primitive, Elementwise) and not alike(step.contribution, 0):
            return _turned(wording, step.edge)
    return Misremembered("No operation here has a rule to get wrong.", "There is none")


def _tells(step: BackwardStep, local: Local, done: WrongPass) -> bool:
    y, xs = done.operands(step.edge.node)
    with np.errstate(all="ignore"):
        wrong = np.asarray(step.upstream * local(y, xs))
    right: Any = done.tape.local(*step.edge)
    return bool(np.isfinite(wrong).all()) and not alike(wrong, step.upstream * right, y.dtype)


def _all_uses(wording: Wording, edge: Edge, slip: Slip) -> Misremembered:
    """Use a wrong rule for every node of that operation, as a wrong rule book would."""
    (node, i), tape = edge, wording.tape
    edges = [s.edge for s in tape.backward if s.edge.node.op == node.op and s.edge.position == i]
    text = fill(slip.text, wording.names[node], [wording.names[x] for x in node.inputs])
    right = wording.rule(node, i) or wording.short(tape.local(node, i))
    what = f"{wording.partial(node, i)} is taken to be {text}, but it is {right}."
    why = f"The rule of {node.op} is wrong: {slip.why}"
    return Misremembered(what, why, dict.fromkeys(edges, slip.local))


def _turned(wording: Wording, edge: Edge) -> Misremembered:
    """Turn the sign of one local derivative, where no slip is on the list."""
    node, i = edge

    def local(y: Any, xs: tuple[Any, ...]) -> Any:
        p = node.primitive
        assert isinstance(p, Elementwise)
        return -np.asarray(p.partial(i, y, xs, node.settings), node.dtype)

    partial = wording.partial(node, i)
    what = f"{partial} is taken with the wrong sign."
    return Misremembered(what, f"{partial} has the wrong sign", {edge: local})


def slip_of(node: Node, position: int) -> Slip | None:
    """Return the wrong rule of an edge, if people have one."""
    return SLIPS.get((node.op, position))
