"""Certificates of nan and infinity: the first step, its operands, its reason, the repair."""

from __future__ import annotations

import math
import re
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import graphgrad as gg
from graphgrad.errors import GraphError
from graphgrad.recorder import BackwardStep, ForwardStep

INF = math.inf


def lines(found):
    return unicodedata.normalize("NFC", str(found)).splitlines()


def first_bad_step(t):
    """Return the first step with a non-finite result, found the plain way."""
    for step in t.steps:
        results = [step.value] if isinstance(step, ForwardStep) else [step.contribution, step.after]
        if not all(np.isfinite(r).all() for r in results):
            return step
    return None


# -- the cases of the textbook -------------------------------------------------------------------


def test_the_root_behind_a_where():
    x = gg.var("x", 0.0)
    found = gg.certificate(gg.parse("where(x > 0, sqrt(x), 0)", x=0))
    assert lines(found) == lines(
        """\
nan is born in the backward pass, step 2 of 2: x̄ ← v̄₂ · ∂v₂/∂x = v̄₂ · 1/(2·v₂) = 0 · ∞ = nan
because      the upstream adjoint is 0 and the local derivative is infinite: 0 · ∞ = nan
operands     v̄₂ = 0, ∂v₂/∂x = ∞, x = 0
not taken    v₃ = where(v₁, v₂, 0) takes the other branch here
made at      <expression>:1: sqrt(x)
from there   x̄
repair       choose the argument first: where(x > 0, sqrt(where(x > 0, x, 1)), 0)
outcome      v₃ = 0; not finite: x̄"""
    )
    assert found.step.edge.node.op == "sqrt"
    assert [n.name for n in found.adjoints] == ["x"]
    assert found.source.text == "sqrt(x)"
    assert gg.certificate(gg.where(x > 0, gg.sqrt(gg.where(x > 0, x, 1.0)), 0.0)) is None


def test_the_source_line_is_that_of_the_node():
    x = gg.var("x", 0.0)
    y = gg.sqrt(x)
    found = gg.certificate(gg.where(x > 0, y, 0.0))
    assert found.source is y.source
    assert found.source.filename == __file__
    assert found.source.text == "y = gg.sqrt(x)"


def test_overflow():
    x = gg.var("x", 1000.0)
    found = gg.certificate(gg.exp(x) * 2)
    assert isinstance(found.step, ForwardStep)
    assert (found.step.index, found.birth.value) == (1, INF)
    assert found.birth.why == "overflow: the largest float64 is 1.798e308"
    assert found.birth.operands == [("x", "1000")]
    assert "exp overflows above 709.8" in found.repairs[0]
    assert [n.op for n in found.path] == ["exp", "mul"]
    assert found.nan is None


def test_overflow_in_float32():
    found = gg.certificate(gg.exp(gg.var("x", np.float32(100))))
    assert found.birth.why == "overflow: the largest float32 is 3.403e38"
    assert "exp overflows above 88.7" in found.repairs[0]
    huge = gg.var("x", np.float32(1e30))
    found = gg.certificate(huge * huge)
    assert found.repairs == ["compute in float64, whose largest number is 1.798e308"]


def test_log_of_zero():
    found = gg.certificate(gg.log(gg.var("x", 0.0)))
    assert (found.birth.value, found.birth.why) == (-INF, "log(0) is infinite: a pole")
    assert found.repairs == ["keep its argument away from 0: log(maximum(x, 1e-12))"]


def test_zero_times_infinity():
    x, a = gg.var("x", 0.0), gg.var("a", INF)
    found = gg.certificate((a * x).named("y"))
    assert found.given == [a]
    assert math.isnan(found.birth.value)
    assert found.birth.why == "∞·0 has no value"
    assert lines(found)[0] == "Not finite as given: a = ∞."
    assert found.repairs == []


def test_infinity_first_and_nan_from_it_later():
    x = gg.var("x", 1000.0)
    e = gg.exp(x)
    found = gg.certificate(e / (1 + e))
    assert (found.birth.value, found.birth.node.op) == (INF, "exp")
    assert math.isnan(found.nan.value)
    assert (found.nan.node.op, found.nan.why) == ("div", "∞/∞ has no value")


@pytest.mark.parametrize(
    ("build", "why"),
    [
        (lambda x: x / x, "0/0 has no value"),
        (lambda x: 1 / x, "1/0 is infinite: a pole"),
        (lambda x: gg.reciprocal(x), "1/0 is infinite: a pole"),
        (lambda x: x**-0.5, "0^−0.5 is infinite: a pole"),
        (lambda x: gg.log1p(x - 1), "log1p(−1) is infinite: a pole"),
        (lambda x: gg.sqrt(x - 1), "√(−1) has no value"),
        (lambda x: gg.log(x - 2), "log(−2) has no value"),
        (lambda x: gg.acos(x + 2), "acos(2) has no value"),
        (lambda x: (x - 8) ** 0.5, "(−8)^0.5 has no value"),
        (lambda x: gg.square(x + 1e200), "overflow: the largest float64 is 1.798e308"),
        (lambda x: gg.sqrt(x) * 3, "the local derivative is infinite here: 3 · ∞"),
        (lambda x: gg.atan2(x, x * 1), "the local derivative has no value here"),
        (
            lambda x: (x + 1e-200) * 1e300 * 1e200,
            "overflow: 1e200 · 1e300, but the largest float64 is 1.798e308",
        ),
        (
            lambda x: (x + 1e-300) * 1.7e308 + (x + 1e-300) * 1.7e308,
            "the contributions overflow when they are added: 1.7e308 + 1.7e308",
        ),
    ],
)
def test_reasons(build, why):
    assert gg.certificate(build(gg.var("x", 0.0))).birth.why == why


