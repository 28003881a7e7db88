"""The picture of a compiled graph: the user's own nodes, with a cluster for every kernel.

Pure DOT text, as `drawing.dot` writes it of a tape: the same ids for the same nodes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import ceil
from typing import Any

from graphgrad.compiler.chart import Chart, Item, chart
from graphgrad.compiler.kernels import KernelRecord, amount, duration
from graphgrad.drawing import style
from graphgrad.drawing.labels import TABLE, Size, font, quoted, row, width_of
from graphgrad.drawing.style import FONT, text_width
from graphgrad.explain.formulas import fill, operation_template
from graphgrad.explain.names import pretty, visible
from graphgrad.explain.numbers import shape_text
from graphgrad.explain.tables import columns, count
from graphgrad.graph import CONSTANT, Node

__all__ = ["dot_of"]

LONGEST_TIP = 60
"""Lines of a kernel's source in its tooltip."""
TOLD = {"view": "; a view: nothing is copied", "folded": "; folded away: nothing to compute"}
WIDEST = 34
"""Characters in a line of a collapsed kernel."""


def dot_of(
    executor: Any,
    theme: style.Theme,
    collapse: bool | str | Iterable[str] | None,
    open: str | Iterable[str],
    legend: bool,
    rankdir: str,
) -> str:
    """Return the DOT text of an executor; the options are those of `gg.draw`."""
    return "\n".join(_Writer(chart(executor, collapse, open), theme, legend).lines(rankdir)) + "\n"


