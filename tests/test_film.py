"""Films: numbered pictures, animations, slides and transcripts of the same steps."""

import re
import sys
import xml.etree.ElementTree as ET

import pytest

import graphgrad as gg
from graphgrad.cli import main
from graphgrad.errors import DrawingError, GraphError, MissingDependencyError

from .familiar import book, find

LESSON = ["abs(4 - (x*w + b))", "x=2", "w=3", "b=1"]


def test_a_folder_of_numbered_pictures(tmp_path):
    folder = tmp_path / "frames"
    assert gg.film(book()).save(folder) == folder
    names = sorted(p.name for p in folder.iterdir())
    assert names[:2] == ["000-forward-0.svg", "001-forward-1.svg"]
    assert names[5] == "005-backward-0.svg"
    assert len(names) == 5 + 7
    boxes = {re.search(r'viewBox="[^"]*"', (folder / n).read_text("utf-8"))[0] for n in names}
    assert len(boxes) == 1
    assert "step 3 of 6" in (folder / "008-backward-3.svg").read_text("utf-8")


def test_pictures_in_another_format(tmp_path):
    paths = gg.film(book(), "backward").pictures(tmp_path, "pdf")
    assert [p.name for p in paths][-1] == "006-backward-6.pdf"
    assert paths[0].read_bytes().startswith(b"%PDF-")


@pytest.mark.parametrize(
    ("name", "format"), [("a.gif", "GIF"), ("a.apng", "PNG"), ("a.png", "PNG")]
)
def test_animations(tmp_path, name, format):
    image = pytest.importorskip("PIL.Image")
    gg.film(book(), seconds=0.5).save(tmp_path / name)
    with image.open(tmp_path / name) as film:
        assert film.format == format
        assert film.n_frames == 12
        assert film.info["loop"] == 0
        durations, sizes = [], set()
        for k in range(film.n_frames):
            film.seek(k)
            film.load()
            durations.append(film.info["duration"])
            sizes.add(film.size)
    assert durations == [500] * 11 + [1500]
    assert len(sizes) == 1


def test_without_pillow_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingDependencyError, match="pip install pillow"):
        gg.film(book()).save(tmp_path / "a.gif")
    assert list(tmp_path.iterdir()) == []


def test_slides(tmp_path):
    path = gg.film(book()).save(tmp_path / "my loss.tex")
    text = path.read_text("utf-8")
    assert text.count(r"\begin{frame}") == text.count(r"\end{frame}") == 12
    figures = re.findall(r"\\includegraphics\[.*?\]\{(.*?)\}", text)
    assert figures[8] == "my-loss-figures/008-backward-3.pdf"
    assert all((tmp_path / figure).read_bytes().startswith(b"%PDF-") for figure in figures)
    assert r"\begin{frame}{Backward, step 3 of 6}" in text
    assert r"$\displaystyle \bar{x}_{1} \leftarrow \bar{x}_{2} \cdot" in text
    assert text.count("{") == text.count("}")


def test_the_transcript():
    text = gg.film(book()).transcript
    assert text.startswith("# loss = \\|4 − (x·w + b)\\|\n")
    assert r"Start: $x = 2,\quad w = 3,\quad b = 1$" in text
    assert r"3. $d = 4 - x_{2} = 4 - 7 = -3$" in text
    assert "\n6. $\\bar{w} \\leftarrow" in text
    assert text.endswith("## Gradients\n\n- $\\bar{x} = 3$\n- $\\bar{w} = 2$\n- $\\bar{b} = 1$\n")
    assert len(re.findall(r"^\d+\. \$.*\$$", text, re.MULTILINE)) == 4 + 6


def test_a_transcript_of_vectors_and_of_a_forward_pass_only(tmp_path):
    W = gg.var("W", [[1.0, 2.0], [3.0, 4.0]])
    text = gg.film(gg.sum(W @ gg.var("x", [1.0, -1.0]))).transcript
    assert r"\begin{bmatrix} 1 & 2 \\ 3 & 4 \end{bmatrix}" in text
    forward = gg.film(W * 2)
    assert [frame.phase for frame in forward.frames] == ["forward", "forward"]
    assert "Gradients" not in forward.save(tmp_path / "a.md").read_text("utf-8")


def updated():
    loss = book()
    w, b = find(loss, "w"), find(loss, "b")
    dw, db = gg.grad(loss, [w, b])
    return loss, {w: w - 0.1 * dw, b: b - 0.5 * db}


