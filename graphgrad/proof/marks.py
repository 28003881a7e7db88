r"""Formulas as small trees, written as text and as LaTeX from one source.

A `Mark` is a template with places #1, #2 … for its inner marks, once in text and once in LaTeX,
and what may stand about it: the number (hence the colour) of a factor, something under it such as
its shape, a brace with a word. Brackets come from binding strengths when it is written.

What one can do: make marks (`letter`, `template`, `product`, `total`), write one
as text together with what stands under it (`text_of`), or as LaTeX (`latex_of`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from graphgrad.drawing.terminal.canvas import cell_width
from graphgrad.primitive import ATOM

__all__ = [
    "Mark", "Paint", "Pair", "Under", "bracketed", "latex_of", "letter", "operation", "product",
    "signed_total", "template", "text_of", "total",
]  # fmt: skip

CHAIN = 1.5
"""Binding of a chain of factors: looser than a product inside a factor, tighter than a sum."""
LETTER = 3.9
"""Binding of a letter that bears an exponent: brackets before another power or a transpose."""
_PLACE = re.compile(r"#(\d+)")
_SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹ⁿ⁻⁺⁽⁾ᵀ′"
_TALL = re.compile(r"\\(frac|under|begin|overset|left|sum)")


class Pair(NamedTuple):
    """The same words in text and in LaTeX."""

    text: str
    latex: str


@dataclass(frozen=True)
class Mark:
    """A formula, or a part of one.

    Attributes:
        text, latex: templates with #1, #2 … for `inner`; literal where `inner` is empty.
        inner: the marks that go there.
        binds: how strongly text and LaTeX bind, on the scale of `Primitive.precedence`.
        factor: the number of the factor it is, from 1; 0 when it is none.
        under: what stands under it, line by line.
        brace: the word at a brace under it; None for no brace.
        exact: whether its own numbers are written with all their digits.
    """

    text: str
    latex: str
    inner: tuple[Mark, ...] = ()
    binds: tuple[float, float] = (ATOM, ATOM)
    factor: int = 0
    under: tuple[Pair, ...] = ()
    brace: Pair | None = None
    exact: bool = True

    def marked(self, **about: Any) -> Mark:
        """Return the same formula with something else about it."""
        return replace(self, **about)

    def within(self, **about: Any) -> Mark:
        """Return this mark inside another that has something about it."""
        return Mark("#1", "#1", (self,), self.binds, **about)

    @property
    def negative(self) -> bool:
        """Whether the text begins with a minus sign."""
        mark = self
        while mark.inner and (start := _PLACE.match(mark.text)):
            k = int(start[1])
            if _needs_brackets(mark, 0, mark.text, start):
                return False
            mark = mark.inner[k - 1]
        return mark.text.startswith("−")

    @property
    def all_exact(self) -> bool:
        """Whether all numbers in it are written with all their digits."""
        return all(m.exact for m in self.walk())

    def walk(self) -> Iterator[Mark]:
        """Yield this mark and all marks inside it."""
        stack = [self]
        while stack:
            mark = stack.pop()
            yield mark
            stack += mark.inner

    def __str__(self) -> str:
        return text_of(self)[0]


class Under(NamedTuple):
    """Something under a line of text: over which cells, what, and whether with a brace."""

    start: int
    end: int
    text: str
    brace: bool


# -- making marks ------------------------------------------------------------------------------


def letter(text: str, latex: str) -> Mark:
    """Return a name as a mark."""
    raised = text[-1:] in _SUPERSCRIPTS or "/" in text, bool(re.search(r"\^|prime|frac", latex))
    return Mark(text, latex, (), (LETTER if raised[0] else ATOM, LETTER if raised[1] else ATOM))


def template(
    text: str,
    latex: str,
    inner: Sequence[Mark],
    binds: float = ATOM,
    latex_binds: float | None = None,
) -> Mark:
    """Return a mark made of others, put into the places of a template."""
    return Mark(text, latex, tuple(inner), (binds, binds if latex_binds is None else latex_binds))


def operation(text: str, latex: str, inner: Sequence[Mark], binds: float) -> Mark:
    """Return an operation's template of the rule book with its operands put in.

    In LaTeX a fraction needs no brackets beside a sign, and what ends with an exponent needs them
    below another one. What an index follows needs them like a base, whatever the template says.
    """
    if text.startswith("#1["):
        binds = min(binds, 5)
    tall = LETTER if latex.startswith(r"\frac") else binds
    raised = re.search(r"\^\{[^{}]*\}$", latex) is not None
    return template(text, latex, inner, binds, min(tall, LETTER) if raised else tall)


def product(factors: Sequence[Mark]) -> Mark:
    """Return a chain of factors with dots between them; one factor is itself.

    Example:
        >>> str(product([letter("a", "a"), letter("b", "b")]))
        'a · b'
    """
    return _joined(factors, " · ", r" \;\cdot\; ", CHAIN)


def total(terms: Sequence[Mark]) -> Mark:
    """Return a sum; one term is itself."""
    return _joined(terms, " + ", " + ", 1)


def signed_total(terms: Sequence[tuple[bool, Mark]]) -> Mark:
    """Return a sum of terms, each with whether it is subtracted: −a + b − c.

    Example:
        >>> str(signed_total([(False, letter("a", "a")), (True, letter("b", "b"))]))
        'a − b'
    """
    text = latex = ""
    for k, (negative, _) in enumerate(terms):
        sign = ("−" if negative else "") if k == 0 else (" − " if negative else " + ")
        text += f"{sign}#{k + 1}"
        latex += f"{sign}#{k + 1}".replace("−", "-")
    if len(terms) == 1 and not terms[0][0]:
        return terms[0][1]
    return template(text, latex, [mark for _, mark in terms], 1)


def _joined(marks: Sequence[Mark], text: str, latex: str, binds: float) -> Mark:
    if len(marks) == 1:
        return marks[0]
    places = [f"#{k + 1}" for k in range(len(marks))]
    return template(text.join(places), latex.join(places), marks, binds)


def bracketed(mark: Mark) -> Mark:
    """Return a mark in round brackets."""
    return template("(#1)", r"\left(#1\right)", [mark])


# -- writing them ------------------------------------------------------------------------------


def text_of(mark: Mark) -> tuple[str, list[Under]]:
    """Return a formula as one line of text, and what stands under it.

    Example:
        >>> text_of(product([letter("a", "a").marked(under=(Pair("2×1", ""),)), letter("b", "b")]))
        ('a · b', [Under(start=0, end=1, text='2×1', brace=False)])
    """
    notes: list[Under] = []
    return _text(mark, 0, notes), notes


def _text(mark: Mark, start: int, notes: list[Under]) -> str:
    if mark.inner:
        pieces, at, last = [], start, 0
        for place in _PLACE.finditer(mark.text):
            k = int(place[1]) - 1
            before = mark.text[last : place.start()]
            bracket = _needs_brackets(mark, 0, mark.text, place)
            at += cell_width(before) + bracket
            inner = _text(mark.inner[k], at, notes)
            at += cell_width(inner) + bracket
            pieces += [before, f"({inner})" if bracket else inner]
            last = place.end()
        text = "".join([*pieces, mark.text[last:]])
    else:
        text = mark.text
    end = start + cell_width(text)
    notes += [Under(start, end, pair.text, False) for pair in mark.under if pair.text]
    if mark.brace:
        notes.append(Under(start, end, mark.brace.text, True))
    return text


class Paint:
    """How factors and braces look in LaTeX; this one leaves factors uncoloured."""

    def factor(self, number: int, latex: str) -> str:
        """Return a factor in the colour of its number."""
        return latex

    def brace(self, latex: str, words: str) -> str:
        """Return a formula with a brace under it, and words under the brace."""
        return rf"\underbrace{{{latex}}}_{{{words}}}"


def latex_of(mark: Mark, paint: Paint = Paint()) -> str:  # noqa: B008 (has no state)
    r"""Return a formula as LaTeX.

    Args:
        mark: the formula.
        paint: how factors and braces look.

    Example:
        >>> print(latex_of(letter("w", "w").marked(brace=Pair("", "3"))))
        \underbrace{w}_{3}
    """
    body = _PLACE.sub(lambda p: _inner_latex(mark, p, paint), mark.latex)
    body = body if mark.inner else mark.latex
    if mark.factor:
        body = paint.factor(mark.factor, body)
    for pair in mark.under:
        body = rf"\underset{{{pair.latex}}}{{{body}}}" if pair.latex else body
    return paint.brace(body, mark.brace.latex) if mark.brace else body


def _inner_latex(mark: Mark, place: re.Match[str], paint: Paint) -> str:
    if not mark.inner:
        return ""
    body = latex_of(mark.inner[int(place[1]) - 1], paint)
    if not _needs_brackets(mark, 1, mark.latex, place):
        return f"{{{body}}}" if mark.latex[place.end() :].startswith("_") else body
    return rf"\left({body}\right)" if _TALL.search(body) else f"({body})"


def _needs_brackets(mark: Mark, style: int, text: str, place: re.Match[str]) -> bool:
    """Return whether the mark at a place binds less than the place; style 0 is text, 1 LaTeX."""
    start, end = place.span()
    k = int(place[1]) - 1
    around = text[max(start - 1, 0) : start], text[end : end + 1]
    enclosed = around in (("{", "}"), ("(", ")"), ("(", ","))
    here, inner = mark.binds[style], mark.inner[k].binds[style]
    if here == ATOM or enclosed or text == place[0]:
        return False
    first = start == 0
    loose = inner < here or (inner == here and (not first or here >= 3))
    return loose or (not first and here > 0 and mark.inner[k].negative)
