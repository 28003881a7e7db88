"""Pictures: golden DOT, one layout for all frames, states, groups, escaping, sizes."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.drawing.dot import Writer
from graphgrad.drawing.figure import frames, scene_of, writer_of
from graphgrad.drawing.layout import coordinates, run_graphviz
from graphgrad.drawing.style import THEMES, text_width
from graphgrad.errors import GradientError, GraphError, MissingValueError

from . import goldens
from .familiar import book, reused

SVG = "{http://www.w3.org/2000/svg}"


def vectors():
    W, x = gg.var("W", [[1.0, 2.0], [3.0, -4.0]]), gg.var("x", [0.5, 0.25])
    with gg.scope("dense"):
        h = gg.sigmoid(W @ x + gg.var("b", [0.1, 0.2])).named("h")
    return gg.mse(h, [0.0, 1.0]).named("loss")


CASES = {
    "lesson-forward": (book, "forward", None, {}),
    "lesson-backward": (book, "backward", None, {}),
    "lesson-backward-4": (book, "backward", 4, {}),
    "reused-backward-2": (reused, "backward", 2, {"theme": "print"}),
    "reused-collapsed": (reused, "backward", None, {"collapse": "net", "theme": "dark"}),
    "vectors-backward": (vectors, "backward", None, {"legend": False}),
}


@pytest.mark.parametrize("name", CASES)
def test_golden_dot(name):
    build, phase, step, options = CASES[name]
    source = gg.draw(build(), phase=phase, step=step, **options).source
    goldens.compare(f"{name}.dot", source)


def geometry(dot):
    layout = coordinates(dot)
    places = sorted((n.name, n.x, n.y, n.width, n.height) for n in layout.nodes)
    return layout.width, layout.height, tuple(places)


@pytest.mark.parametrize("build", [book, reused, vectors])
@pytest.mark.parametrize("options", [{}, {"legend": False}, {"rankdir": "TB"}])
def test_nothing_moves_between_frames(build, options):
    pictures = [p for *_, p in frames(build(), **options)]
    whole = [gg.draw(build(), phase=p, **options) for p in ("forward", "backward")]
    assert len({geometry(p.source) for p in (*pictures, *whole)}) == 1


def ids(dot):
    root = ET.fromstring(run_graphviz(dot, "svg"))
    return {g.get("id"): g.get("class") for g in root.iter(f"{SVG}g")}


def test_ids_are_the_same_in_all_frames_and_classes_tell_the_state():
    found = [ids(p.source) for *_, p in frames(reused())]
    assert len({frozenset(f) for f in found}) == 1
    assert {"n0", "e2_0", "o2", "op2"} <= set(found[0])
    assert found[0]["op2"] == "node op pending"
    assert found[1]["op2"] == "node op current"


def test_states_at_a_backward_step():
    scene = scene_of(book())
    frame = scene.frame("backward", 4)
    boxes = {b.name: scene.box_state(b, frame) for b in scene.boxes}
    assert boxes == {
        "x": "pending", "w": "pending", "x₁": "done", "b": "current", "x₂": "done", "4": "idle",
        "d": "done", "loss": "done",
    }  # fmt: skip
    arrows = {a.local: scene.arrow_state(a, frame) for a in scene.arrows if a.steps}
    assert arrows == {
        "∂loss/∂d = sign(d) = −1": "done",
        "∂d/∂x₂ = −1": "done",
        "∂x₂/∂x₁ = 1": "done",
        "∂x₂/∂b = 1": "current",
        "∂x₁/∂x = w = 3": "pending",
        "∂x₁/∂w = x = 2": "pending",
    }


def test_an_unknown_adjoint_is_a_dash_and_a_partial_one_says_so():
    scene = scene_of(reused())
    h = next(b for b in scene.boxes if b.name == "h")
    lines = [scene.adjoint_lines(h, scene.frame("backward", k)) for k in range(5)]
    shown = [line[0].split(" = ")[1] for line in lines]
    assert shown == ["–", "–", "–", "0.7616 (1 of 2)", "1.523"]


def test_local_derivatives_stand_in_the_backward_picture_only():
    assert "∂" not in gg.draw(book()).source.split("label=", 1)[1].split("tooltip")[0]
    forward, backward = (gg.draw(book(), phase=p).source for p in ("forward", "backward"))
    assert "∂x₁/∂w = x = 2" in backward
    assert ">∂x₁/∂w" not in forward


@pytest.mark.parametrize("phase", ["forward", "backward"])
@pytest.mark.parametrize("step", [None, 0, 1])
def test_a_picture_of_every_kind_of_leaf_alone(phase, step):
    if step == 1:
        with pytest.raises(GraphError, match="has steps 0 to 0"):
            gg.draw(gg.var("x", 1.0), phase=phase, step=step)
    else:
        assert run_graphviz(gg.draw(gg.var("x", 1.0), phase=phase, step=step).source, "svg")


def test_collapsing_opens_and_closes_groups():
    y = reused()
    whole = scene_of(y)
    closed = scene_of(y, collapse=True)
    inner = scene_of(y, collapse=["net/hidden"])
    opened = scene_of(y, collapse=True, open="net")
    assert [d.group for d in closed.dots if d.group] == ["net"]
    assert [d.group for d in inner.dots if d.group] == ["net/hidden"]
    assert [d.group for d in opened.dots if d.group] == ["net/hidden"]
    assert not [d.group for d in whole.dots if d.group]
    assert {b.name for b in closed.boxes} == {"x", "h", "v₂", "y"}
    for scene in (closed, inner, opened):
        dot = Writer(scene, THEMES["light"])(scene.frame("backward", 2))
        assert run_graphviz(dot, "svg")


def test_large_graphs_collapse_by_themselves_and_say_so():
    x = gg.var("x", 0.1)
    h = x
    for layer in range(4):
        with gg.scope(f"layer{layer}"):
            for _ in range(100):
                h = gg.sin(h)
    source = gg.draw(h).source
    assert "401 nodes: groups are collapsed" in source
    assert len(re.findall(r'label="layer\d\\n100 nodes"', source)) == 4
    assert "collapsed" not in gg.draw(h, collapse=False).source


def test_large_graphs_without_groups_say_what_to_do():
    h = gg.var("x", 0.1)
    for _ in range(400):
        h = gg.sin(h)
    assert "group them with gg.scope" in gg.draw(h).source


HOSTILE = [
    '<b>"\\N|{}</script>', "</title><script>alert(1)</script>", "a&amp;b", "\\", "\\l\\r\\n", '"',
    "a\nb", "\x1b[31m", "\u202eabc", "<![CDATA[", "-->", "\x00", "\ud800", "]]>", "x" * 500, "变量",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_shown_and_not_interpreted(name):
    y = (gg.var(name, 2.0) * gg.var("b", 3.0)).named(name)
    with gg.scope(name.replace("/", "∕")):
        y = gg.tanh(y) * 2
    for phase in ("forward", "backward"):
        svg = run_graphviz(gg.draw(y, phase=phase).source, "svg").decode()
        root = ET.fromstring(svg)
        assert not [e for e in root.iter() if e.tag.endswith("script")]
        texts = {t.text for t in root.iter(f"{SVG}text")}
        shown = name.encode("unicode_escape").decode() if not name.isprintable() else name
        wanted = shown if len(shown) <= 24 else shown[:23] + "…"
        assert wanted in texts, (wanted, texts)


def test_a_long_name_is_whole_in_its_tooltip():
    y = gg.var("a" * 40, 2.0) * 2
    assert "a" * 40 in run_graphviz(gg.draw(y).source, "svg").decode()


def test_duplicate_edges_are_two_arrows():
    x = gg.var("x", 3.0)
    source = gg.draw(x * x, phase="backward").source
    assert len(re.findall(r"n0 -> op1 ", source)) == 2


@pytest.mark.parametrize("format", ["svg", "pdf", "png"])
def test_formats(format):
    head = {"svg": b"<?xml", "pdf": b"%PDF", "png": b"\x89PNG"}[format]
    assert gg.draw(book(), phase="backward").pipe(format).startswith(head)


@pytest.mark.parametrize("theme", THEMES)
def test_every_colour_of_a_theme_is_a_colour(theme):
    colours = vars(THEMES[theme]).values()
    assert all(re.fullmatch("#[0-9a-f]{6}", c) for c in colours)
    assert run_graphviz(gg.draw(book(), theme=theme).source, "svg")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"phase": "sideways"}, GraphError, "'sideways': expected 'forward' or 'backward'"),
        ({"step": 9}, GraphError, "step 9: the forward pass has steps 0 to 4"),
        ({"theme": "neon"}, GraphError, "theme 'neon': expected one of light, dark, print"),
        ({"collapse": "nowhere"}, GraphError, "no group 'nowhere' in this graph; it has none"),
        ({"digits": 0}, GraphError, "digits=0: expected 1 to 17"),
        ({"rankdir": "XY"}, GraphError, "rankdir 'XY'"),
    ],
)
def test_errors(options, error, message):
    with pytest.raises(error, match=re.escape(message)):
        gg.draw(book(), **options)


def test_negative_steps_count_from_the_end():
    assert gg.draw(book(), step=-1).source == gg.draw(book(), step=4).source


def test_no_value_and_no_scalar():
    with pytest.raises(MissingValueError, match="'x'"):
        gg.draw(gg.var("x") * 2)
    with pytest.raises(GradientError, match="cotangent"):
        gg.draw(gg.var("x", [1.0, 2.0]) * 2, phase="backward")


def test_a_tape_with_a_cotangent_has_a_backward_picture():
    t = gg.tape(gg.var("x", [1.0, 2.0]) * 2, cotangent=[1.0, 0.0])
    assert "[2 0]" in gg.draw(t, phase="backward").source


def test_arrays_show_their_numbers_when_small_and_a_digest_when_large():
    small, large = gg.var("W", np.eye(2)), gg.var("X", np.zeros((2, 784)))
    source = gg.draw(small @ large).source
    assert "[1  0]" in source
    assert "2×784" in source
    assert "all 0" in source


def test_text_is_measured_rather_too_wide():
    assert text_width("mmm", 10) > text_width("iii", 10) > 0
    assert text_width("x\u0304", 10) == text_width("x", 10)
    assert text_width("变", 10) >= 10


def test_inputs_can_be_named_for_their_colour():
    w = gg.var("w", 2.0)
    assert "box parameter" in gg.draw(w * 2).source
    assert "box input" in gg.draw(w * 2, inputs=[w]).source
    writer = writer_of(scene_of(w * 2), "light", False)
    assert "input" not in writer(writer.scene.frame("forward"))
