"""Derivatives of graphs, as graphs: grad, vjp, jvp, jacobian, hessian; and `backward` in numbers.

One sweep does the work. It walks the graph backwards, asks each primitive for its contribution
to each input's adjoint, and adds them up. It names no operation: what it multiplies and adds are
nodes (then the result is a graph, which can be differentiated again) or arrays (then it is
numbers), for the rules work on both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any, overload

import numpy as np

from graphgrad import dtypes, graph
from graphgrad.context import caller, deriving
from graphgrad.errors import GradientError, ShapeError
from graphgrad.graph import Node, ancestors, apply, const, describe, refresh, var, zeros
from graphgrad.ops.define import Elementwise
from graphgrad.ops.shape import broadcast_to, reshape, stack

__all__ = ["backward", "grad", "hessian", "jacobian", "jvp", "sweep", "vjp"]

OnEdge = Callable[[Node, int, Any, Any, Any, Any], None]


def sweep(
    order: Sequence[Node],
    reached: set[Node],
    adjoint: dict[Node, Any],
    operand: Callable[[Node], Any],
    on_edge: OnEdge | None = None,
) -> dict[Node, Any]:
    """Propagate adjoints from users to inputs, in reverse of `order`, and return them.

    Args:
        order: nodes, inputs before users; the sweep goes through it backwards, and through the
            inputs of a node from first to last.
        reached: the nodes whose adjoint is wanted or leads to a wanted one.
        adjoint: the adjoints known at the start, by node; completed in place.
        operand: what stands for a node in the rules: the node itself, or its value.
        on_edge: called per edge with node, position, upstream adjoint, contribution, and the
            accumulator before (None at first) and after.
    """
    symbolic = on_edge is None
    for node in reversed(order):
        g = adjoint.get(node)
        inputs = node.inputs
        if g is None or not inputs:
            continue
        p, settings = node.primitive, node.settings
        y = operand(node)
        xs = [operand(x) for x in inputs]
        for i, x in enumerate(inputs):
            if x not in reached:
                continue
            part = p.vjp(i, g, y, xs, settings)
            if type(part) is int:  # 0: no gradient passes
                if symbolic:
                    continue
                part = np.zeros(x.shape, x.dtype)[()]
            elif part.dtype is not x.dtype:
                part = part.astype(x.dtype)
            before = adjoint.get(x)
            after = adjoint[x] = part if before is None else before + part
            if on_edge is not None:
                on_edge(node, i, g, part, before, after)
    return adjoint


def _symbolic(order: Sequence[Node], reached: set[Node], adjoint: dict[Node, Any]) -> None:
    """Sweep with nodes, one at a time, so that each new node knows what it is a derivative of."""
    with deriving("gradient", caller()) as of:
        for node in reversed(order):
            if node.inputs and node in adjoint:
                of(node)
                sweep((node,), reached, adjoint, _itself)


def _itself(node: Node) -> Node:
    return node


def _reached(order: Iterable[Node], wanted: Iterable[Node]) -> set[Node]:
    """Return the nodes of `order` through which the wanted ones have an effect."""
    reached = set(wanted)
    for node in order:
        if node not in reached and dtypes.is_float(node.dtype):
            for i, x in enumerate(node.inputs):
                if x in reached and node.primitive.has_rule(i):
                    reached.add(node)
                    break
    return reached


@overload
def grad(y: Node, wrt: Node) -> Node: ...
@overload
def grad(y: Node, wrt: Sequence[Node]) -> list[Node]: ...
def grad(y: Node, wrt: Node | Sequence[Node]) -> Node | list[Node]:
    """Return the gradient of a scalar as nodes: graphs that can be differentiated again.

    Args:
        y: a floating scalar.
        wrt: a node, or a list of nodes; variables or anything y is computed from.

    Returns:
        One node per node in `wrt`, of its shape and type; zeros where y does not depend on it.

    Raises:
        GradientError: when y is no floating scalar, or an entry of `wrt` carries no gradient.

    Example:
        >>> import graphgrad as gg
        >>> x = gg.var("x", 3.0)
        >>> d1 = gg.grad(x ** 3, x)
        >>> d1.value, gg.grad(d1, x).value
        (27.0, 18.0)
    """
    _require_scalar(y, "grad")
    return vjp(y, wrt, const(1.0, y.dtype))


def vjp(y: Node, wrt: Node | Sequence[Node], cotangent: Any) -> Any:
    """Return the product of a vector with the Jacobian, vᵀ ∂y/∂x, as nodes.

    Args:
        y: a floating node of any shape.
        wrt: a node, or a list of nodes.
        cotangent: v, a node or array of y's shape.

    Example:
        >>> import graphgrad as gg
        >>> x = gg.var("x", [1.0, 2.0])
        >>> gg.vjp(x * x, x, [1.0, 10.0]).value.tolist()
        [2.0, 40.0]
    """
    wanted = _wanted(wrt)
    _require_float(y, "y")
    seed = _typed(cotangent, y)
    if seed.shape != y.shape:
        raise ShapeError(f"cotangent of shape {seed.shape} for y of shape {y.shape}: must agree")
    order = ancestors(y)
    adjoint = {y: seed}
    _symbolic(order, _reached(order, wanted), adjoint)
    found = [adjoint[x] if x in adjoint else zeros(x.shape, x.dtype) for x in wanted]
    return found[0] if isinstance(wrt, Node) else found


def jvp(y: Any, wrt: Sequence[Node], tangents: Sequence[Any]) -> Any:
    """Return the product of the Jacobian with a vector, ∂y/∂x · dx, in forward mode, as nodes.

    Args:
        y: a node, or a list of nodes.
        wrt: the nodes x that move, each by itself: one that is computed from another moves only
            by its own tangent.
        tangents: dx for each, a node or array of its shape.

    Returns:
        A node of y's shape; a list when y is one.

    Raises:
        ShapeError: when a tangent does not fit.

    Example:
        >>> import graphgrad as gg
        >>> x, w = gg.var("x", 2.0), gg.var("w", 3.0)
        >>> gg.jvp(x * w, [x, w], [1.0, 10.0]).value
        23.0
    """
    wanted = _wanted(list(wrt))
    if len(wanted) != len(tangents):
        raise GradientError(f"jvp: {len(wanted)} nodes but {len(tangents)} tangents")
    outputs = [y] if isinstance(y, Node) else list(y)
    moved: dict[Node, Node] = {}
    for x, dx in zip(wanted, tangents, strict=True):
        node = _typed(dx, x)
        if node.shape != x.shape:
            raise ShapeError(f"tangent of shape {node.shape} for {describe(x)} of {x.shape}")
        moved[x] = node
    order = ancestors(outputs)
    reached = _reached(order, wanted)
    with deriving("tangent", caller()) as of:
        for node in order:
            if node in reached and node not in moved:
                of(node)
                moved[node] = _tangent(node, moved)
    found = [moved[n] if n in moved else zeros(n.shape, n.dtype) for n in outputs]
    return found[0] if isinstance(y, Node) else found


def _tangent(node: Node, moved: dict[Node, Node]) -> Node:
    """Return the tangent of one node: the sum over its moving inputs."""
    p, xs = node.primitive, node.inputs
    if p.linear == "all" and not isinstance(p, Elementwise):
        parts = [moved[x] if x in moved else zeros(x.shape, x.dtype) for x in xs]
        return apply(p, parts, node.settings)
    result = None
    for i, x in enumerate(xs):
        if x not in moved or not p.has_rule(i):
            continue
        dx = moved[x]
        if isinstance(p, Elementwise):
            local = p.partial(i, node, xs, node.settings)
            plain = type(local) is int and local in (1, -1)
            part = (dx if local == 1 else -dx) if plain else dx * local
        elif p.linear == "each":
            part = apply(p, [*xs[:i], dx, *xs[i + 1 :]], node.settings)
        else:
            part = _transposed(node, i, dx)
        result = part if result is None else result + part
    assert result is not None
    result = result if result.shape == node.shape else broadcast_to(result, node.shape)
    return result if result.dtype is node.dtype else result.astype(node.dtype)


def _transposed(node: Node, i: int, dx: Node) -> Node:
    """Return ∂node/∂x_i · dx from the backward rule alone.

    The rule u ↦ uᵀ ∂y/∂x is linear in u, so its own vjp with cotangent dx is the product sought
    (Townsend 2017, "A new trick for calculating Jacobian vector products").
    """
    u = var("u", shape=node.shape, dtype=node.dtype)
    part = node.primitive.vjp(i, u, node, node.inputs, node.settings)
    if not isinstance(part, Node):
        return zeros(node.shape, node.dtype)
    found: Node = vjp(part, u, dx)
    return found


def jacobian(y: Node, x: Node) -> Node:
    """Return all partial derivatives ∂y_i/∂x_j as one node of shape ``y.shape + x.shape``.

    Reverse mode, a sweep per entry of y, or forward mode, one per entry of x: whichever is fewer.

    Raises:
        GradientError: when y or x carries no gradient.

    Example:
        >>> import graphgrad as gg
        >>> x = gg.var("x", [1.0, 2.0])
        >>> gg.jacobian(x * x, x).value.tolist()
        [[2.0, 0.0], [0.0, 4.0]]
    """
    _require_float(y, "y")
    _require_float(x, "x")
    shape = y.shape + x.shape
    if not y.size or not x.size:
        return zeros(shape, y.dtype)
    if x.size < y.size:
        basis = np.eye(x.size, dtype=x.dtype).reshape((x.size, *x.shape))
        columns = [jvp(y, [x], [e]) for e in basis]
        return reshape(stack(columns, axis=len(y.shape)), shape)
    basis = np.eye(y.size, dtype=y.dtype).reshape((y.size, *y.shape))
    return reshape(stack([vjp(y, x, e) for e in basis]), shape)


def hessian(y: Node, x: Node) -> Node:
    """Return all second derivatives of a scalar as one node of shape ``x.shape + x.shape``.

    Example:
        >>> import graphgrad as gg
        >>> x = gg.var("x", [1.0, 2.0])
        >>> gg.hessian(x[0] * x[1] ** 2, x).value.tolist()
        [[0.0, 4.0], [4.0, 2.0]]
    """
    return jacobian(grad(y, x), x)


def backward(loss: Node, accumulate: bool = False) -> None:
    """Compute the adjoint of every node `loss` depends on, in numbers; see `Node.backward`."""
    _require_scalar(loss, "backward")
    refresh(loss)
    order = ancestors(loss)
    reached = {n for n in order if n.active}
    seed = loss.dtype.type(1)
    with np.errstate(all="ignore"):
        adjoint = sweep(order, reached, {loss: seed}, attrgetter("_value"))
        for node in order:
            g = adjoint.get(node)
            if g is None and node in reached:  # every path to it carries the derivative 0
                g = np.zeros(node.shape, node.dtype)[()]
            if g is not None:
                old = node._grad if accumulate else None
                node._grad = g if old is None else old + g
            elif not accumulate:
                node._grad = None


graph.BACKWARD = backward


def _typed(direction: Any, like: Node) -> Node:
    """Return a tangent or cotangent as a node of the type of the node it belongs to."""
    if not isinstance(direction, Node):
        return const(direction, like.dtype)
    return direction if direction.dtype is like.dtype else direction.astype(like.dtype)


def _wanted(wrt: Node | Sequence[Node]) -> list[Node]:
    one = isinstance(wrt, Node) or not isinstance(wrt, Iterable)
    wanted: list[Any] = [wrt] if one else list(wrt)
    for x in wanted:
        if not isinstance(x, Node):
            raise GradientError(f"cannot differentiate towards {x!r}: expected a graph node")
        _require_float(x, "the node to differentiate towards")
    return wanted


def _require_float(node: Node, what: str) -> None:
    if not isinstance(node, Node):
        raise GradientError(f"{what} is {node!r}: expected a graph node")
    if not dtypes.is_float(node.dtype):
        raise GradientError(
            f"{what}, {describe(node)}, is {node.dtype}: only floating nodes carry gradients"
        )


def _require_scalar(y: Node, what: str) -> None:
    _require_float(y, "y")
    if y.shape != ():
        raise GradientError(
            f"{what} of {describe(y)} with shape {y.shape}: expected a scalar; take .sum() or "
            f".mean() first, or use gg.vjp or gg.jacobian"
        )
