"""What `derive` returns: the parts of a derivation, their colours, and how it shows itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from graphgrad.drawing.palette import badge, factor_color
from graphgrad.graph import Edge, Node, NumberOrArray, describe
from graphgrad.proof.board import Board, Line, Shown
from graphgrad.proof.chains import Numbers, Term
from graphgrad.recorder import Tape

__all__ = ["Derivation", "Part"]


@dataclass(frozen=True)
class Part:
    """The derivation of one leaf.

    Attributes:
        wrt: the leaf.
        lines: what stands on the board for it.
        terms: the products whose sum it is; empty in the recursive form.
        value: ∂L/∂wrt in this run.
    """

    wrt: Node
    lines: tuple[Line, ...]
    terms: tuple[Term, ...]
    value: NumberOrArray


class Derivation(Shown):
    """A derivation on the board; made by `derive`. `str` of it is text to read.

    Attributes:
        tape: the run whose numbers it shows.
        parts: one per leaf, in order.
        form: ``"products"`` or ``"recursion"``.
        board: all lines and notes.
        colors: the colour of each edge that is part of a factor.
        badges: the number of each such edge, as a circled digit; several where an edge is part of
            several factors, which then share the colour of the first.

    Example:
        >>> import graphgrad as gg
        >>> w = gg.var("w", 3.0)
        >>> d = gg.derive((gg.var("x", 2.0) * w).named("z"), w)
        >>> print(d.parts[0].lines[0])
        ∂z/∂w = x
    """

    def __init__(
        self, tape: Tape, parts: Sequence[Part], form: str, board: Board, numbers: Numbers
    ) -> None:
        self.tape, self.parts, self.form, self.board = tape, tuple(parts), form, board
        self._numbers = numbers

    def __repr__(self) -> str:
        names = ", ".join(describe(p.wrt) for p in self.parts)
        return f"<Derivation of {describe(self.tape.root)} with respect to {names}>"

    @property
    def steps(self) -> list[Line]:
        """All lines of all leaves, in order."""
        return [line for part in self.parts for line in part.lines]

    @property
    def lines(self) -> list[Line]:
        """The same as `steps`."""
        return self.steps

    @property
    def notes(self) -> tuple[str, ...]:
        """The conventions a reader has to know."""
        return self.board.notes

    @cached_property
    def numbers(self) -> dict[Edge, tuple[int, ...]]:
        """The numbers of the factors that each edge is part of."""
        return self._numbers.by_edge()

    @cached_property
    def colors(self) -> dict[Edge, str]:
        """The colour of each edge that is part of a factor."""
        return {edge: factor_color(numbers[0]) for edge, numbers in self.numbers.items()}

    @cached_property
    def badges(self) -> dict[Edge, str]:
        """The circled numbers of each edge that is part of a factor."""
        return {edge: "".join(map(badge, n)) for edge, n in self.numbers.items()}
