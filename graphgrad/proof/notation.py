r"""Graphs of formulas as a lecturer writes them: ⊙, transposes, 𝟏 bᵀ, and no needless 1 · x.

A `Notation` turns a small graph into a `Mark`. Some nodes are letters: the walk ends there. For
arrays of at most two axes the reading is that of linear algebra: a vector is a column, a product
of entries is ⊙, a matrix product is written without a sign, and a vector that is added to every
row of a matrix is 𝟏 bᵀ. Scalars and all other arrays are written by the templates of the rule
book.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from graphgrad.explain.formulas import operation_template
from graphgrad.explain.latex import latex_name
from graphgrad.explain.names import pretty
from graphgrad.explain.numbers import DIGITS, shape_text
from graphgrad.graph import CONSTANT, Node
from graphgrad.ops.define import Elementwise
from graphgrad.proof.marks import Mark, Pair, bracketed, letter, number_mark, template
from graphgrad.shapes import Shape

__all__ = ["Notation", "fraction_mark", "matrix_shape", "shape_pair", "transposed"]

ENTRYWISE = 1.7
"""Binding of ⊙: looser than a product of matrices."""
ONES = letter("𝟏", r"\mathbf{1}")
Decorate = Callable[[Node, Mark, bool], Mark]


def matrix_shape(shape: Shape) -> Shape:
    """Return the shape as linear algebra sees it: a vector is a column."""
    return (shape[0], 1) if len(shape) == 1 else shape


def shape_pair(shape: Shape) -> Pair:
    """Return a shape to stand under a factor; empty for a scalar."""
    sizes = matrix_shape(shape)
    return Pair(shape_text(sizes), r" \times ".join(map(str, sizes))) if sizes else Pair("", "")


def transposed(mark: Mark) -> Mark:
    """Return a formula with ᵀ."""
    return template("#1ᵀ", r"#1^{\top}", [mark], 5)


def fraction_mark(value: Fraction, digits: int = DIGITS, decimals: bool = True) -> Mark:
    """Return a number as a decimal where that is exact and short, else as a fraction.

    Args:
        value: the number.
        digits: of a decimal.
        decimals: False writes all but whole numbers as fractions.

    Example:
        >>> str(fraction_mark(Fraction(1, 3))), str(fraction_mark(Fraction(-3, 20)))
        ('1/3', '−0.15')
    """
    decimal = number_mark(float(value), digits)
    if value.denominator == 1 or (decimals and decimal.exact):
        return decimal
    parts = [number_mark(value.numerator, digits), number_mark(value.denominator, digits)]
    return template("#1/#2", r"\frac{#1}{#2}", parts, 2, 3.5)


class Notation:
    """Writes graphs as marks.

    Attributes:
        letters: what stands for a node; the walk does not go below it.
        spine: the nodes through which an adjoint runs. What is multiplied onto the spine is a
            factor of its own, and is handed to `decorate`.
        decorate: ``(node, mark, turned) -> mark`` for such a factor; it may stand transposed.
        tidy: leave out factors 1 and gather numbers, as in formulas made by rules.
    """

    def __init__(self, letters: dict[Node, Mark], digits: int = DIGITS, tidy: bool = True):
        self.letters, self.digits, self.tidy = letters, digits, tidy
        self.spine: set[Node] = set()
        self.decorate: Decorate = lambda node, mark, turned: mark
        self._marks: dict[Node, Mark] = {}
        self._thin: dict[Node, bool] = {}

    def write(self, root: Node) -> Mark:
        """Return the formula of a node."""
        for node in self._below(root):
            self._marks[node] = self._mark(node)
        return self._vector(root) if root.size > 1 else self._marks[root]

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
            return self._marks[node.inputs[0]]
        if node.op == "reshape":
            return self._reshaped(node)
        if self.tidy and (short := self._tidied(node)) is not None:
            return short
        special = _SPECIAL.get(node.op)
        mark = special(self, node) if special else None
        return mark or self._plain(node)

    def _leaf(self, node: Node) -> Mark:
        if node.primitive is CONSTANT and not node.name:
            if node.size == 1:
                return number_mark(node._value.reshape(())[()], self.digits)
            text = f"const {shape_text(node.shape)}"
            return letter(text, latex_name(text))
        name = pretty(node.name or node.op)
        return letter(name, latex_name(name))

    def _plain(self, node: Node) -> Mark:
        p, settings = node.primitive, node.settings
        text = operation_template(p, len(node.inputs), settings)
        latex = operation_template(p, len(node.inputs), settings, "latex")
        if p.kind == "reduce" and node.inputs[0].ndim > max(len(settings.get("axis", ())), 1):
            text, latex = _along(text, latex, settings["axis"])
        marks = [self.operand(node, k) for k in range(len(node.inputs))]
        tall = 3.5 if latex.startswith(r"\frac") else p.precedence
        return template(text, latex, marks, p.precedence, tall)

    def operand(self, node: Node, k: int) -> Mark:
        """Return an input's formula as it stands in the node's, fitted to the node's shape."""
        x = node.inputs[k]
        mark = self.factor(node, x)
        if not isinstance(node.primitive, Elementwise) or node.ndim != 2 or self.thin(x):
            return mark
        shape = self._bare(x).shape
        rows, columns = node.shape
        if len(shape) == 1 and rows > 1:
            return template("#1 #2", r"#1 \, #2", [ONES, transposed(mark)], 2)
        if len(shape) == 2 and shape[0] == 1 < rows:
            return template("#1 #2", r"#1 \, #2", [ONES, mark], 2)
        if len(shape) == 2 and shape[1] == 1 < columns:
            return template("#1 #2", r"#1 \, #2", [mark, transposed(ONES)], 2)
        return mark

    def factor(self, node: Node, x: Node, vector: bool = False, turned: bool = False) -> Mark:
        """Return an input's formula, decorated where it is a factor on the spine."""
        mark = self._vector(x) if vector else self._marks[x]
        mark = transposed(mark) if turned else mark
        beside = node in self.spine and x not in self.spine
        return self.decorate(x, mark, turned) if beside else mark

    def _vector(self, x: Node) -> Mark:
        """Return the formula of an array as an array, also where all its entries are equal."""
        mark = self._marks[x]
        if x.size == 1 or not self.thin(x):
            return mark
        if mark.text == "1":
            return ONES
        return template("#1·#2", r"#1 \cdot #2", [mark, ONES], 2)

    def thin(self, node: Node) -> bool:
        """Return whether the formula of a node is that of a scalar: all its entries are equal."""
        known = self._thin.get(node)
        if known is None:
            bare = self._bare(node)
            known = bare.size == 1 or (
                bare not in self.letters
                and bool(bare.inputs)
                and isinstance(bare.primitive, Elementwise)
                and all(self.thin(x) for x in bare.inputs)
            )
            self._thin[node] = known
        return known

    def _bare(self, node: Node) -> Node:
        while node.op == "broadcast_to" and node not in self.letters:
            node = node.inputs[0]
        return node

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
            return None
        whole = node.op != "div" and not _divides(node)
        if core is None:
            return fraction_mark(number, self.digits, whole)
        mark = self._marks[core]
        if number == 1:
            return mark
        if number == -1:
            return template("−#1", "-#1", [mark], 1.9)
        parts = [fraction_mark(number, self.digits, whole), mark]
        return template("#1·#2", r"#1 \cdot #2", parts, 2)

    def _without_one(self, node: Node) -> Mark | None:
        """Return a product with a number, the number first, and without it when it is 1."""
        if node.op != "mul":
            return None
        for x, other in (node.inputs, node.inputs[::-1]):
            number, core = self._split(x) if x not in self.spine else (Fraction(0), x)
            if core is None:
                parts = [self.factor(node, x), self._marks[other]]
                return parts[1] if number == 1 else template("#1·#2", r"#1 \cdot #2", parts, 2)
        return None

    def _split(self, node: Node) -> tuple[Fraction, Node | None]:
        """Return the number before a formula, and the rest; None where it is a number."""
        number = Fraction(1)
        while node not in self.letters:
            if _rearranges(node):
                node = node.inputs[0]
                continue
            if node.primitive is CONSTANT:
                value = _rational(node)
                return (number, node) if value is None else (number * value, None)
            if node.op == "neg":
                number, node = -number, node.inputs[0]
                continue
            if node.op not in ("mul", "div"):
                break
            a, b = node.inputs
            left, right = _rational(a), _rational(b)
            if node.op == "div" and right:
                number, node = number / right, a
            elif node.op == "mul" and right is not None:
                number, node = number * right, a
            elif node.op == "mul" and left is not None:
                number, node = number * left, b
            else:
                break
        return number, node


