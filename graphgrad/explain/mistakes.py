"""What if backpropagation were done wrong? Six mistakes people make, each run beside the truth.

What one can do: ``gg.mistakes(loss)`` tries them all on a graph and says which change its
gradients; ``run_mistake("depth-first", loss)`` runs one, step by step, with the first differing
step marked and one sentence why.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from graphgrad.display import Printed
from graphgrad.errors import GraphError
from graphgrad.explain.blunders import alike
from graphgrad.explain.catalogue import MISTAKES, Mistake
from graphgrad.explain.culprits import CULPRITS, Attempt
from graphgrad.explain.sidebyside import mistakes_lines, run_lines
from graphgrad.explain.steps import Wording
from graphgrad.graph import VARIABLE, Node, NumberOrArray, public
from graphgrad.recorder import BackwardStep, Tape

__all__ = ["MISTAKES", "Mistake", "Mistakes", "Row", "WrongRun", "mistakes", "run_mistake"]


@dataclass(frozen=True, eq=False)
class Row:
    """The right and the wrong pass at one moment; None where one of them makes no step."""

    right: BackwardStep | None
    wrong: BackwardStep | None
    differs: bool


@dataclass(frozen=True, eq=False, repr=False)
class WrongRun(Printed):
    """A backward pass with one mistake in it, beside the right one.

    Attributes:
        mistake: which.
        tape: the right run.
        what: the mistake as it was made on this graph.
        steps: the wrong backward steps, in their order; as `Tape.backward`, but wrong.
        why: one sentence: why the result is wrong, or why it is not.
    """

    mistake: Mistake
    tape: Tape
    what: str
    steps: list[BackwardStep]
    why: str
    started: dict[Node, Any]
    wording: Wording

    @cached_property
    def rows(self) -> list[Row]:
        """Both passes side by side, moment by moment.

        Where an edge is missing in the wrong pass, its place stays empty. A row differs when the
        wrong step passes another number than the right pass does along the same edge.
        """
        if self.mistake.name == "depth-first":  # another order: what an edge passes is compared
            right: list[BackwardStep | None] = list(self.tape.backward)
            pairs = zip(right, self.steps, strict=True)
            return [Row(r, w, not self._passes(w)) for r, w in pairs]
        return list(self._aligned())

    def _aligned(self) -> Iterator[Row]:
        taken = {step.edge: step for step in self.steps}
        for right in self.tape.backward:
            wrong = taken.get(right.edge)
            kind = right.edge.source.dtype
            kept = wrong is not None and self._passes(wrong)
            yield Row(right, wrong, not (kept and alike(right.after, wrong and wrong.after, kind)))

    def _passes(self, wrong: BackwardStep) -> bool:
        """Return whether a wrong step passes what the right pass does along the same edge."""
        right = self.tape.step_of(*wrong.edge)
        assert right is not None
        kind, noise = wrong.edge.source.dtype, self._noise
        return alike(right.upstream, wrong.upstream, kind, noise) and alike(
            right.contribution, wrong.contribution, kind, noise
        )

    @cached_property
    def _noise(self) -> float:
        """A difference that another order of additions can make; 0 where the order is kept."""
        if self.mistake.name != "depth-first":
            return 0.0
        sizes = [float(np.max(np.abs(s.contribution), initial=0.0)) for s in self.tape.backward]
        largest = max((s for s in sizes if np.isfinite(s)), default=0.0)
        return largest * 8 * float(np.finfo(self.tape.root.dtype).eps)

    @cached_property
    def first_difference(self) -> int | None:
        """The number, from 1, of the first row that differs; None when none does."""
        return next((k for k, row in enumerate(self.rows, 1) if row.differs), None)

    @cached_property
    def wrong_nodes(self) -> list[Node]:
        """The variables whose gradient comes out wrong."""
        return [
            n
            for n in self.tape.nodes
            if n.primitive is VARIABLE and not alike(self.tape.adjoint(n), self.adjoint(n), n.dtype)
        ]

    @property
    def matters(self) -> bool:
        """Whether any variable's gradient comes out wrong on this graph."""
        return bool(self.wrong_nodes)

    def adjoint(self, node: Node, step: int | None = None) -> NumberOrArray | None:
        """Return the node's adjoint in the wrong pass, as `Tape.adjoint` does in the right one.

        Args:
            node: a node of the run.
            step: how many wrong steps have been made; all by default.
        """
        arrived = self._arrivals.get(node, [])
        known = arrived if step is None else arrived[: self._until(arrived, step)]
        if known:
            return public(known[-1].after)
        start = self.started.get(node)
        return None if start is None else public(start)

    @staticmethod
    def _until(arrived: list[BackwardStep], step: int) -> int:
        return bisect.bisect_right(arrived, step, key=lambda s: s.index)

    @cached_property
    def _arrivals(self) -> dict[Node, list[BackwardStep]]:
        found: dict[Node, list[BackwardStep]] = {}
        for step in self.steps:
            found.setdefault(step.edge.source, []).append(step)
        return found

    def __repr__(self) -> str:
        return "\n".join(run_lines(self))


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
        return "\n".join(mistakes_lines(self))


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
    attempt: Attempt = CULPRITS[name](wording)
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
