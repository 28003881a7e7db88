"""Commands about the session itself: help, quit."""

from __future__ import annotations

from graphgrad.errors import GraphError
from graphgrad.stepping.nodes import quoted
from graphgrad.stepping.registry import COMMANDS, Command, command, lookup
from graphgrad.stepping.text import Text, joined, lines, styled
from graphgrad.stepping.workspace import Workspace

GROUPS = ("moving", "looking", "stopping", "changing", "understanding", "files", "session")
"""The headings of the list of commands."""


@command("help [COMMAND]", "h", "?", group="session", takes="command")
def help_(work: Workspace, argument: str) -> str:
    """List the commands, or tell of one.

    An empty line repeats the last movement; a line that begins with # is a
    comment.
    """
    if argument:
        return _about(lookup(argument))
    width = max(len(c.usage) for c in COMMANDS.values())
    told: list[str] = []
    for group in GROUPS:
        told.append(styled("title", group))
        members = [c for c in COMMANDS.values() if c.group == group]
        told += [f"  {c.usage.ljust(width)}  {c.summary}" for c in members]
    return lines(told)


def _about(c: Command) -> Text:
    short = f"   (short: {', '.join(c.aliases)})" if c.aliases else ""
    return joined([styled("title", c.usage), styled("muted", short), "\n", c.help])


@command("quit", "q", "exit", group="session")
def quit_(work: Workspace, argument: str) -> str:
    """End the session; Ctrl-D does so too."""
    if argument:
        raise GraphError(f"quit takes no argument, got {quoted(argument)}")
    work.done = True
    return ""