class _Writer:
    def __init__(self, chart: Chart, theme: style.Theme, legend: bool) -> None:
        self.chart, self.theme, self.legend = chart, theme, legend

    def lines(self, rankdir: str) -> Iterator[str]:
        t = self.theme
        yield "digraph graphgrad {"
        yield (
            f'  graph [rankdir={rankdir}, bgcolor="{t.background}", nodesep=0.2, ranksep=0.3, '
            f'fontname="{FONT}", labelloc=b, pad=0.15, label={self._caption()}];'
        )
        yield f'  node [label="\\N", fontname="{FONT}", fontcolor="{t.ink}", penwidth=1.1];'
        yield f'  edge [color="{t.line}", arrowsize=0.7];'
        yield from self._groups()
        for key, (tail, head) in self.chart.arrows.items():
            yield f"  {tail} -> {head} [id={quoted(key)}];"
        yield "}"

    # -- groups and kernels --------------------------------------------------------------------

    def _groups(self) -> Iterator[str]:
        yield from self._items(0, 0, "  ")
        groups: dict[int, list[KernelRecord]] = {}
        for k in self.chart.kernels:
            groups.setdefault(k.group, []).append(k)
        for group, kernels in groups.items():
            alone, t = len(kernels) == 1, self.theme
            pad = "  " if alone else "    "
            if not alone:
                on_gpu = any(k.blocks for k in kernels)
                title = [f"{'launch' if on_gpu else 'group'} {group}"]
                title += [] if on_gpu else [_shared(kernels[0].threads)]
                yield f"  subgraph cluster_group{group} {{"
                yield (
                    f"    graph [label={quoted(' · '.join(filter(None, title)))}, labelloc=t, "
                    f'labeljust=l, fontsize=11, fontcolor="{t.muted}", color="{t.pending}", '
                    f'style="rounded,dashed", tooltip={quoted(f"group {group}")}];'
                )
            yield from self._items(group, 0, pad)
            for k in kernels:
                yield from self._kernel(k, pad)
            if not alone:
                yield "  }"

    def _kernel(self, k: KernelRecord, pad: str) -> Iterator[str]:
        t = self.theme
        if k.number in self.chart.collapsed:
            yield pad + self._collapsed(k)
            return
        label = "".join(quoted(line)[1:-1] + "\\l" for line in _title(k))
        yield f"{pad}subgraph cluster_kernel{k.number} {{"
        yield (
            f'{pad}  graph [id="kernel{k.number}", class="kernel", label="", color="{t.line}", '
            f'style="rounded,filled", fillcolor="{t.group}", tooltip={_tip(k)}];'
        )
        # a node of its own: arrows go around nodes, but right through the label of a cluster
        yield (
            f"{pad}  title{k.number} [shape=plaintext, width=0, height=0, margin=0, fontsize=11, "
            f'label="{label}", tooltip={_tip(k)}];'
        )
        yield from self._items(k.group, k.number, pad + "  ")
        yield f"{pad}}}"

    def _collapsed(self, k: KernelRecord) -> str:
        t = self.theme
        lines = [*_title(k), *_contents(k)]
        rows = [row(line, 11 if n == 0 else 10, t.ink, bold=n == 0) for n, line in enumerate(lines)]
        width = ceil(max(width_of(lines[:1], 11, bold=True), width_of(lines[1:], 10))) + 8
        label = Size(width, sum(r.height for r in rows)).table(rows)
        return (
            f'kernel{k.number} [id="kernel{k.number}", class="kernel", shape=box, '
            f'peripheries=2, style="rounded,filled", fillcolor="{t.operation}", '
            f'color="{t.line}", margin="0.05,0.03", tooltip={_tip(k)}, label=<{label}>];'
        )

    # -- values and operations -----------------------------------------------------------------

    def _items(self, group: int, kernel: int, pad: str) -> Iterator[str]:
        """Yield what stands in a kernel, or in a group or nowhere if there is no kernel."""
        for item in (*self.chart.boxes, *self.chart.dots):
            if item.kernel == kernel and item.group == group:
                is_box = item.key.startswith("n")
                yield pad + (self._box(item) if is_box else self._dot(item))

    def _role(self, node: Node) -> str:
        if node in self.chart.outputs:
            return "output"
        if node.primitive is CONSTANT:
            return "constant"
        return node.role if node.is_leaf else "result"

    def _name(self, node: Node) -> str:
        new = [f"new {pretty(v.name)}" for v in self.chart.updates.get(node, [])]
        if node.name:
            new = [f"{pretty(node.name)} ({', '.join(new)})"] if new else [pretty(node.name)]
        return ", ".join(new) or self.chart.names[node]

    def _box(self, item: Item) -> str:
        t, node = self.theme, item.node
        name, shape = self._name(node), shape_text(node.shape)
        rows = [row(name, style.NAME, t.ink, italic=node.primitive is not CONSTANT)]
        if node.primitive is not CONSTANT:
            rows.append(row(shape, 10, t.muted))
        width = ceil(max(width_of([name], style.NAME), width_of([shape], 10), 20)) + 6
        label = Size(width, sum(r.height for r in rows)).table(rows)
        role = self._role(node)
        tip = f"{role} {name}: {shape} of {node.dtype}"
        if item.kernel and not node.is_leaf:
            tip += ", never in memory"
        else:
            tip += f", {amount(node.size * node.dtype.itemsize)}"
        fill_ = t.group if item.kernel and role == "result" else getattr(t, role)
        look = "rounded,filled,dotted" if item.kernel else "rounded,filled"
        return (
            f'{item.key} [id="{item.key}", class="box {role}", shape=box, style="{look}", '
            f'fillcolor="{fill_}", color="{t.line}", margin="0.05,0.03", '
            f"tooltip={quoted(tip)}, label=<{label}>];"
        )

    def _dot(self, item: Item) -> str:
        t, node = self.theme, item.node
        why = self.chart.state.get(node, "")
        symbol = f"part of {node.primitive.symbol}" if item.part else node.primitive.symbol
        wide = text_width(symbol, 12) / 72 + 0.18
        round_ = wide <= 0.42
        oblong = f"shape=box, width={wide:.2f}, height=0.36"
        shape = "shape=circle, width=0.36" if round_ else oblong
        look = ["filled"] if round_ else ["rounded", "filled"]
        color, border = (t.muted, t.pending) if why else (t.ink, t.line)
        return (
            f'{item.key} [id="{item.key}", class="op {why or "done"}", {shape}, fixedsize=true, '
            f'style="{",".join([*look, *["dashed"] * bool(why)])}", '
            f'fillcolor="{t.background if why else t.operation}", color="{border}", '
            f'fontcolor="{color}", fontsize=12, tooltip={quoted(self._formula(node, why))}, '
            f"label={quoted(symbol)}];"
        )

    def _formula(self, node: Node, why: str) -> str:
        template = operation_template(node.primitive, len(node.inputs), node.settings)
        names = [self.chart.names[x] for x in node.inputs]
        text = f"{node.op}: {self.chart.names[node]} = {fill(template, '', names)}"
        return text + TOLD.get(why, "")

    # -- caption and legend --------------------------------------------------------------------

    def _caption(self) -> str:
        t = self.theme
        rows = f"<TR><TD>{font(self.chart.kernels.title, style.CAPTION, t.ink)}</TD></TR>"
        if self.legend:
            rows += f"<TR><TD>{self._legend()}</TD></TR>"
            for note in self._notes():
                rows += f"<TR><TD>{font(note, style.LEGEND, t.muted)}</TD></TR>"
        return f"<{TABLE.format(pad=2, rows=rows)}>"

    def _notes(self) -> list[str]:
        notes = []
        if self.chart.collapsed:
            notes += ['double boxes are kernels: look into one with open="kernel 1", into all with '
                      "collapse=False; new values of variables have a box only where others read "
                      "them"]  # fmt: skip
        notes.append("solid boxes are in memory; dotted ones, and what has no box, in registers; "
                     "what is computed once is drawn once")  # fmt: skip
        drawn = {item.node for item in self.chart.dots}
        if drawn & set(self.chart.state):
            notes.append("dashed: in no kernel, being a view of other numbers, or folded away")
        return notes

    def _legend(self) -> str:
        t, cells, room = self.theme, "", 6
        used = {self._role(box.node) for box in self.chart.boxes}
        for role in ("input", "parameter", "output", "constant"):
            if role in used:
                width = ceil(text_width(role, style.LEGEND)) + 8
                room += width + 6
                cells += (
                    f'<TD BGCOLOR="{getattr(t, role)}" BORDER="1" COLOR="{t.line}" '
                    f'WIDTH="{width}" HEIGHT="19">{font(role, style.LEGEND, t.ink)}</TD>'
                )
        # Of fixed size, since Graphviz would stretch it to the width of the caption.
        return (
            '<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="6" CELLPADDING="2" FIXEDSIZE="TRUE" '
            f'WIDTH="{room}" HEIGHT="31"><TR>{cells}</TR></TABLE>'
        )


