"""Numbers on the board: as decimals or fractions, with whether all their digits are shown.

What one can do: write a number (`number_mark`, `fraction_mark`), and read the number that a small
graph of constants is (`rational`).
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from graphgrad.explain.latex import latex_name
from graphgrad.explain.numbers import DIGITS, SMALL, latex_number, number, shape_text
from graphgrad.graph import CONSTANT, Node
from graphgrad.primitive import ATOM
from graphgrad.proof.array_marks import closed, matrix_shape
from graphgrad.proof.marks import Mark, letter, template

__all__ = [
    "array_mark", "divides", "exactly", "fraction_mark", "matrix_mark", "number_mark", "rational",
    "rearranges", "scaled",
]  # fmt: skip

SHORT = 6
"""Entries of a constant array that is written out."""
WIDEST = 6
"""Columns of a matrix that is written out."""


def exactly(value: float, text: str) -> bool:
    """Return whether a number's text is the number, to the precision of a float."""
    plain = text.replace("−", "-").replace("∞", "inf")
    try:
        shown = float(plain)
    except ValueError:
        return True
    return shown == value or value != value or abs(shown - value) <= 1e-13 * abs(value)


def number_mark(value: Any, digits: int = DIGITS) -> Mark:
    """Return a number as a mark.

    Example:
        >>> str(number_mark(-2.5)), number_mark(1 / 3).exact
        ('−2.5', False)
    """
    text, latex = number(value, digits), latex_number(value, digits)
    binds = 3 if text.startswith("−") else ATOM
    scientific = 2 if r"\cdot" in latex else binds
    return Mark(text, latex, (), (binds, scientific), exact=exactly(float(value), text))


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


def scaled(number: Mark, mark: Mark) -> Mark:
    """Return a number times a formula, in text with what divides it last: 2·x/3, x/2.

    Example:
        >>> x = letter("x", "x")
        >>> str(scaled(fraction_mark(Fraction(2, 3)), x)), str(scaled(number_mark(2.5), x))
        ('2·x/3', '2.5·x')
    """
    if number.text != "#1/#2":
        return template("#1·#2", r"#1 \cdot #2", [number, mark], 2)
    (above, below), mark = number.inner, closed(mark, "/")
    if above.text in ("1", "−1"):
        minus = above.text[:-1]
        latex = rf"{minus.replace('−', '-')}\frac{{1}}{{#2}} \cdot #1"
        return template(f"{minus}#1/#2", latex, [mark, below], 1.9 if minus else 2)
    return template("#1·#2/#3", r"\frac{#1}{#3} \cdot #2", [above, mark, below], 2)


def matrix_mark(value: Any, digits: int = DIGITS) -> Mark | None:
    """Return a small array as a matrix, vectors as columns; None when it is too large.

    Example:
        >>> str(matrix_mark(np.array([1.0, -2.0]))), str(matrix_mark(np.array([[1.0], [0.5]]).T))
        ('[1 −2]ᵀ', '[1 0.5]')
    """
    array = np.asarray(value)
    if array.ndim == 0:
        return number_mark(array[()], digits)
    if array.ndim > 2 or not 0 < array.size <= SMALL:
        return None
    rows = array.reshape(matrix_shape(array.shape))
    if rows.shape[1] > WIDEST:
        return None
    texts = [[number(v, digits) for v in row] for row in rows]
    column = rows.shape[1] == 1 < rows.shape[0]
    text = "; ".join(" ".join(row) for row in ([*zip(*texts)] if column else texts))
    latex = r" \\ ".join(" & ".join(latex_number(v, digits) for v in row) for row in rows)
    flat = [t for row in texts for t in row]
    exact = all(exactly(float(v), t) for v, t in zip(np.ravel(rows), flat))
    made = letter(f"[{text}]{'ᵀ' if column else ''}", "")
    return made.marked(latex=rf"\begin{{bmatrix}} {latex} \end{{bmatrix}}", exact=exact)


def array_mark(node: Node, digits: int = DIGITS) -> Mark:
    """Return a nameless constant: its number, a small array written out, or its shape."""
    if node.size == 1:
        return number_mark(node._value.reshape(())[()], digits)
    shown = matrix_mark(node._value, digits) if node.size <= SHORT else None
    text = f"const {shape_text(node.shape)}"
    return shown or letter(text, latex_name(text))


def rearranges(node: Node) -> bool:
    """Return whether a node's formula is that of its input."""
    if node.op == "reshape":
        x = node.inputs[0]
        return x.size == 1 or matrix_shape(x.shape) == matrix_shape(node.shape)
    return node.op == "broadcast_to"


def divides(node: Node) -> bool:
    """Return whether a product of numbers and a formula holds a division by a number."""
    stack, left = [node], 20
    while stack and left:
        x, left = stack.pop(), left - 1
        if x.op == "div":
            return True
        stack += x.inputs
    return False


def rational(node: Node, depth: int = 6) -> Fraction | None:
    """Return the one number that constants make, as a fraction; None for anything else, or deep."""
    while rearranges(node):
        node = node.inputs[0]
    if node.op == "neg":
        inner = rational(node.inputs[0], depth - 1) if depth else None
        return None if inner is None else -inner
    if node.op in ("mul", "div"):
        a, b = (rational(x, depth - 1) if depth else None for x in node.inputs)
        if a is None or b is None or (node.op == "div" and not b):
            return None
        return a * b if node.op == "mul" else a / b
    if node.primitive is not CONSTANT or node.size != 1 or node.name:
        return None
    value = float(node._value.reshape(())[()])
    return Fraction(repr(value)) if abs(value) < float("inf") else None
