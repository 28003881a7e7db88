"""Commands that show what is there: where, list, show, rule, diff."""

from __future__ import annotations

from graphgrad.drawing.figure import writer_of
from graphgrad.drawing.scene import Frame
from graphgrad.drawing.terminal.scene_text import text_of
from graphgrad.errors import GraphError
from graphgrad.explain.steps import adjoint, plain
from graphgrad.graph import Node
from graphgrad.primitive import TABLE
from graphgrad.stepping import about
from graphgrad.stepping.block import block
from graphgrad.stepping.nodes import close, quoted
from graphgrad.stepping.registry import command, whole_number
from graphgrad.stepping.text import Text, from_ansi, joined, lines, styled
from graphgrad.stepping.timeline import Change
from graphgrad.stepping.view import tabled
from graphgrad.stepping.workspace import Workspace

GROUP = "looking"
AROUND = 5
"""Steps that `list` shows before and after the current one."""
MOST = 40
"""Lines of `diff`."""


@command("where", "w", group=GROUP)
def where(work: Workspace, argument: str) -> str:
    """Draw the graph at this moment.

    The current step is drawn in double lines, what is to come dotted. A picture
    that is too wide for the terminal becomes a list, one line per value.
    """
    if argument:
        raise GraphError(f"where takes no argument, got {quoted(argument)}: show NODE tells of one")
    scene = work.recording.scene
    frame = Frame(*work.position)
    drawn = text_of(writer_of(scene), frame, width=work.width, color=True, ascii=work.ascii)
    return lines([from_ansi(drawn), styled("muted", scene.note)])


@command("list [all]", "l", group=GROUP)
def list_(work: Workspace, argument: str) -> str:
    """List the steps around this moment, or all."""
    if argument not in ("", "all"):
        raise GraphError(f"list {quoted(argument)}: expected list, or list all")
    line = work.timeline
    here = line.number(work.position)
    near = range(max(here - AROUND, 0), min(here + AROUND + 1, len(line)))
    told: list[str] = []
    for k in range(len(line)) if argument else near:
        sentence = work.view.sentence(line.at(k))
        told.append(joined([styled("current", "▶ ") if k == here else "  ", sentence]))
    return lines(told)


@command("show NODE", "p", group=GROUP, takes="node")
def show(work: Workspace, argument: str) -> str:
    """Show all about a node, in symbols and in numbers.

    Its value, its adjoint so far, its local derivatives, who made and who uses
    it. NODE is a name (w), a name in the picture (v₃, or typed v3), or a serial
    number (#17). Without one, it is the node of the current step.
    """
    if not argument:
        event = work.timeline.event(work.position)
        if event is None:
            raise GraphError("show NODE: no step is made yet, so say which node")
        return about.node(work.view, event.node, work.position)
    return about.node(work.view, work.nodes.find(argument), work.position)


@command("rule NODE", group=GROUP, takes="node")
def rule(work: Workspace, argument: str) -> str:
    """Show a node's operation as it stands in the rule book.

    Its derivative rules with the names of this graph, then the block that defines
    it. The name of an operation will do as well: rule tanh.
    """
    if argument in TABLE:
        return lines([Text(argument), *_block(argument)])
    try:
        node = work.nodes.find(argument)
    except GraphError as problem:
        raise GraphError(f"{problem}{close(argument, TABLE)}") from None
    if node.is_leaf:
        return f"{work.view.names[node]} is a {node.op}: it has a value, and no rule"
    rules = [work.view.local(node, i, known=False) for i in range(len(node.inputs))]
    pullbacks = [plain(work.recording.wording.pullback(node, i)) for i in _passing(node)]
    convention = node.primitive.convention
    heading = joined([styled("title", node.op), f":  {work.view.spoken(node)}"])
    table = tabled([("local", rules), ("backward", pullbacks), ("convention", [convention])])
    return lines([heading, table, *_block(node.op)])


def _passing(node: Node) -> list[int]:
    inputs = range(len(node.inputs))
    return [i for i in inputs if node.primitive.has_rule(i) and node.inputs[i].active]


def _block(op: str) -> list[str]:
    source, place = block(TABLE[op]) if op in TABLE else ("", "")
    if not source:
        return []
    indented = "\n".join(f"    {line}".rstrip() for line in source.split("\n"))
    return [styled("muted", f"  rule book, {place}:"), indented]


@command("diff K", group=GROUP)
def diff(work: Workspace, argument: str) -> str:
    """List values and adjoints that changed since moment K.

    K may also lie ahead: then it is what will have changed, read backwards.
    """
    line = work.timeline
    k = whole_number(argument, "diff")
    if k >= len(line):
        raise GraphError(f"diff {k}: there are moments 0 to {len(line) - 1}")
    before, now = line.at(k), work.position
    told = [part for c in line.changes(before, now) for part in _changed(work, c)]
    heading = f"from [{k}] to [{line.number(now)}]"
    if not told:
        return f"{heading}: nothing has changed"
    more = [styled("muted", f"… {len(told) - MOST} more")] if len(told) > MOST else []
    return lines([f"{heading}:", *told[:MOST], *more])


def _changed(work: Workspace, change: Change) -> list[Text]:
    view, name = work.view, work.view.names[change.node]
    told = []
    for called, pair, style in (
        (name, change.value, "value"),
        (plain(adjoint(name)), change.adjoint, "adjoint"),
    ):
        if pair is not None:
            before, after = ("–" if v is None else view.short(v) for v in pair)
            told.append(joined([f"  {called}: {before} → ", styled(style, after)]))
    return told
