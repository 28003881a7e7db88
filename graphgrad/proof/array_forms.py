r"""How linear algebra writes operations on arrays: ⊙, products without a sign, transposes, 𝟏.

A vector is a column. `ARRAY_FORMS` has, for some operations, what writes a node of theirs; it may
return None, and the rule book's own template is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphgrad.explain.numbers import shape_text
from graphgrad.graph import Node
from graphgrad.proof.marks import Mark, Pair, bracketed, letter, template
from graphgrad.shapes import Shape

if TYPE_CHECKING:
    from graphgrad.proof.notation import Notation

__all__ = [
    "ARRAY_FORMS", "ENTRYWISE", "chained", "closed", "fitted", "matrix_shape", "ones",
    "shape_pair", "transposed",
]  # fmt: skip

ENTRYWISE = 1.7
"""Binding of ⊙: looser than a product of matrices."""
ONES = letter("𝟏", r"\mathbf{1}")


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


def ones(shape: Shape) -> Mark:
    """Return the array of ones of a shape: 𝟏, 𝟏ᵀ or 𝟏 𝟏ᵀ."""
    if len(shape) != 2 or shape[1] == 1:
        return ONES
    if shape[0] == 1:
        return transposed(ONES)
    return template("#1 #2", r"#1 \, #2", [ONES, transposed(ONES)], 2)


def fitted(mark: Mark, old: Shape, new: Shape) -> Mark:
    """Return a formula repeated to a matrix: 𝟏 bᵀ puts a vector into every row."""
    if len(new) != 2 or old == new:
        return mark
    rows, columns = matrix_shape(old) if old else (1, 1)
    if len(old) == 1 and new[0] > 1:
        return template("#1 #2", r"#1 \, #2", [ONES, transposed(mark)], 2)
    if len(old) == 1:
        return transposed(mark)
    if rows == 1 < new[0]:
        return template("#1 #2", r"#1 \, #2", [ONES, mark], 2)
    if columns == 1 < new[1]:
        return template("#1 #2", r"#1 \, #2", [mark, transposed(ONES)], 2)
    return mark


# -- operations that linear algebra writes in its own way ------------------------------------------


def _times(writer: Notation, node: Node) -> Mark | None:
    if any(writer.thin(x) for x in node.inputs) or node.ndim == 0:
        return None
    marks = [closed(writer.operand(node, k)) for k in (0, 1)]
    return chained("#1 ⊙ #2", r"#1 \odot #2", marks, ENTRYWISE)


def _over(writer: Notation, node: Node) -> Mark | None:
    if writer.thin(node.inputs[1]):
        return None
    marks = [closed(writer.operand(node, k)) for k in (0, 1)]
    return template("#1 ⊘ #2", r"#1 \oslash #2", marks, ENTRYWISE)


def closed(mark: Mark, beside: str = "⊙") -> Mark:
    """Return what has brackets beside ⊙ or /, so that nobody has to know what binds more."""
    loose = _outermost(mark) in ("#1 #2", "#1 #2 #3", "#1 ⊘ #2")
    return bracketed(mark) if loose or (beside == "/" and "/" in _outermost(mark)) else mark


def _outermost(mark: Mark) -> str:
    while mark.inner and mark.text == "#1":
        mark = mark.inner[0]
    return mark.text if mark.inner else ""


def chained(text: str, latex: str, marks: list[Mark], binds: float) -> Mark:
    """Return an associative operation of two marks: a·b·c, not a·(b·c); a factor stays whole."""
    right = marks[1]
    if right.text == text and not (right.factor or right.under):
        marks = [marks[0], right.marked(binds=tuple(b + 0.05 for b in right.binds))]
    return template(text, latex, marks, binds)


def _matmul(writer: Notation, node: Node) -> Mark | None:
    a, b = node.inputs
    if a.ndim > 2 or b.ndim > 2:
        return None
    if a.ndim == 1 and b.ndim == 2:  # (aᵀ B)ᵀ, as a column
        marks = [writer.factor(node, b, True, turned=True), writer.factor(node, a, True)]
    else:
        dot = a.ndim == b.ndim == 1
        marks = [writer.factor(node, a, True, turned=dot), writer.factor(node, b, True)]
    marks = [bracketed(m) if "/" in _outermost(m) else m for m in marks]
    return template("#1 #2", r"#1 \, #2", marks, 2)


def _outer(writer: Notation, node: Node) -> Mark | None:
    a, b = node.inputs
    marks = [writer.factor(node, a, True), writer.factor(node, b, True, turned=True)]
    marks = [bracketed(m) if "/" in _outermost(m) else m for m in marks]
    return template("#1 #2", r"#1 \, #2", marks, 2)


def _transpose(writer: Notation, node: Node) -> Mark | None:
    x = node.inputs[0]
    if x.ndim != 2 or node.settings["axes"] != (1, 0):
        return None
    return transposed(writer.vector(x))


def _sum_to(writer: Notation, node: Node) -> Mark | None:
    """A sum over rows is Xᵀ 𝟏, as a column; over all entries 𝟏ᵀ X 𝟏."""
    x, shape = node.inputs[0], node.shape
    if x.ndim > 2 or node.shape == x.shape:
        return writer.known(x) if node.shape == x.shape else None
    mark = writer.vector(x)
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


ARRAY_FORMS: dict[str, Any] = {
    "mul": _times, "div": _over, "matmul": _matmul, "outer": _outer, "transpose": _transpose,
    "sum_to": _sum_to,
}  # fmt: skip
