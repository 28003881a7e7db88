"""The signs of linear algebra: a vector as a column, ᵀ, 𝟏, and brackets beside ⊙."""

from __future__ import annotations

from graphgrad.explain.numbers import shape_text
from graphgrad.proof.marks import Mark, Pair, bracketed, letter, template
from graphgrad.shapes import Shape

__all__ = [
    "ENTRYWISE", "ONES", "chained", "closed", "fitted", "matrix_shape", "ones", "outermost",
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


def closed(mark: Mark, beside: str = "⊙") -> Mark:
    """Return what has brackets beside ⊙ or /, so that nobody has to know what binds more."""
    loose = outermost(mark) in ("#1 #2", "#1 #2 #3", "#1 ⊘ #2")
    return bracketed(mark) if loose or (beside == "/" and "/" in outermost(mark)) else mark


def outermost(mark: Mark) -> str:
    """Return the template of what is done last in a formula; "" for a letter or number."""
    while mark.inner and mark.text == "#1":
        mark = mark.inner[0]
    return mark.text if mark.inner else ""


def chained(text: str, latex: str, marks: list[Mark], binds: float) -> Mark:
    """Return an associative operation of two marks: a·b·c, not a·(b·c); a factor stays whole."""
    right = marks[1]
    if right.text == text and not (right.factor or right.under):
        marks = [marks[0], right.marked(binds=tuple(b + 0.05 for b in right.binds))]
    return template(text, latex, marks, binds)
