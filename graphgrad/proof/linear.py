r"""Does a network collapse? Layers without activations are one affine function of the inputs.

`collapse` multiplies a network out by SymPy. If it is affine in its inputs, the result shows the
coefficients as expressions in the weights. If not, it shows two inputs u and v for which
g(x) = f(x) − f(0) is not additive: g(u + v) ≠ g(u) + g(v), which no linear g allows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import sympy as sp

from graphgrad.errors import GraphError
from graphgrad.explain.numbers import DIGITS, number
from graphgrad.graph import VARIABLE, Node, ancestors, describe, var
from graphgrad.proof.additivity import Witness, find
from graphgrad.proof.board import EQUAL, Block, Board, Line, Shown, relation
from graphgrad.proof.canonical import Algebra, terms_of
from graphgrad.proof.marks import Mark, letter, signed_total, template, total
from graphgrad.proof.notation import Notation
from graphgrad.proof.numerals import number_mark
from graphgrad.proof.scribe import Reading
from graphgrad.scalars import expand

__all__ = ["Collapse", "Witness", "collapse"]

MOST_NODES = 2000
"""Nodes of a network, written out in scalars, that is still multiplied out."""


MOST_TERMS = 3000
"""Terms it may then have."""


class Collapse(Shown):
    """Whether a network is affine in its inputs, and why.

    Attributes:
        affine: True, or False; None when neither could be shown.
        coefficients: per input entry its coefficient, as text in the weights; empty unless affine.
        constant: the rest, as text.
        witness: where additivity fails; None unless that was found.
        board: the lines.
    """

    def __init__(
        self,
        affine: bool | None,
        board: Board,
        coefficients: dict[str, str],
        constant: str = "0",
        witness: Witness | None = None,
    ) -> None:
        self.affine, self.board, self.witness = affine, board, witness
        self.coefficients, self.constant = coefficients, constant

    def __repr__(self) -> str:
        return f"<Collapse: affine={self.affine}>"


def collapse(y: Node, inputs: Iterable[Node] | None = None, digits: int = DIGITS) -> Collapse:
    """Show that a network is an affine function of its inputs, or that it is not.

    Args:
        y: a scalar; of a vector, take one entry.
        inputs: the variables it is a function of; by default those with the role of inputs.
        digits: significant digits of numbers.

    Returns:
        A `Collapse`: ``print`` it.

    Raises:
        GraphError: when y is no scalar, has no inputs, or is too large to be multiplied out.
        MissingValueError: when a witness is sought and a weight has no value.

    Example:
        >>> import graphgrad as gg
        >>> x, w1, b1, w2, b2 = (gg.var(n) for n in ("x", "w1", "b1", "w2", "b2"))
        >>> print(collapse((w2 * (w1 * x + b1) + b2).named("y")))
        y = w₂·(w₁·x + b₁) + b₂
          = w₂·w₁·x + (w₂·b₁ + b₂)   multiplied out, collected by inputs
        <BLANKLINE>
        y is affine in x: however many layers, one layer does the same.
    """
    if not isinstance(y, Node) or y.shape != ():
        raise GraphError(f"{describe(y) if isinstance(y, Node) else y!r}: expected a scalar node")
    given = list(_inputs(y) if inputs is None else inputs)
    if not given:
        raise GraphError(f"{describe(y)} has no inputs: name them with inputs=[…]")
    return _Collapser(y, given, digits).result()


def _inputs(y: Node) -> list[Node]:
    return [n for n in ancestors(y) if n.primitive is VARIABLE and n.role == "input"]


class _Collapser:
    """Reads a network as a polynomial in its inputs."""

    def __init__(self, y: Node, inputs: Sequence[Node], digits: int) -> None:
        self.y, self.inputs, self.digits = y, inputs, digits
        arrays = any(n.shape for n in ancestors(y))
        self.flat = expand(y) if arrays else y
        self.order = ancestors(self.flat)
        if len(self.order) > MOST_NODES:
            raise GraphError(
                f"{describe(y)} has {len(self.order)} scalar nodes; more than {MOST_NODES} are "
                f"not multiplied out: take a smaller network"
            )
        self.leaves = [n for n in self.order if n.primitive is VARIABLE]
        notation = Notation({}, digits, tidy=False)
        self.letters = {n: notation.write(n) for n in self.leaves}
        self.notation = Notation(self.letters, digits, tidy=False)
        self.algebra = Algebra(self.letters, digits)
        names = {_base(n.name) for n in inputs if n.shape} | {n.name for n in inputs}
        self.entries = [
            n for n in self.leaves if n in inputs or (arrays and _base(n.name) in names)
        ]
        self.left = notation.write(var(y.name or "y"))

    def result(self) -> Collapse:
        reading = self.algebra.read(self.flat)
        symbols = [self.algebra.symbol(n) for n in self.entries]
        if reading is not None:
            if terms_of(reading.expression, MOST_TERMS) > MOST_TERMS:
                raise GraphError(
                    f"multiplied out, {describe(self.y)} has more than {MOST_TERMS} terms: take a "
                    f"smaller network"
                )
            reading = replace(reading, order=self._outermost_first(reading.order))
        found = None if reading is None else _affine(reading.expression, symbols)
        first = Line(self.left, EQUAL, self.notation.write(self.flat))
        if reading is not None and found is not None:
            return self._affine(first, reading, *found)
        return self._curved(first)

    def _outermost_first(self, order: Sequence[Any]) -> tuple[Any, ...]:
        """Return symbols by their distance from the output: w₁₁ before w₇ before w₁."""
        depth = {self.flat: 0}
        for node in reversed(self.order):
            for x in node.inputs:
                depth[x] = max(depth.get(x, 0), depth.get(node, 0) + 1)
        known = {self.algebra.symbol(n): depth.get(n, 0) for n in self.leaves}
        return tuple(sorted(order, key=lambda s: known.get(s, 0)))

    # -- affine ----------------------------------------------------------------------------------

    def _affine(self, first: Line, reading: Reading, slopes: Sequence[Any], rest: Any) -> Collapse:
        def mark(expression: Any) -> Mark:
            return self.algebra.mark(Reading(expression, reading.order, decimals=reading.decimals))

        terms, coefficients = [], {}
        for node, slope in zip(self.entries, slopes):
            coefficients[str(self.letters[node])] = str(mark(slope))
            if slope != 0:
                terms.append(_times(mark(slope), self.letters[node], slope == 1))
        if rest != 0 or not terms:
            terms.append(_grouped(_longest_first(rest, mark), bool(terms)))
        whole = total(terms)
        lines = [first]
        if str(whole) != str(first.right):
            lines.append(Line(None, relation(whole), whole, "multiplied out, collected by inputs"))
        numbers = self._numbers([*slopes, rest])
        if numbers is not None and str(numbers) != str(whole):
            lines.append(Line(None, relation(numbers), numbers, "with the current weights"))
        names = ", ".join(str(self.letters[n]) for n in self.entries)
        kind = "linear" if rest == 0 else "affine"
        note = f"{self.left} is {kind} in {names}: however many layers, one layer does the same."
        board = Board((Block(tuple(lines)),), (note,))
        return Collapse(True, board, coefficients, str(_longest_first(rest, mark)))

    def _numbers(self, coefficients: Sequence[Any]) -> Mark | None:
        """Return the affine function with numbers in it; None when a weight has no value."""
        weights = [n for n in self.leaves if n not in self.entries]
        if any(n._value is None for n in weights):
            return None
        given = {self.algebra.symbol(n): float(n._value) for n in weights}
        floats = {s: sp.Float(v, 17) for s, v in given.items()}
        values = [e.xreplace(floats) for e in coefficients]
        if not all(v.is_Number for v in values):
            return None
        marks = [number_mark(abs(float(v)), self.digits) for v in values]
        terms = [
            (float(v) < 0, _times(m, self.letters[n], m.text == "1"))
            for n, m, v in zip(self.entries, marks, values)
            if v != 0
        ]
        if values[-1] != 0 or not terms:
            terms.append((float(values[-1]) < 0, marks[-1]))
        return signed_total(terms)

    # -- not affine ----------------------------------------------------------------------------

    def _curved(self, first: Line) -> Collapse:
        witness = find(self.flat, self.entries)
        if witness is None:
            note = f"{self.left} is no polynomial of degree 1, but no two inputs tried show it."
            return Collapse(None, Board((Block((first,)),), (note,)), {})
        lines = [
            Line(letter("u", "u"), EQUAL, _row(witness.u, self.digits)),
            Line(letter("v", "v"), EQUAL, _row(witness.v, self.digits)),
            _valued("g(u) + g(v)", witness.parts, self.digits),
            _valued("g(u + v)", witness.whole, self.digits),
        ]
        name = str(self.left)
        notes = (
            f"g(x) is {name} at x minus {name} at 0, with the current weights. A linear g would "
            f"have g(u + v) = g(u) + g(v); this one has not, so {name} is not affine and does not "
            f"collapse.",
        )
        board = Board((Block((first,)), Block(tuple(lines), "Two inputs")), notes)
        return Collapse(False, board, {}, "", witness)


def _affine(expression: Any, symbols: Sequence[Any]) -> tuple[list[Any], Any] | None:
    """Return the coefficients of a polynomial of degree 1 or 0, and the rest; else None."""
    if not expression.is_polynomial(*symbols):
        return None
    slopes = [sp.expand(sp.diff(expression, s)) for s in symbols]
    if any(slope.free_symbols & set(symbols) for slope in slopes):
        return None
    return slopes, sp.expand(expression.subs(dict.fromkeys(symbols, 0)))


def _base(name: str) -> str:
    return name.partition("[")[0]


def _times(slope: Mark, name: Mark, one: bool) -> Mark:
    return name if one else template("#1·#2", r"#1 \cdot #2", [slope, name], 2)


def _longest_first(rest: Any, mark: Callable[[Any], Mark]) -> Mark:
    """Return the constant, products of many weights first: w₂·b₁ + b₂."""
    parts = sorted(sp.Add.make_args(rest), key=lambda t: -len(t.free_symbols))
    marks = [mark(t) for t in parts]
    return mark(rest) if any(m.negative for m in marks) else total(marks)


def _grouped(rest: Mark, later: bool) -> Mark:
    """Return the constant, in brackets when it is a sum after others."""
    inside = rest.binds[0] <= 1 and later
    return template("(#1)", r"\left(#1\right)", [rest]) if inside else rest


def _row(values: Sequence[float], digits: int) -> Mark:
    text = ", ".join(number(v, digits) for v in values)
    return letter(f"({text})", rf"\left({text.replace('−', '-')}\right)")


def _valued(left: str, value: float, digits: int) -> Line:
    mark = number_mark(value, digits)
    return Line(letter(left, left), relation(mark), mark)
