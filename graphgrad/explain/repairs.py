"""Known repairs for numbers that are not finite: the double where, log-sum-exp, logits, a floor.

What one can do: `repairs` of a birth gives what to write instead, in expression text where the
graph allows it; nothing where no repair is known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from graphgrad.explain.births import Birth
from graphgrad.explain.formulas import fill, operation_template, render
from graphgrad.explain.names import visible
from graphgrad.explain.steps import Wording
from graphgrad.graph import CONSTANT, Edge, Node
from graphgrad.ops.define import Elementwise
from graphgrad.recorder import BackwardStep

__all__ = ["as_code", "masking", "repairs"]

LONGEST = 40
"""Characters of a condition that is written out twice."""
MOST_NODES = 12
"""Nodes of a formula that is written out."""
SAFE = (1.0, 0.0, 0.5, 2.0)
"""Arguments that are tried as the harmless one."""
_CODE = [
    ("·", "*"), ("−", "-"), ("≥", ">="), ("≤", "<="), ("≠", "!="), (" = ", " == "), ("²", "**2"),
    ("√", "sqrt"), ("∧", "&"), ("∨", "|"), ("¬", "~"), ("σ", "sigmoid"), ("^", "**"),
]  # fmt: skip


def repairs(wording: Wording, birth: Birth) -> Iterator[str]:
    """Yield what to write in place of the operation at which a number was born, best first."""
    node = birth.node
    if birth.derived:
        return
    choice = masking(wording, birth)
    if choice is not None:
        yield f"choose the argument first: {_double_where(wording, birth, choice)}"
        return
    known = {
        "log": _log, "exp": _exp, "expm1": _exp, "div": _division, "reciprocal": _division,
        "sqrt": _root, "power": _power, "pow": _power, "log1p": _log,
    }.get(node.op)  # fmt: skip
    if known is not None:
        yield from known(wording, birth)
    elif "overflow" in birth.why and node.dtype == np.float32:
        yield "compute in float64, whose largest number is 1.798e308"


# -- the double where ----------------------------------------------------------------------------


def masking(wording: Wording, birth: Birth) -> Edge | None:
    """Return the edge into a `where` that does not take the branch with this node, if any.

    The search goes to the node's users, and their users, through maps of the same shape.
    """
    users: dict[Node, list[Edge]] = {}
    for step in wording.tape.forward:
        for i, x in enumerate(step.node.inputs):
            users.setdefault(x, []).append(Edge(step.node, i))
    seen, queue = {birth.node}, [birth.node]
    for node in queue:
        for edge in users.get(node, ()):
            user = edge.node
            if user.op == "where" and edge.position and user.shape == birth.node.shape:
                mask: Any = wording.tape.value(user.inputs[0])
                taken = bool(np.broadcast_to(mask, user.shape)[birth.at])
                if taken != (edge.position == 1):
                    return edge
            maps = isinstance(user.primitive, Elementwise) and user.shape == birth.node.shape
            if maps and user not in seen:
                seen.add(user)
                queue.append(user)
    return None


def _double_where(wording: Wording, birth: Birth, choice: Edge) -> str:
    node, where = birth.node, choice.node
    condition, *branches = where.inputs
    test = _short(condition) or "condition"
    i = _guarded(birth)
    inputs = [_code(wording, x) for x in node.inputs]
    safe = f"{_safe(wording, node, i):g}"
    first = choice.position == 1
    pair = (inputs[i], safe) if first else (safe, inputs[i])
    template = operation_template(node.primitive, len(node.inputs), node.settings)
    before = as_code(fill(template, "", inputs))
    inputs[i] = f"where({test}, {pair[0]}, {pair[1]})"
    inner = as_code(fill(template, "", inputs))
    if branches[choice.position - 1] is not node:
        return f"{inner} in place of {before}"
    other = _code(wording, branches[2 - choice.position])
    return f"where({test}, {inner}, {other})" if first else f"where({test}, {other}, {inner})"


def _guarded(birth: Birth) -> int:
    """Return the input to guard: the divisor of a quotient, else the one at fault."""
    if birth.node.op == "div":
        return 1
    return birth.step.edge.position if isinstance(birth.step, BackwardStep) else 0


def _safe(wording: Wording, node: Node, position: int) -> float:
    """Return an argument at which the operation and its derivative are finite."""
    p = node.primitive
    xs = [np.ravel(np.asarray(wording.tape.value(x), x.dtype))[:1] for x in node.inputs]
    xs = [x if np.isfinite(x).all() else np.ones_like(x) for x in xs]
    with np.errstate(all="ignore"):
        for value in SAFE:
            xs[position] = np.array([value], node.dtype)
            y = p.forward(*xs, **node.settings)
            local = p.partial(position, y, xs, node.settings) if isinstance(p, Elementwise) else y
            if np.isfinite(y).all() and np.isfinite(local).all():
                return value
    return SAFE[0]


def _code(wording: Wording, node: Node) -> str:
    """Return an operand as text: a leaf by name or number, a short formula written out."""
    if node.primitive is CONSTANT and not node.name:
        return as_code(wording.names[node])
    return _short(node) or as_code(visible(node.name or wording.names[node]))


def _short(node: Node) -> str:
    """Return the formula of a node as text, or "" when it is too long to be written out."""
    seen, stack = {node}, [node]
    while stack:
        fresh = [x for x in stack.pop().inputs if x not in seen]
        seen.update(fresh)
        stack += fresh
        if len(seen) > MOST_NODES:
            return ""
    text = as_code(render(node))
    return "" if len(text) > LONGEST or "const[" in text else text


def as_code(text: str) -> str:
    """Return a formula in the signs of expression text.

    Example:
        >>> as_code("√(x² − 1) ≥ 2·y")
        'sqrt(x**2 - 1) >= 2*y'
    """
    for sign, code in _CODE:
        text = text.replace(sign, code)
    return re.sub(r"\|([^|]*)\|", r"abs(\1)", text) if text.count("|") == 2 else text


# -- other repairs -------------------------------------------------------------------------------


def _log(wording: Wording, birth: Birth) -> Iterator[str]:
    x = birth.node.inputs[0]
    inside = [_code(wording, n) for n in x.inputs]
    if x.op == "sigmoid":
        yield f"log_sigmoid({inside[0]}), which is finite for every argument"
    elif x.op == "sub" and x.inputs[1].op == "sigmoid":
        z = _code(wording, x.inputs[1].inputs[0])
        z = z if z.isidentifier() else f"({z})"
        yield f"log_sigmoid(-{z}) for log(1 - sigmoid({z.strip('()')}))"
    elif "softmax" in x.scope.split("/"):
        yield "log_softmax(…) of the logits, which is finite for every argument"
    elif "cross_entropy" in birth.node.scope:
        yield "the same loss from logits: binary_cross_entropy_with_logits, softmax_cross_entropy"
    elif x.op == "sum" and x.inputs[0].op == "exp":
        yield "logsumexp(…), which subtracts the largest first"
    elif birth.value != birth.value:
        yield f"its argument must be positive: {_code(wording, x)} is not; square it, or softplus"
    else:
        yield f"keep its argument away from 0: log(maximum({_code(wording, x)}, 1e-12))"


def _exp(wording: Wording, birth: Birth) -> Iterator[str]:
    limit = np.log(float(np.finfo(birth.node.dtype).max))
    yield (
        f"{birth.node.op} overflows above {limit:.1f}: subtract the largest first, as softmax and "
        f"logsumexp do, or use softplus or sigmoid where they are meant"
    )


def _division(wording: Wording, birth: Birth) -> Iterator[str]:
    x = _code(wording, birth.node.inputs[-1])
    if "overflow" not in birth.why:
        yield f"keep the divisor away from 0: {x} + 1e-12, or maximum({x}, 1e-12) where it is ≥ 0"


def _root(wording: Wording, birth: Birth) -> Iterator[str]:
    x = _code(wording, birth.node.inputs[0])
    if isinstance(birth.step, BackwardStep):
        yield f"the slope of sqrt is infinite at 0: sqrt({x} + 1e-12)"
    else:
        yield f"its argument must not be negative: {x} is; abs, square or maximum({x}, 0) first"


def _power(wording: Wording, birth: Birth) -> Iterator[str]:
    x = _code(wording, birth.node.inputs[0])
    if "overflow" in birth.why:
        return
    if birth.value != birth.value and not isinstance(birth.step, BackwardStep):
        yield f"a negative base has no such power: abs({x}), or a whole exponent"
    else:
        yield f"keep the base away from 0: {x} + 1e-12"
