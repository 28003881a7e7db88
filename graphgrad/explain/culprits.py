"""How each mistake of `explain.mistakes` is made on a graph, and the sentence that explains it.

What one can do: ``CULPRITS[name](wording)`` runs the backward pass with that mistake and returns
an `Attempt`: its steps, what exactly was done, and the sentences for both outcomes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from graphgrad import dtypes
from graphgrad.explain.blunders import WrongPass, alike, depth_first, old_values, users_first
from graphgrad.explain.misremembered import misremembered
from graphgrad.explain.sidebyside import WrongRun
from graphgrad.explain.steps import Wording
from graphgrad.explain.verdicts import (
    added_up,
    all_zero,
    early_enough,
    lost,
    missing,
    not_missed,
    nothing_lost,
    nothing_stale,
    stale,
    too_early,
)
from graphgrad.graph import VARIABLE, Edge, Node
from graphgrad.recorder import BackwardStep, Tape

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
    return _attempt(done, what, too_early, early_enough)


# -- = for += ----------------------------------------------------------------------------------


def _overwrite(wording: Wording) -> Attempt:
    done = WrongPass(wording.tape)
    for edge in users_first(wording.tape):
        done.take(edge, overwrite=True)
    what = "(x̄ = ȳ · ∂y/∂x stands where x̄ += ȳ · ∂y/∂x should.)"
    return _attempt(done, what, lost, nothing_lost)


# -- no zeroing --------------------------------------------------------------------------------


def _no_zeroing(wording: Wording) -> Attempt:
    tape, done = wording.tape, WrongPass(wording.tape)
    first = {n: tape.arrivals(n)[-1].after for n in tape.nodes if _gets_gradient(tape, n)}
    done.adjoint.update(first)
    for edge in users_first(tape):
        done.take(edge)
    what = "(Both passes are the same here, so every gradient doubles.)"
    return _attempt(done, what, added_up, all_zero, first)


def _gets_gradient(tape: Tape, node: Node) -> bool:
    return node.primitive is VARIABLE and bool(tape.arrivals(node))


# -- a forgotten edge --------------------------------------------------------------------------


def _forgotten_edge(wording: Wording) -> Attempt:
    tape, done = wording.tape, WrongPass(wording.tape)
    left_out = _to_forget(tape)
    for edge in users_first(tape):
        if edge != left_out:
            done.take(edge)
    name = wording.edge(*left_out) if left_out else "none"
    return _attempt(done, f"The edge {name} is not passed.", missing, not_missed)


def _to_forget(tape: Tape) -> Edge | None:
    """Return the edge to forget: the second use of a node if there is one, else a variable's."""
    telling = [s for s in tape.backward if not alike(s.contribution, 0.0)]
    again = [s for s in telling if s.before is not None]
    leaves = [s for s in telling if s.edge.source.is_leaf]
    chosen = again or leaves or telling or tape.backward
    return chosen[0].edge if chosen else None


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
    return found or _attempt(empty, "There is no variable to change.", stale, nothing_stale)


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
    return _attempt(done, what, stale, nothing_stale), wrong


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


CULPRITS: dict[str, Callable[[Wording], Attempt]] = {
    "depth-first": _depth_first,
    "overwrite": _overwrite,
    "no-zeroing": _no_zeroing,
    "forgotten-edge": _forgotten_edge,
    "stale-value": _stale_value,
    "wrong-local": _wrong_local,
}
