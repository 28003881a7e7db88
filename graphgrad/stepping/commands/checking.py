"""The command that checks the gradient: verify."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphgrad.errors import GraphError
from graphgrad.explain.numbers import number
from graphgrad.explain.tables import table
from graphgrad.stepping.check import Row, check
from graphgrad.stepping.nodes import quoted
from graphgrad.stepping.registry import command
from graphgrad.stepping.text import joined, lines, styled

if TYPE_CHECKING:
    from graphgrad.stepping.session import Session

WARNING = "a check by numbers; the proof by symbols is not installed yet"
MOST = 40
"""Lines of the table."""


@command("verify", group="understanding")
def verify(session: Session, argument: str) -> str:
    """Check the gradient by another method, the complex step.

    Each variable is moved by a tiny imaginary amount; the imaginary part of the
    root divided by it is the derivative. This is a check by numbers; the proof by
    symbols (graphgrad.proof) is not installed yet.
    """
    if argument:
        raise GraphError(f"verify takes no argument, got {quoted(argument)}")
    session.timeline.steps_of("backward")
    rows = check(session.tape)
    wrong = sum(not row.agree for row in rows)
    verdict = (
        joined([styled("error", f"{wrong} of {len(rows)} differ"), ": do not trust this gradient"])
        if wrong
        else joined([styled("value", f"all {len(rows)} agree"), f": {WARNING}"])
    )
    if not rows:
        return "no variable carries a gradient: nothing to verify"
    cells = [["", "backward pass", "complex step", ""], *(_cells(session, r) for r in rows[:MOST])]
    more = [styled("muted", f"… {len(rows) - MOST} more")] if len(rows) > MOST else []
    return lines([*table(cells), *more, verdict])


def _cells(session: Session, row: Row) -> list[str]:
    name = session.view.names[row.node]
    if row.where is not None:
        name += f"[{','.join(map(str, row.where))}]"
    elif row.node.shape:
        name += " along a random direction"
    label = f"∂{session.view.names[session.tape.root]}/∂{name}"
    mark = "agree" if row.agree else "DIFFER"
    return [label, number(row.backward, 10), number(row.complex_step, 10), mark]
