"""The shell at a terminal: prompt_toolkit reads the commands, rich writes the answers.

Tab completes; the arrows up and down go through history; on an empty line → is next and ← is
back; Ctrl-C drops the line, or stops a command that takes too long; Ctrl-D quits.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.styles import Style
from rich.console import Console
from rich.text import Text as RichText

from graphgrad.errors import GraphError
from graphgrad.stepping.completion import candidates
from graphgrad.stepping.registry import lookup
from graphgrad.stepping.session import Session
from graphgrad.stepping.text import Text, joined, styled

__all__ = ["Shell", "history_file"]

STYLES = {
    "value": "green", "adjoint": "red", "current": "bold yellow", "muted": "dim",
    "title": "bold", "error": "bold red",
}  # fmt: skip
PROMPT = Style.from_dict({"moment": "bold", "bottom-toolbar": "noreverse fg:ansibrightblack"})
KEYS = "→ next   ← back   where   show NODE   break NODE   run   help   quit"


class Shell:
    """A terminal around one session.

    Args:
        session: which answers the commands.
    """

    def __init__(self, session: Session):
        self.session = session
        self.console = Console(highlight=False, markup=False, emoji=False, soft_wrap=False)
        self.prompt: PromptSession[str] = PromptSession(
            history=_history(),
            completer=_Completer(session),
            complete_while_typing=False,
            key_bindings=_keys(),
            style=PROMPT,
            bottom_toolbar=KEYS,
            reserve_space_for_menu=6,
        )

    def loop(self, first: Sequence[str] = ()) -> None:
        """Carry out the first commands, then read and carry out more until the session is done."""
        self.session.ascii = not (self.console.encoding or "").lower().startswith("utf")
        self.session.width = self.console.width
        self.show(self._greeting())
        for answer in self.session.begin(first):
            self.show(answer)
        while not self.session.done:
            try:
                line = self._read()
            except KeyboardInterrupt:  # Ctrl-C: a fresh line
                continue
            except EOFError:  # Ctrl-D
                return
            self.session.width = self.console.width
            try:
                self.show(self.session.run(line))
            except KeyboardInterrupt:
                self.show(styled("error", "stopped; the session is as it was"))

    def _read(self) -> str:
        # In IPython an event loop runs already; the prompt then gets a thread of its own.
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return self.prompt.prompt(self._message)
        return self.prompt.prompt(self._message, in_thread=True)

    def _message(self) -> StyleAndTextTuples:
        return [("class:moment", self.session.prompt), ("", "> ")]

    def _greeting(self) -> Text:
        view = self.session.view
        hint = styled("muted", "help lists the commands; → makes a step, ← goes back one")
        start = view.sentence(self.session.position)
        return joined([styled("title", view.title()), hint, start], "\n")

    def show(self, text: Text) -> None:
        """Write text in colour, wrapped between words at the terminal's width."""
        if text:
            rich = RichText(str(text))
            for start, end, style in text.spans:
                rich.stylize(STYLES[style], start, end)
            self.console.print(rich, overflow="fold")


def _keys() -> KeyBindings:
    """Return the keys for moving, which work on an empty line."""
    keys = KeyBindings()

    def enter(event: KeyPressEvent, command: str) -> None:
        event.current_buffer.insert_text(command)
        event.app.exit(result=command)

    @Condition
    def empty() -> bool:
        from prompt_toolkit.application import get_app

        return not get_app().current_buffer.text

    @keys.add("right", filter=empty)
    def _next(event: KeyPressEvent) -> None:
        enter(event, "next")

    @keys.add("left", filter=empty)
    def _back(event: KeyPressEvent) -> None:
        enter(event, "back")

    return keys


class _Completer(Completer):
    """Commands, nodes, breakpoints; files where a command takes one."""

    def __init__(self, session: Session):
        self.session = session
        self.files = PathCompleter(expanduser=True)

    def get_completions(self, document: Document, event: CompleteEvent) -> Iterator[Completion]:
        line = document.text_before_cursor
        word, blank, rest = line.lstrip().partition(" ")
        if blank and _takes(word) == "file":
            yield from self.files.get_completions(Document(rest.lstrip()), event)
            return
        for c in candidates(self.session, line):
            yield Completion(c.text, -c.typed, display_meta=c.meta)


def _takes(word: str) -> str:
    try:
        return lookup(word).takes
    except GraphError:
        return ""


# -- history ---------------------------------------------------------------------------------


def history_file() -> Path | None:
    """Return the file for the history of commands, in the user's folder for state, or None.

    That is XDG_STATE_HOME, else the platform's folder; None when it cannot be written.
    """
    given = os.environ.get("XDG_STATE_HOME", "")
    try:
        if given and os.path.isabs(given):
            base = Path(given)
        elif sys.platform == "win32":
            base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
        elif sys.platform == "darwin":
            base = Path.home() / "Library" / "Application Support"
        else:
            base = Path.home() / ".local" / "state"
        path = base / "graphgrad" / "history"
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8"):
            return path
    except (OSError, RuntimeError, ValueError):
        return None


class _FileHistory(FileHistory):
    """A history that goes on in memory when its file can no longer be written or read."""

    def store_string(self, string: str) -> None:
        with contextlib.suppress(OSError):
            super().store_string(string)

    def load_history_strings(self) -> Any:
        try:
            yield from super().load_history_strings()
        except (OSError, UnicodeDecodeError):
            return


def _history() -> History:
    path = history_file()
    return _FileHistory(str(path)) if path else InMemoryHistory()
