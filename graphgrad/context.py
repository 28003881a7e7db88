"""Where a node is made: its scope, the source line that wrote it, the node it is a derivative of.

What one can do: open a scope with ``with scope("hidden"):``, ask a node's `Source` for its file,
line and text. The state lives in one context variable, so threads and tasks do not mix.
"""

from __future__ import annotations

import linecache
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import CodeType
from typing import Any, NamedTuple

__all__ = ["Source", "scope"]


class Here(NamedTuple):
    """What new nodes inherit from the place they are made in."""

    scope: str = ""
    origin: Any = None
    source: Source | None = None


class Source:
    """The place that made a node: a line of Python, or a position in expression text."""

    __slots__ = ("_code", "_lasti", "_line", "_text")

    def __init__(
        self, code: CodeType | None, lasti: int = 0, line: int = 0, text: str | None = None
    ):
        self._code, self._lasti, self._line, self._text = code, lasti, line, text

    @property
    def filename(self) -> str:
        """The file's name, or ``<expression>`` for parsed text."""
        return self._code.co_filename if self._code else "<expression>"

    @property
    def function(self) -> str:
        """The function's qualified name, or an empty string for parsed text."""
        return self._code.co_qualname if self._code else ""

    @property
    def line(self) -> int:
        """The line number, from 1."""
        if self._code is None:
            return self._line
        found = self._code.co_firstlineno
        for start, end, line in self._code.co_lines():
            if start <= self._lasti < end and line is not None:
                found = line
        return found

    @property
    def text(self) -> str:
        """The line itself, stripped; empty when the file cannot be read."""
        if self._text is not None:
            return self._text
        return linecache.getline(self.filename, self.line).strip()

    def __repr__(self) -> str:
        return f"{self.filename}:{self.line}: {self.text}"


_here: ContextVar[Here] = ContextVar("graphgrad_here", default=Here())  # noqa: B039 (immutable)
here = _here.get
_sources: dict[tuple[int, int], Source] = {}
_inside: dict[int, dict[str, Any]] = {}


@contextmanager
def scope(name: str) -> Iterator[str]:
    """Put the nodes made inside into the group `name`, within the groups already open.

    Args:
        name: a group's name, such as ``"hidden"``; a slash separates levels.

    Yields:
        The full path, such as ``"network/hidden"``.

    Raises:
        ValueError: when `name` is empty.

    Example:
        >>> import graphgrad as gg
        >>> with gg.scope("hidden"):
        ...     y = gg.var("x", 2.0) * 3
        >>> y.scope
        'hidden'
    """
    if not isinstance(name, str) or not name.strip("/"):
        raise ValueError(f"scope name {name!r}: expected a non-empty string")
    old = _here.get()
    path = f"{old.scope}/{name.strip('/')}" if old.scope else name.strip("/")
    token = _here.set(old._replace(scope=path))
    try:
        yield path
    finally:
        _here.reset(token)


@contextmanager
def making(**changes: Any) -> Iterator[None]:
    """Give the nodes made inside another `scope`, `origin` or `source`."""
    token = _here.set(_here.get()._replace(**changes))
    try:
        yield
    finally:
        _here.reset(token)


@contextmanager
def deriving(prefix: str, line: Source | None) -> Iterator[Callable[[Any], None]]:
    """Give a function that says of which node the nodes made next are a derivative.

    They go into that node's scope under `prefix`. One context serves a whole sweep: entering
    one per node, and looking up the user's `line` for each, took longer than making the nodes.
    """
    old = _here.get()
    source = old.source or line

    def of(node: Any) -> None:
        _here.set(Here(f"{prefix}/{node.scope}" if node.scope else prefix, node, source))

    try:
        yield of
    finally:
        _here.set(old)


def caller() -> Source | None:
    """Return the nearest place outside the package (the lessons count as outside).

    Called for every node, so it only remembers the code object and the position in it; the line
    number is looked up when somebody asks.
    """
    frame = sys._getframe(2)  # past Node.__init__, which called
    while frame is not None:
        space = frame.f_globals
        if id(space) not in _inside:
            code = frame.f_code
            key = (id(code), frame.f_lasti)
            source = _sources.get(key)
            if source is None and _is_inside(space):
                _inside[id(space)] = space  # kept, so that no other takes its id
            else:
                return source or _sources.setdefault(key, Source(code, frame.f_lasti))
        frame = frame.f_back  # type: ignore[assignment]
    return None


def _is_inside(space: dict[str, Any]) -> bool:
    """Return whether a module's names are those of this package's machinery."""
    parts = (space.get("__package__") or "").split(".")
    return parts[0] == "graphgrad" and parts[1:2] != ["lessons"]
