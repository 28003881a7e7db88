"""Proofs on the board whose every line is checked: a false one is refused, not shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sympy as sp

from graphgrad.errors import GraphError
from graphgrad.graph import Node
from graphgrad.proof.board import EQUAL, Block, Board, Line, Shown
from graphgrad.proof.bridge import to_sympy
from graphgrad.proof.marks import Mark
from graphgrad.proof.notation import Notation

__all__ = ["Demonstration", "Prover", "Step"]

Step = tuple[Node, str]
"""A formula as a graph, and the reason for it."""


class Demonstration(Shown):
    """A proof on the board, each line of it checked by SymPy.

    Attributes:
        board: lines and notes.
        result: the last line.
    """

    def __init__(self, blocks: Sequence[Block], notes: Sequence[str] = ()) -> None:
        self.board = Board(tuple(blocks), tuple(notes))

    @property
    def lines(self) -> list[Line]:
        """All lines, in order."""
        return [line for block in self.board.blocks for line in block.lines]

    @property
    def result(self) -> Line:
        """The last line."""
        return self.lines[-1]

    def __repr__(self) -> str:
        return f"<Demonstration: {self.lines[0]}>"


class Prover:
    """Writes steps as lines, and refuses one that is not true."""

    def __init__(self, symbols: Mapping[Node, Any], letters: Mapping[Node, Mark] | None = None):
        self.symbols = symbols
        self.notation = Notation(dict(letters or {}), tidy=False)
        self.given: Callable[[Any], Any] = lambda e: e

    def expression(self, node: Node) -> Any:
        """Return a formula as a SymPy expression."""
        return to_sympy(node, symbols=self.symbols)

    def lines(self, left: Mark, truth: Any, steps: Sequence[Step]) -> list[Line]:
        """Return left = step = step …, each equal to `truth`."""
        return [
            self.line(left if k == 0 else None, self.notation.write(node), node, truth, reason)
            for k, (node, reason) in enumerate(steps)
        ]

    def line(
        self, left: Mark | None, shown: Mark, node: Node, truth: Any, reason: str = ""
    ) -> Line:
        """Return one line, `shown` in place of the graph's own look."""
        self.check(self.expression(node), truth, f"the line = {shown}")
        return Line(left, EQUAL, shown, reason)

    def check(self, found: Any, truth: Any, what: str) -> None:
        """Raise GraphError unless two expressions are equal, given what is given."""
        gap = self.given(found - truth).rewrite(sp.exp)
        if sp.simplify(gap) != 0:
            raise GraphError(f"{what} is not true: it differs by {gap}")
