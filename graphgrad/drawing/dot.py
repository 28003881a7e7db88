"""DOT text of a scene at a frame. Pure text: nothing is run, no file is touched.

All frames of a scene have the same nodes, edges and label sizes, so Graphviz gives them the same
layout. Labels are HTML-like tables whose cells are as large as the largest text they will hold.
"""

from __future__ import annotations

from math import ceil

from graphgrad.drawing import style
from graphgrad.drawing.labels import TABLE, Row, Size, font, quoted, row, width_of
from graphgrad.drawing.palette import badge, factor_color, on_background
from graphgrad.drawing.scene import Arrow, Box, Dot, Frame, Link, Scene
from graphgrad.drawing.style import FONT, Theme, line_height, text_width
from graphgrad.explain.steps import BAR, UNBAR, plain

__all__ = ["Writer"]

ROLES = ("input", "parameter", "output", "constant")
MOST_STEPPED = 400
"""Graphs of more nodes reserve no room for the captions of single steps."""


class Writer:
    """Writes the DOT text of a scene; made once, then called for every frame.

    Args:
        scene: what to draw.
        theme: the colours.
        legend: whether to explain the colours under the picture.
        rankdir: LR (left to right) or TB (top to bottom).

    Attributes:
        sizes: the room for each box's text.
        label_sizes: the room for each arrow's label; None for an arrow without one.
    """

    def __init__(
        self, scene: Scene, theme: Theme, legend: bool = True, rankdir: str = "LR"
    ) -> None:
        self.scene, self.theme, self.legend, self.rankdir = scene, theme, legend, rankdir
        self._both = scene.tape.differentiable
        self.sizes = {box: self._box_size(box) for box in scene.boxes}
        self.label_sizes = {a: self._arrow_size(a) for a in scene.arrows}
        self._caption_width = self._reserve_caption()

    def __call__(self, frame: Frame) -> str:
        """Return the DOT text of one frame."""
        t = self.theme
        lines = [
            "digraph graphgrad {",
            f'  graph [rankdir={self.rankdir}, bgcolor="{t.background}", nodesep=0.25, '
            f'ranksep=0.3, fontname="{FONT}", labelloc=b, pad=0.15, '
            f"label={self._graph_label(frame)}];",
            f'  node [label="\\N", fontname="{FONT}", fontcolor="{t.ink}", penwidth=1.1];',
            f'  edge [fontname="{FONT}", fontcolor="{t.ink}", arrowsize=0.7];',
        ]
        lines += self._items(frame)
        for arrow in self.scene.arrows:
            lines.append("  " + self._arrow(arrow, frame))
        for link in self.scene.links:
            lines.append("  " + self._link(link, frame))
        lines.append("}")
        return "\n".join(lines) + "\n"

    # -- boxes and dots, nested in their groups ----------------------------------------------

    def _items(self, frame: Frame) -> list[str]:
        by_scope: dict[str, list[str]] = {"": []}
        for path in sorted(self.scene.groups):
            by_scope[path] = []
        for box in self.scene.boxes:
            by_scope[box.scope].append(self._box(box, frame))
        for dot in self.scene.dots:
            by_scope[dot.scope].append(self._dot(dot, frame))
        return self._group("", by_scope, 1)

    def _group(self, path: str, by_scope: dict[str, list[str]], depth: int) -> list[str]:
        # Scopes may be as deep as a user likes, but a nesting of clusters is not worth recursion
        # limits: each level of a path is one call.
        pad = "  " * depth
        lines = [pad + text for text in by_scope[path]]
        for child in by_scope:
            parent, _, name = child.rpartition("/")
            if not child or parent != path:
                continue
            t = self.theme
            lines += [
                f"{pad}subgraph {quoted('cluster_' + child)} {{",
                f"{pad}  graph [label={quoted(name)}, labelloc=t, labeljust=l, fontsize=11, "
                f'fontcolor="{t.muted}", color="{t.pending}", style="rounded,filled", '
                f'fillcolor="{t.group}", tooltip={quoted("group " + child)}];',
                *self._group(child, by_scope, depth + 1),
                f"{pad}}}",
            ]
        return lines

    def _box_size(self, box: Box) -> Size:
        states, values = self.scene.all_adjoint_lines(box), self.scene.all_value_lines(box)
        name = [box.name] if box.role != "constant" else []
        value_size = self._value_size(box)
        width = max(
            width_of(name, style.NAME),
            *(width_of(lines, value_size, bold=len(box.value) == 1) for lines in values),
            *(width_of(lines, style.ADJOINT) for lines in states),
            26,
        )
        height = (
            line_height(style.NAME) * len(name)
            + line_height(value_size) * max(map(len, values))
            + line_height(style.ADJOINT) * max(map(len, states), default=0)
        )
        return Size(ceil(width) + 6, height)

    def _value_size(self, box: Box) -> int:
        return style.VALUE if len(box.value) == 1 and not box.node.shape else style.ENTRY

    def _box(self, box: Box, frame: Frame) -> str:
        t, scene = self.theme, self.scene
        state = scene.box_state(box, frame)
        known = frame.phase != "forward" or state != "pending"
        rows = []
        if box.role != "constant":
            rows.append(row(box.name, style.NAME, t.ink if known else t.muted, italic=True))
        size, values = self._value_size(box), scene.value_lines(box, frame)
        color = t.value if known else t.muted
        rows += [row(line, size, color, bold=size == style.VALUE) for line in values]
        color = {"pending": t.muted, "current": t.current_text}.get(state, t.adjoint)
        rows += [row(x, style.ADJOINT, color) for x in scene.adjoint_lines(box, frame)]
        label = self.sizes[box].table(rows)
        border = {"pending": t.pending, "current": t.current}.get(state, t.line)
        width = 2.6 if state == "current" else 1.1
        dashed = ",dashed" if state == "pending" else ""
        return (
            f'{box.key} [id="{box.key}", class="box {box.role} {state}", shape=box, '
            f'style="rounded,filled{dashed}", fillcolor="{getattr(t, box.role)}", '
            f'color="{border}", penwidth={width}, margin="0.05,0.03", '
            f"tooltip={quoted(self._title(box, frame))}, label=<{label}>];"
        )

    def _title(self, box: Box, frame: Frame) -> str:
        values = " ".join(self.scene.value_lines(box, frame))
        text = f"{box.role} {box.node.name or box.name} = {values}"
        adjoints = self.scene.adjoint_lines(box, frame)
        return plain(f"{text}; {' '.join(adjoints)}" if adjoints else text)

    def _dot(self, dot: Dot, frame: Frame) -> str:
        t = self.theme
        state = self.scene.dot_state(dot, frame)
        border = {"pending": t.pending, "current": t.current}.get(state, t.line)
        color = t.muted if state == "pending" and frame.phase == "forward" else t.ink
        wide = text_width(dot.symbol, 12) / 72 + 0.18
        round_ = wide <= 0.42 and not dot.group
        shape = "shape=circle, width=0.36" if round_ else f"shape=box, width={wide:.2f}"
        height = "" if round_ else f", height={0.7 if dot.group else 0.36}"
        look = "filled" if round_ else "rounded,filled"
        label = f"{dot.symbol}\n{len(dot.members)} nodes" if dot.group else dot.symbol
        if dot.group:
            wide = max(width_of(label.split("\n"), 12) / 72 + 0.25, wide)
            shape = f"shape=box, width={wide:.2f}, peripheries=2"
        text = quoted(dot.symbol) if not dot.group else self._two_lines(dot)
        node = dot.members[-1]
        fixed = len(node.inputs) > 1 and not (dot.group or node.primitive.commutative)
        order = "ordering=in, " if fixed else ""  # the first operand above the second
        return (
            f'{dot.key} [id="{dot.key}", class="op {state}", {order}{shape}{height}, '
            f'fixedsize=true, style="{look}", fillcolor="{t.operation}", color="{border}", '
            f'fontcolor="{color}", fontsize=12, penwidth={2.6 if state == "current" else 1.1}, '
            f"tooltip={quoted(plain(dot.title))}, label={text}];"
        )

    def _two_lines(self, dot: Dot) -> str:
        first, second = quoted(dot.symbol)[:-1], f"{len(dot.members)} nodes"
        return f'{first}\\n{second}"'

    # -- arrows ------------------------------------------------------------------------------

    def _arrow_size(self, arrow: Arrow) -> Size | None:
        if not arrow.local:
            return None
        width = width_of([_local(arrow), arrow.contribution], style.LABEL)
        return Size(ceil(width) + 8, 2 * line_height(style.LABEL) + 4)

    def _arrow(self, arrow: Arrow, frame: Frame) -> str:
        t = self.theme
        state = self.scene.arrow_state(arrow, frame)
        backward = frame.phase != "forward" and state != "idle"
        done = t.adjoint if backward else t.ink
        color = {"pending": t.pending, "current": t.current, "idle": t.pending}.get(state, done)
        if frame.phase == "forward" and state == "done":
            color = t.line
        look = ", style=dashed" if state == "pending" else ""
        width = {"current": 3, "done": 1.3}.get(state, 1)
        if backward and state == "done" and self.scene.factors:
            color, width = self._factor(arrow.factors)
        size = self.label_sizes[arrow]
        label = "" if size is None else f", label=<{self._arrow_label(arrow, state, frame, size)}>"
        return (
            f'{arrow.box.key} -> {arrow.dot.key} [id="{arrow.key}", class="edge {state}", '
            f'{"dir=back, " if backward else ""}color="{color}", penwidth={width}{look}'
            f"{label}{self._tip(arrow, backward)}];"
        )

    def _factor(self, factors: tuple[int, ...]) -> tuple[str, float]:
        """Return colour and width of an arrow in the picture of a derivation."""
        t = self.theme
        if not factors:
            return t.pending, 1.3
        gray = t.adjoint == t.ink
        return t.ink if gray else on_background(factor_color(factors[0]), t.background), 2.6

    def _tip(self, arrow: Arrow, backward: bool) -> str:
        text = f"{arrow.box.name} into {arrow.dot.symbol}"
        if backward and arrow.local:
            text = plain(arrow.local)
        return f", edgetooltip={quoted(text)}, labeltooltip={quoted(text)}"

    def _arrow_label(self, arrow: Arrow, state: str, frame: Frame, size: Size) -> str:
        t = self.theme
        rows = [Row("", 0), Row("", 0)]
        if frame.phase != "forward":
            color = t.muted if state == "pending" else t.ink
            if state != "pending" and arrow.factors:
                color, _ = self._factor(arrow.factors)
            rows[0] = row(_local(arrow), style.LABEL, color)
            if state != "pending":
                color = t.current_text if state == "current" else t.adjoint
                rows[1] = row(arrow.contribution, style.LABEL, color)
        return size.table(rows)

    def _link(self, link: Link, frame: Frame) -> str:
        t = self.theme
        state = self.scene.dot_state(link.dot, frame)
        backward = frame.phase != "forward" and state != "idle"
        done = t.adjoint if backward else t.line
        color = {"pending": t.pending, "current": t.current, "idle": t.pending}.get(state, done)
        look = ", style=dashed" if state == "pending" else ""
        if backward and state == "done" and self.scene.factors:
            color = t.line if self._in_factors(link.dot) else t.pending
        return (
            f'{link.dot.key} -> {link.box.key} [id="{link.key}", class="link {state}", '
            f'{"dir=back, " if backward else ""}color="{color}", '
            f"penwidth={1.3 if state in ('done', 'current') else 1}{look}];"
        )

    def _in_factors(self, dot: Dot) -> bool:
        return any(edge.node in dot.members for edge in self.scene.factors)

    # -- caption and legend ------------------------------------------------------------------

    def _frames(self) -> list[Frame]:
        """Return the frames whose captions need room."""
        scene = self.scene
        whole = [Frame(p) for p in scene.phases]
        if len(scene.tape.nodes) > MOST_STEPPED:
            return whole
        return whole + [Frame(p, k) for p in scene.phases for k in range(scene.count(p) + 1)]

    def _reserve_caption(self) -> int:
        captions = [self.scene.caption(frame) for frame in self._frames()]
        return ceil(width_of(captions, style.CAPTION)) + 8

    def _graph_label(self, frame: Frame) -> str:
        t = self.theme
        caption = font(self.scene.caption(frame), style.CAPTION, t.ink)
        rows = f'<TR><TD WIDTH="{self._caption_width}" HEIGHT="18">{caption}</TD></TR>'
        if self.scene.note:
            rows += f"<TR><TD>{font(self.scene.note, style.LEGEND, t.muted)}</TD></TR>"
        if self.legend:
            rows += f"<TR><TD>{self._legend(frame)}</TD></TR>"
        return f"<{TABLE.format(pad=2, rows=rows)}>"

    def _legend_words(self, frame: Frame) -> list[tuple[str, str]]:
        t, words = self.theme, [("value", self.theme.value)]
        if frame.phase != "forward":
            root = self.scene.wording.names[self.scene.tape.root]
            words += [
                (f"adjoint {BAR}x{UNBAR} = ∂{root}/∂x", t.adjoint),
                ("local derivative ∂y/∂x", t.ink),
            ]
            if self.scene.factors:
                words.append((f"{badge(1)} {badge(2)} …: factors of the derivation", t.ink))
        if frame.step is not None:
            words += [("thick: current step", t.current_text), ("dashed, –: not yet", t.muted)]
        return words

    @property
    def _roles(self) -> list[str]:
        used = {box.role for box in self.scene.boxes}
        return [role for role in ROLES if role in used]

    def _legend(self, frame: Frame) -> str:
        t = self.theme
        words = self._legend_words(frame)
        longest = self._legend_words(Frame("backward" if self._both else "forward", 0))
        hidden = [text for text, _ in longest if (text, _) not in words]
        # What this frame need not explain becomes room on both sides: all frames are as wide.
        room = sum(_word(text) + GAP for text in hidden)
        cells = [_cell("", room // 2 + 4)]
        for role in self._roles:
            look = f' BGCOLOR="{getattr(t, role)}" BORDER="1" COLOR="{t.line}"'
            cells.append(_cell(font(role, style.LEGEND, t.ink), _word(role), look))
        cells += [_cell(font(x, style.LEGEND, color), _word(x)) for x, color in words]
        cells.append(_cell("", room - room // 2 + 4))
        texts = [*self._roles, *(text for text, _ in words)]
        width = room + 8 + sum(map(_word, texts)) + GAP * (len(cells) + 1)
        # Of fixed size, since Graphviz would stretch it to the width of the caption.
        return (
            f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="{GAP}" CELLPADDING="2" '
            f'FIXEDSIZE="TRUE" WIDTH="{width}" HEIGHT="{LEGEND_HEIGHT + 2 * GAP}">'
            f"<TR>{''.join(cells)}</TR></TABLE>"
        )


GAP, LEGEND_HEIGHT = 6, 19


def _local(arrow: Arrow) -> str:
    """Return the first line on an arrow, after the numbers of its factors."""
    return " ".join(["".join(map(badge, arrow.factors)), arrow.local]).lstrip()


def _cell(text: str, width: int, look: str = "") -> str:
    return f'<TD{look} WIDTH="{width}" HEIGHT="{LEGEND_HEIGHT}">{text}</TD>'


def _word(text: str) -> int:
    return ceil(text_width(text, style.LEGEND)) + 8
