"""The ledger of one node: its contributions and paths, and the report they make.

What one can do: print a `Ledger`, or ask it for the chain rule along a path (`chain`, `latex`) and
for the paths that end with an edge (`expand`); `explain.ledger` makes them.
"""

from __future__ import annotations

import html
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphgrad import dtypes
from graphgrad.errors import GraphError
from graphgrad.explain.bookkeeping import Contribution, Killer, Path, path_of
from graphgrad.explain.numbers import digits_for, latex_number, number
from graphgrad.explain.paths import Routes
from graphgrad.explain.steps import Wording, adjoint, plain, scalar_edge
from graphgrad.explain.tables import count, html_table, joined, percent, table, whole
from graphgrad.explain.typeset import latex_factor, latex_partial
from graphgrad.graph import CONSTANT, Node
from graphgrad.recorder import Tape

__all__ = ["Ledger"]

MOST_ROWS = 20
"""Contributions that are listed one by one."""
MOST_FACTORS = 8
"""Factors of a path that are written out."""


@dataclass(frozen=True, eq=False, repr=False)
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
    wording: Wording

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
        assert self.positive is not None
        assert self.negative is not None
        scale = self.positive - self.negative
        ends = [contribution.step]
        return [path_of(self.wording, routes, t, scale, ends) for t in routes.best(most)]

    def chain(self, path: Path) -> str:
        """Return the chain rule along one path, in symbols and in numbers.

        Example:
            >>> import graphgrad as gg
            >>> x, w = gg.var("x", 2.0), gg.var("w", 3.0)
            >>> found = gg.ledger(gg.square((x * w).named("z")).named("J"), w)
            >>> found.chain(found.paths[0])
            '∂J/∂z · ∂z/∂w = 12 · 2 = 24'
        """
        symbols = " · ".join(self.wording.partial(*edge) for edge in path.edges)
        numbers = " · ".join(self.wording.factor(f) for f in path.factors)
        return f"{symbols} = {numbers} = {self.wording.number(path.product)}"

    def latex(self, path: Path) -> str:
        """Return the chain rule along one path in LaTeX."""
        wording = self.wording
        symbols = r" \cdot ".join(latex_partial(wording, *edge) for edge in path.edges)
        numbers = r" \cdot ".join(latex_factor(f, wording.digits) for f in path.factors)
        return f"{symbols} = {numbers} = {latex_number(path.product, wording.digits)}"

    def __repr__(self) -> str:
        lines = [_title(self)]
        for rows, right in _tables(self):
            lines += ["", *table(rows, right)]
        return "\n".join([*lines, "", *_sentences(self)])

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        text = str(self)
        tables = [html_table(rows, right) for rows, right in _tables(self)]
        first, *rest = [f"<p>{html.escape(t)}</p>" for t in (_title(self), *_sentences(self))]
        body = "".join([first, *tables, *rest])
        return {"text/plain": text, "text/html": f'<div class="graphgrad-ledger">{body}</div>'}


def _title(book: Ledger) -> str:
    names = book.wording.names
    bar = plain(adjoint(names[book.node]))
    root = names[book.tape.root]
    partial = f"∂{root}/∂{names[book.node]}"
    if book.total is None:
        return f"{partial}: no gradient"
    return f"{bar} = {partial} = {book.wording.short(book.total)}"


def _tables(book: Ledger) -> list[tuple[list[list[str]], str]]:
    found = []
    if book.contributions:
        found.append(_contributions(book))
    if book.paths and book.contributions:
        found.append(_paths(book))
    return found


def _contributions(book: Ledger) -> tuple[list[list[str]], str]:
    value = "contribution" if book.node.shape == () else "contribution  ‖·‖₂"
    rows = [["by edge", "upstream · local derivative", value, "share", "paths"]]
    rows += [_contribution(book, c) for c in book.contributions[:MOST_ROWS]]
    rest = book.contributions[MOST_ROWS:]
    if rest:
        size = math.fsum(c.share or 0 for c in rest)
        paths = sum(c.path_count for c in rest)
        rows.append([f"… {len(rest):,} more", "", "", percent(size, 1), whole(paths)])
    return rows, "  rrr"


def _contribution(book: Ledger, item: Contribution) -> list[str]:
    wording, (node, i) = book.wording, item.edge
    if scalar_edge(node):
        local = book.tape.local(node, i)
        up = adjoint(wording.names[node])
        product = f"{up} · {wording.partial(node, i)} = "
        product += f"{wording.factor(item.step.upstream)} · {wording.factor(local)}"
    else:
        product = wording.pullback(node, i)
    value = number(item.step.contribution) if book.node.shape == () else number(item.size)
    share = percent(math.nan if item.share is None else item.share, 1)
    return [
        f"{wording.names[node]} → {wording.names[book.node]}",
        plain(product),
        value,
        share,
        whole(item.path_count),
    ]


