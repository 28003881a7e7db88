"""Compiled graphs: what a call does, what is refused, memory, sharing, and the cache on disk."""

from __future__ import annotations

import gc
import itertools
import os
import re
import subprocess
import sys
import textwrap
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import graphgrad as gg
from graphgrad.compiler import cpu, regions
from graphgrad.compiler.batches import BatchWarning, obstacle
from graphgrad.compiler.cache import load
from graphgrad.compiler.fuse import fuse
from graphgrad.compiler.helpers import HELPERS
from graphgrad.compiler.memory import plan
from graphgrad.compiler.program import program
from graphgrad.compiler.regions import schedule
from graphgrad.compiler.simplify import simplify
from graphgrad.compiler.views import View, contiguous, is_injective, places, through
from graphgrad.errors import (
    CompileError,
    DivergenceError,
    DtypeError,
    MissingValueError,
    ShapeError,
)
from graphgrad.graph import evaluate

from . import rulebook

pytest.importorskip("numba")
pytestmark = pytest.mark.usefixtures("own_cache")

TARGETS = ["numpy", "numba"]
each_target = pytest.mark.parametrize("target", TARGETS)


def descent(target="numpy"):
    x, w = gg.var("x", 2.0), gg.var("w", 3.0)
    loss = gg.square(x * w - 1)
    return x, w, gg.compile([loss, w], [x], {w: w - 0.1 * gg.grad(loss, w)}, target)


# -- calls -------------------------------------------------------------------------------------


@each_target
def test_a_call_returns_outputs_and_then_updates(target):
    _, w, f = descent(target)
    loss, old = f(2.0)
    assert (loss, old, w.value) == pytest.approx((25.0, 3.0, 1.0))
    assert loss.shape == old.shape == ()
    assert isinstance(w.value, float)
    assert f(2.0)[0] == pytest.approx(1.0)


@each_target
def test_values_may_be_set_between_calls(target):
    _, w, f = descent(target)
    f(2.0)
    w.value = 3.0
    assert f(2.0)[0] == 25.0


@each_target
def test_what_depends_on_an_updated_variable_is_fresh(target):
    _, w, f = descent(target)
    doubled = 2 * w
    assert doubled.value == 6.0
    f(2.0)
    assert doubled.value == pytest.approx(2.0)


@each_target
def test_two_executors_share_a_variable(target):
    _, w, f = descent(target)
    g = gg.compile([w * 10], target=target)
    f(2.0)
    assert g()[0] == pytest.approx(10.0)
    h = gg.compile([w], updates={w: w + 5}, target=target)
    h()
    assert f(1.0)[1] == pytest.approx(6.0)


@each_target
def test_a_value_taken_earlier_does_not_change(target):
    w = gg.var("w", np.zeros(3))
    f = gg.compile([], updates={w: w + 1}, target=target)
    f()
    before = w.value
    f()
    assert before.tolist() == [1.0, 1.0, 1.0]
    assert w.value.tolist() == [2.0, 2.0, 2.0]
    with pytest.raises(ValueError, match="read-only"):
        w.value[0] = 5.0


@each_target
def test_updates_happen_all_at_once(target):
    a, b = gg.var("a", [1.0, 2.0]), gg.var("b", [10.0, 20.0])
    f = gg.compile([a + b], updates={a: b, b: a + b}, target=target)
    assert f()[0].tolist() == [11.0, 22.0]
    assert (a.value.tolist(), b.value.tolist()) == ([10.0, 20.0], [11.0, 22.0])


@each_target
def test_a_permuted_update_is_not_made_in_place(target):
    a = gg.var("a", [1.0, 2.0, 3.0])
    f = gg.compile([a * 1], updates={a: a[::-1] * 2}, target=target)
    assert f()[0].tolist() == [1.0, 2.0, 3.0]
    assert a.value.tolist() == [6.0, 4.0, 2.0]


@each_target
def test_outputs_that_are_inputs_constants_views_or_the_same(target):
    x, w = gg.var("x", np.arange(6.0).reshape(2, 3)), gg.var("w", 2.0)
    f = gg.compile([x, x.T, x, gg.const(7.0), w, gg.const([[1.0, 2.0]])], [x], target=target)
    given_ = np.ones((2, 3))
    found = f(given_)
    assert [r.tolist() for r in found] == [
        given_.tolist(), given_.T.tolist(), given_.tolist(), 7.0, 2.0, [[1.0, 2.0]],
    ]  # fmt: skip
    found[0][0, 0] = 99.0
    assert given_[0, 0] == 1.0


