"""Commands for breakpoints and watches: break, delete, watch, unwatch, info."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from graphgrad.errors import GraphError
from graphgrad.stepping.breakpoints import read
from graphgrad.stepping.registry import command, whole_number
from graphgrad.stepping.text import Text, joined, lines, styled

if TYPE_CHECKING:
    from graphgrad.stepping.session import Session

GROUP = "stopping"


@command("break [WHERE]", "br", group=GROUP, takes="break")
def break_(session: Session, argument: str) -> str:
    """Set a breakpoint, where run stops, or list them.

    break v2               when v₂ is computed, or its adjoint gets a contribution
    break op:mul           at each step of this operation, forward and backward
    break arrive:w:2       when the second contribution reaches the adjoint of w
    break nan              where a nan or an infinity is born
    break if |grad| > 1e3  when the adjoint of some node gets that large
    break w if grad < 0    a place and a condition

    A condition compares grad, |grad|, value or |value| by < <= > >= == with a
    number; of an array it asks whether it holds for some entry. Values change in
    the forward pass, grads in the backward pass.
    """
    if not argument:
        return lines(_breakpoints(session)) or "no breakpoints"
    state = session.state
    number = max((b.number for b in state.breakpoints), default=0) + 1
    made = read(argument, session.nodes, number)
    session.state = replace(state, breakpoints=(*state.breakpoints, made))
    return f"breakpoint {number}: {made.text(session.view.names)}"


@command("delete [N | all]", "del", group=GROUP, takes="number")
def delete(session: Session, argument: str) -> str:
    """Delete breakpoint N, or all of them."""
    state = session.state
    if argument in ("", "all"):
        session.state = replace(state, breakpoints=())
        return f"deleted {len(state.breakpoints)} breakpoints"
    number = whole_number(argument, "delete")
    kept = tuple(b for b in state.breakpoints if b.number != number)
    if len(kept) == len(state.breakpoints):
        listed = ", ".join(str(b.number) for b in kept) or "none"
        raise GraphError(f"no breakpoint {number} among {listed}")
    session.state = replace(state, breakpoints=kept)
    return f"deleted breakpoint {number}"


@command("watch [NODE]", group=GROUP, takes="node")
def watch(session: Session, argument: str) -> str:
    """Show a node's value and adjoint after each move.

    Without NODE, show what is watched.
    """
    state = session.state
    if not argument:
        return lines(_watches(session)) or "nothing is watched"
    node = session.nodes.find(argument)
    if node not in state.watches:
        session.state = replace(state, watches=(*state.watches, node))
    return joined(["watch ", session.view.state(node, state.position)])


@command("unwatch [NODE]", group=GROUP, takes="node")
def unwatch(session: Session, argument: str) -> str:
    """Watch a node no longer; without NODE, none."""
    state = session.state
    if not argument:
        session.state = replace(state, watches=())
        return f"{len(state.watches)} nodes no longer watched"
    node = session.nodes.find(argument)
    name = session.view.names[node]
    if node not in state.watches:
        raise GraphError(f"{name} is not watched")
    session.state = replace(state, watches=tuple(n for n in state.watches if n is not node))
    return f"{name} is no longer watched"


@command("info", "i", group=GROUP)
def info(session: Session, argument: str) -> str:
    """Show the graph, the moment, breakpoints and watches."""
    last = len(session.timeline) - 1
    number = session.timeline.number(session.position)
    told: list[str] = [
        styled("title", session.view.title()),
        f"moment {number} of {last}",
        session.view.sentence(session.position),
        *(_breakpoints(session) or [Text("no breakpoints")]),
        *(_watches(session) or [Text("nothing is watched")]),
    ]
    if session.state.mistake:
        told.append(f"mistake {session.state.mistake} is on")
    return lines(told)


def _breakpoints(session: Session) -> list[Text]:
    names, breakpoints = session.view.names, session.state.breakpoints
    return [Text(f"breakpoint {b.number}: {b.text(names)}") for b in breakpoints]


def _watches(session: Session) -> list[Text]:
    view, at = session.view, session.position
    return [joined(["watch ", view.state(node, at)]) for node in session.state.watches]
