r"""The one form in which a simplified derivative is shown: SymPy simplifies, this module writes.

Letters become symbols; +, −, ·, / and powers become SymPy's, and so do functions that SymPy knows
by a name (exp, log, tanh, …). Every other operation stays a function whose inside is not looked
into, so σ(z) is not taken apart into exponentials. The form chosen is the shortest of: factored,
with common factors in front, cancelled to one fraction, as it stands. That is rational algebra, so
it is decidable, needs no luck, and gives the same form each time.

What one can do with an `Algebra`: read a formula (`read`), simplify it within a budget
(`simplified`), and write any expression as a mark (`mark`), factors in the order in which their
letters first appeared, and a minus sign drawn into a bracket: −(a − 1) is 1 − a.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import sympy as sp

from graphgrad.errors import GraphError
from graphgrad.explain.numbers import DIGITS
from graphgrad.graph import CONSTANT, Node
from graphgrad.primitive import Primitive
from graphgrad.proof.exact import exact, formula
from graphgrad.proof.marks import Mark
from graphgrad.proof.scribe import ARITHMETIC, Reading, Scribe, named_functions

__all__ = ["Algebra", "Reading", "terms_of"]

MOST_OPERATIONS = 120
"""Operations of an expression beyond which nothing is simplified."""
MOST_TERMS = 200
"""Terms that an expression may have when multiplied out, for the same purpose."""
REARRANGING = {"reshape", "broadcast_to", "sum_to"}


class Algebra:
    """Reads formulas in letters as SymPy expressions, and writes expressions as marks."""

    def __init__(self, letters: Mapping[Node, Mark], digits: int = DIGITS) -> None:
        self.letters, self.digits = letters, digits
        self.symbols: dict[Node, Any] = {}
        self._marks: dict[Any, Mark] = {}
        self._functions: dict[Any, tuple[Primitive, Any]] = {}

    # -- from graphs to expressions --------------------------------------------------------------

    def symbol(self, node: Node) -> Any:
        """Return the symbol of a letter."""
        known = self.symbols.get(node)
        if known is None:
            known = self.symbols[node] = sp.Symbol(f"s{len(self.symbols)}", real=True)
            self._marks[known] = self.letters[node]
        return known

    def read(self, root: Node) -> Reading | None:
        """Return a scalar formula as a SymPy expression; None where that is not possible."""
        known: dict[Node, Any] = {}
        order, sums, decimals = [], set(), False
        try:
            for node in self._in_order(root):
                found = known[node] = self._translated(node, known)
                if node in self.letters:
                    order.append(found)
                elif node.op in ("add", "sub") and found.is_Add:
                    sums.add(found)
                decimals |= node.primitive is CONSTANT and not found.is_Integer
        except GraphError:  # a number with too many digits, an operation without a formula
            return None
        return Reading(known[root], tuple(order), frozenset(sums), decimals)

    def _in_order(self, root: Node) -> list[Node]:
        """Return what the root needs, inputs first, and in the order in which it is written."""
        order: dict[Node, None] = {}
        stack = [(root, False)]
        while stack:
            node, ready = stack.pop()
            if ready:
                order[node] = None
            elif node not in order:
                stack.append((node, True))
                inputs = () if node in self.letters else node.inputs
                stack += [(x, False) for x in reversed(inputs)]
        return list(order)

    def _translated(self, node: Node, known: Mapping[Node, Any]) -> Any:
        if node in self.letters:
            return self.symbol(node)
        if node.size != 1 or not (node.inputs or node.primitive is CONSTANT):
            raise GraphError(f"{node!r} has no formula for single numbers")
        if node.primitive is CONSTANT:
            return exact(node._value.reshape(())[()])
        operands = [known[x] for x in node.inputs]
        if node.op in REARRANGING:
            return operands[0]
        p, settings = node.primitive, node.settings
        if node.op in ARITHMETIC:
            return formula(p, operands, settings)
        return self._function(p, settings)(*operands)

    def _function(self, p: Primitive, settings: Mapping[str, Any]) -> Any:
        known = named_functions().get(p.name)
        if known is not None:
            return known
        for function, (other, with_settings) in self._functions.items():
            if other is p and with_settings == settings:
                return function
        made = sp.Function(f"{p.name}_{len(self._functions)}", real=True)
        self._functions[made] = p, settings
        return made

    # -- simplification --------------------------------------------------------------------------

    def simplified(self, reading: Reading) -> Reading | None:
        """Return the shortest of a few equal rational forms; None beyond the budget."""
        expression = reading.expression
        if not affordable(expression):
            return None
        one = sp.cancel(sp.together(expression))
        forms = [sp.factor(one), sp.factor_terms(one), one, expression]
        return replace(reading, expression=min(forms, key=_length))

    def mark(self, reading: Reading, marks: Mapping[Any, Mark] | None = None) -> Mark:
        """Return an expression as it is written on the board.

        Args:
            reading: the expression.
            marks: what to write for some symbols in place of their letters.
        """
        known = {**self._marks, **marks} if marks else self._marks
        scribe = Scribe(known, self._functions, reading, self.digits)
        return scribe.mark(reading.expression)


def affordable(expression: Any) -> bool:
    """Return whether an expression is small enough for rational algebra on it."""
    return expression.is_finite is not False and bool(
        sp.count_ops(expression) <= MOST_OPERATIONS
        and terms_of(expression, MOST_TERMS) <= MOST_TERMS
    )


def terms_of(expression: Any, most: int) -> int:
    """Return how many terms there are when all is multiplied out, at most; `most` + 1 for more."""
    if expression.is_Add:
        return min(sum(terms_of(a, most) for a in expression.args), most + 1)
    if expression.is_Mul:
        count = 1
        for a in expression.args:
            count = min(count * terms_of(a, most), most + 1)
        return count
    if expression.is_Pow and expression.exp.is_Integer:
        inside, power = terms_of(expression.base, most), min(abs(int(expression.exp)), most)
        return 1 if inside == 1 else min(inside**power, most + 1)
    return 1


def _length(expression: Any) -> int:
    return int(sp.count_ops(expression))
