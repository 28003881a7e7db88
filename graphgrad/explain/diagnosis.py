"""What a wrong answer means: the numbers that typical mistakes lead to, likeliest first.

What one can do: `guesses` of a question gives pairs of number and sentence; the quiz matches an
answer against them. Each number is made from the tape and the rule book, none is typed in.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator
from functools import partial
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from graphgrad.errors import GraphError
from graphgrad.explain.catalogue import MISTAKES
from graphgrad.explain.formulas import local_template
from graphgrad.explain.misremembered import slip_of
from graphgrad.explain.mistakes import run_mistake
from graphgrad.explain.steps import Wording, adjoint, plain, scalar_edge
from graphgrad.graph import Edge, Node
from graphgrad.ops.define import Elementwise
from graphgrad.recorder import BackwardStep

__all__ = ["Guess", "adjoint_guesses", "local_guesses", "rule_or_hint", "value_guesses"]

MOST_STEPS = 500
"""Steps of a graph up to which whole wrong passes are run to explain an answer."""
MOST_USERS = 6
"""Contributions up to which every way to forget some of them is tried."""
OTHERS: dict[str, Callable[[Any, Any], Any]] = {
    "sum": operator.add, "difference": operator.sub, "product": operator.mul,
    "quotient": operator.truediv,
}  # fmt: skip


class Guess(NamedTuple):
    """A number that a mistake leads to, and the sentence that names the mistake."""

    value: Any
    message: str


def _bar(wording: Wording, node: Node) -> str:
    return plain(adjoint(wording.names[node]))


def _upstream(wording: Wording, step: BackwardStep) -> str:
    return f"{_bar(wording, step.edge.node)} = {wording.short(step.upstream)}"


# -- a value -----------------------------------------------------------------------------------


def value_guesses(wording: Wording, node: Node) -> Iterator[Guess]:
    """Yield wrong values of a computed node."""
    tape, name = wording.tape, wording.names[node]
    y: Any = tape.value(node)
    xs: list[Any] = [tape.value(x) for x in node.inputs]
    shown = f"{name} = {wording.operation(node)}"
    if len(xs) == 2:
        with np.errstate(all="ignore"):
            yield from _two_operands(wording, node, xs, shown)
    for x, value in zip(node.inputs, xs, strict=True):
        yield Guess(value, f"That is {wording.names[x]}, before the operation: {shown}.")
    yield Guess(-y, f"The sign is wrong: {shown}.")
    if tape.differentiable and tape.adjoint(node) is not None:
        yield Guess(
            tape.adjoint(node),
            f"That is the adjoint {_bar(wording, node)}; asked is the value {name}.",
        )


def _two_operands(wording: Wording, node: Node, xs: list[Any], shown: str) -> Iterator[Guess]:
    if not node.primitive.commutative:
        swapped = _try(lambda: node.primitive.forward(*map(np.asarray, xs[::-1]), **node.settings))
        yield Guess(swapped, f"The operands have changed places: {shown}.")
    for word, function in OTHERS.items():
        a, b = (wording.names[x] for x in node.inputs)
        value = _try(partial(function, *map(np.asarray, xs)))
        yield Guess(value, f"That is the {word} of {a} and {b}, but {shown}.")


# -- a local derivative ------------------------------------------------------------------------


def rule_or_hint(wording: Wording, edge: Edge) -> str:
    """Return the rule of an edge in symbols; where it is a mere number, what to differentiate."""
    (node, i), x = edge, edge.source
    rule = wording.rule(node, i)
    if rule and "#" in local_template(node, i):
        return f"{wording.partial(node, i)} = {rule}"
    return f"differentiate {wording.operation(node)} by {wording.names[x]} alone"


def local_guesses(wording: Wording, edge: Edge) -> Iterator[Guess]:
    """Yield wrong local derivatives of a scalar edge."""
    tape, (node, i), x = wording.tape, edge, edge.source
    local: Any = tape.local(node, i)
    asked, correct = wording.partial(node, i), rule_or_hint(wording, edge)
    step = tape.step_of(node, i) if tape.differentiable else None
    yield Guess(-local, f"The sign is wrong: {correct}.")
    if step is not None:
        yield Guess(
            step.contribution,
            f"That is the contribution, with the upstream adjoint {_upstream(wording, step)} in "
            f"it; {asked} is about this one operation alone.",
        )
    yield from _wrong_rules(wording, edge, 1.0, correct)
    for j, other in enumerate(node.inputs):
        if other is not x and node.primitive.has_rule(j):
            yield Guess(
                tape.local(node, j), f"That is {wording.partial(node, j)}: another input's."
            )
    if local:
        yield Guess(1 / local, f"That is upside down: asked is {asked}, how the result moves.")
    yield Guess(tape.value(x), f"That is the value of {wording.names[x]}; {correct}.")
    yield Guess(tape.value(node), f"That is the value of {wording.names[node]}; {correct}.")
    if step is not None:
        yield Guess(step.upstream, f"That is the upstream adjoint {_bar(wording, node)}.")


def _wrong_rules(wording: Wording, edge: Edge, upstream: Any, correct: str) -> Iterator[Guess]:
    """Yield what the operation's rule gives when it is misread or misremembered."""
    (node, i), p = edge, edge.node.primitive
    if not isinstance(p, Elementwise):
        return
    step = next(s for s in wording.tape.forward if s.node is node)
    xs, y = list(step.operands), step.value
    turned = [y if k == i else x for k, x in enumerate(xs)]
    with np.errstate(all="ignore"):
        swapped = _try(lambda: upstream * p.partial(i, xs[i], turned, node.settings))
        a, b = wording.names[node], wording.names[edge.source]
        yield Guess(swapped, f"Input and result have changed places, {b} and {a}: {correct}.")
        slip = slip_of(node, i)
        if slip is not None:
            value = _try(lambda: upstream * slip.local(y, tuple(xs)))
            yield Guess(value, f"In the rule of {node.op}, {slip.why}: {correct}.")


