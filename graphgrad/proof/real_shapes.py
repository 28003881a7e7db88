"""Structured rules of a graph's own nodes: proved at their shapes, or at small ones and stepped.

Where the Jacobian of a node is small it is proved entry by entry. Else the rule is proved at the
small shapes of the rule book's cases, and compared with the complex step at the real shapes.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from graphgrad import dtypes
from graphgrad.graph import Node, refresh
from graphgrad.proof.budget import Budget, attempt
from graphgrad.proof.domains import without_implied
from graphgrad.proof.entries import boxed
from graphgrad.proof.numeric import Comparison, compare_function
from graphgrad.proof.partials import CHECKED, LATE, PROVED, UNDECIDED, WRONG, Proof
from graphgrad.proof.precise import KINK, OutsideError, number_of, slope
from graphgrad.proof.structures import cases_of, positions, prove_entries, use_of

__all__ = ["at_kink", "prove_structure", "together"]

SMALL = 700
"""Entries of the largest Jacobian that is proved entry by entry at a node's own shapes."""
STATUSES = (PROVED, CHECKED, UNDECIDED, WRONG)


def prove_structure(node: Node, i: int, limit: Budget) -> tuple[Proof, str]:
    """Prove the backward rule of input i of a node: algebra, and numbers where it is large.

    Args:
        node: of a primitive that is no map.
        i: the position of the input.
        limit: the time that may be spent.

    Returns:
        The proof, and in words how it was found.
    """
    if node.size * node.inputs[i].size <= SMALL and sum(x.size for x in node.inputs) <= SMALL:
        proof = prove_entries(use_of(node), i, limit)
        return proof, f"{proof.method}, in every entry" if proof.status == PROVED else proof.method
    uses = [use for use in cases_of(node.primitive) if len(use.inputs) > i]
    proof = together([prove_entries(use, i, limit) for use in uses])
    if proof.status in (WRONG, UNDECIDED):
        return proof, proof.method
    stepped = attempt(lambda: _stepped(node, i), limit.left, [])
    bad = [c for c in stepped if not c.ok]
    if bad:
        values = (number_of(bad[0].expected), number_of(bad[0].actual))
        wrong = Proof(WRONG, f"{bad[0].method} in the graph's own shapes", values=values)
        return wrong, wrong.method
    said = f"; confirmed by {stepped[0].method} in the graph's own shapes" if stepped else ""
    return proof, proof.method + said


def together(proofs: Sequence[Proof]) -> Proof:
    """Return what proofs at several shapes amount to; the worst, and proved if one is and all hold.

    Example:
        >>> import graphgrad as gg
        >>> uses = cases_of(gg.PRIMITIVES["outer"])
        >>> together([prove_entries(use, 0) for use in uses]).method
        'same expression, in every entry at 1 small shape'
    """
    worst = max(proofs, key=lambda proof: STATUSES.index(proof.status), default=LATE)
    algebra = [proof for proof in proofs if proof.status == PROVED]
    found = without_implied(c for proof in proofs for c in proof.conditions)
    if worst.status in (WRONG, UNDECIDED) or not algebra:
        return replace(worst, conditions=found)
    shapes = "1 small shape" if len(algebra) == 1 else f"{len(algebra)} small shapes"
    method = f"{max({proof.method for proof in algebra}, key=len)}, in every entry at {shapes}"
    more = len(proofs) - len(algebra)
    if more:
        method += f"; at {more} more {worst.method.partition(';')[0]}"
    seconds = sum(proof.seconds for proof in proofs)
    return replace(algebra[0], method=method, conditions=found, seconds=seconds)


def _stepped(node: Node, i: int) -> list[Comparison]:
    """Compare the rule with the complex step on random numbers in the node's own shapes."""
    rng = np.random.default_rng(0)
    p, settings = node.primitive, node.settings
    xs = [
        np.asarray(refresh(x)) if positions(x) else np.asarray(rng.normal(size=x.shape))[()]
        for x in node.inputs
    ]
    g = np.asarray(rng.normal(size=node.shape))[()]
    y = p.forward(*xs, **settings)
    rule = p.vjp(i, g, y, xs, settings)
    gradient = np.zeros_like(xs[i]) + rule

    def value(at: Sequence[Any], function: Any = p.forward) -> Any:
        return np.sum(g * function(*xs[:i], at[0], *xs[i + 1 :], **settings))

    continued = p.analytic or p.forward
    size = float(np.sum(np.abs(g * y)))
    return compare_function(
        value, [gradient], [xs[i]], analytic=lambda at: value(at, continued), size=size
    )


def at_kink(node: Node) -> bool:
    """Return whether the node's current inputs lie where it has a kink or jump."""
    if node.size * max(x.size for x in node.inputs) > SMALL:
        return False
    xs = [x for x in node.inputs if dtypes.is_float(x.dtype)]
    known = {
        x: boxed(x.shape, [number_of(v) for v in np.ravel(refresh(x)).tolist()])
        for x in node.inputs
    }
    draw = random.Random(0)
    weights = boxed(node.shape, [number_of(draw.random()) for _ in range(node.size)])
    for x in xs:
        direction = boxed(x.shape, [number_of(draw.random()) for _ in range(x.size)])
        try:
            slope(node, weights, known, {x: direction})
        except OutsideError as problem:
            return str(problem) == KINK
    return False
