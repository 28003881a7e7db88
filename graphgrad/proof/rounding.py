"""How far rounding errors alone move a value: whether floats can compute a formula at all.

The formula is run in 120 digits again, but each result on the way is moved at random by as much as
floats round it (discrete stochastic arithmetic: Vignes, "Discrete stochastic arithmetic for
validating results of numerical software", Numerical Algorithms 37, 2004). No derivative rule takes
part, so a wrong rule cannot hide behind it.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np

from graphgrad import dtypes
from graphgrad.graph import Node
from graphgrad.proof.entries import each, run
from graphgrad.proof.precise import MPF, PRECISE

__all__ = ["moved_by_rounding"]

RUNS = 3


def moved_by_rounding(y: Node, known: Mapping[Node, Any], exact: Any) -> float:
    """Return the largest change that rounding at every step made to an entry of y.

    Args:
        y: the root.
        known: object arrays of 120-digit numbers for its variables.
        exact: the entries of y that they give when nothing is rounded.

    Raises:
        OutsideError: when a step then has no finite value.
    """
    draw = random.Random(0)

    def rounded(node: Node, entries: Any) -> Any:
        unit = float(np.finfo(node.dtype).eps)
        return each(lambda e: e * (1 + MPF(draw.uniform(-unit, unit))), entries)

    def shake(node: Node, entries: Any) -> None:
        if dtypes.is_float(node.dtype):
            entries[...] = rounded(node, entries)

    worst = 0.0
    for _ in range(RUNS):
        given = {n: rounded(n, e) if dtypes.is_float(n.dtype) else e for n, e in known.items()}
        found = run([y], given, PRECISE, shake)[y]
        gaps = (abs(a - b) for a, b in zip(found.ravel(), exact.ravel(), strict=True))
        worst = max(worst, float(max(gaps, default=0)))
    return worst
