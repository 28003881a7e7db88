"""Whole derivatives written down: SymPy's and the gradient graph's, as text and as LaTeX.

Short ones are written in the variables, 2·x·(w·x + b − y); long ones in the letters of the graph,
2·v₇·w, as on the board; of those that are longer still, the size is said.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import sympy as sp

from graphgrad.explain.latex import latex_name
from graphgrad.graph import Node, ancestors
from graphgrad.proof.bridge import expressions, tree_size
from graphgrad.proof.budget import attempt
from graphgrad.proof.domains import conditions
from graphgrad.proof.latex_rows import inside, partial_latex
from graphgrad.proof.marks import Mark, latex_of, letter
from graphgrad.proof.notation import Notation
from graphgrad.proof.sigmoids import readable, with_sigmoids
from graphgrad.proof.texts import HEAVY, latex, text
from graphgrad.proof.whole import Whole
from graphgrad.proof.wording import Words

__all__ = ["Formulas", "Shown"]

SHORT = 200
"""Operations of a whole derivative that is worth printing."""
LONGEST = 120
"""Characters of a whole derivative that is shown."""
WRITTEN = 400
"""Operations of a whole formula whose parts SymPy is asked about."""


@dataclass(frozen=True)
class Shown:
    """A whole derivative as a row of a report has it; `tex` as in `Row`."""

    formula: str
    rule: str
    tex: dict[str, str] = field(default_factory=dict)


class Formulas:
    """The formulas of one graph.

    Args:
        whole: the graph with its gradients.
        words: the names of its nodes.
    """

    def __init__(self, whole: Whole, words: Words):
        self.whole, self.y, self.words = whole, whole.y, words
        self.order = ancestors(whole.y)

    @cached_property
    def parts(self) -> dict[Node, Any]:
        """Every node of a small graph as an expression; nothing for others."""
        if tree_size([self.y])[0] > WRITTEN:
            return {}
        found: dict[Node, Any] = attempt(lambda: expressions([self.y], {}), self._seconds, {})
        return found

    @property
    def _seconds(self) -> float:
        return min(1.0, self.whole.budget.late(0.1))

    def of(self, x: Node) -> Shown:
        """Return both forms of the derivative towards a variable."""
        if not self._seconds:
            return Shown(self._size, "")
        derivative, gradient = self._expressions(x)
        formula, rule = _text(derivative, x), _text(gradient, x)
        tex = {"where": partial_latex(*(latex_name(self.words.names[n]) for n in (self.y, x)))}
        tex |= {"formula": _latex(derivative, x)} if formula else {}
        if rule:
            return Shown(formula or self._size, rule, {**tex, "rule": _latex(gradient, x)})
        mark = self._by_letters(x)
        if mark is not None:
            return Shown(formula or self._size, str(mark), {**tex, "rule": latex_of(mark)})
        return Shown(formula or self._size, self._nodes(x), tex)

    def _expressions(self, x: Node) -> tuple[Any, Any]:
        """Return SymPy's derivative and the gradient graph as expressions, where they are short.

        Of an array, those for its first entry.
        """
        gradient = self.whole.gradients.get(x)
        if gradient is None or not x.size or not self.parts:
            return None, None
        if tree_size([self.y, gradient])[0] > SHORT:
            return None, None
        weights = self.whole.weights()
        leaves = {n: e for n, e in self.parts.items() if n.is_leaf}
        if self.whole.cotangent is not None:
            leaves[self.whole.cotangent] = weights

        def both() -> tuple[Any, Any]:
            pairs = zip(weights.ravel(), self.parts[self.y].ravel(), strict=True)
            total = sp.Add(*[g * e for g, e in pairs])
            derivative = _beside_jumps(sp.diff(total, self.parts[x].ravel()[0]))
            rule = expressions([gradient], leaves)[gradient].ravel()[0]
            return derivative, inside(rule, conditions(total))

        derivative, rule = attempt(both, self._seconds, (None, None))
        if derivative is None or derivative.has(sp.Derivative, sp.Subs):
            return None, rule
        return readable(derivative), with_sigmoids(rule)

    def _by_letters(self, x: Node) -> Mark | None:
        """Return the gradient in the letters of the graph; None where that is long, too."""
        gradient = self.whole.gradients.get(x)
        if gradient is None or tree_size([gradient], self.order)[0] > LONGEST * gradient.size:
            return None
        letters = {n: self.words.names[n] for n in self.order if n.inputs}
        if self.whole.cotangent is not None:
            letters[self.whole.cotangent] = "g"
        marks = {n: letter(name, latex_name(name)) for n, name in letters.items()}
        try:
            shown = Notation(marks).write(gradient)
        except Exception:  # a rule may hold any mistake
            return None
        return shown if len(str(shown)) <= LONGEST else None

    @cached_property
    def _size(self) -> str:
        size, _ = tree_size([self.y])
        return f"(too long: derivative of {size:,} operations)" if size < 10**9 else "(too long)"

    def _nodes(self, x: Node) -> str:
        if x not in self.whole.gradients:
            return ""
        nodes = len(set(ancestors(self.whole.gradients[x])) - set(self.order))
        return f"(too long: a graph of {nodes:,} nodes)"


def _beside_jumps(e: Any) -> Any:
    """Return a derivative as it is where nothing jumps: that of step and floor is 0 there."""

    def zero(p: Any) -> bool:
        inner = p.expr if isinstance(p, sp.Subs) else p
        floor = isinstance(inner, sp.Derivative) and isinstance(inner.expr, sp.floor)
        return isinstance(p, sp.DiracDelta) or floor

    found = {p: sp.Integer(0) for p in e.atoms(sp.DiracDelta, sp.Derivative, sp.Subs) if zero(p)}
    return e.xreplace(found)


def _text(e: Any, x: Node) -> str:
    if e is None or e.count_ops() > HEAVY:
        return ""
    shown = text(e)
    return "" if len(shown) > LONGEST else f"entry {_first(x)}: {shown}" if x.shape else shown


def _latex(e: Any, x: Node) -> str:
    return rf"\text{{entry }}{_first(x)}{{:}}\ {latex(e)}" if x.shape else latex(e)


def _first(x: Node) -> str:
    return f"[{','.join('0' * len(x.shape))}]"