@each_target
def test_empty_arrays(target):
    x = gg.var("x", np.zeros((0, 3)))
    f = gg.compile([gg.sum(x), gg.sum(x, 0), x * 2, gg.mean(x, 1)], [x], target=target)
    assert [r.tolist() for r in f(np.zeros((0, 3)))] == [0.0, [0.0] * 3, [], []]


def test_other_layouts_and_types_of_input_are_converted():
    x = gg.var("x", np.zeros((2, 3)))
    f = gg.compile([x * 1], [x])
    fortran = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    for given_ in (
        fortran,
        fortran.astype(np.float32),
        np.arange(6).reshape(2, 3),
        [[0, 1, 2], [3, 4, 5]],
    ):
        assert f(given_)[0].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_check_compares_and_restores():
    _x, w, f = descent("numba")
    ends = f.check(2.0, every=False)
    assert list(ends) == ["square", "w", "sub"]
    nodes = f.check(2.0)
    assert list(nodes)[:3] == list(ends)
    assert {"mul", "sub#2", "mul#2"} <= set(nodes)  # x·w, x·w − 1, and a product of the gradient
    assert w.value == 3.0


def test_check_notices_a_wrong_kernel(monkeypatch):
    *_, f = descent("numpy")
    run = f._runtime.run
    monkeypatch.setattr(f._runtime, "run", lambda xs: [1.001 * y for y in run(xs)])
    with pytest.raises(CompileError, match="differs by"):
        f.check(2.0)


@each_target
def test_check_sees_nodes_that_no_output_shows(target, monkeypatch):
    """A kernel that is wrong where its result does not depend on it is wrong all the same."""
    x = gg.var("x", 2.0)
    middle = x * 3
    f = gg.compile([gg.floor(middle * 1e-9)], [x], target=target)
    assert f.check(2.0)["mul"] == 0.0
    monkeypatch.setattr(
        "graphgrad.compiler.checking.evaluate",
        lambda nodes, given: [v * 1.001 for v in evaluate(nodes, given)],
    )
    with pytest.raises(CompileError, match=r"mul#.* differs by"):
        f.check(2.0)


@each_target
def test_check_finite_names_the_node_and_updates_nothing(target):
    x, w = gg.var("x", shape=(2,)), gg.var("w", 1.0)
    loss = gg.sum(gg.log(x * w))
    f = gg.compile([loss], [x], {w: w - 0.1 * gg.grad(loss, w)}, target=target)
    assert f([1.0, 2.0], check_finite=True)[0] == pytest.approx(np.log(2))
    before = w.value
    with pytest.raises(DivergenceError, match=r"is born in the forward pass.*log") as caught:
        f([1.0, 0.0], check_finite=True)
    assert caught.value.certificate.node.op == "log"
    assert w.value == before
    assert not np.isfinite(f([1.0, 0.0])[0])  # unasked, numbers go their way as in NumPy
    assert not np.isfinite(w.value)
    w.value = 1.0
    assert f([1.0, 1.0], check_finite=True)[0] == 0.0


@each_target
def test_a_prediction_takes_any_number_of_rows(target):
    x, scale = gg.var("x", shape=(4, 3)), gg.var("scale", shape=())
    W = gg.var("W", np.random.default_rng(0).normal(size=(3, 2)))
    z = gg.relu(x @ W) * scale
    f = gg.compile([gg.softmax(z, axis=1), scale * 2, gg.argmax(z, axis=1)], [x, scale],
                   target=target)  # fmt: skip
    rows = np.random.default_rng(1).normal(size=(11, 3))
    with pytest.warns(BatchWarning, match="compiled for 4 rows, called with 11"):
        found = f(rows, 3.0)
    again = f(rows[:2], 3.0)  # said once
    pairs = [f(part, 3.0) for part in (rows[:4], rows[4:8])]
    assert [r.shape for r in found] == [(11, 2), (), (11,)]
    for k in (0, 2):
        assert np.array_equal(found[k][:8], np.concatenate([p[k] for p in pairs]))
        assert np.array_equal(again[k], found[k][:2])
    assert found[1] == 6.0


