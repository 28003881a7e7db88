"""Chains of factors from the loss to a leaf: which there are, and what of them is known already.

What one can do: list the `chains` to a node when they are few, number the factors in the order in
which they are first written (`Numbers`), and find how much of a chain stood in an earlier one
(`Numbers.shared`): that beginning is the adjoint of a node, and need not be computed again.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from graphgrad.graph import Edge, Node
from graphgrad.proof.links import Link, Links

__all__ = ["MOST_FACTORS", "Chain", "Numbers", "Term", "chains"]

MOST_CHAINS = 8
"""Paths that are written out as a sum of products; of more the recursion is shown."""
MOST_FACTORS = 40
"""Factors that all these products may have together."""
Chain = tuple[Link, ...]


@dataclass(frozen=True)
class Term:
    """One product of a derivation.

    Attributes:
        chain: its factors, from the loss on.
        shared: how many of the first factors stood, in this order, at the beginning of an
            earlier product of the same derivation.
        values: the factors in this run; empty where they are no scalars.
    """

    chain: Chain
    shared: int
    values: tuple[float, ...] = ()


def chains(links: Links, target: Node) -> list[Chain] | None:
    """Return all chains from the root to the target; None when they are too many.

    Example:
        >>> import graphgrad as gg
        >>> from graphgrad.explain.steps import Wording
        >>> x = gg.var("x", 2.0)
        >>> t = gg.tape((gg.sin(x) + gg.cos(x)).named("y"))
        >>> [len(c) for c in chains(Links(t, Wording(t), [x]), x)]
        [2, 2]
    """
    leading = links.leading_to(target)
    if links.tape.root not in leading:
        return []
    found: list[Chain] = []
    stack: list[Chain] = [()]
    factors = 0
    while stack:
        chain = stack.pop()
        at = chain[-1].source if chain else links.tape.root
        if at is target:
            found.append(chain)
            factors += len(chain)
        else:
            stack += [(*chain, k) for k in links.links(at)[::-1] if k.source in leading]
        if len(found) + len(stack) > MOST_CHAINS or factors > MOST_FACTORS:
            return None
        if len(chain) > MOST_FACTORS:
            return None
    return found


@dataclass
class Numbers:
    """The numbers of factors, in the order in which they were first written."""

    known: dict[Link, int] = field(default_factory=dict)
    _beginnings: set[Chain] = field(default_factory=set)

    def __getitem__(self, link: Link) -> int:
        return self.known.setdefault(link, len(self.known) + 1)

    def shared(self, chain: Chain) -> int:
        """Return how many first factors of the chain were written before, and note the chain."""
        for link in chain:
            _ = self[link]
        ends = range(len(chain), 0, -1)
        count = next((k for k in ends if chain[:k] in self._beginnings), 0)
        self._beginnings |= {chain[:k] for k in ends}
        return count

    def by_edge(self) -> dict[Edge, tuple[int, ...]]:
        """Return the numbers of the factors that an edge takes part in."""
        found: dict[Edge, tuple[int, ...]] = {}
        for link, number in self.known.items():
            for edge in link.edges:
                found[edge] = (*found.get(edge, ()), number)
        return found