def _paths(book: Ledger) -> tuple[list[list[str]], str]:
    root = book.wording.names[book.tape.root]
    rows = [[f"by path, from {root} back", "local derivatives", "product", "share", ""]]
    return rows + [_path(book, p) for p in book.paths], "  rr"


def _path(book: Ledger, path: Path) -> list[str]:
    names = book.wording.names
    chain = [names[book.tape.root], *(names[e.source] for e in path.edges)]
    factors = [book.wording.factor(f) for f in path.factors]
    if len(factors) > MOST_FACTORS:
        cut = MOST_FACTORS // 2
        left_out = f"… {len(factors) - 2 * cut:,} more …"
        factors = [*factors[:cut], left_out, *factors[-cut:]]
    share = percent(math.nan if path.share is None else path.share, 1)
    why = f"← {path.killer.why}" if path.killer else ""
    return [joined(chain), " · ".join(factors), number(path.product), share, why]


def _sentences(book: Ledger) -> list[str]:
    if book.total is None:
        return [_no_gradient(book)]
    if not book.contributions:
        return ["It is the root: its adjoint is the seed, where the backward pass begins."]
    found = [_counts(book)]
    if not np.all(np.isfinite(book.total)):
        found.append("It is not finite: gg.certificate(loss) tells where that began.")
    if not book.scalar:
        found.append(
            "Arrays are on the way, so a path has no product of numbers; gg.expand(loss) gives "
            "the circuit of scalars, whose paths have."
        )
    else:
        found += [*_remaining(book), *_balance(book), *_deaths(book)]
    return found


def _counts(book: Ledger) -> str:
    edges = count(book.edges_visited, "edge")
    if book.path_count == 1:
        return f"1 path of {edges}."
    walked = count(book.path_length, "edge")
    return (
        f"{count(book.path_count, 'path')} of {walked} in all; backpropagation visits {edges}, "
        f"each once."
    )


def _remaining(book: Ledger) -> list[str]:
    assert book.positive is not None
    assert book.negative is not None
    shares = "Shares are of the sum of all magnitudes"
    scale = book.wording.number(book.positive - book.negative)
    rest = book.path_count - len(book.paths)
    if not rest:
        return [f"{shares}, {scale}."] if book.path_count > 1 else []
    value = book.positive + book.negative - math.fsum(p.product for p in book.paths)
    if abs(value) <= 1e-12 * (book.positive - book.negative):
        value = 0.0
    return [
        f"{shares}, {scale}; the {count(rest, 'path')} not listed "
        f"{'adds' if rest == 1 else 'add'} {book.wording.number(value)}."
    ]


def _balance(book: Ledger) -> list[str]:
    plus, minus = book.positive, book.negative
    if not plus or not minus or not math.isfinite(plus - minus):
        return []
    total = plus + minus
    digits = digits_for([plus, -minus])
    lost = 1 - abs(total) / (plus - minus)
    verb = "cancel to" if lost > 0.5 else "add up to"
    return [
        f"Positive and negative paths: +{number(plus, digits)} and {number(minus, digits)} {verb} "
        f"{number(total)} ({percent(lost, 1)} of the magnitude cancels)."
    ]


def _deaths(book: Ledger) -> list[str]:
    if not book.dead_count:
        return []
    verb = "carries" if book.dead_count == 1 else "carry"
    of = "The only path" if book.path_count == 1 else f"{count(book.dead_count, 'path')}"
    found = [f"{of} {verb} nothing, for a factor is 0:"]
    for killer in book.killers:
        paths = "" if killer.paths is None else f" ({count(killer.paths, 'path')})"
        partial = book.wording.partial(*killer.edge)
        found.append(f"  {partial} = 0, {killer.why}{paths}")
    return found


def _no_gradient(book: Ledger) -> str:
    node, name = book.node, book.wording.names[book.node]
    if node.primitive is CONSTANT:
        return f"{name} is a constant: no gradient is passed to it."
    if not dtypes.is_float(node.dtype):
        return f"{name} is {node.dtype}: only floating nodes carry gradients."
    if not node.active:
        return f"{name} depends on no variable: no gradient is passed to it."
    users = [n for n in book.tape.nodes if node in n.inputs]
    listed = ", ".join(f"{book.wording.names[n]} = {book.wording.operation(n)}" for n in users[:3])
    return f"No gradient reaches {name}: it is used only where none can pass, in {listed}."