@each_target
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda x: [gg.mean(x)], "sums over rows"),
        (lambda x: [x @ x.T], "mixes rows"),
        (lambda x: [x.T * 1], "mixes rows|no row for each"),
        (lambda x: [gg.sum(x, axis=0)], "sums over rows"),
        (lambda x: [x[::-1] * 2], "mixes rows"),
    ],
)
def test_rows_that_depend_on_each_other_run_at_once(target, make, reason):
    x = gg.var("x", shape=(4, 4))
    f = gg.compile(make(x), [x], target=target)
    assert re.search(reason, obstacle(f._program, f.inputs, f._outputs)[0])
    rows, more = np.random.default_rng(0).normal(size=(6, 4)), gg.var("x", shape=(6, 4))
    with pytest.warns(BatchWarning, match="compiled for 4 rows, called with 6: compiled again"):
        (found,) = f(rows)
    assert np.array_equal(found, gg.compile(make(more), [more], target=target)(rows)[0])
    with pytest.raises(ShapeError, match=r"shape \(4, 5\), expected \(4, 4\)"):
        f(np.ones((4, 5)))


@each_target
def test_a_step_of_other_rows_updates_the_same_variables(target):
    step, w = gg.var("s", shape=(4,)), gg.var("w", 0.0)
    g = gg.compile([step * 2], [step], {w: w + 1}, target=target)
    assert obstacle(g._program, g.inputs, g._outputs)[0] == "it updates variables"
    with pytest.warns(BatchWarning, match="compiled again for 3"):
        assert g(np.ones(3))[0].tolist() == [2.0, 2.0, 2.0]
    assert [g(np.ones(n))[0].shape for n in (4, 3, 5)] == [(4,), (3,), (5,)]
    assert w.value == 4.0


def swap(a, b, c):
    return {a: b, b: a}


UPDATES = {
    "swap": swap,
    "rotate": lambda a, b, c: {a: b, b: c, c: a},
    "the one before": lambda a, b, c: {a: a - 0.1 * b, b: a},
    "the one before, said first": lambda a, b, c: {b: a, a: a - 0.1 * b},
    "a history": lambda a, b, c: {a: b * 2, b: a, c: b},
    "reversed": lambda a, b, c: {a: a[::-1], b: a[::-1]},
    "transposed": lambda a, b, c: {a: gg.reshape(gg.reshape(a, (2, 3)).T, (6,))},
    "itself": lambda a, b, c: {a: a, b: b * 1},
    "a part": lambda a, b, c: {a: gg.concatenate([b[:3], a[3:]]), b: a},
    "a choice": lambda a, b, c: {a: gg.where(b > 0, b, a), b: a},
    "a constant": lambda a, b, c: {a: gg.const(np.arange(6.0)), b: a},
    "the same for two": lambda a, b, c: {a: a + b, b: a + b, c: a},
}


@each_target
@pytest.mark.parametrize("name", UPDATES)
def test_new_values_are_made_of_old_ones(target, name):
    """Also where a new value is another variable's old one, seen so or otherwise."""
    rng = np.random.default_rng(0)
    a, b, c = (gg.var(n, rng.normal(size=6)) for n in "abc")
    updates = UPDATES[name](a, b, c)
    f = gg.compile([a + b, a[::-1]], [], updates, target=target)
    for _ in range(3):
        expected = {v: np.array(n.value) for v, n in updates.items()}
        outputs = np.array((a + b).value), np.array(a.value)[::-1]
        for found, value in zip(f(), outputs, strict=True):
            np.testing.assert_array_equal(found, value)
        for v, value in expected.items():
            np.testing.assert_allclose(v.value, value, rtol=1e-15)


@each_target
@pytest.mark.parametrize("dtype", [bool, int, "float32"])
def test_new_values_of_every_type_and_none_at_all(target, dtype):
    a, b = (gg.var(n, np.array(v), dtype=dtype) for n, v in (("a", [0, 1, 1]), ("b", [1, 0, 0])))
    nothing, other = gg.var("nothing", np.zeros((0, 2))), gg.var("other", np.zeros((0, 2)))
    gg.compile([], [], {a: b[::-1], b: a, nothing: other, other: nothing}, target=target)()
    assert (a.value.tolist(), b.value.tolist()) == ([0, 0, 1], [0, 1, 1])
    assert gg.compile([], [], target=target)() == []
    x = gg.var("x", shape=())
    f = gg.compile([], [x], {gg.var("h", 0.0): x}, target=target)
    assert f(1.0) == []


