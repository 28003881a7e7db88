"""Large vectors and matrices as SymPy's matrix expressions: W*x + b with matrix symbols.

A vector is a column. What SymPy has no matrix form for is refused with a clear error; it can still
be written entry by entry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import sympy as sp
from sympy.matrices.expressions.applyfunc import ElementwiseApplyFunction
from sympy.matrices.expressions.matexpr import MatrixElement

from graphgrad.errors import GraphError
from graphgrad.graph import CONSTANT, VARIABLE, Node, describe
from graphgrad.primitive import Primitive
from graphgrad.proof.entries import needed
from graphgrad.proof.exact import exact, formula, template
from graphgrad.shapes import Shape

__all__ = ["expression"]

Forms = dict[Node, Any]


def expression(root: Node, known: Mapping[Node, Any]) -> Any:
    """Return a graph of large arrays as a SymPy matrix expression.

    Args:
        root: the node to write; it and all below it have at most two axes.
        known: object arrays that stand for some nodes.

    Raises:
        GraphError: for an operation without a matrix form.
    """
    forms: Forms = {n: _explicit(n.shape, entries) for n, entries in known.items()}
    constants = 0
    for node in needed([root], forms):
        if len(node.shape) > 2:
            raise _no_form(node)
        if node.primitive is VARIABLE:
            forms[node] = _symbol(node.name, node.shape)
        elif node.primitive is CONSTANT:
            constants += node.shape != ()
            forms[node] = (
                exact(node._value)
                if node.shape == ()
                else _symbol(node.name or f"C{constants}", node.shape)
            )
        else:
            forms[node] = _computed(node, forms)
    return forms[root]


def _symbol(name: str, shape: Shape) -> Any:
    return sp.MatrixSymbol(name, *_sizes(shape)) if shape else sp.Symbol(name, real=True)


def _explicit(shape: Shape, entries: Any) -> Any:
    if shape == ():
        return entries[()]
    return sp.ImmutableDenseMatrix(np.reshape(entries, _sizes(shape)).tolist())


def _sizes(shape: Shape) -> Shape:
    return shape if len(shape) == 2 else (shape[0], 1)


def _single(matrix: Any) -> Any:
    """Return the entry of a 1×1 matrix; asked with [0, 0], SymPy would write out all its sums."""
    return MatrixElement(matrix, sp.Integer(0), sp.Integer(0))


def _no_form(node: Node) -> GraphError:
    return GraphError(
        f"{describe(node)} ({node.op}, shape {node.shape}) has no form in matrix symbols: write it "
        f"entry by entry, as in to_sympy(…, entries={max(x.size for x in (node, *node.inputs))})"
    )


def _computed(node: Node, forms: Forms) -> Any:
    rule = _RULES.get(node.op)
    if rule is not None:
        return rule(node, forms)
    if node.primitive.kind != "map" or node.primitive.sympy is None:
        raise _no_form(node)
    if all(x.shape == () for x in node.inputs):
        return formula(node.primitive, [forms[x] for x in node.inputs], node.settings)
    if len(node.inputs) != 1:
        raise _no_form(node)
    return _applied(node.primitive, node, forms[node.inputs[0]])


def _applied(p: Primitive, node: Node, x: Any) -> Any:
    known = template(p, 1, node.settings)
    t = sp.Dummy("t", real=True)
    return ElementwiseApplyFunction(
        sp.Lambda(t, known.expression.xreplace({known.symbols[0]: t})), x
    )


def _spread(node: Node, x: Node, forms: Forms) -> Any:
    """Return an operand as a matrix of the node's shape, repeated where it broadcasts."""
    form, shape = forms[x], node.shape
    if x.shape == shape:
        return form
    rows, columns = _sizes(shape)
    if x.size == 1:
        number = form if x.shape == () else _single(form)
        return number * sp.OneMatrix(rows, columns)
    if len(x.shape) == 1 or x.shape[0] == 1:
        row = form.T if len(x.shape) == 1 else form
        return sp.OneMatrix(rows, 1) * row
    return form * sp.OneMatrix(1, columns)


def _added(sign: int) -> Callable[[Node, Forms], Any]:
    def rule(node: Node, forms: Forms) -> Any:
        a, b = node.inputs
        if node.shape == ():
            return forms[a] + sign * forms[b]
        return _spread(node, a, forms) + sign * _spread(node, b, forms)

    return rule


def _multiplied(node: Node, forms: Forms) -> Any:
    a, b = node.inputs
    if a.shape == () or b.shape == ():
        return forms[a] * forms[b]
    return sp.HadamardProduct(_spread(node, a, forms), _spread(node, b, forms))


def _divided(node: Node, forms: Forms) -> Any:
    a, b = node.inputs
    if b.shape != ():
        raise _no_form(node)
    return forms[a] / forms[b]


def _product(node: Node, forms: Forms) -> Any:
    a, b = node.inputs
    if len(a.shape) == 1:
        row = forms[a].T * forms[b]
        return _single(row) if len(b.shape) == 1 else row.T
    return forms[a] * forms[b]


def _transposed(node: Node, forms: Forms) -> Any:
    x = node.inputs[0]
    return forms[x].T if len(x.shape) == 2 and node.settings["axes"] == (1, 0) else forms[x]


def _summed(node: Node, forms: Forms) -> Any:
    (x,) = node.inputs
    rows, columns = _sizes(x.shape)
    over = node.settings["axis"]
    if not over:
        return forms[x]
    down = sp.OneMatrix(1, rows) * forms[x]
    across = sp.OneMatrix(columns, 1)
    if len(x.shape) == 1:
        return down if node.settings["keepdims"] else _single(down)
    if len(over) == 2:
        return down * across if node.settings["keepdims"] else _single(down * across)
    if over == (1,):
        return forms[x] * across
    return down if node.settings["keepdims"] else down.T


def _averaged(node: Node, forms: Forms) -> Any:
    (x,) = node.inputs
    return _summed(node, forms) * sp.Rational(max(node.size, 1), x.size)


_RULES: dict[str, Callable[[Node, Forms], Any]] = {
    "add": _added(1),
    "sub": _added(-1),
    "neg": lambda node, forms: -forms[node.inputs[0]],
    "mul": _multiplied,
    "div": _divided,
    "matmul": _product,
    "outer": lambda node, forms: forms[node.inputs[0]] * forms[node.inputs[1]].T,
    "transpose": _transposed,
    "sum": _summed,
    "mean": _averaged,
}
