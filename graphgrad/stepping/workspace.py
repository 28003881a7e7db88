"""What the commands of a session work on: one graph, one moment, and what is told on arriving.

A `Workspace` has a tape and a `State`. The state is immutable, and the moment is an index into the
tape, so stepping back shows exactly what was seen before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from graphgrad.explain.sidebyside import WrongRun
from graphgrad.explain.steps import adjoint, plain
from graphgrad.recorder import BackwardStep, Tape
from graphgrad.stepping.nodes import Nodes
from graphgrad.stepping.state import Recording, State
from graphgrad.stepping.text import Text, joined, lines, styled
from graphgrad.stepping.timeline import Position, Timeline
from graphgrad.stepping.view import View

__all__ = ["Workspace"]


@dataclass(eq=False)
class Workspace:
    """One graph and one moment of its run.

    Attributes:
        recording: the tape and what is read from it.
        expression: the text the graph was parsed from, or "" when it was made in Python.
        cotangent: the root's adjoint, for a root that is no scalar.
        state: everything commands change.
        done: whether `quit` was given.
        width: of the terminal in cells, for pictures; None for any.
        ascii: whether pictures do without Unicode.
    """

    recording: Recording
    expression: str = ""
    cotangent: Any = None
    state: State = field(default_factory=State)
    done: bool = False
    width: int | None = None
    ascii: bool = False

    @property
    def tape(self) -> Tape:
        """The recorded run."""
        return self.recording.tape

    @property
    def timeline(self) -> Timeline:
        """The moments of the tape."""
        return self.recording.timeline

    @property
    def view(self) -> View:
        """The sentences about the tape."""
        return self.recording.view

    @property
    def nodes(self) -> Nodes:
        """The nodes by name."""
        return self.recording.nodes

    @property
    def position(self) -> Position:
        """The moment: phase and number of steps made."""
        return self.state.position

    def record(self, tape: Tape) -> None:
        """Take another tape of the same graph; the moment stays."""
        self.recording = Recording(tape, self.recording.digits)

    def move(self, position: Position, passed: Sequence[Position] = ()) -> Text:
        """Go to a moment and tell what is seen there: the steps passed, breakpoints, watches."""
        self.state = replace(self.state, position=position)
        told: list[str] = []
        for at in passed or (position,):
            told += [self.view.sentence(at), styled("muted", self.view.made_by(at))]
            told += _beside(self, at)
        event = self.timeline.event(position)
        for b in self.state.breakpoints:
            if event and b.hit(event):
                stop = styled("current", f"breakpoint {b.number}")
                told.append(joined(["      ", stop, ": ", b.text(self.view.names)]))
        told += [joined(["      ", self.view.state(n, position)]) for n in self.state.watches]
        if self.timeline.number(position) == len(self.timeline) - 1:
            told.append(self.view.ending())
        return lines(told)


def _beside(work: Workspace, at: Position) -> list[Text]:
    """Return what the mistake that is on makes of the step to a moment, when it differs."""
    name = work.state.mistake
    if not name or at.phase != "backward":
        return []
    run = work.recording.wrong(name)
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
