"""Formulas of operations and of derivative rules, in text and LaTeX, from the rules themselves.

A rule is run once on placeholders, and the graph it makes is written down as a template with #g
for the upstream adjoint, #y for the result, #1, #2 … for the inputs. So the text on an arrow is
the rule that computes its number; the two cannot disagree.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from typing import Any

from graphgrad.dtypes import Dtype
from graphgrad.explain.latex import latex_name
from graphgrad.explain.names import pretty, visible
from graphgrad.explain.numbers import latex_number, number, shape_text
from graphgrad.graph import CONSTANT, Node, ancestors, var
from graphgrad.ops.define import Elementwise
from graphgrad.primitive import ATOM, Primitive
from graphgrad.shapes import Shape

__all__ = [
    "fill", "local_binding", "local_template", "operation_template", "pullback_template", "render",
]  # fmt: skip

Text = tuple[str, int]
_MINUS = ("−", "-")
_RAISED = re.compile(r"\^\{[^{}]*\}$")
LONGEST = 2000
"""Characters of a part of a formula; a longer one is left out, for a graph can be any size."""
_SCIENTIFIC = re.compile(r"[\d.]+e−?\d+")


def render(node: Node, style: str = "text", holes: Mapping[Node, str] | None = None) -> str:
    """Return the formula of a small graph; leaves are written by name or number.

    Steps that only reshape or repeat are left out. A mask in square brackets is 1 where it holds
    and 0 elsewhere (Iverson's bracket). A part of more than 2000 characters is left out, as "…".

    Args:
        node: the graph's root.
        style: ``"text"`` or ``"latex"``.
        holes: nodes at which to stop, each with what to write for it.

    Example:
        >>> import graphgrad as gg
        >>> x, y = gg.var("x", 2.0), gg.var("y", 3.0)
        >>> render(4 - (x * y + gg.exp(-x)))
        '4 − (x·y + exp(−x))'
        >>> render((1 - x) / y, "latex")
        '\\\\frac{1 - x}{y}'
    """
    return _render(node, style, holes or {})[0]


def _render(root: Node, style: str, holes: Mapping[Node, str]) -> Text:
    texts: dict[Node, Text] = {}
    for node in ancestors(root):
        p = node.primitive
        if node in holes:
            texts[node] = holes[node], ATOM
        elif not node.inputs:
            texts[node] = _leaf(node, style)
        elif p.silent:
            texts[node] = texts[node.inputs[0]]
        else:
            template = operation_template(p, len(node.inputs), node.settings, style)
            parts = [texts[x] for x in node.inputs]
            text = _insert(template, p.precedence, parts)
            long = len(text) > LONGEST
            raised = style == "latex" and _RAISED.search(template) is not None
            binds = min(p.precedence, 4) if raised else p.precedence  # no e^{x}^{2}
            texts[node] = ("…", ATOM) if long else (text, binds)
    return texts[root]


def _leaf(node: Node, style: str) -> Text:
    latex = style == "latex"
    if node.primitive is CONSTANT and not node.name:
        if node.size == 1:
            return _number(node._value.reshape(())[()], style)
        shape = shape_text(node.shape)
        return latex_name(f"const {shape}") if latex else f"const{list(node.shape)}", ATOM
    name = node.name or node.op
    if latex:
        shown = latex_name(pretty(name))
        return shown, 4 if "^" in shown else ATOM
    return visible(name), ATOM


def _number(value: Any, style: str) -> Text:
    text = latex_number(value) if style == "latex" else number(value)
    if text.startswith(_MINUS):
        return text, 3
    return text, 2 if r"\cdot" in text else ATOM


def operation_template(p: Primitive, inputs: int, settings: Any, style: str = "text") -> str:
    """Return the template of an operation, #1, #2 … for its inputs."""
    given = p.template(style, settings)
    if given is None:
        listed = ", ".join(f"#{k + 1}" for k in range(inputs))
        name = p.name if style == "text" else rf"\operatorname{{{p.name}}}".replace("_", r"\_")
        given = f"{name}({listed})"
    return given


def _insert(template: str, precedence: int, parts: Sequence[Text]) -> str:
    """Fill a template's places, with brackets where an operand binds less than its place."""

    def place(match: re.Match[str]) -> str:
        k = int(match[1]) - 1
        text, binds = parts[k]
        start, end = match.span()
        if _enclosed(template, start, end):
            return text
        if precedence == ATOM:
            after = template[end : end + 1] if start == 0 else ""
            if after and after in "[_" and binds < ATOM:
                return f"({text})"
            return f"{{{text}}}" if after == "_" and "_" in text else text  # no x_{1}_{[0]}
        loose = binds < precedence or (binds == precedence and (k > 0 or precedence >= 3))
        signed = k > 0 and precedence > 0 and text.startswith(_MINUS)
        return f"({text})" if loose or signed else text

    return re.sub(r"#(\d+)", place, template)


def _enclosed(template: str, start: int, end: int) -> bool:
    """Return whether brackets, braces or commas stand on both sides of a place."""
    before, after = template[:start].rstrip(), template[end:].lstrip()
    return before.endswith(("{", "(", ",")) and after.startswith(("}", ")", ","))


@functools.lru_cache(maxsize=4096)
def _templates(
    p: Primitive,
    position: int,
    settings: tuple[tuple[str, Any], ...],
    inputs: tuple[tuple[Shape, Dtype], ...],
    output: tuple[Shape, Dtype],
    style: str,
) -> tuple[str, int, str]:
    """Return the text of the local partial (or "", for structured rules), its binding strength
    and the text of the contribution."""
    keyed = dict(settings)
    xs = [var(f"#{k + 1}", shape=s, dtype=d) for k, (s, d) in enumerate(inputs)]
    y = var("#y", shape=output[0], dtype=output[1])
    g = var("#g", shape=output[0], dtype=output[1])
    holes = {n: n.name for n in (*xs, y, g)}
    local, binds = "", ATOM
    if isinstance(p, Elementwise):
        local, binds = _written(p.partial(position, y, xs, keyed), style, holes)
    return local, binds, _written(p.vjp(position, g, y, xs, keyed), style, holes)[0]


def _written(result: Any, style: str, holes: Mapping[Node, str]) -> Text:
    if isinstance(result, Node):
        return _render(result, style, holes)
    return _number(0 if result is None else result, style)


def _keyed(node: Node, position: int, style: str) -> tuple[str, int, str]:
    return _templates(
        node.primitive,
        position,
        tuple(node.settings.items()),
        tuple((x.shape, x.dtype) for x in node.inputs),
        (node.shape, node.dtype),
        style,
    )


def local_template(node: Node, position: int, style: str = "text") -> str:
    """Return the local derivative of an elementwise node as a template; "" for any other.

    Example:
        >>> import graphgrad as gg
        >>> local_template(gg.tanh(gg.var("x", 0.5)), 0)
        '1 − #y²'
    """
    return _keyed(node, position, style)[0]


def local_binding(node: Node, position: int) -> int:
    """Return how strongly the text of the local derivative binds: 1 a sum, 2 a product, …"""
    return _keyed(node, position, "text")[1]


def pullback_template(node: Node, position: int, style: str = "text") -> str:
    """Return the contribution to the input's adjoint as a template, #g the upstream adjoint.

    Example:
        >>> import graphgrad as gg
        >>> pullback_template(gg.var("W", [[1, 2]]) @ gg.var("X", [[3], [4]]), 0)
        '#g @ #2ᵀ'
    """
    return _keyed(node, position, style)[2]


def fill(template: str, y: str, xs: Sequence[str], g: str = "") -> str:
    """Return a template with names put in; a negative number gets brackets beside a sign.

    Example:
        >>> fill("1 − #y²", "a", ["x"]), fill("#1", "y", ["−2"]), fill("2·#1", "y", ["−2"])
        ('1 − a²', '−2', '2·(−2)')
        >>> fill("#1²", "y", ["1e200"])
        '(1e200)²'
    """

    def place(match: re.Match[str]) -> str:
        text = {"y": y, "g": g}.get(match[1]) or xs[int(match[1]) - 1]
        start = match.start()
        alone = start == 0 or template[start - 1] in "([|"
        follows = template[match.end() : match.end() + 1]
        tight = follows in ("²", "^", "ᵀ")
        signed = text.startswith(_MINUS) and (not alone or tight)
        return f"({text})" if signed or (tight and _SCIENTIFIC.fullmatch(text)) else text

    return re.sub(r"#(y|g|\d+)", place, template)
