"""The command that changes the graph's numbers: set."""

from __future__ import annotations

from graphgrad.errors import GraphError
from graphgrad.graph import VARIABLE, Node
from graphgrad.parser import parse_value
from graphgrad.recorder import Tape
from graphgrad.stepping.registry import command
from graphgrad.stepping.text import joined, lines, styled
from graphgrad.stepping.view import variables
from graphgrad.stepping.workspace import Workspace

__all__ = ["replay"]


@command("set NAME VALUE", group="changing", takes="variable")
def set_(work: Workspace, argument: str) -> str:
    """Give a variable another value; replay to the same step.

    Breakpoints and watches stay. A value is written set w 5 or set w = 5, for a
    vector or matrix as a list: set W [[1, 2], [3, 4]]. The variable itself is
    set, as by node.value = 5 in Python.
    """
    name, text = _split(work, argument)
    node = work.nodes.find(name)
    if node.primitive is not VARIABLE:
        listed = ", ".join(n.name for n in variables(work.tape.nodes)[:8]) or "none"
        raise GraphError(
            f"{work.view.names[node]} is no variable, so it cannot be set; the variables are "
            f"{listed}"
        )
    value = parse_value(text)
    before = work.view.short(work.tape.value(node))
    old = node.value
    node.value = value
    try:
        replay(work)
        moved = work.move(work.position)
    except BaseException:
        node.value = old
        raise
    after = work.view.short(work.tape.value(node))
    told = joined([f"{work.view.names[node]}: {before} → ", styled("value", after)])
    return lines([told, moved])


def replay(work: Workspace) -> None:
    """Record the session's graph anew with the variables' current values."""
    work.record(Tape(work.tape.root, work.cotangent))


def _split(work: Workspace, argument: str) -> tuple[str, str]:
    """Return name and value; a name may hold blanks, so the longest one that exists is taken."""
    name, equals, text = argument.partition("=")
    if equals:
        return name.strip(), text.strip()
    words = argument.split()
    if len(words) < 2:
        raise GraphError("set NAME VALUE: expected a name and a value, as in set w 5")
    for count in range(min(len(words) - 1, 8), 1, -1):
        name = " ".join(words[:count])
        if _known(work, name) is not None:
            return name, " ".join(words[count:])
    return words[0], " ".join(words[1:])


def _known(work: Workspace, name: str) -> Node | None:
    try:
        return work.nodes.find(name)
    except GraphError:
        return None
