"""The quiz: questions can be answered from their text, wrong answers are diagnosed, seeds hold."""

from __future__ import annotations

import math
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import graphgrad as gg
from graphgrad.errors import GraphError
from graphgrad.explain.answers import matches, reachable, read_answer
from graphgrad.explain.quiz import KINDS, Question, Quiz, Verdict
from graphgrad.explain.steps import Wording
from graphgrad.graph import Edge


def nfc(text):
    return unicodedata.normalize("NFC", str(text))


def lesson():
    x, w, b = gg.var("x1", 2.0), gg.var("w", 3.0), gg.var("b", 1.0)
    z = (x * w + b).named("z")
    return gg.tape((gg.tanh(z / 10).named("a") * z - z * 0.25).named("loss"))


def at(tape, kind, name, position=None):
    """Return a quiz whose question is the one asked for."""
    quiz = Quiz(tape, kinds=[kind])
    while True:
        q = quiz.question
        if quiz.wording.names[q.node] == name and q.position == position:
            return quiz
        quiz.skip()


def everything(quiz):
    found = []
    while quiz.question:
        found.append(quiz.question)
        quiz.skip()
    return found


def layer():
    """Return the tape of a layer whose arrays are too large to be computed by hand."""
    rng = np.random.default_rng(0)
    X = gg.var("X", rng.normal(size=(20, 5)), role="input")
    W, b = gg.var("W", rng.normal(size=(5, 3))), gg.var("b", np.zeros(3))
    return gg.tape(gg.mean(gg.square(gg.relu(X @ W + b))).named("loss"))


# -- questions -----------------------------------------------------------------------------------


def test_the_text_of_each_kind():
    t = lesson()
    assert at(t, "value", "z").question.text == "z = v₁ + b with v₁ = 6, b = 1. What is z?"
    assert at(t, "local", "a", 0).question.text == (
        "a = tanh(v₂) with v₂ = 0.7, so a = 0.6044. What is ∂a/∂v₂ here?"
    )
    assert nfc(at(t, "adjoint", "z").question.text) == nfc(
        "v₄ = z·0.25 with z = 7, so v₄ = 1.75, and v̄₄ = −1; "
        "v₃ = a·z with a = 0.6044, z = 7, so v₃ = 4.231, and v̄₃ = 1; "
        "v₂ = z/10 with z = 7, so v₂ = 0.7, and v̄₂ = 4.443. What is z̄ = ∂loss/∂z?"
    )


def test_every_kind_and_node_is_asked_once():
    t = lesson()
    found = everything(Quiz(t))
    assert len(found) == len(Quiz(t))
    asked = {(q.kind, q.node, q.position) for q in found}
    assert len(asked) == len(found)
    assert {q.node for q in found if q.kind == "value"} == {s.node for s in t.forward}
    assert {q.edge for q in found if q.kind == "local"} == {s.edge for s in t.backward}
    adjoints = {q.node for q in found if q.kind == "adjoint"}
    assert adjoints == {s.edge.source for s in t.backward}


def test_the_seed_sets_the_order():
    t = lesson()
    first = [q.text for q in everything(Quiz(t, seed=5))]
    assert [q.text for q in everything(Quiz(t, seed=5))] == first
    assert [q.text for q in everything(Quiz(t, seed=6))] != first
    assert sorted(q.text for q in everything(Quiz(t, seed=6))) == sorted(first)


def test_kinds_can_be_chosen():
    assert KINDS == ("value", "local", "adjoint", "shape")
    for kind in KINDS:
        tape = lesson() if kind != "shape" else layer()
        assert {q.kind for q in everything(Quiz(tape, kinds=[kind]))} == {kind}


def test_a_node_is_recorded_first():
    x = gg.var("x", 3.0)
    assert len(Quiz(x * x)) == 4


def test_a_right_answer_brings_the_next_question_and_counts():
    quiz = Quiz(lesson())
    first = quiz.question
    assert not quiz.answer("12345").right
    assert quiz.question is first
    assert quiz.answer(repr(float(first.answer))) == Verdict(True, quiz_message(first))
    assert quiz.question is not first
    assert (quiz.asked, quiz.right) == (1, 0)  # not at the first try
    quiz.answer(repr(float(quiz.question.answer)))
    assert (quiz.asked, quiz.right) == (2, 1)


def quiz_message(question: Question) -> str:
    quiz = Quiz(lesson())
    assert quiz.question.text == question.text
    return f"Right. {quiz.solution}"


def test_after_the_last_question_there_is_none():
    quiz = Quiz(gg.tape(gg.var("x", 3.0) + 1), kinds=["value"])
    assert quiz.answer("4").right
    assert quiz.question is None
    with pytest.raises(GraphError, match="the quiz is over: 1 of 1 were right"):
        quiz.answer("4")
    with pytest.raises(GraphError, match="the quiz is over"):
        quiz.skip()


