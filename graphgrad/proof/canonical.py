r"""The one form in which a simplified derivative is shown: SymPy simplifies, this module writes.

Letters become symbols; +, −, ·, / and powers become SymPy's, and so do functions that SymPy knows
by a name (exp, log, tanh, …). Every other operation stays a function whose inside is not looked
into, so σ(z) is not taken apart into exponentials. The form chosen is the shortest of: as it
stands, cancelled to one fraction, with common factors in front, factored. That is rational algebra, so
it is decidable, needs no luck, and gives the same form each time.

What one can do with an `Algebra`: read a formula (`expression`), simplify it within a budget
(`simplified`), and write any expression as a mark (`mark`), factors in the order in which their
letters first appeared, and a minus sign drawn into a bracket: −(a − 1) is 1 − a.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import sympy as sp
from sympy.simplify.radsimp import fraction

from graphgrad.errors import GraphError
from graphgrad.explain.formulas import operation_template
from graphgrad.explain.numbers import DIGITS
from graphgrad.graph import CONSTANT, Node
from graphgrad.primitive import TABLE, Primitive
from graphgrad.proof.exact import exact, formula, template as formula_of
from graphgrad.proof.marks import Mark, letter, number_mark, template
from graphgrad.proof.notation import fraction_mark

__all__ = ["Algebra"]

MOST_OPERATIONS = 120
"""Operations of an expression beyond which nothing is simplified."""
MOST_TERMS = 200
"""Terms that an expression may have when multiplied out, for the same purpose."""
ARITHMETIC = {
    "add", "sub", "mul", "div", "neg", "square", "power", "pow", "reciprocal", "sqrt",
}  # fmt: skip
SIGNED = 1.9
"""Binding of a product with a minus sign before it, which needs no brackets: −a·b."""
REARRANGING = {"reshape", "broadcast_to", "sum_to"}


class Algebra:
    """Reads formulas in letters as SymPy expressions, and writes expressions as marks."""

    def __init__(self, letters: Mapping[Node, Mark], digits: int = DIGITS) -> None:
        self.letters, self.digits = letters, digits
        self.symbols: dict[Node, Any] = {}
        self._marks: dict[Any, Mark] = {}
        self._rank: dict[Any, int] = {}
        self._functions: dict[Any, tuple[Primitive, Any]] = {}
        self._known: dict[Node, Any] = {}
        self._seen: set[Any] = set()

    # -- from graphs to expressions --------------------------------------------------------------

    def symbol(self, node: Node) -> Any:
        """Return the symbol of a letter."""
        known = self.symbols.get(node)
        if known is None:
            known = self.symbols[node] = sp.Symbol(f"s{len(self.symbols)}", real=True)
            self._marks[known] = self.letters[node]
        return known

    def expression(self, root: Node) -> Any:
        """Return a scalar formula as a SymPy expression; None where that is not possible."""
        try:
            for node in self._in_order(root):
                if node not in self._known:
                    self._known[node] = self._translated(node)
        except GraphError:  # a number with too many digits, an operation without a formula
            return None
        self._seen |= self._known[root].atoms(sp.Add)
        return self._known[root]

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

    def _translated(self, node: Node) -> Any:
        if node in self.letters:
            symbol = self.symbol(node)
            self._rank.setdefault(symbol, len(self._rank))
            return symbol
        if node.size != 1 or not (node.inputs or node.primitive is CONSTANT):
            raise GraphError(f"{node!r} has no formula for single numbers")
        if node.primitive is CONSTANT:
            return exact(node._value.reshape(())[()])
        operands = [self._known[x] for x in node.inputs]
        if node.op in REARRANGING:
            return operands[0]
        p, settings = node.primitive, node.settings
        if node.op in ARITHMETIC:
            return formula(p, operands, settings)
        return self._function(p, len(operands), settings)(*operands)

    def _function(self, p: Primitive, inputs: int, settings: Mapping[str, Any]) -> Any:
        known = _named_functions().get(p.name)
        if known is not None:
            return known
        key = (p, tuple(settings.items()))
        for function, (other, with_settings) in self._functions.items():
            if (other, tuple(with_settings.items())) == key:
                return function
        made = sp.Function(f"{p.name}_{len(self._functions)}", real=True)
        self._functions[made] = p, settings
        return made

    # -- simplification --------------------------------------------------------------------------

    def simplified(self, expression: Any) -> Any:
        """Return the shortest of a few equal rational forms; None beyond the budget."""
        if expression is None or not affordable(expression):
            return None
        one = sp.cancel(sp.together(expression))
        forms = [sp.factor(one), sp.factor_terms(one), one, expression]
        return min(forms, key=_length)

    # -- from expressions to marks ---------------------------------------------------------------

    def mark(self, expression: Any) -> Mark:
        """Return an expression as it is written on the board."""
        if expression in self._marks:
            return self._marks[expression]
        if expression.is_Rational:
            return fraction_mark(Fraction(int(expression.p), int(expression.q)), self.digits)
        if expression.is_Add:
            return self._sum(expression)
        if expression.is_Mul or (expression.is_Pow and expression.exp.is_negative):
            return self._product(expression)
        if expression.is_Pow and expression.base is not sp.E:
            return self._power(expression.base, expression.exp)
        if (found := self._applied(expression)) is not None:
            return found
        if expression.is_number:
            text = number_mark(float(expression), self.digits).text
            return letter(text, sp.latex(expression)).marked(exact=False)
        return letter(str(expression), sp.latex(expression))

    def _applied(self, expression: Any) -> Mark | None:
        found = self._functions.get(expression.func) or _operation_of(expression)
        if found is None:
            return None
        p, settings = found
        inner = [self.mark(a) for a in expression.args]
        texts = [operation_template(p, len(inner), settings, s) for s in ("text", "latex")]
        return template(texts[0], texts[1], inner, p.precedence)

    def _sum(self, expression: Any) -> Mark:
        terms = sorted(expression.args, key=self._term_key)
        marks, text, latex = [], "", ""
        for k, term in enumerate(terms):
            negative = term.could_extract_minus_sign() and _minus(term)
            marks.append(self.mark(-term if negative else term))
            sign = ("−" if negative else "") if k == 0 else (" − " if negative else " + ")
            text += f"{sign}#{k + 1}"
            latex += f"{sign}#{k + 1}".replace("−", "-")
        return template(text, latex, marks, 1)

    def _term_key(self, term: Any) -> tuple[bool, bool, int, str]:
        """Positive terms first, numbers last among those, and otherwise as they appeared."""
        negative = _minus(term)
        return negative, bool(term.is_number), self._first(term), sp.srepr(term)

    def _product(self, expression: Any) -> Mark:
        number, rest = expression.as_coeff_Mul()
        above, below = fraction(rest, exact=True)
        sign, factors = self._signed(number, above)
        coefficient = Fraction(int(abs(number).p), int(abs(number).q)) if number.is_Rational else None
        if coefficient is None:
            return letter(str(expression), sp.latex(expression))
        mark = fraction_mark(coefficient, self.digits)
        decimal = not mark.inner
        top = [mark] if decimal and coefficient != 1 else []
        bottom = [] if below == 1 else [self.mark(f) for f in self._ordered(below)]
        if not decimal:
            top = [number_mark(coefficient.numerator, self.digits)]
            top = [] if coefficient.numerator == 1 else top
            bottom.insert(0, number_mark(coefficient.denominator, self.digits))
        top += [self.mark(f) for f in factors if f != 1]
        whole = _dotted(top or [number_mark(1)])
        if bottom:
            whole = template("#1/#2", r"\frac{#1}{#2}", [whole, _dotted(bottom)], 2, 3.5)
        return template("−#1", "-#1", [whole], SIGNED) if sign < 0 else whole

    def _signed(self, number: Any, above: Any) -> tuple[int, list[Any]]:
        """Return sign and factors; brackets as they stood before, else such that no sign is left.

        So 1 − a stays 1 − a, and −(a − y) becomes y − a.
        """
        sign = -1 if number.is_negative else 1
        factors = self._ordered(above)
        fresh = []
        for k, factor in enumerate(factors):
            base, exponent = factor.as_base_exp()
            if not (base.is_Add and exponent.is_Integer):
                continue
            if -base in self._seen and base not in self._seen:
                factors[k] = (-base) ** exponent
                sign *= (-1) ** int(exponent)
            elif base not in self._seen and exponent % 2:
                fresh.append(k)
        if sign < 0 and fresh:
            sign, factors[fresh[0]] = 1, -factors[fresh[0]]
        return sign, factors

    def _ordered(self, expression: Any) -> list[Any]:
        factors = sp.Mul.make_args(expression)
        return sorted(factors, key=lambda f: (self._first(f), f.is_Add, sp.srepr(f)))

    def _first(self, expression: Any) -> int:
        ranks = [self._rank.get(s, 0) for s in expression.free_symbols]
        return min(ranks, default=-1)

    def _power(self, base: Any, exponent: Any) -> Mark:
        inner = self.mark(base)
        if exponent == sp.Rational(1, 2):
            return template("√(#1)", r"\sqrt{#1}", [inner])
        if exponent == 2:
            return template("#1²", "#1^{2}", [inner], 4)
        return template("#1^#2", "#1^{#2}", [inner, self.mark(exponent)], 4)


def affordable(expression: Any) -> bool:
    """Return whether an expression is small enough for rational algebra on it."""
    return expression.is_finite is not False and bool(
        sp.count_ops(expression) <= MOST_OPERATIONS and _terms(expression) <= MOST_TERMS
    )


def _terms(expression: Any) -> int:
    """Return about how many terms there are when everything is multiplied out."""
    if expression.is_Add:
        return sum(_terms(a) for a in expression.args)
    if expression.is_Mul:
        count = 1
        for a in expression.args:
            count = min(count * _terms(a), MOST_TERMS + 1)
        return count
    if expression.is_Pow and expression.exp.is_Integer:
        inside = _terms(expression.base)
        return inside if inside == 1 else min(inside ** min(abs(int(expression.exp)), 9), 9999)
    return 1


def _length(expression: Any) -> int:
    return int(sp.count_ops(expression))


def _minus(term: Any) -> bool:
    return bool(term.as_coeff_Mul()[0].is_negative)


def _dotted(marks: Sequence[Mark]) -> Mark:
    if len(marks) == 1:
        return marks[0]
    places = [f"#{k + 1}" for k in range(len(marks))]
    return template("·".join(places), r" \cdot ".join(places), marks, 2)


@functools.cache
def _named_functions() -> dict[str, Any]:
    """Return SymPy's function of each primitive that is one, such as tanh."""
    found = {}
    for p in TABLE.values():
        if p.sympy is None or p.kind != "map" or p.name in ARITHMETIC or p.variadic:
            continue
        try:
            known = formula_of(p, len(p.rules), {})
        except (TypeError, GraphError):  # it has settings, so it is more than a name
            continue
        e = known.expression
        if isinstance(e, sp.Function) and list(e.args) == known.symbols:
            found[p.name] = e.func
    return found


@functools.cache
def _by_function() -> dict[Any, Primitive]:
    return {function: TABLE[name] for name, function in _named_functions().items()}


def _operation_of(expression: Any) -> tuple[Primitive, Mapping[str, Any]] | None:
    if expression.is_Pow and expression.base is sp.E:
        return TABLE["exp"], {}
    p = _by_function().get(expression.func)
    return (p, {}) if p is not None else None
