r"""The one form in which a simplified derivative is shown: SymPy simplifies, this module writes.

Letters become symbols; +, −, ·, / and powers become SymPy's, and so do functions that SymPy knows
by a name (exp, log, tanh, …). Every other operation stays a function whose inside is not looked
into, so σ(z) is not taken apart into exponentials. The form chosen is the shortest of: as it
stands, cancelled to one fraction, with common factors in front, factored. That is rational algebra, so
it is decidable, needs no luck, and gives the same form each time.

What one can do with an `Algebra`: read a formula (`read`), simplify it within a budget
(`simplified`), and write any expression as a mark (`mark`), factors in the order in which their
letters first appeared, and a minus sign drawn into a bracket: −(a − 1) is 1 − a.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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

__all__ = ["Algebra", "Reading"]

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


@dataclass(frozen=True)
class Reading:
    """A formula as SymPy sees it, and what of its look is worth keeping.

    Attributes:
        expression: the SymPy expression.
        order: its symbols, in the order in which the formula has them.
        sums: the sums in it, as they stand there: 1 − a and not a − 1.
        decimals: whether it has numbers written with a decimal point.
    """

    expression: Any
    order: tuple[Any, ...] = ()
    sums: frozenset[Any] = frozenset()
    decimals: bool = False

    def __mul__(self, other: Reading) -> Reading:
        return self._with(other, self.expression * other.expression)

    def __add__(self, other: Reading) -> Reading:
        return self._with(other, self.expression + other.expression)

    def put(self, symbol: Any, other: Reading) -> Reading:
        """Return this with a formula put in for a symbol."""
        return self._with(other, self.expression.xreplace({symbol: other.expression}))

    def _with(self, other: Reading, expression: Any) -> Reading:
        order = tuple(dict.fromkeys((*self.order, *other.order)))
        return Reading(
            expression, order, self.sums | other.sums, self.decimals or other.decimals
        )


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
        known = _named_functions().get(p.name)
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

    def mark(self, reading: Reading) -> Mark:
        """Return an expression as it is written on the board."""
        return _Scribe(self, reading).mark(reading.expression)


class _Scribe:
    """Writes expressions in the look of one reading."""

    def __init__(self, algebra: Algebra, reading: Reading) -> None:
        self._marks, self._functions = algebra._marks, algebra._functions
        self.digits, self._seen, self._decimals = algebra.digits, reading.sums, reading.decimals
        self._rank = {symbol: k for k, symbol in enumerate(reading.order)}

    def mark(self, expression: Any) -> Mark:
        """Return an expression as it is written on the board."""
        if expression in self._marks:
            return self._marks[expression]
        if expression.is_Rational:
            return self._number(Fraction(int(expression.p), int(expression.q)))
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

    def _number(self, value: Fraction) -> Mark:
        return fraction_mark(value, self.digits, self._decimals)

    def _applied(self, expression: Any) -> Mark | None:
        found = self._functions.get(expression.func) or _operation_of(expression)
        if found is None:
            return None
        p, settings = found
        inner = [self.mark(a) for a in expression.args]
        texts = [operation_template(p, len(inner), settings, s) for s in ("text", "latex")]
        return template(texts[0], texts[1], inner, p.precedence)

    def _sum(self, expression: Any) -> Mark:
        number, inside = expression.primitive()
        if number != 1:  # SymPy multiplies numbers into brackets by itself
            return self._product(sp.Mul(number, inside, evaluate=False))
        terms = sorted((self._term(t) for t in expression.args), key=lambda t: t[0])
        text = latex = ""
        for k, ((negative, *_), _) in enumerate(terms):
            sign = ("−" if negative else "") if k == 0 else (" − " if negative else " + ")
            text += f"{sign}#{k + 1}"
            latex += f"{sign}#{k + 1}".replace("−", "-")
        return template(text, latex, [mark for _, mark in terms], 1)

    def _term(self, term: Any) -> tuple[tuple[bool, bool, int, str], Mark]:
        """Return a term without its sign, and its place: positive terms first, numbers last."""
        mark, negative = self.mark(term), False
        if mark.negative:
            opposite = self.mark(-term)
            negative = not opposite.negative
            mark = opposite if negative else mark
        return (negative, bool(term.is_number), self._first(term), sp.srepr(term)), mark

    def _product(self, expression: Any) -> Mark:
        number, rest = expression.as_coeff_Mul()
        content, inside = rest.primitive() if rest.is_Add else (1, rest)
        number, rest = number * content, inside
        above, below = fraction(rest, exact=True)
        sign, factors = self._signed(number, above)
        coefficient = Fraction(int(abs(number).p), int(abs(number).q)) if number.is_Rational else None
        if coefficient is None:
            return letter(str(expression), sp.latex(expression))
        mark = self._number(coefficient)
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
