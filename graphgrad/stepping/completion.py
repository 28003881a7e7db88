"""What can be typed next: commands, then what each takes; no terminal in it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from graphgrad.errors import GraphError
from graphgrad.explain.names import visible
from graphgrad.graph import VARIABLE
from graphgrad.stepping.breakpoints import FORMS
from graphgrad.stepping.registry import COMMANDS, lookup

if TYPE_CHECKING:
    from graphgrad.stepping.session import Session

__all__ = ["Candidate", "candidates"]

MOST = 200
"""Names offered at once."""


class Candidate(NamedTuple):
    """A way to go on.

    Attributes:
        text: the whole word.
        typed: how many characters of it stand before the cursor already.
        meta: what it is, in a few words.
    """

    text: str
    typed: int
    meta: str = ""


def candidates(session: Session, line: str) -> list[Candidate]:
    """Return how the text before the cursor can go on.

    Args:
        session: whose commands, nodes and operations are offered.
        line: the text before the cursor.

    Example:
        >>> import graphgrad as gg
        >>> session = gg.step(gg.var("width", 2.0) * 3, interactive=False)
        >>> [c.text for c in candidates(session, "re")]
        ['restart']
        >>> [c.text for c in candidates(session, "show w")]
        ['width']
    """
    word, blank, rest = line.lstrip().partition(" ")
    if not blank:
        return [Candidate(c.name, len(word), c.summary) for c in COMMANDS.values()
                if c.name.startswith(word)]  # fmt: skip
    try:
        takes = lookup(word).takes
    except GraphError:
        return []
    return _of(_choices(session, takes, rest), rest.lstrip())


def _of(choices: Iterable[tuple[str, str]], typed: str) -> list[Candidate]:
    kept = (Candidate(text, len(typed), meta) for text, meta in choices if text.startswith(typed))
    return [c for c, _ in zip(kept, range(MOST))]


def _choices(session: Session, takes: str, typed: str) -> Iterable[tuple[str, str]]:
    """Yield what a command takes, and what each is."""
    if takes == "command":
        return ((c.name, c.summary) for c in COMMANDS.values())
    if takes == "number":
        names = session.view.names
        return ((str(b.number), b.text(names)) for b in session.state.breakpoints)
    if takes == "mistake":
        from graphgrad.explain.catalogue import MISTAKES

        return ((name, "") for name in MISTAKES)
    if takes == "variable":
        return _nodes(session, "", variables=True)
    if takes == "node":
        return _nodes(session, "")
    return _places(session, typed) if takes == "break" else ()


def _places(session: Session, typed: str) -> Iterable[tuple[str, str]]:
    """Yield the ways in which a breakpoint can be written."""
    if typed.lstrip().startswith("arrive:"):
        yield from _nodes(session, "arrive:")
    elif typed.lstrip().startswith("op:"):
        for op in sorted({n.op for n in session.tape.nodes if not n.is_leaf}):
            yield f"op:{op}", "each step of this operation"
    else:
        yield from _nodes(session, "")
        yield from ((form, "") for form in FORMS)


def _nodes(session: Session, before: str, variables: bool = False) -> Iterable[tuple[str, str]]:
    view, at = session.view, session.position
    for name in session.nodes.offered():
        if visible(name) != name or len(session.nodes.called(name)) != 1:
            continue
        node = session.nodes.called(name)[0]
        if not variables or node.primitive is VARIABLE:
            yield before + name, str(view.value(node, at))
