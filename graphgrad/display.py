"""How things show themselves in notebooks: as text, or as a picture once the drawing is loaded.

What one can do here: derive a class from `Printed`, and its text is what a notebook shows; or from
`Pictured`, and `drawing.notebook` draws it. This file stands below the graph and imports nothing:
the face of the package puts into `NOTEBOOK` what brings the drawing, and that only when a notebook
asks for it.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

__all__ = ["Pictured", "Printed", "text_bundle"]


def _later() -> Any:
    raise AssertionError("the face of the package has to be imported first: import graphgrad")


NOTEBOOK: Callable[[], Any] = _later
"""Returns the module `graphgrad.drawing.notebook`; the face of the package puts it here."""


def text_bundle(text: str) -> dict[str, str]:
    """Return text as a notebook takes it: plain, and as HTML that keeps its lines and columns.

    Example:
        >>> text_bundle("a < b")["text/html"]
        '<pre style="font-family: monospace; overflow-x: auto">a &lt; b</pre>'
    """
    safe = text.encode("utf-8", "backslashreplace").decode()
    html = f'<pre style="font-family: monospace; overflow-x: auto">{escape(safe)}</pre>'
    return {"text/plain": safe, "text/html": html}


class Printed:
    """What shows its text in notebooks."""

    __slots__ = ()

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return text_bundle(str(self))


class Pictured:
    """What shows its picture in notebooks; its text when there is none.

    Showing something must never fail: then the cell would tell of the drawing, not of the thing.
    """

    __slots__ = ()

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        try:
            return NOTEBOOK().bundle(self)
        except Exception:
            return {"text/plain": text_bundle(repr(self))["text/plain"]}
