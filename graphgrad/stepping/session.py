"""The session: one graph, one moment, commands in, text out.

A `Session` looks a command up and lets it work on its tape and state. A command that cannot be
carried out leaves these as they were, so nothing a person types can lose anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from graphgrad.errors import GraphError
from graphgrad.explain.names import visible
from graphgrad.explain.numbers import DIGITS
from graphgrad.graph import Node
from graphgrad.recorder import Tape
from graphgrad.stepping import commands as commands  # fills the table
from graphgrad.stepping.registry import lookup
from graphgrad.stepping.state import Recording
from graphgrad.stepping.text import Text, styled
from graphgrad.stepping.workspace import Workspace

__all__ = ["Session"]


@dataclass(eq=False)
class Session(Workspace):
    """Stepping through one graph: `run` takes a command and returns text.

    Attributes:
        history: the lines that were run.

    Example:
        >>> import graphgrad as gg
        >>> session = gg.step(gg.parse("(x*w - 1)**2", x=2, w=3), interactive=False)
        >>> session.run("next 2")
        '[1] forward 1/3   v₁ = x·w = 2·3 = 6\\n[2] forward 2/3   v₂ = v₁ − 1 = 6 − 1 = 5'
        >>> session.position
        Position(phase='forward', step=2)
    """

    history: list[str] = field(default_factory=list)

    @classmethod
    def of(
        cls,
        graph: Node | Tape,
        *,
        expression: str = "",
        cotangent: Any = None,
        digits: int = DIGITS,
    ) -> Session:
        """Return a session on a node, which is run with its current values, or on a tape.

        Raises:
            GraphError: when the digits are no number from 1 to 17, or the graph is no graph.
            MissingValueError: when a variable has no value.
        """
        graph = getattr(graph, "graph_node", graph)
        if not isinstance(graph, Node | Tape):
            raise GraphError(f"cannot step through {graph!r}: expected a graph node or a tape")
        if not 1 <= digits <= 17:
            raise GraphError(f"digits={digits}: expected 1 to 17")
        tape = graph if isinstance(graph, Tape) else Tape(graph, cotangent)
        if cotangent is not None:
            _ = tape.seed
        return cls(Recording(tape, digits), expression, cotangent)

    def __repr__(self) -> str:
        number, last = self.timeline.number(self.position), len(self.timeline) - 1
        return f"<Session of {visible(self.view.title())}, at {number} of {last}>"

    @property
    def prompt(self) -> str:
        """The moment in short, as the shell shows it before a command."""
        phase, step = self.position
        number, count = self.timeline.number(self.position), self.timeline.steps_of(phase)
        return f"[{number}] {phase} {step}/{count}"

    def run(self, line: str) -> Text:
        """Carry out one command and return what it says.

        Args:
            line: a command with its arguments; an empty line repeats the last movement, and a
                line that begins with # is a comment.

        Returns:
            Text, whose `ok` is False when the command could not be carried out. Mistakes are
            never raised: the text begins with what is wrong, and the session is unchanged.
        """
        line = line.strip()
        if line.startswith("#"):
            return Text()
        if line:
            self.history.append(line)
        before, done = (self.state, self.recording), False
        try:
            answer, done = self._carry_out(line or self.state.repeat), True
            return answer
        except GraphError as problem:
            what = str(problem)
        except OSError as problem:
            what = f"{problem.filename}: {problem.strerror}" if problem.filename else str(problem)
        except (RecursionError, MemoryError):
            what = "this graph is too large for that command"
        finally:
            if not done:
                self.state, self.recording = before
        text = "\n".join(visible(part) for part in what.split("\n"))
        return Text(text, styled("error", text).spans, ok=False)

    def begin(self, first: Iterable[str]) -> Iterator[Text]:
        """Carry out the commands a session is started with, and yield what they say.

        Raises:
            GraphError: when one of them cannot be carried out.
        """
        for line in first:
            answer = self.run(line)
            if not answer.ok:
                raise GraphError(str(answer))
            yield answer

    def _carry_out(self, line: str) -> Text:
        if not line:
            return Text()
        word, rest = split(line)
        if self.state.asking and commands.is_answer(line):
            word, rest = "answer", line
        command = lookup(word)
        answer = command.action(self, rest.strip())
        if command.moves:
            self.state = replace(self.state, repeat=line)
        return answer if isinstance(answer, Text) else Text(answer)


def split(line: str) -> tuple[str, str]:
    """Return a command's word and the rest; ? needs no blank after it.

    Example:
        >>> split("goto backward 2"), split("?goto")
        (('goto', 'backward 2'), ('?', 'goto'))
    """
    if line.startswith("?"):
        return "?", line[1:]
    word, _, rest = line.replace("\t", " ").partition(" ")
    return word, rest
