"""The rule book as test data: for every primitive, points, calls, exact values and scalar code.

Nothing here names a primitive. Points come from a block's `domain`, calls from its `cases`, exact
values from its SymPy form at 40 digits, and scalar results from its `code` text run as Python.
"""

from __future__ import annotations

import builtins
import itertools
import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import scipy.special
import sympy as sp

import graphgrad as gg
from graphgrad.errors import DtypeError
from graphgrad.ops.define import Elementwise
from graphgrad.primitive import TABLE, Case, Primitive

DIGITS = 40
SHAPES = ((2, 3), (3,), (2, 1), ())
"""Shapes that broadcast with each other, in any number and order."""

ALL = list(TABLE.values())
ELEMENTWISE = [p for p in ALL if isinstance(p, Elementwise)]
STRUCTURED = [p for p in ALL if not isinstance(p, Elementwise)]


def generator(p: Primitive, seed: int = 0) -> np.random.Generator:
    return np.random.default_rng([zlib.crc32(p.name.encode()), seed])


def masks(p: Primitive) -> tuple[bool, ...]:
    """Return which inputs of an elementwise primitive must be masks, by its type rule."""
    kinds = itertools.product((False, True), repeat=len(p.domain))
    for chosen in sorted(kinds, key=builtins.sum):
        try:
            p.dtype(*[np.dtype(bool if mask else float) for mask in chosen])
        except DtypeError:
            continue
        return chosen
    raise AssertionError(f"{p.name} accepts neither floats nor masks")


def settings(p: Primitive, case: Case) -> dict[str, Any]:
    """Return the settings of a case as a node has them."""
    return dict(p.prepare(*[1.0] * len(p.domain), **case.settings)[1] if p.prepare else {})


def settled(primitives: Sequence[Primitive]) -> Iterator[tuple[Primitive, Case]]:
    """Yield each primitive with each of its cases."""
    for p in primitives:
        for case in p.cases:
            yield p, case


# -- points and calls ----------------------------------------------------------------------------


def points(p: Primitive, count: int = 10, seed: int = 0) -> list[Any]:
    """Return an array of points per input: random inside the domain, and close to its ends."""
    rng = generator(p, seed)
    result = []
    for k, ((low, high), mask) in enumerate(zip(p.domain, masks(p), strict=True)):
        drawn = rng.uniform(low, high, count + 2 * len(p.domain))
        drawn[count + 2 * k : count + 2 * k + 2] = low + 1e-3, high - 1e-3
        result.append(drawn > (low + high) / 2 if mask else drawn)
    return result


def calls(p: Primitive) -> list[Case]:
    """Return calls whose tuples stand for arrays: `p.cases`, or shapes that broadcast."""
    if not isinstance(p, Elementwise):
        return list(p.cases)
    n = len(p.domain)
    shapes = [tuple(SHAPES[(k + r) % len(SHAPES)] for k in range(n)) for r in range(len(SHAPES))]
    return [Case(s, case.settings) for case in p.cases for s in (*shapes, ((0, 3),) * n)]


def is_shape(a: Any) -> bool:
    return isinstance(a, tuple) and all(isinstance(n, int) for n in a)


def make(
    p: Primitive, case: Case, dtype: Any = float, seed: int = 0
) -> tuple[gg.Node, list[gg.Node]]:
    """Return the node of a call and the variables drawn for its shapes."""
    rng = generator(p, seed)
    leaves: list[gg.Node] = []

    def leaf(shape: tuple[int, ...]) -> gg.Node:
        k = len(leaves)
        value: Any = rng.normal(size=shape)
        kind = dtype
        if isinstance(p, Elementwise):
            low, high = p.domain[k]
            margin = 0.05 * (high - low)
            value = rng.uniform(low + margin, high - margin, shape)
            if masks(p)[k]:
                kind, value = bool, value > (low + high) / 2
        leaves.append(gg.var(f"x{k}", np.asarray(value).astype(kind), dtype=kind))
        return leaves[-1]

    args = [
        leaf(a) if is_shape(a) else [leaf(part) for part in a] if isinstance(a, list) else a
        for a in case.args
    ]
    if not leaves:  # plain numbers only: the first has to be a node to make one
        args[0] = gg.const(args[0])
    return p(*args, **case.settings), leaves


def differentiable(variables: Sequence[gg.Node]) -> list[gg.Node]:
    return [x for x in variables if x.dtype.kind == "f"]


# -- exact values --------------------------------------------------------------------------------


def symbols(p: Primitive) -> tuple[Any, ...]:
    return tuple(
        sp.Symbol(f"x{k}") if mask else sp.Symbol(f"x{k}", real=True)
        for k, mask in enumerate(masks(p))
    )


def exact(expression: Any, names: Sequence[Any], at: Sequence[Any]) -> Any:
    """Return a SymPy expression's value at a point, to 40 digits, as a float or a bool."""
    numbers = [sp.true if v is True else sp.false if v is False else sp.Float(v, 60) for v in at]
    value = sp.sympify(expression).subs(dict(zip(names, numbers, strict=True)))
    if value in (sp.true, sp.false):
        return bool(value)
    return float(sp.N(value, DIGITS))


def exact_partial(
    p: Primitive, given: dict[str, Any], order: Sequence[int], at: Sequence[Any]
) -> float:
    """Return the exact derivative by the inputs in `order`; (0, 1) means ∂²/∂x0∂x1."""
    names = symbols(p)
    expression = p.sympy(sp, *names, **given)
    derivative = sp.diff(expression, *[names[i] for i in order])
    if not derivative.has(sp.Derivative):
        return exact(derivative, names, at)
    h = sp.Rational(1, 10**9)  # SymPy has no rule (floor): differences, at 60 digits
    for i in order:
        ahead, behind = (expression.subs(names[i], names[i] + s * h) for s in (1, -1))
        expression = (ahead - behind) / (2 * h)
    return exact(expression, names, at)


# -- scalar code ---------------------------------------------------------------------------------

MATH = {name: function for name, function in vars(math).items() if not name.startswith("_")}
NUMPY = {name: getattr(np, name) for name in MATH if hasattr(np, name)}
NUMPY |= {
    "acos": np.arccos, "asin": np.arcsin, "atan": np.arctan, "atan2": np.arctan2,
    "erf": scipy.special.erf, "erfc": scipy.special.erfc,
}  # fmt: skip


def code_function(p: Primitive, given: dict[str, Any], names: dict[str, Any]) -> Callable[..., Any]:
    """Return the scalar code text as a Python function with the given functions in reach."""
    arguments = [f"x{k}" for k in range(len(p.domain))]
    text = p.code.format(*arguments, **{k: repr(v) for k, v in given.items()})
    scope = {"__builtins__": {"abs": abs}, **names}
    return eval(f"lambda {', '.join(arguments)}: {text}", scope)


# -- entries -------------------------------------------------------------------------------------


def _map(function: Callable[..., Any], array: Any) -> Any:
    result = np.empty(np.shape(array), object)
    for at in np.ndindex(result.shape):
        result[at] = function(np.asarray(array, object)[at])
    return result


SCALARS = SimpleNamespace(map=_map, **{p.name: p for p in ELEMENTWISE})
"""The functions a block's `entries` may use, here on plain numbers."""
