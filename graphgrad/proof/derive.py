r"""`derive`: the derivation of a gradient as a lecturer writes it on the board.

The chain rule in symbols, each factor by its formula, simplified, in numbers; with braces under
what an earlier line has already computed, and one colour per factor, the same on the formula and
on the arrow of the picture: ``gg.draw(loss, phase="backward", derivation=d)``.

The form is chosen by one rule. Up to 8 paths with 40 factors in all are written out as products
(between arrays: one path, the rules put into one another); beyond that the recursion
x̄ = Σ ȳ ∂y/∂x is written, node by node. One derivation of several leaves has one form.

Conventions. ∂y/∂x between letters on the board holds the other letters in the formula of y fixed.
Where x enters the loss L directly and through other results, ∂L/∂x would mean two things, and the
whole is written dL/dx. ∂L/∂X has the shape of X. A number is written after = when all its digits
are shown, else after ≈.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from graphgrad import dtypes
from graphgrad.errors import GradientError, GraphError
from graphgrad.explain.numbers import DIGITS
from graphgrad.explain.steps import Wording
from graphgrad.graph import Node, NumberOrArray, describe
from graphgrad.ops.define import Elementwise
from graphgrad.proof.board import EQUAL, Block, Board, Line, value_line
from graphgrad.proof.chain_form import ChainForm, derivative
from graphgrad.proof.chains import Chain, Numbers, Term, chains
from graphgrad.proof.derivation import Derivation, Part
from graphgrad.proof.forward import forward_block, notes_of
from graphgrad.proof.links import Links
from graphgrad.proof.marks import Mark, Pair
from graphgrad.proof.matrix_form import MatrixForm
from graphgrad.proof.numerals import number_mark
from graphgrad.proof.recursive_form import RecursiveForm
from graphgrad.recorder import Tape, tape

__all__ = ["derive"]

FORMS = ("products", "recursion")


def derive(
    loss: Node | Tape,
    wrt: Node | Iterable[Node],
    *,
    form: str | None = None,
    every: bool | None = None,
    digits: int = DIGITS,
) -> Derivation:
    """Derive the gradient of a scalar step by step, with the numbers of the current values.

    Args:
        loss: a floating scalar node, or the tape of one.
        wrt: a node, or several in the order in which they are derived; what one derivation
            computed is marked "already computed" in the next.
        form: ``"products"`` or ``"recursion"``; by default products where there are at most 8
            paths of at most 40 factors together (one path where arrays lie on the way).
        every: True makes each operation a factor of its own, False only the steps between named
            results. By default the latter if a result between loss and leaf has a name.
        digits: significant digits of all numbers.

    Returns:
        A `Derivation`: ``print`` it, or take ``.latex()``, ``.mathml()``; notebooks show it.

    Raises:
        GradientError: when the loss is no floating scalar, or a node of `wrt` is no floating node.
        GraphError: when `form` is unknown, or products are asked for and there are too many.
        MissingValueError: when a variable has no value.

    Example:
        >>> import graphgrad as gg
        >>> x, w1, w2 = gg.var("x", 2.0), gg.var("w1", 0.5), gg.var("w2", 3.0)
        >>> z = (w1 * x).named("z")
        >>> J = ((w2 * z - 1) ** 2).named("J")
        >>> for line in gg.derive(J, w1).lines: print(line)
        ∂J/∂w₁ = ∂J/∂z · ∂z/∂w₁
        = 2·w₂·(w₂·z − 1) · x
        = 2·w₂·(w₂·(w₁·x) − 1)·x
        = 12 · 2
        = 24
    """
    recorded = loss if isinstance(loss, Tape) else tape(loss)
    targets = _targets(wrt)
    if form not in (None, *FORMS):
        raise GraphError(f"form {form!r}: expected 'products' or 'recursion'")
    if not 1 <= digits <= 17:
        raise GraphError(f"digits={digits}: expected 1 to 17")
    if recorded.root.shape != () or recorded.seed != 1:
        raise GradientError(
            f"derivation of {describe(recorded.root)} with shape {recorded.root.shape} and "
            f"cotangent {recorded.seed}: expected a scalar with the cotangent 1; take .sum() or "
            f".mean() first"
        )
    return _Writer(recorded, targets, form, every, digits).derivation()


def _targets(wrt: Node | Iterable[Node]) -> list[Node]:
    targets = [wrt] if isinstance(wrt, Node) else list(wrt)
    for node in targets:
        if not isinstance(node, Node):
            raise GradientError(f"cannot differentiate towards {node!r}: expected a graph node")
        if not dtypes.is_float(node.dtype):
            raise GradientError(
                f"{describe(node)} is {node.dtype}: only floating nodes carry gradients"
            )
        if not node.active:
            raise GradientError(
                f"{describe(node)} depends on no variable: derive towards a variable, made with "
                f"gg.var"
            )
    if not targets:
        raise GradientError("derive: no node to differentiate towards was given")
    return targets


class _Writer:
    """Chooses the form and collects the parts."""

    def __init__(
        self, run: Tape, targets: list[Node], form: str | None, every: bool | None, digits: int
    ) -> None:
        self.tape, self.targets, self.digits = run, targets, digits
        self.nodes = set(run.nodes)
        known = [t for t in targets if t in self.nodes]
        self.links = Links(run, Wording(run, digits), known, every)
        self.numbers = Numbers()
        self.routes: Mapping[Node, list[Chain] | None] = {
            t: chains(self.links, t) if t in self.nodes else [] for t in targets
        }
        self.scalar = self._is_scalar(known)
        self.form = self._form(form)
        self.products = ChainForm(self.links, self.numbers)
        self.matrices = MatrixForm(self.links, self.numbers)
        self.recursion = RecursiveForm(self.links, self.numbers, self.scalar)

    def _is_scalar(self, targets: Sequence[Node]) -> bool:
        """Return whether all factors are numbers: partial derivatives between scalars."""
        leading = {n for t in targets for n in self.links.leading_to(t)}
        return all(
            n.shape == () and (n in targets or isinstance(n.primitive, Elementwise))
            for n in leading
        )

    def _form(self, form: str | None) -> str:
        most = 8 if self.scalar else 1
        few = all(r is not None and len(r) <= most for r in self.routes.values())
        if form == "products" and not few:
            raise GraphError(
                f"there are more than {most} paths, or too many factors, for products: "
                f"use form='recursion'"
            )
        return form or ("products" if few else "recursion")

    def derivation(self) -> Derivation:
        parts = [self._part(t) for t in self.targets]
        blocks = [forward_block(self.links, self.targets)]
        blocks += [Block(p.lines) for p in parts]
        mixed = [t for t in self.targets if self._mixed(t)]
        notes = notes_of(self.links, parts, self.form, self.scalar, mixed)
        board = Board(tuple(b for b in blocks if b.lines), notes)
        return Derivation(self.tape, parts, self.form, board, self.numbers)

    def _part(self, target: Node) -> Part:
        value = self._value(target)
        terms: list[Term] = []
        if target is self.tape.root:
            lines = [Line(self._left(target), EQUAL, number_mark(1.0))]
        elif not self.routes[target] and self.routes[target] is not None:
            lines = [self._zero(target)]
        elif self.form == "recursion":
            lines = self._recursive(target, value)
        else:
            lines, terms = self._products(target, value)
        return Part(target, tuple(lines), tuple(terms), value)

    def _products(self, target: Node, value: Any) -> tuple[list[Line], list[Term]]:
        routes = self.routes[target] or []
        if self.scalar:
            terms = self.products.terms(routes)
            return self.products.lines(self._left(target), terms, float(value)), terms
        term = self.matrices.term(routes[0])
        return self.matrices.lines(self._left(target), term, value), [term]

    def _recursive(self, target: Node, value: Any) -> list[Line]:
        lines = self.recursion.lines(target)
        if lines:
            return lines
        bar = self.recursion.bar(target)
        last = value_line(value, self.digits, "already computed")
        return [Line(bar, last.relation, last.right, last.reason)]

    def _zero(self, target: Node) -> Line:
        reason = "no path with a gradient leads there"
        if target not in self.nodes:
            reason = "the loss does not depend on it"
        return Line(self._left(target), EQUAL, number_mark(0.0), reason)

    def _left(self, target: Node) -> Mark:
        names = self.links.names
        root = names[self.tape.root]
        if target not in names:
            other = Wording(tape(target), self.digits)
            return derivative(root, Mark(other.names[target], other.latex_names[target]))
        total = self._mixed(target)
        return derivative(root, names[target], Pair("d", r"\mathrm{d}") if total else _PARTIAL)

    def _mixed(self, target: Node) -> bool:
        """Return whether the loss depends on the target directly and in other ways too."""
        routes = self.routes.get(target) or []
        return self.form == "products" and len(routes) > 1 and min(map(len, routes)) == 1

    def _value(self, target: Node) -> NumberOrArray:
        known = self.tape.adjoint(target) if target in self.nodes else None
        if known is not None:
            return known
        return 0.0 if target.shape == () else np.zeros(target.shape, target.dtype)


_PARTIAL = Pair("∂", r"\partial ")
