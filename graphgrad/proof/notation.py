r"""Graphs of formulas as a lecturer writes them: ⊙, transposes, 𝟏 bᵀ, and no needless 1 · x.

A `Notation` turns a small graph into a `Mark`. Some nodes are letters: the walk ends there. For
arrays of at most two axes the reading is that of linear algebra: a vector is a column, a product
of entries is ⊙, a matrix product is written without a sign, and a vector that is added to every
row of a matrix is 𝟏 bᵀ. Scalars and all other arrays are written by the templates of the rule
book.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from graphgrad.explain.formulas import operation_template
from graphgrad.explain.latex import latex_name
from graphgrad.explain.names import pretty
from graphgrad.explain.numbers import DIGITS
from graphgrad.graph import CONSTANT, Node
from graphgrad.proof.array_forms import ARRAY_FORMS
from graphgrad.proof.array_marks import (
    ENTRYWISE,
    chained,
    closed,
    fitted,
    matrix_shape,
    transposed,
)
from graphgrad.proof.marks import Mark, letter, operation, template
from graphgrad.proof.numerals import (
    array_mark,
    divides,
    fraction_mark,
    rational,
    rearranges,
    scaled,
)
from graphgrad.proof.operands import Operands

__all__ = ["Notation"]


class Notation(Operands):
    """Writes graphs as marks.

    Attributes:
        digits: of numbers.
        tidy: leave out factors 1 and gather numbers, as in formulas made by rules.
    """

    def __init__(self, letters: dict[Node, Mark], digits: int = DIGITS, tidy: bool = True):
        super().__init__(letters)
        self.digits, self.tidy = digits, tidy

    def write(self, root: Node) -> Mark:
        """Return the formula of a node."""
        for node in self._below(root):
            self._marks[node] = self._mark(node)
        return self.vector(root) if root.size > 1 else self._marks[root]

    def _below(self, root: Node) -> list[Node]:
        """Return what has to be written for the root, inputs first."""
        stack, seen = [root], {root}
        while stack:
            node = stack.pop()
            if node in self.letters:
                continue
            for x in node.inputs:
                if x not in seen and x not in self._marks:
                    seen.add(x)
                    stack.append(x)
        return sorted(seen, key=lambda n: n.serial)

    # -- one node ----------------------------------------------------------------------------

    def _mark(self, node: Node) -> Mark:
        if node in self.letters:
            return self.letters[node]
        if not node.inputs:
            return self._leaf(node)
        if node.op == "broadcast_to":
            x = node.inputs[0]
            if self.thin(x):
                return self._marks[x]
            if node.ndim <= 2:
                return fitted(self._marks[x], x.shape, node.shape)
            return self._plain(node)
        if node.op == "reshape":
            return self._reshaped(node)
        if self.tidy and (short := self._tidied(node)) is not None:
            return short
        special = ARRAY_FORMS.get(node.op)
        mark = special(self, node) if special else None
        return mark or self._plain(node)

    def _leaf(self, node: Node) -> Mark:
        if node.primitive is CONSTANT and not node.name:
            return array_mark(node, self.digits)
        name = pretty(node.name or node.op)
        return letter(name, latex_name(name))

    def _plain(self, node: Node) -> Mark:
        p, settings = node.primitive, node.settings
        text = operation_template(p, len(node.inputs), settings)
        latex = operation_template(p, len(node.inputs), settings, "latex")
        axes = settings.get("axis")
        if isinstance(axes, tuple) and node.inputs[0].ndim > max(len(axes), 1):
            text, latex = _along(text, latex, axes)
        marks = [self.operand(node, k) for k in range(len(node.inputs))]
        if node.op == "mul":
            marks = [closed(m) for m in marks]
            if self.tidy:
                return chained(text, latex, marks, p.precedence)
        if self.tidy and node.op == "add" and str(marks[0]) == str(marks[1]):
            return template("2·#1", r"2 \cdot #1", marks[:1], 2)
        return operation(text, latex, marks, p.precedence)

    def _reshaped(self, node: Node) -> Mark:
        """A vector is a column already; a row is its transpose."""
        x = node.inputs[0]
        mark, old, new = self._marks[x], matrix_shape(x.shape), matrix_shape(node.shape)
        if old == new or x.size == 1:
            return mark
        if len(old) == len(new) == 2 and old == new[::-1] and 1 in old:
            return transposed(mark)
        return template("reshape(#1)", r"\operatorname{reshape}(#1)", [mark])

    # -- numbers gathered, factors 1 left out --------------------------------------------------

    def _tidied(self, node: Node) -> Mark | None:
        """Return a shorter formula for a product with numbers in it, or None."""
        if node.op not in ("mul", "div", "neg") or node in self.spine:
            return self._without_one(node)
        number, core = self._split(node)
        if core is node:
            return self._quotient(node) if node.op == "mul" else None
        whole = node.op != "div" and not divides(node)
        if core is None:
            return fraction_mark(number, self.digits, whole)
        mark = self._marks[core]
        if number == 1:
            return mark
        if number == -1:
            return template("−#1", "-#1", [mark], 1.9)
        return scaled(fraction_mark(number, self.digits, whole), mark)

    def _without_one(self, node: Node) -> Mark | None:
        """Return a product with a number, the number first, and without it when it is 1."""
        if node.op != "mul":
            return None
        for x, other in (node.inputs, node.inputs[::-1]):
            number, core = self._split(x) if x not in self.spine else (Fraction(0), x)
            if core is None:
                parts = [self.factor(node, x), self._marks[other]]
                if number == -1:
                    return template("−#1", "-#1", parts[1:], 1.9)
                return parts[1] if number == 1 else template("#1·#2", r"#1 \cdot #2", parts, 2)
        return self._quotient(node)

    def _quotient(self, node: Node) -> Mark | None:
        """Return x·(1/y) as x/y, or None."""
        x, other = node.inputs
        if other in self.letters or other.op != "div" or other in self.spine:
            return None
        number, core = self._split(other.inputs[0])
        if number != 1 or core is not None:
            return None
        below = other.inputs[1]
        parts = [self._marks[x], self._marks[below]]
        if node in self.spine:
            parts[1] = self.decorate(below, parts[1], False)
        if self.thin(below):
            return template("#1/#2", r"\frac{#1}{#2}", parts, 2, 3.5)
        return template("#1 ⊘ #2", r"#1 \oslash #2", [closed(m) for m in parts], ENTRYWISE)

    def _split(self, node: Node) -> tuple[Fraction, Node | None]:
        """Return the number before a formula, and the rest; None where it is a number."""
        number = Fraction(1)
        while node not in self.letters:
            if rearranges(node):
                node = node.inputs[0]
                continue
            if node.primitive is CONSTANT:
                value = rational(node)
                return (number, node) if value is None else (number * value, None)
            if node.op == "neg":
                number, node = -number, node.inputs[0]
                continue
            if node.op not in ("mul", "div"):
                break
            a, b = node.inputs
            left, right = rational(a), rational(b)
            if node.op == "div" and right:
                number, node = number / right, a
            elif node.op == "mul" and right is not None:
                number, node = number * right, a
            elif node.op == "mul" and left is not None:
                number, node = number * left, b
            else:
                break
        return number, node


def _along(text: str, latex: str, axes: Sequence[int]) -> tuple[str, str]:
    """Return the templates of a reduction that leaves axes, with those it goes along."""
    listed = ", ".join(map(str, axes))
    head, _, rest = text.partition("(")
    before, _, after = latex.partition(r"\left(")
    return f"{head}[axis {listed}]({rest}", rf"{before}_{{\text{{axis {listed}}}}}\left({after}"
