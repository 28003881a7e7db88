"""The player's page as text: one SVG, a style sheet, a script, and a table of all frames.

The table with its formulas and quiz questions is packed (deflate, which browsers unpack), for it
repeats itself: it would be most of a large page.
"""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import fields
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from graphgrad.drawing.dot import ROLES
from graphgrad.drawing.player.geometry import Geometry
from graphgrad.drawing.player.markup import picture
from graphgrad.drawing.player.quiz import questions
from graphgrad.drawing.player.story import Story, marked
from graphgrad.drawing.scene import Frame
from graphgrad.drawing.style import THEMES
from graphgrad.errors import MissingDependencyError
from graphgrad.explain.latex import mathml
from graphgrad.explain.names import visible
from graphgrad.explain.steps import plain
from graphgrad.explain.typeset import step_latex

__all__ = ["document", "table"]


def document(story: Story, places: Geometry, title: str, theme: str = "auto") -> str:
    """Return the whole page; every name in it is escaped.

    Args:
        story: what each frame shows.
        places: where everything is.
        title: the heading.
        theme: auto, light or dark.
    """
    return Template(_resource("player.html")).substitute(
        title=escape(title),
        style=f"{_colors(theme)}\n{_resource('player.css')}",
        picture=picture(story, places, f"computational graph of {title}"),
        legend=_legend(story),
        data=_packed(table(story)),
        script="\n\n".join(map(_resource, ("player.js", "page.js", "quiz.js"))),
    )


def _resource(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8").strip()


def table(story: Story) -> dict[str, Any]:
    """Return all that the page's script reads: frames, formulas, titles, questions."""
    scene = story.scene
    titles = {dot.key: plain(dot.title) for dot in scene.dots}
    titles |= {link.box.key: titles[link.dot.key] for link in scene.links}
    return {
        **story.data(),
        "formulas": [_formula(story, frame) for frame in story.frames],
        "titles": {key: visible(text) for key, text in titles.items()},
        "quiz": [_questions(story, frame) for frame in story.frames],
    }


def _formula(story: Story, frame: Frame) -> str:
    """Return the MathML of a step; "" where there is none, or nothing to make it with."""
    step, tape = frame.step or 0, story.scene.tape
    if not step:
        return ""
    if frame.phase == "update":
        latex = story.updates[step - 1].latex
    else:
        steps = tape.forward if frame.phase == "forward" else tape.backward
        latex = step_latex(story.scene.wording, steps[step - 1])
    try:
        return mathml(latex)
    except MissingDependencyError:
        return ""


def _questions(story: Story, frame: Frame) -> list[list[Any]]:
    """Return the questions about the step that leads to a frame, those with a place in sight."""
    step, tape = frame.step or 0, story.scene.tape
    if not step or frame.phase == "update":
        return []
    recorded = tape.forward if frame.phase == "forward" else tape.backward
    found = []
    for q in questions(story.scene.wording, recorded[step - 1]):
        asked = q.question
        key = story.focus(frame) if asked.kind == "local" else story.seen_at(asked.node)
        if key.startswith("e" if asked.kind == "local" else "n"):
            mistakes = [[_rounded(value), marked(text)] for value, text in q.mistakes]
            answer = [_rounded(q.answer), _rounded(q.tolerance, 2)]
            found.append([asked.kind, key, marked(asked.text), *answer, mistakes])
    return found


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
