"""Breakpoints: moments at which `run` stops.

    break    place [if condition]  |  if condition
    place    NODE | op:NAME | nan | arrive:NODE:K
    condition   grad | |grad| | value | |value|   then   < <= > >= ==   then a number

The grammar is read by the few lines below; nothing is evaluated as Python.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphgrad.errors import GraphError
from graphgrad.explain.numbers import number
from graphgrad.graph import Node
from graphgrad.parser import parse_value
from graphgrad.stepping.nodes import Nodes, close, quoted
from graphgrad.stepping.timeline import Event

__all__ = ["FORMS", "Breakpoint", "Condition", "read"]

FORMS = ("op:", "nan", "arrive:", "if |grad| > ", "if grad > ", "if |value| > ", "if value > ")
"""How a breakpoint may begin, other than with the name of a node."""
RELATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq,
}  # fmt: skip
_CONDITION = re.compile(r"(\|?)\s*(grad|value)\s*(\|?)\s*(<=|>=|==|<|>)(.*)", re.DOTALL)
_IF = re.compile(r"(?:^|\s)if\s(?!.*\sif\s)", re.DOTALL)


@dataclass(frozen=True)
class Condition:
    """A comparison, such as |grad| > 1000; of an array it asks whether it holds for some entry."""

    quantity: str
    absolute: bool
    relation: str
    limit: float

    def __str__(self) -> str:
        left = f"|{self.quantity}|" if self.absolute else self.quantity
        return f"{left} {self.relation} {number(self.limit, 15)}"

    def holds(self, event: Event) -> bool:
        """Return whether an event has such a quantity and it compares so."""
        found = event.grad if self.quantity == "grad" else event.value
        if found is None:
            return False
        compared = np.abs(found) if self.absolute and np.asarray(found).dtype != bool else found
        with np.errstate(all="ignore"):
            return bool(np.any(RELATIONS[self.relation](compared, self.limit)))


@dataclass(frozen=True)
class Breakpoint:
    """A place, a condition, or both.

    Attributes:
        number: by which it is deleted.
        kind: node, op, nan, arrive, or any (a condition alone).
        node: for node and arrive.
        op: the operation's name, for op.
        count: which contribution, for arrive; 0 for each.
        condition: what must hold there too.
    """

    number: int
    kind: str
    node: Node | None = None
    op: str = ""
    count: int = 0
    condition: Condition | None = None

    def hit(self, event: Event) -> bool:
        """Return whether `run` stops after this event."""
        same = event.node is self.node
        here = {
            "node": same,
            "op": event.op == self.op,
            "nan": event.born,
            "arrive": same and event.arrival > 0 and self.count in (0, event.arrival),
            "any": True,
        }[self.kind]
        return here and (self.condition is None or self.condition.holds(event))

    def text(self, names: Mapping[Node, str]) -> str:
        """Return it as a person would type it."""
        count = f":{self.count}" if self.count else ""
        name = names[self.node] if self.node is not None else ""
        place = {"op": f"op:{self.op}", "arrive": f"arrive:{name}{count}", "nan": "nan", "any": ""}
        condition = f"if {self.condition}" if self.condition else ""
        return f"{place.get(self.kind, name)} {condition}".strip()


def read(text: str, nodes: Nodes, number: int) -> Breakpoint:
    """Return the breakpoint that a person typed.

    Args:
        text: in the grammar above.
        nodes: of the graph.
        number: for the new breakpoint.

    Raises:
        GraphError: when the text is not in the grammar, or speaks of what is not in the graph.
    """
    found = _IF.search(text)
    place = (text[: found.start()] if found else text).strip()
    condition = read_condition(text[found.end() :]) if found else None
    if not place and condition:
        return Breakpoint(number, "any", condition=condition)
    if place == "nan":
        return Breakpoint(number, "nan", condition=condition)
    head, colon, rest = place.partition(":")
    if colon and head == "op":
        return Breakpoint(number, "op", op=_operation(rest.strip(), nodes), condition=condition)
    if colon and head == "arrive":
        return _arrival(rest, nodes, number, condition)
    return Breakpoint(number, "node", nodes.find(place), condition=condition)


def read_condition(text: str) -> Condition:
    """Return the condition that a person typed after ``if``.

    Raises:
        GraphError: when it is not in the grammar.

    Example:
        >>> str(read_condition("|grad| > 1e3"))
        '|grad| > 1000'
    """
    match = _CONDITION.fullmatch(text.strip())
    if not match or match[1] != match[3]:
        raise GraphError(
            f"condition {quoted(text)}: expected grad, |grad|, value or |value|, then one of "
            f"{' '.join(RELATIONS)}, then a number, as in |grad| > 1e3"
        )
    limit = parse_value(match[5])
    if np.ndim(limit):
        raise GraphError(f"condition {quoted(text)}: expected a number, not an array")
    return Condition(match[2], bool(match[1]), match[4], float(limit))


def _operation(name: str, nodes: Nodes) -> str:
    used = sorted({n.op for n in nodes.all if not n.is_leaf})
    if name not in used:
        listed = ", ".join(used) or "none"
        raise GraphError(
            f"no operation {quoted(name)} in this graph{close(name, used)}: it has {listed}"
        )
    return name


def _arrival(text: str, nodes: Nodes, number: int, condition: Condition | None) -> Breakpoint:
    name, colon, tail = text.rpartition(":")
    tail = tail.strip()
    counted = bool(colon) and tail.isascii() and tail.isdigit() and len(tail) < 10
    node = nodes.find(name if counted else text)
    count = int(tail) if counted else 0
    tape = nodes.tape
    total = len(tape.arrivals(node)) if tape.differentiable else 0
    if counted and not 1 <= count <= total:
        arrive = f"{total} contribution{'s arrive' if total != 1 else ' arrives'}"
        raise GraphError(f"arrive:{nodes.names[node]}:{count}: {arrive} at this node")
    return Breakpoint(number, "arrive", node, count=count, condition=condition)
