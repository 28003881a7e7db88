"""The session: transcripts of the lessons, time travel, breakpoints, files, hostile input."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import graphgrad as gg
from graphgrad.graph import apply
from graphgrad.primitive import TABLE
from graphgrad.stepping.completion import candidates
from graphgrad.stepping.registry import COMMANDS
from graphgrad.stepping.session import Session
from graphgrad.stepping.text import Text

from . import goldens, rulebook
from .test_random_graphs import ONE, TWO

LESSON = "abs(4 - (x*w + b))"
GIVEN = {"x": 2, "w": 3, "b": 1}


def session(text: str = LESSON, **values: Any) -> Session:
    return Session.of(gg.parse(text, **(values or GIVEN)), expression=text)


# -- transcripts -----------------------------------------------------------------------------

LESSONS: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "15-forward-backward": (
        LESSON,
        GIVEN,
        [
            "help", "help break", "? goto", "next", "n 2", "show", "show v4", "where", "node", "",
            "next", "b", "watch w", "break v2", "break op:mul", "break if |grad| > 2.5",
            "break arrive:w:1", "break w if value > 1e3", "info", "run", "r", "run back",
            "delete 1", "delete 9", "run", "run", "list", "show v1", "show b", "show 4", "diff 5",
            "diff 11", "where", "set w -3", "set w = [1, 2]", "set v1 2", "unwatch w", "verify",
            "rule v4", "rule sin", "save first.json", "restart", "forward", "backward",
            "goto forward 2", "goto 12", "load first.json", "draw step.dot", "play run.html",
            "delete all", "next", "nxet", "show q", "# a remark", "quit",
        ],
    ),
    "16-chain-rule": (
        "z1 = x*w1; yhat = z1*w2; J = (yhat - t)**2",
        {"x": 2, "w1": 0.5, "w2": 3, "t": 1},
        [
            "goto backward 0", "node", "node", "where", "show z1", "watch w1", "watch w2", "node",
            "show w2", "why w1", "node", "list all", "mistake forgotten-edge", "goto backward 1",
            "next", "next", "mistake off", "set w2 0", "show w1", "info",
        ],
    ),
    "17-backprop-reuse": (
        "s1 = sigmoid(w11*x + w12); s2 = sigmoid(w21*s1 + w22); s3 = sigmoid(w31*s2 + w32); "
        "loss = (s3 - y)**2",
        {"x": 1, "y": 0, "w11": 1, "w12": 0, "w21": -1, "w22": 0.5, "w31": 2, "w32": -1},
        [
            "break s3", "break w31", "break w21", "run", "run", "run", "run", "show s3", "diff 13",
            "run", "rule s1", "why w21", "run", "verify",
        ],
    ),
}  # fmt: skip
BRIEF = ("why", "mistake", "quiz", "answer")
"""Commands whose text is another module's: of these the first line stands in the transcript."""


def transcript(text: str, values: dict[str, Any], lines: list[str]) -> str:
    s = session(text, **values)
    told = []
    for line in lines:
        prompt = s.prompt
        answer = str(s.run(line))
        if line.split(" ")[0] in BRIEF and "\n" in answer:
            answer = answer.split("\n")[0] + "\n…"
        answer = re.sub(r"(?s)(  rule book, \w+\.py, line )\d+:.*", r"\1…", answer)
        told.append(f"{prompt}> {line}\n" + re.sub(r"#\d+", "#…", answer))
    return "\n".join(part.rstrip() for part in told) + "\n"


@pytest.mark.parametrize("name", LESSONS)
def test_transcript(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    goldens.compare(f"session-{name}.txt", transcript(*LESSONS[name]))


def test_every_command_is_in_a_transcript_or_a_test_of_its_own() -> None:
    seen = {line.split(" ")[0] for _, _, lines in LESSONS.values() for line in lines}
    short = {alias: c.name for c in COMMANDS.values() for alias in c.aliases}
    assert set(COMMANDS) - {short.get(word, word) for word in seen} == {
        "quiz", "answer", "hint", "skip",
    }  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS.values(), ids=lambda c: c.name)
