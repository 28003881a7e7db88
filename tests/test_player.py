"""The player as data: what the page holds, without a browser."""

import base64
import html as entities
import json
import re
import xml.etree.ElementTree as ET
import zlib

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.drawing.figure import scene_of, writer_of
from graphgrad.drawing.player.story import Story, marked
from graphgrad.errors import DrawingError, GraphError, MissingValueError, ShapeError

from .familiar import book, reused

HOSTILE = "</script><script>alert(1)"
STATES = {"p": "pending", "c": "current", "d": "done", "i": "idle"}


def network(sizes, seed=0):
    """Return the loss of a network of tanh units, every weight a node of its own."""
    draw = np.random.default_rng(seed).normal
    layer = [gg.var(f"x{i}", round(draw(), 4), role="input") for i in range(sizes[0])]
    for level, width in enumerate(sizes[1:], 1):
        with gg.scope(f"layer{level}"):
            units = []
            for j in range(width):
                z = gg.var(f"b{level}{j}", round(draw(), 4))
                for i, h in enumerate(layer):
                    z = z + gg.var(f"w{level}{j}{i}", round(draw(), 4)) * h
                units.append(gg.tanh(z))
        layer = units
    return gg.sum(gg.stack(layer) ** 2) if len(layer) > 1 else ((layer[0] - 1) ** 2)


def vectors():
    W, x = gg.var("W", [[1.0, 2.0], [3.0, -4.0]]), gg.var("x", [0.5, 0.25])
    return gg.mse(gg.sigmoid(W @ x + gg.var("b", [0.1, 0.2])), [0.0, 1.0]).named("loss")


GRAPHS = {
    "lesson": (book, {}),
    "reused": (reused, {}),
    "collapsed": (reused, {"collapse": True}),
    "vectors": (vectors, {}),
    "network": (lambda: network([2, 2, 1]), {"digits": 6}),
    "integers": (lambda: gg.var("n", 3) * 2, {}),
    "a leaf": (lambda: gg.var("x", 1.5), {}),
    "cut in two": (lambda: gg.floor(gg.var("x", 1.5)) * 2.0, {}),
}
each_graph = pytest.mark.parametrize("name", GRAPHS)


def player_of(name):
    build, options = GRAPHS[name]
    return gg.play(build(), **options)


def table_of(player):
    """Return the data in the page, as its script unpacks them."""
    packed = re.search(r'<script type="text/plain" id="data">([\w+/=]*)</script>', player.html)[1]
    return json.loads(zlib.decompress(base64.b64decode(packed)))


def svg_of(player):
    return ET.fromstring(re.search(r'<svg id="graph".*?</svg>(?=\n</div>)', player.html, re.S)[0])


def states(text):
    """Return the state from each frame at which it changes."""
    return {int(i): STATES[c] for i, c in re.findall(r"(\d+)(\D)", text)}


def at(changes, i):
    """Return what holds at frame i of a dict by frame."""
    return changes[max(k for k in changes if k <= i)]


# -- every frame is the scene's --------------------------------------------------------------------


@each_graph
def test_ids_are_those_of_the_dot_picture(name):
    player = player_of(name)
    dot = writer_of(player.story.scene)(player.story.frames[0])
    drawn = re.findall(r'\[id="([\w]+)"', dot)
    table = table_of(player)
    listed = [k for part in ("boxes", "dots", "arrows", "links") for k in table[part]]
    ids = [g.get("id") for g in svg_of(player).iter("{http://www.w3.org/2000/svg}g")]
    assert sorted(drawn) == sorted(listed) == sorted(filter(None, ids))


@each_graph
def test_every_text_and_state_of_every_frame_is_the_scene_s(name):
    player = player_of(name)
    scene, table = player.story.scene, table_of(player)
    dots = {dot.key: dot for dot in scene.dots}
    arrows = {arrow.key: arrow for arrow in scene.arrows}
    for i, frame in enumerate(player.story.frames):
        for box in scene.boxes:
            shown, given, _, values, adjoints = table["boxes"][box.key]
            assert shown == marked(box.name)
            assert at(states(given), i) == scene.box_state(box, frame)
            assert at(dict(values), i) == [marked(x) for x in scene.value_lines(box, frame)]
            assert at(dict(adjoints), i) == [marked(x) for x in scene.adjoint_lines(box, frame)]
        for key, given in table["dots"].items():
            assert at(states(given), i) == scene.dot_state(dots[key], frame)
        for key, (given, box, dot, _) in table["arrows"].items():
            assert at(states(given), i) == scene.arrow_state(arrows[key], frame)
            assert (box, dot) == (arrows[key].box.key, arrows[key].dot.key)