def test_updates_are_shown_after_both_passes(tmp_path):
    loss, updates = updated()
    film = gg.film(loss, updates=updates)
    assert [f.phase for f in film.frames] == ["forward"] * 5 + ["backward"] * 7 + ["update"] * 3
    paths = film.pictures(tmp_path)
    assert [p.name for p in paths[-3:]] == [f"0{12 + k}-update-{k}.svg" for k in range(3)]
    before, first, second = (p.read_text("utf-8") for p in paths[-3:])
    assert "update, start: each parameter has its adjoint" in before
    shown = "".join(ET.fromstring(first).itertext())
    assert "update, step 1 of 2:" in shown
    assert re.search(r"w ← w − 0\.1·\s*w\s* = 3 − 0\.1·2 = 2\.8", shown)
    assert "3 → 2.8" in first
    assert "3 → 2.8" not in before
    assert "1 → 0.5" not in first
    assert "1 → 0.5" in second
    boxes = {re.search(r'viewBox="[^"]*"', p.read_text("utf-8"))[0] for p in paths}
    assert len(boxes) == 1


def test_a_transcript_with_updates():
    loss, updates = updated()
    sections = gg.film(loss, updates=updates).transcript.split("\n## ")
    assert [s.split("\n")[0] for s in sections[1:]] == [
        "Forward pass", "Backward pass", "Gradients", "Update",
    ]  # fmt: skip
    assert "Start: $\\bar{w} = 2,\\quad \\bar{b} = 1$" in sections[-1]
    assert "1. $w \\leftarrow w - 0.1 \\cdot \\bar{w} = 2.8$" in sections[-1]
    slides = gg.film(loss, "forward", updates=updates)
    assert [f.phase for f in slides.frames][-3:] == ["update"] * 3


def test_hostile_names_stay_text():
    x = gg.var("*x* <b> `code` $y$ | #", 2.0)
    text = gg.film(x * gg.var(r"\input{/etc/passwd} %", 3.0)).transcript
    assert r"\input" not in text.replace(r"\\", "")
    assert "\\*x\\* \\<b\\>" in text.splitlines()[0]


def test_errors(tmp_path):
    with pytest.raises(DrawingError, match=r"a\.avi: expected \.gif, \.apng, \.tex or \.md"):
        gg.film(book()).save(tmp_path / "a.avi")
    with pytest.raises(GraphError, match="phase 'sideways'"):
        gg.film(book(), "sideways")
    with pytest.raises(GraphError, match="seconds=0"):
        gg.film(book(), seconds=0)
    assert repr(gg.film(book())) == "<Film of 'loss = |4 − (x·w + b)|': 12 frames>"


# -- the command line ------------------------------------------------------------------------------


def test_graphgrad_play_writes_the_page(tmp_path, capsys):
    path = tmp_path / "loss.html"
    assert main(["play", *LESSON, "--rate", "0.1", "-o", str(path)]) == 0
    text = path.read_text("utf-8")
    assert "<title>|4 − (x·w + b)|</title>" in text
    assert capsys.readouterr() == ("", "")


def test_graphgrad_play_writes_films_too(tmp_path):
    path = tmp_path / "loss.md"
    assert main(["play", *LESSON, "-o", str(path), "--digits", "3"]) == 0
    assert "## Backward pass" in path.read_text("utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x*w", "x=2", "-o", "a.html"], "no value for w: add w=…"),
        (["x", "x=1", "-o", "picture"], "picture: the player is a page"),
        (["x", "x=1", "-o", "/nonexistent/p.html"], "/nonexistent/p.html: No such file"),
        (["x", "x=[1,2]", "--rate", "1", "-o", "a.html"], "expected a scalar"),
    ],
)
def test_graphgrad_play_says_what_is_wrong(capsys, arguments, message):
    assert main(["play", *arguments]) == 1
    assert message in capsys.readouterr().err


def test_graphgrad_play_needs_a_file(capsys):
    with pytest.raises(SystemExit):
        main(["play", *LESSON])
    assert "-o" in capsys.readouterr().err


def test_a_transcript_with_a_step_of_descent(tmp_path, capsys):
    path = tmp_path / "loss.md"
    assert main(["play", *LESSON, "--rate", "0.1", "-o", str(path)]) == 0
    assert "1. $w \\leftarrow w - " in path.read_text("utf-8").split("## Update")[1]
