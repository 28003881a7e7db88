r"""The recursion x̄ = Σ ȳ ∂y/∂x, line by line: the form for many paths, and what programs do.

x̄ stands for ∂L/∂x with all paths counted. Each lettered node is visited once, users before inputs,
and what one derivation found the next one uses.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from graphgrad.drawing.palette import badge
from graphgrad.explain.latex import latex_adjoint
from graphgrad.explain.steps import adjoint, plain
from graphgrad.graph import Node
from graphgrad.proof.array_marks import shape_pair
from graphgrad.proof.board import EQUAL, Line, relation, value_line
from graphgrad.proof.chain_form import ChainForm, known_before, symbol_of
from graphgrad.proof.chains import Numbers
from graphgrad.proof.links import Link, Links
from graphgrad.proof.marks import Mark, Pair, bracketed, letter, product, total
from graphgrad.proof.matrix_form import MatrixForm, Mode
from graphgrad.proof.numerals import number_mark

__all__ = ["RecursiveForm"]


class RecursiveForm:
    """Writes derivations node by node.

    Args:
        links: the letters and the factors between them.
        numbers: of the factors.
        scalar: whether every node on the way is a scalar, so that ∂y/∂x is a number.
    """

    def __init__(self, links: Links, numbers: Numbers, scalar: bool) -> None:
        self.links, self.numbers, self.scalar = links, numbers, scalar
        self.digits = links.wording.digits
        self.matrices, self.chain = MatrixForm(links, numbers), ChainForm(links, numbers)
        self.done: set[Node] = set()

    def lines(self, target: Node) -> list[Line]:
        """Return the lines for one leaf; nodes of earlier leaves are not visited again."""
        tape = self.links.tape
        leading = self.links.leading_to(target)
        before = frozenset(self.done)
        rows: list[Line] = []
        arriving: dict[Node, list[Link]] = {}
        for node in reversed(tape.nodes):
            if node not in leading or node not in self.links.letters:
                continue
            if node not in self.done:
                rows += self._node(node, arriving.get(node, []), before)
                self.done.add(node)
            for link in self.links.links(node):
                if link.source in leading:
                    arriving.setdefault(link.source, []).append(link)
        return rows

    def bar(self, node: Node) -> Mark:
        """Return x̄."""
        name = self.links.names[node]
        return letter(plain(adjoint(name.text)), latex_adjoint(name.latex))

    def _node(self, node: Node, links: list[Link], before: Collection[Node]) -> list[Line]:
        tape = self.links.tape
        if node is tape.root:
            return [Line(self.bar(node), EQUAL, number_mark(1), "the loss itself")]
        rows = self._scalar_rows(links, before) if self.scalar else self._array_rows(links, before)
        value: Any = tape.adjoint(node)
        last = value_line(value, self.digits)
        if str(last.right) != str(rows[-1].right):
            rows.append(last)
        first = rows[0]
        return [Line(self.bar(node), first.relation, first.right, first.reason), *rows[1:]]

    def _up(self, node: Node, before: Collection[Node]) -> Mark:
        bar = self.bar(node)
        return known_before(bar, None) if node in before and not node.is_leaf else bar

    def _scalar_rows(self, links: list[Link], before: Collection[Node]) -> list[Line]:
        symbols, formulas, values = [], [], []
        for k, link in enumerate(links):
            n = self.numbers[link]
            symbol = symbol_of(self.links, link)
            symbol = symbol.marked(factor=n, under=(Pair(badge(n), f"({n})"),))
            symbols.append(product([self._up(link.node, before), symbol]))
            formula = self.chain.written(link).within(factor=n)
            formulas.append(product([self.bar(link.node), formula]))
            up: Any = self.links.tape.adjoint(link.node)
            first = number_mark(up, self.digits)
            first = bracketed(first) if k and first.negative else first
            local = number_mark(self.links.value(link), self.digits).marked(factor=n)
            values.append(product([first, local]))
        rows = [Line(None, EQUAL, total(symbols), "")]
        shown = total(formulas)
        if str(shown) != str(rows[0].right):
            rows.append(Line(None, relation(shown), shown))
        numbers = total(values)
        return [*rows, Line(None, relation(numbers), numbers)]

    def _array_rows(self, links: list[Link], before: Collection[Node]) -> list[Line]:
        modes: tuple[Mode, ...] = ("primes", "formulas")
        rows: list[Line] = []
        for mode in modes:
            parts = [self._pulled(link, before, mode) for link in links]
            whole = total([p for p in parts if p is not None])
            if not rows or str(whole) != str(rows[-1].right):
                rows.append(Line(None, relation(whole), whole))
        return rows

    def _pulled(self, link: Link, before: Collection[Node], mode: Mode) -> Mark | None:
        root = link.node is self.links.tape.root
        if root:
            return self.matrices.nested_first(link, mode)
        up = self._up(link.node, before) if mode == "primes" else self.bar(link.node)
        return self.matrices.pulled(link, up.within(under=(shape_pair(link.node.shape),)), mode)
