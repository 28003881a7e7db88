"""The stepper: its traits and messages without a browser, its buttons in one."""

import base64
import json
import sys
from importlib.resources import files

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.errors import GraphError, MissingDependencyError, MissingValueError
from graphgrad.stepping.moments import Moments
from graphgrad.stepping.timeline import Position

from .browser import one_chromium  # noqa: F401

HOSTILE = '</svg><img src=x onerror="alert(1)">\x1b[31m'
needs_anywidget = pytest.mark.usefixtures("anywidget")


@pytest.fixture(name="anywidget")
def the_library():
    return pytest.importorskip("anywidget", reason="anywidget is not installed")


def lesson():
    return gg.parse("u = x*w; y = u + b; loss = abs(4 - y)", x=2, w=3, b=1)


def moments(root=None, **options):
    return Moments(gg.tape(lesson() if root is None else root), **options)


# -- moments -----------------------------------------------------------------------------------


def test_moments_are_numbered_over_both_passes():
    shown = moments()
    assert shown.phases == [["forward", 4], ["backward", 6]]
    assert [shown.number(k) for k in (0, 11, -1)] == [0, 11, 11]
    assert shown.position(("backward", -1)) == Position("backward", 6)
    assert moments(gg.var("x", [1.0, 2.0]) * 2).phases == [["forward", 1]]


def test_what_is_shown_of_a_moment():
    shown = moments().shown(Position("backward", 3))
    assert (shown["number"], shown["phase"], shown["step"]) == (8, "backward", 3)
    assert shown["sentence"] == "backward, step 3 of 6:   u\u0304 ← y\u0304 · ∂y/∂u = 1 · 1 = 1"
    assert shown["picture"].startswith("<svg ")
    assert "step 3 of 6" not in shown["picture"]
    json.dumps(shown, allow_nan=False)


def test_names_are_escaped_everywhere():
    html = moments((gg.var(HOSTILE, 2.0) * 3).named("y")).html(Position("forward", 1))
    assert "<img" not in html
    assert "\x1b" not in html
    assert html.startswith("<figure><svg ")


@pytest.mark.parametrize("bad", [12, -13, 1.0, "1", None, True])
def test_a_number_that_is_no_moment_is_refused(bad):
    with pytest.raises(GraphError, match="this run has the moments 0 to 11"):
        moments().number(bad)


@pytest.mark.parametrize(
    "bad", [3, "forward", ("forward",), ("forward", 5), ("sideways", 0), ("backward", 1.5)]
)
def test_a_position_that_is_none_is_refused(bad):
    with pytest.raises(GraphError, match=r"expected|has steps 0 to"):
        moments().position(bad)


# -- the widget --------------------------------------------------------------------------------


def test_without_anywidget_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "anywidget", None)
    monkeypatch.delitem(sys.modules, "graphgrad.stepping.frontend", raising=False)
    with pytest.raises(MissingDependencyError, match=r"pip install graphgrad\[notebook\]"):
        gg.stepper(lesson())


@needs_anywidget
def test_position_and_moment_are_read_and_set():
    moves = gg.stepper(lesson())
    assert (moves.position, moves.moment) == (("forward", 0), 0)
    moves.position = "backward", 3
    assert (moves.moment, moves.sentence[:22]) == (8, "backward, step 3 of 6:")
    moves.moment = -1
    assert moves.position == Position("backward", 6)
    moves.moment -= 1
    assert repr(moves) == "<Stepper of 'loss = |4 − (x·w + b)|': backward 5/6>"
    assert moves.tape.root.name == "loss"


@needs_anywidget
def test_whoever_moves_it_observers_are_told_once_and_see_the_new_moment():
    moves, seen = gg.stepper(lesson()), []
    moves.observe(lambda change: seen.append((change["new"], moves.sentence[:18])), "position")
    moves.position = "forward", 2
    moves.set_state({"moment": 3})  # as the browser does
    assert seen == [
        (("forward", 2), "forward, step 2 of"), (("forward", 3), "forward, step 3 of"),
    ]  # fmt: skip
    assert moves.get_state()["_shown"]["number"] == 3


@needs_anywidget
@pytest.mark.parametrize("bad", [("backward", 7), ("up", 0), 5])
def test_a_wrong_move_leaves_it_where_it_is(bad):
    moves = gg.stepper(lesson())
    moves.position = "forward", 1
    with pytest.raises(GraphError):
        moves.position = bad
    with pytest.raises(GraphError):
        moves.moment = 99
    assert (moves.position, moves.moment) == (("forward", 1), 1)


@needs_anywidget
def test_the_browser_can_ask_for_a_moment_and_nothing_else():
    moves = gg.stepper(lesson())
    with pytest.raises(GraphError, match="moment 500"):
        moves.set_state({"moment": 500})
    assert moves.moment == 0
    assert "position" not in moves.get_state()