@each_graph
def test_captions_are_the_scene_s(name):
    player = player_of(name)
    table = table_of(player)
    starts = np.cumsum([0, *(count for _, count in table["phases"])])
    for i, frame in enumerate(player.story.frames):
        caption = table["captions"][i]
        if frame.step:
            first = max(s for s in starts if s <= i)
            count = dict(table["phases"])[frame.phase] - 1
            caption = f"{frame.phase}, step {i - first} of {count}:   {caption}"
        assert caption == marked(player.story.scene.caption(frame))


@each_graph
def test_labels_on_arrows_are_the_scene_s(name):
    player = player_of(name)
    drawn = {g.get("id"): g for g in svg_of(player)}
    for arrow in player.story.scene.arrows:
        texts = ["".join(t.itertext()) for t in drawn[arrow.key] if t.tag.endswith("text")]
        wanted = [arrow.local, arrow.contribution] if arrow.local else []
        assert texts == [marked(x).replace("\t", "") for x in wanted]


def test_each_step_points_at_what_it_is_about():
    table = table_of(player_of("lesson"))
    assert table["focus"][:5] == ["", "n2", "n4", "n6", "n7"]
    assert table["focus"][5:8] == ["n7", "e7_0", "e6_1"]


def test_a_step_inside_a_collapsed_group_points_at_the_group():
    focus = table_of(player_of("collapsed"))["focus"]
    assert any(key.startswith("g") for key in focus)


# -- formulas and questions ------------------------------------------------------------------------


def test_every_step_has_its_formula():
    pytest.importorskip("latex2mathml")
    player = player_of("vectors")
    for frame, formula in zip(player.story.frames, table_of(player)["formulas"]):
        assert bool(formula) == bool(frame.step)
        if formula:
            assert ET.fromstring(formula).tag.endswith("math")


def test_questions_have_the_tape_s_answers():
    player = player_of("lesson")
    tape, quiz = player.story.scene.tape, table_of(player)["quiz"]
    assert [q[0] for questions in quiz for q in questions].count("value") == 4
    assert [q[3] for q in quiz[3]] == [-3.0]
    local, adjoint = quiz[6]
    assert (local[0], local[1], local[3]) == ("local", "e7_0", -1.0)
    assert (adjoint[0], adjoint[1], adjoint[3]) == ("adjoint", "n6", -1.0)
    assert tape.backward[0].contribution == -1.0


def test_usual_mistakes_are_known_and_never_right():
    loss = gg.parse("(x*w)*(x*w) + x", x=3, w=2)
    table = table_of(gg.play(loss))
    found = [q for questions in table["quiz"] for q in questions]
    for *_, answer, tolerance, mistakes in found:
        assert all(abs(value - answer) > tolerance for value, _ in mistakes)
    adjoint = next(q for q in found if q[:2] == ["adjoint", "n0"])
    messages = " ".join(text for _, text in adjoint[5])
    assert "forgot the path" in messages
    assert "multiply it by the upstream adjoint" in messages


@pytest.mark.parametrize("name", ["vectors", "integers"])
def test_only_finite_scalars_are_asked_for(name):
    for questions in table_of(player_of(name))["quiz"]:
        for *_, answer, tolerance, _ in questions:
            assert np.isfinite(answer)
            assert tolerance > 0


# -- updates ---------------------------------------------------------------------------------------


def test_updates_are_a_third_phase():
    loss = book()
    w, b = (next(n for n in gg.ancestors(loss) if n.name == name) for name in "wb")
    dw, db = gg.grad(loss, [w, b])
    player = gg.play(loss, updates={w: w - 0.1 * dw, b: b - 0.5 * db})
    table = table_of(player)
    assert table["phases"] == [["forward", 5], ["backward", 7], ["update", 3]]
    assert table["captions"][13] == "w ← w − 0.1·\tw\t = 3 − 0.1·2 = 2.8"
    assert at(dict(table["boxes"]["n1"][3]), 13) == ["3 → 2.8"]
    assert at(states(table["boxes"]["n3"][1]), 13) == "pending"
    assert at(states(table["boxes"]["n3"][1]), 14) == "current"
    assert at(dict(table["boxes"]["n3"][4]), 14) == ["\tb\t = 1"]


def test_an_update_of_a_matrix_shows_the_new_matrix():
    loss = vectors()
    W = next(n for n in gg.ancestors(loss) if n.name == "W")
    player = gg.play(loss, updates={W: W - 0.1 * gg.grad(loss, W)})
    new = player.story.scene.wording.digest((W - 0.1 * gg.grad(loss, W)).value)
    table = table_of(player)
    assert table["boxes"]["n0"][3][-1][1] == new
    assert table["captions"][-1] == "W ← W − 0.1·\tW\t = 2×2"


