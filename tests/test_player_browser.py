"""The player in a browser: keys, mouse, quiz, looks. Every page is opened offline (see browser.py).

Set GRAPHGRAD_AXE to the path of axe-core's axe.min.js to have accessibility checked too.
"""

import os
from pathlib import Path

import pytest

import graphgrad as gg
from graphgrad.explain.steps import BAR, UNBAR

from .browser import offline_pages, one_chromium  # noqa: F401 (fixtures)
from .familiar import book
from .test_player import HOSTILE, network, player_of


def trained():
    """Return the lesson's player with an update phase: 5 + 7 + 2 frames."""
    loss = book()
    w = next(n for n in gg.ancestors(loss) if n.name == "w")
    return gg.play(loss, updates={w: w - 0.1 * gg.grad(loss, w)})


def caption(page):
    return page.inner_text("#said")


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)


SHOWN = """() => Object.fromEntries([...document.querySelectorAll("#graph g[id]")].map(g =>
    [g.id, [g.getAttribute("class").split(" ").pop(), [...g.querySelectorAll("text")].filter(t =>
        t.textContent && getComputedStyle(t).visibility === "visible").map(t => t.textContent)]
    ]))"""


def texts(page, key):
    """Return the lines an item shows, without empty and hidden ones."""
    return page.evaluate(SHOWN)[key][1]


def unmarked(lines):
    return [line.replace(BAR, "").replace(UNBAR, "") for line in lines]


# -- steps -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["lesson", "collapsed", "vectors"])
def test_every_frame_shows_what_the_scene_says(pages, name):
    player = player_of(name)
    page, scene = pages(player.html), player.story.scene
    for frame in player.story.frames:
        assert caption(page) == unmarked([scene.caption(frame)])[0]
        shown = page.evaluate(SHOWN)
        for box in scene.boxes:
            lines = [*scene.value_lines(box, frame), *scene.adjoint_lines(box, frame)]
            names = [] if box.role == "constant" else [box.name]
            assert shown[box.key] == [scene.box_state(box, frame), unmarked([*names, *lines])]
        for arrow in scene.arrows:
            state = scene.arrow_state(arrow, frame)
            labels = [arrow.local] if arrow.local and frame.phase == "backward" else []
            labels += [arrow.contribution] if labels and state != "pending" else []
            assert shown[arrow.key] == [state, unmarked(labels)]
        for link in scene.links:
            assert shown[link.key][0] == scene.dot_state(link.dot, frame)
        press(page, "ArrowRight")


def test_keys_buttons_slider_and_phases(pages):
    page = pages(trained().html)
    assert caption(page) == "forward, start: the leaves have their values"
    press(page, "ArrowRight", "ArrowRight", "ArrowLeft")
    assert caption(page).startswith("forward, step 1 of 4:")
    press(page, "End")
    assert caption(page) == "update, step 1 of 1:   w ← w − 0.1·w = 3 − 0.1·2 = 2.8"
    assert page.is_disabled("#next")
    press(page, "Home")
    assert page.is_disabled("#back")
    page.click("#next")
    page.click("#last")
    page.click("#back")
    assert caption(page).startswith("update, start")
    page.click("text=Backward")
    assert caption(page).startswith("backward, start")
    assert page.get_attribute("text=Backward", "aria-current") == "true"
    page.focus("#slider")
    press(page, "ArrowRight")
    assert caption(page).startswith("backward, step 1 of 6")
    assert page.get_attribute("#slider", "aria-valuetext") == "backward, step 1 of 6"
    page.fill("#slider", "3")
    assert caption(page).startswith("forward, step 3 of 4")