def test_solutions_show_the_way():
    t = lesson()
    assert at(t, "value", "z").solution == "z = v₁ + b = 6 + 1 = 7."
    assert at(t, "local", "a", 0).solution == "∂a/∂v₂ = 1 − a² = 0.6347."
    lines = nfc(at(t, "adjoint", "z").solution).splitlines()
    assert len(lines) == 3
    assert lines[-1].endswith("= 0.7987.")


def test_hints_do_not_tell_the_number():
    t = lesson()
    assert nfc(at(t, "adjoint", "z").hint) == nfc("z̄ = v̄₄ · ∂v₄/∂z + v̄₃ · ∂v₃/∂z + v̄₂ · ∂v₂/∂z")
    assert at(t, "local", "a", 0).hint == "∂a/∂v₂ = 1 − a²"
    assert at(t, "local", "loss", 1).hint == "differentiate v₃ − v₄ by v₄ alone"


# -- diagnoses -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "name", "position", "answer", "message"),
    [
        ("value", "z", None, "1", "That is b, before the operation: z = v₁ + b."),
        ("value", "z", None, "6", "That is the product of v₁ and b, but z = v₁ + b."),
        ("value", "z", None, "v1 - b", "That is the difference of v₁ and b, but z = v₁ + b."),
        ("value", "v₂", None, "10/7", "The operands have changed places: v₂ = z/10."),
        ("value", "loss", None, "-2.481", "The operands have changed places: loss = v₃ − v₄."),
        ("value", "a", None, "0.7", "That is v₂, before the operation: a = tanh(v₂)."),
        ("value", "a", None, "7", "That is the adjoint ā; asked is the value a."),
        ("value", "a", None, "-a1", "a1 is no name of this graph"),
        ("local", "a", 0, "1 - v2**2", "Input and result have changed places, v₂ and a: "
         "∂a/∂v₂ = 1 − a²."),
        ("local", "a", 0, "-(1 - a²)", "The sign is wrong: ∂a/∂v₂ = 1 − a²."),
        ("local", "loss", 1, "1", "The sign is wrong: differentiate v₃ − v₄ by v₄ alone."),
        ("local", "v₁", 0, "x1", "In the rule of mul, each factor was put for the other one: "
         "∂v₁/∂x₁ = w."),
        ("local", "v₁", 0, "w * z_bar", "That is the contribution, with the upstream adjoint "
         "v̄₁ = 0.7987 in it; ∂v₁/∂x₁ is about this one operation alone."),
        ("local", "v₃", 0, "v3", "That is the value of v₃; ∂v₃/∂a = z."),
        ("adjoint", "v₂", None, "1 - a*a", "That has the local derivative ∂a/∂v₂ as it is: "
         "multiply it by the upstream adjoint ā = 7."),
        ("adjoint", "v₂", None, "7", "That has the upstream adjoint ā = 7 as it is: multiply it "
         "by the local derivative ∂a/∂v₂ = 0.6347."),
        ("adjoint", "v₂", None, "7 + 0.6347", "ā = 7 and ∂a/∂v₂ = 0.6347 are multiplied, not "
         "added."),
        ("adjoint", "v₂", None, "7*(1 - v2²)", "Input and result have changed places, v₂ and a: "
         "∂a/∂v₂ = 1 − a²."),
        ("adjoint", "v₂", None, "-4.443", "The sign of ∂a/∂v₂ = 0.6347 is wrong."),
        ("adjoint", "v₂", None, "0.7", "That is the value v₂, not v̄₂."),
        ("adjoint", "v₂", None, "8.886", "That is twice as much: two passes without zeroing in "
         "between?"),
        ("adjoint", "z", None, "a - 0.25", "You forgot the path along v₂ → z: the contributions "
         "are (−0.25) + 0.6044 + 0.4443."),
        ("adjoint", "z", None, "a", "You forgot the paths along v₄ → z, v₂ → z: the contributions "
         "are (−0.25) + 0.6044 + 0.4443."),
        ("adjoint", "z", None, "-0.25 - a + 0.4443", "The sign of ∂v₃/∂z = 0.6044 is wrong."),
        ("adjoint", "z", None, "a - 0.25 + 0.1", "That has the local derivative ∂v₂/∂z as it is: "
         "multiply it by the upstream adjoint v̄₂ = 4.443."),
        ("adjoint", "z", None, "-0.25*a*0.4443", "The contributions of several users add up; "
         "they are not multiplied."),
        ("adjoint", "z", None, "0.25 + a + 0.1", "The local derivatives were not multiplied by "
         "their upstream adjoints."),
    ],
)  # fmt: skip
def test_wrong_answers_are_diagnosed(kind, name, position, answer, message):
    quiz = at(lesson(), kind, name, position)
    verdict = quiz.answer(answer)
    assert not verdict.right
    assert nfc(verdict) == nfc(message)


