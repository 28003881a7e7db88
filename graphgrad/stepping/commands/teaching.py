"""Commands that teach: why, mistake, quiz, answer, hint, skip."""

from __future__ import annotations

from dataclasses import replace

from graphgrad.errors import GraphError
from graphgrad.explain.catalogue import MISTAKES
from graphgrad.explain.ledger import ledger
from graphgrad.explain.mistakes import mistakes
from graphgrad.explain.nonfinite import certificate
from graphgrad.explain.quiz import Quiz
from graphgrad.stepping.nodes import close, quoted
from graphgrad.stepping.registry import command
from graphgrad.stepping.text import Text, joined, lines, styled
from graphgrad.stepping.workspace import Workspace

__all__ = ["is_answer"]

GROUP = "understanding"


@command("why NODE", group=GROUP, takes="node")
def why(work: Workspace, argument: str) -> str:
    """Tell where a node's gradient comes from: the path ledger.

    Every path from the root to the node with its factors, what each contributes,
    what cancels and what stops a path. why nan tells where the first nan or
    infinity was born.
    """
    if argument == "nan" and not work.nodes.called("nan"):
        found = certificate(work.tape)
        return str(found) if found else "every value and every adjoint of this run is finite"
    work.timeline.steps_of("backward")  # raises where there is none
    return str(ledger(work.tape, work.nodes.find(argument)))


@command("mistake [NAME | off]", group=GROUP, takes="mistake")
def mistake(work: Workspace, argument: str) -> str:
    """Show a common mistake beside the right steps.

    Without NAME, list them all. The wrong backward pass is shown beside the right
    one, with the first step that differs. From then on, each backward step that
    the mistake changes is shown as it would come out.
    """
    if argument == "off":
        work.state = replace(work.state, mistake="")
        return "no mistake is on"
    work.timeline.steps_of("backward")  # raises where there is none
    if not argument:
        return str(mistakes(work.tape))
    if argument not in MISTAKES:
        listed = ", ".join(MISTAKES)
        raise GraphError(f"no mistake {quoted(argument)}{close(argument, MISTAKES)}: {listed}")
    run = work.recording.wrong(argument)
    work.state = replace(work.state, mistake=argument)
    return str(run)


@command("quiz [on | off]", group=GROUP)
def quiz(work: Workspace, argument: str) -> str:
    """Ask a question about this run; type the answer.

    A number is taken as an answer; answer TEXT is for any other. quiz on asks the
    next question after each right answer, quiz off asks no more.
    """
    if argument not in ("", "on", "off"):
        raise GraphError(f"quiz {quoted(argument)}: expected quiz, quiz on or quiz off")
    if argument == "off":
        work.state = replace(work.state, quiz=False, asking=False)
        return "no more questions"
    work.state = replace(work.state, quiz=argument == "on" or work.state.quiz)
    return _ask(work)


def _ask(work: Workspace) -> Text:
    quiz = work.recording.quiz
    if quiz.question is None:
        work.state = replace(work.state, quiz=False, asking=False)
        return Text(f"the quiz is over: {quiz.right} of {quiz.asked} right at the first try")
    work.state = replace(work.state, asking=True)
    return joined(
        [styled("title", f"question {quiz.asked + 1} of {len(quiz)}: "), quiz.question.text]
    )


def _open(work: Workspace) -> Quiz:
    if not work.state.asking:
        raise GraphError("no question is open: quiz asks one")
    return work.recording.quiz


def _closed(work: Workspace, told: Text) -> Text:
    """Return what was said to the last answer, and the next question if there is to be one."""
    work.state = replace(work.state, asking=False)
    return lines([told, _ask(work)]) if work.state.quiz else told


@command("answer TEXT", group=GROUP)
def answer(work: Workspace, argument: str) -> str:
    """Answer the question of the quiz.

    TEXT is a number, or an expression in the names of the graph.
    """
    quiz = _open(work)
    if not argument:
        raise GraphError("answer TEXT: expected an answer")
    verdict = quiz.answer(argument)
    if verdict.right:
        return _closed(work, styled("value", verdict.message))
    return Text(verdict.message) if verdict.understood else styled("error", verdict.message)


@command("hint", group=GROUP)
def hint(work: Workspace, argument: str) -> str:
    """Give the formula for the open question."""
    return _open(work).hint


@command("skip", group=GROUP)
def skip(work: Workspace, argument: str) -> str:
    """Give the solution of the open question."""
    return _closed(work, Text(_open(work).skip().message))


def is_answer(line: str) -> bool:
    """Return whether a line looks like an answer and like no command: a number or a list."""
    return line[0] in "0123456789+-−.[" or line in ("nan", "inf", "true", "false")
