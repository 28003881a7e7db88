"""`film`: the steps of both passes and of updates, as an animation, slides, a transcript, pictures.

What one can do: ``gg.film(loss).save("loss.gif")``, or to ``loss.apng``, to ``loss.tex`` (Beamer
slides, with their figures in a folder beside), to ``loss.md``, or to a folder of numbered
pictures. All show the very steps that `draw`, the player and the stepper show.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from graphgrad.drawing.figure import scene_of, writer_of
from graphgrad.drawing.files import write_whole
from graphgrad.drawing.layout import run_graphviz
from graphgrad.drawing.scene import Frame
from graphgrad.drawing.title import title_of
from graphgrad.drawing.updates import UpdatedScene
from graphgrad.errors import DrawingError, GraphError, MissingDependencyError
from graphgrad.explain.latex import latex_adjoint, latex_value
from graphgrad.explain.numbers import DIGITS
from graphgrad.explain.typeset import step_latex
from graphgrad.graph import Node
from graphgrad.recorder import Tape

__all__ = ["Film", "film"]

BEAMER = r"""%% Made by graphgrad: one slide per step; the figures are in the folder %(figures)s.
\documentclass[aspectratio=169]{beamer}
\usepackage{amsmath}
\usepackage{graphicx}
\usepackage{adjustbox}
\setbeamertemplate{navigation symbols}{}
\begin{document}
%(slides)s
\end{document}
"""
SLIDE = r"""
\begin{frame}{%(title)s}
  \centering
  \includegraphics[width=\linewidth, height=0.62\textheight, keepaspectratio]{%(figure)s}

  \medskip
  \adjustbox{max width=\linewidth}{$\displaystyle %(formula)s$}
\end{frame}
"""
MARKDOWN = r"\`*_{}[]<>#|$~&"


class Film:
    """All frames of both passes, and of updates; made by `film`, written with `save`.

    Attributes:
        frames: every frame of every phase, each from step 0.
        title: what is computed.
    """

    def __init__(self, graph: Node | Tape, phases: Iterable[str], seconds: float, **options: Any):
        looks = {k: options.pop(k) for k in ("theme", "legend", "rankdir")}
        self._scene = scene_of(graph, **options)
        self._writer = writer_of(self._scene, **looks)
        self._seconds = seconds
        self.title = title_of(self._scene)
        asked = [p for p in (*phases, "update") if p in self._scene.phases]
        self.frames = [Frame(p, k) for p in asked for k in range(self._scene.count(p) + 1)]

    def __repr__(self) -> str:
        return f"<Film of {self.title!r}: {len(self.frames)} frames>"

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the film in the format its ending tells, and return its path.

        Args:
            path: ``.gif``, ``.apng`` or ``.png``: an animation; ``.tex``: Beamer slides, with a
                folder of figures beside; ``.md``: a transcript with formulas; without an ending:
                a folder of numbered SVG pictures.

        Raises:
            DrawingError: when the ending is another.
            MissingDependencyError: when an animation is asked for and Pillow is not installed.

        Example:
            >>> import graphgrad as gg
            >>> gg.film(gg.var("x", 2.0) ** 2).save("square.gif")  # doctest: +SKIP
            PosixPath('square.gif')
        """
        target = Path(path)
        ending = target.suffix.lower()
        if not ending or target.is_dir():
            self.pictures(target)
        elif ending in (".gif", ".apng", ".png"):
            write_whole(target, self._animation("GIF" if ending == ".gif" else "PNG"))
        elif ending == ".tex":
            stem = re.sub(r"[^\w.-]", "-", target.stem)  # TeX reads the name too
            figures = target.with_name(f"{stem}-figures")
            names = [p.name for p in self.pictures(figures, "pdf")]
            write_whole(target, self._slides(figures.name, names))
        elif ending == ".md":
            write_whole(target, self.transcript)
        else:
            raise DrawingError(
                f"{target}: expected .gif, .apng, .tex or .md, or no ending for a folder of "
                f"pictures; a page that plays is gg.play(…).save('….html')"
            )
        return target

    def pictures(self, folder: str | os.PathLike[str], format: str = "svg") -> list[Path]:
        """Write every frame as a numbered file into a folder, and return the paths.

        Args:
            folder: made if need be.
            format: ``"svg"``, ``"pdf"``, ``"png"`` or another of Graphviz's.
        """
        place = Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        digits = max(3, len(str(len(self.frames) - 1)))
        return [
            write_whole(
                place / f"{number:0{digits}d}-{frame.phase}-{frame.step}.{format}",
                run_graphviz(self._writer(frame), format),
            )
            for number, frame in enumerate(self.frames)
        ]

    # -- animations ------------------------------------------------------------------------------

    def _animation(self, format: str) -> bytes:
        try:
            from PIL import Image
        except ImportError:
            raise MissingDependencyError(
                "an animation needs the library Pillow: pip install pillow"
            ) from None
        drawn = [run_graphviz(self._writer(frame), "png", dpi=96) for frame in self.frames]
        images = [Image.open(io.BytesIO(data)).convert("RGB") for data in drawn]
        paper = tuple(max(image.size[k] for image in images) for k in (0, 1))
        color = self._writer.theme.background
        sheets = [Image.new("RGB", (paper[0], paper[1]), color) for _ in images]
        for sheet, image in zip(sheets, images):
            sheet.paste(image, (0, 0))
        if format == "GIF":
            sheets = [sheet.quantize(64, dither=Image.Dither.NONE) for sheet in sheets]
        duration = [round(1000 * self._seconds)] * len(sheets)
        duration[-1] *= 3
        file = io.BytesIO()
        sheets[0].save(
            file, format, save_all=True, append_images=sheets[1:], duration=duration, loop=0
        )
        return file.getvalue()

    # -- transcripts -------------------------------------------------------------------------------

    def _formula(self, frame: Frame) -> str:
        """Return what a frame says, in LaTeX."""
        tape, wording = self._scene.tape, self._scene.wording
        if isinstance(self._scene, UpdatedScene) and frame.phase == "update":
            updates = self._scene.updates
            if frame.step:
                return updates[frame.step - 1].latex
            return r",\quad ".join(self._gradients([u.node for u in updates[:8]])) or r"\ldots"
        if frame.step:
            steps = tape.forward if frame.phase == "forward" else tape.backward
            return step_latex(wording, steps[frame.step - 1])
        if frame.phase == "forward":
            leaves = [n for n in tape.nodes if n.name and n.is_leaf]
            return r",\quad ".join(self._equals(wording.latex_names[n], tape.value(n))
                                   for n in leaves[:8]) or r"\ldots"  # fmt: skip
        return self._equals(latex_adjoint(wording.latex_names[tape.root]), tape.seed)

    def _equals(self, name: str, value: Any) -> str:
        text = latex_value(value, self._scene.wording.digits)
        return f"{name} {text}" if text.startswith(r"\in ") else f"{name} = {text}"

    def _heading(self, frame: Frame) -> str:
        count = self._scene.count(frame.phase)
        where = f"step {frame.step} of {count}" if frame.step else "start"
        return f"{frame.phase}, {where}"

    def _slides(self, figures: str, names: list[str]) -> str:
        slides = [
            SLIDE % {
                "title": self._heading(frame).capitalize(),
                "figure": f"{figures}/{name}",
                "formula": self._formula(frame),
            }
            for frame, name in zip(self.frames, names)
        ]  # fmt: skip
        return BEAMER % {"figures": figures, "slides": "".join(slides)}

    @cached_property
    def transcript(self) -> str:
        """The steps as Markdown: a list of formulas per pass, then the gradients."""
        lines = [f"# {_escaped(self.title)}", ""]
        leaves = [n for n in self._scene.tape.nodes if n.is_leaf and n.active]
        for phase in dict.fromkeys(frame.phase for frame in self.frames):
            lines += ["## Update" if phase == "update" else f"## {phase.capitalize()} pass", ""]
            for frame in self.frames:
                if frame.phase == phase:
                    mark = f"{frame.step}. " if frame.step else "Start: "
                    lines += [f"{mark}${self._formula(frame)}$", *([] if frame.step else [""])]
            lines.append("")
            if phase == "backward":
                lines += ["## Gradients", "", *(f"- ${g}$" for g in self._gradients(leaves)), ""]
        return "\n".join(lines)

    def _gradients(self, nodes: Iterable[Node]) -> list[str]:
        """Return the adjoints of nodes as formulas, of those that have one."""
        tape, names = self._scene.tape, self._scene.wording.latex_names
        found = [(n, tape.adjoint(n)) for n in nodes] if tape.differentiable else []
        return [self._equals(latex_adjoint(names[n]), v) for n, v in found if v is not None]


