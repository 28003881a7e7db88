"""The entries of a ledger: contributions by edge, paths with their factors, what killed them.

What one can do: `contributions`, `path_of` a trail, `killers` of a node's `Routes`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphgrad.explain.factors import reason
from graphgrad.explain.paths import Routes, Trail, trail_steps
from graphgrad.explain.steps import Wording
from graphgrad.graph import Edge, public
from graphgrad.recorder import BackwardStep

__all__ = ["Contribution", "Killer", "Path", "contributions", "killers", "path_of"]

WEAK = 0.01
"""A local derivative below this is named as what starves a path."""


@dataclass(frozen=True)
class Killer:
    """The factor that stops a path.

    Attributes:
        edge: where it stands.
        local: the local derivative there, 0 or small.
        why: what makes it so: a closed gate, a saturated unit, a zero weight.
        paths: how many paths die there first; None when not counted.
    """

    edge: Edge
    local: float
    why: str
    paths: int | None = None


@dataclass(frozen=True)
class Path:
    """One way from the root back to the node.

    Attributes:
        edges: in the order of the backward pass, from the root.
        factors: the local derivative of each.
        product: of the factors and the root's adjoint.
        share: of the sum of the magnitudes of all paths' products; None when that has no meaning.
        killer: the first factor 0, or the smallest one when it is below 0.01.
    """

    edges: tuple[Edge, ...]
    factors: tuple[float, ...]
    product: float
    share: float | None
    killer: Killer | None


@dataclass(frozen=True, eq=False)
class Contribution:
    """What one edge adds to the adjoint.

    Attributes:
        step: of the tape.
        size: the magnitude of the contribution; its 2-norm for an array.
        share: of the sum of all sizes; None when that has no meaning.
        path_count: how many paths end with this edge.
    """

    step: BackwardStep
    size: float
    share: float | None
    path_count: int

    @property
    def edge(self) -> Edge:
        """The edge it comes along."""
        return self.step.edge

    @property
    def value(self) -> Any:
        """The contribution itself, of the node's shape."""
        return public(self.step.contribution)


def contributions(routes: Routes) -> list[Contribution]:
    """Return what arrives at the node, edge by edge."""
    arrivals = routes.tape.arrivals(routes.node)
    sizes = [_size(s.contribution) for s in arrivals]
    whole = math.fsum(sizes) if all(map(math.isfinite, sizes)) else math.nan
    return [
        Contribution(step, size, _share(size, whole), routes.arriving[step.edge])
        for step, size in zip(arrivals, sizes, strict=True)
    ]


def _size(value: Any) -> float:
    if np.ndim(value) == 0:
        return abs(float(value))
    with np.errstate(all="ignore"):
        return float(np.linalg.norm(np.ravel(value)))


def path_of(
    wording: Wording, routes: Routes, trail: Trail, scale: float, ends: list[BackwardStep]
) -> Path:
    """Return a trail as a path, prolonged by the steps `ends`; shares are of `scale`."""
    steps = [*trail_steps(trail), *ends]
    factors = tuple(routes.factor(step) for step in steps)
    product = float(routes.tape.seed) * math.prod(factors)
    edges = tuple(step.edge for step in steps)
    share = _share(product, scale)
    return Path(edges, factors, product, share, _killer(wording, edges, factors))


def _killer(wording: Wording, edges: tuple[Edge, ...], factors: tuple[float, ...]) -> Killer | None:
    if not factors:
        return None
    sizes = [abs(f) for f in factors]
    k = sizes.index(0.0) if 0.0 in sizes else min(range(len(sizes)), key=sizes.__getitem__)
    if not sizes[k] < WEAK:
        return None
    return Killer(edges[k], factors[k], reason(wording, *edges[k]))


def killers(wording: Wording, routes: Routes, most: int) -> list[Killer]:
    """Return the edges where most paths die, with the reason."""
    return [
        Killer(b.step.edge, 0.0, reason(wording, *b.step.edge), b.paths)
        for b in routes.blocked[:most]
    ]


def _share(part: float, whole: float) -> float | None:
    meaningful = math.isfinite(part) and math.isfinite(whole) and whole > 0
    return part / whole if meaningful else None