def test_whole_passes_done_wrong_are_recognized():
    x, w = gg.var("x", 2.0), gg.var("w", 3.0)
    v = (x * w).named("v")
    t = gg.tape((v * v + v).named("y"))
    assert at(t, "adjoint", "w").answer("12").message == (
        "That is what comes out with this mistake: depth-first, without topological order."
    )


def test_an_answer_without_a_known_mistake_gets_the_hint():
    quiz = at(lesson(), "adjoint", "v₂")
    assert nfc(quiz.answer("3.21")) == nfc("Not right. Hint: v̄₂ = ā · ∂a/∂v₂")


def test_a_right_number_is_never_called_a_mistake():
    x = gg.var("x", 1.0)  # every contribution, upstream and local derivative is 1
    quiz = Quiz(gg.tape((x + 0.0) * 1.0))
    while quiz.question:
        assert quiz.answer(repr(float(quiz.question.answer))).right
    assert quiz.right == quiz.asked


# -- reading answers -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["2.8", "14/5", "−(−2.8)", "x1·w − 3.2", "x₁*w - 3.2", "x1 × 1.4", "2**1 + 0.8", "x1² − 1.2",
     " 2.8 ", "√(7.84)", "x1 + a_bar*0.8/7"],
)  # fmt: skip
def test_answers_can_be_written_in_many_ways(text):
    known = reachable(Wording(lesson()))
    assert read_answer(text, known, set()) == pytest.approx(2.8)


