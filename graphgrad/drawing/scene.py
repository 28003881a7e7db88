"""What a picture shows: boxes for values, dots for operations, arrows, groups, and their states.

A `Scene` is made once per tape and serves every frame of both passes, in DOT, in Unicode and in
the player: the same `items` with the same keys, each with the longest text it will ever bear. A
`Frame` then says which items are done, current, pending or idle at one step.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import cached_property

from graphgrad.drawing.items import Arrow, Box, Dot, Frame, Link
from graphgrad.errors import GraphError
from graphgrad.explain.steps import Wording, adjoint
from graphgrad.graph import CONSTANT, Edge, Node
from graphgrad.recorder import ForwardStep, Tape

__all__ = ["Arrow", "Box", "Dot", "Frame", "Link", "Scene", "state_of"]

AUTO_COLLAPSE = 300
"""Above this many nodes, groups are collapsed unless the caller says otherwise."""


class Scene:
    """All items of the pictures of one tape.

    Args:
        tape: the recorded run.
        wording: names and numbers; made for the tape by default.
        collapse: True for all groups, False for none, None for all above 300 nodes, or the
            paths of the groups to collapse.
        open: paths of groups to leave open among those.
        inputs: nodes to draw as inputs whatever their role.
        factors: the numbers of the factors of a derivation that an edge is part of.
    """

    def __init__(
        self,
        tape: Tape,
        *,
        wording: Wording | None = None,
        collapse: bool | str | Iterable[str] | None = None,
        open: str | Iterable[str] = (),
        inputs: Collection[Node] = (),
        factors: Mapping[Edge, tuple[int, ...]] | None = None,
    ):
        self.tape = tape
        self.factors = _checked(factors or {}, tape)
        self.wording = wording or Wording(tape)
        self._inputs = set(inputs)
        self._scopes = _scopes(tape.nodes)
        self.automatic = collapse is None and len(tape.nodes) > AUTO_COLLAPSE
        self.collapsed = self._chosen(collapse, open)
        self._hidden_in = {n: self._group_of(n.scope) for n in tape.nodes}
        self._build()

    # -- groups ----------------------------------------------------------------------------

    def _chosen(
        self, collapse: bool | str | Iterable[str] | None, open: str | Iterable[str]
    ) -> set[str]:
        opened = [open] if isinstance(open, str) else list(open)
        named: list[str] = []
        if isinstance(collapse, str):
            named = [collapse]
        elif collapse not in (None, True, False):
            named = list(collapse)  # type: ignore[arg-type]
        for path in (*named, *opened):
            if path not in self._scopes:
                listed = ", ".join(map(repr, sorted(self._scopes))) or "none"
                raise GraphError(f"no group {path!r} in this graph; it has {listed}")
        if collapse is True or self.automatic:
            named = sorted(self._scopes)
        inside = {p for path in opened for p in _levels(path)}
        return {p for p in named if p not in inside}

    def _group_of(self, scope: str) -> str:
        """Return the outermost collapsed group around a scope, or ""."""
        return next((p for p in _levels(scope) if p in self.collapsed), "") if scope else ""

    @property
    def groups(self) -> set[str]:
        """The paths of the groups that are drawn open."""
        used = {b.scope for b in self.boxes} | {d.scope for d in self.dots}
        return {p for s in used for p in _levels(s)}

    # -- items -----------------------------------------------------------------------------

    def _build(self) -> None:
        nodes, names = self.tape.nodes, self.wording.names
        made = {s.node: s.index for s in self.tape.forward}
        outside = self._seen_outside()
        self.boxes: list[Box] = []
        self.dots: list[Dot] = []
        self.arrows: list[Arrow] = []
        self.links: list[Link] = []
        self._box: dict[Node, Box] = {}
        self._dot: dict[Node | str, Dot] = {}
        for k, node in enumerate(nodes):
            group = self._hidden_in[node]
            scope = _parent(group) if group else node.scope
            dot = self._dot_for(k, node, group, scope)
            if group and node not in outside:
                continue
            box = Box(
                f"n{k}", node, names[node], self._role(node), scope,
                self.wording.digest(self.tape.value(node)), made.get(node, 0),
            )  # fmt: skip
            self.boxes.append(box)
            self._box[node] = box
            if dot:
                self.links.append(Link(f"o{k}", dot, box))
        self._connect(nodes)

    def _seen_outside(self) -> set[Node]:
        """Return the nodes of collapsed groups that somebody outside the group uses."""
        seen = {self.tape.root}
        for node in self.tape.nodes:
            for x in node.inputs:
                if self._hidden_in[x] != self._hidden_in[node]:
                    seen.add(x)
        return seen

    def _dot_for(self, k: int, node: Node, group: str, scope: str) -> Dot | None:
        if node.is_leaf and not group:
            return None
        key: Node | str = group or node
        dot = self._dot.get(key)
        if dot is None:
            symbol = group.rsplit("/", 1)[-1] if group else node.primitive.symbol
            dot = Dot(f"g{k}" if group else f"op{k}", symbol, "", scope, [], group)
            self._dot[key] = dot
            self.dots.append(dot)
        dot.members.append(node)
        if group:
            dot.title = f"group {group}: {len(dot.members)} nodes"
        else:
            dot.title = f"{node.op}: {self.wording.names[node]} = {self.wording.operation(node)}"
        # A leaf inside a collapsed group is shown beside it when others use it too.
        return None if node.is_leaf else dot

    def _connect(self, nodes: list[Node]) -> None:
        merged: dict[tuple[Box, Dot], Arrow] = {}
        backward = self.tape.differentiable
        for k, node in enumerate(nodes):
            for i, x in enumerate(node.inputs):
                dot = self._dot[self._hidden_in[node] or node]
                step = self.tape.step_of(node, i) if backward else None
                box = self._box.get(x)
                if box is None or (dot.group and x in dot.members):
                    continue
                pair = (box, dot)
                arrow = merged.get(pair) if dot.group else None
                if arrow is None:
                    arrow = merged[pair] = Arrow(f"e{k}_{i}", box, dot)
                    self.arrows.append(arrow)
                if step is None:
                    continue
                arrow.steps.append(step)
                arrow.factors = tuple(
                    dict.fromkeys((*arrow.factors, *self.factors.get(step.edge, ())))
                )
                if not dot.group:
                    arrow.local = self.wording.local(node, i)
                    arrow.contribution = self.wording.contribution(step)

    def _role(self, node: Node) -> str:
        if node in self._inputs:
            return "input"
        if node is self.tape.root:
            return "output"
        if node.primitive is CONSTANT:
            return "constant"
        return node.role if node.is_leaf else "result"

    # -- frames ----------------------------------------------------------------------------

    @property
    def phases(self) -> list[str]:
        """The names of the phases."""
        return ["forward", "backward"] if self.tape.differentiable else ["forward"]

    def count(self, phase: str) -> int:
        """Return the number of steps of a phase."""
        if phase == "forward":
            return len(self.tape.forward)
        if phase == "backward":
            return len(self.tape.backward)
        raise GraphError(f"phase {phase!r}: expected 'forward' or 'backward'")

    def frame(self, phase: str, step: int | None = None) -> Frame:
        """Return a checked frame; a negative step counts from the end.

        Raises:
            GraphError: when there is no such phase or step.
        """
        last = self.count(phase)
        if step is None:
            return Frame(phase)
        if not -last - 1 <= step <= last:
            raise GraphError(f"step {step}: the {phase} pass has steps 0 to {last}")
        return Frame(phase, step % (last + 1))

    def arrow_state(self, arrow: Arrow, frame: Frame) -> str:
        """Return done, current, pending, or idle for an arrow no gradient takes."""
        if frame.phase == "forward":
            return self.dot_state(arrow.dot, frame)
        return state_of([s.index for s in arrow.steps], frame)

    def dot_state(self, dot: Dot, frame: Frame) -> str:
        """Return the state of an operation or group: of all the steps it takes part in."""
        if frame.phase == "forward":
            return state_of(self._forward_of[dot], frame)
        return state_of(self._backward_of[dot], frame)

    def box_state(self, box: Box, frame: Frame) -> str:
        """Return the state of a value: whether it (its adjoint, backward) is known yet."""
        if frame.phase == "forward":
            return state_of([box.forward_step], frame) if box.forward_step else "done"
        steps = [s.index for s in self.tape.arrivals(box.node)]
        if box.node is self.tape.root:
            return "current" if frame.step == 0 else "done"
        return state_of(steps, frame)

    @cached_property
    def _forward_of(self) -> dict[Dot, list[int]]:
        made = {s.node: s.index for s in self.tape.forward}
        return {d: [made[n] for n in d.members if n in made] for d in self.dots}

    @cached_property
    def _backward_of(self) -> dict[Dot, list[int]]:
        result: dict[Dot, list[int]] = {d: [] for d in self.dots}
        for step in self.tape.backward:
            node = step.edge.node
            result[self._dot[self._hidden_in[node] or node]].append(step.index)
        return result

    def value_lines(self, box: Box, frame: Frame) -> list[str]:
        """Return the value as lines; a dash while it is not computed."""
        known = frame.phase == "backward" or self.box_state(box, frame) != "pending"
        return box.value if known else ["–"]

    def all_value_lines(self, box: Box) -> list[list[str]]:
        """Return the value's lines in all phases in which it is known."""
        return [box.value]

    def adjoint_lines(self, box: Box, frame: Frame) -> list[str]:
        """Return the adjoint as lines, x̄ = …; none for constants and in the forward pass."""
        if frame.phase == "forward" or not box.node.active:
            return []
        return self._adjoint_at(box, frame.step)

    def _adjoint_at(self, box: Box, step: int | None) -> list[str]:
        tape, bar = self.tape, adjoint(box.name)
        value = tape.adjoint(box.node, step)
        if value is None:
            return [f"{bar} = –"]
        lines = self.wording.digest(value)
        total = len(tape.arrivals(box.node))
        arrived = total if step is None else tape.arrived(box.node, step)
        partly = f" ({arrived} of {total})" if 0 < arrived < total else ""
        if not lines[-1].startswith("[") or len(lines) == 1:
            return [f"{bar} = {lines[0]}{partly}", *lines[1:]]
        return [f"{bar} ={partly}", *lines]

    def all_adjoint_lines(self, box: Box) -> list[list[str]]:
        """Return the adjoint's lines at every step at which they change."""
        if not (self.tape.differentiable and box.node.active):
            return []
        changes = [s.index for s in self.tape.arrivals(box.node)]
        return [self._adjoint_at(box, k) for k in (0, *changes)]

    def caption(self, frame: Frame) -> str:
        """Return the sentence under a frame, as marked text."""
        root = self.wording.names[self.tape.root]
        if frame.step is None:
            if frame.phase == "forward":
                value = self.wording.short(self.tape.value(self.tape.root))
                return f"forward pass: {root} = {value}"
            return f"backward pass: the adjoint of each node x is {adjoint('x')} = ∂{root}/∂x"
        if frame.step == 0:
            if frame.phase == "forward":
                return "forward, start: the leaves have their values"
            seed = self.wording.short(self.tape.seed)
            return f"backward, start: {adjoint(root)} = ∂{root}/∂{root} = {seed}"
        steps = self.tape.forward if frame.phase == "forward" else self.tape.backward
        step = steps[frame.step - 1]
        text = (
            self.wording.forward(step)
            if isinstance(step, ForwardStep)
            else self.wording.backward(step)
        )
        return f"{frame.phase}, step {frame.step} of {len(steps)}:   {text}"

    @property
    def note(self) -> str:
        """What a reader should know of the picture itself; "" when all is shown."""
        if not self.automatic:
            return ""
        n = len(self.tape.nodes)
        if not self.collapsed:
            return f"{n} nodes: group them with gg.scope to get a picture that can be read"
        return f"{n} nodes: groups are collapsed; open one with open=…, all with collapse=False"


def _checked(factors: Mapping[Edge, tuple[int, ...]], tape: Tape) -> Mapping[Edge, tuple[int, ...]]:
    """Return the factors of a derivation, if it is one of this graph."""
    if factors and not {edge.node for edge in factors} & set(tape.nodes):
        raise GraphError("the derivation belongs to another graph than the one drawn")
    return factors


def state_of(steps: list[int], frame: Frame) -> str:
    """Return idle for no steps, else done, current or pending at a frame of their phase."""
    if not steps:
        return "idle"
    if frame.step is None:
        return "done"
    if frame.step in steps:
        return "current"
    return "done" if min(steps) < frame.step else "pending"


def _levels(path: str) -> list[str]:
    """Return the path and all groups around it, outermost first."""
    parts = path.split("/")
    return ["/".join(parts[: k + 1]) for k in range(len(parts))] if path else []


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _scopes(nodes: Iterable[Node]) -> set[str]:
    return {p for s in {n.scope for n in nodes} for p in _levels(s)}
