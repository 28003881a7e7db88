r"""The gradient of softmax with cross-entropy, p − y, derived entry by entry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sympy as sp

from graphgrad.errors import GraphError
from graphgrad.functions import pow
from graphgrad.graph import Node, const, var
from graphgrad.ops.elementwise import exp, log
from graphgrad.proof.board import EQUAL, Block, Line
from graphgrad.proof.chain_form import derivative
from graphgrad.proof.marks import Mark, bracketed, letter, product, total
from graphgrad.proof.prover import Demonstration, Prover

__all__ = ["derive_softmax_cross_entropy"]


def derive_softmax_cross_entropy(k: int = 3) -> Demonstration:
    """Derive ∂L/∂z = p − y for L = −Σ yᵢ log pᵢ, p = softmax(z), Σ yᵢ = 1, entry by entry.

    Args:
        k: the number of classes, 2 to 5.

    Raises:
        GraphError: when `k` is not in that range.

    Example:
        >>> for line in derive_softmax_cross_entropy(2).lines[-2:]: print(line)
        ∂L/∂z₁ = p₁ − y₁
        ∂L/∂z₂ = p₂ − y₂
    """
    if k not in range(2, 6):
        raise GraphError(f"k={k!r}: expected a number of classes from 2 to 5")
    return _Softmax(k).demonstration()


class _Softmax:
    """The graphs of the lesson: logits z, targets y, their softmax p, the loss L."""

    def __init__(self, k: int) -> None:
        names = range(1, k + 1)
        self.z = [var(f"z{i}") for i in names]
        self.y = [var(f"y{i}") for i in names]
        self.sum = _added([exp(z) for z in self.z])
        self.letters = [var("S"), *(var(f"p{i}") for i in names), var("L")]
        self.S, self.p = self.letters[0], self.letters[1:-1]
        symbols = {n: sp.Symbol(n.name, real=True) for n in (*self.z, *self.y)}
        added = sum(sp.exp(symbols[z]) for z in self.z)
        symbols[self.S] = added
        symbols.update({p: sp.exp(symbols[z]) / added for p, z in zip(self.p, self.z)})
        self.prover = Prover(symbols)
        rest = 1 - sum(symbols[y] for y in self.y[:-1])
        self.given = {symbols[self.y[-1]]: rest}
        self.entropy = -_added([y * log(p) for y, p in zip(self.y, self.p)])
        self.loss = self.prover.expression(self.entropy)

    def demonstration(self) -> Demonstration:
        ones = Line(self._mark(_added(self.y)), EQUAL, letter("1", "1"), "given")
        definitions = [
            *self.prover.lines(letter("S", "S"), self._meaning(self.S), [(self.sum, "")]),
            *(
                line
                for p, z in zip(self.p, self.z)
                for line in self.prover.lines(
                    self._mark(p), self._meaning(p), [(exp(z) / self.S, "softmax")]
                )
            ),
            *self.prover.lines(letter("L", "L"), self.loss, [(self.entropy, "cross-entropy")]),
            ones,
        ]
        blocks = [Block(tuple(definitions), "Definitions"), *self._softmax()]
        blocks += [self._outside(), self._chain(), self._gradient()]
        note = "S and every p are positive, so the fractions and logarithms are defined."
        return Demonstration(blocks, [note])

    def _meaning(self, node: Node) -> Any:
        return self.prover.symbols[node]

    def _mark(self, node: Node) -> Mark:
        return self.prover.notation.write(node)

    def _slope(self, y: Any, z: Node) -> Any:
        return sp.diff(y, self._meaning(z))

    def _slopes(self) -> list[Node]:
        """Return ∂pᵢ/∂z₁ in p, for every i."""
        first = self.p[0]
        return [first * (1 - first), *((-p) * first for p in self.p[1:])]

    def _softmax(self) -> list[Block]:
        """Return ∂pᵢ/∂z₁ for every i by the quotient rule, then in p."""
        first, d, blocks = self.z[0], exp(self.z[0]), []
        for i, (p, z, slope) in enumerate(zip(self.p, self.z, self._slopes())):
            left = derivative(self._mark(p), self._mark(first))
            above = (d if i == 0 else const(0)) * self.S - exp(z) * d
            steps = [(above / pow(self.S, 2), "quotient rule")]
            if i == 0:
                steps.append((p - p * p, "definition of softmax"))
            steps.append((slope, "common factor" if i == 0 else "definition of softmax"))
            truth = self._slope(self._meaning(p), first)
            blocks.append(Block(tuple(self.prover.lines(left, truth, steps))))
        return blocks

    def _outside(self) -> Block:
        """Return ∂L/∂pᵢ for every i."""
        rows: list[Line] = []
        for y, p in zip(self.y, self.p):
            symbol = sp.Symbol("p", positive=True)
            term = self.prover.expression(y)
            self.prover.check(sp.diff(-term * sp.log(symbol), symbol), -term / symbol, "∂L/∂p")
            left = derivative(letter("L", "L"), self._mark(p))
            reason = "each p stands in one term of L" if not rows else ""
            rows.append(Line(left, EQUAL, self._mark(-y / p), reason))
        return Block(tuple(rows))

    def _chain(self) -> Block:
        """Return ∂L/∂z₁ as a sum over the paths through every pᵢ, down to p₁ − y₁."""
        L, first = letter("L", "L"), self._mark(self.z[0])
        slopes, p1 = self._slopes(), self.p[0]
        outer = [-y / p for y, p in zip(self.y, self.p)]
        symbols = [
            product([derivative(L, self._mark(p)), derivative(self._mark(p), first)])
            for p in self.p
        ]
        raw = _added([a * b for a, b in zip(outer, slopes)])
        parts = [(self._mark(a), self._mark(b)) for a, b in zip(outer, slopes)]
        shown = total([_factors(a, b, k) for k, (a, b) in enumerate(parts)])
        truth = self._slope(self.loss, self.z[0])
        left = derivative(L, first)
        rest = [y * p1 for y in self.y[1:]]
        lines = [
            self.prover.line(left, total(symbols), raw, truth, "chain rule"),
            self.prover.line(None, shown, raw, truth, "the derivatives above"),
            *self.prover.lines(left, truth, [
                (_added([-self.y[0] * (1 - p1), *rest]), "each p cancels"),
                (p1 * _added(self.y) - self.y[0], "common factor"),
            ]),
        ]  # fmt: skip
        tidy = [Line(None, line.relation, line.right, line.reason) for line in lines[2:]]
        return Block((*lines[:2], *tidy, *self._entry(0, "the targets sum to 1")))

    def _entry(self, i: int, reason: str) -> list[Line]:
        """Return = pᵢ − yᵢ, true where the targets sum to 1."""
        self.prover.given = lambda e: e.subs(self.given)
        truth = self._slope(self.loss, self.z[i])
        lines = self.prover.lines(letter("", ""), truth, [(self.p[i] - self.y[i], reason)])
        self.prover.given = lambda e: e
        return [Line(None, EQUAL, lines[0].right, reason)]

    def _gradient(self) -> Block:
        """Return the result for every entry; each is checked, though the proof is the same."""
        rows = []
        for i, z in enumerate(self.z):
            left = derivative(letter("L", "L"), self._mark(z))
            rows.append(Line(left, EQUAL, self._entry(i, "")[0].right))
        return Block(tuple(rows), "In the same way for every entry: the gradient is p − y")


def _factors(a: Mark, b: Mark, k: int) -> Mark:
    """Return a product of two factors; in a later term a leading minus sign gets brackets."""
    return product([bracketed(a) if k and a.negative else a, b])


def _added(nodes: Sequence[Node]) -> Node:
    result = nodes[0]
    for node in nodes[1:]:
        result = result + node
    return result