def test_every_command_has_help_that_fits_a_terminal(command: Any) -> None:
    told = session().run(f"help {command.name}")
    assert told.ok
    assert command.help in told
    assert len(command.summary) <= 60
    for line in [*session().run("help").split("\n"), *told.split("\n")]:
        assert len(line) <= 80


# -- time travel -----------------------------------------------------------------------------

steps = st.lists(
    st.tuples(st.sampled_from([*ONE, *TWO]), st.integers(0, 20), st.integers(0, 20)), max_size=8
)


def grown(recipe: list[tuple[str, int, int]]) -> gg.Node:
    """Return the graph of a recipe: each step takes nodes that are there already."""
    made = [gg.var("x", 0.7), gg.var("w", -0.4)]
    for name, i, j in recipe:
        a, b = made[i % len(made)], made[j % len(made)]
        made.append(ONE[name][1](a) if name in ONE else TWO[name][1](a, b))
    return made[-1] + made[0] * made[1]


def seen(s: Session) -> Any:
    """Return everything a person can see at this moment."""
    listed = [s.run(line) for line in ("info", "list", "show v1", "show x", "diff 0")]
    return s.position, s.timeline.snapshot(s.position), listed


@settings(max_examples=25, deadline=None)
@given(steps, st.data())
def test_stepping_back_restores_exactly_the_earlier_state(recipe: Any, data: Any) -> None:
    s = Session.of(grown(recipe))
    last = len(s.timeline) - 1
    start = data.draw(st.integers(0, last))
    s.run(f"goto {start}")
    before = seen(s)
    for k in range(1, last - start + 1):
        s.run(f"next {k}")
        assert s.timeline.number(s.position) == start + k
        s.run(f"back {k}")
        assert seen(s) == before
    s.run("run")
    s.run(f"goto {start}")
    assert seen(s) == before


@settings(max_examples=25, deadline=None)
@given(steps)
def test_one_step_at_a_time_is_the_same_as_all_at_once(recipe: Any) -> None:
    one, all_ = Session.of(grown(recipe)), Session.of(grown(recipe))
    told = []
    while one.timeline.number(one.position) < len(one.timeline) - 1:
        told.append(str(one.run("next")))
    whole = all_.run("list all").split("\n")
    assert [line[2:] for line in whole[1:]] == [
        line for part in told for line in part.split("\n") if line.startswith("[")
    ]
    all_.run("run")
    assert all_.position == one.position


@settings(max_examples=25, deadline=None)
@given(steps)
def test_node_by_node_visits_every_node_once(recipe: Any) -> None:
    s = Session.of(grown(recipe))
    s.run("goto backward 0")
    visited = []
    while s.position.step < s.timeline.steps_of("backward"):
        s.run("node")
        visited.append(s.tape.backward[s.position.step - 1].edge.node)
    assert len(visited) == len(set(visited))
    assert set(visited) == {step.edge.node for step in s.tape.backward}


def test_what_is_not_known_yet_is_a_dash_and_never_0() -> None:
    s = session()
    assert "v₁ = x·w = – (not yet)" in s.run("show v1")
    assert "v̄₁ = –" in s.run("show v1")
    s.run("goto backward 0")
    assert "v̄₁ = –" in s.run("show v1")
    assert s.timeline.adjoint(s.nodes.find("v1"), s.position) is None


def test_an_empty_line_repeats_the_last_movement() -> None:
    s = session()
    assert s.run("") == ""
    for line, number in (("next 2", 2), ("show x", 2), ("", 4), ("back", 3), ("", 2), ("", 1)):
        s.run(line)
        assert s.timeline.number(s.position) == number


# -- breakpoints -----------------------------------------------------------------------------


def stops(s: Session, where: str) -> list[int]:
    """Return the moments at which `run` stops for a breakpoint."""
    assert s.run(f"break {where}").ok
    found, last = [], len(s.timeline) - 1
    while (number := s.timeline.number(s.position)) < last:
        told = s.run("run")
        if "breakpoint" in told:
            found.append(s.timeline.number(s.position))
        assert s.timeline.number(s.position) > number
    return found


