"""Checks of derivatives by methods that share no code with the rules they check.

What one can do: differentiate a function along a direction by the complex step or by central
differences, and demand that the gradient of a node agrees (`check_gradient`), that a primitive's
partials are those of its SymPy form (`check_partials`), and that its backward rule is right, to
second order, on nodes and on arrays, and in forward mode. A failure prints the point, the
argument, both numbers and the tolerance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import graphgrad as gg
from graphgrad.ops.define import Elementwise
from graphgrad.primitive import Case, Primitive

from . import rulebook

Function = Callable[[list[Any]], Any]


def complex_step(f: Function, xs: Sequence[Any], ds: Sequence[Any]) -> Any:
    """Return the derivative of `f` at `xs` along `ds` as Im f(x + ih·d)/h, without cancellation.

    Squire and Trapp 1998, "Using complex variables to estimate derivatives of real functions",
    SIAM Review 40, 110. `f` must be analytic.
    """
    h = 1e-20
    return np.imag(f([x + 1j * h * d for x, d in zip(xs, ds, strict=True)])) / h


def central_difference(f: Function, xs: Sequence[Any], ds: Sequence[Any]) -> Any:
    """Return the derivative of `f` at `xs` along `ds` as (f(x + hd) − f(x − hd))/2h.

    Its error is about 1e-10 for values and derivatives of size 1.
    """
    h = 6e-6
    ahead, behind = (f([x + s * h * d for x, d in zip(xs, ds, strict=True)]) for s in (1, -1))
    return (ahead - behind) / (2 * h)


def check_gradient(
    y: gg.Node,
    wrt: gg.Node | Sequence[gg.Node],
    *,
    rtol: float = 1e-9,
    method: Callable[..., Any] = complex_step,
    entries: int = 8,
    seed: int = 0,
) -> None:
    """Demand that the gradients of y are the derivatives that `method` finds.

    A y that is no scalar is contracted with random numbers. An argument of up to `entries`
    entries is moved entry by entry, a larger one along three random directions.
    """
    rng = np.random.default_rng(seed)
    wanted = [wrt] if isinstance(wrt, gg.Node) else list(wrt)
    weights = rng.normal(size=y.shape) if y.shape else np.float64(1)
    gradients = gg.evaluate(gg.vjp(y, wanted, weights))
    size = float(np.sum(np.abs(weights * y.value))) if y.size else 0.0
    for x, gradient in zip(wanted, gradients, strict=True):
        assert gradient.shape == x.shape, f"gradient of shape {gradient.shape} towards {x}"

        def value(at: list[Any], x: gg.Node = x) -> Any:
            found = gg.evaluate([y], {x: at[0]}, analytic=method is complex_step)[0]
            return np.sum(weights * found)

        for direction in _directions(x, entries, rng):
            expected = float(method(value, [x.value], [direction]))
            with np.errstate(invalid="ignore"):
                parts = gradient * direction
            actual, scale = float(np.sum(parts)), max(abs(expected), float(np.sum(np.abs(parts))))
            tolerance = rtol * scale + 1e-3 * rtol * size
            if not (np.isfinite(scale) and abs(actual - expected) <= tolerance):
                raise AssertionError(
                    f"gradient of {y!r} towards {x.name!r} along {_short(direction)}\n"
                    f"  at {_point(y)}\n"
                    f"  rule: {actual!r}, {method.__name__}: {expected!r}, "
                    f"tolerance: {tolerance:.1e}"
                )


def _directions(x: gg.Node, entries: int, rng: np.random.Generator) -> list[Any]:
    if x.size <= entries:
        return list(np.eye(x.size).reshape((x.size, *x.shape)))
    return list(rng.normal(size=(3, *x.shape)))


def _point(y: gg.Node) -> str:
    leaves = [n for n in gg.ancestors(y) if n.op == "variable"]
    return ", ".join(f"{n.name} = {_short(n.value)}" for n in leaves)


def _short(value: Any) -> str:
    return np.array2string(np.asarray(value), threshold=20, precision=17).replace("\n", "")


# -- checks of one primitive -----------------------------------------------------------------------


def check_partials(p: Elementwise, case: Case) -> None:
    """Demand that first and second partials are those of the SymPy form, at all points."""
    given = rulebook.settings(p, case)
    at = rulebook.points(p)
    inputs = [gg.var(f"x{k}", v) for k, v in enumerate(at)]
    floats = [k for k, x in enumerate(inputs) if x.dtype.kind == "f" and p.has_rule(k)]
    y = p(*inputs, **case.settings)
    ones = np.ones(y.shape)
    for i in floats:
        first = gg.vjp(y, inputs[i], ones)
        _compare(p, given, (i,), at, first.value)
        for j in floats:
            _compare(p, given, (i, j), at, gg.vjp(first, inputs[j], ones).value)


def _compare(p: Elementwise, given: Any, order: tuple[int, ...], at: list[Any], found: Any) -> None:
    for point, actual in zip(zip(*at, strict=True), found, strict=True):
        expected = rulebook.exact_partial(p, given, order, [v.item() for v in point])
        tolerance = 1e-10 * max(abs(expected), 1e-3)
        if not abs(actual - expected) <= tolerance:
            by = "".join(f"∂x{i}" for i in order)
            raise AssertionError(
                f"∂{p.name}/{by} at {[float(v) for v in point]}, settings {given}\n"
                f"  rule: {float(actual)!r}, SymPy: {expected!r}, tolerance: {tolerance:.1e}"
            )


def check_first_order(p: Primitive, case: Case) -> None:
    """Demand that the backward rule is the complex step's derivative."""
    y, variables = rulebook.make(p, case)
    if y.active:
        check_gradient(y, rulebook.differentiable(variables))


