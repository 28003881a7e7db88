"""Commands that write and read files: draw, play, save, load."""

from __future__ import annotations

import os

from graphgrad.drawing.figure import writer_of
from graphgrad.drawing.layout import run_graphviz
from graphgrad.drawing.scene import Frame
from graphgrad.errors import DrawingError
from graphgrad.explain.names import visible
from graphgrad.stepping import loading, saving
from graphgrad.stepping.files import checked_path, write
from graphgrad.stepping.registry import command
from graphgrad.stepping.text import lines
from graphgrad.stepping.workspace import Workspace

GROUP = "files"


@command("draw FILE", group=GROUP, takes="file")
def draw(work: Workspace, argument: str) -> str:
    """Write the picture of this moment.

    The ending tells the format: .svg, .pdf, .png or .dot.
    """
    path = checked_path(argument)
    format = os.path.splitext(path)[1][1:].lower()
    if not format:
        raise DrawingError(f"{argument}: the ending tells the format; use .svg, .pdf, .png or .dot")
    dot = writer_of(work.recording.scene)(Frame(*work.position))
    picture = dot.encode() if format in ("dot", "gv") else run_graphviz(dot, format)
    write(path, picture)
    return f"wrote {visible(argument)}"


@command("play FILE", group=GROUP, takes="file")
def play(work: Workspace, argument: str) -> str:
    """Write the HTML player: one file for any browser, offline."""
    from graphgrad.drawing.player import page  # only here: it brings the whole page along

    path = checked_path(argument)
    page.play(work.tape, digits=work.recording.digits).save(path)
    return f"wrote {visible(argument)}"


@command("save FILE", group=GROUP, takes="file")
def save(work: Workspace, argument: str) -> str:
    """Save the session as JSON.

    The file holds the expression's text, values, moment, breakpoints and watches.
    A graph made in Python has no text: its session is saved without it, and
    loaded into a session on the same graph.
    """
    path = checked_path(argument)
    write(path, saving.dump(work).encode())
    return f"saved {visible(argument)}"


@command("load FILE", group=GROUP, takes="file")
def load(work: Workspace, argument: str) -> str:
    """Load a session from a file that save wrote.

    The variables' values are set to those saved. A session of an expression
    brings its graph along. Any other is loaded into a session on the same graph:
    names, operations and shapes must agree. Nothing in the file is executed, and
    a file that cannot be loaded changes nothing.
    """
    loading.apply(work, saving.read(checked_path(argument)), argument)
    return lines([f"loaded {visible(argument)}", work.move(work.position)])
