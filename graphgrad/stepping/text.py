"""Text that remembers which stretches bear which style; the shell gives styles their colours.

A session knows no colours. It answers with `Text`: a plain string for scripts and tests, whose
`spans` say where a value, an adjoint or the current step stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

__all__ = ["Span", "Text", "from_ansi", "joined", "lines", "styled"]

SGR = {"32": "value", "31": "adjoint", "1;33": "current", "2": "muted", "1": "title"}
"""The styles of the ANSI codes that drawings in the terminal use."""
_ESCAPE = re.compile(r"\x1b\[([0-9;]*)m")


class Span(NamedTuple):
    """Characters from `start` to `end` are of this style.

    Styles are value, adjoint, current, muted, title and error.
    """

    start: int
    end: int
    style: str


class Text(str):
    """A string with styles.

    Attributes:
        spans: the stretches that bear a style, in order.
        ok: False for the answer to a command that could not be carried out.
    """

    spans: tuple[Span, ...]
    ok: bool

    def __new__(cls, text: str = "", spans: Iterable[Span] = (), ok: bool = True) -> Text:
        """Make a text; its styles need not cover it."""
        made = super().__new__(cls, text)
        made.spans = tuple(spans)
        made.ok = ok
        return made


def styled(style: str, text: str) -> Text:
    """Return text of one style.

    Example:
        >>> styled("value", "7").spans
        (Span(start=0, end=1, style='value'),)
    """
    return Text(text, [Span(0, len(text), style)] if text else ())


def joined(parts: Iterable[str], between: str = "") -> Text:
    """Return strings and texts as one text.

    Example:
        >>> text = joined(["v = ", styled("value", "7")])
        >>> text, text.spans[0].start
        ('v = 7', 4)
    """
    pieces: list[str] = []
    spans: list[Span] = []
    at, ok = 0, True
    for number, part in enumerate(parts):
        if number and between:
            pieces.append(between)
            at += len(between)
        if isinstance(part, Text):
            spans += [Span(s.start + at, s.end + at, s.style) for s in part.spans]
            ok = ok and part.ok
        pieces.append(part)
        at += len(part)
    return Text("".join(pieces), spans, ok)


def lines(parts: Iterable[str]) -> Text:
    """Return the texts that are not empty, one to a line."""
    return joined([part for part in parts if part], "\n")


def from_ansi(text: str) -> Text:
    """Return text with ANSI colours, as drawings have them, as text with styles.

    Example:
        >>> text = from_ansi("w = \\x1b[32m3\\x1b[0m")
        >>> text, text.spans
        ('w = 3', (Span(start=4, end=5, style='value'),))
    """
    parts: list[str] = []
    style, at = "", 0
    for code in _ESCAPE.finditer(text):
        piece = text[at : code.start()]
        parts.append(styled(style, piece) if style else piece)
        style, at = SGR.get(code[1], ""), code.end()
    parts.append(text[at:])
    return joined(parts)
