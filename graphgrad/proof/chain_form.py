r"""A derivation between scalars as products of factors: symbols, formulas, simplified, numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sympy as sp

from graphgrad.drawing.palette import badge
from graphgrad.graph import Node
from graphgrad.proof.board import EQUAL, Line, relation
from graphgrad.proof.canonical import Algebra
from graphgrad.proof.chains import Chain, Numbers, Term
from graphgrad.proof.links import Link, Links
from graphgrad.proof.marks import Mark, Pair, bracketed, letter, product, total
from graphgrad.proof.numerals import number_mark
from graphgrad.proof.scribe import Reading

__all__ = ["ChainForm", "derivative", "known_before", "symbol_of"]

WIDEST_CLOSED = 60
"""Characters of a form in the variables alone that is still worth a line."""


def derivative(y: Mark, x: Mark, d: Pair = Pair("∂", r"\partial ")) -> Mark:  # noqa: B008
    """Return ∂y/∂x."""
    return letter(
        f"{d.text}{y.text}/{d.text}{x.text}",
        rf"\frac{{{d.latex}{y.latex}}}{{{d.latex}{x.latex}}}",
    )


def symbol_of(links: Links, link: Link) -> Mark:
    """Return a factor in symbols, ∂y/∂x."""
    return derivative(links.names[link.node], links.names[link.source])


def known_before(mark: Mark, value: Mark | None) -> Mark:
    """Return a formula with the brace that says it is already computed, and its value."""
    words = Pair("already computed", r"\text{already computed}")
    if value is not None:
        sign = relation(value)
        words = Pair(
            f"{words.text}: {value.text}" if sign is EQUAL else f"{words.text}: ≈ {value.text}",
            rf"\text{{already computed: }} {'' if sign is EQUAL else sign.latex} {value.latex}",
        )
    return mark.within(brace=words)


class ChainForm:
    """Writes the lines of scalar derivations as sums of products.

    Args:
        links: the letters and the factors between them.
        numbers: of the factors; shared by all derivations of one board.
    """

    def __init__(self, links: Links, numbers: Numbers) -> None:
        self.links, self.numbers = links, numbers
        self.digits = links.wording.digits
        self.algebra = Algebra(links.notation.letters, self.digits)
        self._values: dict[Link, float] = {}
        self._formulas_of: dict[Link, Mark] = {}

    def terms(self, chains: Sequence[Chain]) -> list[Term]:
        """Return the products, with what of each is known already."""
        return [Term(c, self.numbers.shared(c), tuple(self._value(k) for k in c)) for c in chains]

    def lines(self, left: Mark, terms: Sequence[Term], value: float) -> list[Line]:
        """Return the lines of one derivation.

        Args:
            left: what is derived, ∂L/∂w.
            terms: the products whose sum it is, each of at least one factor.
            value: the adjoint in this run.
        """
        if len(terms) == 1 and terms[0].shared == len(terms[0].chain) == 1:
            known = number_mark(value, self.digits)
            return [Line(left, relation(known), known, "already computed")]
        rows = self._symbolic(terms)
        if any(t.shared < len(t.chain) for t in terms):
            rows.append(self._formulas(terms, alone=not rows))
            rows += self._simplified(terms, str(rows[-1].right))
            if not _is_number(rows[-1].right):
                rows.append(self._numeric(terms))
        result = number_mark(value, self.digits)
        if str(result) != str(rows[-1].right):
            rows.append(Line(None, relation(result), result))
        first = rows[0]
        return [Line(left, first.relation, first.right, first.reason), *rows[1:]]

    # -- the rows ------------------------------------------------------------------------------

    def _symbolic(self, terms: Sequence[Term]) -> list[Line]:
        if len(terms) == 1 and len(terms[0].chain) == 1 and not terms[0].shared:
            return []  # ∂y/∂x = ∂y/∂x says nothing
        reason = "chain rule" + (f", a sum over {len(terms)} paths" if len(terms) > 1 else "")
        return [Line(None, EQUAL, total([self._symbols(t) for t in terms]), reason)]

    def _symbols(self, term: Term) -> Mark:
        marks = [
            symbol_of(self.links, k).marked(factor=self.numbers[k], under=(self._badge(k),))
            for k in term.chain
        ]
        if not term.shared:
            return product(marks)
        known = product(marks[: term.shared])
        known = bracketed(known) if term.shared > 1 else known
        known = known_before(known, self._known(term))
        return product([known, *marks[term.shared :]])

    def _badge(self, link: Link) -> Pair:
        number = self.numbers[link]
        return Pair(badge(number), rf"({number})")

    def _known(self, term: Term) -> Mark:
        value = 1.0
        for v in term.values[: term.shared]:
            value *= v
        return number_mark(value, self.digits)

    def _formulas(self, terms: Sequence[Term], alone: bool) -> Line:
        parts = []
        for position, term in enumerate(terms):
            marks = [self._formula(k, alone) for k in term.chain]
            if term.shared > 1:
                marks[: term.shared] = [bracketed(product(marks[: term.shared]))]
            parts.append(_product(marks, position > 0))
        whole = total(parts)
        return Line(None, relation(whole), whole, "local derivatives")

    def _formula(self, link: Link, alone: bool) -> Mark:
        mark = self.written(link)
        under = (self._badge(link),) if alone else ()
        return mark.within(factor=self.numbers[link], under=under)

    def written(self, link: Link) -> Mark:
        """Return the formula of a factor: the rule itself, or what a bundle of rules comes to."""
        known = self._formulas_of.get(link)
        if known is None:
            made = self.links.partial(link)
            reading = self.algebra.read(made) if len(link.edges) > 1 else None
            if reading is None or reading.expression.is_finite is False:
                known = self.links.notation.write(made)
            else:
                known = self.algebra.mark(reading)
            self._formulas_of[link] = known
        return known

    def _simplified(self, terms: Sequence[Term], before: str) -> list[Line]:
        reading = self._reading(terms)
        simple = self.algebra.simplified(reading) if reading else None
        if simple is None:
            return []
        rows: list[Line] = []
        mark = self.algebra.mark(simple)
        if _pieces(str(mark)) != _pieces(before):
            rows.append(Line(None, relation(mark), mark, "simplified"))
        closed = self._closed(simple)
        if closed is not None:
            rows.append(Line(None, relation(closed), closed, "in the variables"))
        return rows

    def _reading(self, terms: Sequence[Term]) -> Reading | None:
        whole = Reading(sp.Integer(0))
        for term in terms:
            part = Reading(sp.Integer(1))
            for link in term.chain:
                factor = self.algebra.read(self.links.partial(link))
                if factor is None:
                    return None
                part = part * factor
            whole = whole + part
        return None if whole.expression.has(sp.nan, sp.oo, -sp.oo, sp.zoo) else whole

    def _closed(self, reading: Reading) -> Mark | None:
        """Return an expression with the formulas of all results put in, when that is short."""
        letters = {self._symbol(n): n for n in self.links.letters if not n.is_leaf}
        used = [s for s in reading.expression.free_symbols if letters.get(s) is not None]
        marks = {s: self.links.in_leaves(letters[s]) for s in used}
        if not marks or None in marks.values():
            return None
        mark = self.algebra.mark(reading, {s: m for s, m in marks.items() if m})
        return mark if len(str(mark)) <= WIDEST_CLOSED else None

    def _symbol(self, node: Node) -> Any:
        stands = self.links.stand_in(node)
        return None if stands is None else self.algebra.symbols.get(stands)

    def _numeric(self, terms: Sequence[Term]) -> Line:
        parts = []
        for position, term in enumerate(terms):
            marks = [self._known(term)] if term.shared else []
            for link, value in list(zip(term.chain, term.values, strict=True))[term.shared :]:
                mark = number_mark(value, self.digits)
                marks.append(mark.marked(factor=self.numbers[link]))
            parts.append(_product(marks, position > 0))
        whole = total(parts)
        return Line(None, relation(whole), whole, "values of the forward pass")

    def _value(self, link: Link) -> float:
        if link not in self._values:
            self._values[link] = self.links.value(link)
        return self._values[link]


def _product(marks: Sequence[Mark], later: bool) -> Mark:
    """Return a product; in a later term of a sum a leading minus sign gets brackets."""
    first = bracketed(marks[0]) if later and marks[0].negative else marks[0]
    return product([first, *marks[1:]])


def _pieces(text: str) -> list[str]:
    """Return the factors of a product in some order, for comparing what is shown."""
    return sorted(text.replace("(", "").replace(")", "").replace(" · ", "·").split("·"))


def _is_number(mark: Mark) -> bool:
    return str(mark).lstrip("−").replace(".", "").isdigit()