@needs_anywidget
def test_options_reach_the_picture_and_are_checked():
    y = gg.var("y", [1.0, 2.0])
    moves = gg.stepper(y * 2, cotangent=np.ones(2), theme="dark", rankdir="TB")
    assert moves.position == ("forward", 0)
    assert "#16181d" in moves.get_state()["_shown"]["picture"]
    for wrong in ({"digits": 0}, {"theme": "pink"}, {"collapse": "nowhere"}, {"rankdir": "UP"}):
        with pytest.raises(GraphError):
            gg.stepper(y, **wrong)
    with pytest.raises(GraphError, match="expected a graph node or a tape"):
        gg.stepper(3.0)
    with pytest.raises(MissingValueError):
        gg.stepper(gg.var("x") * 2)


@needs_anywidget
def test_where_no_kernel_is_the_moment_is_shown_as_a_picture():
    moves = gg.stepper(lesson())
    moves.moment = 5
    data, _ = moves._repr_mimebundle_()
    assert set(data) == {
        "text/plain", "text/html", "application/vnd.jupyter.widget-view+json"
    }  # fmt: skip
    assert "backward, start" in data["text/html"]


# -- the browser's side ------------------------------------------------------------------------

PAGE = """<!doctype html><meta charset="utf-8"><style>%s</style><div id="cell"></div>"""
MODEL = """async ([code, state, all]) => {
  const listeners = {};
  const model = {
    get: (name) => state[name],
    set: (name, value) => { state[name] = value; },
    on: (name, f) => { (listeners[name] ??= []).push(f); },
    off: () => {},
    save_changes: () => {
      state._shown = all[state.moment];
      for (const name of ["change:moment", "change:_shown"]) listeners[name].forEach((f) => f());
    },
  };
  window.state = state;
  const widget = (await import("data:text/javascript;base64," + code)).default;
  widget.render({ model, el: document.getElementById("cell") });
}"""


@pytest.fixture(name="cell")
def a_stepper_in_a_browser(chromium):
    """The stepper in a page, with a model that answers as Python would."""
    source = files("graphgrad.stepping")
    code = base64.b64encode(source.joinpath("frontend.js").read_bytes()).decode()
    shown = moments((gg.var("<i>x", 2.0) * gg.var("w", 3.0)).named("y"))
    line = shown.timeline
    every = [shown.shown(line.at(k)) for k in range(len(line))]
    state = {"moment": 0, "_phases": shown.phases, "_title": shown.title, "_shown": every[0]}
    context = chromium.new_context(viewport={"width": 900, "height": 500})
    page, complaints = context.new_page(), []
    page.set_default_timeout(10_000)
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.set_content(PAGE % source.joinpath("frontend.css").read_text("utf-8"))
    page.evaluate(MODEL, [code, state, every])
    yield page
    context.close()
    assert complaints == []


def place(page):
    return page.locator(".graphgrad-place").inner_text()


def test_buttons_move(cell):
    assert place(cell) == "forward 0/1"
    assert cell.get_by_label("Back", exact=True).is_disabled()
    cell.get_by_label("Next").click()
    assert place(cell) == "forward 1/1"
    assert "= 6" in cell.locator(".graphgrad-sentence").inner_text()
    cell.get_by_label("Start of the backward pass").click()
    assert place(cell) == "backward 0/2"
    cell.get_by_label("End").click()
    assert place(cell) == "backward 2/2"
    assert cell.get_by_label("Next").is_disabled()
    assert cell.locator("svg").count() == 1
    assert cell.locator("svg i").count() == 0  # the name is text


def test_keys_and_the_slider_move(cell):
    cell.locator(".graphgrad-stepper").focus()
    for key, there in (("ArrowRight", 1), ("End", 4), ("ArrowLeft", 3), ("Home", 0)):
        cell.keyboard.press(key)
        assert cell.evaluate("state.moment") == there
    cell.get_by_label("Moment").focus()
    cell.keyboard.press("ArrowRight")
    assert place(cell) == "forward 1/1"


def test_plain_keys_stay_and_shortcuts_go_on_to_the_notebook(cell):
    """JupyterLab listens at the document: d d deletes a cell, arrows leave it, Ctrl+S saves."""
    cell.evaluate("""() => {
      window.heard = [];
      const root = document.querySelector(".graphgrad-stepper");
      document.addEventListener("keydown", (event) => {
        window.heard.push([event.key, root.hasAttribute("data-lm-suppress-shortcuts")]);
        event.preventDefault();
      });
    }""")
    for part in (cell.locator(".graphgrad-stepper"), cell.get_by_label("Moment")):
        part.focus()
        for key in ("d", "d", "ArrowRight", "Home"):
            cell.keyboard.press(key)
        cell.keyboard.press("Control+b")
    heard = [pair for pair in cell.evaluate("heard") if pair[0] != "Control"]
    assert heard == [["b", False], ["b", False]]


def test_a_button_that_is_switched_off_hands_its_focus_on(cell):
    cell.get_by_label("End").focus()
    cell.keyboard.press("Enter")
    cell.keyboard.press("ArrowLeft")
    assert place(cell) == "backward 1/2"
