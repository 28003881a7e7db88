r"""A derivation between arrays: the rules put into one another, with shapes under the factors.

∂J/∂W² = (∂J/∂a² ⊙ σ′(z²)) (a¹)ᵀ is what the rules of matmul, + and σ make of each other when they
are run one after the other on letters; nothing here knows a formula. ∂J/∂X has the shape of X,
and a vector is a column.
"""

from __future__ import annotations

import re
from typing import Any, Literal

import numpy as np

from graphgrad.drawing.palette import badge
from graphgrad.explain.formulas import operation_template
from graphgrad.graph import CONSTANT, Edge, Node, const, evaluate, var
from graphgrad.ops.define import Elementwise
from graphgrad.proof.array_marks import matrix_shape, shape_pair
from graphgrad.proof.board import EQUAL, Line, relation, value_line
from graphgrad.proof.chain_form import derivative, known_before, symbol_of
from graphgrad.proof.chains import Chain, Numbers, Term
from graphgrad.proof.links import Link, Links
from graphgrad.proof.marks import Mark, Pair, bracketed, product, template
from graphgrad.proof.notation import Notation
from graphgrad.proof.numerals import matrix_mark, number_mark

__all__ = ["MatrixForm"]

Mode = Literal["primes", "formulas", "values"]
_FUNCTION = re.compile(r"([^\W\d]\w*(?: σ)?)\(#1\)")
_TEX_FUNCTION = re.compile(r"(.+?)\\left\(#1\\right\)")