def _shared(threads: int) -> str:
    return count(threads, "thread") if threads > 1 else ""


def _title(k: KernelRecord) -> list[str]:
    """Return the two lines over a kernel: what runs over what; threads, bytes, time, speed."""
    time = "" if k.seconds is None else duration(k.seconds)
    shared = f"{k.shape} threads" if k.blocks else _shared(k.threads)
    speed = k.speed if k.blocks or not k.threads else ""
    second = " · ".join(filter(None, [shared, amount(k.bytes), time, speed]))
    over = f"{k.kind} over {shape_text(k.domain)}" if k.domain else "single numbers"
    return [f"kernel {k.number} · {over}", second]


def _contents(k: KernelRecord) -> list[str]:
    """Return what a kernel computes in up to three lines; none when its kind says it all."""
    if k.computes == k.kind:
        return []
    lines = [""]
    for word in k.computes.split(", "):
        joined = f"{lines[-1]}, {word}" if lines[-1] else word
        if lines[-1] and columns(joined) > WIDEST:
            lines[-1] += ","
            lines.append(word)
        else:
            lines[-1] = joined
    return lines if len(lines) <= 3 else [*lines[:2], "…"]


def _tip(k: KernelRecord) -> str:
    """Return a kernel's source as a DOT string of several lines."""
    lines = k.source.rstrip().split("\n")
    if len(lines) > LONGEST_TIP:
        lines = [*lines[:LONGEST_TIP], f"… {len(lines) - LONGEST_TIP} more lines: see f.source"]
    # Graphviz would drop the spaces at the beginning of a line of SVG, a no-break space it keeps.
    shown = (visible(line).replace(" ", "\u00a0") for line in lines)
    return '"' + "\\n".join(quoted(line)[1:-1] for line in shown) + '"'
