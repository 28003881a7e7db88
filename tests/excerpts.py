"""What the tests of expression text share: reading an error's excerpt, and names in a text."""

from __future__ import annotations

from graphgrad.errors import ParseError
from graphgrad.parsing.excerpt import clean
from graphgrad.parsing.tokens import names, tokenize


def marked(error):
    """Return the stretch of the excerpt that the caret marks."""
    line, caret = str(error).split("\n")[-2:]
    start = caret.index("^")
    assert set(caret) <= set(" ^~")
    assert line.startswith("    ")
    return line[start : len(caret)]


def names_of(text):
    """Return the names a text uses and those it assigns; none when it cannot be cut up."""
    try:
        return names(tokenize(clean(text)))
    except ParseError:
        return [], {}
