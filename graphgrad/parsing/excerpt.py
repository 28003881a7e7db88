"""Expression text and the places in it: errors that mark their place, sources for nodes.

What one can do: check raw text with `clean`; make an error that shows the line and a caret under
the fault with `Text.fault`; say which stretch of the text made a node with `Text.source`. Nothing
that could move a terminal's cursor or hide from the reader is ever echoed as it came.
"""

from __future__ import annotations

import re
import unicodedata

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


class Text:
    """One expression as text; positions are counted in characters from 0.

    Attributes:
        text (str): the characters.
    """

    def __init__(self, text: str) -> None:
        self.text = text

    def fault(
        self,
        message: str,
        start: int,
        end: int | None = None,
        kind: type[GraphError] = ParseError,
    ) -> GraphError:
        """Return an error of class `kind`: the message, then the line, then a caret under it.

        Args:
            message: the sentence.
            start, end: the stretch to mark; one character when `end` is None.
            kind: the class of the error.

        Example:
            >>> print(Text("a $ b").fault("no such operator", 2))
            no such operator
                a $ b
                  ^
        """
        low = self.text.rfind("\n", 0, start) + 1
        high = self.text.find("\n", start)
        line = self.text[low:] if high < 0 else self.text[low:high]
        several = "\n" in self.text.strip("\n")
        where = f" (line {self.line(start)})" if several else ""
        stop = start + 1 if end is None else end
        return kind(f"{message}{where}\n{_marked(line, start - low, stop - low)}")

    def line(self, start: int) -> int:
        """Return the number, from 1, of the line that holds this position."""
        return self.text.count("\n", 0, start) + 1

    def source(self, start: int, end: int) -> Source:
        """Return this stretch as the `Source` of the nodes it makes; long ones are cut."""
        # Cut first: a chain of n terms has n stretches, each almost as long as the whole text.
        text = " ".join(self.text[start : min(end, start + 5 * WINDOW)].split())
        return Source(None, line=self.line(start), text=text + "…" * (end - start > 5 * WINDOW))


def clean(raw: str) -> Text:
    """Return text with plain spaces and line ends, or refuse what is too long or invisible.

    Args:
        raw: the text as it came.

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
    text = "".join(" " if c == "\t" or unicodedata.category(c) == "Zs" else c for c in lines)
    for at, c in enumerate(text):
        if c != "\n" and visible(c) != c:
            name = unicodedata.name(c, "a control character")
            raise Text(text).fault(
                f"U+{ord(c):04X} ({name}) cannot be seen in the text: remove it", at
            )
    return Text(text)


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
    """Return how many columns of a terminal the text takes."""
    return sum(
        0 if unicodedata.category(c) in ("Mn", "Me")
        else 2 if unicodedata.east_asian_width(c) in "WF"
        else 1
        for c in text
    )  # fmt: skip
