"""The path ledger: contributions, paths, counts, cancellations, killers; against brute force.

The oracle walks every path, which the ledger never does.
"""

from __future__ import annotations

import math
import unicodedata
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import graphgrad as gg
from graphgrad.errors import GradientError, GraphError
from graphgrad.explain.paths import Routes
from graphgrad.explain.tables import columns, count, percent, table, whole

from .familiar import book, find


def text_of(found):
    return unicodedata.normalize("NFC", str(found))


def lesson_17(depth=3):
    """Sigmoids in a chain with two weights each: z = w₁·σ + w₂·σ."""
    a = gg.var("x", 0.5)
    for k in range(1, depth + 1):
        w1, w2 = gg.var(f"w{k}1", 0.5 * k), gg.var(f"w{k}2", -0.25)
        z = (w1 * a + w2 * a).named(f"z{k}")
        a = gg.sigmoid(z).named(f"σ{k}")
    return gg.square(a - 1).named("Loss")


def walked(tape, node):
    """Return every path's edges and product, by recursion over all of them."""
    into = {}
    for step in tape.backward:
        into.setdefault(step.edge.node, []).append(step)

    def walk(at):
        if at is node:
            yield [], 1.0
        for step in into.get(at, []):
            for edges, product in walk(step.edge.source):
                yield [step.edge, *edges], float(tape.local(*step.edge)) * product

    return list(walk(tape.root))


# -- golden --------------------------------------------------------------------------------------


def test_lesson_15():
    loss = book()
    assert text_of(gg.ledger(loss, find(loss, "w"))) == unicodedata.normalize(
        "NFC",
        """\
w̄ = ∂loss/∂w = 2

  by edge  upstream · local derivative  contribution  share  paths
  x₁ → w   x̄₁ · ∂x₁/∂w = 1 · 2                     2  100 %      1

  by path, from loss back  local derivatives    product  share
  loss → d → x₂ → x₁ → w   (−1) · (−1) · 1 · 2        2  100 %

1 path of 4 edges.""",
    )


def test_lesson_16_the_chain_rule_along_the_path():
    x, w1, w2 = gg.var("x", 0.5), gg.var("w1", 2.0), gg.var("w2", 3.0)
    z1 = (x * w1).named("z1")
    J = gg.square((z1 * w2).named("y")).named("J")
    found = gg.ledger(J, w1)
    assert found.chain(found.paths[0]) == "∂J/∂y · ∂y/∂z₁ · ∂z₁/∂w₁ = 6 · 3 · 0.5 = 9"
    assert found.latex(found.paths[0]) == (
        r"\frac{\partial J}{\partial y} \cdot \frac{\partial y}{\partial z_{1}} \cdot"
        r" \frac{\partial z_{1}}{\partial w_{1}} = 6 \cdot 3 \cdot 0.5 = 9"
    )


def test_lesson_17_paths_double_with_every_unit_and_edges_do_not():
    rows = []
    for depth in (1, 2, 3, 10):
        loss = lesson_17(depth)
        found = gg.ledger(loss, find(loss, "x"))
        rows.append((found.path_count, found.edges_visited, found.path_length))
    assert rows == [
        (2, 7, 2 * 5),
        (4, 12, 4 * 8),
        (8, 17, 8 * 11),
        (1024, 52, 1024 * 32),
    ]
    assert "1,024 paths of 32,768 edges in all; backpropagation visits 52 edges, each once." in str(
        found
    )


def test_a_square_has_two_edges_and_two_paths():
    x = gg.var("x", 3.0)
    found = gg.ledger((x * x + x).named("y"), x)
    assert [(c.edge.position, c.value, c.path_count) for c in found.contributions] == [
        (1, 1.0, 1),
        (0, 3.0, 1),
        (1, 3.0, 1),
    ]
    assert [p.product for p in found.paths] == [3.0, 3.0, 1.0]
    assert [p.share for p in found.paths] == pytest.approx([3 / 7, 3 / 7, 1 / 7])
    assert (found.path_count, found.path_length, found.edges_visited) == (3, 5, 4)
    assert "3 paths of 5 edges in all; backpropagation visits 4 edges, each once." in str(found)


# -- cancellations and killers -------------------------------------------------------------------


def test_a_cancellation_is_named():
    x = gg.var("x", 2.0)
    found = gg.ledger(6 * x - 5.9 * x, x)
    assert (found.positive, found.negative) == (6.0, -5.9)
    assert found.total == pytest.approx(0.1)
    assert "Positive and negative paths: +6 and −5.9 cancel to 0.1 (99.2 % of the" in str(found)
    assert [p.share for p in found.paths] == pytest.approx([6 / 11.9, -5.9 / 11.9])