def _escaped(text: str) -> str:
    """Return text for Markdown, where nothing of it is a mark."""
    return re.sub(f"([{re.escape(MARKDOWN)}])", r"\\\1", text)


def film(
    graph: Node | Tape,
    phases: Iterable[str] = ("forward", "backward"),
    *,
    updates: Mapping[Node, Node] | None = None,
    seconds: float = 1.0,
    theme: str = "light",
    digits: int = DIGITS,
    collapse: bool | str | Iterable[str] | None = None,
    open: str | Iterable[str] = (),
    inputs: Collection[Node] = (),
    legend: bool = True,
    rankdir: str = "LR",
) -> Film:
    """Return all steps as a film, to be saved as an animation, slides, a transcript or pictures.

    Args:
        graph: a node (it is run with its current values), or a tape.
        phases: which passes, in order.
        updates: new value by parameter, as nodes; they are shown after the passes.
        seconds: how long an animation shows each step.
        theme, digits, collapse, open, inputs, legend, rankdir: as of `draw`.

    Returns:
        A `Film`; ``.save("loss.gif")``, ``.apng``, ``.tex``, ``.md`` or a folder.

    Raises:
        GraphError: when there is no such phase, theme or group, `seconds` is not positive, or a
            parameter of `updates` takes no part in the graph.
        ShapeError: when a new value has another shape than its parameter.

    Example:
        >>> import graphgrad as gg
        >>> print(gg.film(gg.var("x", 3.0) ** 2).transcript.split("## ")[2])
        Backward pass
        <BLANKLINE>
        Start: $\\bar{v}_{1} = 1$
        <BLANKLINE>
        1. $\\bar{x} \\leftarrow \\bar{v}_{1} \\cdot \\frac{\\partial v_{1}}{\\partial x} = ...$
        <BLANKLINE>
    """
    if not (np.isfinite(seconds) and seconds > 0):
        raise GraphError(f"seconds={seconds}: expected a positive time per step")
    asked = [phases] if isinstance(phases, str) else list(phases)
    for phase in asked:
        if phase not in ("forward", "backward"):
            raise GraphError(f"phase {phase!r}: expected 'forward' or 'backward'")
    return Film(
        graph, asked, seconds, theme=theme, digits=digits, collapse=collapse, open=open,
        inputs=inputs, legend=legend, rankdir=rankdir, updates=updates,
    )  # fmt: skip
