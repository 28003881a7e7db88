"""The whole rule book verified: every derivative rule, every formula, every convention.

For each primitive: the formula that proofs use gives what the program computes; each rule is
SymPy's derivative of it, for all settings and shapes that the block names as cases; at the stated
kinks the rule gives the stated convention.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import sympy as sp

from graphgrad import dtypes
from graphgrad.errors import DtypeError, GraphError
from graphgrad.explain.formulas import fill, operation_template
from graphgrad.explain.numbers import number, shape_text
from graphgrad.graph import Node
from graphgrad.ops.define import Elementwise
from graphgrad.primitive import TABLE, Primitive
from graphgrad.proof.budget import Budget, hurried
from graphgrad.proof.entries import boxed, run
from graphgrad.proof.findings import Row
from graphgrad.proof.partials import (
    CHECKED,
    LATE,
    PROVED,
    UNDECIDED,
    WRONG,
    Proof,
    prove_partial,
)
from graphgrad.proof.precise import PRECISE, OutsideError, number_of
from graphgrad.proof.real_shapes import together
from graphgrad.proof.report import Report
from graphgrad.proof.structures import Use, cases_of, prove_entries
from graphgrad.proof.texts import latex
from graphgrad.proof.wording import (
    Words,
    by_sides,
    difference,
    digits,
    domain_text,
    rule_text,
    settings_text,
)

__all__ = ["masks_of", "verify_rules"]

BUDGET = 120.0
POINTS = 20
CLOSE = 1e-12


def verify_rules(
    primitives: Iterable[Primitive] | None = None, *, budget: float = BUDGET
) -> Report:
    """Verify primitives of the rule book; all by default.

    Args:
        primitives: records of the rule book, `gg.PRIMITIVES["tanh"]` for example.
        budget: seconds that may be spent.

    Example:
        >>> import graphgrad as gg
        >>> report = verify_rules([gg.PRIMITIVES["relu"]])
        >>> for row in report.rows:
        ...     print(row.kind, row.where, row.verdict)
        rule ∂relu/∂x proved: same expression, on both sides
        value relu checked: formula and program agree to 12 digits
        convention relu proved: the rule gives the stated values
    """
    clock = Budget(budget)
    chosen = list(TABLE.values()) if primitives is None else list(primitives)
    rows = [row for p in chosen for row in _rows(p, clock)]
    return Report("the rule book", rows, clock.spent, clock.seconds)


def _rows(p: Primitive, clock: Budget) -> Iterator[Row]:
    yield from _elementwise(p, clock) if isinstance(p, Elementwise) else _structured(p, clock)
    yield from _value(p, clock)
    if isinstance(p, Elementwise) and p.kinks:
        yield _convention(p)


# -- derivative rules --------------------------------------------------------------------------


def masks_of(p: Elementwise) -> tuple[bool, ...]:
    """Return which inputs have to be masks, by the type rule.

    Example:
        >>> masks_of(TABLE["where"])
        (True, False, False)
    """
    kinds = itertools.product((False, True), repeat=len(p.domain))
    for chosen in sorted(kinds, key=sum):
        try:
            p.dtype(*[dtypes.BOOL if mask else dtypes.FLOAT64 for mask in chosen])
        except DtypeError:
            continue
        return chosen
    raise GraphError(f"{p.name}: no data types fit its type rule")


def _settings(p: Primitive, given: Any) -> dict[str, Any]:
    if p.prepare is None:
        return dict(given)
    return dict(p.prepare(*[1.0] * len(p.domain), **given)[1])


def _elementwise(p: Elementwise, clock: Budget) -> Iterator[Row]:
    masks = masks_of(p)
    for case in p.cases:
        settings = _settings(p, case.settings)
        for i in range(len(p.domain)):
            if p.has_rule(i):
                work = partial(prove_partial, p, i, settings, masks)
                proof = hurried(work, clock, LATE)
                yield _rule_row(p, i, settings, proof)


def _rule_row(p: Elementwise, i: int, settings: dict[str, Any], proof: Proof) -> Row:
    names = list(p.signature.parameters)[: len(p.domain)]
    result = "result" if "y" in names else "y"
    shown = {proof.result: result}
    made = fill(operation_template(p, len(names), settings), "", names)
    listed = "" if callable(p.text) or not settings else f"  [{settings_text(settings)}]"
    return Row(
        "rule", f"∂{p.name}/∂{names[i]}", proof.status, of=f"{result} = {made}{listed}",
        formula=by_sides(proof, {}), rule=rule_text(proof, shown),
        difference=difference(proof, shown), method=proof.method,
        domain=domain_text(p, proof, {}),
        point={str(s): digits(v) for s, v in proof.point.items()},
        values=proof.values and (digits(proof.values[0]), digits(proof.values[1])),
        seconds=proof.seconds, tex={} if proof.rule is None else {"rule": latex(proof.rule, shown)},
    )  # fmt: skip


def _structured(p: Primitive, clock: Budget) -> Iterator[Row]:
    uses = cases_of(p)
    inputs = 1 if p.variadic else len(p.rules)
    for i in range(inputs):
        if not p.has_rule(i):
            continue
        proofs = [
            prove_entries(use, k, clock)
            for use in uses
            for k in (range(len(use.inputs)) if p.variadic else [i])
        ]
        yield _structure_row(p, i, uses, together(proofs))


def _structure_row(p: Primitive, i: int, uses: Sequence[Use], proof: Proof) -> Row:
    node = uses[0].node()
    words = Words([*node.inputs, node.named("y")])
    row = words.structure(node, i, proof, proof.method)
    shown = ", ".join(shape_text(x.shape) for x in node.inputs)
    more = ", …" if len(uses) > 1 else ""
    return replace(
        row, kind="rule", where=f"∂{p.name}/∂{words.names[node.inputs[i]]}", group="",
        of=f"{row.of.partition('  [')[0]}  [{shown}{more}]",
    )  # fmt: skip


# -- values and conventions --------------------------------------------------------------------


def _value(p: Primitive, clock: Budget) -> Iterator[Row]:
    """Yield the row that compares the formula with the program, where there is a formula."""
    start = time.perf_counter()
    if p.kind == "random" or p.dtype is dtypes.integer or not clock.left:
        return
    uses = _elementwise_uses(p) if isinstance(p, Elementwise) else cases_of(p)
    count, worst = 0, 0.0
    for use in uses:
        for at in _inputs(p, use):
            try:
                error, numbers = _error(use.node(), at)
            except OutsideError:
                continue
            worst, count = max(worst, error), count + numbers
    status = UNDECIDED if not count else CHECKED if worst <= CLOSE else WRONG
    method = {
        UNDECIDED: "no point with a finite value",
        CHECKED: "formula and program agree to 12 digits",
        WRONG: f"formula and program differ by {number(worst)}, relative to the result",
    }[status]
    yield Row("value", p.name, status, of=f"{count} numbers", method=method, group="value",
              seconds=time.perf_counter() - start)  # fmt: skip


def _elementwise_uses(p: Elementwise) -> list[Use]:
    kinds = [dtypes.BOOL if m else dtypes.FLOAT64 for m in masks_of(p)]
    inputs = tuple(((POINTS,), kind, None) for kind in kinds)
    return [Use(p, inputs, tuple(_settings(p, case.settings).items())) for case in p.cases]


def _inputs(p: Primitive, use: Use) -> Iterator[list[Any]]:
    """Yield arrays of exact numbers for the inputs of a use, inside the domain."""
    draw = random.Random(0)
    domain = p.domain if isinstance(p, Elementwise) else ((-3.0, 3.0),) * len(use.inputs)
    found = []
    for (shape, dtype, fixed), (low, high) in zip(use.inputs, domain):
        size = int(np.prod(shape))
        if fixed is not None:
            entries: list[Any] = list(fixed)
        elif dtype is dtypes.BOOL:
            entries = [draw.random() < 0.5 for _ in range(size)]
        else:
            cells = [sp.Rational(draw.randint(1, 63), 64) for _ in range(size)]
            entries = [sp.Rational(low) + (sp.Rational(high) - sp.Rational(low)) * c for c in cells]
        found.append(boxed(shape, entries))
    yield found


def _error(node: Node, at: Sequence[Any]) -> tuple[float, int]:
    """Return how far formula and program differ, relative to the larger of result and 1."""
    plain = [np.array(a.tolist(), x.dtype) for a, x in zip(at, node.inputs)]
    known = {
        x: boxed(x.shape, [number_of(v) for v in a.ravel()])
        for a, x in zip(at, node.inputs)
        if x.primitive.name == "variable"
    }
    exact = run([node], known, PRECISE)[node]
    with np.errstate(all="ignore"):
        computed = np.ravel(node.primitive.forward(*plain, **node.settings))
    pairs = list(zip(exact.ravel(), computed.tolist(), strict=True))
    errors = [abs(float(e) - float(c)) / max(abs(float(e)), 1.0) for e, c in pairs]
    return max(errors, default=0.0), len(pairs)


def _convention(p: Elementwise) -> Row:
    """Return the row that compares rule and stated partial derivatives at the stated kinks."""
    settings = _settings(p, p.cases[0].settings)
    wrong = []
    with np.errstate(all="ignore"):
        for kink in p.kinks:
            xs = [np.float64(v) for v in kink.at]
            y = p.forward(*xs, **settings)
            found = [float(np.asarray(p.partial(i, y, xs, settings))) for i in range(len(xs))]
            if not np.array_equal(found, kink.partials, equal_nan=True):
                wrong.append(f"at {kink.at} the rule gives {found}, stated is {kink.partials}")
    names = ", ".join(list(p.signature.parameters)[: len(p.domain)])
    names = f"({names})" if len(p.domain) > 1 else names
    places = [", ".join(map(number, k.at)) for k in p.kinks]
    at = " and ".join(f"({place})" if len(p.domain) > 1 else place for place in places)
    return Row(
        "convention", p.name, WRONG if wrong else PROVED, of=f"at {names} = {at}",
        rule="; ".join(", ".join(map(number, k.partials)) for k in p.kinks),
        method="; ".join(wrong) or "the rule gives the stated values",
        note=p.convention.rstrip("."),
    )  # fmt: skip