@pytest.mark.parametrize(
    ("where", "numbers"),
    [
        ("v", [1, 4, 5]),
        ("x", [6]),
        ("v1", [2, 3]),
        ("op:mul", [1, 2, 4, 5, 6, 7]),
        ("arrive:v:2", [5]),
        ("arrive:v", [4, 5]),
        ("arrive:v1", []),
        ("nan", []),
        ("if value >= 36", [2]),
        ("if grad == 12", [5]),
        ("if |grad| > 20", [6, 7]),
        ("w if grad > 20", [7]),
        ("w if grad > 1e3", []),
        ("op:mul if value<10", [1]),
        ("if grad <= 1", [3]),
    ],
)
def test_where_run_stops(where: str, numbers: list[int]) -> None:
    assert stops(session("v = x*w; v*v", x=2, w=3), where) == numbers


def test_run_back_stops_at_the_same_moments() -> None:
    s = session("v = x*w; v*v", x=2, w=3)
    s.run("break v")
    s.run("goto 7")
    found = []
    while s.run("run back").ok:
        found.append(s.timeline.number(s.position))
    assert found == [5, 4, 1, 0]


def test_nan_stops_where_it_is_born() -> None:
    s = session("log(x)*w", x=0, w=2)
    assert stops(s, "nan") == [1]
    assert "log(0) = −∞" in s.view.sentence(s.timeline.at(1))
    assert stops(session("sqrt(x)*w", x=0, w=2), "nan") == [6]  # 1/(2·√0)
    assert stops(session("x*w + 1", x=float("nan"), w=2), "nan") == [1]


def test_conditions_on_arrays_ask_for_some_entry() -> None:
    assert stops(session("sum(x*w)", x=[1, 2, 3], w=[1, -5, 0]), "if |value| >= 10") == [1]


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("q", "no node 'q'"),
        ("op:tanh", "no operation 'tanh' in this graph: it has abs, add, mul, sub"),
        ("op:ad", "did you mean add?"),
        ("arrive:w:2", "1 contribution arrives at this node"),
        ("arrive:w:0", "1 contribution arrives at this node"),
        ("if grad", "condition 'grad': expected grad, |grad|, value or |value|"),
        ("if |grad > 1", "expected grad, |grad|, value or |value|"),
        ("if loss > 1", "expected grad"),
        ("if grad > w", "'w'"),
        ("if grad > [1, 2]", "expected a number, not an array"),
        ("if grad > __import__('os')", "__import__"),
        ("w if", "no node 'w if'"),
    ],
)
def test_what_is_no_breakpoint(where: str, message: str) -> None:
    s = session()
    told = s.run(f"break {where}")
    assert not told.ok
    assert message in told
    assert not s.state.breakpoints


# -- names, values ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["v₁", "v1", "v_1"])
def test_names_as_displayed_and_as_typed(name: str) -> None:
    s = session()
    assert s.nodes.find(name) is s.tape.forward[0].node


def test_nodes_by_their_number_and_names_that_are_not_unique() -> None:
    a, b = gg.var("x", 1.0), gg.var("x", 2.0)
    s = Session.of(a * b)
    assert f"'x' is the name of 2 nodes: #{a.serial} (variable), #{b.serial}" in s.run("show x")
    assert s.run(f"show #{b.serial}").startswith("x  variable")
    assert s.run(f"set #{b.serial} 5").ok
    assert b.value == 5
    assert "no node '#0'" in s.run("show #0")


def test_names_of_any_text() -> None:
    s = Session.of(gg.var("learning rate", 0.1) * gg.var("evil\x1b[2J", 2.0))
    assert s.run("set learning rate 0.5").ok
    assert s.tape.value(s.nodes.find("learning rate")) == 0.5
    for line in ("where", "show evil\x1b[2J", "list all", "info", "show evil", "set evil\x1b[2J 3"):
        assert "\x1b" not in s.run(line)


