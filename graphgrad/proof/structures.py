"""Proofs of structured rules, entry by entry: matmul, sum, convolution, and all that is no map.

With letters in all arrays, the rule for an input's adjoint must be Σⱼ gⱼ ∂yⱼ/∂xᵢ in every entry i,
g being the adjoint of y. That is proved by algebra: at the use's own shapes when they are small,
else at the small shapes of the rule book's own cases.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import sympy as sp

from graphgrad import dtypes
from graphgrad.graph import CONSTANT, Node, apply, const, refresh, var
from graphgrad.primitive import Case, Primitive, Settings
from graphgrad.proof.decide import vanishes
from graphgrad.proof.domains import Condition, conditions, kink, without_implied
from graphgrad.proof.entries import boxed, each, run
from graphgrad.proof.partials import ENOUGH, PROVED, UNDECIDED, WRONG, Proof
from graphgrad.proof.precise import OutsideError, agreed, number_of, weighed, STEP, PRECISE
from graphgrad.proof.sides import ManySidesError, Sides, branches
from graphgrad.shapes import Shape

__all__ = ["Use", "cases_of", "prove_entries", "use_of"]

SMALL = 700
"""Entries of the largest Jacobian that is proved entry by entry at a use's own shapes."""
SIDES = 32


class Use(NamedTuple):
    """How a primitive is used, apart from the numbers in its inputs.

    Attributes:
        p: the primitive.
        inputs: shape, type and fixed value of each input; a value only for positions.
        settings: as in the node.
    """

    p: Primitive
    inputs: tuple[tuple[Shape, Any, tuple[int, ...] | None], ...]
    settings: tuple[tuple[str, Any], ...]

    def node(self) -> Node:
        """Return the primitive on new variables x₁, x₂ …"""
        xs = [
            var(f"x{k + 1}", shape=shape, dtype=dtype)
            if fixed is None
            else const(np.reshape(fixed, shape), dtype)
            for k, (shape, dtype, fixed) in enumerate(self.inputs)
        ]
        return apply(self.p, xs, dict(self.settings))

    def jacobian(self, i: int) -> int:
        """Return the number of entries of the Jacobian in input i."""
        return self.node().size * self.node().inputs[i].size


def use_of(node: Node) -> Use:
    """Return how a node uses its primitive."""
    inputs = tuple(
        (x.shape, x.dtype, tuple(map(int, np.ravel(refresh(x)))) if _positions(x) else None)
        for x in node.inputs
    )
    return Use(node.primitive, inputs, tuple(node.settings.items()))


def _positions(x: Node) -> bool:
    return x.dtype is dtypes.INT64


def cases_of(p: Primitive) -> list[Use]:
    """Return the uses of a primitive that its block in the rule book names."""
    return [use_of(_called(p, case)) for case in p.cases]


def _called(p: Primitive, case: Case) -> Node:
    def argument(a: Any) -> Any:
        if isinstance(a, tuple) and all(isinstance(n, int) for n in a):
            return var("x", shape=a)
        return [argument(part) for part in a] if isinstance(a, list) else a

    args = [argument(a) for a in case.args]
    if not any(isinstance(a, Node | list) for a in args):
        args[0] = const(args[0])
    result: Node = p(*args, **case.settings)
    return result


@functools.lru_cache(maxsize=512)
def prove_entries(use: Use, i: int) -> Proof:
    """Prove the backward rule of input i, entry by entry, at the shapes of a use.

    Example:
        >>> import graphgrad as gg
        >>> y = gg.var("A", shape=(2, 3)) @ gg.var("x", shape=3)
        >>> prove_entries(use_of(y), 0).status
        'proved'
    """
    start = time.perf_counter()
    proof = _Entries(use, i).proof()
    return Proof(**{**proof.__dict__, "seconds": time.perf_counter() - start})