def test_a_cancellation_too_fine_for_four_digits_shows_more():
    x = gg.var("x", 2.0)
    assert "+6.0001 and −6 cancel to 0.0001" in str(gg.ledger(6.0001 * x - 6 * x, x))


@pytest.mark.parametrize(
    ("build", "why"),
    [
        (lambda x: gg.relu((x - 3).named("z")), "closed gate: relu lets nothing pass at z = −1"),
        (lambda x: gg.clip(x, -1, 1), "closed gate: clip lets nothing pass at x = 2"),
        (lambda x: gg.maximum(x, gg.var("b", 5.0)), "closed gate: maximum took b = 5, not x = 2"),
        (lambda x: gg.where(x > 3, x, 1.0), "closed gate: where took 1, not x"),
        (lambda x: x * gg.var("w", 0.0), "zero weight: w = 0"),
        (lambda x: x * 0.0, "zero factor: 0"),
        (lambda x: x * gg.var("w", 1e-6), "small weight: w = 1e−6"),
        (lambda x: gg.tanh((9 * x).named("z")), "saturated: tanh(z) is flat at z = 18"),
        (lambda x: gg.sigmoid((-30 * x).named("z")), "saturated: σ(z) is flat at z = −60"),
        (lambda x: gg.square((x - 2).named("z")), "∂y/∂z = 2·z at z = 0"),
        (lambda x: gg.floor(x), "floor is flat wherever it has a derivative"),
        (lambda x: gg.exp((-400 * x).named("z")), "saturated: exp(z) is flat at z = −800"),
    ],
)
def test_what_kills_a_path_is_named(build, why):
    x = gg.var("x", 2.0)
    found = gg.ledger(build(x).named("y") + 0, x)
    assert found.paths[0].killer.why == why
    assert abs(found.paths[0].killer.local) < 0.01
    assert why in str(found)


def test_a_path_in_good_health_has_no_killer():
    x = gg.var("x", 2.0)
    assert gg.ledger(gg.tanh(0.1 * x) * 3, x).paths[0].killer is None


def test_dead_paths_are_counted_where_they_die_first():
    x = gg.var("x", 2.0)
    a = x + x  # 2 paths
    dead = gg.relu((-a).named("z")).named("r")
    y = (dead + dead) * 3 + a * gg.var("w", 0.0)  # 4 die at relu, 2 at the weight
    found = gg.ledger(y + x, x)
    assert (found.path_count, found.dead_count) == (7, 6)
    assert [(k.edge.node.op, k.paths) for k in found.killers] == [("relu", 4), ("mul", 2)]
    assert "6 paths carry nothing, for a factor is 0:" in str(found)
    assert "∂r/∂z = 0, closed gate: relu lets nothing pass at z = −4 (4 paths)" in str(found)


# -- against brute force -------------------------------------------------------------------------

OPERATIONS = [
    lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b, lambda a, b: gg.tanh(a),
    lambda a, b: gg.relu(a), lambda a, b: a * 0.0, lambda a, b: -b, lambda a, b: a * a,
    lambda a, b: gg.maximum(a, b), lambda a, b: gg.sin(a) * b,
]  # fmt: skip
recipes = st.lists(
    st.tuples(st.sampled_from(range(len(OPERATIONS))), st.integers(0, 99), st.integers(0, 99)),
    min_size=1, max_size=9,
)  # fmt: skip
numbers = st.lists(st.floats(-2, 2).map(lambda v: round(v, 2)), min_size=2, max_size=2)


def built(recipe, values, dtype=float):
    pool = [gg.var(f"x{k}", np.asarray(v, dtype), dtype=dtype) for k, v in enumerate(values)]
    for kind, i, j in recipe:
        pool.append(OPERATIONS[kind](pool[i % len(pool)], pool[j % len(pool)]))
    return pool[-1] + pool[0] * 0.5 + pool[1]


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(recipe=recipes, values=numbers, dtype=st.sampled_from([np.float64, np.float32]))
def test_the_ledger_is_what_a_walk_over_all_paths_finds(recipe, values, dtype):
    loss = built(recipe, values, dtype)
    t = gg.tape(loss)
    digits = 1e-9 if dtype is np.float64 else 1e-3
    for node in t.nodes:
        if t.adjoint(node) is None or node is t.root:
            continue
        found = gg.ledger(t, node, most=5)
        paths = walked(t, node)
        products = [p for _, p in paths]
        size = math.fsum(map(abs, products))
        assert found.path_count == len(paths)
        assert found.path_length == sum(len(edges) for edges, _ in paths)
        assert found.edges_visited == len({e for edges, _ in paths for e in edges})
        assert found.dead_count == sum(any(t.local(*e) == 0 for e in edges) for edges, _ in paths)
        near = {"rel": digits, "abs": digits * size}
        assert math.fsum(products) == pytest.approx(found.total, **near)
        assert found.positive + found.negative == pytest.approx(found.total, **near)
        assert found.positive - found.negative == pytest.approx(size, **near)
        assert sum(c.value for c in found.contributions) == pytest.approx(found.total, **near)
        assert sum(c.path_count for c in found.contributions) == len(paths)
        listed = sorted((abs(p) for p in products), reverse=True)[:5]
        assert [abs(p.product) for p in found.paths] == pytest.approx(listed, rel=1e-9)
        for path in found.paths:
            assert path.product == pytest.approx(math.prod(path.factors))
            assert path.edges[0].node is t.root
            assert path.edges[-1].source is node
        assert len({p.edges for p in found.paths}) == len(found.paths)
        assert sum(k.paths for k in gg.ledger(t, node, most=99).killers) == found.dead_count
        str(found)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(recipe=recipes, values=numbers)
