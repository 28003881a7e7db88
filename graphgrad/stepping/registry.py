"""The table of commands: each a function whose docstring is its help.

A command takes what a session works on and the rest of the line, and returns text. It reports a
person's mistake by raising `GraphError`; the session turns that into text and goes on.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass

from graphgrad.errors import GraphError
from graphgrad.stepping.nodes import close, quoted
from graphgrad.stepping.workspace import Workspace

__all__ = ["COMMANDS", "Command", "command", "lookup", "whole_number"]

Action = Callable[[Workspace, str], str]


@dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
        name: as typed in full.
        usage: the name with its arguments, as ``goto K``.
        action: what it does.
        aliases: shorter names.
        group: the heading in the list of commands.
        moves: whether an empty line repeats it.
        takes: what completion offers after it: node, variable, break, command, file, mistake.
    """

    name: str
    usage: str
    action: Action
    aliases: tuple[str, ...] = ()
    group: str = ""
    moves: bool = False
    takes: str = ""

    @property
    def help(self) -> str:
        """The docstring."""
        return inspect.getdoc(self.action) or ""

    @property
    def summary(self) -> str:
        """The first sentence of the docstring, without its full stop."""
        return self.help.split("\n")[0].rstrip(".")


COMMANDS: dict[str, Command] = {}
"""Every command by its full name, in the order in which help lists them."""
_ALIASES: dict[str, str] = {}


def command(
    usage: str, *aliases: str, group: str, moves: bool = False, takes: str = ""
) -> Callable[[Action], Action]:
    """Enter a function into the table of commands."""

    def enter(action: Action) -> Action:
        name = usage.split()[0]
        COMMANDS[name] = Command(name, usage, action, aliases, group, moves, takes)
        _ALIASES.update(dict.fromkeys(aliases, name))
        return action

    return enter


def lookup(word: str) -> Command:
    """Return the command a word stands for.

    Raises:
        GraphError: when there is none, with those that are close.
    """
    name = _ALIASES.get(word, word)
    if name not in COMMANDS:
        raise GraphError(
            f"unknown command {quoted(word)}{close(word, COMMANDS)}: help lists the commands"
        )
    return COMMANDS[name]


def whole_number(text: str, what: str, default: int | None = None) -> int:
    """Return a whole number from 0 that a person typed.

    Raises:
        GraphError: when it is none.
    """
    if not text and default is not None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise GraphError(f"{what}: expected a whole number, got {quoted(text)}")
    return int(text)
