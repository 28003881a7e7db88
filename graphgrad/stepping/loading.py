"""Bringing a saved session back: everything is checked first, and a failure changes nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from graphgrad.errors import GraphError, ShapeError
from graphgrad.graph import VARIABLE, Node, as_value
from graphgrad.parser import parse
from graphgrad.recorder import Tape
from graphgrad.stepping import saving
from graphgrad.stepping.nodes import quoted
from graphgrad.stepping.saving import Saved
from graphgrad.stepping.workspace import Workspace

__all__ = ["apply", "parsed"]

PHASES = ("forward", "backward")


def apply(work: Workspace, saved: Saved, file: str) -> None:
    """Put a session where a saved one was.

    Args:
        work: of a session on the same graph; or on any, when the saved one has an expression.
        saved: as read.
        file: its name, for messages.

    Raises:
        GraphError: when it does not fit; then the session and the graph are as they were.
    """
    file = quoted(file, 200)
    same = saving.fingerprint(work.tape.nodes) == saved.graph
    if same:
        root, expression, cotangent = work.tape.root, work.expression, work.cotangent
    else:
        root, expression, cotangent = parsed(saved, file), saved.expression, None
    nodes = work.tape.nodes if same else Tape(root).nodes
    values = _values(saved, nodes, file)
    state = _state(work, saved, nodes, file)
    tape, old = work.tape, (work.expression, work.cotangent, work.state)
    before = [(n, n.value) for n in nodes if n.primitive is VARIABLE]
    try:
        for node, value in values:
            node.value = value
        work.expression, work.cotangent, work.state = expression, cotangent, state
        work.record(Tape(root, cotangent))
        _check_position(work, file)
    except BaseException:
        for node, value in before:
            node.value = value
        work.expression, work.cotangent, work.state = old
        work.record(tape)
        raise


def parsed(saved: Saved, file: str) -> Node:
    """Return the graph of a session's expression, with its values."""
    if not saved.expression:
        raise GraphError(
            f"{file} is of another graph, made in Python: load it into a session on that "
            f"graph. Its variables are {_listed([name for name, _ in saved.values])}"
        )
    try:
        root = parse(saved.expression, **dict(saved.values))
    except (GraphError, TypeError) as problem:
        raise GraphError(f"the expression in {file}: {problem}") from None
    return root


def _listed(names: list[str]) -> str:
    shown = ", ".join(quoted(name) for name in names[:8])
    return (shown or "none") + ", …" * (len(names) > 8)


def _values(saved: Saved, nodes: list[Node], file: str) -> list[tuple[Node, Any]]:
    """Return the value of each variable, checked in type and shape before any is set."""
    found = [n for n in nodes if n.primitive is VARIABLE]
    if [n.name for n in found] != [name for name, _ in saved.values]:
        raise GraphError(
            f"{file} has values for {_listed([name for name, _ in saved.values])}, but "
            f"this graph has {_listed([n.name for n in found])}"
        )
    values = []
    for node, (name, given) in zip(found, saved.values):
        value = as_value(given, node.dtype, f"value of {quoted(name)} in {file}")
        if value.shape != node.shape:
            raise ShapeError(
                f"{quoted(name)} has shape {value.shape} in {file}, but {node.shape} in this graph"
            )
        values.append((node, value))
    return values


def _state(work: Workspace, saved: Saved, nodes: list[Node], file: str) -> Any:
    try:
        breakpoints = [saving.breakpoint_of(b, nodes) for b in saved.breakpoints]
        watches = [saving.node_at(k, nodes) for k in saved.watches]
    except (KeyError, TypeError, ValueError) as problem:
        raise GraphError(f"{file} is damaged: {problem}") from None
    position = type(work.position)(saved.phase, saved.step)
    return replace(
        work.state, position=position, breakpoints=tuple(breakpoints), watches=tuple(watches),
        repeat="", asking=False,
    )  # fmt: skip


def _check_position(work: Workspace, file: str) -> None:
    phase, step = work.position
    if (phase == "backward" and work.timeline.backward is None) or phase not in PHASES:
        raise GraphError(f"{file} is damaged: there is no {quoted(phase)} pass")
    if not 0 <= step <= work.timeline.steps_of(phase):
        raise GraphError(f"{file} is damaged: there is no {phase} step {step}")
