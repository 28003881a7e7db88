"""`stepper`: stepping in a notebook, with buttons.

The buttons are in `frontend.py`, which alone needs anywidget (the extra ``notebook``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

from graphgrad.errors import GraphError, MissingDependencyError
from graphgrad.explain.numbers import DIGITS
from graphgrad.graph import Node
from graphgrad.recorder import Tape
from graphgrad.stepping.moments import Moments

if TYPE_CHECKING:
    from graphgrad.stepping.frontend import Stepper

__all__ = ["stepper"]


def stepper(
    graph: Node | Tape,
    *,
    cotangent: Any = None,
    digits: int = DIGITS,
    theme: str = "light",
    collapse: bool | str | Iterable[str] | None = None,
    open: str | Iterable[str] = (),
    inputs: Collection[Node] = (),
    rankdir: str = "LR",
) -> Stepper:
    """Return a notebook widget that steps through both passes, at a moment Python reads and sets.

    Needs anywidget: ``pip install graphgrad[notebook]``. The pictures come from the running
    kernel. Where there is none, a page shows the moment at which the widget was displayed (an
    exported notebook, if it was saved without widget state); what steps in any page is `play`.

    Args:
        graph: a node, which is run with its current values; or a tape.
        cotangent: the root's adjoint, for a root that is no scalar. Without it, such a root has
            a forward pass only.
        digits: significant digits of numbers.
        theme: ``"light"``, ``"dark"`` or ``"print"``.
        collapse: which groups are drawn as one box, as in `draw`.
        open: paths of groups to leave open all the same.
        inputs: nodes to colour as inputs.
        rankdir: direction of the graph: LR, TB, RL or BT.

    Returns:
        A `Stepper`. Its ``position``, as ``("backward", 3)``, and its ``moment``, counted from 0
        over both passes, can be read, set and observed.

    Raises:
        GraphError: when `graph` is no node or tape, or an option is none of those above.
        MissingValueError: when a variable has no value.
        MissingDependencyError: when anywidget is not installed.

    Example:
        >>> import graphgrad as gg
        >>> loss = abs(4 - gg.var("x", 2.0) * gg.var("w", 3.0))
        >>> moves = gg.stepper(loss)  # doctest: +SKIP
        >>> moves.position = "backward", 2  # doctest: +SKIP
        >>> moves.moment, moves.sentence  # doctest: +SKIP
        (6, 'backward, step 2 of 4:   …')
    """
    if not isinstance(graph, Node | Tape):
        raise GraphError(f"cannot step through {graph!r}: expected a graph node or a tape")
    try:
        from graphgrad.stepping.frontend import Stepper
    except ImportError as problem:
        raise MissingDependencyError(
            f"the stepper needs anywidget ({problem}): pip install graphgrad[notebook]"
        ) from None
    tape = graph if isinstance(graph, Tape) else Tape(graph, cotangent)
    if cotangent is not None:
        _ = tape.seed
    options = {"collapse": collapse, "open": open, "inputs": inputs}
    return Stepper(Moments(tape, digits, theme, rankdir, **options))
