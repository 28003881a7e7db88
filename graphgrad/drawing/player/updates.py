"""The third phase: each parameter's step from its old value to its new one, by a recorded rule.

What one can do here: ``Updates(scene, {w: w - 0.1 * gg.grad(loss, w)})`` runs every rule and says
what its step shows. A rule is a graph like any other; its formula is written down to the nodes
the picture has: gradients appear as adjoints, w̄, other nodes by their names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from graphgrad.drawing.scene import Box, Scene
from graphgrad.errors import GraphError, ShapeError
from graphgrad.explain.formulas import render
from graphgrad.explain.latex import latex_adjoint, latex_name, latex_value
from graphgrad.explain.steps import adjoint
from graphgrad.graph import CONSTANT, Node, ancestors, apply, describe, var
from graphgrad.recorder import Tape, tape

__all__ = ["Update", "Updates"]

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


class Updates:
    """The updates of one tape, in the order given.

    Args:
        scene: whose parameters are updated.
        rules: new value by parameter.

    Raises:
        GraphError: when a parameter takes no part in the scene's run.
        ShapeError: when a new value has another shape than its parameter.
    """

    def __init__(self, scene: Scene, rules: Mapping[Node, Node]):
        self._scene = scene
        self._boxes = {box.node: box for box in scene.boxes}
        self._known = set(scene.tape.nodes)
        self.steps = [self._update(node, rule) for node, rule in rules.items()]

    def _update(self, node: Node, rule: Node) -> Update:
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
