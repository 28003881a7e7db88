"""What a session holds: a recording, which commands read, and a state, which commands replace."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from graphgrad.drawing.scene import Scene
from graphgrad.explain.mistakes import run_mistake
from graphgrad.explain.numbers import DIGITS
from graphgrad.explain.quiz import Quiz
from graphgrad.explain.sidebyside import WrongRun
from graphgrad.explain.steps import Wording
from graphgrad.graph import Node
from graphgrad.recorder import Tape
from graphgrad.stepping.breakpoints import Breakpoint
from graphgrad.stepping.nodes import Nodes
from graphgrad.stepping.timeline import START, Position, Timeline
from graphgrad.stepping.view import View

__all__ = ["Recording", "State"]


@dataclass(frozen=True)
class State:
    """What commands change: where one is, where `run` stops, what is watched.

    Attributes:
        position: the moment.
        breakpoints: in the order in which they were set.
        watches: the nodes shown after each move.
        repeat: the last movement, which an empty line repeats.
        mistake: the name of the deliberate mistake shown beside the right steps, or "".
        asking: whether a question of the quiz is open.
        quiz: whether a new question follows a right answer.
    """

    position: Position = START
    breakpoints: tuple[Breakpoint, ...] = ()
    watches: tuple[Node, ...] = ()
    repeat: str = ""
    mistake: str = ""
    asking: bool = False
    quiz: bool = False


@dataclass(frozen=True)
class Recording:
    """A tape and what is read from it; made anew when a variable is set.

    Attributes:
        tape: the recorded run.
        digits: significant digits of numbers.
    """

    tape: Tape
    digits: int = DIGITS
    _wrong: dict[str, WrongRun] = field(default_factory=dict)

    def wrong(self, mistake: str) -> WrongRun:
        """Return the backward pass with a mistake in it."""
        if mistake not in self._wrong:
            self._wrong[mistake] = run_mistake(mistake, self.tape)
        return self._wrong[mistake]

    @cached_property
    def wording(self) -> Wording:
        """Names and numbers."""
        return Wording(self.tape, self.digits)

    @cached_property
    def timeline(self) -> Timeline:
        """The moments."""
        return Timeline(self.tape)

    @cached_property
    def view(self) -> View:
        """The sentences."""
        return View(self.timeline, self.wording)

    @cached_property
    def nodes(self) -> Nodes:
        """The nodes by name."""
        return Nodes(self.wording)

    @cached_property
    def quiz(self) -> Quiz:
        """The questions about this run, and how far one has come in them."""
        return Quiz(self.tape)

    @cached_property
    def scene(self) -> Scene:
        """The picture's items."""
        return Scene(self.tape, wording=self.wording)