def _rearranges(node: Node) -> bool:
    """Return whether a node's formula is that of its input."""
    if node.op == "reshape":
        x = node.inputs[0]
        return x.size == 1 or matrix_shape(x.shape) == matrix_shape(node.shape)
    return node.op == "broadcast_to"


def _divides(node: Node) -> bool:
    """Return whether a product of numbers and a formula holds a division by a number."""
    stack, left = [node], 20
    while stack and left:
        x, left = stack.pop(), left - 1
        if x.op == "div":
            return True
        stack += x.inputs
    return False


def _rational(node: Node) -> Fraction | None:
    """Return the one number that a constant holds, as a fraction; None for anything else."""
    while _rearranges(node):
        node = node.inputs[0]
    if node.op == "div" and None not in (parts := [_rational(x) for x in node.inputs]):
        return parts[0] / parts[1] if parts[1] else None  # type: ignore[operator]
    if node.primitive is not CONSTANT or node.size != 1 or node.name:
        return None
    value = float(node._value.reshape(())[()])
    return Fraction(repr(value)) if abs(value) < float("inf") else None


def _along(text: str, latex: str, axes: Sequence[int]) -> tuple[str, str]:
    """Return the templates of a reduction that leaves axes, with those it goes along."""
    listed = ", ".join(map(str, axes))
    head, _, rest = text.partition("(")
    before, _, after = latex.partition(r"\left(")
    return f"{head}[axis {listed}]({rest}", rf"{before}_{{\text{{axis {listed}}}}}\left({after}"


