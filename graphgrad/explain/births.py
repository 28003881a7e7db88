"""The step at which a number stopped being finite: its entry, its operands, the reason.

What one can do: `first_bad` finds the entry of a step's result; `born` describes the step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphgrad.explain.formulas import fill, operation_template
from graphgrad.explain.steps import Wording, adjoint
from graphgrad.graph import Node
from graphgrad.ops.define import Elementwise
from graphgrad.recorder import BackwardStep, ForwardStep

__all__ = ["Birth", "born", "first_bad"]

Entry = tuple[int, ...]
Test = Callable[[Any], Any]
POLES: dict[str, Callable[..., Any]] = {
    "log": lambda x: x == 0,
    "log1p": lambda x: x == -1,
    "div": lambda a, b: b == 0,
    "reciprocal": lambda x: x == 0,
    "power": lambda x: x == 0,
    "pow": lambda a, b: a == 0,
}
"""Where an operation is infinite by nature, and not because numbers end."""


def _not_finite(value: Any) -> Any:
    return ~np.isfinite(value)


@dataclass(frozen=True, eq=False)
class Birth:
    """A step with a non-finite result.

    Attributes:
        step: of the tape.
        node: computed, or passed through backwards.
        at: the entry of the node's array; () for a scalar and where it cannot be told.
        value: the number: nan, ∞ or −∞.
        formula: the step, as marked text.
        operands: names and numbers that went into it, at that entry.
        why: what made it.
        derived: whether something that went into it was not finite already.
    """

    step: ForwardStep | BackwardStep
    node: Node
    at: Entry
    value: float
    formula: str
    operands: list[tuple[str, str]]
    why: str
    derived: bool = False


def first_bad(step: ForwardStep | BackwardStep, test: Test = _not_finite) -> Entry | None:
    """Return the first entry of a step's result that is not finite, or for which `test` holds."""
    # What a contribution brings is in the sum, so the sum alone tells.
    return _entry(test(step.value if isinstance(step, ForwardStep) else step.after))


def _entry(mask: Any) -> Entry | None:
    if not np.any(mask):
        return None
    return tuple(int(k) for k in np.argwhere(np.asarray(mask))[0])


def born(wording: Wording, step: ForwardStep | BackwardStep, test: Test = _not_finite) -> Birth:
    """Describe a step whose result is not finite."""
    with np.errstate(all="ignore"):
        if isinstance(step, ForwardStep):
            return _forward(wording, step, test)
        return _backward(wording, step, test)


# -- forward -----------------------------------------------------------------------------------


def _forward(wording: Wording, step: ForwardStep, test: Test) -> Birth:
    node, at = step.node, first_bad(step, test) or ()
    value = float(np.asarray(step.value)[at])
    if isinstance(node.primitive, Elementwise):
        xs = [np.broadcast_to(v, node.shape)[at] for v in step.operands]
        shown = [wording.number(v) for v in xs]
    else:
        xs = list(step.operands)
        shown = [wording.short(v) for v in xs]
    named = dict(zip([wording.names[x] for x in node.inputs], shown, strict=True))
    operands = [(name, number) for name, number in named.items() if name != number]
    why = _why_forward(wording, node, xs, value)
    derived = not all(np.isfinite(v).all() for v in xs)
    return Birth(step, node, at, value, wording.forward(step), operands, why, derived)


def _why_forward(wording: Wording, node: Node, xs: list[Any], value: float) -> str:
    for x, v in zip(node.inputs, xs, strict=True):
        if np.isnan(v).any() or (np.isinf(v).any() and not np.isnan(value)):
            name, shown = wording.names[x], wording.short(v)
            return f"{shown if name == shown else f'{name} = {shown}'} went into it"
    template = operation_template(node.primitive, len(node.inputs), node.settings)
    scalar = all(np.ndim(v) == 0 for v in xs)
    text = (
        fill(template, "", [wording.number(v) for v in xs]) if scalar else wording.operation(node)
    )
    if np.isnan(value):
        return f"{text} has no value"
    pole = POLES.get(node.op) if isinstance(node.primitive, Elementwise) else None
    if pole is not None and pole(*xs):
        return f"{text} is infinite: a pole"
    return f"overflow: the largest {node.dtype} is {wording.number(np.finfo(node.dtype).max)}"


# -- backward ----------------------------------------------------------------------------------


def _backward(wording: Wording, step: BackwardStep, test: Test) -> Birth:
    node, x = step.edge.node, step.edge.source
    if not np.any(test(step.contribution)):
        return _accumulated(wording, step, test)
    formula = wording.backward(step)
    if not isinstance(node.primitive, Elementwise):
        at = _entry(test(step.contribution)) or ()
        value = float(np.asarray(step.contribution)[at])
        upstream = (adjoint(wording.names[node]), wording.short(step.upstream))
        inputs = [(wording.names[n], wording.short(wording.tape.value(n))) for n in node.inputs]
        why = f"the rule of {node.op} gives {wording.number(value)} for these"
        derived = not np.isfinite(step.upstream).all()
        return Birth(step, node, (), value, formula, [upstream, *inputs], why, derived)
    local: Any = np.broadcast_to(np.asarray(wording.tape.local(*step.edge)), node.shape)
    product = np.asarray(step.upstream * local)
    at = _entry(test(product)) or ()
    up, slope = (
        float(np.asarray(v)[at]) for v in (np.broadcast_to(step.upstream, node.shape), local)
    )
    value = float(product[at])
    operands = [
        (adjoint(wording.names[node]), wording.number(up)),
        (wording.partial(*step.edge), wording.number(slope)),
        (wording.names[x], wording.number(np.broadcast_to(wording.tape.value(x), node.shape)[at])),
    ]
    why = _why_backward(wording, node, up, slope, value)
    return Birth(step, node, at, value, formula, operands, why, not np.isfinite(up))


def _why_backward(wording: Wording, node: Node, up: float, slope: float, value: float) -> str:
    number = wording.number
    if np.isnan(slope):
        return "the local derivative has no value here"
    if np.isinf(slope) and up == 0:
        product = "0 · ∞" if slope > 0 else "0 · (−∞)"
        return f"the upstream adjoint is 0 and the local derivative is infinite: {product} = nan"
    if np.isinf(slope):
        return f"the local derivative is infinite here: {number(up)} · {number(slope)}"
    if not np.isfinite(up):
        zero = ", and the local derivative is 0" if slope == 0 else ""
        return f"the upstream adjoint is {number(up)} already{zero}"
    return (
        f"overflow: {number(up)} · {number(slope)}, but the largest {node.dtype} is "
        f"{number(np.finfo(node.dtype).max)}"
    )


def _accumulated(wording: Wording, step: BackwardStep, test: Test) -> Birth:
    """Describe a sum of contributions that is not finite though this contribution is."""
    x = step.edge.source
    at = _entry(test(step.after)) or ()
    before, part, value = (
        float(np.broadcast_to(v, x.shape)[at]) for v in (step.before, step.contribution, step.after)
    )
    number = wording.number
    operands = [
        (f"{adjoint(wording.names[x])} before", number(before)),
        ("contribution", number(part)),
    ]
    why = f"the contributions overflow when they are added: {number(before)} + {number(part)}"
    if not np.isfinite(before):
        why = f"the sum of the contributions was {number(before)} already"
    derived = not np.isfinite(before)
    return Birth(step, step.edge.node, at, value, wording.backward(step), operands, why, derived)
