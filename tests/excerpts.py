"""What the tests of expression text share: reading an error's excerpt, and names in a text."""

from __future__ import annotations

import ast

from graphgrad.errors import ParseError
from graphgrad.parsing.excerpt import clean
from graphgrad.parsing.scan import statements


def marked(error):
    """Return the stretch of the excerpt that the caret marks."""
    line, caret = str(error).split("\n")[-2:]
    start = caret.index("^")
    assert set(caret) <= set(" ^~")
    assert line.startswith("    ")
    return line[start : len(caret)]


def needed(text, known):
    """Return those of the known values whose names a text uses and does not assign."""
    try:
        nodes = [node for tree in statements(clean(text)) for node in ast.walk(tree)]
    except ParseError:
        return {}
    names = [node for node in nodes if isinstance(node, ast.Name)]
    assigned = {name.id for name in names if isinstance(name.ctx, ast.Store)}
    used = {name.id for name in names} - assigned
    return {name: value for name, value in known.items() if name in used}