def test_playing_and_pausing(pages):
    page = pages(lesson_page())
    press(page, " ")
    page.wait_for_selector("#said:has-text('step 1 of 4')")
    assert page.get_attribute("#said", "aria-live") == "off"
    page.click("#play")
    assert page.get_attribute("#play", "aria-label") == "Play"
    assert page.get_attribute("#said", "aria-live") == "polite"
    page.wait_for_timeout(1200)
    assert caption(page).startswith("forward, step 1 of 4")
    page.select_option("#speed", "20")
    page.click("#play")
    page.wait_for_selector("#next:disabled")
    assert page.get_attribute("#play", "aria-label") == "Play"


def lesson_page():
    return gg.play(book()).html


def test_breakpoints_by_click_and_by_key(pages):
    page = pages(lesson_page())
    page.click("#n4")
    assert page.get_attribute("#n4 rect", "aria-pressed") == "true"
    page.click("#run")
    assert caption(page).startswith("forward, step 2 of 4")
    page.select_option("#speed", "20")
    page.click("#play")
    page.wait_for_selector("#said:has-text('backward, step 2')")
    page.wait_for_timeout(200)
    assert caption(page).startswith("backward, step 2 of 6")
    page.focus("#n4 rect")
    press(page, "b")
    page.focus("#n1 rect")
    press(page, "Enter")
    assert page.get_attribute("#n4 rect", "aria-pressed") == "false"
    page.click("#run")
    assert caption(page).startswith("backward, step 6 of 6")
    page.click("#op4")  # an operation stands for its result
    page.click("#n1")
    press(page, "Home")
    page.click("#run")
    assert caption(page).startswith("forward, step 2 of 4")


# -- details ---------------------------------------------------------------------------------------


def test_pointing_at_a_node_and_at_an_edge(pages):
    page = pages(lesson_page())
    press(page, "End")
    page.hover("#n1")
    assert page.inner_text("#what") == "parameter w"
    numbers = page.inner_text("#numbers")
    assert "3" in numbers
    assert "w = 2" in numbers
    assert "x₁ · 2 = 2" in numbers
    page.hover("#e2_1 .local")
    assert page.inner_text("#what") == "edge from w to x₁"
    assert "∂x₁/∂w = x = 2" in page.inner_text("#numbers")
    page.hover("h1")
    assert page.inner_text("#what") == "edge from w to x₁"  # the current step's
    page.focus("#n6 rect")
    assert page.inner_text("#what") == "result d"


def test_a_formula_appears_once_its_step_was_made(pages):
    pytest.importorskip("latex2mathml")
    page = pages(lesson_page())
    page.hover("#n2")
    assert page.inner_text("#formula") == "mul: x₁ = x·w"
    assert page.locator("#formula math").count() == 0
    press(page, "ArrowRight")
    page.wait_for_selector("#formula math")
    assert page.eval_on_selector("#formula math", "m => m.namespaceURI").endswith("MathML")
    assert page.eval_on_selector("#formula math", "m => m.getBoundingClientRect().height > 5")


def test_nodes_and_edges_speak(pages):
    page = pages(lesson_page())
    press(page, "End")
    assert page.get_attribute("#n1 rect", "aria-label") == "parameter w, 3; adjoint of w = 2"
    label = page.get_attribute("#e2_1", "aria-label")
    assert label == "edge from w to x₁: ∂x₁/∂w = x = 2; adjoint of x₁ · 2 = 2"
    ids = "es => es.map(e => e.id || e.parentNode.id)"
    order = page.eval_on_selector_all("#graph [tabindex]", ids)
    assert order.index("e2_1") < order.index("n2") < order.index("n4")


# -- quiz ------------------------------------------------------------------------------------------