# -- operations that linear algebra writes in its own way ------------------------------------------


def _times(writer: Notation, node: Node) -> Mark | None:
    if any(writer.thin(x) for x in node.inputs) or node.ndim == 0:
        return None
    marks = [_closed(writer.operand(node, k)) for k in (0, 1)]
    return template("#1 ⊙ #2", r"#1 \odot #2", marks, ENTRYWISE)


def _over(writer: Notation, node: Node) -> Mark | None:
    if writer.thin(node.inputs[1]):
        return None
    marks = [_closed(writer.operand(node, k)) for k in (0, 1)]
    return template("#1 ⊘ #2", r"#1 \oslash #2", marks, ENTRYWISE)


def _closed(mark: Mark) -> Mark:
    """Return a matrix product in brackets: beside ⊙ nobody should have to know which binds more."""
    inner = mark
    while inner.text == "#1":
        inner = inner.inner[0]
    return bracketed(mark) if inner.text in ("#1 #2", "#1 #2 #3") else mark


def _matmul(writer: Notation, node: Node) -> Mark | None:
    a, b = node.inputs
    if a.ndim > 2 or b.ndim > 2:
        return None
    if a.ndim == 1 and b.ndim == 2:  # (aᵀ B)ᵀ, as a column
        marks = [writer.factor(node, b, True, turned=True), writer.factor(node, a, True)]
    else:
        dot = a.ndim == b.ndim == 1
        marks = [writer.factor(node, a, True, turned=dot), writer.factor(node, b, True)]
    return template("#1 #2", r"#1 \, #2", marks, 2)


def _outer(writer: Notation, node: Node) -> Mark | None:
    a, b = node.inputs
    marks = [writer.factor(node, a, True), writer.factor(node, b, True, turned=True)]
    return template("#1 #2", r"#1 \, #2", marks, 2)


def _transpose(writer: Notation, node: Node) -> Mark | None:
    x = node.inputs[0]
    if x.ndim != 2 or node.settings["axes"] != (1, 0):
        return None
    return transposed(writer._vector(x))


def _sum_to(writer: Notation, node: Node) -> Mark | None:
    """A sum over rows is Xᵀ 𝟏, as a column; over all entries 𝟏ᵀ X 𝟏."""
    x, shape = node.inputs[0], node.shape
    if x.ndim > 2 or node.shape == x.shape:
        return writer._marks[x] if node.shape == x.shape else None
    mark = writer._vector(x)
    if x.ndim == 1:
        return template("#1 #2", r"#1 \, #2", [transposed(ONES), mark], 2)
    if node.size == 1:
        marks = [transposed(ONES), mark, ONES]
        return template("#1 #2 #3", r"#1 \, #2 \, #3", marks, 2)
    if shape == (x.shape[1],):
        return template("#1 #2", r"#1 \, #2", [transposed(mark), ONES], 2)
    if shape == (1, x.shape[1]):
        return template("#1 #2", r"#1 \, #2", [transposed(ONES), mark], 2)
    return template("#1 #2", r"#1 \, #2", [mark, ONES], 2)


_SPECIAL: dict[str, Any] = {
    "mul": _times, "div": _over, "matmul": _matmul, "outer": _outer, "transpose": _transpose,
    "sum_to": _sum_to,
}  # fmt: skip
