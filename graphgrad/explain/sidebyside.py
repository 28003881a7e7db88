"""A backward pass with a mistake in it, beside the right one: step by step, and as text.

What one can do: ask a `WrongRun` for its rows, its adjoints and the first step that differs; `str`
of it shows both passes side by side. `explain.mistakes` makes them.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from graphgrad.display import Printed
from graphgrad.explain.blunders import alike
from graphgrad.explain.catalogue import Mistake
from graphgrad.explain.steps import Wording, adjoint, plain
from graphgrad.explain.tables import table
from graphgrad.graph import VARIABLE, Node, NumberOrArray, public
from graphgrad.recorder import BackwardStep, Tape

__all__ = ["Row", "WrongRun"]

MOST_ROWS = 24
"""Steps that are shown; of longer passes those around the first difference."""
BEFORE = 6
"""Of these, how many come before the first difference."""
MARK = "►"


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
        lines = [f"Mistake: {self.mistake.title}", self.mistake.description, self.what]
        if self.rows:
            lines += ["", *_steps(self)]
        lines += ["", *_results(self), "", self.why]
        if not self.matters:
            lines.append(f"It matters on {self.mistake.matters_on}.")
        return "\n".join(lines)


def _steps(run: WrongRun) -> list[str]:
    first = run.first_difference
    low = 0 if len(run.rows) <= MOST_ROWS else max(0, (first or 1) - 1 - BEFORE)
    shown = run.rows[low : low + MOST_ROWS]
    cells = [["", "step", "right", "", "wrong", ""]]
    for k, row in enumerate(shown, low + 1):
        mark = MARK if k == first else "≠" if row.differs else ""
        cells.append([mark, str(k), *_side(run, row.right), *_side(run, row.wrong)])
    lines = table(cells, " r")
    left_out = len(run.rows) - len(shown)
    return [*lines, f"  … {left_out:,} more steps"] if left_out else lines


def _side(run: WrongRun, step: BackwardStep | None) -> list[str]:
    """Return the edge of a step, and what it does to the accumulator, in numbers."""
    if step is None:
        return ["", "–"]
    wording = run.wording
    x = step.edge.source
    edge = wording.edge(*step.edge)
    sum_ = wording.short(step.after)
    if step.before is not None:
        part = wording.short(step.contribution)
        part = f"({part})" if part.startswith("−") else part
        sum_ = f"{wording.short(step.before)} + {part} = {sum_}"
    return [edge, plain(f"{adjoint(wording.names[x])} = {sum_}")]


def _results(run: WrongRun) -> list[str]:
    wrong = set(run.wrong_nodes)
    nodes = [n for n in run.tape.nodes if n.primitive is VARIABLE and run.tape.arrivals(n)]
    shown = [n for n in nodes if n in wrong][:MOST_ROWS] or nodes[:MOST_ROWS]
    rows = [["", "right", "wrong"]]
    for node in shown:
        found = run.adjoint(node)
        right = run.wording.short(run.tape.adjoint(node))
        name = plain(adjoint(run.wording.names[node]))
        rows.append([name, right, "–" if found is None else run.wording.short(found)])
    return table(rows, " rr")