def test_a_contribution_expands_to_its_paths(recipe, values):
    loss = built(recipe, values)
    t = gg.tape(loss)
    found = gg.ledger(t, t.nodes[0])
    for item in found.contributions:
        paths = found.expand(item, most=10_000)
        assert len(paths) == item.path_count
        assert all(p.edges[-1] == item.edge for p in paths)
        assert math.fsum(p.product for p in paths) == pytest.approx(item.value, abs=1e-9)


def test_the_oracle_would_notice_a_lost_path():
    loss = lesson_17()
    t = gg.tape(loss)
    node = find(loss, "x")
    assert len(walked(t, node)[:-1]) != gg.ledger(t, node).path_count


# -- astronomically many paths -------------------------------------------------------------------


def test_paths_beyond_counting_are_counted():
    x = gg.var("x", 1.0)
    y = x
    for k in range(3000):
        y = y * (0.75 if k % 3 else 1.25) + y * 0.25
    found = gg.ledger(y, x, most=3)
    assert found.path_count == 2**3000
    assert found.edges_visited == 4 * 3000
    best = Fraction(5, 4) ** 1000 * Fraction(3, 4) ** 2000
    assert found.paths[0].product == pytest.approx(float(best))
    second = best * Fraction(1, 4) / Fraction(3, 4)
    assert [p.product for p in found.paths[1:]] == pytest.approx([float(second)] * 2)
    assert "≈ 1.23·10^903 paths" in str(found)


def test_products_that_underflow_and_overflow_are_still_ranked():
    x = gg.var("x", 1.0)
    small = x * 1e-200 * 1e-200 * 3.0
    smaller = x * 1e-200 * 1e-200 * 2.0
    found = gg.ledger(smaller + small + x * 0.0, x)
    assert [p.factors[-3:] for p in found.paths[:2]] == [
        (3.0, 1e-200, 1e-200),
        (2.0, 1e-200, 1e-200),
    ]
    assert found.dead_count == 1
    large = gg.ledger(x * 1e200 * 1e200 * 1e-300 + x * 1e50, x)
    assert [p.product for p in large.paths] == pytest.approx([1e100, 1e50])


def test_a_hundred_thousand_nodes():
    x = gg.var("x", 1.0)
    y = x
    for _ in range(33_333):
        y = gg.sin(y) + y
    found = gg.ledger(y, x, most=2)
    assert found.path_count == 2**33_333
    assert len(found.paths[0].edges) > 33_000
    assert columns(max(str(found).splitlines(), key=columns)) < 400


def test_zero_factors_on_a_large_graph_do_not_multiply_huge_counts():
    x = gg.var("x", 1.0)
    y = x
    for _ in range(12_000):
        y = y * 0.0 + y + y
    found = gg.ledger(y, x, most=2)
    assert found.path_count == 3**12_000
    assert found.dead_count == 3**12_000 - 2**12_000
    assert all(k.paths is None or k.paths > 0 for k in found.killers)


# -- what is no scalar graph, what is no gradient ------------------------------------------------


def test_arrays_have_contributions_by_norm_and_a_count_of_paths():
    W, x = gg.var("W", [[1.0, 2.0], [3.0, 4.0]]), gg.var("x", [3.0, 4.0])
    loss = gg.sum(gg.tanh(W @ x) * x)
    found = gg.ledger(loss, x)
    assert not found.scalar
    assert found.paths == []
    assert found.dead_count is found.positive is None
    assert [c.size for c in found.contributions] == pytest.approx(
        [np.linalg.norm(c.value) for c in found.contributions]
    )
    assert sum(c.share for c in found.contributions) == pytest.approx(1)
    assert np.sum([c.value for c in found.contributions], axis=0) == pytest.approx(found.total)
    assert found.path_count == 2
    assert "gg.expand(loss) gives the circuit of scalars" in str(found)
    with pytest.raises(GraphError, match="arrays are on the way"):
        found.expand(found.contributions[0])


