"""The command that checks the gradient: verify."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from graphgrad.errors import GraphError
from graphgrad.explain.numbers import number
from graphgrad.explain.tables import table
from graphgrad.graph import VARIABLE, Node, evaluate
from graphgrad.proof.check import rtol_of
from graphgrad.proof.numeric import Comparison, compare_function
from graphgrad.recorder import Tape
from graphgrad.stepping.nodes import quoted
from graphgrad.stepping.registry import command
from graphgrad.stepping.text import joined, lines, styled
from graphgrad.stepping.workspace import Workspace

if TYPE_CHECKING:
    from graphgrad.proof.findings import Row
    from graphgrad.proof.report import Report

MARKS = {"proved": "✓", "checked": "≈", "not decided": "?", "WRONG": "✗"}
STYLES = {"proved": "value", "checked": "value", "not decided": "current", "WRONG": "error"}
LONGEST = 40
"""Characters of a formula or condition in the table."""
BUDGET = 5.0
"""Seconds for the proof; what is not decided by then says so."""
MOST = 12
"""Numbers of a run that are listed; of more, those that differ."""


@command("verify", group="understanding")
def verify(work: Workspace, argument: str) -> str:
    """Prove the gradient with SymPy, and check its numbers.

    Each arrow: the derivative of the operation's formula against the rule book's.
    Each variable: the derivative of the whole expression against the gradient.
    Then the numbers of this run against the complex step, which uses no rule: the
    variable is moved by a tiny imaginary amount. What is not decided within
    5 seconds says so. gg.verify shows both forms of every derivative.
    """
    if argument:
        raise GraphError(f"verify takes no argument, got {quoted(argument)}")
    work.timeline.steps_of("backward")
    _ = work.tape.seed  # raises where there is no backward pass
    names = work.view.names
    found = [(x, c) for x in _moved(work.tape) for c in _compared(work.tape, x, names[x])]
    if not found:
        return "no variable carries a gradient: nothing to verify"
    from graphgrad.proof.proving import verify as prove  # loads SymPy

    report = prove(work.tape.root, budget=BUDGET)
    compared = [c for _, c in found]
    return lines([*_proof(report), *_numbers(names[work.tape.root], compared)])


def _proof(report: Report) -> Iterator[str]:
    """Yield a line per derivative, what is to be said of those not proved, and the verdict."""
    rows = [row for row in report.grouped() if row.kind != "value" or row.status == "WRONG"]
    yield from table([["", "derivative", "rule book", "holds", ""], *map(_cells, rows)])
    for row in rows:
        if row.status == "WRONG":
            said = " ".join(t for t in (row.method, row.counterexample) if t)
            yield joined([styled("error", row.where), f": {said}"])
        elif row.status == "not decided" or row.note:
            yield f"{_line(row.where)}: {row.note or row.method}"
    style = "error" if not report.ok else "value" if report.complete else "current"
    yield styled(style, report.verdict)


def _cells(row: Row) -> list[str]:
    whole = " (whole)" if row.kind == "leaf" else ""
    return [
        MARKS[row.status], _line(row.where) + whole, _cut(row.rule), _cut(row.domain),
        styled(STYLES[row.status], row.status),
    ]  # fmt: skip


def _line(text: str) -> str:
    return text.replace("\n", " ")


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _moved(tape: Tape) -> list[Node]:
    return [n for n in tape.nodes if n.primitive is VARIABLE and n.active]


def _compared(tape: Tape, x: Node, name: str) -> list[Comparison]:
    """Compare the tape's adjoint of a variable with derivatives found by numbers alone."""
    known = {n: tape.value(n) for n in tape.nodes if n.is_leaf}
    seed = np.asarray(tape.seed)
    adjoint = tape.adjoint(x)

    def value(xs: Sequence[Any], analytic: bool = False) -> Any:
        return np.sum(seed * evaluate([tape.root], {**known, x: xs[0]}, analytic=analytic)[0])

    with np.errstate(all="ignore"):
        size = float(np.sum(np.abs(seed * tape.value(tape.root))))
    claimed = np.zeros(x.shape) if adjoint is None else np.asarray(adjoint)
    return compare_function(
        value, [claimed], [known[x]], names=[name], size=size, directions=1,
        analytic=lambda xs: value(xs, True), rtol=rtol_of(tape.nodes),
    )  # fmt: skip


def _numbers(root: str, found: Sequence[Comparison]) -> Iterator[str]:
    """Yield the lines about the numbers of the run."""
    wrong = [c for c in found if not c.ok]
    shown = list(found) if len(found) <= MOST else wrong[:MOST]
    if shown:
        rows = [
            [f"∂{root}/∂{c.argument}", number(c.actual, 10), number(c.expected, 10), c.method,
             "agree" if c.ok else "DIFFER"]
            for c in shown
        ]  # fmt: skip
        yield from table([["this run", "backward pass", "by numbers", "found by", ""], *rows])
    if wrong:
        told = styled("error", f"{len(wrong)} of {len(found)} numbers differ")
        yield joined([told, ": do not trust this gradient"])
    else:
        counted = "the number agrees" if len(found) == 1 else f"all {len(found)} numbers agree"
        yield styled("value", counted)
