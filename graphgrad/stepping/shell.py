"""`step`: the session in a terminal, or driven by a script through a pipe.

At a terminal there is completion, history, colour and keys (`terminal.Shell`). When standard input
or output is no terminal, commands are read line by line, nothing is echoed, and only the answers
are written; the exit status is then 1 if some command could not be carried out.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, Any

from graphgrad.drawing.terminal.canvas import plain_ascii
from graphgrad.errors import MissingDependencyError
from graphgrad.explain.numbers import DIGITS
from graphgrad.graph import Node
from graphgrad.recorder import Tape
from graphgrad.stepping import loading, saving
from graphgrad.stepping.files import checked_path
from graphgrad.stepping.nodes import quoted
from graphgrad.stepping.session import Session
from graphgrad.stepping.text import Text

__all__ = ["opened", "plainly", "serve", "step"]


def step(
    graph: Node | Tape,
    *,
    interactive: bool = True,
    cotangent: Any = None,
    digits: int = DIGITS,
) -> Session:
    """Step through the forward and the backward pass of a graph: one node, one edge at a time.

    Starts a shell with the commands of a debugger: next, back, run, break, where, show … (help
    lists them; → is next and ← is back). Gradients are graphs, so ``gg.step(gg.grad(loss, w))``
    steps through the gradient's own computation; each of its nodes tells which node it is the
    derivative of. Updates of optimizers are graphs too.

    Args:
        graph: a node, which is run with its current values; or a tape.
        interactive: False returns the session without a shell.
        cotangent: the root's adjoint, for a root that is no scalar. Without it, such a root has
            a forward pass only.
        digits: significant digits of numbers, 1 to 17.

    Returns:
        The session: ``session.run("next")`` carries out a command and returns what it says.

    Raises:
        GraphError: when `graph` is no node or tape.
        MissingValueError: when a variable has no value.
        MissingDependencyError: when the shell's libraries are not installed.

    Example:
        >>> import graphgrad as gg
        >>> x, w, b = gg.var("x", 2.0), gg.var("w", 3.0), gg.var("b", 1.0)
        >>> session = gg.step(abs(4 - (x * w + b)), interactive=False)
        >>> print(session.run("next 2"))
        [1] forward 1/4   v₁ = x·w = 2·3 = 6
        [2] forward 2/4   v₂ = v₁ + b = 6 + 1 = 7
        >>> print(session.run("set w 0"))
        w: 3 → 0
        [2] forward 2/4   v₂ = v₁ + b = 0 + 1 = 1
    """
    session = Session.of(graph, cotangent=cotangent, digits=digits)
    if interactive:
        serve(session)
    return session


def opened(path: str, digits: int = DIGITS) -> Session:
    """Return the session that ``save`` wrote to a file, with the graph of its expression.

    Raises:
        GraphError: when the file is no session, or its graph was made in Python.
        OSError: when it cannot be read.
    """
    saved = saving.read(checked_path(path))
    root = loading.parsed(saved, quoted(path, 200))
    session = Session.of(root, expression=saved.expression, digits=digits)
    loading.apply(session, saved, path)
    return session


def serve(session: Session, first: Sequence[str] = ()) -> int:
    """Let a person, or a script, give the session its commands until it is done.

    Args:
        session: whose commands they are.
        first: commands to begin with.

    Returns:
        An exit status: 0; or 1 when input or output is no terminal and a command failed.

    Raises:
        GraphError: when one of the first commands cannot be carried out.
    """
    if sys.stdin is None or sys.stdout is None:
        return 0
    if sys.stdin.isatty() and sys.stdout.isatty():
        try:
            from graphgrad.stepping.terminal import Shell
        except ImportError as problem:
            raise MissingDependencyError(
                f"the shell needs prompt_toolkit and rich ({problem}): "
                f"pip install prompt_toolkit rich"
            ) from None
        Shell(session).loop(first)
        return 0
    return plainly(session, sys.stdin, sys.stdout, first)


def plainly(session: Session, source: IO[str], sink: IO[str], first: Sequence[str] = ()) -> int:
    """Read commands line by line and write the answers; return the exit status."""
    encoding = (getattr(sink, "encoding", None) or "utf-8").lower().replace("-", "")
    session.ascii = not re.match("utf", encoding)
    if sink.isatty() or "COLUMNS" in os.environ:
        session.width = shutil.get_terminal_size().columns
    if hasattr(source, "reconfigure"):
        source.reconfigure(errors="backslashreplace")
    status = 0
    try:
        for answer in _answers(session, source, first):
            status = status if answer.ok else 1
            if answer:
                sink.write(_spelled(answer, session.ascii) + "\n")
                sink.flush()
    except BrokenPipeError:  # the reader has seen enough, as head does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sink.fileno())
    return status


def _answers(session: Session, source: Iterable[str], first: Sequence[str]) -> Iterator[Text]:
    yield from session.begin(first)
    for line in source:
        yield session.run(line)
        if session.done:
            return


def _spelled(text: str, ascii: bool) -> str:
    return "\n".join(map(plain_ascii, text.split("\n"))) if ascii else str(text)
