"""Runs Graphviz on DOT text and judges what it says; nothing else in the package does.

What one can do here: ``run_graphviz(dot, "png")`` gives the bytes of a picture.

The Graphviz inside pygraphviz's wheel draws, in this very process. Another one draws where there
is no wheel (the ``dot`` on the search path) and where the environment variable ``GRAPHGRAD_DOT``
names one.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import threading
import warnings

from graphgrad.drawing.bundled import bundled_graphviz
from graphgrad.errors import DrawingError, MissingDependencyError

__all__ = ["DrawingWarning", "run_graphviz"]

BITMAPS = {"png", "jpg", "jpeg", "jpe", "gif", "wbmp", "gd", "gd2", "bmp", "tif", "tiff", "webp"}
CARRY_GLYPHS = BITMAPS | {"pdf", "ps", "ps2", "eps"}

# Who fixes the size of a node or table wants it so, and other machines have other fonts.
HARMLESS = re.compile(
    r"""^Warning:[ ](node[ ].*[ ]size[ ]too[ ]small[ ]for[ ]label
      | (table|cell)[ ]size[ ]too[ ]small[ ]for[ ]content\nin[ ]label[ ]of[ ].*)$""",
    re.MULTILINE | re.VERBOSE,
)

# Graphviz keeps its state in C globals: one picture at a time.
_LOCK = threading.Lock()


class DrawingWarning(UserWarning):
    """Graphviz drew the picture, but not quite as the DOT text asked."""


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


def _judge(drawing: bytes, said: str, quiet: bool) -> None:
    """Raises on Graphviz's errors, even if there is a drawing: it is not the one asked for."""
    unknown = re.search(r'(Format|Layout type): "(.*)" not recognized\. Use one of: (.*)', said)
    if unknown:
        what = "picture format" if unknown[1] == "Format" else "layout engine"
        known = ", ".join(unknown[3].split())
        raise DrawingError(f"Graphviz knows no {what} {unknown[2]!r}: expected one of {known}")
    said = HARMLESS.sub("", said).strip()
    if re.search(r"^Error: ", said, re.MULTILINE) or not drawing:
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
        done = subprocess.run(  # noqa: S603 (the user's own Graphviz, without a shell)
            command, input=dot.encode(errors="replace"), capture_output=True, check=False
        )
    except OSError as error:
        raise MissingDependencyError(
            f"cannot run Graphviz as {program!r} ({error}): set GRAPHGRAD_DOT to the path of a "
            "`dot` program, or unset it to use the Graphviz of pygraphviz"
        ) from error
    said = done.stderr.decode(errors="replace")
    if done.returncode and not said:
        said = f"Error: {program} ended with status {done.returncode}"
    return done.stdout, said
