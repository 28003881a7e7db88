"""The third phase: each parameter's step from its old value to its new one, by a recorded rule.

What one can do here: ``UpdatedScene(tape, {w: w - 0.1 * gg.grad(loss, w)})`` runs every rule, and
its frames of the phase "update" show what each step changes. A rule is a graph like any other; its
formula is written down to the nodes the picture has: gradients appear as adjoints, w̄, other nodes
by their names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphgrad.drawing.scene import Arrow, Box, Dot, Frame, Scene, state_of
from graphgrad.errors import GraphError, ShapeError
from graphgrad.explain.formulas import render
from graphgrad.explain.latex import latex_adjoint, latex_name, latex_value
from graphgrad.explain.steps import adjoint
from graphgrad.graph import CONSTANT, Node, ancestors, apply, describe, var
from graphgrad.recorder import Tape, tape

__all__ = ["Update", "UpdatedScene"]

LARGEST = 40
"""Operations of the longest rule that is written out."""


@dataclass(frozen=True)
class Update:
    """One parameter's update.

    Attributes:
        node: the parameter.
        box: its box; None when a collapsed group hides it.
        lines: its value's lines after the update: old → new for a scalar.
        text: the step in one line of marked text.
        latex: the step as a formula.
    """

    node: Node
    box: Box | None
    lines: list[str]
    text: str
    latex: str


class UpdatedScene(Scene):
    """A scene with a third phase, in which parameters take their new values, one after the other.

    Args:
        tape: the recorded run.
        rules: new value by parameter.
        options: those of `Scene`.

    Attributes:
        updates: the steps of the third phase.

    Raises:
        GraphError: when a parameter takes no part in the run.
        ShapeError: when a new value has another shape than its parameter.
    """

    def __init__(self, tape: Tape, rules: Mapping[Node, Node], **options: Any):
        super().__init__(tape, **options)
        recipes = _Recipes(self)
        self.updates = [recipes.update(node, rule) for node, rule in rules.items()]
        self._updated = {u.box: k for k, u in enumerate(self.updates, 1) if u.box}

    @property
    def phases(self) -> list[str]:
        """The names of the phases."""
        return [*super().phases, "update"]

    def count(self, phase: str) -> int:
        """Return the number of steps of a phase."""
        return len(self.updates) if phase == "update" else super().count(phase)

    def caption(self, frame: Frame) -> str:
        """Return the sentence under a frame, as marked text."""
        if frame.phase != "update":
            return super().caption(frame)
        if not frame.step:
            return "update, start: each parameter has its adjoint"
        text = self.updates[frame.step - 1].text
        return f"update, step {frame.step} of {len(self.updates)}:   {text}"

    def updated(self, box: Box) -> int:
        """Return the step in which a box's parameter gets its new value; 0 when none does."""
        return self._updated.get(box, 0)

    def box_state(self, box: Box, frame: Frame) -> str:
        """Return the state of a value: of a parameter, whether it is the new one yet."""
        if frame.phase != "update":
            return super().box_state(box, frame)
        k = self.updated(box)
        return state_of([k], frame) if k else "done"

    def dot_state(self, dot: Dot, frame: Frame) -> str:
        """Return the state of an operation; all are done when parameters are updated."""
        return "done" if frame.phase == "update" else super().dot_state(dot, frame)

    def arrow_state(self, arrow: Arrow, frame: Frame) -> str:
        """Return the state of an arrow: as after the backward pass."""
        if frame.phase != "update":
            return super().arrow_state(arrow, frame)
        return "done" if arrow.steps else "idle"

    def value_lines(self, box: Box, frame: Frame) -> list[str]:
        """Return the value as lines; after its update, old → new."""
        if frame.phase != "update":
            return super().value_lines(box, frame)
        k = self.updated(box)
        new = k and (frame.step is None or frame.step >= k)
        return self.updates[k - 1].lines if new else box.value

    def all_value_lines(self, box: Box) -> list[list[str]]:
        """Return the value's lines in all phases."""
        k = self.updated(box)
        return [box.value, *([self.updates[k - 1].lines] if k else [])]

    def adjoint_lines(self, box: Box, frame: Frame) -> list[str]:
        """Return the adjoint as lines; it stays in sight while parameters are updated."""
        if frame.phase != "update":
            return super().adjoint_lines(box, frame)
        if not self.tape.differentiable:
            return []
        return super().adjoint_lines(box, Frame("backward", super().count("backward")))