def test_set_replays_to_the_same_step() -> None:
    s = session()
    s.run("break w")
    s.run("goto 7")
    told = s.run("set w -3")
    assert told.startswith("w: 3 → −3\n[7] backward 2/6")
    assert s.state.breakpoints
    assert s.tape.adjoint(s.nodes.find("w")) == -2


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("set w", "expected a name and a value"),
        ("set w two", "two"),
        ("set w [1, 2]", "shape"),
        ("set v1 2", "v₁ is no variable, so it cannot be set; the variables are x, w, b"),
        ("set q 2", "no node 'q'"),
        ("set w __import__('os').getcwd()", "__import__"),
        ("set w 1 2", ""),
        ("set = 2", "which node?"),
    ],
)
def test_what_cannot_be_set(line: str, message: str) -> None:
    s = session()
    before = s.state, s.tape
    told = s.run(line)
    assert not told.ok
    assert message in told
    assert (s.state, s.tape) == before
    assert s.nodes.find("w").value == 3


def test_set_keeps_types() -> None:
    s = Session.of(gg.take(gg.var("x", [1.0, 2.0]), gg.var("k", 0, dtype=int)))
    assert not s.run("set k 0.5").ok
    assert s.run("set k 1").ok
    assert s.tape.value(s.tape.root) == 2


# -- what has no backward pass, second order, arrays -----------------------------------------


def test_a_vector_is_forward_only_unless_it_has_a_cotangent() -> None:
    y = gg.var("x", [1.0, 2.0]) * 3
    s = gg.step(y, interactive=False)
    assert "no backward pass" in s.view.title()
    for line in ("backward", "verify", "goto backward 1"):
        told = s.run(line)
        assert not told.ok
        assert "the root has shape (2,): give its adjoint" in told
    assert "there is no backward pass" in (s.run("next"), s.run("next"))[1]
    s = gg.step(y, interactive=False, cotangent=[1.0, 10.0])
    assert s.run("goto backward 1").ok
    assert s.tape.adjoint(s.nodes.find("x")).tolist() == [3.0, 30.0]
    assert s.run("set x [0, 0]").ok
    assert s.tape.adjoint(s.nodes.find("x")).tolist() == [3.0, 30.0]


def test_a_leaf_and_an_integer_can_be_stepped() -> None:
    s = gg.step(gg.var("x", 2.0), interactive=False)
    assert [s.run("next").ok for _ in range(2)] == [True, False]
    s = gg.step(gg.var("k", 2, dtype=int) + 1, interactive=False)
    assert "only floating nodes carry gradients" in s.run("backward")
    for line in ("where", "list all", "show", "run", "info", "verify", "why k"):
        assert isinstance(s.run(line), Text)


def test_second_order_links_each_node_to_the_one_that_made_it() -> None:
    x, w = gg.var("x", 2.0), gg.var("w", 3.0)
    s = gg.step(gg.grad(gg.tanh(x * w), w), interactive=False)
    assert "from differentiating v₂ = tanh(v₁)" in s.run("next 3")
    assert "origin   from differentiating v₁ = x·w" in s.run("show v6")
    assert "differentiating it made v₃, v₄, v₅" in s.run("show v2")
    assert s.run("verify").ok
    assert "DIFFER" not in s.run("verify")


def test_an_update_steps_the_same_way() -> None:
    x, w = gg.var("x", 2.0), gg.var("w", 3.0)
    s = gg.step(w - 0.1 * gg.grad((x * w - 1) ** 2, w), interactive=False)
    s.run("run")
    assert s.tape.value(s.tape.root) == pytest.approx(3 - 0.1 * 20)


def test_verify_notices_a_wrong_gradient() -> None:
    s = session()
    w = s.nodes.find("w")
    right = s.tape.adjoint
    s.tape.adjoint = lambda n, k=None: right(n, k) * 1.001 if n is w else right(n, k)
    told = s.run("verify")
    assert told.count("DIFFER") == 1
    assert "1 of 3 numbers differ: do not trust this gradient" in told
    assert "ok: 9 proved, 1 checked" in told  # the rules are right; this run is not


def test_verify_names_a_wrong_rule_and_a_point() -> None:
    def rule(y: Any, x: Any) -> Any:
        return 1.001 * (1 - y * y)

    wrong = dataclasses.replace(TABLE["tanh"], partials=(rule,), rules=(rule,))
    s = gg.step(apply(wrong, [gg.var("x", 0.5)]), interactive=False)
    told = s.run("verify")
    assert told.ok
    assert re.search(r"✗  ∂v₁/∂x +1.001 − 1.001·v₁² +everywhere  WRONG", told)
    assert "∂v₁/∂x: they differ at x = " in told
    assert "WRONG: 1 checked, 2 WRONG" in told
    assert "1 of 1 numbers differ" in told