def test_a_number_born_where_it_is_not_taken_may_be_harmless():
    x = gg.var("x", 0.0)
    found = gg.certificate(gg.where(x > 0, gg.log(gg.const(0.0)), x))
    assert found.harmless
    assert lines(found)[-1] == "outcome      the result and all gradients are finite all the same"
    assert "where it ends: what follows is finite" in str(found)


def test_all_finite_is_none():
    x = gg.var("x", [1.0, 2.0])
    assert gg.certificate(gg.sum(gg.log(x))) is None
    assert gg.certificate(x * 2) is None
    assert gg.certificate(x > 1) is None


def test_an_array_without_backward_pass_is_searched_forwards():
    found = gg.certificate(gg.log(gg.var("x", [1.0, 0.0])))
    assert found.birth.at == (1,)
    assert found.adjoints == []


def test_leaves_that_are_not_finite_though_no_step_is():
    a = gg.var("a", INF)
    found = gg.certificate(gg.tanh(a))
    assert found.given == [a]
    assert found.step is None
    assert found.node is a


# -- arrays --------------------------------------------------------------------------------------


def test_the_entry_of_an_array_is_named():
    v = gg.var("v", [[4.0, 1.0], [0.0, 9.0]])
    found = gg.certificate(gg.sum(gg.where(v > 0, gg.sqrt(v), 0.0)))
    assert isinstance(found.step, BackwardStep)
    assert found.birth.at == (1, 0)
    assert found.birth.operands[-1] == ("v", "0")
    assert found.repairs == ["choose the argument first: where(v > 0, sqrt(where(v > 0, v, 1)), 0)"]


def test_a_broadcast_input_and_a_sum_of_contributions():
    v, s = gg.var("v", [1.0, 2.0, 4.0]), gg.var("s", 0.0)
    found = gg.certificate(gg.sum(v / s))
    assert found.birth.at == (0,)
    assert found.birth.why == "1/0 is infinite: a pole"


def test_structured_operations():
    W = gg.var("W", [[1e200, 1.0], [1.0, 1.0]])
    found = gg.certificate(gg.sum(W @ W))
    assert found.birth.node.op == "matmul"
    assert found.birth.at == (0, 0)
    assert found.birth.why == "overflow: the largest float64 is 1.798e308"
    x = gg.var("x", [1.0, INF])
    assert gg.certificate(gg.sum(x)).birth.why == "x = [1 ∞] went into it"


# -- repairs -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "where(x > 0, sqrt(x), 0)",
        "where(x > 0, log(x), 0)",
        "where(x <= 0, 1, 1/x)",
        "where(x != 0, y/x, y)",
        "where(x > 0, x**0.5, 2*y)",
        "where(x*y > 0, sqrt(x*y), x)",
        "where(~(x <= 0), x**y, 1)",
        "where(abs(x) > 0, asin(x - 1), x)",
        "where(x > 0, log1p(x - 1), x**2)",
    ],
)
def test_the_double_where_that_is_proposed_works(text):
    found = gg.certificate(gg.parse(text, x=0, **({"y": 0.5} if "y" in text else {})))
    repair = found.repairs[0].removeprefix("choose the argument first: ")
    assert repair != found.repairs[0]
    repaired = gg.parse(repair, x=0, **({"y": 0.5} if "y" in repair else {}))
    assert repaired.value == gg.parse(text, x=0, **({"y": 0.5} if "y" in text else {})).value
    assert gg.certificate(repaired) is None


def test_the_double_where_further_inside():
    x = gg.var("x", 0.0)
    found = gg.certificate(gg.where(x > 0, 2 * gg.sqrt(x * 3), 1.0))
    assert found.repairs == [
        "choose the argument first: sqrt(where(x > 0, x*3, 1)) in place of sqrt(x*3)"
    ]


def test_no_double_where_for_the_branch_that_is_taken():
    x = gg.var("x", 0.0)
    found = gg.certificate(gg.where(x <= 0, gg.sqrt(x), 1.0))
    assert found.repairs == ["the slope of sqrt is infinite at 0: sqrt(x + 1e-12)"]


