"""Birth certificates of nan and infinity: the first step at which one appears, and why.

What one can do: ``gg.certificate(loss)`` names the step, forward or backward, its operands, the
line that built the node, the way from there, and the repair where one is known. It is None when
every number of the run is finite.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphgrad.context import Source
from graphgrad.display import Printed
from graphgrad.errors import GraphError
from graphgrad.explain.births import Birth, born, first_bad
from graphgrad.explain.names import visible
from graphgrad.explain.repairs import masking, repairs
from graphgrad.explain.steps import Wording, adjoint, plain
from graphgrad.explain.tables import joined
from graphgrad.graph import VARIABLE, Node
from graphgrad.recorder import BackwardStep, ForwardStep, Tape

__all__ = ["Certificate", "certificate"]

MOST_NAMED = 6
"""Nodes that a sentence names."""


@dataclass(frozen=True, eq=False, repr=False)
class Certificate(Printed):
    """Where a non-finite number was born; made by `certificate`.

    Attributes:
        tape: the run.
        given: leaves whose value is not finite to begin with.
        birth: the first step with a non-finite result; None when only leaves are not finite.
        nan: where a later nan was born, when `birth` was of an infinity; None otherwise.
        path: the nodes it went through from its birth, along values when it was born forward,
            along adjoints when backward.
        values, adjoints: the nodes whose value, the variables whose gradient is not finite.
        repairs: what to write instead, where that is known.
    """

    tape: Tape
    given: list[Node]
    birth: Birth | None
    nan: Birth | None
    path: list[Node]
    values: list[Node]
    adjoints: list[Node]
    repairs: list[str]
    wording: Wording

    @property
    def step(self) -> ForwardStep | BackwardStep | None:
        """The first step of the tape with a non-finite result."""
        return self.birth.step if self.birth else None

    @property
    def node(self) -> Node:
        """The node computed, or passed through backwards, at that step; else the given leaf."""
        return self.birth.node if self.birth else self.given[0]

    @property
    def source(self) -> Source | None:
        """The line of Python, or the place in the text, that built the node."""
        return self.node.source

    @property
    def harmless(self) -> bool:
        """Whether the root and every gradient are finite all the same."""
        return not self.adjoints and bool(np.isfinite(self.tape.value(self.tape.root)).all())

    def __repr__(self) -> str:
        return "\n".join(_lines(self))


def certificate(graph: Node | Tape) -> Certificate | None:
    """Return where the first nan or infinity of a run was born; None when all is finite.

    Args:
        graph: a node, usually the loss, or a tape of it. Without a backward pass, of an array for
            example, the forward pass alone is searched.

    Raises:
        GraphError: when it is neither.

    Example:
        >>> import graphgrad as gg
        >>> x = gg.var("x", 0.0)
        >>> found = gg.certificate(gg.where(x > 0, gg.sqrt(x), 0.0))
        >>> found.birth.why
        'the upstream adjoint is 0 and the local derivative is infinite: 0 · ∞ = nan'
        >>> found.repairs[0]
        'choose the argument first: where(x > 0, sqrt(where(x > 0, x, 1)), 0)'
    """
    if not isinstance(graph, Node | Tape):
        raise GraphError(f"no certificate of {graph!r}: expected a graph node or its tape")
    tape = graph if isinstance(graph, Tape) else Tape(graph)
    given = [n for n in tape.nodes if n.is_leaf and not _finite(tape.value(n))]
    step = next((s for s in _steps(tape) if first_bad(s) is not None), None)
    if step is None and not given:
        return None
    wording = Wording(tape)
    birth = born(wording, step) if step else None
    nan = _later_nan(wording, birth)
    values = [s.node for s in tape.forward if not _finite(s.value)]
    adjoints = _bad_gradients(tape)
    path = _path(tape, birth, given, set(values))
    found = [b for b in (birth, nan) if b]
    fixes = dict.fromkeys(fix for b in found for fix in repairs(wording, b))
    return Certificate(tape, given, birth, nan, path, values, adjoints, list(fixes), wording)


def _finite(value: Any) -> bool:
    return bool(np.isfinite(value).all())


def _steps(tape: Tape) -> Iterator[ForwardStep | BackwardStep]:
    yield from tape.forward
    if tape.differentiable:
        yield from tape.backward


def _later_nan(wording: Wording, birth: Birth | None) -> Birth | None:
    """Return where a nan was born after an infinity."""
    if birth is None or np.isnan(birth.value):
        return None
    step = next((s for s in _steps(wording.tape) if first_bad(s, np.isnan) is not None), None)
    return born(wording, step, np.isnan) if step else None


def _bad_gradients(tape: Tape) -> list[Node]:
    if not tape.differentiable:
        return []
    return [
        n
        for n in tape.nodes
        if n.primitive is VARIABLE and (found := tape.adjoint(n)) is not None and not _finite(found)
    ]


def _path(tape: Tape, birth: Birth | None, given: list[Node], bad: set[Node]) -> list[Node]:
    if birth is None:
        return given[:1]
    if isinstance(birth.step, BackwardStep):
        return _downwards(tape, birth.step)
    before: dict[Node, Node | None] = {birth.node: None}
    for step in tape.forward[birth.step.index :]:
        carrier = next((x for x in step.node.inputs if x in before), None)
        if carrier is not None and step.node in bad:
            before[step.node] = carrier
    last: Node | None = tape.root if tape.root in before else next(reversed(before))
    return _followed(before, last)


def _downwards(tape: Tape, birth: BackwardStep) -> list[Node]:
    """Return the way of a number born backwards, down to the first variable it reaches."""
    before: dict[Node, Node | None] = {birth.edge.source: None}
    for step in tape.backward[birth.index :]:
        user, x = step.edge.node, step.edge.source
        if user in before and x not in before and not _finite(step.contribution):
            before[x] = user
    leaves = [n for n in before if n.primitive is VARIABLE]
    return _followed(before, leaves[0] if leaves else next(reversed(before)))


def _followed(before: dict[Node, Node | None], last: Node | None) -> list[Node]:
    path: list[Node] = []
    while last is not None:
        path.append(last)
        last = before[last]
    return path[::-1]


# -- words -------------------------------------------------------------------------------------


def _lines(found: Certificate) -> list[str]:
    lines = []
    if found.given:
        lines.append(f"Not finite as given: {_values(found, found.given)}.")
    if found.birth:
        lines += _birth_lines(found, found.birth)
        lines.append(f"from there   {_way(found)}")
    if found.nan:
        lines += ["", *_birth_lines(found, found.nan)]
    lines += [f"repair       {fix}" for fix in found.repairs]
    return [*lines, _outcome(found)]


def _birth_lines(found: Certificate, birth: Birth) -> list[str]:
    phase = "backward" if isinstance(birth.step, BackwardStep) else "forward"
    steps = found.tape.backward if phase == "backward" else found.tape.forward
    number = found.wording.number(birth.value)
    head = f"{number} is born in the {phase} pass, step {birth.step.index} of {len(steps)}"
    lines = [f"{head}: {plain(birth.formula)}", f"because      {birth.why}"]
    if birth.at:
        lines.append(f"at entry     [{', '.join(map(str, birth.at))}]")
    if birth.operands:
        operands = ", ".join(f"{plain(name)} = {value}" for name, value in birth.operands)
        lines.append(f"operands     {operands}")
    choice = None if birth.derived else masking(found.wording, birth)
    if choice is not None:
        text = f"{found.wording.names[choice.node]} = {found.wording.operation(choice.node)}"
        lines.append(f"not taken    {text} takes the other branch here")
    if birth.node.source is not None:
        lines.append(f"made at      {visible(repr(birth.node.source))}")
    return lines


def _way(found: Certificate) -> str:
    names = found.wording.names
    shown = [names[n] for n in found.path]
    if isinstance(found.step, BackwardStep):
        shown = [plain(adjoint(name)) for name in shown]
    ends = found.path[-1]
    if isinstance(found.step, ForwardStep) and ends is not found.tape.root:
        return f"{joined(shown)}, where it ends: what follows is finite"
    return joined(shown)


def _values(found: Certificate, nodes: list[Node]) -> str:
    wording = found.wording
    shown = []
    for node in nodes:
        name, value = wording.names[node], wording.short(found.tape.value(node))
        shown.append(value if name == value else f"{name} = {value}")
    more = f" and {len(nodes) - MOST_NAMED} more" if len(nodes) > MOST_NAMED else ""
    return ", ".join(shown[:MOST_NAMED]) + more


def _outcome(found: Certificate) -> str:
    if found.harmless:
        return "outcome      the result and all gradients are finite all the same"
    names, root = found.wording.names, found.tape.root
    value = f"{names[root]} = {found.wording.short(found.tape.value(root))}"
    if not found.adjoints:
        return f"outcome      {value}"
    bars = [plain(adjoint(names[n])) for n in found.adjoints[:MOST_NAMED]]
    more = len(found.adjoints) - MOST_NAMED
    listed = ", ".join(bars) + (f" and {more} more" if more > 0 else "")
    return f"outcome      {value}; not finite: {listed}"
