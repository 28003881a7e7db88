"""A check of the tape's gradients that shares no code with the backward rules: the complex step.

Im f(x + ih·d)/h is the derivative of f along d, without cancellation (Squire and Trapp 1998,
"Using complex variables to estimate derivatives of real functions", SIAM Review 40, 110).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from graphgrad.errors import GradientError
from graphgrad.graph import VARIABLE, Node, describe, evaluate
from graphgrad.recorder import Tape

__all__ = ["Row", "check"]

STEP = 1e-20
ENTRIES = 6
"""Variables of up to this many entries are moved entry by entry."""


class Row(NamedTuple):
    """One comparison.

    Attributes:
        node: the variable that was moved.
        where: the index of the entry; None for a scalar, or for a random direction.
        backward: the derivative by the tape.
        complex_step: the derivative by the complex step.
        agree: whether they are equal within the tolerance.
    """

    node: Node
    where: tuple[int, ...] | None
    backward: float
    complex_step: float
    agree: bool


def check(tape: Tape) -> list[Row]:
    """Compare the tape's adjoints of all variables with the complex step.

    Args:
        tape: with a backward pass.

    Returns:
        A row per entry of small variables, and one along a random direction for larger ones.

    Raises:
        GradientError: when there is no backward pass, or it cannot be continued to complex
            numbers.

    Example:
        >>> import graphgrad as gg
        >>> x = gg.var("x", 2.0)
        >>> [(row.backward, row.complex_step) for row in check(gg.tape(x * x))]
        [(4.0, 4.0)]
    """
    _ = tape.seed  # raises where there is no backward pass
    moved = [n for n in tape.nodes if n.primitive is VARIABLE and n.active]
    known = {n: tape.value(n) for n in tape.nodes if n.is_leaf}
    rng = np.random.default_rng(0)
    size = float(np.sum(np.abs(np.asarray(tape.seed) * tape.value(tape.root))))
    return [
        _row(tape, known, node, where, direction, size)
        for node in moved
        for where, direction in _directions(node, rng)
    ]


def _directions(
    node: Node, rng: np.random.Generator
) -> Iterator[tuple[tuple[int, ...] | None, Any]]:
    if node.size > ENTRIES:
        yield None, rng.normal(size=node.shape)
        return
    for index in np.ndindex(node.shape):
        direction = np.zeros(node.shape)
        direction[index] = 1.0
        yield index or None, direction


def _row(
    tape: Tape, known: dict[Node, Any], node: Node, where: Any, direction: Any, size: float
) -> Row:
    root = tape.root
    at = {**known, node: np.asarray(known[node], complex) + 1j * STEP * direction}
    try:
        moved = evaluate([root], at, analytic=True)[0]
    except (TypeError, ValueError) as problem:
        raise GradientError(
            f"the complex step does not get through {describe(root)}: {problem}"
        ) from None
    found = float(np.sum(np.asarray(tape.seed) * np.imag(moved))) / STEP
    adjoint = tape.adjoint(node)
    with np.errstate(all="ignore"):
        parts = np.asarray(0.0 if adjoint is None else adjoint) * direction
    backward = float(np.sum(parts))
    exact = root.dtype == np.float64 and all(n.dtype != np.float32 for n in tape.nodes)
    relative = 1e-9 if exact else 1e-4
    scale = max(abs(found), float(np.sum(np.abs(parts))))
    agree = abs(backward - found) <= relative * scale + 1e-3 * relative * size
    return Row(node, where, backward, found, bool(agree))