def test_the_quiz_asks_checks_and_explains(pages):
    page = pages(lesson_page())
    page.click("#ask")
    assert "x₁ = x·w" in page.inner_text("#question")
    assert texts(page, "n2") == ["x₁", "?"]

    def answer(text):
        page.fill("#answer", text)
        page.click("text=Check")
        return page.inner_text("#verdict")

    assert "Expected a number" in answer("six")
    assert "sum" in answer("5")
    assert page.get_attribute("#verdict", "class") == "wrong"
    assert answer("12/2").startswith("Right: x₁ = x·w")
    assert caption(page).startswith("forward, step 1 of 4")
    page.click("#reveal")
    assert caption(page).startswith("forward, step 2 of 4")
    press(page, "Tab")
    page.click("text=Backward")
    page.select_option("#kinds", "local")
    assert texts(page, "e7_0") == ["?"]
    assert texts(page, "e6_1") == []  # local derivatives to come are hidden
    assert "sign is wrong" in answer("1")
    assert answer("−1").startswith("Right: ∂loss/∂d")
    page.click("#ask")
    assert page.is_hidden("#quiz")
    assert texts(page, "e6_1") == ["∂d/∂x₂ = −1"]


def test_the_quiz_knows_the_local_derivative_from_the_adjoint(pages):
    page = pages(gg.play(gg.parse("3*x*x", x=2)).html)
    page.click("text=Backward")
    page.click("#ask")
    while "What is x̄" not in page.inner_text("#question"):
        page.click("#reveal" if page.is_visible("#reveal") else "#next")
    page.fill("#answer", "6")
    press(page, "Enter")
    assert "forgot the path" in page.inner_text("#verdict")
    page.fill("#answer", "-12")
    press(page, "Enter")
    assert "sign is wrong" in page.inner_text("#verdict")
    page.fill("#answer", "12,01")
    press(page, "Enter")
    assert page.get_attribute("#verdict", "class") == "right"
    assert "The end: 1 of 3 right" in page.inner_text("#question")


# -- looks -----------------------------------------------------------------------------------------

PLACES = """() => [...document.querySelectorAll("#graph :is(rect, circle, path:not(.hit))")]
    .filter(e => !e.closest("defs")).map(e => Object.values(e.getBoundingClientRect().toJSON()))"""


@pytest.mark.parametrize("width", [1200, 390])
def test_nothing_jumps(pages, width):
    page = pages(trained().html)
    page.set_viewport_size({"width": width, "height": 800})
    page.click("#fit")
    before = page.evaluate(PLACES)
    assert len(before) > 20
    for _ in range(14):
        press(page, "ArrowRight")
        assert page.evaluate(PLACES) == before


@pytest.mark.parametrize("name", ["lesson", "vectors", "network"])
def test_texts_stay_in_their_boxes(pages, name):
    page = pages(player_of(name).html)
    press(page, "End")
    outside = page.evaluate("""() => [...document.querySelectorAll("#graph .box")].filter(g => {
        const box = g.querySelector("rect").getBoundingClientRect();
        return [...g.querySelectorAll("text")].some(t => {
            const it = t.getBoundingClientRect();
            return it.width && (it.left < box.left || it.right > box.right
                || it.top < box.top - 2 || it.bottom > box.bottom + 2);
        });
    }).map(g => g.id)""")
    assert outside == []


def test_dark_and_light(pages):
    paper = "getComputedStyle(document.body).backgroundColor"
    page = pages(lesson_page(), color_scheme="dark")
    assert page.evaluate(paper) == "rgb(22, 24, 29)"
    page.click("#theme")
    assert page.evaluate(paper) == "rgb(255, 255, 255)"
    page.click("#theme")
    assert page.evaluate(paper) == "rgb(22, 24, 29)"


def test_printing_shows_the_current_frame_on_white(pages):
    page = pages(lesson_page(), color_scheme="dark")
    press(page, "ArrowRight", "ArrowRight")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert caption(page).startswith("forward, step 2 of 4")
    assert page.is_visible("#graph")
    assert not page.is_visible("#play")
    assert not page.is_visible("#panel")


def test_reduced_motion_has_no_transitions(pages):
    duration = "getComputedStyle(document.querySelector('.box rect')).transitionDuration"
    assert pages(lesson_page(), reduced_motion="reduce").evaluate(duration) == "0s"
    assert pages(lesson_page(), reduced_motion="no-preference").evaluate(duration) == "0.15s"