class MatrixForm:
    """Writes the lines of derivations between arrays.

    Args:
        links: the letters and the factors between them.
        numbers: of the factors; shared by all derivations of one board.
    """

    def __init__(self, links: Links, numbers: Numbers) -> None:
        self.links, self.numbers = links, numbers
        self.digits = links.wording.digits
        self.primed: set[str] = set()
        self._hidden: dict[Edge, Node] = {}

    def term(self, chain: Chain) -> Term:
        """Return the one product, with what of it is known already."""
        return Term(chain, self.numbers.shared(chain))

    def lines(self, left: Mark, term: Term, value: Any) -> list[Line]:
        """Return the lines of one derivation along one path."""
        chain = term.chain
        rows = []
        if len(chain) > 1:
            rows.append(Line(None, EQUAL, self._symbols(term), "chain rule, as linear maps"))
        if len(chain) > 1 and term.shared < len(chain):
            rows.append(self._row(term, "primes", "in the shape of the gradient"))
        formulas = self._row(term, "formulas", "local derivatives")
        if not rows or str(formulas.right) != str(rows[-1].right):
            rows.append(formulas)
        if self._small(value):
            values = self._row(term, "values", "values of the forward pass")
            if values is not None and str(values.right) != str(rows[-1].right):
                rows.append(values)
        last = value_line(value, self.digits)
        if str(last.right) != str(rows[-1].right):
            rows.append(last)
        first = rows[0]
        return [Line(left, first.relation, first.right, first.reason), *rows[1:]]

    def _small(self, value: Any) -> bool:
        return matrix_mark(value, self.digits) is not None

    def _symbols(self, term: Term) -> Mark:
        marks = []
        for link in term.chain:
            n = self.numbers[link]
            under = (Pair(badge(n), f"({n})"),)
            marks.append(symbol_of(self.links, link).marked(factor=n, under=under))
        if not term.shared:
            return product(marks)
        known = product(marks[: term.shared])
        known = bracketed(known) if term.shared > 1 else known
        return product([known_before(known, None), *marks[term.shared :]])

    # -- rules put into one another --------------------------------------------------------------

    def _row(self, term: Term, mode: Mode, reason: str) -> Any:
        mark = self.nested(term, mode)
        return None if mark is None else Line(None, relation(mark), mark, reason)

    def nested(self, term: Term, mode: Mode) -> Mark | None:
        """Return the adjoint of the chain's end, each rule run on what the one before gave.

        Args:
            term: the chain, and how much of it is known.
            mode: derivatives of functions as σ′(z), as their formulas, or everything as numbers.

        Returns:
            The formula; None when a number in it is an array too large to write.
        """
        mark = self.nested_first(term.chain[0], mode)
        for k, link in enumerate(term.chain):
            if k and mark is not None:
                mark = self.pulled(link, mark, mode)
            if mark is not None and k + 1 == term.shared and mode == "primes":
                mark = known_before(mark, None)
        return mark

    def nested_first(self, link: Link, mode: Mode) -> Mark | None:
        """Return the adjoint of what the loss depends on directly."""
        names, n = self.links.names, self.numbers[link]
        under = (shape_pair(link.source.shape),)
        if mode == "primes":
            mark = derivative(names[link.node], names[link.source])
            return mark.marked(factor=n, under=under)
        made = self.links.pullback(link, const(1.0, link.node.dtype), lambda edge: None)
        if mode == "values":
            shown = matrix_mark(self._evaluated(made), self.digits)
            return None if shown is None else shown.marked(factor=n, under=under)
        mark = Notation(self.links.notation.letters, self.digits).write(made)
        return mark.within(factor=n, under=under)

    def pulled(self, link: Link, above: Mark, mode: Mode) -> Mark | None:
        """Return what a link makes of an adjoint that is written as `above`."""
        links = self.links
        g = var("g", shape=link.node.shape, dtype=link.node.dtype)
        primes = self.prime if mode == "primes" else lambda edge: None
        made = links.pullback(link, g, primes)
        writer = Notation({**links.notation.letters, g: above}, self.digits)
        writer.spine = _between(g, made)
        missing, n = False, self.numbers[link]

        def decorate(x: Node, mark: Mark, turned: bool) -> Mark:
            nonlocal missing
            if writer.thin(x):
                if mode == "values":
                    mark = number_mark(np.ravel(self._evaluated(x))[0], self.digits)
                return mark.within(factor=n)
            shape = matrix_shape(x.shape)
            under = (shape_pair(shape[::-1] if turned else shape),)
            if mode == "values":
                value = np.reshape(self._evaluated(x), shape)
                shown = matrix_mark(value.T if turned else value, self.digits)
                missing |= shown is None
                mark = shown or mark
            return mark.within(factor=n, under=under)

        writer.decorate = decorate
        mark = writer.write(made)
        return None if missing else mark

    def _evaluated(self, node: Node) -> Any:
        links = self.links
        given = {
            s: links.tape.value(n)
            for n in links.letters
            if (s := links.stand_in(n)) is not None and s.primitive is not CONSTANT
        }
        return evaluate([node], given)[0]

    def prime(self, edge: Edge) -> Node | None:
        """Return a letter such as σ′(z) for the derivative on an edge, where one is usual."""
        node, p = edge.node, edge.node.primitive
        if not isinstance(p, Elementwise) or len(node.inputs) != 1 or not node.shape:
            return None
        known = self._hidden.get(edge)
        if known is None:
            text = _FUNCTION.fullmatch(operation_template(p, 1, node.settings))
            latex = _TEX_FUNCTION.fullmatch(operation_template(p, 1, node.settings, "latex"))
            if not (text and latex):
                return None
            inner = self.links.notation.write(self.links.copy(node.inputs[0]))
            primed = template(f"{text[1]}′(#1)", rf"{latex[1]}'\left(#1\right)", [inner])
            known = self._hidden[edge] = var("σ′", shape=node.shape, dtype=node.dtype)
            self.links.notation.letters[known] = primed
        return known


def _between(g: Node, made: Node) -> set[Node]:
    """Return the nodes from `made` down to `g`, both included."""
    order: list[Node] = []
    stack, seen = [made], {made}
    while stack:
        node = stack.pop()
        order.append(node)
        for x in node.inputs:
            if x not in seen and x.serial >= g.serial:
                seen.add(x)
                stack.append(x)
    found = {g}
    for node in sorted(order, key=lambda n: n.serial):
        if any(x in found for x in node.inputs):
            found.add(node)
    return found
