"""DOT text laid out by Graphviz: as a picture, as SVG for a page, as coordinates.

What one can do here:

* ``Picture``: the ``graphviz.Digraph`` that ``gg.draw`` returns. It draws with the Graphviz that
  pygraphviz's wheel brings along, so ``pip install`` is all it takes.
* ``run_graphviz(dot, "png")``: the bytes of a picture. ``svg(dot)``: one to put inside HTML.
* ``coordinates(dot)``: where Graphviz put everything, for drawings of another kind.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
from dataclasses import dataclass
from html import escape
from typing import Any

import graphviz

from graphgrad.drawing.engine import DrawingWarning, run_graphviz
from graphgrad.errors import DrawingError

__all__ = [
    "DrawingWarning",
    "EdgePlace",
    "Layout",
    "NodePlace",
    "Picture",
    "coordinates",
    "fitted",
    "run_graphviz",
    "svg",
]

DIGRAPH = re.compile(
    r"""\s* (?:// [ ]? (?P<comment>[^\n]*) \n)? \s* (?P<strict>strict\s+)? digraph \b
    \s* (?P<name>"(?:[^"\\]|\\.)*" | [^\s{"]+)? \s* \{[^\S\n]*\n? (?P<body>.*) \} \s* \Z""",
    re.DOTALL | re.VERBOSE | re.IGNORECASE,
)

CELL = 650
"""Points that are free in about every notebook's cell."""


class Picture(graphviz.Digraph):  # type: ignore[misc]
    """A drawing in the DOT language that shows itself in notebooks and writes itself to files.

    It is a ``graphviz.Digraph`` in every respect (``.source``, ``.save()``, ``.node()``,
    ``.attr()``, ...) but needs no Graphviz on the machine; only ``.unflatten()`` still does.

    Example:
        >>> picture = Picture.from_dot("digraph loss {\\n\\tx -> y\\n}\\n")
        >>> picture.node("y", shape="box")
        >>> picture.source.split("\\n")
        ['digraph loss {', '\\tx -> y', '\\ty [shape=box]', '}', '']
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

    def _repr_image_svg_xml(self) -> str:
        return fitted(self.pipe("svg", encoding="utf-8"))

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
        if directory is not None:
            self.directory = os.fspath(directory)
        target = None if outfile is None else pathlib.Path(outfile)
        if target is not None:
            options["format"] = options.get("format") or _format_of(target)
            target = target if directory is not None else pathlib.Path(self.directory, target)
            filename = target.with_suffix(".gv") if filename is None else filename
        if filename is not None:
            self.filename = os.fspath(filename)
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


def fitted(picture: str) -> str:
    """Return an SVG element that is never wider than the cell it stands in.

    A wide one gives up its size, as exported pages show it as an image of the size it states.

    Example:
        >>> fitted('<svg width="900pt" height="300pt" viewBox="0 0 900 300"></svg>')
        '<svg style="max-width: 900pt; height: auto" width="100%" viewBox="0 0 900 300"></svg>'
    """
    size = re.search(r'width="([\d.]+)pt"\s+height="[\d.]+pt"', picture)
    most = "100%"
    if size and float(size[1]) > CELL:
        picture = picture.replace(size[0], 'width="100%"', 1)
        most = f"{size[1]}pt"
    return picture.replace("<svg", f'<svg style="max-width: {most}; height: auto"', 1)


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


def _format_of(target: pathlib.Path) -> str:
    if not target.suffix:
        raise DrawingError(
            f"cannot tell the format of {str(target)!r}: it has no suffix. "
            "Give one, as in 'loss.svg', or format='svg'"
        )
    return target.suffix[1:].lower()


def _check_target(target: pathlib.Path, source: str, keep: bool, overwrite: bool) -> None:
    if keep and target.exists():
        raise graphviz.FileExistsError(f"{str(target)!r} exists, and raise_if_result_exists is set")
    if not overwrite and target.absolute() == pathlib.Path(source).absolute():
        raise ValueError(
            f"the drawing would overwrite its own DOT text {source!r}: "
            "give another outfile=, or overwrite_source=True"
        )
