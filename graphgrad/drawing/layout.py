"""The one door to Graphviz: DOT text goes in, a picture or coordinates come out.

What one can do here:

* ``Picture``: the ``graphviz.Digraph`` that ``gg.draw`` returns. It draws with the Graphviz that
  pygraphviz's wheel brings along, so ``pip install`` is all it takes.
* ``run_graphviz(dot, "png")``: the bytes of a picture. ``svg(dot)``: one to put inside HTML.
* ``coordinates(dot)``: where Graphviz put everything, for drawings of another kind.

Another Graphviz draws where pygraphviz has no wheel (the ``dot`` on the search path) and where the
environment variable ``GRAPHGRAD_DOT`` names one.
"""

from __future__ import annotations

import functools
import json
import os
import pathlib
import re
import shutil
import subprocess
import threading
import warnings
from dataclasses import dataclass
from html import escape
from typing import Any

import graphviz

from graphgrad.drawing.bundled import bundled_graphviz
from graphgrad.errors import DrawingError, MissingDependencyError

__all__ = [
    "DrawingWarning",
    "EdgePlace",
    "Layout",
    "NodePlace",
    "Picture",
    "coordinates",
    "run_graphviz",
    "svg",
]

BITMAPS = {"png", "jpg", "jpeg", "jpe", "gif", "wbmp", "gd", "gd2", "bmp", "tif", "tiff", "webp"}
CARRY_GLYPHS = BITMAPS | {"pdf", "ps", "ps2", "eps"}

DIGRAPH = re.compile(
    r"""\s* (?:// [ ]? (?P<comment>[^\n]*) \n)? \s* (?P<strict>strict\s+)? digraph \b
    \s* (?P<name>"(?:[^"\\]|\\.)*" | [^\s{"]+)? \s* \{[^\S\n]*\n? (?P<body>.*) \} \s* \Z""",
    re.DOTALL | re.VERBOSE | re.IGNORECASE,
)

# Graphviz keeps its state in C globals: one picture at a time.
_LOCK = threading.Lock()


class DrawingWarning(UserWarning):
    """Graphviz drew the picture, but not quite as the DOT text asked."""


