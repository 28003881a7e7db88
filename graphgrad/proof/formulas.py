"""Whole derivatives written down: SymPy's and the gradient graph's, as text and as LaTeX.

Short ones are written in the variables, 2·x·(w·x + b − y); long ones in the letters of the graph,
2·v₇·w, as on the board. Of those that are longer still the gradient's last step is written, in the
adjoints of the nodes that use the variable, and of SymPy's the size is said.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp

from graphgrad.explain.formulas import fill, pullback_template
from graphgrad.explain.latex import fill_latex, latex_adjoint, latex_name
from graphgrad.explain.steps import adjoint, plain
from graphgrad.graph import CONSTANT, Node, ancestors
from graphgrad.proof.bridge import expressions, tree_size
from graphgrad.proof.budget import attempt
from graphgrad.proof.domains import conditions
from graphgrad.proof.latex_rows import inside, partial_latex
from graphgrad.proof.marks import Pair, latex_of, letter
from graphgrad.proof.notation import Notation
from graphgrad.proof.numerals import rational
from graphgrad.proof.sigmoids import SIGMA, readable, sigmoid_argument, signed, with_sigmoids
from graphgrad.proof.signs import signs_out
from graphgrad.proof.texts import HEAVY, latex, text
from graphgrad.proof.whole import Whole
from graphgrad.proof.wording import Words

__all__ = ["Formulas", "Shown"]

SHORT = 200
"""Operations of a whole derivative that is worth printing."""
PLAIN = 50
"""Operations of a derivative that may be short in the variables."""
LONGEST = 120
"""Characters of a whole derivative that is shown."""
MOST_USERS = 3
"""Nodes that use a variable, up to which the gradient's last step is written."""
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
        return min(1.0, self.whole.budget.late(0.05))

    def of(self, x: Node) -> Shown:
        """Return both forms of the derivative towards a variable."""
        if not self._seconds:
            return Shown(self._size, "")
        tex = {"where": partial_latex(*(latex_name(self.words.names[n]) for n in (self.y, x)))}
        derivative, lettered = self._derivative(x)
        formula = self._written(derivative, x)
        rule = (lettered and self._by_letters(x)) or self._written(self._gradient(x), x)
        rule = rule or self._by_letters(x) or self._by_adjoints(x)
        tex |= {"formula": formula.latex} if formula else {}
        tex |= {"rule": rule.latex} if rule else {}
        shown = (formula.text if formula else self._size, rule.text if rule else self._nodes(x))
        return Shown(*shown, tex)

    @cached_property
    def _decimals(self) -> bool:
        """Whether the graph has numbers with a point, so that 1.5 is to be shown, not 3/2."""
        numbers = (n._value for n in self.order if n.primitive is CONSTANT)
        return any(v.dtype.kind == "f" and bool(np.any(v != np.floor(v))) for v in numbers)

    @cached_property
    def _total(self) -> Any:
        """The whole formula, weighed by g where the root is no scalar; None where it is long."""
        if not self.parts:
            return None
        pairs = zip(self.whole.weights().ravel(), self.parts[self.y].ravel(), strict=True)
        return sp.Add(*[g * e for g, e in pairs])

    @cached_property
    def _letters(self) -> tuple[dict[Any, Any], dict[Any, Any]]:
        """What the letters of the graph stand for; and sigmoids of letters."""
        known: dict[Any, Any] = {}
        sigmoids: dict[Any, Any] = {}
        for n in self.order:
            for at, e in np.ndenumerate(self.parts[n]) if n.inputs else ():
                entry = f"[{','.join(map(str, at))}]" if at else ""
                s = sp.Symbol(self.words.names[n] + entry, real=True)
                below = sigmoid_argument(e)
                if below is not None:
                    sigmoids.setdefault(SIGMA(below.xreplace(known)), s)
                elif not _plain(e) and e not in known:
                    known |= {-e: -s, e: s}
        return known, sigmoids

    def _derivative(self, x: Node) -> tuple[Any, bool]:
        """Return SymPy's derivative towards x, or its first entry; and whether it is in letters."""

        def plain() -> Any:
            return _beside_jumps(sp.diff(self._total, self.parts[x].ravel()[0]))

        def lettered() -> Any:
            known, sigmoids = self._letters
            return readable(derivative.xreplace(known)).xreplace(sigmoids)

        if self._total is None or not x.size:
            return None, False
        derivative = attempt(plain, self._seconds)
        if derivative is None or derivative.has(sp.Derivative, sp.Subs):
            return None, False
        if derivative.count_ops() <= PLAIN:
            shown = readable(derivative)
            if len(text(shown)) <= LONGEST:
                return shown, False
        return attempt(lettered, self._seconds), True

    def _gradient(self, x: Node) -> Any:
        """Return the gradient graph towards x, or its first entry, as an expression, if short."""
        gradient = self.whole.gradients.get(x)
        if gradient is None or not x.size or not self.parts:
            return None
        if tree_size([self.y, gradient])[0] > SHORT:
            return None
        leaves = {n: e for n, e in self.parts.items() if n.is_leaf}
        if self.whole.cotangent is not None:
            leaves[self.whole.cotangent] = self.whole.weights()

        def entry() -> Any:
            return expressions([gradient], leaves)[gradient].ravel()[0]

        rule = attempt(entry, self._seconds)
        if rule is None:
            return None
        terms = sp.Add.make_args(with_sigmoids(inside(rule, conditions(self._total))))
        return sp.Add(*[signed(t) for t in terms])

    def _written(self, e: Any, x: Node) -> Pair | None:
        """Return an expression as text and LaTeX, for an array with the entry it is of."""
        if e is None or e.count_ops() > HEAVY:
            return None
        shown = Pair(text(e, {}, self._decimals), latex(e, {}, self._decimals))
        if len(shown.text) > LONGEST or not x.shape:
            return shown if len(shown.text) <= LONGEST else None
        entry = f"[{','.join('0' * len(x.shape))}]"
        return Pair(f"entry {entry}: {shown.text}", rf"\text{{entry }}{entry}{{:}}\ {shown.latex}")

    def _by_letters(self, x: Node) -> Pair | None:
        """Return the gradient in the letters of the graph; None where that is long, too."""
        gradient = self.whole.gradients.get(x)
        if gradient is None or tree_size([gradient], self.order)[0] > LONGEST * gradient.size:
            return None
        inner = [n for n in self.order if n.inputs and rational(n) is None]
        letters = {n: self.words.names[n] for n in inner}
        if self.whole.cotangent is not None:
            letters[self.whole.cotangent] = "g"
        marks = {n: letter(name, latex_name(name)) for n, name in letters.items()}
        try:
            shown = Notation(marks).write(signs_out(gradient, marks))
        except Exception:  # a rule may hold any mistake
            return None
        return Pair(str(shown), latex_of(shown)) if len(str(shown)) <= LONGEST else None

    def _by_adjoints(self, x: Node) -> Pair | None:
        """Return the last step of the gradient, in the adjoints of the nodes that use x."""
        edges = [(n, i) for n in self.order if n.active for i, u in enumerate(n.inputs) if u is x]
        users = dict.fromkeys(n for n, _ in edges)
        if not edges or x not in self.whole.gradients or len(users) > MOST_USERS:
            return None
        names, root = self.words.names, self.words.names[self.y]
        bars = [f"{adjoint(names[n])} = ∂{root}/∂{names[n]}" for n in users]
        try:
            written = plain(f"{summed(self._step(*e) for e in edges)}  ({', '.join(bars)})")
            typeset = summed(self._step(*e, "latex") for e in edges)
        except Exception:  # a rule may hold any mistake
            return None
        return Pair(written, typeset) if len(written) <= LONGEST else None

    def _step(self, node: Node, i: int, style: str = "text") -> str:
        """Return what an edge brings to its input, with the adjoint of the node."""
        names = [self.words.names[n] for n in (node, *node.inputs)]
        template = pullback_template(node, i, style)
        if style == "text":
            return fill(template, names[0], names[1:], adjoint(names[0]))
        y, *xs = map(latex_name, names)
        return fill_latex(template, y, xs, latex_adjoint(y))

    @cached_property
    def _size(self) -> str:
        """What stands for a derivative that nobody would read."""
        size, _ = tree_size([self.y])
        of = f"of {size:,} operations" if size < 10**9 else "of too many operations to count"
        where = "gg.derive has it factor by factor" if self.y.shape == () else ""
        return f"(too long: derivative {of}{where and f'; {where}'})"

    def _nodes(self, x: Node) -> str:
        if x not in self.whole.gradients:
            return ""
        nodes = len(set(ancestors(self.whole.gradients[x])) - set(self.order))
        return f"(too long: a graph of {nodes:,} nodes; gg.draw shows that of gg.grad)"


def summed(terms: Iterable[str]) -> str:
    """Return terms as a sum.

    Example:
        >>> summed(["a·b", "−c", "d"])
        'a·b − c + d'
    """
    return " + ".join(terms).replace("+ −", "− ").replace("+ -", "- ")


def _plain(e: Any) -> bool:
    """Return whether an expression is as short as a letter, and cancels better: −y, 1 − p."""
    complement = e.is_Add and len(e.args) == 2 and (1 - e).is_Add is False
    return complement or not (e.args and (-e).args)


def _beside_jumps(e: Any) -> Any:
    """Return a derivative as it is where nothing jumps: that of step and floor is 0 there."""

    def zero(p: Any) -> bool:
        inner = p.expr if isinstance(p, sp.Subs) else p
        floor = isinstance(inner, sp.Derivative) and isinstance(inner.expr, sp.floor)
        return isinstance(p, sp.DiracDelta) or floor

    found = {p: sp.Integer(0) for p in e.atoms(sp.DiracDelta, sp.Derivative, sp.Subs) if zero(p)}
    return e.xreplace(found)