def test_verify_of_many_nodes_says_what_it_did_not_decide(monkeypatch: Any) -> None:
    monkeypatch.setattr("graphgrad.stepping.commands.checking.BUDGET", 0.02)
    y = gg.var("x", 0.5)
    for _ in range(300):
        y = gg.sin(y) * gg.exp(-y)
    told = gg.step(y, interactive=False).run("verify")
    assert told.ok
    assert "not decided" in told
    assert "ok, not complete" in told
    assert len(told.split("\n")) < 60


# -- files -----------------------------------------------------------------------------------


def test_save_and_load_bring_everything_back(tmp_path: Path) -> None:
    s = session("sum(x*w)", x=[0.1, float("nan")], w=[1e-300, -float("inf")])
    for line in ("goto 3", "break w if |grad| > 1e3", "break op:mul", "watch w", "break nan"):
        assert s.run(line).ok
    path = tmp_path / "a b.json"
    assert s.run(f"save {path}").ok
    t = session()
    assert t.run(f"load {path}").ok
    assert (t.position, t.expression) == (s.position, s.expression)
    texts = [[b.text(u.view.names) for b in u.state.breakpoints] for u in (s, t)]
    assert texts[0] == texts[1] == ["w if |grad| > 1000", "op:mul", "nan"]
    for name in ("x", "w"):
        np.testing.assert_array_equal(*(u.tape.value(u.nodes.find(name)) for u in (s, t)))
    json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert [f.name for f in tmp_path.iterdir()] == ["a b.json"]


def python_graph(w: Any = 3.0) -> gg.Node:
    return gg.tanh(gg.var("x", 2.0) * gg.var("w", w)).sum()


