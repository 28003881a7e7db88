"""Domains of whole derivatives: what every node between a variable and the root asks for.

A condition of a node, written with the names of its inputs, is left out where it always holds:
the logarithm of a sigmoid has a positive argument whatever the variables are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from sympy.core.relational import Relational

from graphgrad import dtypes
from graphgrad.graph import Node
from graphgrad.ops.define import Elementwise
from graphgrad.proof.budget import Budget, attempt
from graphgrad.proof.domains import Condition, always
from graphgrad.proof.entries import held
from graphgrad.proof.exact import template
from graphgrad.proof.partials import PROVED, Proof
from graphgrad.proof.wording import EVERYWHERE, TIED, Words, met

__all__ = ["Reaches"]

LISTED = 3
"""Conditions of a kind that are listed; more are counted."""
LARGEST = 20_000
"""Nodes of the largest graph whose conditions are put together."""
HELD = "while the positions stay as they are"


class Reaches:
    """The conditions of every node of a graph.

    Args:
        order: the nodes, inputs before users.
        words: their names.
        found: what was proved about the edges into each node.
        parts: the nodes as SymPy expressions, where the graph is small.
        budget: the time that may be spent; a tenth of what is left for one condition.
    """

    def __init__(
        self,
        order: Sequence[Node],
        words: Words,
        found: Mapping[Node, Sequence[Proof]],
        parts: Mapping[Node, Any],
        budget: Budget,
    ):
        self.order, self.words, self.found, self.parts = order, words, found, parts
        self.budget = budget

    def of(self, x: Node) -> tuple[str, str]:
        """Return where the whole derivative towards x holds, and a note on the current values."""
        nodes = self._nodes if len(self.order) <= LARGEST and self.budget.late(0.05) else None
        if nodes is None:
            return "where all edges do", ""
        reached = {x}
        texts: dict[str, str] = {}
        notes: dict[str, None] = {}
        for node in self.order:
            listed, said = nodes.get(node, ({}, []))
            if any(n in reached for n in node.inputs):
                reached.add(node)
                texts.update(listed)
                notes.update(dict.fromkeys(said))
            else:  # a kink does not matter there, but log(b)·x is nothing where b < 0
                texts.update({t: kind for t, kind in listed.items() if not kind and t != HELD})
        return joined(texts), "; ".join(list(notes)[:LISTED])

    @cached_property
    def _nodes(self) -> dict[Node, tuple[dict[str, str], list[str]]] | None:
        """The conditions of each node that has some, as text with its kind; and notes.

        None when the time was up before all were known.
        """
        found: dict[Node, tuple[dict[str, str], list[str]]] = {}
        for node in self.order:
            if not self.budget.late(0.05):
                return None
            texts: dict[str, str] = {}
            notes: dict[str, None] = {}
            for proof in [*self.found.get(node, ()), *_of_mask(node)]:
                kept = [c for c in proof.conditions if not self._holds(node, proof, c)]
                texts.update(self._listed(node, proof, kept))
                notes[self.words.here(node, proof, kept)] = None
            if held(node) and node.inputs:
                texts[HELD] = ""
            if texts:
                found[node] = texts, [n for n in notes if n]
        return found

    def _listed(
        self, node: Node, proof: Proof, kept: Sequence[Condition]
    ) -> Iterator[tuple[str, str]]:
        if kept and not isinstance(node.primitive, Elementwise):
            yield f"{TIED} in {self.words.names[node]}", "kink"
            return
        names = self.words.symbol_names(node, proof)
        for c in kept:
            every = "every entry of " if node.shape else ""
            yield every + c.text(names), c.sharp

    def _holds(self, node: Node, proof: Proof, c: Condition) -> bool:
        """Return whether a condition always holds, given what the node's inputs are."""
        if met(node, proof, c):
            return True
        if not self.parts or any(n.shape for n in node.inputs):
            return False
        values = {s: self.parts[n][()] for s, n in zip(proof.symbols, node.inputs)}
        if not c.symbols <= set(values):
            return False
        inner = Condition(c.kind, tuple(p.xreplace(values) for p in c.parts))
        seconds = min(0.5, self.budget.late(0.05) / 10)
        return bool(attempt(lambda: always(inner), seconds, False))


def _of_mask(node: Node) -> list[Proof]:
    """Return the condition of a comparison: it must not change where the derivative is taken."""
    if node.dtype is not dtypes.BOOL or not isinstance(node.primitive, Elementwise):
        return []
    known = template(node.primitive, len(node.inputs), node.settings)
    if not isinstance(known.expression, Relational):
        return []
    difference = known.expression.lhs - known.expression.rhs
    apart = Condition("choice", (difference,))
    return [Proof(PROVED, "", symbols=known.symbols, conditions=[apart])]


def joined(texts: Mapping[str, str]) -> str:
    """Return conditions in one line, those at kinks, jumps and choices last and called so.

    Example:
        >>> joined({"x > 0": "", "y ≠ 1": "kink", "z ≠ 2": "kink"}), joined({})
        ('x > 0, y ≠ 1, z ≠ 2 (kinks)', 'everywhere')
    """
    if not texts:
        return EVERYWHERE
    parts = []
    for kind in dict.fromkeys(["", *sorted(set(texts.values()))]):
        found = [t for t, sharp in texts.items() if sharp == kind]
        more = f" and {len(found) - LISTED} more" if len(found) > LISTED else ""
        word = f" ({kind}{'s' * (len(found) > 1)})" if kind else ""
        if found:
            parts.append(f"{', '.join(found[:LISTED])}{more}{word}")
    return ", ".join(parts)
