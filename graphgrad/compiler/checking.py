"""Compiled beside uncompiled, node by node; where a number that is not finite was born."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graphgrad.errors import CompileError, DivergenceError
from graphgrad.graph import Node, ancestors, describe, evaluate, refresh

__all__ = ["check", "divergence"]

SINGLE = {"fast": 1e-4, "exact": 1e-4, "tf32": 1e-2, "bf16": 1e-1}
"""Differences of float32 that are allowed, relative to the largest entry, by `math`."""


def check(
    executor: Any, arrays: Sequence[Any], rtol: float | None, every: bool
) -> dict[str, float]:
    """Do what `Executor.check` says."""
    values = executor._checked(arrays)
    before = {v: refresh(v) for v in executor._states}
    given = {**before, **dict(zip(executor.inputs, values, strict=True))}
    ends = [*executor._outputs, *executor._updates.values()]
    found = [*executor(*arrays), *[v.value for v in executor._updates]]
    for v in executor._updates:
        v.value = before[v]
    nodes = [n for n in ancestors(ends) if not n.is_leaf and n not in ends] if every else []
    if nodes:
        found += type(executor)(nodes, executor.inputs, {}, executor.target, executor.math)(*arrays)
    report: dict[str, float] = {}
    expected = evaluate([*ends, *nodes], given)
    for node, a, b in zip([*ends, *nodes], found, expected, strict=True):
        limit = rtol or (SINGLE[executor.math] if node.dtype == np.float32 else 1e-9)
        difference = _difference(a, b)
        report[_free(node.name or node.op, report)] = difference
        if not difference <= limit:
            raise CompileError(
                f"{describe(node)} differs by {difference:.2e} from the uncompiled graph; "
                f"allowed {limit:.0e}"
            )
    return report


def _free(name: str, taken: Mapping[str, Any]) -> str:
    """Return the name, or with a number that makes it new."""
    found, k = name, 1
    while found in taken:
        k += 1
        found = f"{name}#{k}"
    return found


def _difference(a: Any, b: Any) -> float:
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if not a.size:
        return 0.0
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(all="ignore"):
        scale = max(float(np.max(np.abs(b[np.isfinite(b)]), initial=0.0)), 1e-30)
        return float(np.max(np.where(same, 0.0, np.abs(a - b) / scale)))


def divergence(bad: Sequence[Node], inputs: Sequence[Node], values: Sequence[Any]) -> Exception:
    """Return the error that says where a nan or infinity was born, of these nodes first."""
    from graphgrad.explain.nonfinite import certificate

    kept = [v._value for v in inputs]
    try:
        for v, value in zip(inputs, values, strict=True):
            v.value = value
        found = next((c for n in bad if (c := certificate(n)) is not None), None)
    finally:
        for v, value in zip(inputs, kept, strict=True):
            if value is not None:
                v.value = value
    more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
    text = f"{describe(bad[0])}{more} is not finite; nothing was updated"
    error = DivergenceError(text if found is None else f"{text}\n{found!r}")
    error.certificate = found
    return error
