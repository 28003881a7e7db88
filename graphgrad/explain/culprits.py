"""How each mistake of `explain.mistakes` is made on a graph, and the sentence that explains it.

What one can do: ``CULPRITS[name](wording)`` runs the backward pass with that mistake and returns
an `Attempt`: its steps, what exactly was done, and the sentences for both outcomes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from graphgrad import dtypes
from graphgrad.explain.blunders import WrongPass, alike, depth_first, old_values, users_first
from graphgrad.explain.misremembered import misremembered
from graphgrad.explain.steps import Wording, adjoint, plain
from graphgrad.explain.tables import count
from graphgrad.graph import VARIABLE, Edge, Node
from graphgrad.recorder import BackwardStep, Tape

if TYPE_CHECKING:
    from graphgrad.explain.mistakes import WrongRun

__all__ = ["CULPRITS", "Attempt"]

MOST_TRIED = 8
"""Variables that are tried as the stale one until one makes a difference."""


@dataclass(frozen=True)
class Attempt:
    """A backward pass done wrong, and what there is to say about it."""

    what: str
    steps: list[BackwardStep]
    why: Callable[[WrongRun], str]
    why_not: Callable[[WrongRun], str]
    started: dict[Node, Any] = field(default_factory=dict)


def _attempt(
    done: WrongPass,
    what: str,
    why: Callable[[WrongRun], str],
    why_not: Callable[[WrongRun], str],
    left: dict[Node, Any] | None = None,
) -> Attempt:
    started = {done.tape.root: done.tape.seed, **(left or {})}
    return Attempt(what, done.steps, why, why_not, started)


# -- depth first -------------------------------------------------------------------------------


def _depth_first(wording: Wording) -> Attempt:
    tape = wording.tape
    done = WrongPass(tape)
    for edge in depth_first(tape):
        done.take(edge)
    what = "(visit(y): for x in inputs of y: x̄ += ȳ · ∂y/∂x, and visit(x) if it is new)"
    return _attempt(done, what, _too_early, _early_enough)


def _too_early(run: WrongRun) -> str:
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


def _early_enough(run: WrongRun) -> str:
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


# -- = for += ----------------------------------------------------------------------------------


def _overwrite(wording: Wording) -> Attempt:
    done = WrongPass(wording.tape)
    for edge in users_first(wording.tape):
        done.take(edge, overwrite=True)
    what = "(x̄ = ȳ · ∂y/∂x stands where x̄ += ȳ · ∂y/∂x should.)"
    return _attempt(done, what, _lost, _nothing_lost)


def _lost(run: WrongRun) -> str:
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


def _nothing_lost(run: WrongRun) -> str:
    shared = [n for n in run.tape.nodes if len(run.tape.arrivals(n)) > 1]
    if shared:
        return "Right on this graph: what is replaced makes no difference to any variable."
    return "Right on this graph: every node is used once, so there is nothing to add up."


# -- no zeroing --------------------------------------------------------------------------------


def _no_zeroing(wording: Wording) -> Attempt:
    tape, done = wording.tape, WrongPass(wording.tape)
    first = {n: tape.arrivals(n)[-1].after for n in tape.nodes if _gets_gradient(tape, n)}
    done.adjoint.update(first)
    for edge in users_first(tape):
        done.take(edge)
    what = "(Both passes are the same here, so every gradient doubles.)"
    return _attempt(done, what, _added_up, _all_zero, first)


def _gets_gradient(tape: Tape, node: Node) -> bool:
    return node.primitive is VARIABLE and bool(tape.arrivals(node))


def _added_up(run: WrongRun) -> str:
    node, short = run.wrong_nodes[0], run.wording.short
    bar = plain(adjoint(run.wording.names[node]))
    once = short(run.tape.adjoint(node))
    return (
        f"{bar} began at {once}, left by the first pass, and ended at {short(run.adjoint(node))}: "
        f"the sum of both passes, as with a forgotten optimizer.zero_grad() in PyTorch. (An "
        f"engine whose inner nodes keep theirs as well is further off.)"
    )


def _all_zero(run: WrongRun) -> str:
    return "Right on this graph: every variable's gradient is 0, and 0 + 0 = 0."


# -- a forgotten edge --------------------------------------------------------------------------


def _forgotten_edge(wording: Wording) -> Attempt:
    tape, done = wording.tape, WrongPass(wording.tape)
    left_out = _to_forget(tape)
    for edge in users_first(tape):
        if edge != left_out:
            done.take(edge)
    name = _edge(wording, left_out) if left_out else "none"
    return _attempt(done, f"The edge {name} is not passed.", _missing, _not_missed)


def _to_forget(tape: Tape) -> Edge | None:
    """Return the edge to forget: the second use of a node if there is one, else the last."""
    telling = [s for s in tape.backward if not alike(s.contribution, 0.0)]
    again = [s for s in telling if s.before is not None]
    leaves = [s for s in telling if s.edge.source.is_leaf]
    chosen = again or leaves or telling or tape.backward
    return chosen[0].edge if chosen else None


def _missing(run: WrongRun) -> str:
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


def _not_missed(run: WrongRun) -> str:
    return "Right on this graph: no variable's gradient depends on what the edge passes."


# -- a stale value -----------------------------------------------------------------------------


def _stale_value(wording: Wording) -> Attempt:
    tape = wording.tape
    floats = [n for n in tape.nodes if n.primitive is VARIABLE and dtypes.is_float(n.dtype)]
    floats.sort(key=lambda n: n.role != "parameter")
    found: Attempt | None = None
    for variable in floats[:MOST_TRIED]:
        attempt, wrong = _with_stale(wording, variable)
        if wrong:
            return attempt
        found = found or attempt
    empty = WrongPass(tape)
    for edge in users_first(tape):
        empty.take(edge)
    return found or _attempt(empty, "There is no variable to change.", _stale, _nothing_stale)


def _with_stale(wording: Wording, variable: Node) -> tuple[Attempt, bool]:
    tape, done = wording.tape, WrongPass(wording.tape)
    before, done.stale = old_values(tape, variable)
    for edge in users_first(tape):
        done.take(edge)
    name, short = wording.names[variable], wording.short
    now = short(tape.value(variable))
    what = f"{name} was {short(before)}, was set to {now}, and no forward pass followed."
    wrong = any(
        not alike(tape.adjoint(n), done.adjoint.get(n), n.dtype)
        for n in tape.nodes
        if n.primitive is VARIABLE
    )
    return _attempt(done, what, _stale, _nothing_stale), wrong


def _stale(run: WrongRun) -> str:
    row = next(r for r in run.rows if r.differs)
    assert row.wrong is not None
    node, i = row.wrong.edge
    wording, rule = run.wording, run.wording.rule(node, i)
    partial = wording.partial(node, i) + (f" = {rule}" if rule else "")
    return (
        f"{partial} was computed from results of the old forward pass; a backward pass is right "
        f"only with the values of the forward pass that belongs to it."
    )


def _nothing_stale(run: WrongRun) -> str:
    return "Right on this graph: no local derivative that matters reads a result that changed."


# -- a wrong local derivative ------------------------------------------------------------------


def _wrong_local(wording: Wording) -> Attempt:
    tape, done = wording.tape, WrongPass(wording.tape)
    slip = misremembered(wording, done)
    done.wrong = slip.rules
    for edge in users_first(tape):
        done.take(edge)

    def why(run: WrongRun) -> str:
        return f"{slip.why}; all that follows is multiplied by the wrong number."

    def why_not(run: WrongRun) -> str:
        return "Right on this graph: the wrong factor is multiplied by 0, or there is none."

    return _attempt(done, slip.what, why, why_not)


# -- words -------------------------------------------------------------------------------------


def _first_wrong(run: WrongRun) -> BackwardStep:
    step = next(r.wrong for r in run.rows if r.differs)
    assert step is not None
    return step


def _edge(wording: Wording, edge: Edge) -> str:
    node, i = edge
    again = f" (input {i + 1})" if node.inputs.count(edge.source) > 1 else ""
    return f"{wording.names[node]} → {wording.names[edge.source]}{again}"


CULPRITS: dict[str, Callable[[Wording], Attempt]] = {
    "depth-first": _depth_first,
    "overwrite": _overwrite,
    "no-zeroing": _no_zeroing,
    "forgotten-edge": _forgotten_edge,
    "stale-value": _stale_value,
    "wrong-local": _wrong_local,
}