class _Entries:
    """Letters for one use of a primitive, and its rule for one input run on them."""

    def __init__(self, use: Use, i: int):
        self.y = use.node()
        self.i = i
        self.x = self.y.inputs[i]
        self.cotangent = var("g", shape=self.y.shape, dtype=self.y.dtype)
        self.place = var("y", shape=self.y.shape, dtype=self.y.dtype)
        self.rule = use.p.vjp(i, self.cotangent, self.place, self.y.inputs, dict(use.settings))
        self.letters = {x: _letters(x) for x in (*self.y.inputs, self.cotangent)}

    def proof(self) -> Proof:
        """Return the proof: by algebra in every entry and on every side."""
        methods: dict[str, None] = {}
        found: dict[Condition, None] = {}
        count = 0
        try:
            for sides, (values, rule) in branches(self._on_side, SIDES):
                count += 1
                found.update(self._conditions(sides, values, rule))
                for at, expected, actual in self._pairs(values, rule):
                    method = vanishes(expected - actual)
                    if not method:
                        return self._by_numbers(at)
                    methods[method] = None
        except ManySidesError:
            return Proof(UNDECIDED, f"more than {SIDES} sides")
        worst = max(methods, key=len, default="no entries")
        sides_text = f", on each of {count} sides" if count > 1 else ""
        return Proof(PROVED, worst + sides_text, conditions=without_implied(found))

    def _on_side(self, sides: Sides) -> tuple[Any, Any]:
        found = run([self.y], self.letters, sides)
        values = found[self.y]
        if not isinstance(self.rule, Node):
            zero = boxed(self.x.shape, [sp.Integer(self.rule)] * self.x.size)
            return values, zero
        known = {**self.letters, self.place: values}
        return values, run([self.rule], known, sides)[self.rule]

    def _pairs(self, values: Any, rule: Any) -> Iterator[tuple[Any, Any, Any]]:
        """Yield per entry of the input its position, Σ g ∂y/∂x by SymPy, and the rule's entry."""
        terms: dict[Any, list[Any]] = {}
        for g, y in zip(self.letters[self.cotangent].ravel(), values.ravel(), strict=True):
            for x in y.free_symbols:
                terms.setdefault(x, []).append(g * sp.diff(y, x))
        letters = self.letters[self.x]
        for at in np.ndindex(self.x.shape):
            yield at, sp.Add(*terms.get(letters[at], [])), rule[at]

    def _conditions(self, sides: Sides, values: Any, rule: Any) -> dict[Condition, None]:
        found = {kink(s): None for s in (*sides.switches, *sides.apart)}
        for e in {*values.ravel(), *rule.ravel()}:
            found.update(dict.fromkeys(conditions(e)))
        return found

    def _by_numbers(self, at: tuple[int, ...]) -> Proof:
        """Return whether the rule's entry and the derivative's differ in numbers, too."""
        for seed in range(8):
            point = self._point(seed)
            try:
                expected, actual = self._at(point, at)
            except OutsideError:
                continue
            if agreed(expected, actual, 1) < ENOUGH:
                named = {
                    str(s): v
                    for n, values in point.items()
                    for s, v in zip(self.letters[n].ravel(), values, strict=True)
                }
                named = {str(self.letters[self.x][at]): named[str(self.letters[self.x][at])], **named}
                return Proof(
                    WRONG, f"they differ in entry {list(at)}" if at else "they differ",
                    point=named, values=(expected, actual),
                )
        return Proof(UNDECIDED, f"no algebraic proof in entry {list(at)}")

    def _point(self, seed: int) -> dict[Node, list[Any]]:
        return {
            n: [sp.Rational(1 + (7 * k + 5 * seed + 3 * j) % 11, 4) for k in range(n.size)]
            for j, n in enumerate(self.letters)
            if n.primitive is not CONSTANT
        }

    def _at(self, point: dict[Node, list[Any]], at: tuple[int, ...]) -> tuple[Any, Any]:
        known = {n: boxed(n.shape, [number_of(v) for v in values]) for n, values in point.items()}
        known |= {n: _fixed(n) for n in self.letters if n not in known}
        g, both = known[self.cotangent], []
        for sign in (1, -1):
            moved = known[self.x].copy()
            moved[at] = moved[at] + sign * STEP
            both.append(weighed(self.y, g, {**known, self.x: moved}))
        known[self.place] = run([self.y], known, PRECISE)[self.y]
        rule = (
            run([self.rule], known, PRECISE)[self.rule][at]
            if isinstance(self.rule, Node)
            else number_of(self.rule)
        )
        return (both[0] - both[1]) / (2 * STEP), rule


def _letters(node: Node) -> Any:
    if node.primitive is CONSTANT:
        return _fixed(node)
    names = [f"{node.name}{list(at) if at else ''}".replace(" ", "") for at in np.ndindex(node.shape)]
    return boxed(node.shape, [sp.Symbol(n, real=True) for n in names])


def _fixed(node: Node) -> Any:
    return boxed(node.shape, [sp.Integer(int(v)) for v in np.ravel(node._value)])