def test_heads_point_forward_then_backward(pages):
    page = pages(lesson_page())
    ends = """() => ["markerStart", "markerEnd"].map(k =>
        getComputedStyle(document.querySelector("#e7_0 path"))[k] !== "none")"""
    press(page, "End")
    assert page.evaluate(ends) == [True, False]
    press(page, "Home")
    assert page.evaluate(ends) == [False, True]


def test_a_phone_gets_large_buttons_and_a_legible_picture(pages):
    page = pages(lesson_page())
    page.set_viewport_size({"width": 390, "height": 800})
    page.reload()
    page.wait_for_selector("#said:not(:empty)")
    sizes = page.eval_on_selector_all(
        "button, select, input",
        """es => es.map(e => e.getBoundingClientRect()).filter(r => r.width)
            .map(r => [r.width, r.height])""",
    )
    assert min(min(size) for size in sizes) >= 44
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    text = "document.querySelector('#n1 .value').getBoundingClientRect().height"
    assert page.evaluate(text) > 9
    page.click("#fit")
    assert page.evaluate("stage.scrollWidth <= stage.clientWidth + 1")
    small = page.evaluate(text)
    page.click("#in")
    assert page.evaluate(text) > small


def test_a_picture_larger_than_its_window_follows_the_step(pages):
    page = pages(gg.play(network([3, 4, 2])).html)
    assert page.evaluate("stage.scrollWidth > stage.clientWidth")
    press(page, "End")
    page.wait_for_timeout(100)
    seen = """() => { const a = stage.getBoundingClientRect();
        return [...document.querySelectorAll("#graph .box.current")].some(g => {
            const b = g.getBoundingClientRect();
            return b.right > a.left && b.left < a.right && b.bottom > a.top && b.top < a.bottom;
        }) }"""
    assert page.evaluate(seen)


def test_dragging_moves_the_picture_and_sets_no_breakpoint(pages):
    page = pages(gg.play(network([3, 4, 2])).html)
    box = page.locator("#stage").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 150, y - 20, steps=5)
    page.mouse.up()
    assert page.evaluate("stage.scrollLeft") > 100
    assert page.is_disabled("#run")


# -- safety ----------------------------------------------------------------------------------------


def test_a_hostile_name_is_shown_and_not_run(pages):
    x = gg.var(HOSTILE, 2.0)
    with gg.scope("<img src=x onerror=alert(2)>"):
        y = x * gg.var("a\t\"'&<b>", 3.0)
    page = pages(gg.play(y, title=HOSTILE).html)
    press(page, "End")
    page.hover("#n0")
    page.click("#ask")
    assert page.inner_text("h1") == HOSTILE
    assert texts(page, "n0")[0].startswith("</script><script>alert(")
    assert page.evaluate("document.scripts.length") == 2
    assert page.evaluate("document.images.length") == 0


def test_it_works_inside_a_notebook_s_frame(pages):
    page = pages(f"<p id=said>notebook</p>{gg.play(book())._repr_html_()}")
    inside = page.frame_locator("iframe")
    inside.locator("#next").click()
    assert inside.locator("#said").inner_text().startswith("forward, step 1 of 4")


def test_accessibility(pages):
    axe = os.environ.get("GRAPHGRAD_AXE")
    if not axe:
        pytest.skip("GRAPHGRAD_AXE does not name axe-core's axe.min.js")
    page = pages(trained().html, bypass_csp=True)
    page.add_script_tag(content=Path(axe).read_text("utf-8"))
    for keys in ([], ["ArrowRight"] * 8, ["End"]):
        press(page, *keys)
        page.click("#ask")
        found = page.evaluate("axe.run(document).then(r => r.violations.map(v => [v.id, v.help]))")
        assert found == []