def test_inputs_of_one_size_share_a_compilation_of_what_they_need():
    """The place of each was a type of its own, so a hundred inputs took seconds to compile."""
    batch = load(HELPERS).batch
    before = set(batch.signatures)
    xs = [gg.var(f"x{k}", shape=(5, 7, 11), dtype="float32") for k in range(6)]
    gg.compile([gg.sum(x) for x in xs], xs)(*[np.ones(x.shape) for x in xs])
    assert len(set(batch.signatures) - before) <= 1


@each_target
def test_many_calls_reading_and_setting_in_between(target):
    _, w, f = descent(target)
    twice = w * 2
    for k in range(4):
        f(1.0)
        f(1.0)
        expected = w.value
        assert twice.value == 2 * expected
        if k == 1:
            w.value = 7.0
            assert twice.value == 14.0
            assert f(1.0)[1] == 7.0
    other = gg.compile([w], updates={w: w * 0 + 5.0}, target=target)
    other()
    assert f(1.0)[1] == 5.0
    other()
    assert (w.value, twice.value) == (5.0, 10.0)


def test_the_same_inputs_give_the_same_bits():
    rng = np.random.default_rng(0)
    x = gg.var("x", rng.normal(size=(300, 700)).astype(np.float32))
    f = gg.compile([gg.sum(gg.tanh(x)), gg.sum(x, 0), x @ x.T])
    first = [r.tobytes() for r in f()]
    assert all([r.tobytes() for r in f()] == first for _ in range(5))


def test_the_source_is_readable():
    x, W = gg.var("data", np.ones((4, 3))), gg.var("weights", np.ones((3, 2)))
    f = gg.compile([gg.sum(gg.relu(x @ W), axis=1)], [x])
    for piece in (
        "# kernel 1: matmul over [4, 2]", "= data @ weights", "weights = view(", "relu(",
        "def epoch(",
    ):  # fmt: skip
        assert piece in f.source


def test_hostile_names_do_not_reach_the_source():
    x = gg.var('x"); import os; os.abort() #', 1.0)
    y = gg.exp(gg.var("lambda", 2.0) * x).named("\n    raise SystemExit")
    f = gg.compile([y], [x])
    assert f(1.0)[0] == pytest.approx(np.exp(2.0))
    assert "abort() #" not in f.source.replace("_", " ")


def test_names_of_locals_are_not_taken_from_users():
    names = ["x1", "w0", "y0_0", "b0", "r0", "packed", "sum", "total", "part", "i", "x_", "at"]
    leaves = [gg.var(n, np.full((2, 16, 16), 1.0 + k)) for k, n in enumerate(names)]
    product = leaves[0] @ gg.transpose(leaves[1], (0, 2, 1))
    y = gg.sum(product, 0) * sum(leaves[2:], 0.0)
    f = gg.compile([gg.sum(y), y.named("y_sum"), gg.argmax(leaves[4]), gg.sum(y, 1).named("y")])
    assert max(f.check().values()) < 1e-9


# -- refusals ----------------------------------------------------------------------------------


@each_target
@pytest.mark.parametrize(
    ("arrays", "error", "message"),
    [
        ((), CompileError, "0 arrays given; expected 1: 'x'"),
        ((1.0, 2.0), CompileError, "2 arrays given"),
        (([1.0, 2.0],), ShapeError, r"input 'x': shape \(2,\), expected \(\)"),
        ((1j,), DtypeError, "input 'x': complex128, expected float64"),
        (("a",), DtypeError, "input 'x'"),
        ((None,), DtypeError, "input 'x'"),
    ],
)
def test_bad_arrays_are_refused_before_anything_runs(target, arrays, error, message):
    _, w, f = descent(target)
    with pytest.raises(error, match=message):
        f(*arrays)
    assert w.value == 3.0


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda x, w: ([x * w], [x * w], {}), CompileError, "input mul#.* is a mul"),
        (lambda x, w: ([x], [x, x], {}), CompileError, "'x' is named twice"),
        (lambda x, w: ([x], [x], {x: w}), CompileError, "'x' is an input and cannot be updated"),
        (lambda x, w: ([x], [], {x * w: w}), CompileError, "expected a variable"),
        (lambda x, w: ([x], [], {w: gg.stack([w, w])}), ShapeError, r"shape \(2,\), expected \(\)"),
        (lambda x, w: ([x], [], {w: w.astype("float32")}), DtypeError, "float32, expected float64"),
        (lambda x, w: ([3.0], [], {}), CompileError, "expected graph nodes, got float 3.0"),
    ],
)
def test_bad_programs_are_refused(build, error, message):
    with pytest.raises(error, match=message):
        gg.compile(*build(gg.var("x", 1.0), gg.var("w", 2.0)))


