"""All about one node at one moment: the answer to `show`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from graphgrad.explain.names import visible
from graphgrad.explain.numbers import shape_text
from graphgrad.explain.steps import adjoint, plain
from graphgrad.graph import VARIABLE, Node
from graphgrad.ops.define import Elementwise
from graphgrad.recorder import BackwardStep
from graphgrad.stepping.text import Text, joined, lines, styled
from graphgrad.stepping.timeline import Position
from graphgrad.stepping.view import View, counted, last, tabled

__all__ = ["node"]

USERS = 6
"""Nodes that one line lists."""


def node(view: View, node: Node, at: Position) -> Text:
    """Return value, adjoint, local derivatives and origin of a node, as known at a moment."""
    known = view.timeline.value(node, at) is not None
    passing = range(len(node.inputs)) if node.active else ()
    rows: list[tuple[str, Sequence[str]]] = [
        ("made by", [_source(node)]),
        ("formula", [_formula(view, node)]),
        ("value", _value(view, node, at)),
        ("adjoint", _adjoint(view, node, at)),
        ("local", [view.local(node, i, known) for i in passing]),
        ("origin", [_origin(view, node)]),
        ("derivative", [_derivative(view, node)]),
        ("used by", [_users(view, node)]),
    ]
    return lines([_heading(view, node), tabled(rows)])


def _origin(view: View, node: Node) -> str:
    return "" if node.origin is None else f"from differentiating {view.spoken(node.origin)}"


def _heading(view: View, node: Node) -> Text:
    kind = node.role if node.primitive is VARIABLE else ""
    parts = [
        node.op, kind, "vector of " * (node.ndim == 1) + shape_text(node.shape), str(node.dtype),
        f"in {visible(node.scope)}" if node.scope else "", f"#{node.serial}",
    ]  # fmt: skip
    told = ", ".join(part for part in parts if part)
    return joined([styled("title", view.names[node]), f"  {told}"])


def _source(node: Node) -> str:
    source = node.source
    if source is None or source.text in ("", node.name):
        return ""
    text = visible(source.text)
    return text if len(text) <= 72 else text[:71] + "…"


def _formula(view: View, node: Node) -> str:
    """The node written out in the variables, when that says more than its operation."""
    formula = view.formula(node) if node.inputs else ""
    deep = any(x.inputs for x in node.inputs)
    return f"{view.names[node]} = {formula}" if formula and deep else ""


def _value(view: View, node: Node, at: Position) -> list[Text]:
    value = view.timeline.value(node, at)
    if node.is_leaf and not np.ndim(value):
        known = view.value(node, at)
        return [known if node.primitive is VARIABLE else styled("value", view.short(value))]
    formula = f"{view.names[node]} = {view.wording.operation(node)}" if node.inputs else ""
    if value is None:
        return [joined([formula or view.names[node], " = ", styled("muted", "– (not yet)")])]
    if not np.ndim(value):
        step = view.tape.forward[view.timeline.made(node) - 1]
        return [last("value", plain(view.wording.forward(step)))]
    digest = [styled("value", line) for line in view.wording.digest(value)]
    head = formula or view.names[node]
    return [joined([head, " = ", digest[0]])] if len(digest) == 1 else [Text(head + " ="), *digest]


def _adjoint(view: View, node: Node, at: Position) -> list[Text]:
    if view.timeline.backward is None:
        return []
    if not node.active:
        return [Text("none: no gradient flows here")]
    arrivals = view.tape.arrivals(node)
    done = view.timeline.arrived(node, at)
    count = counted(done, len(arrivals))
    told = [joined([view.adjoint(node, at), styled("muted", count)])]
    value = view.timeline.adjoint(node, at)
    digest = [styled("adjoint", x) for x in view.wording.digest(value)] if np.ndim(value) else []
    if len(digest) > 1:
        bar = plain(adjoint(view.names[node]))
        told = [joined([f"{bar} =", styled("muted", count)]), *digest]
    told += [_contribution(view, step) for step in arrivals[:done][:USERS]]
    more = done - USERS
    return [*told, styled("muted", f"… {more} more")] if more > 0 else told


def _contribution(view: View, step: BackwardStep) -> Text:
    user, i = step.edge
    words, name = view.wording, view.names[user]
    if not isinstance(user.primitive, Elementwise):
        rule = plain(words.pullback(user, i)).partition(" ← ")[2]
        return last("adjoint", f"from {name}: {rule} = {view.short(step.contribution)}")
    if user.shape != ():
        return last("adjoint", f"from {name}: {plain(words.contribution(step))}")
    numbers = [view.tape.local(user, i), step.upstream, step.contribution]
    local, upstream, result = map(words.number, numbers)
    product = f"{bracketed(upstream)} · {bracketed(local)}"
    symbols = f"{plain(adjoint(name))} · {words.partial(user, i)}"
    return last("adjoint", f"from {name}: {symbols} = {product} = {result}")


def bracketed(text: str) -> str:
    """Return a number with brackets around it if it has a sign."""
    return f"({text})" if text.startswith("−") else text


def _derivative(view: View, node: Node) -> str:
    made = [view.names[n] for n in view.tape.nodes if n.origin is node and n.inputs]
    return f"differentiating it made {_few(made)}" if made else ""


def _users(view: View, node: Node) -> str:
    users = [view.names[n] for n in view.tape.nodes if node in n.inputs]
    return _few(users)


def _few(names: list[str]) -> str:
    return ", ".join(names[:USERS]) + ", …" * (len(names) > USERS)
