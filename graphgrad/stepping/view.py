"""What a session says: a moment in one line, a node in a few, in the words of all displays."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from graphgrad.explain.formulas import fill, local_template, operation_template, render
from graphgrad.explain.names import pretty, visible
from graphgrad.explain.steps import Wording, adjoint, plain
from graphgrad.explain.tables import count
from graphgrad.graph import CONSTANT, VARIABLE, Node
from graphgrad.recorder import BackwardStep, ForwardStep
from graphgrad.stepping.text import Text, joined, lines, styled
from graphgrad.stepping.timeline import Position, Timeline

__all__ = ["View", "counted", "last", "tabled", "variables"]

LONGEST = 60
"""Nodes in a formula that is written out in the variables."""
SMALL = 12
"""Entries of a local derivative that is written out."""
LISTED = 6
"""Variables listed in one line."""


class View:
    """The sentences about one tape.

    Args:
        timeline: its moments.
        wording: its names and numbers.
    """

    def __init__(self, timeline: Timeline, wording: Wording):
        self.timeline = timeline
        self.tape = timeline.tape
        self.wording = wording
        self.names = wording.names

    # -- a moment --------------------------------------------------------------------------

    def title(self) -> str:
        """Return what is stepped through: its formula and the number of steps."""
        root, line = self.tape.root, self.timeline
        formula = self.formula(root) or (self.wording.operation(root) if root.inputs else "")
        name = self.names[root]
        formula = "" if formula == name or root.is_leaf else f" = {formula}"
        steps = count(line.forward, "forward step")
        backward = "no backward pass"
        if line.backward is not None:
            backward = count(line.backward, "backward step")
        return f"{name}{formula}: {steps}, {backward}"

    def sentence(self, position: Position) -> Text:
        """Return a moment in one line: its number, its place in the phase, what was done."""
        line = self.timeline
        place = f"{position.phase} {position.step}/{line.steps_of(position.phase)}"
        label = styled("muted", f"[{line.number(position)}] {place}")
        step = line.step(position)
        if step is None:
            return joined([label, "   ", self._start(position)])
        if isinstance(step, ForwardStep):
            return joined([label, "   ", last("value", plain(self.wording.forward(step)))])
        told = last("adjoint", plain(self.wording.backward(step)))
        return joined([label, "   ", told, styled("muted", self._count(step))])

    def _start(self, position: Position) -> Text:
        if position.phase == "forward":
            known = self.listed(variables(self.tape.nodes), position)
            return joined(["the leaves have their values", ": " if known else "", known])
        root = self.names[self.tape.root]
        seed = self.tape.seed
        why = f"∂{root}/∂{root}" if np.ndim(seed) == 0 and seed == 1 else "the given cotangent"
        short = self.wording.short(seed)
        return joined([plain(adjoint(root)), f" = {why} = ", styled("adjoint", short)])

    def _count(self, step: BackwardStep) -> str:
        node = step.edge.source
        total = len(self.tape.arrivals(node))
        done = self.tape.arrived(node, step.index)
        return counted(done, total) if total > 1 else ""

    def made_by(self, position: Position) -> str:
        """Return which forward node's derivative the step belongs to, or ""."""
        step = self.timeline.step(position)
        if step is None:
            return ""
        node = step.node if isinstance(step, ForwardStep) else step.edge.node
        origin = node.origin
        return "" if origin is None else f"      from differentiating {self.spoken(origin)}"

    def ending(self) -> str:
        """Return what the last moment brings: the gradient of every variable, or the value."""
        if self.timeline.backward is None:
            return ""
        end = self.timeline.at(len(self.timeline) - 1)
        found = [n for n in variables(self.tape.nodes) if n.active]
        told = self.listed(found, end, adjoints=True)
        return joined(["      the gradient: ", told]) if told else ""

    # -- nodes in short --------------------------------------------------------------------

    def listed(self, nodes: list[Node], at: Position, adjoints: bool = False) -> Text:
        """Return values, or adjoints, in one line; the first few of many."""
        show = self.adjoint if adjoints else self.value
        parts: list[str] = [show(n, at) for n in nodes[:LISTED]]
        more = f"… ({len(nodes)} variables)"
        return joined(parts + [more] * (len(nodes) > LISTED), ", ")

    def value(self, node: Node, at: Position) -> Text:
        """Return ``w = 3``, or ``w = –`` when it is not computed yet."""
        return self._equation(self.names[node], self.timeline.value(node, at), "value")

    def adjoint(self, node: Node, at: Position) -> Text:
        """Return ``w̄ = 2``, or ``w̄ = –`` while it is not known."""
        bar = plain(adjoint(self.names[node]))
        return self._equation(bar, self.timeline.adjoint(node, at), "adjoint")

    def _equation(self, name: str, value: Any, style: str) -> Text:
        shown = styled("muted", "–") if value is None else styled(style, self.short(value))
        return joined([name, " = ", shown])

    def state(self, node: Node, at: Position) -> Text:
        """Return value and adjoint of a node in one line."""
        parts = [self.value(node, at)]
        if node.active and self.timeline.backward is not None:
            parts.append(self.adjoint(node, at))
            total = len(self.tape.arrivals(node))
            done = self.timeline.arrived(node, at)
            if 0 < done < total:
                parts[-1] = joined([parts[-1], f" ({done} of {total})"])
        return joined(parts, ", ")

    def short(self, value: Any) -> str:
        """Return a scalar or an array in one line, an array with its shape or range."""
        found = self.wording.digest(value)
        return found[0] if len(found) == 1 else " ".join(found)

    # -- formulas --------------------------------------------------------------------------

    def formula(self, node: Node) -> str:
        """Return the node written out in the variables; "" when that is long."""
        leaves: dict[str, str] = {}
        size, stack = 0, [node]
        while stack:
            size += 1
            if size > LONGEST:
                return ""
            x = stack.pop()
            stack += x.inputs
            leaves |= {x.name: pretty(x.name)} if x.is_leaf and x.name else {}
        if not node.inputs:
            return self.names[node]
        return re.sub(r"[^\W\d]\w*", lambda m: leaves.get(m[0], m[0]), visible(render(node)))

    def spoken(self, node: Node) -> str:
        """Return name and formula of a node that may be no part of this graph."""
        called = {x: self.names.get(x) or pretty(x.name or x.op) for x in node.inputs}
        template = operation_template(node.primitive, len(node.inputs), node.settings)
        text = fill(template, "", [called[x] for x in node.inputs])
        name = self.names.get(node) or (pretty(node.name) if node.name else "")
        return f"{name} = {text}" if name else f"{text} ({node.op})"

    def local(self, node: Node, i: int, known: bool = True) -> Text:
        """Return the local derivative ∂y/∂x: its formula, and its numbers once they are known."""
        name = self.wording.partial(node, i)
        if not node.primitive.has_rule(i) or not node.inputs[i].active:
            source = node.inputs[i]
            why = ", a constant" if source.primitive is CONSTANT else ""
            return joined([f"no gradient to {self.names[source]}{why}"])
        rule = self.wording.rule(node, i) if local_template(node, i) else ""
        parts: list[str] = [name, *([f" = {rule}"] if rule else [])]
        entries = node.size if rule else node.size * node.inputs[i].size
        if known and entries <= SMALL:
            value: Any = self.tape.local(node, i)
            shown = self.short(value) if np.ndim(value) <= 2 else rule
            parts += [" = ", styled("value", shown)] if shown != rule else []
        if not rule:
            parts += [",   ", plain(self.wording.pullback(node, i))]
        return joined(parts)


def counted(done: int, total: int) -> str:
    """Return how many contributions have arrived, as a remark."""
    return f"   ({done} of {total} contribution{'s' if total != 1 else ''})" if total else ""


def variables(nodes: Iterable[Node]) -> list[Node]:
    """Return the variables among nodes."""
    return [n for n in nodes if n.primitive is VARIABLE]


def last(style: str, text: str) -> Text:
    """Return a chain of equations whose last member is of a style."""
    head, equals, value = text.rpartition(" = ")
    return joined([head, equals, styled(style, value)])


def tabled(rows: Iterable[tuple[str, Sequence[str]]], indent: str = "  ") -> Text:
    """Return labels with the lines that belong to them, in two columns."""
    kept = [(label, [x for x in told if x]) for label, told in rows]
    kept = [(label, told) for label, told in kept if told]
    width = max((len(label) for label, _ in kept), default=0) + 2
    out: list[str] = []
    for label, told in kept:
        for number, line in enumerate(told):
            head = styled("muted", label.ljust(width)) if number == 0 else " " * width
            out.append(joined([indent, head, line]))
    return lines(out)