def test_a_rule_with_many_operations_is_not_written_out():
    loss = book()
    w = next(n for n in gg.ancestors(loss) if n.name == "w")
    new = w
    for _ in range(50):
        new = new * 0.5 + new
    assert "w ← new value = " in table_of(gg.play(loss, updates={w: new}))["captions"][-1]


def test_updates_that_make_no_sense_are_errors():
    loss, stranger = book(), gg.var("s", 1.0)
    w = next(n for n in gg.ancestors(loss) if n.name == "w")
    with pytest.raises(GraphError, match="takes no part in this graph"):
        gg.play(loss, updates={stranger: stranger * 2})
    with pytest.raises(ShapeError, match=r"update of .*expected shape \(\), got \(2,\)"):
        gg.play(loss, updates={w: gg.stack([w, w])})
    with pytest.raises(ShapeError, match=r"got 0\.5"):
        gg.play(loss, updates={w: 0.5})


# -- the page --------------------------------------------------------------------------------------


def test_names_and_groups_are_escaped():
    x = gg.var(HOSTILE, 2.0)
    with gg.scope('<img src=x onerror="alert(2)">'):
        y = (x * gg.var('"><b>&amp;\u2028', 3.0)).named("]]>\\N\t$title ${x}")
    player = gg.play(y, title=HOSTILE)
    assert player.html.count("<script") == 2
    assert "<img" not in player.html
    assert "<b>" not in player.html
    assert f"<h1>{entities.escape(HOSTILE)}</h1>" in player.html
    assert "$title ${x}" in "".join(svg_of(player).itertext())
    assert "\u2028" not in player.html
    frame = player._repr_html_()
    assert frame.count("<") == 2
    assert entities.unescape(re.search(r'srcdoc="([^"]*)"', frame)[1]) == player.html


def test_the_page_asks_for_nothing_outside():
    html = gg.play(book()).html
    assert "default-src 'none'" in html
    outside = re.sub(r"http://www\.w3\.org/\S+", "", html)
    assert not re.search(r"https?:|//\w|@import|url\((?!#)", outside.split("<script", 1)[0])
    assert not re.search(r'src="(?!data:)|href="(?!data:)', html)


@pytest.mark.parametrize(
    ("sizes", "nodes", "most"), [([2, 2, 2, 1], 43, 100_000), ([5, 7, 7, 1], 300, 500_000)]
)
def test_pages_are_small(sizes, nodes, most):
    player = gg.play(network(sizes), collapse=False)
    assert len(player.story.scene.tape.nodes) >= nodes
    assert len(player.html.encode()) <= most


def test_a_player_saves_and_shows_itself(tmp_path):
    player = gg.play(book())
    path = tmp_path / "loss.html"
    path.write_text("old")
    assert player.save(path) == path
    assert path.read_text("utf-8") == player.html
    assert list(tmp_path.iterdir()) == [path]
    assert repr(player) == "<Player of 'loss = |4 − (x·w + b)|': steps 4 forward, 6 backward>"
    shown = player._repr_mimebundle_()
    assert shown["text/html"].startswith("<iframe ")
    assert shown["text/plain"] == repr(player)


def test_a_failed_save_leaves_the_old_file(tmp_path):
    player = gg.play(book())
    with pytest.raises(DrawingError, match=r"loss\.gif: the player is a page; expected .*\.html"):
        player.save(tmp_path / "loss.gif")
    with pytest.raises(OSError, match="No such file"):
        player.save(tmp_path / "nowhere" / "loss.html")
    folder = tmp_path / "folder.html"
    folder.mkdir()
    with pytest.raises(OSError, match="directory"):
        player.save(folder)
    assert list(tmp_path.iterdir()) == [folder]


def test_titles():
    assert gg.play(book()).title == "loss = |4 − (x·w + b)|"
    assert gg.play(gg.var("x", 1.0)).title == "x"
    x = gg.var("x", 1.0)
    for _ in range(40):
        x = x * x
    assert len(gg.play(x).title) < 40


def test_themes_and_errors():
    assert "color-scheme: dark;" in gg.play(book(), theme="dark").html
    with pytest.raises(GraphError, match="theme 'pink': expected auto, light or dark"):
        gg.play(book(), theme="pink")
    with pytest.raises(GraphError, match="rankdir 'UP'"):
        gg.play(book(), rankdir="UP")
    with pytest.raises(MissingValueError):
        gg.play(gg.var("x") * 2)


def test_a_story_without_updates_has_two_phases():
    story = Story(scene_of(book()))
    assert [name for name, _ in story.phases] == ["forward", "backward"]
    assert len(story.frames) == 5 + 7
