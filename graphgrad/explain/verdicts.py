"""The sentence on each mistake: why the result is wrong, or why it is right all the same.

What one can do: call one of these with a finished `WrongRun`; `explain.culprits` pairs them.
"""

from __future__ import annotations

from graphgrad.explain.sidebyside import WrongRun
from graphgrad.explain.steps import adjoint, plain
from graphgrad.explain.tables import count
from graphgrad.graph import Node
from graphgrad.recorder import BackwardStep, Tape

__all__ = [
    "added_up", "all_zero", "early_enough", "lost", "missing", "not_missed", "nothing_lost",
    "nothing_stale", "stale", "too_early",
]  # fmt: skip


def too_early(run: WrongRun) -> str:
    """Say which node passed its adjoint on before it was complete."""
    node = _first_wrong(run).edge.node
    step = next(s for s in run.steps if s.edge.node is node)
    users = len(run.tape.arrivals(node))
    heard = sum(s.index < step.index for s in run.steps if s.edge.source is node)
    bar = plain(adjoint(run.wording.names[node]))
    had, right = run.wording.short(step.upstream), run.wording.short(run.tape.adjoint(node))
    return (
        f"{run.wording.names[node]} passed on {bar} = {had} when {heard} of its "
        f"{count(users, 'contribution')} had arrived, and what came later never went further; in "
        f"topological order a node waits until {bar} = {right} is complete."
    )


def early_enough(run: WrongRun) -> str:
    """Say why the order makes no difference here."""
    shared = [n for n in run.tape.nodes if not n.is_leaf and len(run.tape.arrivals(n)) > 1]
    if shared:
        names = ", ".join(run.wording.names[n] for n in shared[:3])
        reason = (
            f"{names} is used more than once, but what came too late changes no variable's gradient"
        )
    else:
        reason = "no computed node has two users, so each passes on a complete adjoint"
    walked, edges = _walked(run.tape), len(run.tape.backward)
    steps = f"{count(walked, 'step')} here in place of {edges:,}"
    return (
        f"Right on this graph: {reason}. (Recursion that passes on every contribution by itself "
        f"is always right, but takes a step per edge of every path: "
        f"{steps if walked > edges else 'just as many here, but many more with reuse'}.)"
    )


def _walked(tape: Tape) -> int:
    """Return how many steps a recursion takes that walks every path to its end."""
    paths, steps = {tape.root: 1}, 0
    for step in tape.backward:
        here = paths[step.edge.node]
        steps += here
        paths[step.edge.source] = paths.get(step.edge.source, 0) + here
    return steps


def lost(run: WrongRun) -> str:
    """Say what the first replaced contribution was."""
    row = next(r for r in run.rows if r.differs)
    assert row.right is not None
    node, short = row.right.edge.source, run.wording.short
    bar = plain(adjoint(run.wording.names[node]))
    return (
        f"{count(len(run.tape.arrivals(node)), 'contribution')} arrive at "
        f"{run.wording.names[node]}; the one of this step replaced {bar} = "
        f"{short(row.right.before)} in place of adding to it, but a gradient is the sum over all "
        f"paths."
    )


def nothing_lost(run: WrongRun) -> str:
    """Say why nothing was lost."""
    shared = [n for n in run.tape.nodes if len(run.tape.arrivals(n)) > 1]
    if shared:
        return "Right on this graph: what is replaced makes no difference to any variable."
    return "Right on this graph: every node is used once, so there is nothing to add up."


def added_up(run: WrongRun) -> str:
    """Say how a gradient became the sum of two passes."""
    node, short = run.wrong_nodes[0], run.wording.short
    bar = plain(adjoint(run.wording.names[node]))
    once = short(run.tape.adjoint(node))
    return (
        f"{bar} began at {once}, left by the first pass, and ended at {short(run.adjoint(node))}: "
        f"the sum of both passes, as with a forgotten optimizer.zero_grad() in PyTorch. (An "
        f"engine whose inner nodes keep theirs as well is further off.)"
    )


def all_zero(run: WrongRun) -> str:
    """Say why two passes make no difference."""
    return "Right on this graph: every variable's gradient is 0, and 0 + 0 = 0."


def missing(run: WrongRun) -> str:
    """Say what the forgotten edge would have brought."""
    row = next(r for r in run.rows if r.differs)
    assert row.right is not None
    node, short = row.right.edge.source, run.wording.short
    bar = plain(adjoint(run.wording.names[node]))
    return (
        f"Its contribution {short(row.right.contribution)} never reached {bar}: "
        f"{short(run.tape.adjoint(node))} became {_or_none(run, node)}; every use of a node is an "
        f"edge, and every edge counts."
    )


def _or_none(run: WrongRun, node: Node) -> str:
    value = run.adjoint(node)
    return "no gradient at all" if value is None else run.wording.short(value)


def not_missed(run: WrongRun) -> str:
    """Say why the forgotten edge makes no difference."""
    return "Right on this graph: no variable's gradient depends on what the edge passes."


def stale(run: WrongRun) -> str:
    """Say which local derivative was computed from old results."""
    row = next(r for r in run.rows if r.differs)
    assert row.wrong is not None
    node, i = row.wrong.edge
    wording, rule = run.wording, run.wording.rule(node, i)
    partial = wording.partial(node, i) + (f" = {rule}" if rule else "")
    return (
        f"{partial} was computed from results of the old forward pass; a backward pass is right "
        f"only with the values of the forward pass that belongs to it."
    )


def nothing_stale(run: WrongRun) -> str:
    """Say why old results make no difference."""
    return "Right on this graph: no local derivative that matters reads a result that changed."


def _first_wrong(run: WrongRun) -> BackwardStep:
    step = next(r.wrong for r in run.rows if r.differs)
    assert step is not None
    return step