def test_a_session_of_python_is_loaded_on_the_same_graph(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    s = gg.step(python_graph(), interactive=False)
    for line in ("set w 0.5", "goto 2", f"save {path}"):
        assert s.run(line).ok
    t = gg.step(python_graph(), interactive=False)
    assert t.run(f"load {path}").ok
    assert (t.position, t.nodes.find("w").value) == (s.position, 0.5)
    other = gg.step(python_graph([1.0, 2.0]), interactive=False)
    told = other.run(f"load {path}")
    assert "of another graph, made in Python" in told
    assert "'x', 'w'" in told
    assert not told.ok


def saved(tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    path = tmp_path / "s.json"
    s = session()
    for line in ("break w if grad > 1", "watch b", "goto 5", f"save {path}"):
        assert s.run(line).ok
    return path, json.loads(path.read_text())


BAD: dict[str, Any] = {
    "no object": [],
    "foreign": {"format": "something else"},
    "newer": {"version": 2},
    "version of another type": {"version": True},
    "no position": {"position": None},
    "phase": {"position": {"phase": "sideways", "step": 0}},
    "step": {"position": {"phase": "forward", "step": 99}},
    "negative step": {"position": {"phase": "forward", "step": -1}},
    "step of another type": {"position": {"phase": "forward", "step": 1.0}},
    "values": {"values": [["x", 2], ["w", 3]]},
    "other names": {"values": [["x", 2], ["w", 3], ["c", 1]]},
    "shape": {"values": [["x", [2, 2]], ["w", 3], ["b", 1]]},
    "ragged": {"values": [["x", [[2], [2, 3]]], ["w", 3], ["b", 1]]},
    "text as a number": {"values": [["x", "2"], ["w", 3], ["b", 1]]},
    "none as a number": {"values": [["x", None], ["w", 3], ["b", 1]]},
    "huge number": {"values": [["x", 10**400], ["w", 3], ["b", 1]]},
    "kind": {"breakpoints": [{"number": 1, "kind": "exec"}]},
    "relation": {"breakpoints": [{"number": 1, "kind": "any", "if": ["grad", True, "!=", 1]}]},
    "node": {"breakpoints": [{"number": 1, "kind": "node", "node": 99}]},
    "negative node": {"watches": [-1]},
    "watch": {"watches": ["w"]},
    "another graph": {"graph": "0", "expression": ""},
    "expression": {"graph": "0", "expression": "__import__('os').system('true')"},
    "expression without values": {"graph": "0", "expression": "x + q"},
    "expression that does not fit": {"graph": "0", "expression": "x*w"},
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_changes_nothing(name: str, tmp_path: Path) -> None:
    path, content = saved(tmp_path)
    change = BAD[name]
    path.write_text(json.dumps({**content, **change} if isinstance(change, dict) else change))
    unchanged(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"\x00\xff", b'{"format": "graphgrad session", "version": 1', b"[" * 100_000,
     b'{"format": "graphgrad session", "version": 1, "values": NaN}', b"\x80\x04K\x01.",
     b'{"format": ' + b"9" * 5000 + b"}"],
)  # fmt: skip
def test_a_file_that_is_no_json_changes_nothing(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    path.write_bytes(content)
    unchanged(path)


def test_a_file_cut_off_anywhere_changes_nothing(tmp_path: Path) -> None:
    path, _ = saved(tmp_path)
    whole = path.read_bytes()
    for end in range(0, len(whole) - 2, 17):
        path.write_bytes(whole[:end])
        unchanged(path)


def unchanged(path: Path) -> None:
    s = session()
    for line in ("break v1", "watch x", "goto 3", "set w 7"):
        s.run(line)
    before = s.state, s.tape, s.expression, [n.value for n in s.tape.nodes]
    told = s.run(f"load {path}")
    assert not told.ok
    assert str(path) in told or "s.json" in told
    assert (s.state, s.tape, s.expression, [n.value for n in s.tape.nodes]) == before


@pytest.mark.parametrize("line", ["save", "save /nonexistent/s.json", "save .", "load no.json",
                                  "save a\x00b", "load \udcff\ud800", "load .", "draw", "draw a.xy",
                                  "draw .", "play a.txt", "play /nonexistent/a.html"])  # fmt: skip
def test_files_that_cannot_be(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert not session().run(line).ok
    assert list(tmp_path.iterdir()) == []


def test_save_replaces_a_file_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "s.json"
    path.write_text("before")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert session().run(f"save {path}") == f"{path}: No space left on device"
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


# -- quizzes and mistakes --------------------------------------------------------------------


def test_a_mistake_is_shown_beside_the_right_steps() -> None:
    s = session("v = x*w; v*v", x=2, w=3)
    assert s.run("mistake overwrite").ok
    assert "≠ overwrite, the first wrong step: v̄ = 6" in s.run("goto backward 2")
    s.run("set w 4")
    assert "≠ overwrite, the first wrong step: v̄ = 8" in s.run("goto backward 2")
    s.run("mistake off")
    assert "≠" not in s.run("goto backward 2")
    told = s.run("mistake overwrit")
    assert "did you mean overwrite?" in told
    assert not told.ok


def test_a_quiz_asks_until_it_is_over() -> None:
    s = session()
    assert not s.run("answer 3").ok
    assert not s.run("hint").ok
    assert s.run("quiz on").startswith("question 1 of")
    total = len(s.recording.quiz)
    for number in range(2, total):
        right = np.asarray(s.recording.quiz.question.answer).tolist()
        assert "question" not in s.run("1234")
        assert "question" not in s.run("hint")
        s.run("show v1")
        assert f"question {number} of {total}: " in s.run(f"answer {right}")
    assert f"question {total} of {total}" in s.run("skip")
    told = s.run(str(np.asarray(s.recording.quiz.question.answer).tolist()))
    assert f"the quiz is over: 1 of {total} right" in told
    assert "the quiz is over" in s.run("quiz")
    assert not s.run("1").ok


def test_a_quiz_goes_on_after_set_with_the_new_numbers() -> None:
    s = session()
    s.run("quiz")
    s.run("set w 10")
    answer = s.recording.quiz.question.answer
    assert "Right" in s.run(f"answer {float(answer)!r}")
    assert s.run("quiz").startswith("question 2")
    assert s.run("quiz off") == "no more questions"
    assert "expected quiz" in s.run("quiz maybe")


# -- nothing a person types can break it -----------------------------------------------------

words = st.sampled_from([*COMMANDS, "n", "b", "r", "w", "h", "?", "q", "c", "p", "i"])
arguments = st.one_of(
    st.text(max_size=30),
    st.sampled_from(["v1", "w", "op:mul", "arrive:w:1", "if |grad| > 1", "5", "all", "back", "#3",
                     "w = nan", "w 1e308", "w -inf", "w 0", "backward 3", "99999999999", "-1"]),
)  # fmt: skip
FILES = ("save", "load", "draw", "play")


typed = st.one_of(st.text(max_size=40), st.tuples(words, arguments).map(" ".join))


@settings(max_examples=150, deadline=None)
@given(st.lists(typed, max_size=12))
def test_no_line_ever_raises(lines: list[str]) -> None:
    s = session("v = x*w; sum(v*v + log(b))", x=[2, 3], w=3, b=1)
    for line in lines:
        if line.split(" ")[0].strip() in FILES:
            continue
        told = s.run(line)
        assert isinstance(told, Text)
        assert "\x1b" not in told
        str(told).encode("utf-8")
        assert 0 <= s.timeline.number(s.position) < len(s.timeline)
        assert all(0 <= a <= b <= len(told) for a, b, _ in told.spans)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=40))
def test_completion_never_raises(text: str) -> None:
    for before in ("", "break ", "show ", "set "):
        candidates(session(), before + text)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("ne", ["next"]),
        ("nosuch ", []),
        ("show v", ["v1", "v2", "v3", "v4"]),
        ("set ", ["x", "w", "b"]),
        ("break op:m", ["op:mul"]),
        ("break arrive:v", ["arrive:v1", "arrive:v2", "arrive:v3", "arrive:v4"]),
        ("help wa", ["watch"]),
        ("delete ", ["1"]),
        ("mistake over", ["overwrite"]),
        ("break if", ["if |grad| > ", "if grad > ", "if |value| > ", "if value > "]),
    ],
)
def test_completion(line: str, found: list[str]) -> None:
    s = session()
    s.run("break w")
    assert [c.text for c in candidates(s, line)] == found


