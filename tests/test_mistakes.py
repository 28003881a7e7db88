"""Backpropagation done wrong: each mistake against an independent oracle, and where it matters."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import graphgrad as gg
from graphgrad.errors import GradientError, GraphError
from graphgrad.explain.catalogue import MISTAKES
from graphgrad.explain.misremembered import SLIPS
from graphgrad.explain.mistakes import run_mistake
from graphgrad.primitive import TABLE

from .familiar import book

NAMES = ["depth-first", "overwrite", "no-zeroing", "forgotten-edge", "stale-value", "wrong-local"]


def nfc(text):
    return unicodedata.normalize("NFC", str(text))


def reused():
    x, w = gg.var("x", 2.0), gg.var("w", 3.0)
    v = (x * w).named("v")
    return (v * v + v).named("y")


def variables(loss):
    return [n for n in gg.ancestors(loss) if n.op == "variable"]


def wrong(run):
    return {n.name: run.adjoint(n) for n in run.wrong_nodes}


# -- golden --------------------------------------------------------------------------------------


def test_depth_first_on_a_reused_result():
    run = run_mistake("depth-first", reused())
    assert nfc(run) == nfc(
        """\
Mistake: depth-first, without topological order
Each node passes its adjoint on as soon as it is first reached, and never again.
(visit(y): for x in inputs of y: x̄ += ȳ · ∂y/∂x, and visit(x) if it is new)

     step  right                             wrong
        1  y → v₁            v̄₁ = 1          y → v₁            v̄₁ = 1
        2  y → v             v̄ = 1           v₁ → v (input 1)  v̄ = 6
  ►     3  v₁ → v (input 1)  v̄ = 1 + 6 = 7   v → x             x̄ = 18
  ≠     4  v₁ → v (input 2)  v̄ = 7 + 6 = 13  v → w             w̄ = 12
        5  v → x             x̄ = 39          v₁ → v (input 2)  v̄ = 6 + 6 = 12
        6  v → w             w̄ = 26          y → v             v̄ = 12 + 1 = 13

     right  wrong
  x̄     39     18
  w̄     26     12

v passed on v̄ = 6 when 1 of its 3 contributions had arrived, and what came later never went \
further; in topological order a node waits until v̄ = 13 is complete."""
    )


def test_lesson_15_with_every_mistake():
    found = gg.mistakes(book())
    assert nfc(found) == nfc(
        """\
