"""Commands for breakpoints and watches: break, delete, watch, unwatch, info."""

from __future__ import annotations

from dataclasses import replace

from graphgrad.errors import GraphError
from graphgrad.stepping.breakpoints import read
from graphgrad.stepping.registry import command, whole_number
from graphgrad.stepping.text import Text, joined, lines, styled
from graphgrad.stepping.workspace import Workspace

GROUP = "stopping"


@command("break [WHERE]", "br", group=GROUP, takes="break")
def break_(work: Workspace, argument: str) -> str:
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
        return lines(_breakpoints(work)) or "no breakpoints"
    state = work.state
    number = max((b.number for b in state.breakpoints), default=0) + 1
    made = read(argument, work.nodes, number)
    work.state = replace(state, breakpoints=(*state.breakpoints, made))
    return f"breakpoint {number}: {made.text(work.view.names)}"


@command("delete [N | all]", "del", group=GROUP, takes="number")
def delete(work: Workspace, argument: str) -> str:
    """Delete breakpoint N, or all of them."""
    state = work.state
    if argument in ("", "all"):
        work.state = replace(state, breakpoints=())
        return f"deleted {len(state.breakpoints)} breakpoints"
    number = whole_number(argument, "delete")
    kept = tuple(b for b in state.breakpoints if b.number != number)
    if len(kept) == len(state.breakpoints):
        listed = ", ".join(str(b.number) for b in kept) or "none"
        raise GraphError(f"no breakpoint {number} among {listed}")
    work.state = replace(state, breakpoints=kept)
    return f"deleted breakpoint {number}"


@command("watch [NODE]", group=GROUP, takes="node")
def watch(work: Workspace, argument: str) -> str:
    """Show a node's value and adjoint after each move.

    Without NODE, show what is watched.
    """
    state = work.state
    if not argument:
        return lines(_watches(work)) or "nothing is watched"
    node = work.nodes.find(argument)
    if node not in state.watches:
        work.state = replace(state, watches=(*state.watches, node))
    return joined(["watch ", work.view.state(node, state.position)])


@command("unwatch [NODE]", group=GROUP, takes="node")
def unwatch(work: Workspace, argument: str) -> str:
    """Watch a node no longer; without NODE, none."""
    state = work.state
    if not argument:
        work.state = replace(state, watches=())
        return f"{len(state.watches)} nodes no longer watched"
    node = work.nodes.find(argument)
    name = work.view.names[node]
    if node not in state.watches:
        raise GraphError(f"{name} is not watched")
    work.state = replace(state, watches=tuple(n for n in state.watches if n is not node))
    return f"{name} is no longer watched"


@command("info", "i", group=GROUP)
def info(work: Workspace, argument: str) -> str:
    """Show the graph, the moment, breakpoints and watches."""
    last = len(work.timeline) - 1
    number = work.timeline.number(work.position)
    told: list[str] = [
        styled("title", work.view.title()),
        f"moment {number} of {last}",
        work.view.sentence(work.position),
        *(_breakpoints(work) or [Text("no breakpoints")]),
        *(_watches(work) or [Text("nothing is watched")]),
    ]
    if work.state.mistake:
        told.append(f"mistake {work.state.mistake} is on")
    return lines(told)


def _breakpoints(work: Workspace) -> list[Text]:
    names, breakpoints = work.view.names, work.state.breakpoints
    return [Text(f"breakpoint {b.number}: {b.text(names)}") for b in breakpoints]


def _watches(work: Workspace) -> list[Text]:
    view, at = work.view, work.position
    return [joined(["watch ", view.state(node, at)]) for node in work.state.watches]
