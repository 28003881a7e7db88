"""Commands that go to another moment: next, node, back, goto, forward, backward, run, restart."""

from __future__ import annotations

from graphgrad.errors import GraphError
from graphgrad.recorder import BackwardStep
from graphgrad.stepping.nodes import quoted
from graphgrad.stepping.registry import command, whole_number
from graphgrad.stepping.text import Text, joined, lines, styled
from graphgrad.stepping.timeline import Position
from graphgrad.stepping.workspace import Workspace

GROUP = "moving"
TOLD = 20
"""Steps passed at once that are told one by one."""


def _go(work: Workspace, number: int, tell: bool = False) -> Text:
    """Go to the moment of that number; tell the moments on the way if asked."""
    line, here = work.timeline, work.timeline.number(work.position)
    way = range(here + 1, number + 1) if number > here else range(here - 1, number - 1, -1)
    passed: list[Position] = [line.at(k) for k in way[-TOLD:]] if tell else []
    more = len(way) - len(passed) if tell else 0
    note = styled("muted", f"… {more} steps …") if more else ""
    return lines([note, work.move(line.at(number), passed)])


@command("next [N]", "n", group=GROUP, moves=True)
def next_(work: Workspace, argument: str) -> str:
    """Make one step, or N steps.

    Forward, a step computes one node. Backward, it passes one edge: the adjoint
    of the edge's output times the local derivative goes to the adjoint of its
    input. Between the two passes lies the start of the backward pass, where the
    root's adjoint is 1.
    """
    count = whole_number(argument, "next", 1)
    here, end = work.timeline.number(work.position), len(work.timeline) - 1
    if here == end:
        raise GraphError(_at_the_end(work))
    return _go(work, min(here + count, end), tell=True) if count else ""


def _at_the_end(work: Workspace) -> str:
    why = work.timeline.why_forward_only()
    note = f"\nthere is no backward pass: {why}" if why else ""
    return f"all steps are made: back, goto K and restart go to an earlier moment{note}"


@command("node", group=GROUP, moves=True)
def node(work: Workspace, argument: str) -> str:
    """Finish this node: pass its adjoint along all its edges.

    At the end of a node, that is the next node with all its edges. Forward, it is
    one step, for there a node is computed in one.
    """
    _no_argument("node", argument)
    line, here = work.timeline, work.timeline.number(work.position)
    last = len(line) - 1
    if here == last:
        raise GraphError(_at_the_end(work))
    end = here + 1
    first = line.step(line.at(end))
    while isinstance(first, BackwardStep) and end < last:
        following = line.step(line.at(end + 1))
        if not isinstance(following, BackwardStep) or following.edge.node is not first.edge.node:
            break
        end += 1
    return _go(work, end, tell=True)


@command("back [N]", "b", group=GROUP, moves=True)
def back(work: Workspace, argument: str) -> str:
    """Go one step back, or N; all is again as it was there."""
    count = whole_number(argument, "back", 1)
    here = work.timeline.number(work.position)
    if not here:
        raise GraphError("this is the start: nothing is computed yet")
    return _go(work, max(here - count, 0)) if count else ""


@command("goto K", "g", group=GROUP)
def goto(work: Workspace, argument: str) -> str:
    """Go to moment K, the number in square brackets.

    goto 7 is moment 7 of all. goto backward 2 is the moment after two backward
    steps, and goto forward 0 the start.
    """
    line = work.timeline
    words = argument.split()
    phase = words[0] if len(words) == 2 else ""
    if phase:
        most, k = line.steps_of(phase), whole_number(words[1], "goto")
        position = Position(phase, k)
    else:
        most, k = len(line) - 1, whole_number(argument, "goto")
        position = line.at(k)
    if k > most:
        where = f"the {phase} pass has steps" if phase else "there are moments"
        raise GraphError(f"goto {argument}: {where} 0 to {most}")
    return work.move(position)


@command("forward", "f", group=GROUP)
def forward(work: Workspace, argument: str) -> str:
    """Go to the start of the forward pass.

    Only the leaves have values there.
    """
    _no_argument("forward", argument)
    return work.move(Position("forward", 0))


@command("backward", "bw", group=GROUP)
def backward(work: Workspace, argument: str) -> str:
    """Go to the start of the backward pass.

    All values are known there, and the root's adjoint.
    """
    _no_argument("backward", argument)
    work.timeline.steps_of("backward")
    return work.move(Position("backward", 0))


@command("run [back]", "r", "c", "continue", group=GROUP, moves=True)
def run(work: Workspace, argument: str) -> str:
    """Go on to the next breakpoint, or to the end.

    run back goes to the breakpoint before, or to the start.
    """
    if argument not in ("", "back"):
        raise GraphError(f"run {quoted(argument)}: expected run, or run back")
    line, here = work.timeline, work.timeline.number(work.position)
    last = len(line) - 1
    if here == (0 if argument else last):
        raise GraphError("this is the start" if argument else _at_the_end(work))
    way = range(here - 1, -1, -1) if argument else range(here + 1, last + 1)
    found = next((k for k in way if _stops(work, k)), way[-1])
    made = abs(found - here)
    note = f"{made} step{'s' if made > 1 else ''} {'back' if argument else 'made'}"
    return joined([styled("muted", note), work.move(line.at(found))], "\n")


def _stops(work: Workspace, number: int) -> bool:
    breakpoints = work.state.breakpoints
    event = work.timeline.event(work.timeline.at(number)) if breakpoints else None
    return event is not None and any(b.hit(event) for b in breakpoints)


@command("restart", group=GROUP)
def restart(work: Workspace, argument: str) -> str:
    """Go to the very start; breakpoints and watches stay."""
    _no_argument("restart", argument)
    return work.move(Position("forward", 0))


def _no_argument(name: str, argument: str) -> None:
    if argument:
        raise GraphError(f"{name} takes no argument, got {quoted(argument)}")
