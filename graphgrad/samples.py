"""One graph of scalars, many samples: the same operations on arrays, entry by entry.

A network drawn neuron by neuron is a graph of single numbers for one example. `over_samples` makes
of it the graph of N examples at once, which compiles to loops over the samples.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any

from graphgrad.context import making
from graphgrad.errors import ShapeError
from graphgrad.graph import VARIABLE, Node, ancestors, apply, describe, var

__all__ = ["over_samples"]


def over_samples(node: Any, inputs: Iterable[Node], count: int) -> tuple[Any, list[Node]]:
    """Return a graph of scalars for `count` samples at once, and the variables they go into.

    Args:
        node: a scalar that depends on the inputs, usually the loss of one example; or a list of
            scalars.
        inputs: the variables that differ from sample to sample, scalars all.
        count: the number of samples.

    Returns:
        The same for all samples, of shape (count,), or a list of such; and one new variable of
        shape (count,) per input, in order, with the input's name. All other variables, the
        parameters, are the same nodes as before, so their gradients are of the mean.

    Raises:
        ShapeError: when an input is no scalar variable, or an operation that depends on one is
            not elementwise: give such a graph a batch axis of its own.

    Example:
        >>> import graphgrad as gg
        >>> x, y, w = gg.var("x", 1.0), gg.var("y", 2.0), gg.var("w", 0.5)
        >>> losses, data = gg.over_samples(gg.square(x * w - y), [x, y], 3)
        >>> mean = gg.mean(losses)
        >>> f = gg.compile([mean, gg.grad(mean, w)], data, target="numpy")
        >>> [float(v) for v in f([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])]
        [1.1666666666666667, -4.666666666666666]
    """
    chosen = list(inputs)
    number = operator.index(count)
    if number < 1:
        raise ShapeError(f"count={count}: expected at least one sample")
    for x in chosen:
        if not isinstance(x, Node) or x.primitive is not VARIABLE or x.shape:
            what = describe(x) if isinstance(x, Node) else repr(x)
            raise ShapeError(f"{what}: expected a scalar variable")
    new = {x: var(x.name, shape=(number,), dtype=x.dtype) for x in chosen}
    many = isinstance(node, list | tuple)
    roots = list(node) if many else [node]
    known: dict[Node, Node] = dict(new)
    for n in ancestors(roots):
        operands = tuple(known.get(x, x) for x in n.inputs)
        if operands != n.inputs:
            known[n] = _again(n, operands, number)
    found = [known.get(n, n) for n in roots]
    for n, old in zip(found, roots, strict=True):
        if n is old:
            raise ShapeError(f"{describe(old)} does not depend on the inputs")
    return (found if many else found[0]), list(new.values())


def _again(n: Node, operands: tuple[Node, ...], count: int) -> Node:
    """Return the operation on all samples; the sum, mean or largest of one number is itself."""
    kind, alone = n.primitive.kind, len(n.inputs) == 1 and not n.inputs[0].shape and not n.shape
    if kind in ("reduce", "move") and alone and n.dtype is n.inputs[0].dtype:
        if n.name and not operands[0].name:
            operands[0].name = n.name
        return operands[0]
    if n.primitive.kind != "map" or n.shape:
        raise ShapeError(
            f"{describe(n)} depends on the samples and is a {n.op} of shape {n.shape}; expected "
            f"elementwise operations on scalars; give this graph a batch axis of its own"
        )
    with making(scope=n.scope, source=n.source, origin=n.origin):
        new = apply(n.primitive, operands, n.settings)
    if n.name:
        new.name = n.name
    assert new.shape == (count,)
    return new