@pytest.mark.parametrize(
    ("build", "repair"),
    [
        (lambda: gg.log(gg.sigmoid(gg.var("z", -1000.0))), "log_sigmoid(z)"),
        (lambda: gg.log(1 - gg.sigmoid(gg.var("z", 1000.0))), "log_sigmoid(-z)"),
        (lambda: gg.sum(gg.log(gg.softmax(gg.var("z", [1000.0, 0.0])))), "log_softmax(…)"),
        (lambda: gg.log(gg.sum(gg.exp(gg.var("z", [-1000.0, -999.0])))), "logsumexp(…)"),
        (lambda: gg.log(gg.var("z", -1.0)), "its argument must be positive: z is not"),
        (lambda: gg.sqrt(gg.var("z", -1.0)), "its argument must not be negative: z is"),
        (lambda: 1 / gg.var("z", 0.0), "keep the divisor away from 0: z + 1e-12"),
        (lambda: gg.var("z", -8.0) ** 0.5, "a negative base has no such power: abs(z)"),
        (lambda: gg.var("z", 0.0) ** -1.5, "keep the base away from 0: z + 1e-12"),
    ],
)
def test_known_repairs(build, repair):
    assert repair in gg.certificate(build()).repairs[0]


def test_the_repairs_by_name_are_functions_that_exist():
    for name in ("log_sigmoid", "log_softmax", "logsumexp", "softplus",
                 "binary_cross_entropy_with_logits", "softmax_cross_entropy"):  # fmt: skip
        assert callable(getattr(gg, name))


# -- against a plain search ----------------------------------------------------------------------

OPERATIONS = [
    lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b, lambda a, b: a / b,
    lambda a, b: gg.sqrt(a), lambda a, b: gg.log(b), lambda a, b: gg.exp(a * 300),
    lambda a, b: gg.where(a > b, gg.sqrt(a - b), a), lambda a, b: a**-2.0, lambda a, b: -a,
    lambda a, b: gg.tanh(a), lambda a, b: gg.relu(b), lambda a, b: a**b,
]  # fmt: skip
recipes = st.lists(
    st.tuples(st.sampled_from(range(len(OPERATIONS))), st.integers(0, 99), st.integers(0, 99)),
    min_size=1, max_size=8,
)  # fmt: skip
numbers = st.lists(
    st.sampled_from([0.0, 1.0, -1.0, 2.5, 1e200, -1e-200, INF, math.nan]), min_size=6, max_size=6
)


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(
    recipe=recipes,
    values=numbers,
    vectors=st.booleans(),
    dtype=st.sampled_from([np.float64, np.float32]),
)
def test_the_step_is_the_first_with_a_result_that_is_not_finite(recipe, values, vectors, dtype):
    with np.errstate(all="ignore"):
        array = np.asarray(values, dtype)
    parts = [array[:3], array[3:]] if vectors else [array[0], array[1]]
    pool = [gg.var(f"x{k}", v, dtype=dtype) for k, v in enumerate(parts)]
    for kind, i, j in recipe:
        pool.append(OPERATIONS[kind](pool[i % len(pool)], pool[j % len(pool)]))
    loss = gg.sum(pool[-1]) if vectors else pool[-1] + 0.0
    t = gg.tape(loss)
    found = gg.certificate(t)
    expected = first_bad_step(t)
    given_bad = [n for n in t.nodes if n.is_leaf and not np.isfinite(t.value(n)).all()]
    if expected is None and not given_bad:
        assert found is None
        return
    assert found.given == given_bad
    assert found.step is expected
    if expected is None:
        return
    assert not math.isfinite(found.birth.value)
    assert found.path[0] in (found.birth.node, getattr(expected, "edge", found.birth).node) or (
        found.path[0] is expected.edge.source
    )
    if not math.isnan(found.birth.value) and found.nan:
        assert math.isnan(found.nan.value)
    text = str(found)
    assert re.match(r"(Not finite as given|(nan|−?∞) is born in the (forward|backward) pass)", text)
    for node in found.path:
        value = t.value(node) if isinstance(expected, ForwardStep) else t.adjoint(node)
        assert not np.isfinite(value).all()


def test_a_finite_step_would_not_pass_for_the_first():
    x = gg.var("x", 0.0)
    t = gg.tape(gg.sqrt(x) * 2)
    assert first_bad_step(t) is gg.certificate(t).step
    assert first_bad_step(t) is not t.steps[0]


def test_a_hundred_thousand_nodes():
    x = gg.var("x", 1e-5)
    y = x
    for _ in range(50_000):
        y = y + x
    y = gg.log(y - y)
    for _ in range(50_000):
        y = y + x
    found = gg.certificate(y)
    assert found.birth.node.op == "log"
    assert len(found.path) == 50_001
    assert all(len(line) < 300 for line in lines(found))


def test_hostile_names_are_written_as_escapes():
    x = gg.var("\x1b[2J", 0.0)
    text = str(gg.certificate(gg.where(x > 0, gg.sqrt(x), 0.0)))
    assert "\x1b" not in text
    assert "\\x1b[2J" in text


def test_errors():
    with pytest.raises(GraphError, match="expected a graph node or its tape"):
        gg.certificate(math.nan)