# -- an adjoint --------------------------------------------------------------------------------


def adjoint_guesses(wording: Wording, node: Node, passes: bool = True) -> Iterator[Guess]:
    """Yield wrong adjoints of a node.

    Args:
        wording: names and numbers of the run.
        node: whose adjoint was asked for.
        passes: whether to run whole wrong backward passes too, which takes time.
    """
    tape, bar = wording.tape, _bar(wording, node)
    arrivals = list(tape.arrivals(node))
    right: Any = tape.adjoint(node)
    if len(arrivals) > 1:
        yield from _forgotten(wording, arrivals)
    for step in arrivals:
        if scalar_edge(step.edge.node) and node.shape == ():
            yield from _one_edge(wording, step, right)
    yield Guess(-right, "The sign is wrong.")
    if all(scalar_edge(s.edge.node) for s in arrivals):
        locals_: list[Any] = [tape.local(*s.edge) for s in arrivals]
        yield Guess(
            _try(lambda: sum(locals_)),
            "The local derivatives were not multiplied by their upstream adjoints.",
        )
    yield Guess(
        _try(lambda: math.prod(s.contribution for s in arrivals)),
        "The contributions of several users add up; they are not multiplied.",
    )
    yield Guess(tape.value(node), f"That is the value {wording.names[node]}, not {bar}.")
    yield Guess(2 * right, "That is twice as much: two passes without zeroing in between?")
    if passes:
        yield from _wrong_passes(wording, node)


def _forgotten(wording: Wording, arrivals: list[BackwardStep]) -> Iterator[Guess]:
    """Yield the sums that lack some contributions, those that lack fewest first."""
    parts = [wording.short(s.contribution) for s in arrivals]
    total = " + ".join(f"({p})" if p.startswith("−") else p for p in parts)
    n = len(arrivals)
    sizes = range(n - 1, 0, -1) if n <= MOST_USERS else (n - 1, 1)
    for size in sizes:
        for kept in combinations(arrivals, size):
            missing = [s.edge for s in arrivals if s not in kept]
            listed = ", ".join(wording.edge(*e) for e in missing[:3])
            many = "path" if len(missing) == 1 else "paths"
            yield Guess(
                _try(partial(sum, [s.contribution for s in kept])),
                f"You forgot the {many} along {listed}: the contributions are {total}.",
            )


def _one_edge(wording: Wording, step: BackwardStep, right: Any) -> Iterator[Guess]:
    """Yield the sums with one contribution done wrong."""
    local: Any = wording.tape.local(*step.edge)
    name, up = wording.partial(*step.edge), _upstream(wording, step)
    part, others = step.contribution, right - step.contribution
    rule = wording.rule(*step.edge)
    factor = f"{name} = {wording.short(local)}"
    correct = f"{name} = {rule}" if rule else factor
    yield Guess(
        others + local,
        f"That has the local derivative {name} as it is: multiply it by the upstream adjoint {up}.",
    )
    yield Guess(
        others + step.upstream,
        f"That has the upstream adjoint {up} as it is: multiply it by the local derivative "
        f"{factor}.",
    )
    for guess in _wrong_rules(wording, step.edge, step.upstream, correct):
        if guess.value is not None:
            yield Guess(others + guess.value, guess.message)
    yield Guess(others - part, f"The sign of {factor} is wrong.")
    yield Guess(others + step.upstream + local, f"{up} and {factor} are multiplied, not added.")


def _wrong_passes(wording: Wording, node: Node) -> Iterator[Guess]:
    """Yield what whole backward passes with a mistake in them give."""
    if len(wording.tape.backward) > MOST_STEPS:
        return
    for name in MISTAKES:
        run = run_mistake(name, wording.tape)
        value = run.adjoint(node)
        if value is not None:
            yield Guess(value, f"That is what comes out with this mistake: {run.mistake.title}.")


def _try(compute: Callable[[], Any]) -> Any:
    """Return a number, or None where the mistake leads to no number at all."""
    try:
        value = np.asarray(compute(), float)
    except (GraphError, ArithmeticError, TypeError, ValueError):
        return None
    return value if np.isfinite(value).all() else None
