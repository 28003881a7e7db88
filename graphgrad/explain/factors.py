"""Why a local derivative is 0 or nearly so: a closed gate, a saturated unit, a zero weight.

What one can do: `reason` says in a few words what makes the factor on one edge small.
"""

from __future__ import annotations

from typing import Any

from graphgrad.explain.steps import Wording
from graphgrad.graph import Node
from graphgrad.recorder import Tape

__all__ = ["reason"]

SATURATING = {
    "tanh", "sigmoid", "erf", "atan", "softplus", "log_sigmoid", "elu", "gelu", "silu", "expm1",
    "exp",
}  # fmt: skip
STEPS = {"floor", "sign", "heaviside"}


def reason(wording: Wording, node: Node, position: int) -> str:
    """Return why the local derivative of a scalar edge is 0, or small.

    Args:
        wording: of the tape.
        node, position: the edge.

    Example:
        >>> import graphgrad as gg
        >>> z = gg.var("z", -2.0)
        >>> y = gg.relu(z)
        >>> reason(Wording(gg.tape(y)), y, 0)
        'closed gate: relu lets nothing pass at z = −2'
    """
    tape, names = wording.tape, wording.names
    x = node.inputs[position]
    at = f"{names[x]} = {wording.number(tape.value(x))}"
    if node.op in ("relu", "clip"):
        return f"closed gate: {node.op} lets nothing pass at {at}"
    if node.op in ("maximum", "minimum"):
        other = node.inputs[1 - position]
        than = f"{names[other]} = {wording.number(tape.value(other))}"
        return f"closed gate: {node.op} took {than}, not {at}"
    if node.op == "where":
        taken = node.inputs[2 if position == 1 else 1]
        return f"closed gate: where took {names[taken]}, not {names[x]}"
    if node.op in SATURATING:
        return f"saturated: {wording.operation(node)} is flat at {at}"
    if node.op in STEPS:
        return f"{node.op} is flat wherever it has a derivative"
    if node.primitive.linear == "each" and len(node.inputs) == 2:
        return _other_factor(wording, node, position)
    partial, rule = wording.partial(node, position), wording.rule(node, position)
    what = f"{partial} = {rule}" if rule else partial
    return f"{what} at {_point(tape, wording, node)}"


def _other_factor(wording: Wording, node: Node, position: int) -> str:
    other = node.inputs[1 - position]
    value: Any = wording.tape.value(other)
    kind = "weight" if other.role == "parameter" else "factor"
    size = "zero" if value == 0 else "small"
    name = wording.names[other]
    number = wording.number(value)
    return f"{size} {kind}: {name}" + ("" if name == number else f" = {number}")


def _point(tape: Tape, wording: Wording, node: Node) -> str:
    inputs = dict.fromkeys(x for x in node.inputs if wording.names[x] != _shown(wording, x))
    return ", ".join(f"{wording.names[x]} = {_shown(wording, x)}" for x in inputs)


def _shown(wording: Wording, node: Node) -> str:
    return wording.short(wording.tape.value(node))
