"""`play`: a page that steps through both passes of a graph, in one file without any network.

The page holds one SVG, laid out once, a table of what each frame shows, and a script that puts the
table's classes and texts into the SVG. The table with its formulas and quiz questions is packed
(deflate, which browsers unpack), for it repeats itself: it would be most of a large page.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import zlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields
from functools import cached_property
from html import escape
from importlib.resources import files
from math import ceil
from pathlib import Path
from string import Template
from typing import Any

from graphgrad.drawing.dot import ROLES, Writer
from graphgrad.drawing.figure import scene_of, writer_of
from graphgrad.drawing.player.geometry import Geometry, geometry
from graphgrad.drawing.player.markup import picture
from graphgrad.drawing.player.quiz import questions
from graphgrad.drawing.player.story import Story, marked
from graphgrad.drawing.player.updates import Updates
from graphgrad.drawing.scene import Frame, Scene
from graphgrad.drawing.style import THEMES
from graphgrad.errors import DrawingError, GraphError, MissingDependencyError
from graphgrad.explain.formulas import render
from graphgrad.explain.latex import mathml
from graphgrad.explain.names import visible
from graphgrad.explain.numbers import DIGITS
from graphgrad.explain.steps import plain
from graphgrad.graph import Node
from graphgrad.recorder import Tape

__all__ = ["Player", "play"]


class Player:
    """A page that plays a graph's passes; made by `play`.

    It shows itself in notebooks, and is saved with `save`.

    Attributes:
        story: what each frame shows.
        title: the page's heading.
        height: the height of the frame it is given in notebooks, in pixels.
    """

    def __init__(self, story: Story, writer: Writer, title: str, theme: str = "auto"):
        self.story, self.title, self._theme = story, title, theme
        self._writer = writer

    def __repr__(self) -> str:
        phases = ", ".join(f"{count} {name}" for name, count in self.story.phases)
        return f"<Player of {self.title!r}: steps {phases}>"

    @cached_property
    def html(self) -> str:
        """The whole page as text."""

        def resource(name: str) -> str:
            return files(__package__).joinpath(name).read_text("utf-8").strip()

        return Template(resource("player.html")).substitute(
            title=escape(self.title),
            style=f"{_colors(self._theme)}\n{resource('player.css')}",
            picture=picture(self.story, self._layout, f"computational graph of {self.title}"),
            legend=_legend(self.story),
            data=_packed(self._data()),
            script="\n\n".join(map(resource, ("player.js", "page.js", "quiz.js"))),
        )

    @cached_property
    def _layout(self) -> Geometry:
        return geometry(self._writer)

    @property
    def height(self) -> int:
        """Room for the page in a notebook: the picture as wide as a notebook's cell, and the rest."""
        places = self._layout
        return min(1000, ceil(min(1.6, 900 / places.width) * places.height) + 560)

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
        text = self.html
        draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        try:
            draft.write_text(text, encoding="utf-8", newline="\n")
            os.replace(draft, target)
        except OSError as problem:
            problem.filename = str(target)
            raise
        finally:
            draft.unlink(missing_ok=True)
        return target

    def _repr_html_(self) -> str:
        return (
            f'<iframe title="{escape(f"steps of {self.title}")}" srcdoc="{escape(self.html)}" '
            f'sandbox="allow-scripts" width="100%" height="{self.height}" '
            f'style="border:0"></iframe>'
        )

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/html": self._repr_html_(), "text/plain": repr(self)}

    def _data(self) -> dict[str, Any]:
        """Return all that the page's script reads."""
        scene = self.story.scene
        titles = {dot.key: plain(dot.title) for dot in scene.dots}
        titles |= {link.box.key: titles[link.dot.key] for link in scene.links}
        return {
            **self.story.data(),
            "formulas": [self._formula(frame) for frame in self.story.frames],
            "titles": {key: visible(text) for key, text in titles.items()},
            "quiz": [self._questions(frame) for frame in self.story.frames],
        }

    def _formula(self, frame: Frame) -> str:
        """Return the MathML of a step; "" where there is none, or nothing to make it with."""
        step = frame.step or 0
        if not step:
            return ""
        scene = self.story.scene
        if frame.phase == "update":
            latex = self.story.updates[step - 1].latex
        else:
            steps = scene.tape.forward if frame.phase == "forward" else scene.tape.backward
            latex = scene.wording.latex(steps[step - 1])
        try:
            return mathml(latex)
        except MissingDependencyError:
            return ""

    def _questions(self, frame: Frame) -> list[list[Any]]:
        """Return the questions about the step that leads to a frame, those with a place in sight."""
        step = frame.step or 0
        if not step or frame.phase == "update":
            return []
        scene, story = self.story.scene, self.story
        recorded = scene.tape.forward if frame.phase == "forward" else scene.tape.backward
        found = []
        for q in questions(scene.wording, recorded[step - 1]):
            asked = q.question
            key = story.focus(frame) if asked.kind == "local" else story.seen_at(asked.node)
            if key.startswith("e" if asked.kind == "local" else "n"):
                mistakes = [[_rounded(value), marked(text)] for value, text in q.mistakes]
                answer = [_rounded(q.answer), _rounded(q.tolerance, 2)]
                found.append([asked.kind, key, marked(asked.text), *answer, mistakes])
        return found


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
        <Player of '…': steps 3 forward, 4 backward, 1 update>
    """
    if theme not in ("auto", "light", "dark"):
        raise GraphError(f"theme {theme!r}: expected auto, light or dark")
    scene = scene_of(graph, digits=digits, collapse=collapse, open=open, inputs=inputs)
    writer = writer_of(scene, legend=False, rankdir=rankdir)
    steps = Updates(scene, updates or {}).steps
    for update in steps:
        if update.box:
            writer.widen(update.box, update.lines)
    return Player(Story(scene, steps), writer, visible(title) or _title(scene), theme)


def _title(scene: Scene) -> str:
    """Return what is computed: the whole formula when it is short, else its last operation."""
    root, names = scene.tape.root, scene.wording.names
    terms: dict[Node, int] = {}
    for node in scene.tape.nodes:
        terms[node] = 1 + sum(terms[x] for x in node.inputs)
    if not root.inputs:
        return names[root]
    text = render(root) if terms[root] <= 25 else scene.wording.operation(root)
    return visible(f"{root.name} = {text}" if root.name else text)


def _colors(theme: str) -> str:
    """Return the themes as custom properties; the browser takes the light or the dark value."""
    light, dark = THEMES["light"], THEMES["dark"]
    pairs = (f"--{f.name}: light-dark({getattr(light, f.name)}, {getattr(dark, f.name)});"
             for f in fields(light))  # fmt: skip
    scheme = "light dark" if theme == "auto" else theme
    return f":root {{ color-scheme: {scheme}; {' '.join(pairs)} }}"


def _legend(story: Story) -> str:
    root = escape(story.scene.wording.names[story.scene.tape.root])
    used = {box.role for box in story.scene.boxes}
    rows = [f'<li><i style="background:var(--{r})"></i>{r}</li>' for r in ROLES if r in used]
    rows.append('<li style="color:var(--value)">value</li>')
    if story.scene.tape.differentiable:
        rows.append(
            f'<li style="color:var(--adjoint)">adjoint <span class="bar">x</span> = '
            f"∂{root}/∂x</li><li>local derivative ∂y/∂x</li>"
        )
    return "".join([*rows, "<li>thick: current step</li><li>dashed, –: not yet</li>"])


def _rounded(x: float, digits: int = 6) -> float:
    return float(f"{x:.{digits}g}")


def _packed(data: Any) -> str:
    """Return data as compressed JSON in letters that mean nothing to HTML."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()