def test_adjoints_are_written_with_a_bar_or_spelled_out():
    known = reachable(Wording(lesson()))
    for text in ("z̄", unicodedata.normalize("NFD", "z̄"), "z_bar", "v1_bar", "v̄₁"):
        assert read_answer(text, known, set()) == pytest.approx(0.7987, rel=1e-3)
    for text in ("ā", unicodedata.normalize("NFC", "ā"), unicodedata.normalize("NFD", "ā")):
        assert read_answer(text, known, set()) == pytest.approx(7.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"), ("2 +", "+"), ("foo", "foo is no name of this graph"),
        ("2,5", "write the decimal point as in 2.5"), ("z", "z is what is asked"),
        ("__import__('os').system('id')", ""), ("().__class__", ""), ("lambda: 0", ""),
        ("x1 if", ""), ("9**9**9**9", ""), ("1e999", ""), ("\x1b[2J", ""),
        ("(" * 5000, ""), ("x1" * 20000, ""),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_said_and_costs_no_try(text, message):
    quiz = at(lesson(), "value", "z")
    verdict = quiz.answer(text)
    assert not verdict.right
    assert not verdict.understood
    assert message in verdict.message
    assert "\x1b" not in verdict.message
    quiz.answer("7")
    assert quiz.right == 1


def test_an_answer_that_is_no_text():
    verdict = Quiz(lesson()).answer(7)
    assert "an answer is text, got int" in verdict.message


def test_the_hidden_number_cannot_be_used_but_its_neighbours_can():
    t = lesson()
    assert "z_bar is what is asked" in at(t, "adjoint", "z").answer("z_bar + 0").message
    assert at(t, "adjoint", "v₁").answer("z_bar").right
    assert at(t, "local", "a", 0).answer("1 - a²").right


@pytest.mark.parametrize(
    ("given", "wanted", "right"),
    [
        (0.667, 2 / 3, True), (0.66, 2 / 3, False), (0.0, 0.0, True), (1e-13, 0.0, True),
        (0.001, 0.0, False), (-2.0, 2.0, False), ([1.0, 2.0], [1.0, 2.001], True),
        ([1.0, 2.0], [2.0, 1.0], False), (math.nan, 1.0, False), (math.inf, 1.0, False),
        (1e-8, 2e-8, False), (0.0, 5.5e-17, True),
    ],
)  # fmt: skip
def test_rounding_is_forgiven_and_no_more(given, wanted, right):
    assert matches(given, wanted) is right


# -- any graph -----------------------------------------------------------------------------------

OPERATIONS = [
    lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b, lambda a, b: gg.tanh(a),
    lambda a, b: gg.relu(a), lambda a, b: gg.square(b), lambda a, b: a / (b * b + 1),
    lambda a, b: gg.where(a > b, a, b), lambda a, b: gg.maximum(a, b), lambda a, b: gg.log(a),
]  # fmt: skip
recipes = st.lists(
    st.tuples(st.sampled_from(range(len(OPERATIONS))), st.integers(0, 99), st.integers(0, 99)),
    min_size=1, max_size=7,
)  # fmt: skip
numbers = st.lists(st.floats(-2, 2).map(lambda v: round(v, 2)), min_size=2, max_size=2)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(recipe=recipes, values=numbers, seed=st.integers(0, 99), dtype=st.sampled_from("fd"))
def test_every_question_has_its_answer_and_survives_any_other(recipe, values, seed, dtype):
    pool = [gg.var(f"x{k}", v, dtype=dtype) for k, v in enumerate(values)]
    for kind, i, j in recipe:
        pool.append(OPERATIONS[kind](pool[i % len(pool)], pool[j % len(pool)]))
    t = gg.tape(pool[-1] + pool[0] * 0.5)
    quiz = Quiz(t, seed=seed)
    while quiz.question:
        q = quiz.question
        tape_says = {
            "value": lambda q=q: t.value(q.node),
            "adjoint": lambda q=q: t.adjoint(q.node),
            "local": lambda q=q: t.local(*q.edge),
        }[q.kind]()
        assert q.answer == tape_says
        for wrong in ("0.5", "-3", "1000", "x0 + x1"):
            verdict = quiz.answer(wrong)
            if verdict.right:
                break
            assert verdict.message
        else:
            assert quiz.hint
            assert quiz.answer(repr(float(q.answer))).right


def test_arrays_are_asked_when_small():
    W, x = gg.var("W", [[1.0, 2.0], [3.0, 4.0]]), gg.var("x", [1.0, -1.0])
    big = gg.var("big", np.ones(50))
    t = gg.tape((gg.sum((W @ x).named("z")) + gg.sum(gg.sin(big))).named("y"))
    quiz = at(t, "value", "z")
    assert quiz.question.text == "z = W @ x with W = [1  2]; [3  4], x = [1 −1]. What is z?"
    assert quiz.answer("-1").message == "The answer has shape (2,), yours has ()."
    assert quiz.answer("W @ x").right
    quiz = at(t, "adjoint", "W")
    assert quiz.answer("[[1, 1], [-1, -1]]").right is False
    assert quiz.answer("[[1, -1], [1, -1]]").right
    asked = everything(Quiz(t))
    assert not any(q.node is big for q in asked)
    assert not any("big" in q.text for q in asked)


def test_of_large_arrays_shapes_are_asked():
    asked = {nfc(q.text): q.answer for q in everything(Quiz(layer(), kinds=["shape"]))}
    assert asked == {
        "v₁ = X @ W with X of shape 20×5, W of shape 5×3. What is the shape of v₁?": (20, 3),
        nfc("v₁ = X @ W with W of shape 5×3, and v̄₁ of shape 20×3. "
            "What is the shape of X̄ = ∂loss/∂X?"): (20, 5),
        nfc("v₁ = X @ W with X of shape 20×5, and v̄₁ of shape 20×3. "
            "What is the shape of W̄ = ∂loss/∂W?"): (5, 3),
    }  # fmt: skip
    assert not [q for q in everything(Quiz(lesson())) if q.kind == "shape"]


def test_shapes_are_read_and_judged():
    quiz = at(layer(), "shape", "v₁")
    assert quiz.hint == "v₁ = X @ W"
    for text, said in [
        ("3×20", "The axes are the other way round: is something transposed?"),
        ("3", "3 has 1 axis, and the answer has 2 axes."),
        ("20×5", "20×5 is the shape of X."),
        ("7x7", "Not right. Hint: v₁ = X @ W"),
    ]:
        assert quiz.answer(text) == Verdict(False, said)
    assert quiz.answer("X @ W") == Verdict(
        False, "give a shape, such as 20×10, 5 or scalar", understood=False
    )
    assert quiz.answer("(20, 3)") == Verdict(True, "Right. v₁ = X @ W has the shape 20×3.")
    quiz = at(layer(), "shape", "W")
    assert quiz.hint == "a gradient has a number for each of its variable's"
    assert nfc(quiz.answer("5 x 3")) == nfc(
        "Right. W̄ has a number for each of W, so its shape is 5×3."
    )


@pytest.mark.parametrize("text", ["20×3", "20x3", "20*3", "(20, 3)", "[20,3]", " 20 , 3 "])
def test_shapes_may_be_written_in_many_ways(text):
    assert at(layer(), "shape", "v₁").answer(text).right


def test_numbers_that_are_not_finite_are_not_asked():
    x = gg.var("x", 0.0)
    quiz = Quiz(gg.tape(gg.where(x > 0, gg.log(x), 0.0)))
    assert all(np.isfinite(q.answer) for q in everything(quiz))


def test_errors():
    with pytest.raises(GraphError, match="expected a tape or a graph node"):
        Quiz(3.0)
    with pytest.raises(GraphError, match="expected some of value, local, adjoint"):
        Quiz(lesson(), kinds=["sign"])
    with pytest.raises(GraphError, match="nothing to ask about"):
        Quiz(gg.tape(gg.var("x", 1.0)))
    assert Quiz(lesson(), kinds=["local"]).question.edge.__class__ is Edge
