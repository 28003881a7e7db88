r"""One step of the tape in LaTeX: the chain rule in symbols, then filled in, then in numbers.

What one can do: `step_latex` of a step of either pass. Local derivatives are
``\frac{\partial y}{\partial x}``, adjoints ``\bar{x}``; arrays bear their shape underneath.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from graphgrad.explain.formulas import (
    local_binding,
    local_template,
    operation_template,
    pullback_template,
)
from graphgrad.explain.latex import (
    fill_latex,
    latex_adjoint,
    latex_shape,
    latex_value,
)
from graphgrad.explain.numbers import latex_number
from graphgrad.explain.steps import Wording, scalar_edge
from graphgrad.graph import CONSTANT, Node
from graphgrad.recorder import BackwardStep, ForwardStep

__all__ = ["latex_factor", "latex_partial", "step_latex"]


def step_latex(wording: Wording, step: ForwardStep | BackwardStep) -> str:
    r"""Return a step of either pass in LaTeX, without dollar signs.

    Args:
        wording: of the tape.
        step: of this tape.

    Returns:
        For a scalar the chain rule in symbols, filled in, then in numbers; for arrays the
        pullback, with every shape under its symbol.

    Example:
        >>> import graphgrad as gg
        >>> x, w = gg.var("x", 2.0), gg.var("w1", 3.0)
        >>> t = gg.tape((x * w).named("z"))
        >>> print(step_latex(Wording(t), t.forward[0]))
        z = x \cdot w_{1} = 2 \cdot 3 = 6
        >>> print(step_latex(Wording(t), t.backward[1]).split(" = ")[0])
        \bar{w}_{1} \leftarrow \bar{z} \cdot \frac{\partial z}{\partial w_{1}}
    """
    return _forward(wording, step) if isinstance(step, ForwardStep) else _backward(wording, step)


def _forward(wording: Wording, step: ForwardStep) -> str:
    """Return a forward step: y = formula = formula in numbers = value."""
    node, scalar = step.node, np.ndim(step.value) == 0
    template = operation_template(node.primitive, len(node.inputs), node.settings, "latex")
    formula = fill_latex(template, "", [_sized(x, _name(wording, x)) for x in node.inputs])
    value = latex_value(step.value, wording.digits)
    text = f"{_sized(node, _name(wording, node))} = {formula}"
    if scalar and all(np.ndim(v) == 0 for v in step.operands):
        numbers = [latex_number(v, wording.digits) for v in step.operands]
        shown = fill_latex(template, "", numbers)
        text += f" = {shown}" if shown not in (formula, value) else ""
    return _then(text, value)


def _backward(wording: Wording, step: BackwardStep) -> str:
    """Return a backward step: x̄ ← ȳ · ∂y/∂x in symbols, filled in, then in numbers."""
    node, i = step.edge
    x = step.edge.source
    bar = latex_adjoint(_name(wording, x))
    again = "" if step.before is None else f"{bar} + "
    if not scalar_edge(node):
        rule = _filled(wording, pullback_template(node, i, "latex"), node, sized=True)
        text = rf"{_sized(x, bar)} \leftarrow {again}{rule}"
        return _then(text, latex_value(step.after, wording.digits))
    up = latex_adjoint(_name(wording, node))
    text = rf"{bar} \leftarrow {again}{up} \cdot {latex_partial(wording, node, i)}"
    if wording.substituted(node, i):
        text += rf" = {again}{up} \cdot {_rule(wording, node, i)}"
    return f"{text} = {_arithmetic(wording, step)}"


def latex_partial(wording: Wording, node: Node, position: int) -> str:
    """Return ∂y/∂x; marked with the position when x is an input of y twice."""
    x = node.inputs[position]
    text = rf"\frac{{\partial {_name(wording, node)}}}{{\partial {_name(wording, x)}}}"
    return rf"\left.{text}\right|_{{{position + 1}}}" if node.inputs.count(x) > 1 else text


def _arithmetic(wording: Wording, step: BackwardStep) -> str:
    digits = wording.digits
    before = "" if step.before is None else f"{latex_number(step.before, digits)} + "
    up = latex_factor(step.upstream, digits)
    local = latex_factor(wording.tape.local(*step.edge), digits)
    return rf"{before}{up} \cdot {local} = {latex_number(step.after, digits)}"


def latex_factor(value: Any, digits: int) -> str:
    """Return a number as a factor: in brackets when it is negative."""
    text = latex_number(value, digits)
    return f"({text})" if text.startswith("-") else text


def _rule(wording: Wording, node: Node, position: int) -> str:
    text = _filled(wording, local_template(node, position, "latex"), node, sized=False)
    loose = local_binding(node, position) <= 1 or text.startswith("-")
    return f"({text})" if loose else text


def _filled(wording: Wording, template: str, node: Node, sized: bool) -> str:
    name, bar = _name(wording, node), latex_adjoint(_name(wording, node))
    inputs = [(x, _name(wording, x)) for x in node.inputs]
    if not sized:
        return fill_latex(template, name, [text for _, text in inputs], bar)
    texts = [_sized(x, text) for x, text in inputs]
    return fill_latex(template, _sized(node, name), texts, _sized(node, bar))


def _name(wording: Wording, node: Node) -> str:
    return wording.latex_names[node]


def _sized(node: Node, text: str) -> str:
    """Return the text with the node's shape under it; scalars as they are."""
    if node.primitive is CONSTANT and not node.name:
        return text
    return rf"\underset{{{latex_shape(node.shape)}}}{{{text}}}" if node.shape else text


def _then(text: str, value: str) -> str:
    return f"{text} {value}" if value.startswith(r"\in ") else f"{text} = {value}"