@each_target
def test_a_variable_without_a_value_is_named(target):
    x, w = gg.var("x"), gg.var("w")
    f = gg.compile([x * w], [x], target=target)
    with pytest.raises(MissingValueError, match="'w'"):
        f(1.0)


def test_unknown_targets_and_kinds_of_math():
    x = gg.var("x", 1.0)
    with pytest.raises(CompileError, match="'tpu': expected one of numpy, numba"):
        gg.compile([x], target="tpu")
    with pytest.raises(CompileError, match="math 'sloppy'"):
        gg.compile([x], math="sloppy")


def test_an_index_out_of_bounds_is_an_error():
    x, i = gg.var("x", [1.0, 2.0]), gg.var("i", [0, 5], dtype=int)
    f = gg.compile([gg.take(x, i)], [i])
    with pytest.raises(IndexError):
        f([0, 5])
    assert f([1, -1])[0].tolist() == [2.0, 2.0]


# -- stages ------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [p for p in rulebook.ALL if p.lower], ids=lambda p: p.name)
def test_a_lowered_primitive_is_the_same(p):
    ways = [False, True] if p.lower_gpu else [False]
    for (k, case), gpu in itertools.product(enumerate(rulebook.calls(p)), ways):
        y, leaves = rulebook.make(p, case, float, seed=k)
        simpler = simplify([y], gpu)[y]
        assert (simpler.shape, simpler.dtype) == (y.shape, y.dtype)
        a, b = evaluate([y, simpler])
        assert np.allclose(a, b, rtol=1e-12, atol=1e-12, equal_nan=True), case
        wrt = rulebook.differentiable(leaves)
        if wrt and y.dtype.kind == "f":
            mine, theirs = (evaluate(gg.grad(gg.sum(n), wrt)) for n in (y, simpler))
            for a, b in zip(mine, theirs, strict=True):
                assert np.allclose(a, b, rtol=1e-9, atol=1e-9, equal_nan=True), case


def test_simplify_shares_folds_and_drops():
    x = gg.var("x", 2.0)
    y = (gg.exp(x) * 1 + 0) + gg.exp(x) / 1 - gg.const(2.0) * gg.const(3.0) + gg.neg(-x)
    ops = [n.op for n in gg.ancestors(simplify([y])[y])]
    assert ops.count("exp") == 1
    assert ops.count("constant") == 1
    assert "neg" not in ops


def test_simplify_keeps_nan_and_infinities():
    x = gg.var("x", np.inf)
    y = x * 0.0
    assert np.isnan(evaluate([simplify([y])[y]])[0])


@st.composite
def layers(draw):
    """Draw a small graph of vectors and matrices with sharing, and its gradient."""
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    leaves = [
        gg.var(f"a{k}", rng.uniform(0.3, 1.5, s)) for k, s in enumerate([(3, 4), (4,), (3, 1), ()])
    ]
    pool = list(leaves)
    unary = [gg.tanh, gg.sigmoid, gg.exp, gg.relu, gg.square, lambda a: a.T.T, lambda a: a * 2 - 1,
             lambda a: gg.sum(a, keepdims=True),
             lambda a: a.reshape(-1).reshape(a.shape)]  # fmt: skip
    binary = [lambda a, b: a + b, lambda a, b: a * b, lambda a, b: a - b, gg.maximum]
    for _ in range(draw(st.integers(2, 10))):
        a, b = (pool[k] for k in rng.integers(len(pool), size=2))
        pool.append(rng.choice(unary)(a) if rng.random() < 0.5 else rng.choice(binary)(a, b))
    loss = (
        gg.mean(pool[-1]) + gg.sum(pool[-2] @ gg.transpose(pool[-2]))
        if (len(pool[-2].shape) == 2)
        else gg.mean(pool[-1])
    )
    return [loss, pool[-1], *gg.grad(loss, leaves)]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(layers())
def test_random_graphs_on_the_reference_target(nodes):
    for a, b in zip(gg.compile(nodes, target="numpy")(), evaluate(nodes), strict=True):
        assert np.allclose(a, b, rtol=1e-10, atol=1e-10, equal_nan=True)


