"""How linear algebra writes operations on arrays: ⊙, products without a sign, transposes, 𝟏.

`ARRAY_FORMS` has, for some operations, what writes a node of theirs; it may return None, and the
rule book's own template is used.
"""

from __future__ import annotations

from collections.abc import Callable

from graphgrad.graph import Node
from graphgrad.proof.array_marks import ENTRYWISE, ONES, chained, closed, outermost, transposed
from graphgrad.proof.marks import Mark, bracketed, template
from graphgrad.proof.operands import Operands

__all__ = ["ARRAY_FORMS"]


def _times(written: Operands, node: Node) -> Mark | None:
    if any(written.thin(x) for x in node.inputs) or node.ndim == 0:
        return None
    marks = [closed(written.operand(node, k)) for k in (0, 1)]
    return chained("#1 ⊙ #2", r"#1 \odot #2", marks, ENTRYWISE)


def _over(written: Operands, node: Node) -> Mark | None:
    if written.thin(node.inputs[1]):
        return None
    marks = [closed(written.operand(node, k)) for k in (0, 1)]
    return template("#1 ⊘ #2", r"#1 \oslash #2", marks, ENTRYWISE)


def _matmul(written: Operands, node: Node) -> Mark | None:
    a, b = node.inputs
    if a.ndim > 2 or b.ndim > 2:
        return None
    if a.ndim == 1 and b.ndim == 2:  # (aᵀ B)ᵀ, as a column
        marks = [written.factor(node, b, True, turned=True), written.factor(node, a, True)]
    else:
        dot = a.ndim == b.ndim == 1
        marks = [written.factor(node, a, True, turned=dot), written.factor(node, b, True)]
    marks = [bracketed(m) if "/" in outermost(m) else m for m in marks]
    return template("#1 #2", r"#1 \, #2", marks, 2)


def _outer(written: Operands, node: Node) -> Mark | None:
    a, b = node.inputs
    marks = [written.factor(node, a, True), written.factor(node, b, True, turned=True)]
    marks = [bracketed(m) if "/" in outermost(m) else m for m in marks]
    return template("#1 #2", r"#1 \, #2", marks, 2)


def _transpose(written: Operands, node: Node) -> Mark | None:
    x = node.inputs[0]
    if x.ndim != 2 or node.settings["axes"] != (1, 0):
        return None
    return transposed(written.vector(x))


def _sum_to(written: Operands, node: Node) -> Mark | None:
    """A sum over rows is Xᵀ 𝟏, as a column; over all entries 𝟏ᵀ X 𝟏."""
    x, shape = node.inputs[0], node.shape
    if x.ndim > 2 or node.shape == x.shape:
        return written.known(x) if node.shape == x.shape else None
    mark = written.vector(x)
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


ARRAY_FORMS: dict[str, Callable[[Operands, Node], Mark | None]] = {
    "mul": _times, "div": _over, "matmul": _matmul, "outer": _outer, "transpose": _transpose,
    "sum_to": _sum_to,
}  # fmt: skip