def check_second_order(p: Primitive, case: Case) -> None:
    """Demand the same of the backward rule's own graph, towards the cotangent too."""
    y, variables = rulebook.make(p, case)
    wanted = rulebook.differentiable(variables)
    if not y.active:
        return
    u = gg.var("u", np.random.default_rng(1).normal(size=y.shape))
    for gradient in gg.vjp(y, wanted, u):
        check_gradient(gradient, [*wanted, u])


def check_on_arrays(p: Primitive, case: Case) -> None:
    """Demand that the rule gives on arrays what it gives on nodes."""
    y, variables = rulebook.make(p, case)
    g = np.asarray(np.random.default_rng(2).normal(size=y.shape))[()]
    arrays = [np.asarray(x.value)[()] for x in y.inputs]
    with np.errstate(all="ignore"):
        for i, x in enumerate(y.inputs):
            if x not in variables or not p.has_rule(i) or not y.active:
                continue
            on_arrays = p.vjp(i, g, np.asarray(y.value)[()], arrays, y.settings)
            on_nodes = p.vjp(i, gg.const(g), y, y.inputs, y.settings)
            expected = on_nodes.value if isinstance(on_nodes, gg.Node) else on_nodes
            np.testing.assert_allclose(on_arrays, expected, rtol=1e-13, atol=1e-15)


def check_forward_mode(p: Primitive, case: Case) -> None:
    """Demand ⟨v, J dx⟩ = ⟨vᵀJ, dx⟩: forward and reverse mode are transposes of each other."""
    y, variables = rulebook.make(p, case)
    wanted = rulebook.differentiable(variables)
    if not y.active:
        return
    rng = np.random.default_rng(3)
    v, dx = rng.normal(size=y.shape), [rng.normal(size=x.shape) for x in wanted]
    forward = np.sum(v * gg.jvp(y, wanted, dx).value)
    parts = [g.value * d for g, d in zip(gg.vjp(y, wanted, v), dx, strict=True)]
    reverse = sum(np.sum(part) for part in parts)
    scale = max((float(np.sum(np.abs(part))) for part in parts), default=0.0)
    assert abs(forward - reverse) <= 1e-12 * max(scale, abs(forward)), (
        f"{p.name}{case}: ⟨v, J dx⟩ = {forward!r}, ⟨vᵀJ, dx⟩ = {reverse!r}"
    )


EVERY_RULE = (check_first_order, check_second_order, check_on_arrays, check_forward_mode)
