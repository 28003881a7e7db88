"""The bridge from SymPy to graphs: `from_sympy`.

Functions of one or more arguments are found in the rule book by their own SymPy form, so an
operation added there is known here. Equal parts of the expression become one shared node.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import sympy as sp
from sympy.matrices.expressions.applyfunc import ElementwiseApplyFunction
from sympy.matrices.expressions.matexpr import MatrixElement

from graphgrad.errors import GraphError
from graphgrad.graph import Node, const, var
from graphgrad.ops import arithmetic, choices, elementwise, linear, shape
from graphgrad.ops.define import Elementwise
from graphgrad.primitive import TABLE, Primitive
from graphgrad.proof.exact import template

__all__ = ["from_sympy"]


def from_sympy(expression: Any, /, **values: Any) -> Node:
    """Return a SymPy expression as a graph; its symbols become variables.

    Args:
        expression: of numbers, symbols, + * **, the functions of the rule book, Abs, Max, Min,
            Heaviside, Piecewise, relations and logic; or a matrix or array of such. Of matrix
            expressions, symbols, sums, products and transposes are taken.
        values: of the variables, by name; one without a value waits for it.

    Returns:
        The root node. Equal parts of the expression are one node.

    Raises:
        GraphError: for what has no counterpart; the message names that part.

    Example:
        >>> import sympy, graphgrad as gg
        >>> x = sympy.Symbol("x")
        >>> y = gg.from_sympy(sympy.sin(x) ** 2 + sympy.Max(x, 3), x=2)
        >>> round(y.value, 4)
        3.8268
        >>> gg.from_sympy(sympy.gamma(x))
        Traceback (most recent call last):
        graphgrad.errors.GraphError: gamma(x): the rule book has no function gamma; ...
    """
    if isinstance(expression, str):
        raise GraphError(f"{expression!r} is text: gg.parse reads expressions")
    try:
        root = sp.sympify(expression, strict=True)
    except sp.SympifyError:
        raise GraphError(f"{expression!r} is no SymPy expression") from None
    if isinstance(root, sp.MatrixBase | sp.NDimArray):
        return _array(root, values)
    return _Builder(values, [root]).node(root)


def _array(entries: Any, values: dict[str, Any]) -> Node:
    """Return a matrix, or an array of any number of axes; a column stays a matrix of one column."""
    flat = list(entries.flat()) if isinstance(entries, sp.MatrixBase) else list(sp.flatten(entries))
    size = tuple(int(n) for n in entries.shape)
    if not flat:
        raise GraphError(f"an array of shape {size} has no entries")
    builder = _Builder(values, flat)
    stacked: Node = shape.reshape(shape.stack([builder.node(e) for e in flat]), size)
    return stacked


class _Builder:
    """Nodes for expressions: one per expression, however often it occurs."""

    def __init__(self, values: dict[str, Any], roots: list[Any]):
        self._known: dict[Any, Node] = {}
        self._values = dict(values)
        names = {s.name for root in roots for s in root.free_symbols if hasattr(s, "name")}
        stray = [name for name in values if name not in names]
        if stray:
            listed = ", ".join(sorted(names)) or "none"
            raise GraphError(f"a value is given for {stray[0]!r}; the symbols are {listed}")

    def node(self, root: Any) -> Node:
        """Return the node of an expression."""
        stack = [root]
        while stack:  # no recursion: expressions may be deep
            e = stack[-1]
            if e.args and e not in self._known:
                _rule(e)  # or an error that names the outermost part, not some piece of it
            missing = [a for a in _parts(e) if a not in self._known]
            if missing:
                stack += missing
                continue
            stack.pop()
            if e not in self._known:
                self._known[e] = self._made(e)
        return self._known[root]

    def _made(self, e: Any) -> Node:
        if e.is_Symbol or isinstance(e, sp.MatrixSymbol):
            size = tuple(map(int, e.shape)) if isinstance(e, sp.MatrixSymbol) else ()
            value = self._values.get(e.name)
            return var(e.name, value) if value is not None else var(e.name, shape=size)
        if e in (sp.true, sp.false):
            return const(bool(e))
        if e.is_number and (e.is_Atom or not e.args):
            return _number(e)
        if isinstance(e, ElementwiseApplyFunction):
            return self._applied(e)
        return _rule(e)(e, [self._known[a] for a in _parts(e)])

    def _applied(self, e: Any) -> Node:
        """Return a function of one variable, run on the matrix itself: it acts entry by entry."""
        (argument,) = e.function.variables
        inner = _Builder({}, [])
        inner._known[argument] = self._known[e.expr]
        return inner.node(e.function.expr)


def _parts(e: Any) -> list[Any]:
    """Return the expressions that an expression is made of, in the order its rule wants them."""
    if e.is_Matrix:
        return _matrix_parts(e)
    if isinstance(e, sp.Piecewise):
        return [part for pair in e.args for part in pair.args]
    if e.is_Atom:
        return []
    if isinstance(e, MatrixElement):
        return [e.parent]
    if isinstance(e, sp.Pow) and e.exp.is_Rational:
        return [e.base]
    if e.is_Add:
        return [_unsigned(t) for t in e.as_ordered_terms()]
    if e.is_Mul:
        above, below = _fraction(e)
        return [*above, *below]
    if isinstance(e, sp.Heaviside):
        return [e.args[0]]
    return list(e.args)


def _matrix_parts(e: Any) -> list[Any]:
    if isinstance(e, sp.MatrixSymbol | sp.OneMatrix):
        return []
    if isinstance(e, sp.HadamardPower):
        return [e.base]
    return [e.expr] if isinstance(e, ElementwiseApplyFunction) else list(e.args)


def _unsigned(term: Any) -> Any:
    return -term if term.could_extract_minus_sign() else term


def _fraction(e: Any) -> tuple[list[Any], list[Any]]:
    """Return the factors above and below the bar; a sign is dropped."""
    above, below = [], []
    for factor in e.as_ordered_factors():
        if factor.is_Rational:
            above += [sp.Integer(abs(factor.p))] if abs(factor.p) != 1 else []
            below += [sp.Integer(factor.q)] if factor.q != 1 else []
        elif factor.is_Pow and factor.exp.is_Rational and factor.exp < 0:
            below.append(1 / factor)
        else:
            above.append(factor)
    return above, below


def _number(e: Any) -> Node:
    if (
        e.is_extended_real is False
        or e is sp.zoo
        or (e.is_extended_real is None and e is not sp.nan)
    ):
        raise GraphError(f"{e}: not a real number")
    return const(math.pi, name="π") if e is sp.pi else const(float(e))


def _rule(e: Any) -> Callable[[Any, list[Node]], Node]:
    for kind, rule in _RULES:
        if isinstance(e, kind):
            return rule
    p = _functions().get(e.func)
    if p is not None:
        return lambda e, inputs: p(*inputs)
    raise GraphError(
        f"{_short(e)}: the rule book has no function {e.func.__name__}; rewrite this part, as in "
        f"expression.rewrite(sympy.exp), or write it with the functions of gg.PRIMITIVES"
    )


@functools.cache
def _functions() -> dict[Any, Primitive]:
    """Return the primitives whose SymPy form is one function of their inputs, by that function."""
    found: dict[Any, Primitive] = {}
    for p in TABLE.values():
        if not isinstance(p, Elementwise) or p.prepare is not None:
            continue
        known = template(p, len(p.partials), {})
        if list(known.expression.args) == known.symbols:
            found[known.expression.func] = p
    return found


def _short(e: Any) -> str:
    text = str(e)
    return text if len(text) <= 80 else f"{text[:77]}…"


def _add(e: Any, parts: list[Node]) -> Node:
    total: Node | None = None
    for term, part in zip(e.as_ordered_terms(), parts, strict=True):
        minus = term.could_extract_minus_sign()
        if total is None:
            total = -part if minus else part
        else:
            total = total - part if minus else total + part
    assert total is not None
    return total


def _mul(e: Any, parts: list[Node]) -> Node:
    above, _ = _fraction(e)
    top, bottom = (_chain(p) for p in (parts[: len(above)], parts[len(above) :]))
    product = const(1.0) if top is None else top
    product = product if bottom is None else product / bottom
    return -product if e.as_coeff_Mul()[0].is_negative else product


def _chain(parts: list[Node]) -> Node | None:
    return functools.reduce(lambda a, b: a * b, parts) if parts else None


def _pow(e: Any, parts: list[Node]) -> Node:
    exponent = e.exp
    if not exponent.is_Rational:
        return arithmetic.power_of_nodes(*parts)
    base = parts[0]
    if exponent == sp.Rational(1, 2):
        return arithmetic.sqrt(base)
    if exponent == sp.Rational(-1, 2):
        return 1 / arithmetic.sqrt(base)
    return 1 / base if exponent == -1 else base ** float(exponent)


def _piecewise(e: Any, parts: list[Node]) -> Node:
    result: Node | None = None
    for k in reversed(range(len(e.args))):
        value, condition = parts[2 * k : 2 * k + 2]
        if result is None:
            result = value if e.args[k].cond == sp.true else None
        if result is not value:
            last = const(math.nan) if result is None else result
            result = choices.where(condition, value, last)
    assert result is not None
    return result


def _folded(p: Primitive) -> Callable[[Any, list[Node]], Node]:
    return lambda e, parts: functools.reduce(p, parts)


def _heaviside(e: Any, parts: list[Node]) -> Node:
    at_zero = e.args[1] if len(e.args) > 1 else sp.Rational(1, 2)
    return choices.heaviside(parts[0], float(at_zero))


_RULES: list[tuple[Any, Callable[[Any, list[Node]], Node]]] = [
    (sp.MatAdd, _folded(arithmetic.add)),
    (sp.MatMul, lambda e, parts: _matrix_product(parts)),
    (sp.Transpose, lambda e, parts: shape.transpose(parts[0])),
    (sp.HadamardProduct, _folded(arithmetic.mul)),
    (sp.HadamardPower, lambda e, parts: parts[0] ** float(e.exp)),
    (sp.OneMatrix, lambda e, parts: const(np.ones(tuple(map(int, e.shape))))),
    (MatrixElement, lambda e, parts: parts[0][int(e.i), int(e.j)]),
    (ElementwiseApplyFunction | sp.MatrixSymbol, lambda e, parts: parts[0]),
    (sp.Add, _add),
    (sp.Mul, _mul),
    (sp.exp, lambda e, parts: elementwise.exp(parts[0])),
    (sp.Pow, _pow),
    (sp.Piecewise, _piecewise),
    (sp.Max, _folded(choices.maximum)),
    (sp.Min, _folded(choices.minimum)),
    (sp.Heaviside, _heaviside),
    (sp.And, _folded(choices.logical_and)),
    (sp.Or, _folded(choices.logical_or)),
    (sp.Not, lambda e, parts: choices.logical_not(parts[0])),
]


def _matrix_product(parts: list[Node]) -> Node:
    return functools.reduce(
        lambda a, b: linear.matmul(a, b) if a.shape and b.shape else a * b, parts
    )
