"""Expression text and the places in it: errors that mark their place, sources for nodes.

What one can do: check raw text with `clean`; make an error that shows the line and a caret under
the fault with `Text.fault`; say which stretch of the text made a node with `Text.source`. Nothing
that could move a terminal's cursor or hide from the reader is ever echoed as it came.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from unicodedata import category, east_asian_width, name

from graphgrad.context import Source
from graphgrad.errors import GraphError, ParseError

__all__ = ["MAX_LENGTH", "Text", "clean", "visible"]

MAX_LENGTH = 20_000
"""The most characters an expression may have."""
WINDOW = 40
"""How many characters an excerpt shows on each side of the fault."""
INDENT = "    "

# Letters and marks that Unicode calls "default ignorable": legal in names, but nobody sees them.
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


@dataclass(frozen=True)
class Text:
    """One expression as text; positions are counted in characters from 0."""

    text: str

    def fault(
        self, message: str, start: int, end: int | None = None, kind: type[GraphError] = ParseError
    ) -> GraphError:
        """Return an error of class `kind`: the message, then the line, then a caret under it.

        The caret marks the stretch from `start` to `end`, or one character when that is None.

        Example:
            >>> print(Text("a $ b").fault("no such operator", 2))
            no such operator
                a $ b
                  ^
        """
        low = self.text.rfind("\n", 0, start) + 1
        line = self.text[low:].split("\n", 1)[0]
        where = f" (line {self._line(start)})" if "\n" in self.text.strip("\n") else ""
        stop = start + 1 if end is None else end
        return kind(f"{message}{where}\n{_marked(line, start - low, stop - low)}")

    def source(self, start: int, end: int) -> Source:
        """Return this stretch as the `Source` of the nodes it makes; long ones are cut."""
        # Cut first: a chain of n terms has n stretches, each almost as long as the whole text.
        text = " ".join(self.text[start : min(end, start + 5 * WINDOW)].split())
        more = "…" if end - start > 5 * WINDOW else ""
        return Source(None, line=self._line(start), text=text + more)

    def _line(self, start: int) -> int:
        return self.text.count("\n", 0, start) + 1


def clean(raw: str) -> Text:
    """Return text with plain spaces and line ends, or refuse what is too long or invisible.

    Raises:
        ParseError: when it is no string, too long, or has a control or invisible character.

    Example:
        >>> clean("x\\t+ 1").text
        'x + 1'
    """
    if not isinstance(raw, str):
        raise ParseError(f"expected an expression as text, got {type(raw).__name__}")
    if len(raw) > MAX_LENGTH:
        raise Text(raw).fault(
            f"the text has {len(raw)} characters: at most {MAX_LENGTH} are allowed", MAX_LENGTH
        )
    lines = raw.replace("\r\n", "\n").replace("\r", "\n")
    text = Text("".join(" " if c == "\t" or category(c) == "Zs" else c for c in lines))
    for at, c in enumerate(text.text):
        if c != "\n" and visible(c) != c:
            shown = f"U+{ord(c):04X} ({name(c, 'a control character')})"
            raise text.fault(f"{shown} cannot be seen in the text: remove it", at)
    return text


def visible(text: str) -> str:
    r"""Return the text with everything invisible or steering written as an escape.

    Example:
        >>> visible("x\x1b[2J") == r"x\x1b[2J"
        True
    """
    return "".join(c if c.isprintable() and not _UNSEEN.match(c) else ascii(c)[1:-1] for c in text)


def _marked(line: str, start: int, end: int) -> str:
    end = min(end, start + WINDOW)
    low, high = max(0, start - WINDOW), min(len(line), end + WINDOW)
    before = "…" * (low > 0) + visible(line[low:start])
    marked = visible(line[start:end])
    after = visible(line[end:high]) + "…" * (high < len(line))
    caret = "^" + "~" * (_columns(marked) - 1)
    return f"{INDENT}{before}{marked}{after}\n{INDENT}{' ' * _columns(before)}{caret}"


def _columns(text: str) -> int:
    """Return how many columns of a terminal the text takes: two for ideographs, none for marks."""
    marks = sum(category(c) in ("Mn", "Me") for c in text)
    return len(text) - marks + sum(east_asian_width(c) in "WF" for c in text)
