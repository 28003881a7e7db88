"""What if backpropagation were done wrong? Six mistakes people make, each run beside the truth.

What one can do: ``gg.mistakes(loss)`` tries them all on a graph and says which change its
gradients; ``run_mistake("depth-first", loss)`` runs one, step by step, with the first differing
step marked and one sentence why.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from graphgrad.display import Printed
from graphgrad.errors import GraphError
from graphgrad.explain.catalogue import MISTAKES, Mistake
from graphgrad.explain.culprits import CULPRITS
from graphgrad.explain.sidebyside import WrongRun
from graphgrad.explain.steps import Wording, adjoint, plain
from graphgrad.explain.tables import table
from graphgrad.graph import Node
from graphgrad.recorder import Tape

__all__ = ["Mistakes", "mistakes", "run_mistake"]

FEW = 4
"""Entries of an array up to which both versions are written out."""


@dataclass(frozen=True, eq=False, repr=False)
class Mistakes(Printed):
    """Every mistake, tried on one graph; made by `mistakes`."""

    runs: list[WrongRun]

    def __iter__(self) -> Iterator[WrongRun]:
        return iter(self.runs)

    def __len__(self) -> int:
        return len(self.runs)

    def __getitem__(self, name: str) -> WrongRun:
        return next(r for r in self.runs if r.mistake is _named(name))

    def __repr__(self) -> str:
        rows = [["mistake", "here", "first wrong step", "why"]]
        for run in self:
            first = str(run.first_difference or "–") if run.matters else "–"
            verdict = "wrong" if run.matters else "right"
            rows.append([run.mistake.name, verdict, first, _brief(run)])
        return "\n".join(table(rows, "  r", ""))


def run_mistake(name: str, loss: Node | Tape) -> WrongRun:
    """Run the backward pass with one mistake in it, beside the right one.

    Args:
        name: a key of `MISTAKES`, such as ``"depth-first"``.
        loss: a floating scalar, or a tape.

    Raises:
        GraphError: when there is no mistake of that name.
        GradientError: when the loss is no floating scalar.

    Example:
        >>> import graphgrad as gg
        >>> x = gg.var("x", 3.0)
        >>> run = run_mistake("overwrite", (x * x + x).named("y"))
        >>> run.matters, run.tape.adjoint(x), run.adjoint(x), run.first_difference
        (True, 7.0, 3.0, 3)
    """
    mistake = _named(name)
    tape = _taped(loss)
    wording = Wording(tape)
    attempt = CULPRITS[name](wording)
    blank = WrongRun(mistake, tape, attempt.what, attempt.steps, "", attempt.started, wording)
    why = attempt.why(blank) if blank.matters else attempt.why_not(blank)
    return WrongRun(mistake, tape, attempt.what, attempt.steps, why, attempt.started, wording)


def mistakes(loss: Node | Tape) -> Mistakes:
    """Return every mistake tried on a graph: which of them change its gradients, and where.

    Args:
        loss: a floating scalar, or a tape.

    Raises:
        GradientError: when the loss is no floating scalar.

    Example:
        >>> import graphgrad as gg
        >>> x, w = gg.var("x", 2.0), gg.var("w", 3.0)
        >>> v = x * w
        >>> [run.mistake.name for run in gg.mistakes(v * v) if run.matters]
        ['depth-first', 'overwrite', 'no-zeroing', 'forgotten-edge', 'stale-value', 'wrong-local']
        >>> [run.mistake.name for run in gg.mistakes(x * w) if run.matters]
        ['no-zeroing', 'forgotten-edge', 'wrong-local']
    """
    tape = _taped(loss)
    return Mistakes([run_mistake(name, tape) for name in MISTAKES])


def _taped(loss: Node | Tape) -> Tape:
    if not isinstance(loss, Node | Tape):
        raise GraphError(f"no backward pass of {loss!r}: expected a graph node or its tape")
    return loss if isinstance(loss, Tape) else Tape(loss)


def _named(name: str) -> Mistake:
    if name not in MISTAKES:
        raise GraphError(f"no mistake is called {name!r}: there are {', '.join(MISTAKES)}")
    return MISTAKES[name]


def _brief(run: WrongRun) -> str:
    if run.matters:
        nodes = run.wrong_nodes[:3]
        return ", ".join(_wrong(run, n) for n in nodes) + (" …" if len(run.wrong_nodes) > 3 else "")
    return f"matters on {run.mistake.matters_on}"


def _wrong(run: WrongRun, node: Node) -> str:
    found, right = run.adjoint(node), run.tape.adjoint(node)
    bar = plain(adjoint(run.wording.names[node]))
    if found is None:
        return f"{bar} = –, not {run.wording.short(right)}"
    if np.size(found) > FEW:
        same = np.isclose(np.asarray(found), np.asarray(right), rtol=1e-6, equal_nan=True)
        wrong = np.size(found) - np.count_nonzero(same)
        return f"{bar}: {wrong} of {np.size(found)} entries"
    return f"{bar} = {run.wording.short(found)}, not {run.wording.short(right)}"
