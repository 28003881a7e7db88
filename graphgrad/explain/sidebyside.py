"""The right and the wrong backward pass side by side, as text.

What one can do: `run_lines` for one mistake, step by step with the first differing step marked;
`mistakes_lines` for all of them in a table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from graphgrad.explain.steps import adjoint, plain
from graphgrad.explain.tables import table
from graphgrad.graph import VARIABLE, Node
from graphgrad.recorder import BackwardStep

if TYPE_CHECKING:
    from graphgrad.explain.mistakes import Mistakes, WrongRun

__all__ = ["mistakes_lines", "run_lines"]

MOST_ROWS = 24
"""Steps that are shown; of longer passes those around the first difference."""
BEFORE = 6
"""Of these, how many come before the first difference."""
MARK = "►"
FEW = 4
"""Entries of an array up to which both versions are written out."""


def run_lines(run: WrongRun) -> list[str]:
    """Return one wrong run beside the right one as lines of text."""
    lines = [f"Mistake: {run.mistake.title}", run.mistake.description, run.what]
    if run.rows:
        lines += ["", *_steps(run)]
    lines += ["", *_results(run), "", run.why]
    if not run.matters:
        lines.append(f"It matters on {run.mistake.matters_on}.")
    return lines


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


def mistakes_lines(found: Mistakes) -> list[str]:
    """Return all mistakes as a table."""
    rows = [["mistake", "here", "first wrong step", "why"]]
    for run in found:
        first = str(run.first_difference or "–") if run.matters else "–"
        verdict = "wrong" if run.matters else "right"
        rows.append([run.mistake.name, verdict, first, _brief(run)])
    return table(rows, "  r", "")


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
