"""A session as JSON: what is in it, and a reader that trusts nothing.

The file holds data only: the expression's text if there is one, the variables' values, the
moment, breakpoints and watches. A graph that was made in Python is not in the file; its session is
loaded into a session on the same graph, and names, operations and shapes are compared.

Reading never executes anything and changes nothing: `read` checks the whole file and returns what
is in it; a file that is cut off, foreign or from a later version is an error that says so.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphgrad.errors import GraphError
from graphgrad.graph import VARIABLE, Node
from graphgrad.stepping.breakpoints import RELATIONS, Breakpoint, Condition
from graphgrad.stepping.nodes import quoted
from graphgrad.stepping.workspace import Workspace

__all__ = ["Saved", "breakpoint_of", "dump", "fingerprint", "node_at", "read"]

FORMAT, VERSION = "graphgrad session", 1
LARGEST = 256 * 2**20
"""Bytes of the largest file that is read."""
KINDS = ("node", "op", "nan", "arrive", "any")


@dataclass(frozen=True)
class Saved:
    """What a file holds, checked to be of the right types.

    Attributes:
        expression: the graph's text, or "".
        graph: its fingerprint.
        values: per variable, in order: its name and its value.
        phase, step: the moment.
        breakpoints: as they were, with places of nodes in the order of the graph.
        watches: places of nodes.
    """

    expression: str
    graph: str
    values: tuple[tuple[str, Any], ...]
    phase: str
    step: int
    breakpoints: tuple[dict[str, Any], ...]
    watches: tuple[int, ...]


# -- writing ---------------------------------------------------------------------------------


def dump(work: Workspace) -> str:
    """Return a session as JSON text."""
    tape, state = work.tape, work.state
    place = {n: k for k, n in enumerate(tape.nodes)}
    content = {
        "format": FORMAT,
        "version": VERSION,
        "expression": work.expression,
        "graph": fingerprint(tape.nodes),
        "values": [[n.name, plain(tape.value(n))] for n in tape.nodes if n.primitive is VARIABLE],
        "position": {"phase": state.position.phase, "step": state.position.step},
        "breakpoints": [_breakpoint(b, place) for b in state.breakpoints],
        "watches": [place[n] for n in state.watches],
    }
    return json.dumps(content, ensure_ascii=True, allow_nan=False, indent=1) + "\n"


def _breakpoint(b: Breakpoint, place: dict[Node, int]) -> dict[str, Any]:
    kept: dict[str, Any] = {"number": b.number, "kind": b.kind}
    if b.node is not None:
        kept["node"] = place[b.node]
    if b.op:
        kept["op"] = b.op
    if b.count:
        kept["count"] = b.count
    if b.condition:
        c = b.condition
        kept["if"] = [c.quantity, c.absolute, c.relation, plain(c.limit)]
    return kept


def plain(value: Any) -> Any:
    """Return numbers as JSON holds them; nan and infinities, which it lacks, as their names."""
    found = np.asarray(value).tolist()
    return _named(found)


def _named(value: Any) -> Any:
    if isinstance(value, list):
        return [_named(v) for v in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def fingerprint(nodes: Sequence[Node]) -> str:
    """Return a digest of a graph's structure: operations, arrows, names, shapes and types."""
    place = {n: k for k, n in enumerate(nodes)}
    told = hashlib.sha256()
    for n in nodes:
        name = n.name if n.primitive is VARIABLE else ""
        row = (n.op, [place[x] for x in n.inputs], name, n.shape, n.dtype.name)
        told.update(repr(row).encode("utf-8", "backslashreplace"))
    return told.hexdigest()[:32]


# -- reading ---------------------------------------------------------------------------------


def read(path: str) -> Saved:
    """Return what a file holds.

    Raises:
        GraphError: when it is no session, cut off, damaged, or from a later version.
        OSError: when it cannot be read.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise _fault(path, "it is no file")
    with open(path, "rb") as file:
        content = file.read(LARGEST + 1)
    try:
        if len(content) > LARGEST:
            raise ValueError(f"it has more than {LARGEST} bytes")
        found = json.loads(content.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError) as problem:
        raise _fault(path, f"it is cut off or no JSON ({problem})") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise _fault(path, "it holds something else")
    version = found.get("version")
    if type(version) is not int or version != VERSION:
        raise _fault(path, f"it is of version {quoted(repr(version))}, this graphgrad reads "
                     f"version {VERSION}: install a newer one")  # fmt: skip
    try:
        return _checked(found)
    except (KeyError, TypeError, ValueError, RecursionError) as problem:
        raise _fault(path, f"it is damaged ({type(problem).__name__}: {problem})") from None


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _fault(path: str, why: str) -> GraphError:
    return GraphError(f"{quoted(path, 200)} is no session that can be loaded: {why}")


def _checked(found: dict[str, Any]) -> Saved:
    """Return the content, every part of its type; raises KeyError, TypeError or ValueError."""
    position = _is(found["position"], dict)
    values = [_is(pair, list) for pair in _is(found["values"], list)]
    return Saved(
        expression=_is(found["expression"], str),
        graph=_is(found["graph"], str),
        values=tuple((_is(name, str), _numbers(value)) for name, value in values),
        phase=_is(position["phase"], str),
        step=_is(position["step"], int),
        breakpoints=tuple(_is(b, dict) for b in _is(found["breakpoints"], list)),
        watches=tuple(_is(k, int) for k in _is(found["watches"], list)),
    )


def _is(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise TypeError(f"expected {kind.__name__}, got {type(value).__name__}")
    return value


def _numbers(value: Any) -> Any:
    """Return numbers from JSON; the names of nan and infinities become what they name."""
    if isinstance(value, list):
        return [_numbers(v) for v in value]
    if value in ("nan", "inf", "-inf"):
        return float(value)
    if type(value) not in (int, float, bool):
        raise TypeError(f"expected a number, got {type(value).__name__}")
    return value


def breakpoint_of(kept: dict[str, Any], nodes: Sequence[Node]) -> Breakpoint:
    """Return a breakpoint from its JSON form; raises KeyError, TypeError or ValueError."""
    kind = _is(kept["kind"], str)
    if kind not in KINDS:
        raise ValueError(f"a breakpoint of kind {quoted(kind)}")
    node = node_at(kept["node"], nodes) if kind in ("node", "arrive") else None
    condition = None
    if "if" in kept:
        quantity, absolute, relation, limit = _is(kept["if"], list)
        if quantity not in ("grad", "value") or relation not in RELATIONS:
            raise ValueError("a condition that is none")
        condition = Condition(quantity, _is(absolute, bool), relation, float(_numbers(limit)))
    if kind == "any" and condition is None:
        raise ValueError("a breakpoint without place and condition")
    op = _is(kept["op"], str) if kind == "op" else ""
    number, count = _is(kept["number"], int), _is(kept.get("count", 0), int)
    return Breakpoint(number, kind, node, op, count, condition)


def node_at(place: Any, nodes: Sequence[Node]) -> Node:
    """Return the node at a place; raises TypeError or ValueError."""
    if not 0 <= _is(place, int) < len(nodes):
        raise ValueError(f"node {place} of {len(nodes)}")
    return nodes[place]