@settings(max_examples=6, deadline=None, derandomize=True)
@given(st.lists(layers(), min_size=4, max_size=4))
def test_random_graphs_compiled(graphs):
    nodes = [n for g in graphs for n in g]
    for a, b in zip(gg.compile(nodes)(), evaluate(nodes), strict=True):
        assert np.allclose(a, b, rtol=1e-9, atol=1e-9, equal_nan=True)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(layers(), st.sampled_from([1, 2, 3]), st.sampled_from([64, 256, 1 << 20]))
def test_no_two_buffers_alive_at_once_overlap(nodes, threads, cache):
    p = program(nodes, [], {})
    fused = fuse(p)
    with mock.patch.multiple(regions, SHARED_WORK=1, CACHE=cache):
        times = schedule(p, fused, threads)
    memory = plan(p, fused, times)
    buffers = [  # node, place, life, and the region and part it belongs to, if to one only
        (n, memory.start[n], n.size, memory.life[n], None)
        for n in memory.start if n not in times.crossing
    ]  # fmt: skip
    for n, (begin, step) in memory.shares.items():
        home = times.crossing.get(n) or times.private[n]
        span, own = times.span(home), memory.life[n]
        if n in times.crossing:
            span = own and (min(span[0], own[0]), max(span[1], own[1]))
        count = n.size
        if n in times.private:
            rows = times.rows[fused.kernel_of[n]]
            count = n.size // rows * home.blocks[rows]
        for part in range(home.parts):
            alone = (id(home), part, own) if n in times.private else None
            buffers.append((n, begin + part * step, count, span, alone))
    for k, (n, begin, count, life, alone) in enumerate(buffers):
        assert 0 <= begin <= begin + count <= memory.sizes[n.dtype]
        for other, start, size, other_life, other_alone in buffers[:k]:
            if other.dtype is not n.dtype or begin + count <= start or start + size <= begin:
                continue
            assert life
            assert other_life
            if alone and other_alone and alone[:2] == other_alone[:2]:
                # one thread uses them one after the other
                life, other_life = alone[2], other_alone[2]
            assert life[1] < other_life[0] or other_life[1] < life[0]


def test_elementwise_chains_become_one_loop():
    x = gg.var("x", np.ones(50))
    y = gg.sum(gg.tanh(x) * gg.sigmoid(x) + gg.exp(-gg.square(x)))
    p = program([y, gg.grad(y, x)], [], {})
    assert len(fuse(p).kernels) == 1


@pytest.mark.parametrize(
    "move",
    [
        lambda x: x.T, lambda x: x[1:, ::-2], lambda x: x[0], lambda x: x[0, 1],
        lambda x: x[:, None], lambda x: gg.broadcast_to(x, (2, 3, 4)),
        lambda x: x.reshape(2, 6), lambda x: gg.windows(x, 2, 1),
    ],
)  # fmt: skip
def test_moves_that_are_views(move):
    x = gg.var("x", np.arange(12.0).reshape(3, 4))
    y = move(x)
    view = through(y, View(x, x.shape, contiguous(x.shape)))
    flat = np.ravel(x.value)
    strides = [s * 8 for s in view.strides]
    seen = np.lib.stride_tricks.as_strided(flat[view.offset :], view.shape, strides)
    assert np.array_equal(seen, y.value)


def test_moves_that_must_copy_say_where_their_inputs_go():
    x = gg.var("x", np.arange(4.0).reshape(2, 2))
    assert through(x.T.reshape(4), View(x, (2, 2), (1, 2))) is None
    padded = gg.pad(x, 1)
    (target,) = places(padded)
    assert (target.strides, target.offset) == ((4, 1), 5)
    assert is_injective(target.shape, target.strides)


# -- the cache ---------------------------------------------------------------------------------

PROGRAM = textwrap.dedent(
    """
    import graphgrad as gg, sys
    x = gg.var("x", [1.0, 2.0, 3.0])
    f = gg.compile([gg.sum(gg.exp(x) * x)], [x])
    print(round(float(f([1.0, 2.0, 3.0])[0]), 6))
    """
)


