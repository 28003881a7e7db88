"""Proofs of structured rules, entry by entry: matmul, sum, convolution, and all that is no map.

With letters in all arrays, the rule for an input's adjoint must be Σⱼ gⱼ ∂yⱼ/∂xᵢ in every entry i,
g being the adjoint of y. That is proved by algebra, on every side of the kinks there are.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import sympy as sp

from graphgrad import dtypes
from graphgrad.graph import CONSTANT, Node, apply, const, refresh, var
from graphgrad.primitive import Case, Primitive
from graphgrad.proof.budget import Budget, LateError
from graphgrad.proof.decide import vanishes
from graphgrad.proof.domains import Condition, conditions, kink, without_implied
from graphgrad.proof.entries import boxed, each, run
from graphgrad.proof.partials import (
    CHECKED,
    ENOUGH,
    LATE,
    POINTS,
    PROVED,
    UNDECIDED,
    WRONG,
    BrokenRuleError,
    Proof,
    on_sides,
)
from graphgrad.proof.precise import MOST, PRECISE, OutsideError, agreed, number_of, slope
from graphgrad.proof.sides import ManySidesError, Sides, branches
from graphgrad.shapes import Shape

__all__ = ["Use", "cases_of", "positions", "prove_entries", "use_of"]

SIDES = 128
"""Sides of kinks that are gone through one by one."""
MOST_KEPT = 512
_kept: dict[tuple[Use, int], Proof] = {}


# -- uses -------------------------------------------------------------------------------------


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
        (x.shape, x.dtype, tuple(map(int, np.ravel(refresh(x)))) if positions(x) else None)
        for x in node.inputs
    )
    return Use(node.primitive, inputs, tuple(node.settings.items()))


def positions(x: Node) -> bool:
    """Return whether a node holds whole numbers, which enter rules as they are."""
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


# -- proofs ------------------------------------------------------------------------------------


def prove_entries(use: Use, i: int, limit: Budget | None = None) -> Proof:
    """Prove the backward rule of input i, entry by entry, at the shapes of a use.

    A proof is kept for the next time; where time was up there is none.

    Args:
        use: of a primitive.
        i: the position of the input.
        limit: the time that may be spent; without it there is no end.

    Example:
        >>> import graphgrad as gg
        >>> from graphgrad.proof.structures import use_of
        >>> y = gg.var("A", shape=(2, 3)) @ gg.var("x", shape=3)
        >>> prove_entries(use_of(y), 0).status
        'proved'
    """
    if (use, i) not in _kept:
        start, limit = time.perf_counter(), limit or Budget(math.inf)
        try:
            limit.check()
            proof = _Entries(use, i, limit).proof()
        except BrokenRuleError as problem:
            proof = Proof(WRONG, f"the rule cannot be run: {problem.args[0]!r}")
        except LateError:
            return LATE
        if len(_kept) >= MOST_KEPT:
            _kept.clear()
        _kept[use, i] = replace(proof, seconds=time.perf_counter() - start)
    return _kept[use, i]


class _Entries:
    """Letters for one use of a primitive, and its rule for one input run on them."""

    def __init__(self, use: Use, i: int, limit: Budget):
        self.y, self.i, self.limit = use.node(), i, limit
        self.x = self.y.inputs[i]
        self.cotangent = var("g", shape=self.y.shape, dtype=self.y.dtype)
        self.place = var("y", shape=self.y.shape, dtype=self.y.dtype)
        try:
            self.rule = use.p.vjp(i, self.cotangent, self.place, self.y.inputs, dict(use.settings))
        except Exception as problem:  # a rule may hold any mistake
            raise BrokenRuleError(problem) from None
        self.letters = {x: _letters(x) for x in (*self.y.inputs, self.cotangent)}

    def proof(self) -> Proof:
        """Return the proof: by algebra in every entry and on every side, else by numbers."""
        found: dict[Condition, None] = {}
        try:
            sides = branches(self._on_side, SIDES)
            method, count = self._algebra(sides, found)
            method += on_sides(count) if method else ""
        except ManySidesError:
            return self._by_numbers(f"more than {SIDES} sides for algebra", found)
        if method:
            return Proof(PROVED, method, conditions=without_implied(found))
        return self._by_numbers("no proof by algebra", found)

    def _algebra(self, made: Iterable[Any], found: dict[Condition, None]) -> tuple[str, int]:
        """Return how all entries were proved on all sides, and how many sides there are."""
        methods: dict[str, None] = {}
        count = 0
        for sides, (values, rule) in made:
            count += 1
            found.update(self._conditions(sides, values, rule))
            for _, expected, actual in self._pairs(values, rule):
                method = vanishes(expected - actual, sides.letters, min(2.0, self.limit.left))
                if not method:
                    return "", count
                methods[method] = None
        return max(methods, key=len, default="no entries"), count

    def _on_side(self, sides: Sides) -> tuple[Any, Any]:
        check = self.limit.check
        values = run([self.y], self.letters, sides, check)[self.y]
        if not isinstance(self.rule, Node):
            zero = boxed(self.x.shape, [sp.Integer(self.rule)] * self.x.size)
            return values, zero
        known = {**self.letters, self.place: values}
        return values, run([self.rule], known, sides, check)[self.rule]

    def _pairs(self, values: Any, rule: Any) -> Iterator[tuple[Any, Any, Any]]:
        """Yield per entry of the input its position, Σ g ∂y/∂x by SymPy, and the rule's entry."""
        terms: dict[Any, list[Any]] = {}
        for g, y in zip(self.letters[self.cotangent].ravel(), values.ravel(), strict=True):
            self.limit.check()
            for x in y.free_symbols:
                terms.setdefault(x, []).append(g * sp.diff(y, x))
        letters = self.letters[self.x]
        for at in np.ndindex(self.x.shape):
            self.limit.check()
            yield at, sp.Add(*terms.get(letters[at], [])), rule[at]

    def _conditions(self, sides: Sides, values: Any, rule: Any) -> dict[Condition, None]:
        found = {kink(s): None for s in (*sides.switches, *sides.apart)}
        for e in {*values.ravel(), *rule.ravel()}:
            found.update(dict.fromkeys(conditions(e)))
        return found

    def _by_numbers(self, why: str, found: Iterable[Condition]) -> Proof:
        """Compare rule and derivative in every entry, at points, to 40 digits."""
        digits, count, draw = MOST, 0, random.Random(0)
        for _ in range(3 * POINTS):
            at = {n: self._drawn(n, draw) for n in self.letters}
            try:
                for entry, expected, actual in self._numbers(at):
                    same = agreed(expected, actual, 1)
                    if same < ENOUGH:
                        return self._wrong(entry, at, (expected, actual))
                    digits = min(digits, same)
            except OutsideError:
                continue
            count += 1
            if count == POINTS:
                method = f"to {digits} digits at {count} points; {why}"
                return Proof(CHECKED, method, conditions=without_implied(found))
        return Proof(UNDECIDED, why, conditions=without_implied(found))

    def _drawn(self, node: Node, draw: random.Random) -> Any:
        if node.primitive is CONSTANT:
            return _fixed(node)
        return boxed(node.shape, [sp.Rational(draw.randint(-96, 96), 32) for _ in range(node.size)])

    def _numbers(self, at: dict[Node, Any]) -> Iterator[tuple[tuple[int, ...], Any, Any]]:
        known = {n: each(number_of, values) for n, values in at.items()}
        y = run([self.y], known, PRECISE)[self.y]
        g = known[self.cotangent]
        rule = self.rule
        found = (
            run([rule], {**known, self.place: y}, PRECISE)[rule] if isinstance(rule, Node) else None
        )
        zero = number_of(0)
        for entry in np.ndindex(self.x.shape):
            self.limit.check()
            unit = boxed(self.x.shape, [zero] * self.x.size)
            unit[entry] = number_of(1)
            expected, _ = slope(self.y, g, known, {self.x: unit})
            yield entry, expected, number_of(rule) if found is None else found[entry]

    def _wrong(self, entry: tuple[int, ...], at: dict[Node, Any], values: tuple[Any, Any]) -> Proof:
        moved = self.letters[self.x][entry]
        point = {
            str(s): v
            for n, numbers in at.items()
            if n.primitive is not CONSTANT
            for s, v in zip(self.letters[n].ravel(), numbers.ravel(), strict=True)
        }
        where = f" in {moved}" if self.x.shape else ""
        return Proof(WRONG, f"they differ{where}", point=point, values=values)


def _letters(node: Node) -> Any:
    if node.primitive is CONSTANT:
        return _fixed(node)
    names = [
        f"{node.name}{list(at) if at else ''}".replace(" ", "") for at in np.ndindex(node.shape)
    ]
    return boxed(node.shape, [sp.Symbol(n, real=True) for n in names])


def _fixed(node: Node) -> Any:
    return boxed(node.shape, [sp.Integer(int(v)) for v in np.ravel(node._value)])
