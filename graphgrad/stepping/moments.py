"""What a stepper shows of a tape at each of its moments: a picture and a sentence.

What one can do: make the `Moments` of a tape and ask for any of them; no notebook is needed.
"""

from __future__ import annotations

from html import escape
from typing import Any

from graphgrad.drawing.figure import writer_of
from graphgrad.drawing.layout import fitted, svg
from graphgrad.drawing.scene import Frame, Scene
from graphgrad.drawing.title import title_of
from graphgrad.errors import GraphError
from graphgrad.explain.names import visible
from graphgrad.explain.numbers import DIGITS
from graphgrad.explain.steps import Wording, plain
from graphgrad.recorder import Tape
from graphgrad.stepping.timeline import Position, Timeline

__all__ = ["Moments"]


class _Uncaptioned(Scene):
    """A scene whose captions stand beside the picture, as text."""

    def caption(self, frame: Frame) -> str:
        return "\N{NO-BREAK SPACE}"


class Moments:
    """What a stepper shows of a tape at each of its moments.

    Args:
        tape: the recorded run.
        digits: significant digits of numbers.
        theme: "light", "dark" or "print".
        rankdir: direction of the graph: LR, TB, RL or BT.
        options: ``collapse``, ``open`` and ``inputs``, as of `draw`.

    Attributes:
        timeline: the moments, numbered from 0.
        title: the formula.
    """

    def __init__(
        self,
        tape: Tape,
        digits: int = DIGITS,
        theme: str = "light",
        rankdir: str = "LR",
        **options: Any,
    ):
        if not 1 <= digits <= 17:
            raise GraphError(f"digits={digits}: expected 1 to 17")
        self.timeline = Timeline(tape)
        self._scene = _Uncaptioned(tape, wording=Wording(tape, digits), **options)
        self._writer = writer_of(self._scene, theme, legend=False, rankdir=rankdir)
        self.title = title_of(self._scene)

    @property
    def phases(self) -> list[list[Any]]:
        """The passes: name and number of steps of each."""
        names = ["forward", "backward"][: 1 if self.timeline.backward is None else 2]
        return [[name, self.timeline.steps_of(name)] for name in names]

    def number(self, moment: Any) -> int:
        """Return a moment's number, checked; a negative one counts from the end.

        Raises:
            GraphError: when there is no such moment.
        """
        count = len(self.timeline)
        if type(moment) is not int or not -count <= moment < count:
            raise GraphError(f"moment {moment!r}: this run has the moments 0 to {count - 1}")
        return moment % count

    def position(self, position: Any) -> Position:
        """Return a moment as phase and step, checked; a negative step counts from the end.

        Raises:
            GraphError: when there is no such moment.
        """
        match position:
            case (str() as phase, int() as step):
                last = self.timeline.steps_of(phase)
                if -last - 1 <= step <= last:
                    return Position(phase, step % (last + 1))
                raise GraphError(f"step {step}: the {phase} pass has steps 0 to {last}")
        raise GraphError(f'position {position!r}: expected phase and step, as ("backward", 3)')

    def sentence(self, position: Position) -> str:
        """Return what was done at a moment, in one line of plain text."""
        return visible(plain(Scene.caption(self._scene, Frame(*position))))

    def picture(self, position: Position) -> str:
        """Return a moment's picture, one SVG element; names in it are escaped."""
        return fitted(svg(self._writer(Frame(*position)), f"computational graph of {self.title}"))

    def shown(self, position: Position) -> dict[str, Any]:
        """Return all that the buttons' side needs of a moment."""
        return {
            "number": self.timeline.number(position),
            "phase": position.phase,
            "step": position.step,
            "sentence": self.sentence(position),
            "picture": self.picture(position),
        }

    def html(self, position: Position) -> str:
        """Return a moment for a page without buttons: its sentence and its picture."""
        sentence = escape(self.sentence(position))
        return f"<figure>{self.picture(position)}<figcaption>{sentence}</figcaption></figure>"