def run(folder, before="", **more):
    environment = {**os.environ, "GRAPHGRAD_CACHE": str(folder), **more}
    return subprocess.run(
        [sys.executable, "-W", "default", "-c", before + PROGRAM],
        env=environment,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("collects", [True, False])
@pytest.mark.parametrize("fails", [True, False])
def test_compiling_leaves_the_garbage_collector_as_it_was(collects, fails, monkeypatch):
    before = gc.isenabled()
    (gc.enable if collects else gc.disable)()
    x = gg.var("x", shape=(3,))
    try:
        if fails:
            monkeypatch.setattr(cpu, "fuse", lambda program: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                gg.compile([gg.exp(x)], [x])
        else:
            gg.compile([gg.exp(x)], [x])
        assert gc.isenabled() == collects
    finally:
        (gc.enable if before else gc.disable)()


def test_the_cache_survives_corrupt_files_and_keeps_working(tmp_path):
    first = run(tmp_path)
    assert first.stdout == "77.753005\n", first.stderr
    sources = list(tmp_path.rglob("gg_*.py"))
    assert len(sources) == 2  # the helpers, and the kernels
    before = [source.stat().st_mtime_ns for source in sources]
    assert run(tmp_path).stdout == first.stdout
    assert [source.stat().st_mtime_ns for source in sources] == before
    for source in sources:
        source.write_text("raise SystemExit('not ours')")
    for file in tmp_path.rglob("*.nb?"):
        file.write_bytes(b"garbage")
    again = run(tmp_path)
    assert again.stdout == first.stdout, again.stderr


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs POSIX files")
def test_a_cache_that_cannot_be_written_is_told_and_done_without(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("a file, not a folder")
    done = run(blocked)
    assert done.stdout == "77.753005\n", done.stderr
    assert "compiling for this process only" in done.stderr


FULL = """
import errno, os, shutil
from numba.core.caching import IndexDataCacheFile as Numba
def full(function, path):
    def or_not(*given, **more):
        if str(path(*given)).startswith(os.environ["GRAPHGRAD_CACHE"]):
            raise OSError(errno.ENOSPC, "No space left on device")
        return function(*given, **more)
    return or_not
"""


@pytest.mark.parametrize(
    "fault",
    [
        "shutil.disk_usage = lambda _: shutil._ntuple_diskusage(10, 9, 1)",
        "os.replace = full(os.replace, lambda a, b: b)",
        "Numba._save_data = full(Numba._save_data, lambda self, *_: self._cache_path)",
        "Numba._save_index = full(Numba._save_index, lambda self, *_: self._cache_path)",
    ],
)
def test_a_full_disk_is_told_once_and_done_without(fault, tmp_path):
    done = run(tmp_path, FULL + fault)
    assert done.stdout == "77.753005\n", done.stderr
    assert done.stderr.count("compiling for this process only") == 1
    after = run(tmp_path)
    assert (after.stdout, after.stderr) == (done.stdout, "")


READ_ONLY = """
from numba.core.caching import _CacheLocator as Locator
Locator.ensure_cache_path = full(Locator.ensure_cache_path, lambda self: self.get_cache_path())
os.unlink = full(os.unlink, lambda path: path)
"""


def test_a_cache_filled_by_somebody_else_that_cannot_be_written(tmp_path):
    want = run(tmp_path).stdout
    before = sorted(tmp_path.rglob("*"))
    done = run(tmp_path, FULL + READ_ONLY, XDG_CACHE_HOME=str(tmp_path / "numba"))
    assert done.stdout == want, done.stderr
    assert done.stderr.count("compiling for this process only") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_byte_code_cut_short_by_a_full_disk_is_not_believed(tmp_path):
    want = run(tmp_path, PYTHONDONTWRITEBYTECODE="").stdout
    halves = list(tmp_path.rglob("gg_*.pyc"))
    assert halves
    for file in halves:
        file.write_bytes(file.read_bytes()[:300])
    again = run(tmp_path)
    assert (again.stdout, again.stderr) == (want, "")


def test_two_processes_compile_at_once(tmp_path):
    environment = {**os.environ, "GRAPHGRAD_CACHE": str(tmp_path)}
    both = [
        subprocess.Popen([sys.executable, "-c", PROGRAM], env=environment, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    assert [p.communicate()[0] for p in both] == [b"77.753005\n"] * 2
    assert not list(tmp_path.rglob("*.tmp"))
    assert len(list(tmp_path.rglob("gg_*.py"))) == 2


def test_the_folder_is_named_by_versions(tmp_path, monkeypatch):
    import numba

    from graphgrad.compiler.cache import folder

    monkeypatch.setenv("GRAPHGRAD_CACHE", str(tmp_path))
    assert re.search(rf"numba{re.escape(numba.__version__)}-numpy", folder().name)