mistake         here   first wrong step  why
depth-first     right                 –  matters on a result that several later steps use, as v \
in v = x·w; y = v·v
overwrite       right                 –  matters on any node used twice, as x in x·x + x
no-zeroing      wrong                 4  x̄ = 6, not 3, w̄ = 4, not 2, b̄ = 2, not 1
forgotten-edge  wrong                 4  b̄ = –, not 1
stale-value     right                 –  matters on derivatives that read a computed value, as \
those of tanh(x·w), square or products
wrong-local     wrong                 1  x̄ = −3, not 3, w̄ = −2, not 2, b̄ = −1, not 1"""
    )
    assert len(found) == 6
    assert found["overwrite"].matters is False
    assert "every node is used once" in found["overwrite"].why
    assert "It matters on any node used twice" in str(found["overwrite"])


def test_the_names_and_their_order():
    assert list(MISTAKES) == NAMES
    for mistake in MISTAKES.values():
        assert mistake.description.endswith(".")
        assert mistake.title
        assert mistake.matters_on


@pytest.mark.parametrize(
    ("name", "adjoints"),
    [
        ("depth-first", {"x": 18.0, "w": 12.0}),
        ("overwrite", {"x": 18.0, "w": 12.0}),
        ("no-zeroing", {"x": 78.0, "w": 52.0}),
        ("forgotten-edge", {"x": 21.0, "w": 14.0}),
        ("stale-value", {"x": 45.0, "w": 30.0}),
        ("wrong-local", {"x": 26.0}),
    ],
)
def test_the_wrong_numbers_on_a_reused_result(name, adjoints):
    run = run_mistake(name, reused())
    assert wrong(run) == adjoints
    assert run.matters
    assert run.rows[run.first_difference - 1].differs
    assert not any(row.differs for row in run.rows[: run.first_difference - 1])


# -- each mistake against its own oracle ---------------------------------------------------------


def plain_locals(t):
    return {s.edge: float(t.local(*s.edge)) for s in t.backward}


def by_recursion(t):
    """Return the gradients of the recursion with a visited set, as people write it."""
    local, edges = plain_locals(t), {}
    for step in t.backward:
        edges.setdefault(step.edge.node, []).append(step.edge)
    grads, visited = {t.root: 1.0}, set()

    def visit(node):
        visited.add(node)
        for edge in edges.get(node, []):
            grads[edge.source] = grads.get(edge.source, 0.0) + grads[node] * local[edge]
            if edge.source not in visited:
                visit(edge.source)

    visit(t.root)
    return grads


def by_assignment(t):
    grads, local = {t.root: 1.0}, plain_locals(t)
    for step in t.backward:
        grads[step.edge.source] = grads[step.edge.node] * local[step.edge]
    return grads


ORACLES = {"depth-first": by_recursion, "overwrite": by_assignment}

OPERATIONS = [
    lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b, lambda a, b: gg.tanh(a),
    lambda a, b: gg.relu(a), lambda a, b: gg.square(b), lambda a, b: -b,
    lambda a, b: gg.sigmoid(a) * b, lambda a, b: abs(a), lambda a, b: a / (b * b + 1),
]  # fmt: skip
recipes = st.lists(
    st.tuples(st.sampled_from(range(len(OPERATIONS))), st.integers(0, 99), st.integers(0, 99)),
    min_size=1, max_size=9,
)  # fmt: skip
numbers = st.lists(st.floats(-2, 2).map(lambda v: round(v, 2)), min_size=2, max_size=2)


def built(recipe, values):
    pool = [gg.var(f"x{k}", v) for k, v in enumerate(values)]
    for kind, i, j in recipe:
        pool.append(OPERATIONS[kind](pool[i % len(pool)], pool[j % len(pool)]))
    return pool[-1] + pool[0]


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(recipe=recipes, values=numbers, name=st.sampled_from(list(ORACLES)))
def test_order_and_assignment_are_what_the_naive_programs_give(recipe, values, name):
    t = gg.tape(built(recipe, values))
    run, expected = run_mistake(name, t), ORACLES[name](t)
    for node in t.nodes:
        if t.adjoint(node) is not None:
            assert run.adjoint(node) == pytest.approx(expected[node], rel=1e-12, abs=1e-12)


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(recipe=recipes, values=numbers)
def test_every_run_is_consistent_with_itself(recipe, values):
    t = gg.tape(built(recipe, values))
    for run in gg.mistakes(t):
        assert [s.index for s in run.steps] == list(range(1, len(run.steps) + 1))
        assert {s.edge for s in run.steps} <= {s.edge for s in t.backward}
        assert len(run.rows) == len(t.backward)
        assert run.matters == bool(run.wrong_nodes)
        if run.matters:
            assert run.first_difference is not None
        else:
            assert run.why.startswith("Right on this graph")
            for node in variables(t.root):
                right, found = t.adjoint(node), run.adjoint(node)
                assert (found or 0.0) == pytest.approx(right or 0.0, rel=1e-9, abs=1e-12)
        assert run.mistake.title in str(run)
        assert run.why in str(run)
        assert ("►" in str(run)) == (run.first_difference is not None)
    assert str(gg.mistakes(t))


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(recipe=recipes, values=numbers)
def test_no_zeroing_doubles_what_is_there(recipe, values):
    t = gg.tape(built(recipe, values))
    run = run_mistake("no-zeroing", t)
    for node in variables(t.root):
        if t.adjoint(node) is not None:
            assert run.adjoint(node) == pytest.approx(2 * t.adjoint(node))


def test_no_zeroing_is_backward_with_accumulate():
    loss = reused()
    loss.backward()
    loss.backward(accumulate=True)
    run = run_mistake("no-zeroing", loss)
    assert [run.adjoint(n) for n in variables(loss)] == [n.grad for n in variables(loss)]


def test_a_forgotten_edge_is_missing_and_nothing_else_changes():
    run = run_mistake("forgotten-edge", book())
    assert [row.wrong is None for row in run.rows] == [False] * 3 + [True] + [False] * 2
    assert run.adjoint(variables(run.tape.root)[2]) is None
    assert run.what == "The edge x₂ → b is not passed."


def test_a_forgotten_edge_takes_what_follows_with_it():
    x = gg.var("x", 2.0)
    loss = gg.sin(gg.exp(x).named("e")).named("y")
    run = run_mistake("forgotten-edge", loss)
    assert run.rows[-1].wrong is None
    assert run.matters


def test_a_stale_value_is_the_mixture_of_old_results_and_new_leaves():
    w, x = gg.var("w", 0.5), gg.var("x", 2.0)
    loss = gg.tanh((w * x).named("z")).named("y")
    run = run_mistake("stale-value", loss)
    assert run.what == "w was 1, was set to 0.5, and no forward pass followed."
    old = np.tanh(1.0 * 2.0)
    assert run.adjoint(x) == pytest.approx((1 - old**2) * 0.5)
    assert run.adjoint(w) == pytest.approx((1 - old**2) * 2.0)
    assert "∂y/∂z = 1 − y²" in run.why


def test_a_linear_graph_does_not_mind_stale_values():
    x, b = gg.var("x", 2.0), gg.var("b", 1.0)
    run = run_mistake("stale-value", 3 * x + b)
    assert not run.matters
    assert "no local derivative that matters reads a result that changed" in run.why


@pytest.mark.parametrize(
    ("build", "what", "factor"),
    [
        (gg.tanh, "is taken to be 1 − x², but it is 1 − y².", lambda x, y: 1 - x * x),
        (gg.sigmoid, "is taken to be x·(1 − x), but it is y·(1 − y).", lambda x, y: x - x * x),
        (gg.square, "is taken to be x, but it is 2·x.", lambda x, y: x),
        (gg.exp, "is taken to be x·exp(x − 1), but it is y.", lambda x, y: x * np.exp(x - 1)),
        (lambda x: 1 - x, "is taken to be 1, but it is −1.", lambda x, y: 1.0),
        (lambda x: abs(-x), "is taken to be 1, but it is sign(v₁).", lambda x, y: -1.0),
        (lambda x: gg.cosh(x), "is taken with the wrong sign.", lambda x, y: -np.sinh(x)),
    ],
)
def test_wrong_local_derivatives_as_people_misremember_them(build, what, factor):
    x = gg.var("x", 0.6)
    loss = build(x).named("y")
    run = run_mistake("wrong-local", loss)
    assert what in run.what
    assert run.adjoint(x) == pytest.approx(factor(0.6, loss.value))


def test_a_wrong_rule_is_wrong_wherever_the_operation_is_used():
    x = gg.var("x", 0.6)
    run = run_mistake("wrong-local", gg.tanh(gg.tanh(x)))
    inner = np.tanh(0.6)
    assert run.adjoint(x) == pytest.approx((1 - inner**2) * (1 - 0.6**2))


def test_the_slips_name_operations_and_inputs_that_exist():
    for op, position in SLIPS:
        assert TABLE[op].has_rule(position)


def test_every_slip_differs_from_the_rule_somewhere():
    for (op, i), slip in SLIPS.items():
        p = TABLE[op]
        differs = False
        for point in ([0.7, 1.9], [-0.7, 0.4], [1.9, 0.7]):
            xs = [np.float64(v) for v in point[: len(p.partials)]]
            with np.errstate(all="ignore"):
                y = p.forward(*xs)
                differs = differs or slip.local(y, tuple(xs)) != p.partial(i, y, xs, {})
        assert differs, (op, i)


# -- where nothing is wrong ----------------------------------------------------------------------


def test_a_leaf_used_twice_is_no_problem_for_depth_first():
    x = gg.var("x", 3.0)
    run = run_mistake("depth-first", x * x + x)
    assert not run.matters
    assert "no computed node has two users" in run.why
    assert run_mistake("overwrite", x * x + x).matters


def test_recursion_along_every_path_is_right_but_slow():
    x = gg.var("x", 1.0)
    y = x
    for _ in range(30):
        y = y * 0.5 + y * 0.0
    run = run_mistake("depth-first", y)
    assert not run.matters  # what comes too late is 0
    walked = 4 * sum(2**k for k in range(30))
    assert f"{walked:,} steps here in place of 120" in run.why


def test_depth_first_that_happens_to_be_right_says_so():
    x = gg.var("x", 2.0)
    v = gg.sin(x).named("v")
    zero = gg.relu(-(v * v).named("q"))  # its contribution to v comes late, but is 0
    run = run_mistake("depth-first", v + zero)
    assert not run.matters
    assert "is used more than once, but what came too late changes no variable" in run.why


def test_a_graph_without_steps():
    x = gg.var("x", 2.0)
    for run in gg.mistakes(x):
        assert run.steps == []
        assert not run.matters
        assert str(run)


# -- other graphs --------------------------------------------------------------------------------


def test_arrays_and_structured_operations():
    rng = np.random.default_rng(0)
    W1, W2 = gg.var("W1", rng.normal(size=(2, 3))), gg.var("W2", rng.normal(size=3))
    x = gg.var("x", [1.0, 2.0])
    h = gg.tanh(x @ W1).named("h")
    loss = gg.sum(gg.square(h @ W2 + h)).named("loss")
    found = gg.mistakes(loss)
    assert [r.mistake.name for r in found if r.matters] == NAMES
    for run in found:
        for step in run.steps:
            assert np.shape(step.after) == step.edge.source.shape
    assert "of 6 entries" in str(found)
    double = found["no-zeroing"]
    assert np.allclose(double.adjoint(W1), 2 * double.tape.adjoint(W1))


def test_broadcasting_in_a_wrong_rule():
    x, b = gg.var("x", [[1.0, 2.0], [3.0, 4.0]]), gg.var("b", [0.5, 0.25])
    loss = gg.sum(x - b)
    run = run_mistake("wrong-local", loss)
    assert run.adjoint(b).tolist() == [2.0, 2.0]
    assert run.tape.adjoint(b).tolist() == [-2.0, -2.0]


def test_float32():
    x = gg.var("x", np.float32(1.1))
    v = gg.exp(x)
    for run in gg.mistakes(v * v + v * 3):
        for step in run.steps:
            assert step.after.dtype == np.float32


def test_a_step_of_the_wrong_run_can_be_worded_like_any_other():
    run = run_mistake("overwrite", reused())
    step = next(r.wrong for r in run.rows if r.differs)
    assert "= 6" in run.wording.text(step)
    assert run.adjoint(step.edge.source, 0) is None
    assert run.adjoint(step.edge.source, step.index) == 6.0


def test_long_graphs_show_what_is_around_the_first_difference():
    x = gg.var("x", 0.5)
    y = x
    for _ in range(60):
        y = gg.sin(y)
    text = str(run_mistake("no-zeroing", y * x))
    assert "►" in text
    assert len(text.splitlines()) < 45
    assert "more steps" in text


def test_twenty_thousand_nodes():
    x = gg.var("x", 0.5)
    y = x
    for _ in range(10_000):
        y = gg.sin(y) + y * 1e-9
    for run in gg.mistakes(y):
        assert str(run)


def test_tiny_gradients_are_compared_by_their_own_size():
    x = gg.var("x", 2.0)
    run = run_mistake("no-zeroing", 1e-20 * x * x)
    assert run.matters
    assert run_mistake("overwrite", 1e-20 * (x * x)).matters


def test_hostile_names():
    x = gg.var("\x1b[2J", 0.5)
    for run in gg.mistakes(gg.square(gg.sin(x)) * x):
        assert "\x1b" not in str(run)


def test_errors():
    with pytest.raises(GraphError, match="no mistake is called 'typo': there are depth-first, "):
        run_mistake("typo", book())
    with pytest.raises(GraphError, match="no mistake is called 'typo'"):
        gg.mistakes(book())["typo"]
    with pytest.raises(GradientError, match=r"shape \(2,\)"):
        gg.mistakes(gg.var("x", [1.0, 2.0]) * 2)
    with pytest.raises(GraphError, match="expected a graph node or its tape"):
        gg.mistakes(3.0)