class Picture(graphviz.Digraph):  # type: ignore[misc]
    """A drawing in the DOT language that shows itself in notebooks and writes itself to files.

    It is a ``graphviz.Digraph`` in every respect (``.source``, ``.save()``, ``.node()``,
    ``.attr()``, ...) but needs no Graphviz on the machine; only ``.unflatten()`` still does.

    Example:
        >>> picture = Picture.from_dot("digraph loss {\\n\\tx -> y\\n}\\n")
        >>> picture.node("y", shape="box")
        >>> print(picture.source)
        digraph loss {
        	x -> y
        	y [shape=box]
        }
        <BLANKLINE>
        >>> picture.pipe("svg", encoding="utf-8")[:5]
        '<?xml'
    """

    @classmethod
    def from_dot(cls, dot: str, filename: str | None = None, **options: Any) -> Picture:
        """Makes a picture from complete DOT text.

        Args:
            dot: Text ``digraph NAME {``, lines, ``}``. If its first and last line are written as
                graphviz writes them, ``.source`` is exactly this text; else they are normalized.
            filename: What ``.save()`` and ``.render()`` call the file; ``.gv`` is added.
            options: ``directory``, ``format``, ``engine`` as of ``graphviz.Digraph``.

        Raises:
            DrawingError: If the text is not one directed graph.
        """
        found = DIGRAPH.match(dot)
        if not found:
            start = dot if len(dot) < 60 else dot[:60] + "..."
            raise DrawingError(
                f"cannot make a picture from {start!r}: expected 'digraph NAME {{ ... }}'"
            )
        name = found["name"]
        if name and name.startswith('"'):
            name = graphviz.nohtml(name[1:-1])
        picture = cls(name, body=_lines(found["body"]), strict=bool(found["strict"]), **options)
        picture.comment = found["comment"]
        if filename is not None:
            picture.filename = filename if filename.endswith(".gv") else filename + ".gv"
        return picture

    def pipe(
        self,
        format: str | None = None,
        *,
        renderer: str | None = None,
        formatter: str | None = None,
        neato_no_op: bool | int | None = None,
        quiet: bool = False,
        engine: str | None = None,
        encoding: str | None = None,
    ) -> Any:
        """Returns the drawing as bytes, or as text if an ``encoding`` is given.

        Args:
            format: ``"svg"``, ``"pdf"``, ``"png"``, ...; the picture's own if not given.
            renderer: Graphviz's plugin for this format, as ``"cairo"``.
            formatter: Graphviz's plugin that writes what the renderer drew, as ``"gd"``.
            neato_no_op: With the engine ``"neato"``: True or 1 takes the positions of the nodes
                from the DOT text, 2 those of the edges too.
            quiet: Says nothing of Graphviz's warnings; its errors are raised all the same.
            engine: ``"dot"``, ``"neato"``, ...; the picture's own if not given.
            encoding: Of the result, as ``"utf-8"`` for SVG.

        Raises:
            DrawingError: If the DOT text has a mistake, or the format or engine is unknown.
            MissingDependencyError: If there is no Graphviz at all.
        """
        parts = self._parts(format, renderer, formatter)
        program = engine or self.engine
        if neato_no_op:
            if program != "neato":
                raise DrawingError(
                    f"neato_no_op={neato_no_op!r} with the engine {program!r}: "
                    "expected engine='neato', the only one that takes positions as they are"
                )
            program = f"nop{int(neato_no_op)}"
        drawing = run_graphviz(self.source, ":".join(parts), program, quiet=quiet)
        return drawing if encoding is None else drawing.decode(encoding)

    def render(
        self,
        filename: os.PathLike[str] | str | None = None,
        *,
        directory: os.PathLike[str] | str | None = None,
        outfile: os.PathLike[str] | str | None = None,
        view: bool = False,
        quiet_view: bool = False,
        cleanup: bool = False,
        raise_if_result_exists: bool = False,
        overwrite_source: bool = False,
        **options: Any,
    ) -> str:
        """Saves the DOT text, writes the drawing and returns the drawing's path.

        Args:
            filename: Where the DOT text goes; the drawing adds its format to this name.
            directory: The folder of both; made if need be.
            outfile: The drawing's path instead; its suffix is the format if none is given.
            view: Opens the drawing with the system's viewer.
            quiet_view: The same, with the viewer muted.
            cleanup: Deletes the DOT text afterwards.
            raise_if_result_exists: Refuses to overwrite a drawing.
            overwrite_source: Lets the drawing take the place of the DOT text.
            options: ``format``, ``engine``, ``quiet`` and the rest of ``pipe()``.

        Raises:
            DrawingError, MissingDependencyError: As of ``pipe()``; then nothing is written.
            FileExistsError: If the drawing exists and ``raise_if_result_exists`` is set.
            ValueError: If the drawing would overwrite the DOT text.

        Example:
            >>> Picture("loss").render(outfile="loss.svg", cleanup=True)  # doctest: +SKIP
            'loss.svg'
        """
        target = None if outfile is None else pathlib.Path(outfile)
        if target is not None:
            options["format"] = options.get("format") or target.suffix[1:].lower()
            target = target if directory is not None else pathlib.Path(self.directory, target)
            filename = target.with_suffix(".gv") if filename is None else filename
        self.filename = self.filename if filename is None else os.fspath(filename)
        self.directory = self.directory if directory is None else os.fspath(directory)
        if target is None:
            parts = self._parts(*map(options.get, ("format", "renderer", "formatter")))
            target = pathlib.Path(".".join([self.filepath, *reversed(parts)]))
        _check_target(target, self.filepath, raise_if_result_exists, overwrite_source)
        drawing = self.pipe(**options)
        self.save()
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(drawing)
        if cleanup:
            os.remove(self.filepath)
        if view or quiet_view:
            graphviz.view(target, quiet=quiet_view)
        return str(target)

    def _parts(self, *given: str | None) -> list[str]:
        """Format, renderer, formatter: as given, else as set on the picture."""
        own = (self.format, self.renderer, self.formatter)
        chosen = [part or default for part, default in zip(given, own, strict=True)]
        if chosen[2] and not chosen[1]:
            raise graphviz.RequiredArgumentError(
                f"formatter {chosen[2]!r} without a renderer: give both, or neither"
            )
        return [part for part in chosen if part]


