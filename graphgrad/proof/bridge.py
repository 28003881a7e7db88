"""The bridge from graphs to SymPy: `to_sympy`.

Scalars become expressions, small vectors and matrices are written entry by entry, larger ones
with matrix symbols. Numbers are exact (`graphgrad.proof.exact`), variables are real symbols.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import sympy as sp

from graphgrad import dtypes
from graphgrad.errors import GraphError, TooLargeError
from graphgrad.graph import VARIABLE, Node, ancestors, describe, refresh
from graphgrad.primitive import Primitive, Settings
from graphgrad.proof import matrices
from graphgrad.proof.entries import boxed, held, needed, run
from graphgrad.proof.exact import exact, formula, template
from graphgrad.shapes import Shape

__all__ = ["SYMPY", "check_constants", "expressions", "symbols_of", "to_sympy", "tree_size"]

ENTRIES = 64
"""Entries of the largest array that is written out entry by entry."""
LARGEST = 20_000
"""Operations of the largest expression that is written out, repetitions counted."""
UNCOUNTABLE = 10**30
DEEPEST = 120
"""Operations within operations: SymPy's own functions recurse, and Python's stack is finite."""


class _SymPy:
    """The arithmetic of SymPy expressions (see `entries.Arithmetic`)."""

    def number(self, value: Any) -> Any:
        """Return a plain number as the exact number it stands for."""
        return exact(value)

    def apply(self, p: Primitive, operands: Sequence[Any], settings: Settings) -> Any:
        """Return the primitive's formula with the operands put in."""
        return formula(p, operands, settings)


SYMPY = _SymPy()


def to_sympy(
    node: Node, *, symbols: Mapping[Node, Any] | None = None, entries: int = ENTRIES
) -> Any:
    """Return a graph as a SymPy expression, with exact numbers.

    Args:
        node: the root. Everything it depends on is written out, down to the variables.
        symbols: what stands for some nodes, in place of their own expression: for a scalar an
            expression, for an array an object array of its shape. A variable x that is not named
            here is ``sympy.Symbol("x", real=True)``, its entries ``x[0,1]``; a second variable
            of the same name gets a prime.
        entries: the largest array that is written entry by entry. Larger ones are written with
            matrix symbols.

    Returns:
        An expression for a scalar (a relation for a mask); a column `sympy.Matrix` for a vector,
        a `sympy.Matrix` for a matrix, an `sympy.Array` for more axes and for masks; a matrix
        expression where arrays are large. Integer nodes (positions, counters) and random numbers
        are written as their current values.

    Raises:
        GraphError: when the expression would have more than 20,000 operations, or a large array
            meets an operation for which SymPy has no matrix form.
        TooLargeError: when an exact number in it would have thousands of digits.

    Example:
        >>> import graphgrad as gg
        >>> x, w, b = gg.var("x", 2.0), gg.var("w", 3.0), gg.var("b", 1.0)
        >>> gg.to_sympy(abs(4 - (x * w + b)))
        Abs(b + w*x - 4)
        >>> gg.to_sympy(gg.tanh(gg.var("W", [[1, 2], [3, 4]]) @ gg.var("x", [0.1, 0.2])))
        Matrix([
        [tanh(W[0,0]*x[0] + W[0,1]*x[1])],
        [tanh(W[1,0]*x[0] + W[1,1]*x[1])]])
        >>> gg.to_sympy(gg.var("W", shape=(99, 99)) @ gg.var("x", shape=99))
        W*x
    """
    if not isinstance(node, Node):
        raise GraphError(f"cannot write {node!r} as a SymPy expression: expected a graph node")
    given = {n: _given(n, e) for n, e in (symbols or {}).items()}
    order = needed([node], given)
    if any(n.size > entries for n in order if not held(n)):
        return matrices.expression(node, given)
    _check_size(node, given)
    return _public(node, expressions([node], given)[node])


def _given(node: Node, expression: Any) -> Any:
    array = expression if isinstance(expression, np.ndarray) else boxed((), [expression])
    if array.shape != node.shape:
        raise GraphError(
            f"{describe(node)} has shape {node.shape}; what stands for it has {array.shape}"
        )
    return array


def _check_size(node: Node, known: Mapping[Node, Any]) -> None:
    size, depth = tree_size([node], known)
    if size > LARGEST or depth > DEEPEST:
        what = f"{size:,} operations" if size < 10**15 else f"10^{int(math.log10(size))} operations"
        raise GraphError(
            f"written out, {describe(node)} has {what}, {depth} deep: more than a formula is good "
            f"for (the graph shares sub-results, a formula repeats them); name inner nodes with "
            f"symbols={{node: sympy.Symbol(…)}}"
        )