@pytest.mark.parametrize("name", TABLE)
def test_every_operation_can_be_stepped(name: str) -> None:
    for case in rulebook.calls(TABLE[name])[:3]:
        y, _ = rulebook.make(TABLE[name], case)
        s = Session.of(gg.sum(gg.cast(y, float)))
        lines = ["list all", "info", "next 2", "quiz", "hint", "skip", "run", "diff 0", "run back"]
        nodes = [f"#{n.serial}" for n in s.tape.nodes]
        lines += [f"{c} {n}" for n in nodes for c in ("show", "rule", "watch", "why", "break")]
        for line in [*lines, "run back", "run", "why nan", "mistake"]:
            assert isinstance(s.run(line), Text)
        told = s.run("verify")
        assert told.ok
        assert "DIFFER" not in told


def test_a_long_chain_can_be_stepped() -> None:
    x = gg.var("x", 0.5)
    y = x
    for _ in range(20_000):
        y = gg.sin(y)
    s = gg.step(y, interactive=False)
    for line in ("next", "goto 20000", "next", "node", "break x", "run", "show v777", "diff 40000",
                 "list", "info", "run back"):  # fmt: skip
        assert s.run(line).ok


def test_what_cannot_be_stepped_is_an_error() -> None:
    with pytest.raises(gg.errors.GraphError, match="expected a graph node or a tape"):
        gg.step(3.0, interactive=False)
    with pytest.raises(gg.errors.MissingValueError):
        gg.step(gg.var("x") * 2, interactive=False)
    with pytest.raises(gg.errors.GraphError, match="digits=0"):
        gg.step(gg.var("x", 1.0), interactive=False, digits=0)
    with pytest.raises(gg.errors.ShapeError):
        gg.step(gg.var("x", [1.0, 2.0]) * 2, interactive=False, cotangent=[1.0])
