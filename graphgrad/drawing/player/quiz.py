"""Questions about the steps of a player, with the numbers that usual mistakes lead to.

What one can do here: ``questions(wording, step)`` gives what can be asked of one step: the value
it computes; or the local derivative of an edge, then the adjoint that this edge completes. The
words and the diagnoses are those of `explain.quiz`, written out, since a page has no Python.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np

from graphgrad.explain.answers import TOLERANCE
from graphgrad.explain.diagnosis import Guess, adjoint_guesses, local_guesses, value_guesses
from graphgrad.explain.quiz import Question, pose
from graphgrad.explain.steps import Wording, scalar_edge
from graphgrad.recorder import BackwardStep, ForwardStep

__all__ = ["Quizzed", "questions"]

MOST = 16
"""Mistakes that are written out per question, the likeliest."""


@dataclass(frozen=True)
class Quizzed:
    """One question with all that a page needs to judge an answer.

    Attributes:
        question: kind, node and text of the question.
        answer: the right number.
        tolerance: how far from it an answer may be.
        mistakes: numbers that usual mistakes give, each with what to say.
    """

    question: Question
    answer: float
    tolerance: float
    mistakes: tuple[tuple[float, str], ...]


def questions(wording: Wording, step: ForwardStep | BackwardStep) -> list[Quizzed]:
    """Return what can be asked of a step; nothing where arrays or infinities are involved.

    Args:
        wording: names and formulas of the tape.
        step: a step of that tape.

    Example:
        >>> import graphgrad as gg
        >>> loss = abs(4 - gg.var("x", 2.0) * gg.var("w", 3.0))
        >>> wording = Wording(gg.tape(loss))
        >>> [(q.question.kind, q.answer) for q in questions(wording, wording.tape.backward[-1])]
        [('local', 2.0), ('adjoint', 2.0)]
    """
    if isinstance(step, ForwardStep):
        if not _scalar(step.value, *step.operands):
            return []
        return [_quizzed(pose(wording, "value", step.node), value_guesses(wording, step.node))]
    node, x = step.edge.node, step.edge.source
    found = []
    if scalar_edge(node) and _scalar(wording.tape.local(*step.edge)):
        question = pose(wording, "local", *step.edge)
        found.append(_quizzed(question, local_guesses(wording, step.edge)))
    if step is wording.tape.arrivals(x)[-1] and _scalar(step.after):
        guesses = adjoint_guesses(wording, x, passes=False)
        found.append(_quizzed(pose(wording, "adjoint", x), guesses))
    return found


def _scalar(*values: Any) -> bool:
    return all(np.ndim(v) == 0 and np.asarray(v).dtype.kind != "b" and isfinite(v) for v in values)


def _quizzed(question: Question, guesses: Iterable[Guess]) -> Quizzed:
    """Keep the likeliest mistakes; of those that give the same number the first stands."""
    answer = float(question.answer)
    tolerance = max(TOLERANCE * abs(answer), 1e-9)
    kept: list[tuple[float, str]] = []
    for value, message in guesses:
        if len(kept) == MOST:
            break
        if value is None or not _scalar(value):
            continue
        taken = [answer, *(v for v, _ in kept)]
        if all(abs(float(value) - v) > tolerance for v in taken):
            kept.append((float(value), message))
    return Quizzed(question, answer, tolerance, tuple(kept))