def test_the_scalar_circuit_of_arrays_has_paths():
    W, x = gg.var("W", [[1.0, 2.0], [3.0, 4.0]]), gg.var("x", [3.0, 4.0])
    loss = gg.expand(gg.sum(gg.tanh(0.01 * (W @ x))))
    found = gg.ledger(loss, find(loss, "x[0]"))
    assert found.path_count == 2
    assert math.fsum(p.product for p in found.paths) == pytest.approx(found.total)


def test_a_cotangent_is_part_of_every_product():
    x = gg.var("x", 3.0)
    found = gg.ledger(gg.tape(x * x, cotangent=-2.0), x)
    assert [p.product for p in found.paths] == [-6.0, -6.0]
    assert found.total == -12.0
    assert (found.positive, found.negative) == (0.0, -12.0)


def test_the_root_has_the_seed():
    x = gg.var("x", 3.0)
    y = x * 2
    found = gg.ledger(y, y)
    assert (found.total, found.path_count, found.edges_visited) == (1.0, 1, 0)
    assert "where the backward pass begins" in str(found)


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda x: (x * 5.0, 1), "5 is a constant: no gradient is passed to it."),
        (lambda x: (gg.where(x > 0, 1.0, 2.0) + x, None), "only floating nodes carry gradients"),
        (lambda x: (x + gg.exp(gg.const(1.0)), 1), "depends on no variable"),
    ],
)
def test_no_gradient_is_explained(build, text):
    x = gg.var("x", 3.0)
    loss, position = build(x)
    node = loss.inputs[position] if position is not None else loss.inputs[0].inputs[0]
    found = gg.ledger(loss, node)
    assert found.total is None
    assert found.contributions == found.paths == []
    assert text in str(found)


def test_a_variable_used_for_a_choice_alone_gets_no_gradient():
    x, c = gg.var("x", 3.0), gg.var("c", 1.0)
    found = gg.ledger(gg.where(c > 0, x, 2.0), c)
    assert found.total is None
    assert "No gradient reaches c: it is used only where none can pass, in v₁ = c > 0." in str(
        found
    )


def test_a_total_that_is_not_finite_points_to_the_certificate():
    x = gg.var("x", 0.0)
    found = gg.ledger(gg.where(x > 0, gg.sqrt(x), 0.0), x)
    assert math.isnan(found.total)
    assert found.paths[0].share is None
    assert "gg.certificate(loss) tells where that began" in str(found)


def test_errors():
    x = gg.var("x", [1.0, 2.0])
    with pytest.raises(GraphError, match="'z' took no part"):
        gg.ledger(gg.sum(x), gg.var("z", 1.0))
    with pytest.raises(GradientError, match=r"shape \(2,\)"):
        gg.ledger(x * 2, x)
    with pytest.raises(GraphError, match="expected a graph node or its tape"):
        gg.ledger(3.0, x)
    with pytest.raises(GraphError, match="expected a graph node"):
        gg.ledger(gg.sum(x), "x")
    with pytest.raises(GraphError, match="most=0"):
        gg.ledger(gg.sum(x), x, most=0)


# -- displays ------------------------------------------------------------------------------------


def test_columns_stay_aligned_with_hostile_and_wide_names():
    x = gg.var("变量\x1b[31m<b>", 2.0)
    found = gg.ledger((x * x + x).named("ȳ|"), x)
    text = str(found)
    assert "\x1b" not in text
    rows = [line for line in text.splitlines() if line.startswith("  ")]
    assert len({columns(line) for line in rows[:4]}) == 1
    page = found._repr_mimebundle_()
    assert page["text/plain"] == text
    assert "&lt;b&gt;" in page["text/html"]
    assert "<b>" not in page["text/html"]


def test_a_name_that_looks_like_a_table_is_escaped_as_any_other():
    c = gg.const(2.0, name="<table><b>")
    page = gg.ledger(c * gg.var("x", 3.0), c)._repr_mimebundle_()
    assert "&lt;table&gt;&lt;b&gt; is a constant" in page["text/html"]
    assert "<table" not in page["text/html"]


def test_tables():
    assert table([["a", "b"], ["x̄", "10"]], " r", "") == ["a   b", "x̄  10"]
    assert count(2, "match", "matches") == "2 matches"
    assert whole(10**5000) == "≈ 1.00·10^5000"
    assert [percent(p, 1.0) for p in (0.123456, 1e-9, -1.0, math.nan)] == [
        "12.3 %", "≈ 0 %", "−100 %", "–",
    ]  # fmt: skip


def test_routes_leave_out_what_does_not_lead_to_the_node():
    x, w = gg.var("x", 2.0), gg.var("w", 3.0)
    t = gg.tape(x * w + gg.sin(x))
    assert len(t.backward) == 5
    assert [s.edge.source.name for s in Routes(t, w).steps] == ["", "w"]