def run_graphviz(
    dot: str, format: str, engine: str = "dot", *, dpi: int = 192, quiet: bool = False
) -> bytes:
    """Draws DOT text. The same text gives the same bytes in every process with the same fonts.

    Args:
        dot: A whole graph in the DOT language.
        format: ``"svg"``, ``"pdf"``, ``"png"``, ``"json"``, ``"dot"``, ...
        engine: ``"dot"``, ``"neato"``, ...
        dpi: Dots per inch of bitmaps whose graph does not say ``dpi=...`` itself.
        quiet: Says nothing of Graphviz's warnings; its errors are raised all the same.

    Raises:
        DrawingError: If the text has a mistake, or the format or engine is unknown.
        MissingDependencyError: If there is no Graphviz at all.

    Warns:
        DrawingWarning: If Graphviz drew something else than the text asks for.

    Example:
        >>> run_graphviz("digraph { x -> y }", "pdf")[:5]
        b'%PDF-'
    """
    kind = format.partition(":")[0].lower()
    resolution = dpi if kind in BITMAPS else None
    program = os.environ.get("GRAPHGRAD_DOT") or _dot_if_no_wheel()
    with _LOCK:
        if program:
            drawing, said = _run_program(program, dot, format, engine, resolution)
        else:
            drawing, said = bundled_graphviz().draw(dot, format, engine, resolution)
    _judge(drawing, said, quiet)
    if not program and kind in CARRY_GLYPHS and not bundled_graphviz().has_fonts:
        _warn_of_boxes()
    return re.sub(rb"(/CreationDate \(D:)\d{14}", rb"\g<1>20000101000000", drawing)


def svg(dot: str, title: str | None = None) -> str:
    """Draws DOT text as one ``<svg>`` element to put inside HTML.

    Unlike the document ``run_graphviz(dot, "svg")``, it has no XML head and no comments. Ids,
    classes and titles stay; text comes escaped from Graphviz.

    Args:
        dot: A whole graph in the DOT language.
        title: What a screen reader calls the picture.

    Example:
        >>> svg("digraph { x }", title="a < b")[:41]
        '<svg role="group" aria-label="a &lt; b" w'
    """
    document = run_graphviz(dot, "svg").decode()
    element = re.sub(r"<!--.*?-->\n?", "", document[document.index("<svg") :], flags=re.DOTALL)
    label = "" if title is None else f' role="group" aria-label="{escape(title)}"'
    return element.replace("<svg", f"<svg{label}", 1).rstrip()


@dataclass(frozen=True, slots=True)
class NodePlace:
    """A node's name in the DOT text, its middle and its size, in points."""

    name: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class EdgePlace:
    """An edge: names of its ends, its ``id`` in the DOT text, the points of its curve."""

    tail: str
    head: str
    id: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where Graphviz put everything, in points from the upper left corner, y downwards."""

    width: float
    height: float
    nodes: tuple[NodePlace, ...]
    edges: tuple[EdgePlace, ...]


def coordinates(dot: str, engine: str = "dot") -> Layout:
    """Lays DOT text out without drawing it.

    Args:
        dot: A whole graph in the DOT language.
        engine: ``"dot"``, ``"neato"``, ...

    Returns:
        Nodes and edges in the order of the text, in points from the upper left corner.

    Example:
        >>> layout = coordinates("digraph { rankdir=LR; x -> y }")
        >>> [(node.name, node.x) for node in layout.nodes]
        [('x', 27.0), ('y', 117.0)]
    """
    # json0, not plain: only there do parallel edges keep their ids and odd names stay whole.
    found = json.loads(run_graphviz(dot, "json0", engine), strict=False)
    left, bottom, right, top = map(float, found["bb"].split(","))

    def point(text: str) -> tuple[float, float]:
        x, y = text.split(",")[:2]
        return float(x) - left, top - float(y)

    objects = {thing["_gvid"]: thing for thing in found.get("objects", ())}
    nodes = tuple(
        NodePlace(o["name"], *point(o["pos"]), 72 * float(o["width"]), 72 * float(o["height"]))
        for o in objects.values()
        if "pos" in o
    )
    edges = tuple(
        EdgePlace(
            objects[edge["tail"]]["name"],
            objects[edge["head"]]["name"],
            edge.get("id", ""),
            tuple(map(point, _in_order(edge.get("pos", "").split()))),
        )
        for edge in found.get("edges", ())
    )
    return Layout(right - left, top - bottom, nodes, edges)


def _in_order(curve: list[str]) -> list[str]:
    """Graphviz writes an edge's arrowheads ("s,x,y", "e,x,y") before its other points."""
    start = [p[2:] for p in curve if p.startswith("s,")]
    end = [p[2:] for p in curve if p.startswith("e,")]
    return start + [p for p in curve if p[0] not in "se"] + end


