"""The Graphviz inside pygraphviz's wheel, called in this very process; only ``engine`` does.

What one can do here: ``bundled_graphviz().draw(...)``, holding a lock of one's own, since Graphviz
keeps its state in C globals. Beyond pygraphviz's functions, three of Graphviz's and fontconfig's
are called through ctypes: messages come back as text instead of going to the terminal, and
matplotlib's DejaVu fonts are lent to pictures, so that they look alike on machines without fonts.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import os
import pathlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

__all__ = ["Bundled", "bundled_graphviz"]


@functools.cache
def bundled_graphviz() -> Bundled:
    """Loads the library, once.

    Raises:
        ImportError: If pygraphviz is not installed, or has no library for this machine.
    """
    return Bundled()


class Bundled:
    """Graphviz as a C library.

    Attributes:
        has_fonts: Whether it has a font to draw text with; without one, text becomes boxes.
    """

    def __init__(self) -> None:
        """Loads pygraphviz (about 25 ms) and looks for fonts."""
        from pygraphviz import graphviz as functions

        self._gv = functions
        # A handle on the extension module finds the functions of the libraries behind it.
        self._c = ctypes.CDLL(functions._graphviz.__file__)
        self.has_fonts = self._load_fonts()

    def draw(self, dot: str, format: str, engine: str, dpi: int | None) -> tuple[bytes, str]:
        """Draws DOT text.

        Args:
            dot: A whole graph in the DOT language.
            format: As Graphviz names it, ``"svg"`` or ``"png:cairo:gd"``.
            engine: As Graphviz names it, ``"dot"``.
            dpi: Dots per inch, unless the graph says so itself.

        Returns:
            The drawing, empty if there is none, and what Graphviz said of it.
        """
        with self._listening() as said:
            context = self._gv.gvContextWithBuiltins()
            try:
                drawing = self._draw(context, dot, format.encode(), engine.encode(), dpi)
            finally:
                self._gv.gvFreeContext(context)
        return drawing, b"".join(said).decode(errors="replace")

    def _draw(self, context: Any, dot: str, format: bytes, engine: bytes, dpi: int | None) -> bytes:
        gv = self._gv
        graph = self._read(dot.encode(errors="replace"))
        if graph is None:
            return b""
        try:
            if dpi and not self._has(graph, b"dpi"):
                gv.agattr(graph, gv.AGRAPH, b"dpi", str(dpi).encode())
            if gv.gvLayout(context, graph, engine) != 0:
                return b""
            result = gv.gvRenderData(context, graph, format)
            gv.gvFreeLayout(context, graph)
            return b"" if isinstance(result, int) else bytes(result[1])
        finally:
            gv.agclose(graph)

    def _read(self, dot: bytes) -> Any:
        """The graph, or None: then the reason is among Graphviz's messages."""
        if not self._is_graph(dot):
            return None
        with tempfile.TemporaryFile() as file:
            file.write(dot)
            file.seek(0)
            try:
                return self._gv.agread(file, None)
            except ValueError:
                return None

    def _is_graph(self, dot: bytes) -> bool:
        """Reads the text once before: pygraphviz loses an open file when ``agread`` fails."""
        try:
            read, close = self._c.agmemread, self._c.agclose
        except AttributeError:
            return True
        read.restype, close.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
        graph = read(dot)
        if graph is not None:
            close(graph)
        return graph is not None

    def _has(self, graph: Any, attribute: bytes) -> bool:
        try:
            self._gv.agattr(graph, self._gv.AGRAPH, attribute, None)
        except KeyError:
            return False
        return True

    @contextmanager
    def _listening(self) -> Iterator[list[bytes]]:
        """Collects Graphviz's messages, and only while we draw: others may use Graphviz too."""
        said: list[bytes] = []
        try:
            listen = self._c.agseterrf
        except AttributeError:  # Windows looks for functions in the extension module alone
            with stderr_held() as held:
                yield said
                held.seek(0)
                said.append(held.read())
            return
        listen.restype, listen.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
        listener = ctypes.CFUNCTYPE(None, ctypes.c_char_p)(said.append)
        before = listen(listener)
        try:
            yield said
        finally:
            listen(before)

    def _load_fonts(self) -> bool:
        """Adds matplotlib's DejaVu to the machine's fonts; tells whether there are any at all."""
        try:
            c = (self._c.FcInit, self._c.FcConfigAppFontAddFile, self._c.FcConfigGetFonts)
        except AttributeError:  # macOS and Windows draw without fontconfig, and have fonts
            return True
        init, add, fonts = c
        add.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        fonts.argtypes = [ctypes.c_void_p, ctypes.c_int]
        fonts.restype = ctypes.POINTER(ctypes.c_int)  # the set's first field is its size
        with stderr_held():  # it complains of missing configuration, and of any newer than itself
            init()
        for file in dejavu():
            add(None, os.fsencode(file))
        return any(found and found[0] for found in map(fonts, (None, None), (0, 1)))


def dejavu() -> list[pathlib.Path]:
    """matplotlib's DejaVu Sans fonts; matplotlib itself is not imported. Empty without it."""
    spec = importlib.util.find_spec("matplotlib")
    if spec is None or spec.origin is None:
        return []
    folder = pathlib.Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf"
    return sorted(folder.glob("DejaVuSans*.ttf"))


@contextmanager
def stderr_held() -> Iterator[IO[bytes]]:
    """Sends what C code writes to standard error to a temporary file."""
    with tempfile.TemporaryFile() as held:
        try:
            terminal = os.dup(2)
        except OSError:  # a process without standard error
            yield held
            return
        os.dup2(held.fileno(), 2)
        try:
            yield held
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
