"""Commands that teach: why, mistake, quiz, answer, hint, skip."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from graphgrad.errors import GraphError
from graphgrad.explain.catalogue import MISTAKES
from graphgrad.explain.ledger import ledger
from graphgrad.explain.mistakes import mistakes
from graphgrad.explain.nonfinite import certificate
from graphgrad.explain.quiz import Quiz
from graphgrad.explain.sidebyside import WrongRun
from graphgrad.explain.steps import adjoint, plain
from graphgrad.recorder import BackwardStep
from graphgrad.stepping.nodes import close, quoted
from graphgrad.stepping.registry import command
from graphgrad.stepping.text import Text, joined, lines, styled
from graphgrad.stepping.timeline import Position

if TYPE_CHECKING:
    from graphgrad.stepping.session import Session

__all__ = ["beside", "is_answer"]

GROUP = "understanding"


@command("why NODE", group=GROUP, takes="node")
def why(session: Session, argument: str) -> str:
    """Tell where a node's gradient comes from: the path ledger.

    Every path from the root to the node with its factors, what each contributes,
    what cancels and what stops a path. why nan tells where the first nan or
    infinity was born.
    """
    if argument == "nan" and not session.nodes.called("nan"):
        found = certificate(session.tape)
        return str(found) if found else "every value and every adjoint of this run is finite"
    session.timeline.steps_of("backward")  # raises where there is none
    return str(ledger(session.tape, session.nodes.find(argument)))


@command("mistake [NAME | off]", group=GROUP, takes="mistake")
def mistake(session: Session, argument: str) -> str:
    """Show a common mistake beside the right steps.

    Without NAME, list them all. The wrong backward pass is shown beside the right
    one, with the first step that differs. From then on, each backward step that
    the mistake changes is shown as it would come out.
    """
    if argument == "off":
        session.state = replace(session.state, mistake="")
        return "no mistake is on"
    session.timeline.steps_of("backward")  # raises where there is none
    if not argument:
        return str(mistakes(session.tape))
    if argument not in MISTAKES:
        listed = ", ".join(MISTAKES)
        raise GraphError(f"no mistake {quoted(argument)}{close(argument, MISTAKES)}: {listed}")
    run = session.recording.wrong(argument)
    session.state = replace(session.state, mistake=argument)
    return str(run)


def beside(session: Session, at: Position) -> list[Text]:
    """Return what the mistake that is on makes of the step to a moment, when it differs."""
    name = session.state.mistake
    if not name or at.phase != "backward":
        return []
    run = session.recording.wrong(name)
    if not 0 < at.step <= len(run.rows):
        return []
    row = run.rows[at.step - 1]
    told = []
    if row.differs:
        first = ", the first wrong step" if at.step == run.first_difference else ""
        wrong = _written(run, row.wrong)
        told.append(joined(["      ", styled("error", f"≠ {name}{first}: "), wrong]))
    if at.step == len(run.rows):
        told.append(Text(f"      {run.why}"))
    return told


def _written(run: WrongRun, step: BackwardStep | None) -> str:
    """Return a wrong step: the accumulator before, the contribution, the accumulator after."""
    if step is None:
        return "this edge is not passed"
    short = run.wording.short
    before = "" if step.before is None else f"{short(step.before)} + "
    part = short(step.contribution)
    part = f"({part})" if before and part.startswith("−") else part
    total = f" = {short(step.after)}" if before else ""
    return f"{plain(adjoint(run.wording.names[step.edge.source]))} = {before}{part}{total}"


@command("quiz [on | off]", group=GROUP)
def quiz(session: Session, argument: str) -> str:
    """Ask a question about this run; type the answer.

    A number is taken as an answer; answer TEXT is for any other. quiz on asks the
    next question after each right answer, quiz off asks no more.
    """
    if argument not in ("", "on", "off"):
        raise GraphError(f"quiz {quoted(argument)}: expected quiz, quiz on or quiz off")
    if argument == "off":
        session.state = replace(session.state, quiz=False, asking=False)
        return "no more questions"
    session.state = replace(session.state, quiz=argument == "on" or session.state.quiz)
    return _ask(session)


def _ask(session: Session) -> Text:
    quiz = session.recording.quiz
    if quiz.question is None:
        session.state = replace(session.state, quiz=False, asking=False)
        return Text(f"the quiz is over: {quiz.right} of {quiz.asked} right at the first try")
    session.state = replace(session.state, asking=True)
    return joined(
        [styled("title", f"question {quiz.asked + 1} of {len(quiz)}: "), quiz.question.text]
    )


def _open(session: Session) -> Quiz:
    if not session.state.asking:
        raise GraphError("no question is open: quiz asks one")
    return session.recording.quiz


def _closed(session: Session, told: Text) -> Text:
    """Return what was said to the last answer, and the next question if there is to be one."""
    session.state = replace(session.state, asking=False)
    return lines([told, _ask(session)]) if session.state.quiz else told


@command("answer TEXT", group=GROUP)
def answer(session: Session, argument: str) -> str:
    """Answer the question of the quiz.

    TEXT is a number, or an expression in the names of the graph.
    """
    quiz = _open(session)
    if not argument:
        raise GraphError("answer TEXT: expected an answer")
    verdict = quiz.answer(argument)
    if verdict.right:
        return _closed(session, styled("value", verdict.message))
    return Text(verdict.message) if verdict.understood else styled("error", verdict.message)


@command("hint", group=GROUP)
def hint(session: Session, argument: str) -> str:
    """Give the formula for the open question."""
    return _open(session).hint


@command("skip", group=GROUP)
def skip(session: Session, argument: str) -> str:
    """Give the solution of the open question."""
    return _closed(session, Text(_open(session).skip().message))


def is_answer(line: str) -> bool:
    """Return whether a line looks like an answer and like no command: a number or a list."""
    return line[0] in "0123456789+-−.[" or line in ("nan", "inf", "true", "false")
