r"""The formulas of a report's rows in LaTeX: definitions, derivatives, rules, domains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sympy as sp

from graphgrad.explain.formulas import operation_template, pullback_template
from graphgrad.explain.latex import fill_latex, latex_adjoint, latex_name
from graphgrad.graph import CONSTANT, Node
from graphgrad.proof.domains import Condition, side
from graphgrad.proof.marks import Pair, latex_of
from graphgrad.proof.numerals import array_mark
from graphgrad.proof.partials import Proof
from graphgrad.proof.texts import latex, tidy

__all__ = ["edge_latex", "inside", "partial_latex", "structure_latex"]


def name_latex(node: Node, names: Mapping[Node, str]) -> str:
    """Return the name of a node of a graph; of a nameless constant its numbers."""
    if node.primitive is CONSTANT and not node.name:
        return latex_of(array_mark(node))
    return latex_name(names[node])


def partial_latex(y: str, x: str) -> str:
    r"""Return ∂y/∂x of two typeset names.

    Example:
        >>> print(partial_latex("y", "x_{1}"))
        \frac{\partial y}{\partial x_{1}}
    """
    return rf"\frac{{\partial {y}}}{{\partial {x}}}"


def _by_sides(proof: Proof, names: Mapping[Any, str | Pair]) -> str:
    """Return a derivative: one formula, or a case for each side of a kink; "" for many sides."""
    if len({e for _, e in proof.derivative}) == 1:
        return latex(tidy(proof.derivative[0][1]), names)
    if len(proof.derivative) != 2 or proof.masks:
        return ""
    rows = []
    for sides, e in proof.derivative:
        where = r",\ ".join(side(s, bool(k), lambda u: latex(u, names)) for s, k in sides.items())
        rows.append(rf"{latex(tidy(e), names)} & {where}")
    return r"\begin{cases} " + r" \\ ".join(rows) + r" \end{cases}"


def inside(rule: Any, domain: Sequence[Condition]) -> Any:
    """Return a rule as it reads on its domain: no case for x = 0 where only x > 0 is allowed."""
    apart = [c.parts[0] for c in domain if c.kind in ("positive", "nonzero")]
    return rule.xreplace({sp.Eq(u, 0): sp.false for u in apart})


def edge_latex(
    node: Node, i: int, proof: Proof, names: Mapping[Node, str], symbols: Mapping[Any, str]
) -> dict[str, str]:
    """Return the formulas of an elementwise edge.

    Args:
        node: the edge ends at its input i.
        i: the position.
        proof: of the edge.
        names: of the nodes.
        symbols: the names of the proof's symbols.
    """
    found = _head(node, i, names)
    if proof.rule is not None:
        constants = [n for n in node.inputs if n.primitive is CONSTANT and not n.name]
        own = {names[n]: Pair(names[n], latex_of(array_mark(n))) for n in constants}
        shown: dict[Any, Any] = {s: own.get(name, name) for s, name in symbols.items()}
        found["rule"] = latex(inside(proof.rule, proof.conditions), shown)
        found["formula"] = _by_sides(proof, shown)
        found["domain"] = r",\ ".join(c.latex(lambda e: latex(e, shown)) for c in proof.conditions)
    return {k: v for k, v in found.items() if v}


def structure_latex(node: Node, i: int, names: Mapping[Node, str]) -> dict[str, str]:
    """Return the formulas of a backward rule that is no map."""
    y, x = (name_latex(n, names) for n in (node, node.inputs[i]))
    bar = latex_adjoint(y)
    found = _head(node, i, names)
    if node.shape:
        entry = partial_latex(f"({y})_{{j}}", x)
        found["formula"] = rf"{latex_adjoint(x)} = \sum_{{j}} ({bar})_{{j}} \, {entry}"
    else:
        found["formula"] = rf"{latex_adjoint(x)} = {bar} \, {partial_latex(y, x)}"
    try:
        inputs = [name_latex(n, names) for n in node.inputs]
        rule = fill_latex(pullback_template(node, i, "latex"), y, inputs, bar)
    except Exception:  # a rule that cannot be run has no formula
        return found
    return {**found, "rule": rf"{latex_adjoint(x)} \leftarrow {rule}"}


def _head(node: Node, i: int, names: Mapping[Node, str]) -> dict[str, str]:
    y, x = (name_latex(n, names) for n in (node, node.inputs[i]))
    inputs = [name_latex(n, names) for n in node.inputs]
    template = operation_template(node.primitive, len(inputs), node.settings, "latex")
    again = rf"\ \text{{(input {i + 1})}}" if node.inputs.count(node.inputs[i]) > 1 else ""
    return {"where": partial_latex(y, x) + again, "of": f"{y} = {fill_latex(template, '', inputs)}"}
