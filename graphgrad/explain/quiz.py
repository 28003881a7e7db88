"""A quiz about a run: hide a value, a local derivative, an adjoint or a shape, and ask for it.

What one can do: make a `Quiz` of a tape, read its `question`, give an `answer` as text, be told
which mistake a wrong one looks like, ask for a `hint`, `skip` to see the solution. It prints
nothing and is the same for the same seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from graphgrad.errors import GraphError
from graphgrad.explain import shapes_asked
from graphgrad.explain.answers import matches, reachable, spellings, understood
from graphgrad.explain.diagnosis import (
    adjoint_guesses,
    local_guesses,
    rule_or_hint,
    value_guesses,
)
from graphgrad.explain.questions import KINDS, Question, pose, subjects, term
from graphgrad.explain.steps import Wording, adjoint, plain
from graphgrad.graph import Edge, Node
from graphgrad.recorder import Tape

__all__ = ["KINDS", "Question", "Quiz", "Verdict", "pose"]


@dataclass(frozen=True)
class Verdict:
    """What the quiz says to an answer.

    Attributes:
        right: whether it is right.
        message: a sentence or two: the confirmation, or what the mistake looks like.
        understood: whether the text could be read at all.
    """

    right: bool
    message: str
    understood: bool = True

    def __str__(self) -> str:
        return self.message


class Quiz:
    """Questions about one tape, in an order drawn from the seed.

    Args:
        tape: the recorded run; a node is recorded first.
        seed: of the order of the questions.
        kinds: what may be hidden; all kinds by default.

    Attributes:
        question: the current `Question`; None when all have been answered or skipped.
        asked: how many questions are done.
        right: how many of them were answered right.

    Raises:
        GraphError: when a kind is unknown, or the graph has nothing to ask for.

    Example:
        >>> import graphgrad as gg
        >>> x = gg.var("x", 3.0)
        >>> quiz = Quiz(gg.tape((x * x + x).named("y")), kinds=["adjoint"], seed=1)
        >>> quiz = next(q for q in iter(lambda: quiz, None) if q.question.node is x or q.skip())
        >>> quiz.question.text.split(". ")[-1]
        'What is x̄ = ∂y/∂x?'
        >>> print(quiz.answer("4"))
        You forgot the path along v₁ → x (input 2): the contributions are 1 + 3 + 3.
        >>> quiz.answer("x + x + 1").right
        True
    """

    def __init__(
        self, tape: Tape | Node, seed: int = 0, *, kinds: tuple[str, ...] | list[str] = KINDS
    ) -> None:
        if not isinstance(tape, Node | Tape):
            raise GraphError(f"no quiz about {tape!r}: expected a tape or a graph node")
        unknown = [k for k in kinds if k not in KINDS]
        if unknown or not kinds:
            raise GraphError(f"kinds {list(kinds)!r}: expected some of {', '.join(KINDS)}")
        self.tape = tape if isinstance(tape, Tape) else Tape(tape)
        self.wording = Wording(self.tape)
        self.asked = self.right = 0
        self._known = reachable(self.wording)
        self._subjects = [s for s in subjects(self.tape) if s[0] in kinds]
        if not self._subjects:
            raise GraphError(
                f"nothing to ask about {self.tape!r}: nothing in it can be computed by hand; take "
                f"scalars or small arrays"
            )
        order = np.random.default_rng(seed).permutation(len(self._subjects))
        self._order = [int(k) for k in order]
        self._tries = 0
        self.question = self._pose()

    def __len__(self) -> int:
        return len(self._subjects)

    def _pose(self) -> Question | None:
        if self.asked == len(self._order):
            return None
        kind, node, position = self._subjects[self._order[self.asked]]
        return pose(self.wording, kind, node, position)

    def _next(self) -> None:
        self.asked += 1
        self._tries = 0
        self.question = self._pose()

    def answer(self, text: str) -> Verdict:
        """Judge an answer; a right one brings the next question.

        Args:
            text: a number or an expression in the names of the graph: ``x`` is a value, ``x̄`` or
                ``x_bar`` an adjoint. For a shape, such as ``20×10`` or ``(20, 10)``.
        """
        question = self._open()
        given, problem = self._read(question, text)
        if problem:
            return Verdict(False, problem, understood=False)
        same = tuple.__eq__ if question.kind == "shape" else matches
        if same(given, question.answer):
            self.right += not self._tries
            message = f"Right. {self.solution}"
            self._next()
            return Verdict(True, message)
        self._tries += 1
        return Verdict(False, self._diagnosis(question, given))

    def skip(self) -> Verdict:
        """Return the solution and go on to the next question."""
        self._open()
        message = self.solution
        self._next()
        return Verdict(False, message)

    @property
    def hint(self) -> str:
        """The formula to use, without its numbers."""
        question, wording = self._open(), self.wording
        node = question.node
        if question.position is not None:
            return rule_or_hint(wording, Edge(node, question.position))
        if question.kind == "shape" and node.is_leaf:
            return "a gradient has a number for each of its variable's"
        if question.kind in ("value", "shape"):
            return f"{wording.names[node]} = {wording.operation(node)}"
        terms = [term(wording, step.edge) for step in self.tape.arrivals(node)]
        return plain(f"{adjoint(wording.names[node])} = {' + '.join(terms)}")

    @property
    def solution(self) -> str:
        """The answer with its derivation, in one line or, for several contributions, several."""
        question, wording = self._open(), self.wording
        node = question.node
        if question.position is not None:
            return f"{wording.local(node, question.position)}."
        if question.kind == "shape":
            return f"{shapes_asked.reason(wording, node)}."
        if question.kind == "value":
            step = next(s for s in self.tape.forward if s.node is node)
            return f"{wording.forward(step)}."
        steps = [plain(wording.backward(step)) for step in self.tape.arrivals(node)]
        return "\n".join(steps) + "."

    def _open(self) -> Question:
        if self.question is None:
            raise GraphError(f"the quiz is over: {self.right} of {self.asked} were right")
        return self.question

    def _read(self, question: Question, text: str) -> tuple[Any, str]:
        """Return what an answer says and "", or None and what is wrong with the text."""
        if question.kind != "shape":
            return understood(text, self._known, self._hidden(question))
        given = shapes_asked.read(text)
        return given, "" if given is not None else "give a shape, such as 20×10, 5 or scalar"

    def _hidden(self, question: Question) -> set[str]:
        if question.kind == "local":
            return set()
        return spellings(self.wording, question.node, question.kind == "adjoint")

    def _diagnosis(self, question: Question, given: Any) -> str:
        if question.kind == "shape":
            said = shapes_asked.wrong(self.wording, question.node, given)
            return said or f"Not right. Hint: {self.hint}"
        if np.shape(given) != np.shape(question.answer):
            return f"The answer has shape {np.shape(question.answer)}, yours has {np.shape(given)}."
        for value, message in self._guesses(question):
            known = value is not None and np.shape(value) == np.shape(given)
            if known and matches(given, value) and not matches(value, question.answer):
                return plain(message)
        return f"Not right. Hint: {self.hint}"

    def _guesses(self, question: Question) -> Any:
        found: Any
        if question.position is not None:
            found = local_guesses(self.wording, Edge(question.node, question.position))
        elif question.kind == "value":
            found = value_guesses(self.wording, question.node)
        else:
            found = adjoint_guesses(self.wording, question.node)
        return found
