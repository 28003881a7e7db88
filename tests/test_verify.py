"""Verification: right graphs and rules are proved, wrong ones caught with a point that is real.

The whole rule book is proved; each rule, made wrong by 0.1 %, is rejected, and at the point the
proof names the derivative is that of the program. Domains, kinks, and graphs of all sorts.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import graphgrad as gg
from graphgrad.errors import GradientError
from graphgrad.graph import apply
from graphgrad.ops.define import Elementwise
from graphgrad.primitive import Kink
from graphgrad.proof.findings import Row
from graphgrad.proof.partials import prove_partial
from graphgrad.proof.report import Report
from graphgrad.proof.rules import masks_of, verify_rules
from graphgrad.proof.structures import cases_of, prove_entries

from .rulebook import ALL, ELEMENTWISE
from .test_checks import broken
from .test_random_graphs import ONE, TWO, drawn, run

LESSON = "abs(4 - (x*w + b))"


def leaf(report: Report, name: str) -> Row:
    return next(r for r in report.rows if r.kind == "leaf" and r.where.endswith(f"/∂{name}"))


def network(sizes: list[int], act: Any = gg.tanh) -> gg.Node:
    """Return the cross-entropy of a network of scalars; the inputs are constants."""
    r = np.random.default_rng(0)
    signals: list[Any] = [gg.const(v) for v in np.round(r.normal(size=sizes[0]), 2)]
    for k, width in enumerate(sizes[1:], 1):
        signals = [
            sum(
                (gg.var(f"w{k}{j}{i}", float(r.normal())) * s for i, s in enumerate(signals)),
                gg.var(f"b{k}{j}", float(r.normal())),
            )
            for j in range(width)
        ]
        signals = [gg.sigmoid(z) if k == len(sizes) - 1 else act(z) for z in signals]
    return gg.binary_cross_entropy(signals[0], 1.0)


# -- the rule book -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rules() -> Report:
    return verify_rules(budget=300)


def test_every_rule_of_the_book_is_proved_by_algebra(rules: Report) -> None:
    assert rules.ok
    assert rules.complete
    proved = [row for row in rules.rows if row.kind == "rule"]
    assert {row.status for row in proved} == {"proved"}
    for p in ALL:
        cases = len(p.cases) if isinstance(p, Elementwise) else 1
        count = sum(r is not None for r in p.rules) * cases
        assert sum(row.where.startswith(f"∂{p.name}/") for row in proved) == count, p.name


def test_formulas_and_conventions_of_the_book_hold(rules: Report) -> None:
    kinds = Counter(row.kind for row in rules.rows)
    assert kinds["convention"] == sum(bool(p.kinks) for p in ELEMENTWISE)
    assert kinds["value"] == len(ALL) - 2  # random numbers and argmax have no formula


DOMAINS = {
    "log/x": "x > 0", "log1p/x": "x > −1", "div/a": "b ≠ 0", "reciprocal/x": "x ≠ 0",
    "sqrt/x": "x > 0", "tan/x": "cos(x) ≠ 0", "asin/x": "−1 < x < 1", "pow/a": "a > 0",
    "atan2/y": "x > 0 or y ≠ 0", "tanh/x": "everywhere", "sigmoid/x": "everywhere",
    "mul/a": "everywhere", "matmul/x₁": "everywhere", "gelu/x": "everywhere",
    "abs/x": "x ≠ 0 (kink; convention: abs′(0) = 0)",
    "relu/x": "x ≠ 0 (kink; convention: relu′(0) = 0)",
    "floor/x": "x is no whole number (jump; convention: floor′ = 0 at the integers too)",
    "sign/x": "x ≠ 0 (jump; convention: sign′(0) = 0)",
    "clip/x": "x ≠ −1, x ≠ 3/2 (kink; convention: clip′ = 1 at both ends)",
    "maximum/a": "a ≠ b (kink; convention: where a = b, each gets half of the gradient)",
    "where/a": "while the mask stays as it is",
    "max/x₁": "where there is no tie (kink; convention: entries that tie for the largest share "
    "the gradient equally)",
}  # fmt: skip


@pytest.mark.parametrize("name", DOMAINS)
def test_domains_of_rules(rules: Report, name: str) -> None:
    where = "∂" + name.replace("/", "/∂")
    assert {r.domain for r in rules.rows if r.where == where} == {DOMAINS[name]}


def test_a_kink_that_is_none_is_no_condition(rules: Report) -> None:
    one, other = (r.domain for r in rules.rows if r.where == "∂elu/∂x")
    assert one == "everywhere"  # alpha = 1: the two sides meet with the same slope
    assert other.startswith("x ≠ 0 (kink")


EVERY_RULE = [(p, i) for p in ALL for i, r in enumerate(p.rules) if r is not None]


@pytest.mark.parametrize(("p", "i"), EVERY_RULE, ids=[f"{p.name}-{i}" for p, i in EVERY_RULE])
def test_a_rule_wrong_by_a_thousandth_is_rejected_with_a_real_point(p: Any, i: int) -> None:
    wrong = broken(p, i)
    if isinstance(p, Elementwise):
        given = p.cases[0].settings
        made = dict(p.prepare(*[1.0] * len(p.domain), **given)[1]) if p.prepare else {}
        proof = prove_partial(wrong, i, made, masks_of(p))
        check_point(p, i, made, proof)
    else:
        smallest = min(cases_of(wrong), key=lambda use: use.node().size)
        proof = prove_entries(smallest if smallest.node().size else cases_of(wrong)[0], i)
        assert proof.point
    assert proof.status == "WRONG"
    right, false = map(float, proof.values)
    assert false == pytest.approx(right * 1.001 if right else 0.001, rel=1e-12)


def check_point(p: Elementwise, i: int, made: dict[str, Any], proof: Any) -> None:
    """Demand that the derivative a proof names is that of the program, at its point."""
    at = [bool(v) if v in (sp.true, sp.false) else float(v) for v in proof.point.values()]
    forward = p.analytic or p.forward
    stepped = [complex(v, 1e-30) if k == i else v for k, v in enumerate(at)]
    slope = np.imag(forward(*map(np.asarray, stepped), **made)) / 1e-30
    assert float(proof.values[0]) == pytest.approx(float(slope), rel=1e-9)


def test_a_wrong_convention_is_caught() -> None:
    relu = dataclasses.replace(gg.PRIMITIVES["relu"], kinks=(Kink((0.0,), (0.5,)),))
    report = verify_rules([relu])
    assert [row.kind for row in report.wrong] == ["convention"]
    assert "at (0.0,) the rule gives [0.0], stated is (0.5,)" in report.wrong[0].method


def test_a_formula_that_is_not_what_the_program_does_is_caught() -> None:
    wrong = dataclasses.replace(gg.PRIMITIVES["tanh"], sympy=lambda sp, x: sp.tanh(x) + 1)
    report = verify_rules([wrong])
    assert "value" in [row.kind for row in report.wrong]
    assert any("formula and program differ by" in row.verdict for row in report.wrong)
    assert not gg.verify(apply(wrong, [gg.var("x", 0.5)])).ok


def fails(*_: Any, **__: Any) -> Any:
    raise KeyError("nothing there")


def test_rules_and_formulas_that_fail_are_told_of() -> None:
    x = gg.var("x", 0.5)
    bad = dataclasses.replace(gg.PRIMITIVES["exp"], partials=(fails,), rules=(fails,))
    report = gg.verify(apply(bad, [x]))
    assert {row.kind for row in report.wrong} == {"edge", "leaf"}
    assert report.wrong[0].method == "the rule cannot be run: KeyError('nothing there')"
    vector = dataclasses.replace(gg.PRIMITIVES["sum"], rules=(fails,))
    node = apply(vector, [gg.var("z", [1, 2])], {"axis": (0,), "keepdims": False})
    assert "structure" in {row.kind for row in gg.verify(node).wrong}
    formless = dataclasses.replace(gg.PRIMITIVES["exp"], sympy=fails)
    proof = prove_partial(formless, 0, {}, [False])
    assert (proof.status, "cannot be used" in proof.method) == ("not decided", True)


def test_a_rule_that_is_wrong_on_one_side_only_is_caught() -> None:
    def rule(y: Any, x: Any) -> Any:
        return gg.where(x > 0, 1.0, 0.001)

    relu = dataclasses.replace(gg.PRIMITIVES["relu"], partials=(rule,), rules=(rule,))
    proof = prove_partial(relu, 0, {}, [False])
    assert proof.status == "WRONG"
    assert proof.point[proof.symbols[0]] < 0


def test_a_rule_with_rounded_constants_is_checked_not_condemned() -> None:
    def rule(y: Any, x: Any) -> Any:
        return y * 1.00000000000001234

    exp = dataclasses.replace(gg.PRIMITIVES["exp"], partials=(rule,), rules=(rule,))
    proof = prove_partial(exp, 0, {}, [False])
    assert (proof.status, proof.method) == ("checked", "to 13 digits at 20 rational points")


# -- graphs --------------------------------------------------------------------------------------


def test_the_lesson_is_proved_edge_by_edge_and_end_to_end() -> None:
    report = gg.verify(gg.parse(LESSON, x=2, w=3, b=1))
    assert report.ok
    assert report.complete
    assert report.title == "|4 − (x·w + b)|"
    edges = [(r.where, r.formula, r.rule) for r in report.rows if r.kind == "edge"]
    assert edges == [
        ("∂v₁/∂x", "w", "w"),
        ("∂v₁/∂w", "x", "x"),
        ("∂v₂/∂v₁", "1", "1"),
        ("∂v₂/∂b", "1", "1"),
        ("∂v₃/∂v₂", "−1", "−1"),
        ("∂v₄/∂v₃", "1 where v₃ > 0, −1 where v₃ < 0", "sign(v₃)"),
    ]
    w = leaf(report, "w")
    assert (w.formula, w.rule) == ("x·sign(w·x + b − 4)", "−x·sign(4 − w·x − b)")
    assert (w.status, w.domain, w.difference) == ("proved", "v₃ ≠ 0 (kink)", "0")
    assert report.counts == {"proved": 9, "checked": 1}
    assert len(report.notes) == 1
    assert report.notes[0].startswith("1 edge carries no gradient")


def test_every_parameter_of_a_network_is_proved_end_to_end() -> None:
    report = gg.verify(network([2, 3, 1]))
    leaves = [row for row in report.rows if row.kind == "leaf"]
    assert len(leaves) == 13
    assert {row.status for row in leaves} == {"proved"}
    assert report.ok
    assert report.complete
    assert all(row.domain.endswith("(kinks)") for row in leaves)


def test_a_network_of_relus_is_proved_on_all_sides_at_once() -> None:
    report = gg.verify(network([2, 3, 1], gg.relu))
    leaves = [row for row in report.rows if row.kind == "leaf"]
    assert len(leaves) == 13
    assert all(row.status == "proved" for row in leaves)
    assert all(row.method.endswith("on all sides of 5 kinks") for row in leaves)


def test_vectors_are_proved_in_every_entry_and_stepped_in_their_shapes() -> None:
    W, x, b = gg.var("W", [[0.5, -1], [0.2, 2]]), gg.var("x", [1, 2]), gg.var("b", [0.1, 0.3])
    report = gg.verify(gg.softmax_cross_entropy(W @ x + b, [0, 1]))
    assert report.ok
    product = next(r for r in report.rows if r.where == "∂v₁/∂W")
    assert (product.kind, product.rule) == ("structure", "W̄ ← outer(v̄₁, x)")
    assert product.method == "same expression, in every entry"
    row = leaf(report, "W")
    assert row.status == "proved"
    assert row.method.endswith("; confirmed by complex step at the current values")


def test_large_arrays_are_proved_small_and_stepped_at_their_size() -> None:
    r = np.random.default_rng(0)
    W, x = gg.var("W", r.normal(size=(40, 60))), gg.var("x", r.normal(size=60))
    report = gg.verify(gg.tanh(W @ x).sum())
    assert report.ok
    assert report.complete
    product = next(r for r in report.rows if r.where == "∂v₁/∂W")
    assert product.method == (
        "same expression, in every entry at 9 small shapes; "
        "confirmed by complex step in the graph's own shapes"
    )
    huge = gg.var("W", r.normal(size=(300, 300))) @ gg.var("x", r.normal(size=300))
    row = leaf(gg.verify(gg.tanh(huge).sum()), "W")
    assert row.status == "checked"
    assert "too large for algebra" in row.method


def test_a_root_of_many_entries_is_weighed_by_any_cotangent() -> None:
    report = gg.verify(gg.var("W", [[1, 2], [3, 4]]) @ gg.var("x", [5, 6]))
    row = leaf(report, "x")
    assert row.of == "end to end  [2], v₁ weighed by any g"
    assert row.formula == "entry [0]: W[0,0]·g[0] + W[1,0]·g[1]"


@pytest.mark.parametrize(
    ("text", "values", "name", "domain"),
    [
        ("log(sigmoid(w*x))", {}, "w", "everywhere"),
        ("log(x) + sqrt(y)", {}, "x", "x > 0, y > 0"),  # y must be there to be added
        ("x/(y - 1)", {}, "x", "v₁ ≠ 0"),
        ("y*abs(x) + y*log(b)", {}, "y", "b > 0"),
        ("1/(1 + x**2)", {}, "x", "everywhere"),
        ("sqrt(1 + x*x)", {}, "x", "everywhere"),
        ("where(x > y, x**2, y)", {}, "x", "x ≠ y (choice)"),
        ("abs(x) + relu(x - 1)", {}, "x", "x ≠ 0, v₂ ≠ 0 (kinks)"),
        ("floor(x)*x", {}, "x", "x is no whole number (jump)"),
        ("max(z)", {"z": [1, 2, 3]}, "z", "where there is no tie in v₁ (kink)"),
        ("sum(sqrt(z))", {"z": [1, 2, 3]}, "z", "every entry of z > 0"),
    ],
)
def test_domains_of_whole_derivatives(
    text: str, values: dict[str, Any], name: str, domain: str
) -> None:
    report = gg.verify(gg.parse(text, **values))
    assert report.ok
    assert leaf(report, name).domain == domain


@pytest.mark.parametrize(
    ("text", "values", "said"),
    [
        ("relu(x)", {"x": 0}, "here x = 0: at a kink no derivative exists; by convention relu′(0)"),
        ("relu(x)", {"x": 1e-9}, ""),
        ("sign(x)*x", {"x": 0}, "here x = 0: at a jump no derivative exists"),
        ("log(x)", {"x": 0}, "here x = 0: outside the domain"),
        ("sqrt(x)", {"x": -1}, "here x = −1: outside the domain"),
        ("maximum(x, y)", {"x": 2, "y": 2}, "here x = 2, y = 2: at a kink"),
        ("where(x > y, x, x*x)", {"x": 1, "y": 1}, "here x = 1, y = 1: there the choice changes"),
        ("sum(abs(z))", {"z": [1, 0]}, "here, in some entries of z: at a kink"),
        ("max(z)", {"z": [1, 3, 3]}, "here v₁ has a tie"),
        ("max(z)", {"z": [1, 1, 3]}, ""),
        ("relu(x)", {}, ""),
    ],
)
def test_the_current_values_on_a_kink_or_outside(
    text: str, values: dict[str, Any], said: str
) -> None:
    report = gg.verify(gg.parse(text, **values))
    assert report.ok
    note = next(r for r in report.rows if r.kind == "leaf").note
    assert note.startswith(said) if said else not note


def test_values_are_not_needed() -> None:
    report = gg.verify(gg.tanh(gg.var("W", shape=(2, 3)) @ gg.var("x", shape=3)))
    assert report.ok
    assert {row.kind for row in report.rows} == {"edge", "structure", "leaf"}


def test_other_types_and_things_held_fixed() -> None:
    single = gg.var("z", np.float32([1, 2, 3]), dtype=np.float32)
    assert gg.verify(gg.tanh(single).sum()).ok
    z = gg.var("z", [1.0, 5.0])
    report = gg.verify(gg.take(z, gg.argmax(z)))
    assert leaf(report, "z").domain == "while the positions stay as they are"
    assert gg.verify(gg.dropout(z, 0.5, 3).sum()).ok
    mask = gg.var("m", True, dtype=bool)
    assert gg.verify(gg.where(mask, gg.var("x", 1.0), 2.0)).ok
    assert gg.verify(gg.const(2.0)).summary.startswith("nothing to verify")
    assert gg.verify(gg.var("e", np.zeros((0, 3))).sum()).ok
    for infinite in (np.inf, np.nan):
        assert gg.verify(gg.var("x", infinite) * 2).ok


def test_gradients_of_gradients() -> None:
    x = gg.var("x", 0.3)
    report = gg.verify(gg.grad(gg.tanh(x) ** 2 * gg.exp(x), x))
    assert report.ok
    assert leaf(report, "x").status == "proved"


@pytest.mark.parametrize("thing", [gg.var("x", 2.0) > 1, gg.var("n", 1, dtype=int), 3.0])
def test_what_has_no_derivative_is_refused(thing: Any) -> None:
    with pytest.raises(GradientError, match="only floating nodes have derivatives"):
        gg.verify(thing)


# -- random graphs -------------------------------------------------------------------------------

Step = tuple[str, int, int]
steps = st.lists(
    st.tuples(st.sampled_from([*ONE, *TWO]), st.integers(0, 99), st.integers(0, 99)),
    min_size=1,
    max_size=5,
)
seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=25, derandomize=True, deadline=None, database=None)
@given(steps=steps, seed=seeds)
def test_random_graphs_are_right(steps: list[Step], seed: int) -> None:
    _, nodes = drawn(seed, [(), (), ()])
    report = gg.verify(run(steps, nodes, 1), budget=1.5)
    assert report.ok, str(report)
    assert report.complete


@settings(max_examples=25, derandomize=True, deadline=None, database=None)
@given(steps=steps, seed=seeds, which=st.integers(0, 99))
def test_random_graphs_with_a_wrong_rule_are_not(steps: list[Step], seed: int, which: int) -> None:
    _, nodes = drawn(seed, [(), (), ()])
    right = run(steps, nodes, 1)
    edges = [
        (n, i)
        for n in gg.ancestors(right)
        for i, x in enumerate(n.inputs)
        if isinstance(n.primitive, Elementwise) and x.active and n.primitive.has_rule(i)
    ]
    at, i = edges[which % len(edges)]
    wrong = with_primitive(right, at, broken(at.primitive, i))
    report = gg.verify(wrong, budget=1.5)
    assert not report.ok
    assert any(row.kind == "edge" for row in report.wrong)
    for row in report.wrong:
        if row.kind == "leaf":
            check_counterexample(wrong, row)


def with_primitive(root: gg.Node, at: gg.Node, p: Any) -> gg.Node:
    """Return the graph with another primitive at one node."""
    made: dict[gg.Node, gg.Node] = {}
    for n in gg.ancestors(root):
        inputs = [made[x] for x in n.inputs]
        made[n] = n if n.is_leaf else apply(p if n is at else n.primitive, inputs, n.settings)
    return made[root]


def check_counterexample(y: gg.Node, row: Row) -> None:
    """Demand that derivative and gradient are what a row says, in floats, at its point."""
    assert row.values is not None
    leaves = {n.name: n for n in gg.ancestors(y) if n.op == "variable"}
    values = {leaves[name]: number(text) for name, text in row.point.items()}
    (x,) = [n for name, n in leaves.items() if row.where.endswith(f"/∂x{'₀₁₂'[int(name[1])]}")]
    moved = {**values, x: values[x] + 1e-30j}
    slope = np.imag(gg.evaluate([y], moved, analytic=True)[0]) / 1e-30
    gradient = gg.evaluate([gg.grad(y, x)], values)[0]
    expected, actual = (float(v.replace("−", "-")) for v in row.values)
    assert slope == pytest.approx(expected, rel=1e-6, abs=1e-9)
    assert gradient == pytest.approx(actual, rel=1e-6, abs=1e-9)
    assert abs(expected - actual) > 1e-12 * abs(expected)


def number(text: str) -> float:
    return float(Fraction(text.replace("−", "-")))