def _lines(body: str) -> list[str]:
    return (body if body.endswith("\n") or not body else body + "\n").splitlines(keepends=True)


def _check_target(target: pathlib.Path, source: str, keep: bool, overwrite: bool) -> None:
    if not target.suffix:
        raise DrawingError(
            f"cannot tell the format of {str(target)!r}: it has no suffix. "
            "Give one, as in 'loss.svg', or format='svg'"
        )
    if keep and target.exists():
        raise graphviz.FileExistsError(f"{str(target)!r} exists, and raise_if_result_exists is set")
    if not overwrite and target.absolute() == pathlib.Path(source).absolute():
        raise ValueError(
            f"the drawing would overwrite its own DOT text {source!r}: "
            "give another outfile=, or overwrite_source=True"
        )


def _judge(drawing: bytes, said: str, quiet: bool) -> None:
    """Raises on Graphviz's errors, even if there is a drawing: it is not the one asked for."""
    unknown = re.search(r'(Format|Layout type): "(.*)" not recognized\. Use one of: (.*)', said)
    if unknown:
        what = "picture format" if unknown[1] == "Format" else "layout engine"
        known = ", ".join(unknown[3].split())
        raise DrawingError(f"Graphviz knows no {what} {unknown[2]!r}: expected one of {known}")
    said = said.strip()
    if "Error: " in said or not drawing:
        raise DrawingError(
            f"Graphviz could not draw the picture: {said or 'there is no graph in the DOT text'}\n"
            "The mistake is in the DOT text (`.source` of a picture); "
            "labels in <...> must be well-formed XML"
        )
    if said and not quiet:
        warnings.warn(f"Graphviz: {said}", DrawingWarning, stacklevel=3)


@functools.cache
def _warn_of_boxes() -> None:
    warnings.warn(
        "there is no font on this machine: text in PNG and PDF is drawn as empty boxes. Install "
        "a font (as the package fonts-dejavu) or `pip install matplotlib`, which brings one; "
        "SVG needs none",
        DrawingWarning,
        stacklevel=3,
    )


@functools.cache
def _dot_if_no_wheel() -> str | None:
    """The system's ``dot`` where there is no bundled one."""
    try:
        bundled_graphviz()
    except ImportError as error:
        program = shutil.which("dot")
        if program is None:
            raise MissingDependencyError(
                f"drawing needs Graphviz, and there is none ({error}): `pip install pygraphviz`, "
                "or install Graphviz and put `dot` on the PATH or its path in GRAPHGRAD_DOT"
            ) from error
        return program
    return None


def _run_program(
    program: str, dot: str, format: str, engine: str, dpi: int | None
) -> tuple[bytes, str]:
    command = [program, f"-K{engine}", f"-T{format}", *([f"-Gdpi={dpi}"] if dpi else [])]
    try:
        done = subprocess.run(command, input=dot.encode(), capture_output=True, check=False)
    except OSError as error:
        raise MissingDependencyError(
            f"cannot run Graphviz as {program!r} ({error}): set GRAPHGRAD_DOT to the path of a "
            "`dot` program, or unset it to use the Graphviz of pygraphviz"
        ) from error
    return done.stdout, done.stderr.decode(errors="replace")
