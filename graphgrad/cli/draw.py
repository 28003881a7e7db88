"""``graphgrad draw``: pictures of one moment of a pass, or of all."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from graphgrad.cli.arguments import add_graph, add_look, graph_of, parser_of

if TYPE_CHECKING:
    from graphgrad.drawing.dot import Writer

__all__ = ["parser", "run", "write"]

EPILOG = """\
examples:
  graphgrad draw "abs(4 - (x*w + b))" x=2 w=3 b=1
  graphgrad draw "abs(4 - (x*w + b))" x=2 w=3 b=1 --phase backward -o loss.svg
  graphgrad draw "z = x*w + b; loss = (z - 4)**2" x=2 w=3 b=1 --frames frames/
"""


def parser() -> argparse.ArgumentParser:
    """Return the options of the command."""
    parser = parser_of("draw", "Draw the forward or the backward pass of an expression.", EPILOG)
    add = parser.add_argument
    add_graph(parser)
    add("-o", "--output", metavar="FILE", help=".svg, .pdf, .png or .dot; without, or -: terminal")
    add("--frames", metavar="DIR", help="write every step as a numbered SVG")
    add("--phase", choices=["forward", "backward"], help="which pass (forward)")
    add("--step", type=int, metavar="K", help="the moment after K steps of the pass")
    add("--theme", default="light", choices=["light", "dark", "print"])
    add_look(parser)
    add("--no-legend", action="store_true", help="leave the legend out")
    add("--ascii", action="store_true", help="no Unicode in the terminal")
    parser.set_defaults(run=run)
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Draw to a file, into a folder, or in the terminal."""
    writer = _writer(arguments)
    if arguments.frames:
        _write_frames(writer, arguments)
    output = arguments.output
    if output and output != "-":
        write(writer, Path(output), arguments.phase or "forward", arguments.step)
    elif not arguments.frames:
        _print(writer, arguments)


def _writer(arguments: argparse.Namespace) -> Writer:
    from graphgrad.drawing.figure import scene_of, writer_of

    scene = scene_of(
        graph_of(arguments),
        digits=arguments.digits,
        collapse=arguments.collapse,
        open=arguments.open or (),
    )
    return writer_of(scene, arguments.theme, not arguments.no_legend, arguments.rankdir)


def write(writer: Writer, path: Path, phase: str = "forward", step: int | None = None) -> None:
    """Write a picture to a file, in the format that its ending tells."""
    from graphgrad.drawing.layout import run_graphviz
    from graphgrad.errors import DrawingError

    format = path.suffix[1:].lower()
    if not format:
        raise DrawingError(f"{path}: the ending tells the format; use .svg, .pdf, .png or .dot")
    dot = writer(writer.scene.frame(phase, step))
    if format in ("dot", "gv"):
        path.write_text(dot, encoding="utf-8")
    else:
        path.write_bytes(run_graphviz(dot, format))


def _write_frames(writer: Writer, arguments: argparse.Namespace) -> None:
    from graphgrad.drawing.layout import run_graphviz

    folder, scene = Path(arguments.frames), writer.scene
    folder.mkdir(parents=True, exist_ok=True)
    phases = [arguments.phase] if arguments.phase else ["forward", "backward"]
    if not scene.tape.differentiable and not arguments.phase:
        phases = ["forward"]
    frames = [scene.frame(p, k) for p in phases for k in range(scene.count(p) + 1)]
    digits = max(3, len(str(len(frames))))
    for number, frame in enumerate(frames):
        name = f"{number:0{digits}d}-{frame.phase}-{frame.step}.svg"
        (folder / name).write_bytes(run_graphviz(writer(frame), "svg"))


def _print(writer: Writer, arguments: argparse.Namespace) -> None:
    from graphgrad.drawing.terminal.scene_text import text_of

    frame = writer.scene.frame(arguments.phase or "forward", arguments.step)
    tty = sys.stdout.isatty()
    encoding = (sys.stdout.encoding or "ascii").lower().replace("-", "")
    text = text_of(
        writer,
        frame,
        width=shutil.get_terminal_size().columns if tty or "COLUMNS" in os.environ else None,
        color=tty and "NO_COLOR" not in os.environ,
        ascii=arguments.ascii or not re.match("utf", encoding),
    )
    sys.stdout.write(text + "\n")
