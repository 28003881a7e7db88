"""The path ledger: where does this gradient come from?

What one can do: ``ledger(loss, w)`` gives the contributions to ∂loss/∂w by edge, the paths they
came along with every factor and their product, what cancels, what killed a path, and how many
paths there are against how many edges backpropagation visits. `str` of it is a report to read.
"""

from __future__ import annotations

import html
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from graphgrad.errors import GraphError
from graphgrad.explain.accounts import chain_latex, chain_text, ledger_lines, ledger_tables
from graphgrad.explain.factors import reason
from graphgrad.explain.paths import Routes, Trail, trail_steps
from graphgrad.explain.steps import Wording
from graphgrad.graph import Edge, Node, public
from graphgrad.recorder import BackwardStep, Tape

__all__ = ["Contribution", "Killer", "Ledger", "Path", "ledger"]

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


@dataclass(frozen=True)
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


@dataclass(frozen=True)
class Ledger:
    """Where the adjoint of one node comes from; made by `ledger`.

    Attributes:
        tape, node: what it is about.
        total: the adjoint; None when no gradient reaches the node.
        contributions: by edge, in the order of the backward pass.
        paths: the largest by magnitude; empty when arrays are on the way.
        path_count: how many paths there are in all, exactly.
        path_length: how many edges all paths have together.
        edges_visited: how many edges backpropagation visits to find the total.
        dead_count: how many paths have a factor that is exactly 0; None with arrays on the way.
        killers: where they die, those with most paths first.
        positive, negative: sums of all positive and of all negative products; None with arrays.
        scalar: whether every node on the way is a scalar.
    """

    tape: Tape
    node: Node
    total: Any
    contributions: list[Contribution]
    paths: list[Path]
    path_count: int
    path_length: int
    edges_visited: int
    dead_count: int | None
    killers: list[Killer]
    positive: float | None
    negative: float | None
    scalar: bool
    wording: Wording = field(repr=False, compare=False)

    def expand(self, contribution: Contribution, most: int = 8) -> list[Path]:
        """Return the largest paths that end with one contribution's edge.

        Args:
            contribution: one of `contributions`.
            most: how many paths.

        Raises:
            GraphError: when arrays are on the way.

        Example:
            >>> import graphgrad as gg
            >>> x = gg.var("x", 3.0)
            >>> found = gg.ledger(x * x + x, x)
            >>> [p.product for p in found.expand(found.contributions[1])]
            [3.0]
        """
        if not self.scalar:
            raise GraphError("paths have no products of numbers where arrays are on the way")
        routes = Routes(self.tape, contribution.edge.node)
        scale = _scale(self.positive, self.negative)
        ends = [contribution.step]
        return [_path(self.wording, routes, t, scale, ends) for t in routes.best(most)]

    def chain(self, path: Path) -> str:
        """Return the chain rule along one path, in symbols and in numbers.

        Example:
            >>> import graphgrad as gg
            >>> x, w = gg.var("x", 2.0), gg.var("w", 3.0)
            >>> found = gg.ledger(gg.square((x * w).named("z")).named("J"), w)
            >>> found.chain(found.paths[0])
            '∂J/∂z · ∂z/∂w = 12 · 2 = 24'
        """
        return chain_text(self, path)

    def latex(self, path: Path) -> str:
        """Return the chain rule along one path in LaTeX."""
        return chain_latex(self, path)

    def __str__(self) -> str:
        return "\n".join(ledger_lines(self))

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        text = str(self)
        body = "".join(
            part if part.startswith("<table") else f"<p>{html.escape(part)}</p>"
            for part in ledger_tables(self)
        )
        return {"text/plain": text, "text/html": f'<div class="graphgrad-ledger">{body}</div>'}


def ledger(graph: Node | Tape, node: Node, *, most: int = 8) -> Ledger:
    """Return where the gradient of a node comes from: by edge, by path, factor by factor.

    Args:
        graph: the loss, or a tape of it.
        node: whose adjoint is explained; a variable or any node the loss depends on.
        most: how many paths are listed.

    Returns:
        A `Ledger`; print it, or read its fields.

    Raises:
        GraphError: when the node takes no part in the graph.
        GradientError: when the loss is no floating scalar.

    The count of paths is exact, and no path is walked to find it (see `explain.paths`).

    Example:
        >>> import graphgrad as gg
        >>> x, w, b = gg.var("x", 2.0), gg.var("w", 3.0), gg.var("b", 1.0)
        >>> found = gg.ledger(abs(4 - (x * w + b)), w)
        >>> found.total, found.path_count, found.paths[0].factors
        (2.0, 1, (-1.0, -1.0, 1.0, 2.0))
    """
    if not isinstance(graph, Node | Tape):
        raise GraphError(f"cannot explain {graph!r}: expected a graph node or its tape")
    if not isinstance(node, Node):
        raise GraphError(f"cannot explain the gradient of {node!r}: expected a graph node")
    if not isinstance(most, int) or most < 1:
        raise GraphError(f"most={most!r}: expected how many paths to list, 1 or more")
    tape = graph if isinstance(graph, Tape) else Tape(graph)
    wording = Wording(tape)
    total = tape.adjoint(node)
    routes = Routes(tape, node)
    scalar = routes.scalar and total is not None
    totals = routes.totals if scalar else None
    positive, negative = totals or (None, None)
    scale = _scale(positive, negative)
    trails = routes.best(most) if scalar else []
    return Ledger(
        tape=tape,
        node=node,
        total=total,
        contributions=_contributions(routes),
        paths=[_path(wording, routes, trail, scale, []) for trail in trails],
        path_count=routes.count,
        path_length=routes.length,
        edges_visited=len(routes.steps),
        dead_count=routes.count - routes.alive if scalar else None,
        killers=_killers(wording, routes, most) if scalar else [],
        positive=positive,
        negative=negative,
        scalar=scalar,
        wording=wording,
    )


def _contributions(routes: Routes) -> list[Contribution]:
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


def _path(
    wording: Wording, routes: Routes, trail: Trail, scale: float, ends: list[BackwardStep]
) -> Path:
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


def _killers(wording: Wording, routes: Routes, most: int) -> list[Killer]:
    return [
        Killer(b.step.edge, 0.0, reason(wording, *b.step.edge), b.paths)
        for b in routes.blocked[:most]
    ]


def _scale(positive: float | None, negative: float | None) -> float:
    return math.nan if positive is None or negative is None else positive - negative


def _share(part: float, whole: float) -> float | None:
    meaningful = math.isfinite(part) and math.isfinite(whole) and whole > 0
    return part / whole if meaningful else None
