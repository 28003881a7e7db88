"""What a step of the tape says, in one line: the formula with symbols, then with numbers.

What one can do: make the `Wording` of a tape and ask it for any step as text; `explain.typeset`
writes it in LaTeX.

Adjoints are marked inside the text (`adjoint`), so that each display can put the bar over the
name in its own way: `plain` for terminals and titles, `<O>` in Graphviz labels.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from graphgrad.explain.formulas import (
    fill,
    local_binding,
    local_template,
    operation_template,
    pullback_template,
)
from graphgrad.explain.latex import latex_name
from graphgrad.explain.names import node_names
from graphgrad.explain.numbers import DIGITS, digest, latex_number, number, shape_text
from graphgrad.graph import CONSTANT, Node
from graphgrad.ops.define import Elementwise
from graphgrad.recorder import BackwardStep, ForwardStep, Tape

__all__ = ["BAR", "UNBAR", "Wording", "adjoint", "plain", "scalar_edge"]

BAR, UNBAR = "\x02", "\x03"
LONGEST = 30
"""Formulas of more characters are replaced by ∂y/∂x on an arrow."""


def adjoint(name: str) -> str:
    """Return the adjoint of `name`, the name with a bar, as marked text."""
    return f"{BAR}{name}{UNBAR}"


def plain(text: str) -> str:
    """Return marked text with combining bars, for terminals and titles.

    Example:
        >>> plain(adjoint("x₁") + " = 2")
        'x̄₁ = 2'
    """
    parts = text.split(BAR)
    for k, part in enumerate(parts[1:], 1):
        name, _, rest = part.partition(UNBAR)
        letters = [c for c in name if unicodedata.category(c)[0] not in "NMPZ"]
        bar = "\u0304" if len(letters) == 1 else "\u0305"
        parts[k] = "".join(c + (bar if c in letters else "") for c in name) + rest
    return "".join(parts)


def scalar_edge(node: Node) -> bool:
    """Return whether an edge into `node` has one number as its local derivative."""
    return node.shape == () and isinstance(node.primitive, Elementwise)


@dataclass(frozen=True)
class Wording:
    """The words and formulas for one tape; every display of it uses the same.

    Attributes:
        tape: the recorded run.
        digits: significant digits of all numbers.
    """

    tape: Tape
    digits: int = DIGITS

    @cached_property
    def names(self) -> dict[Node, str]:
        """The display name of every node."""
        return node_names(self.tape.nodes, self.digits)

    @cached_property
    def latex_names(self) -> dict[Node, str]:
        """The name of every node in LaTeX, safe whatever the user called it."""
        names = {n: latex_name(name) for n, name in self.names.items()}
        for n in names:
            if n.primitive is CONSTANT and not n.name and n.size == 1:
                names[n] = latex_number(n._value.reshape(())[()], self.digits)
        return names

    def number(self, value: Any) -> str:
        """Return a scalar as text."""
        return number(value, self.digits)

    def digest(self, value: Any) -> list[str]:
        """Return a scalar or array as short lines."""
        return digest(value, self.digits)

    def short(self, value: Any) -> str:
        """Return a scalar or array in one short line."""
        lines = self.digest(value)
        if len(lines) == 1 and len(lines[0]) <= LONGEST:
            return lines[0]
        return shape_text(np.shape(value))

    def operation(self, node: Node) -> str:
        """Return the node's formula with the names of its inputs."""
        template = operation_template(node.primitive, len(node.inputs), node.settings)
        return fill(template, "", [self.names[x] for x in node.inputs])

    def partial(self, node: Node, position: int) -> str:
        """Return ∂y/∂x with names; the position is added when x is an input twice."""
        x = self.names[node.inputs[position]]
        return f"∂{self.names[node]}/∂{x}{self._which(node, position)}"

    def edge(self, node: Node, position: int) -> str:
        """Return an edge as the gradient passes it, y → x; with the position where x is twice."""
        x = self.names[node.inputs[position]]
        return f"{self.names[node]} → {x}{self._which(node, position)}"

    @staticmethod
    def _which(node: Node, position: int) -> str:
        again = node.inputs.count(node.inputs[position]) > 1
        return f" (input {position + 1})" if again else ""

    def rule(self, node: Node, position: int) -> str:
        """Return the local derivative as a formula with names; "" when it is too long to help."""
        template = local_template(node, position)
        text = self._filled(template, node)
        return text if len(text) <= LONGEST else ""

    def _filled(self, template: str, node: Node) -> str:
        return fill(
            template,
            self.names[node],
            [self.names[x] for x in node.inputs],
            adjoint(self.names[node]),
        )

    def local(self, node: Node, position: int) -> str:
        """Return the first line on an arrow: ∂y/∂x = its formula = its number."""
        rule = self.rule(node, position)
        parts = [self.partial(node, position)]
        if not isinstance(node.primitive, Elementwise):
            return self.pullback(node, position)
        if rule:
            parts.append(rule)
        if node.shape == ():
            value = self.number(self.tape.local(node, position))
            if value != rule:
                parts.append(value)
        return " = ".join(parts)

    def pullback(self, node: Node, position: int) -> str:
        """Return x̄ ← the rule that makes the contribution, as on a structured node's arrow."""
        text = self._filled(pullback_template(node, position), node)
        if len(text) > LONGEST + 6:
            text = f"{adjoint(self.names[node])} · {self.partial(node, position)}"
        return f"{adjoint(self.names[node.inputs[position]])} ← {text}"

    def contribution(self, step: BackwardStep) -> str:
        """Return the second line on an arrow: ȳ · local = contribution, in numbers."""
        node, i = step.edge
        value = self.short(step.contribution)
        if not isinstance(node.primitive, Elementwise):
            return f"= {value}"
        bar = adjoint(self.names[node])
        if node.shape == ():
            return f"{bar} · {self.factor(self.tape.local(node, i))} = {value}"
        rule = self.rule(node, i) or self.partial(node, i)
        factor = f"({rule})" if any(c in rule for c in " /−") else rule
        product = bar if rule == "1" else f"{bar}·{factor}"
        total = "Σ " if step.edge.source.shape != node.shape else ""
        return f"{total}{product} = {value}"

    def factor(self, value: Any) -> str:
        """Return a number as a factor: in brackets when it is negative."""
        text = self.number(value)
        return f"({text})" if text.startswith("−") else text

    def forward(self, step: ForwardStep) -> str:
        """Return a forward step: y = formula = formula in numbers = value."""
        node = step.node
        value = self.short(step.value)
        parts = [self.names[node], self.operation(node)]
        if all(np.ndim(v) == 0 for v in step.operands) and np.ndim(step.value) == 0:
            template = operation_template(node.primitive, len(node.inputs), node.settings)
            numbers = fill(template, "", [self.number(v) for v in step.operands])
            if numbers not in (parts[1], value):
                parts.append(numbers)
        parts.append(value)
        return " = ".join(parts)

    def substituted(self, node: Node, position: int) -> str:
        """Return the local derivative as a factor in symbols; "" where its number says it all."""
        rule = self.rule(node, position)
        if not rule or rule == self.number(self.tape.local(node, position)):
            return ""
        loose = local_binding(node, position) <= 1 or rule.startswith("−")
        return f"({rule})" if loose else rule

    def backward(self, step: BackwardStep) -> str:
        """Return a backward step: x̄ ← ȳ · ∂y/∂x in symbols, filled in, then in numbers."""
        node, i = step.edge
        x = step.edge.source
        bar, up = adjoint(self.names[x]), adjoint(self.names[node])
        again = "" if step.before is None else f"{bar} + "
        if not scalar_edge(node):
            rule = self._filled(pullback_template(node, i), node)
            rule = rule if len(rule) <= 60 else f"{up} · {self.partial(node, i)}"
            return f"{bar} ← {again}{rule} = {self.short(step.after)}"
        text = f"{bar} ← {again}{up} · {self.partial(node, i)}"
        if factor := self.substituted(node, i):
            text += f" = {again}{up} · {factor}"
        before = "" if step.before is None else f"{self.number(step.before)} + "
        local = self.factor(self.tape.local(node, i))
        product = f"{before}{self.factor(step.upstream)} · {local}"
        return f"{text} = {product} = {self.number(step.after)}"

    def text(self, step: ForwardStep | BackwardStep) -> str:
        """Return a step of either pass in one line of marked text; `plain` makes it readable.

        Example:
            >>> import graphgrad as gg
            >>> x, w = gg.var("x", 2.0), gg.var("w", 3.0)
            >>> t = gg.tape((x * w).named("z"))
            >>> for step in t.steps:
            ...     print(plain(Wording(t).text(step)))
            z = x·w = 2·3 = 6
            x̄ ← z̄ · ∂z/∂x = z̄ · w = 1 · 3 = 3
            w̄ ← z̄ · ∂z/∂w = z̄ · x = 1 · 2 = 2
        """
        return self.forward(step) if isinstance(step, ForwardStep) else self.backward(step)
