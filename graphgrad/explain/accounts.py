"""The ledger's report: its tables and sentences, for a terminal and for a notebook.

What one can do: `ledger_lines` for plain text, `ledger_tables` for the parts of an HTML page.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from graphgrad import dtypes
from graphgrad.explain.numbers import digits_for, latex_number, number
from graphgrad.explain.steps import adjoint, plain, scalar_edge
from graphgrad.explain.tables import count, html_table, joined, percent, table, whole
from graphgrad.explain.typeset import latex_factor, latex_partial
from graphgrad.graph import CONSTANT

if TYPE_CHECKING:
    from graphgrad.explain.ledger import Contribution, Ledger, Path

__all__ = ["chain_latex", "chain_text", "ledger_lines", "ledger_tables"]

MOST_ROWS = 20
"""Contributions that are listed one by one."""
MOST_FACTORS = 8
"""Factors of a path that are written out."""


def ledger_lines(book: Ledger) -> list[str]:
    """Return the report as lines of plain text."""
    lines = [_title(book)]
    for rows, right in _tables(book):
        lines += ["", *table(rows, right)]
    return [*lines, "", *_sentences(book)]


def ledger_tables(book: Ledger) -> list[str]:
    """Return the report as parts: HTML tables, and sentences of plain text between them."""
    tables = [html_table(rows, right) for rows, right in _tables(book)]
    return [_title(book), *tables, *_sentences(book)]


def chain_text(book: Ledger, path: Path) -> str:
    """Return the chain rule along one path as text."""
    wording = book.wording
    symbols = " · ".join(wording.partial(*edge) for edge in path.edges)
    numbers = " · ".join(wording.factor(f) for f in path.factors)
    return f"{symbols} = {numbers} = {wording.number(path.product)}"


def chain_latex(book: Ledger, path: Path) -> str:
    """Return the chain rule along one path in LaTeX."""
    wording = book.wording
    symbols = r" \cdot ".join(latex_partial(wording, *edge) for edge in path.edges)
    numbers = r" \cdot ".join(latex_factor(f, wording.digits) for f in path.factors)
    return f"{symbols} = {numbers} = {latex_number(path.product, wording.digits)}"


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
