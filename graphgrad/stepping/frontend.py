"""The stepper's widget: its moment is shared by Python and the browser, either may move it.

The browser only ever says which moment it wants; sentence and picture come from Python, so both
sides show the same. Needs anywidget, the extra ``notebook``; `widget.stepper` imports it.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from typing import Any

import anywidget
import traitlets

from graphgrad.errors import GraphError
from graphgrad.recorder import Tape
from graphgrad.stepping.moments import Moments
from graphgrad.stepping.timeline import START, Position

__all__ = ["MomentError", "Stepper"]


class MomentError(GraphError, traitlets.TraitError):
    """A moment that is not there; traitlets, too, know it, and keep the one before."""


def _checked(check: Callable[[Any], Any], value: Any) -> Any:
    try:
        return check(value)
    except GraphError as problem:
        raise MomentError(str(problem)) from None


def _resource(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")


class Stepper(anywidget.AnyWidget):  # type: ignore[misc, unused-ignore]
    """A graph with buttons to step through it; made by `stepper`.

    Attributes:
        moment: the number of the moment, from 0; set it to move, -1 is the last.
        position: the same as (phase, step); set it to move.

    Both are traits: ``moves.observe(f, "position")`` calls f after each move, by whomever.
    """

    _esm = _resource("frontend.js")
    _css = _resource("frontend.css")
    moment = traitlets.Int(0).tag(sync=True)
    position = traitlets.Any(START)
    _phases: Any = traitlets.List().tag(sync=True)
    _title = traitlets.Unicode().tag(sync=True)
    _shown = traitlets.Dict().tag(sync=True)

    def __init__(self, moments: Moments) -> None:
        self._moments = moments
        super().__init__(_phases=moments.phases, _title=moments.title, _shown=moments.shown(START))

    def __repr__(self) -> str:
        phase, step = self.position
        last = self._moments.timeline.steps_of(phase)
        return f"<Stepper of {self._moments.title!r}: {phase} {step}/{last}>"

    @property
    def tape(self) -> Tape:
        """The recorded run."""
        return self._moments.timeline.tape

    @property
    def sentence(self) -> str:
        """What was done at this moment."""
        return str(self._shown["sentence"])

    @traitlets.validate("moment")
    def _check_moment(self, proposal: Any) -> int:
        return _checked(self._moments.number, proposal["value"])

    @traitlets.validate("position")
    def _check_position(self, proposal: Any) -> Position:
        return _checked(self._moments.position, proposal["value"])

    @traitlets.observe("moment")
    def _move(self, change: Any) -> None:
        position = self._moments.timeline.at(change["new"])
        self._shown = self._moments.shown(position)
        self.position = position

    @traitlets.observe("position")
    def _follow(self, change: Any) -> None:
        self.moment = self._moments.timeline.number(change["new"])

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """Return the widget, and beside it what a page without a kernel can show."""
        bundle = super()._repr_mimebundle_(**options)
        if bundle is None:
            return None
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        return {**data, "text/html": self._moments.html(self.position)}, metadata
