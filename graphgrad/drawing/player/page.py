"""`play`: a page that steps through both passes of a graph, in one file without any network."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from html import escape
from math import ceil
from pathlib import Path
from typing import Any

from graphgrad.drawing.dot import Writer
from graphgrad.drawing.figure import scene_of, writer_of
from graphgrad.drawing.files import write_whole
from graphgrad.drawing.player.document import document
from graphgrad.drawing.player.geometry import Geometry, geometry
from graphgrad.drawing.player.story import Story
from graphgrad.drawing.title import title_of
from graphgrad.errors import DrawingError, GraphError
from graphgrad.explain.names import visible
from graphgrad.explain.numbers import DIGITS
from graphgrad.graph import Node
from graphgrad.recorder import Tape

__all__ = ["Player", "play"]

OTHERS = 560
"""Pixels of a page that are not the picture, in a notebook's cell."""


class Player:
    """A page that plays a graph's passes; made by `play`.

    It shows itself in notebooks, and is saved with `save`.

    Attributes:
        story: what each frame shows.
        title: the page's heading.
    """

    def __init__(self, story: Story, writer: Writer, title: str, theme: str = "auto"):
        self.story, self.title = story, title
        self._writer, self._theme = writer, theme

    def __repr__(self) -> str:
        phases = ", ".join(f"{count} {name}" for name, count in self.story.phases)
        return f"<Player of {self.title!r}: steps {phases}>"

    @cached_property
    def html(self) -> str:
        """The whole page as text."""
        return document(self.story, self._layout, self.title, self._theme)

    @cached_property
    def _layout(self) -> Geometry:
        return geometry(self._writer)

    @property
    def height(self) -> int:
        """Room for the page in a notebook, in pixels: a picture as wide as a cell, and the rest."""
        places = self._layout
        return min(1000, ceil(min(1.6, 900 / places.width) * places.height) + OTHERS)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the page to a file and return its path; an older file stays whole until then.

        Args:
            path: where to; the ending must be .html or .htm.

        Raises:
            DrawingError: when the path has another ending.
            OSError: when the file cannot be written.

        Example:
            >>> import graphgrad as gg
            >>> gg.play(gg.var("x", 2.0) ** 2).save("square.html")  # doctest: +SKIP
            PosixPath('square.html')
        """
        target = Path(path)
        if target.suffix.lower() not in (".html", ".htm"):
            raise DrawingError(f"{target}: the player is a page; expected a name with .html")
        return write_whole(target, self.html)

    def _repr_html_(self) -> str:
        return (
            f'<iframe title="{escape(f"steps of {self.title}")}" srcdoc="{escape(self.html)}" '
            f'sandbox="allow-scripts" width="100%" height="{self.height}" '
            f'style="border:0"></iframe>'
        )

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/html": self._repr_html_(), "text/plain": repr(self)}


def play(
    graph: Node | Tape,
    *,
    updates: Mapping[Node, Node] | None = None,
    title: str = "",
    theme: str = "auto",
    digits: int = DIGITS,
    collapse: bool | str | Iterable[str] | None = None,
    open: str | Iterable[str] = (),
    inputs: Collection[Node] = (),
    rankdir: str = "LR",
) -> Player:
    """Return a page that plays the forward and the backward pass, step by step.

    Args:
        graph: a node (it is run with its current values), or a tape.
        updates: new value by parameter, as nodes; they are played after the backward pass.
        title: the page's heading; the formula of the graph's last step by default.
        theme: ``"auto"`` (as the reader's system), ``"light"`` or ``"dark"`` at first.
        digits: significant digits of all numbers.
        collapse: True draws every group (scope) as one box, a path or several paths only these;
            by default groups are collapsed when there are more than 300 nodes.
        open: paths of groups to leave open all the same.
        inputs: nodes to colour as inputs; variables not named follow their role.
        rankdir: direction of the graph: LR, TB, RL or BT.

    Returns:
        A `Player`: it shows itself in notebooks, and ``.save("loss.html")`` writes one file that
        needs no network and no other file.

    Raises:
        GraphError: when there is no such theme, group or direction, or a parameter of `updates`
            takes no part in the graph.
        ShapeError: when a new value has another shape than its parameter.
        MissingValueError: when a variable has no value.

    Example:
        >>> import graphgrad as gg
        >>> w = gg.var("w", 3.0)
        >>> loss = abs(4 - gg.var("x", 2.0) * w)
        >>> gg.play(loss, updates={w: w - 0.1 * gg.grad(loss, w)})
        <Player of '|4 − x·w|': steps 3 forward, 4 backward, 1 update>
    """
    if theme not in ("auto", "light", "dark"):
        raise GraphError(f"theme {theme!r}: expected auto, light or dark")
    scene = scene_of(
        graph, digits=digits, collapse=collapse, open=open, inputs=inputs, updates=updates
    )
    writer = writer_of(scene, legend=False, rankdir=rankdir)
    return Player(Story(scene), writer, visible(title) or title_of(scene), theme)