def tree_size(roots: Sequence[Node], known: Iterable[Node] = ()) -> tuple[int, int]:
    """Return how many operations the roots have when written out, and how deep they lie.

    Each use of a shared sub-result counts, entry by entry. Large numbers cost nothing here: the
    sizes are added up node by node.

    Example:
        >>> import graphgrad as gg
        >>> y = gg.var("x", 2.0)
        >>> for _ in range(60):
        ...     y = gg.sin(y) * y
        >>> tree_size([y])[0] > 2**60
        True
    """
    sizes: dict[Node, int] = dict.fromkeys(known, 1)
    depths: dict[Node, int] = dict.fromkeys(known, 0)
    for node in needed(roots, sizes):
        if node.is_leaf or held(node):
            sizes[node], depths[node] = 1, 0
            continue
        parts = [sizes[x] * n for x, n in zip(node.inputs, _uses(node), strict=True)]
        sizes[node] = min(1 + sum(parts), UNCOUNTABLE)
        depths[node] = 1 + max((depths[x] for x in node.inputs), default=0)
    total = sum(sizes[r] * max(r.size, 1) for r in roots)
    return total, max((depths[r] for r in roots), default=0)


def _uses(node: Node) -> list[int]:
    """Return how often, about, one entry of the node's formula uses an entry of each input."""
    p, size = node.primitive, max(node.size, 1)
    if p.kind == "map" and p.sympy is not None:
        return template(p, len(node.inputs), node.settings).uses
    if p.kind in ("map", "move"):
        return [1] * len(node.inputs)
    if p.kind in ("matmul", "conv"):
        inner = math.isqrt(math.prod(x.size for x in node.inputs) // size)
        return [max(1, inner)] * len(node.inputs)
    return [max(1, x.size // size) for x in node.inputs]


def symbols_of(nodes: Iterable[Node]) -> dict[Node, Any]:
    """Return an object array of real symbols for every variable among the nodes.

    Integer variables are no symbols, but positions or counters: they keep their values.
    """
    taken: set[str] = set()
    found: dict[Node, Any] = {}
    for node in nodes:
        if node.primitive is not VARIABLE:
            continue
        if node.dtype is dtypes.INT64:
            found[node] = boxed(node.shape, [exact(v) for v in np.ravel(refresh(node))])
            continue
        name = node.name
        while name in taken:
            name += "′"
        taken.add(name)
        mask = node.dtype is dtypes.BOOL
        found[node] = boxed(node.shape, [_symbol(n, mask) for n in _entry_names(name, node.shape)])
    return found


def _symbol(name: str, mask: bool) -> Any:
    return sp.Symbol(name) if mask else sp.Symbol(name, real=True)


def _entry_names(name: str, shape: Shape) -> list[str]:
    return [f"{name}[{','.join(map(str, at))}]" if at else name for at in np.ndindex(shape)]


def expressions(roots: Sequence[Node], known: Mapping[Node, Any]) -> dict[Node, Any]:
    """Return an object array of expressions for every node below the roots.

    Args:
        roots: the nodes wanted.
        known: object arrays that stand for some nodes; other variables become symbols.

    Raises:
        TooLargeError: when an exact number in them would have thousands of digits.
    """
    given = {**symbols_of(ancestors(roots)), **known}
    check_constants(roots, given)
    return run(roots, given, SYMPY)


def check_constants(roots: Sequence[Node], known: Mapping[Node, Any]) -> None:
    """Refuse constants such as 9**9**9 before SymPy tries to write all their digits.

    Raises:
        TooLargeError: when a part that holds no variable has no finite value.
    """
    free = {n for n, e in known.items() if any(x.free_symbols for x in np.ravel(e))}
    for node in needed(roots, known):
        if any(x in free for x in node.inputs):
            free.add(node)
        elif node.primitive.kind == "map":
            _check_finite(node)


def _check_finite(node: Node) -> None:
    if node.is_leaf or not all(_finite(x) for x in node.inputs):
        return
    if not _finite(node):
        raise TooLargeError(f"{describe(node)} holds no variable and has no finite value")


def _finite(node: Node) -> bool:
    return bool(np.all(np.isfinite(refresh(node))))


def _public(node: Node, entries: Any) -> Any:
    if node.shape == ():
        return entries[()]
    if node.dtype is dtypes.BOOL or len(node.shape) > 2 or not node.size:
        return sp.ImmutableDenseNDimArray(list(np.ravel(entries)), node.shape)
    rows = entries.reshape((-1, 1)) if len(node.shape) == 1 else entries
    return sp.ImmutableDenseMatrix(rows.tolist())