class _Recipes:
    """Writes down the rules of a scene's updates."""

    def __init__(self, scene: Scene):
        self._scene = scene
        self._boxes = {box.node: box for box in scene.boxes}
        self._known = set(scene.tape.nodes)

    def update(self, node: Node, rule: Node) -> Update:
        """Run a rule and return its step."""
        if node not in self._known:
            raise GraphError(
                f"update of {describe(node)}: it takes no part in this graph; expected a "
                f"parameter of {describe(self._scene.tape.root)}"
            )
        if not isinstance(rule, Node) or rule.shape != node.shape:
            found = rule.shape if isinstance(rule, Node) else repr(rule)
            raise ShapeError(
                f"update of {describe(node)}: expected shape {node.shape}, got {found}"
            )
        wording, run = self._scene.wording, tape(rule)
        old, new = self._scene.tape.value(node), run.value(rule)
        lines = wording.digest(new)
        if node.shape == ():
            lines = [f"{wording.number(old)} → {lines[0]}"]
        text, latex = self._formula(node, rule, run)
        name = wording.names[node]
        return Update(
            node,
            self._boxes.get(node),
            lines,
            " = ".join([f"{name} ← {text}", wording.short(new)]),
            f"{latex_name(name)} \\leftarrow {latex} = {latex_value(new, wording.digits)}",
        )

    def _formula(self, node: Node, rule: Node, run: Tape) -> tuple[str, str]:
        """Return the rule in text, with numbers for scalars, and in LaTeX."""
        cut, leaves = self._cut(rule, run)
        if len(ancestors(cut)) > LARGEST:
            return "new value", r"\mathrm{new\ value}"
        names = {leaf: self._named(n, node, run) for leaf, n in leaves.items()}
        parts = [render(cut, "text", {leaf: text for leaf, (text, _) in names.items()})]
        if all(leaf.shape == () for leaf in leaves):
            numbers = {leaf: self._scene.wording.number(run.value(n)) for leaf, n in leaves.items()}
            signed = {leaf: f"({x})" if x.startswith("−") else x for leaf, x in numbers.items()}
            parts.append(render(cut, "text", signed))
        latex = render(cut, "latex", {leaf: text for leaf, (_, text) in names.items()})
        return " = ".join(dict.fromkeys(parts)), latex

    def _cut(self, rule: Node, run: Tape) -> tuple[Node, dict[Node, Node]]:
        """Return the rule as a graph that ends at nodes of the picture and at gradients.

        Returns:
            The graph, and the node that each of its variables stands for.
        """
        copies: dict[Node, Node] = {}
        leaves: dict[Node, Node] = {}
        for n in run.nodes:
            if n.primitive is CONSTANT:
                copies[n] = n
            elif n in self._known or n.origin is not None or not n.inputs:
                copies[n] = leaf = var("leaf", shape=n.shape, dtype=n.dtype)
                leaves[leaf] = n
            else:
                copies[n] = apply(n.primitive, [copies[x] for x in n.inputs], n.settings)
        inside = set(ancestors(copies[rule]))
        return copies[rule], {leaf: n for leaf, n in leaves.items() if leaf in inside}

    def _named(self, n: Node, updated: Node, run: Tape) -> tuple[str, str]:
        """Return the name of a variable of a rule, in text and LaTeX."""
        scene = self._scene
        names = scene.wording.names
        if n in self._known:
            return names[n], latex_name(names[n])
        if n.origin is None:
            return n.name, latex_name(n.name)
        value = run.value(n)
        for candidate in (updated, *self._boxes) if scene.tape.differentiable else ():
            known = scene.tape.adjoint(candidate)
            if known is not None and np.array_equal(known, value, equal_nan=True):
                return adjoint(names[candidate]), latex_adjoint(latex_name(names[candidate]))
        return "gradient", r"\mathrm{gradient}"
