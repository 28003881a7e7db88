"""Questions about steps, with the answers people give when they make the usual mistakes.

What one can do here: ``questions(tape, wording, step)`` gives what can be asked of one step: the
value it computes; or the local derivative of an edge, then the adjoint after its contribution.
Each question knows the numbers that typical mistakes lead to, so that a page without Python can
say which mistake it was. Only scalars are asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np

from graphgrad.explain.steps import Wording, adjoint
from graphgrad.graph import Node
from graphgrad.ops.define import Elementwise
from graphgrad.recorder import BackwardStep, ForwardStep

__all__ = ["Question", "questions"]

TOLERANCE = 0.005
"""Relative error allowed: people compute with the four digits a picture shows."""
Guess = tuple[float, str]


@dataclass(frozen=True)
class Question:
    """One question: what is asked, the answer, and what wrong answers mean.

    Attributes:
        kind: value, local or adjoint.
        node: whose value, local derivative (of the edge asked about) or adjoint.
        prompt: the question, as marked text.
        answer: the number.
        tolerance: how far from it an answer may be.
        mistakes: numbers that typical mistakes give, each with what to say, as marked text.
    """

    kind: str
    node: Node
    prompt: str
    answer: float
    tolerance: float
    mistakes: tuple[Guess, ...]


def questions(wording: Wording, step: ForwardStep | BackwardStep) -> list[Question]:
    """Return what can be asked of a step; nothing where arrays or infinities are involved.

    Args:
        wording: names and formulas of the tape.
        step: a step of that tape.

    Example:
        >>> import graphgrad as gg
        >>> loss = abs(4 - gg.var("x", 2.0) * gg.var("w", 3.0))
        >>> wording = Wording(gg.tape(loss))
        >>> [q.answer for q in questions(wording, wording.tape.backward[-1])]
        [2.0, 2.0]
        >>> questions(wording, wording.tape.backward[-2])[1].mistakes[0]
        (..., ...)
    """
    if isinstance(step, ForwardStep):
        return _about_value(wording, step)
    node, i = step.edge
    parts = (step.upstream, step.contribution, step.after)
    if not isinstance(node.primitive, Elementwise) or any(np.ndim(v) for v in parts):
        return []
    local = float(wording.tape.local(node, i))  # type: ignore[arg-type]
    found = [_about_local(wording, step, local), _about_adjoint(wording, step, local)]
    return [question for question in found if isfinite(question.answer)]


def _question(
    kind: str, node: Node, prompt: str, answer: float, mistakes: Iterable[Guess]
) -> Question:
    """Make a question; of mistakes that give the same number the first stands."""
    tolerance = max(TOLERANCE * abs(answer), 1e-9)
    kept: list[Guess] = []
    for value, message in mistakes:
        taken = [answer, *(v for v, _ in kept)]
        if isfinite(value) and all(abs(value - v) > tolerance for v in taken):
            kept.append((value, message))
    return Question(kind, node, prompt, answer, tolerance, tuple(kept))


def _about_value(wording: Wording, step: ForwardStep) -> list[Question]:
    node = step.node
    if np.ndim(step.value) or any(np.ndim(v) for v in step.operands):
        return []
    if not isfinite(step.value) or np.asarray(step.value).dtype.kind == "b":
        return []
    name, xs, y = wording.names[node], [float(v) for v in step.operands], float(step.value)
    mistakes: list[Guess] = []
    if len(xs) == 2 and not node.primitive.commutative:
        with np.errstate(all="ignore"):
            swapped = node.primitive.forward(*step.operands[::-1], **node.settings)
        mistakes.append((float(swapped), "The two operands have changed places."))
    mistakes.append((-y, "The sign is wrong."))
    for x, value in zip(node.inputs, xs):
        mistakes.append((value, f"That is {wording.names[x]}, an input of this operation."))
    prompt = f"{name} = {wording.operation(node)}. What is {name}?"
    return [_question("value", node, prompt, y, mistakes)]


def _about_local(wording: Wording, step: BackwardStep, local: float) -> Question:
    (node, i), x = step.edge, step.edge.source
    names, tape, partial = wording.names, wording.tape, wording.partial(node, i)
    mistakes = [
        (-local, "The sign is wrong."),
        (
            float(step.contribution),
            f"That is the contribution to {adjoint(names[x])}, with the upstream adjoint "
            f"{adjoint(names[node])} in it. The local derivative {partial} is of this one "
            f"operation alone.",
        ),
    ]
    for j, other in enumerate(node.inputs):
        if j != i and other.active and node.primitive.has_rule(j):
            value = float(tape.local(node, j))  # type: ignore[arg-type]
            mistakes.append((value, f"That is {wording.partial(node, j)}, the other input's."))
        mistakes.append((float(tape.value(other)), f"That is the value of {names[other]}."))
    mistakes.append((float(tape.value(node)), f"That is the value of {names[node]}."))
    prompt = f"{names[node]} = {wording.operation(node)}. What is {partial} here?"
    return _question("local", node, prompt, local, mistakes)


def _about_adjoint(wording: Wording, step: BackwardStep, local: float) -> Question:
    node, x = step.edge.node, step.edge.source
    names, arrivals = wording.names, list(wording.tape.arrivals(x))
    name, up = adjoint(names[x]), adjoint(names[node])
    path = ""
    if len(arrivals) > 1:
        path = f" (path {arrivals.index(step) + 1} of {len(arrivals)} into {names[x]})"
    prompt = (
        f"{up} passes back from {names[node]} to {names[x]}{path}. "
        f"What is {name} after this step?"
    )
    mistakes = _mistakes(wording, step, local, name, up)
    return _question("adjoint", x, prompt, float(step.after), mistakes)


def _mistakes(
    wording: Wording, step: BackwardStep, local: float, name: str, up: str
) -> list[Guess]:
    """Return the wrong adjoints people give, likeliest first."""
    g, part, after = float(step.upstream), float(step.contribution), float(step.after)
    partial, upstream = wording.partial(*step.edge), f"{up} = {wording.number(step.upstream)}"
    last = wording.tape.arrivals(step.edge.source)[-1]
    found = [(local, f"That is the local derivative {partial}. Multiply it by the upstream "
                     f"adjoint {upstream}.")]  # fmt: skip
    if step.before is not None:
        before, was = float(step.before), f"{name} was {wording.number(step.before)} before"
        found += [
            (part, f"That is this path's contribution alone: {was}, and paths add up."),
            (before, f"That is {name} before this step; this path's contribution is missing."),
            (before + local, f"The local derivative {partial} was not multiplied by the upstream "
                             f"adjoint {upstream}."),
            (before + g, f"The upstream adjoint {upstream} was not multiplied by {partial}."),
            (before - part, f"The contribution {up} · {partial} has the wrong sign."),
        ]  # fmt: skip
    return [
        *found,
        (-after, "The sign is wrong."),
        (g, f"That is the upstream adjoint {up}. Multiply it by the local derivative {partial}."),
        (g + local, f"{up} and {partial} are multiplied, not added."),
        (float(last.after), f"That is {name} after all its paths; not all have arrived yet."),
    ]
