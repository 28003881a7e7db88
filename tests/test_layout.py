"""Pictures without a Graphviz on the machine: bytes, files, mistakes, fonts, coordinates."""

import contextlib
import os
import pathlib
import subprocess
import sys
import threading
import warnings
import xml.etree.ElementTree as ET

import graphviz
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from graphgrad.drawing import engine, layout
from graphgrad.drawing.layout import DrawingWarning, Picture, coordinates, run_graphviz, svg
from graphgrad.errors import DrawingError, MissingDependencyError

CHAIN = 'digraph {\n\tnode [label="\\N"]\n\tx -> y\n}\n'
HEADS = {"svg": b"<?xml", "pdf": b"%PDF-", "png": b"\x89PNG", "jpg": b"\xff\xd8", "plain": b"graph"}


def labelled(label: str) -> str:
    return f"digraph {{ a [label={label}] }}"


def png_size(data: bytes) -> tuple[int, int]:
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


def in_new_process(code: str, **environment: str) -> bytes:
    command = [sys.executable, "-W", "error", "-c", code]
    root = str(pathlib.Path(engine.__file__).parents[2])
    surroundings = os.environ | {"PYTHONPATH": root} | environment
    done = subprocess.run(command, env=surroundings, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr == b""
    return done.stdout


# --- the picture


@pytest.mark.parametrize(
    "dot",
    [
        CHAIN,
        "digraph loss {\n\tx -> y\n}\n",
        'digraph "a \\"b\\" c" {\n\tx -> y\n}\n',
        'digraph "<b>" {\n}\n',
        "// a comment\nstrict digraph g {\n\tx\n\n\ty\n}\n",
        'digraph {\n\tx [label=<\n<B>two\nlines {}</B>>]\n\ty [label="}\\n{"]\n}\n',
    ],
)
def test_source_is_the_given_text(dot):
    picture = Picture.from_dot(dot)
    assert picture.source == str(picture) == dot
    assert picture.copy().source == dot
    assert type(picture.copy()) is Picture


def test_text_on_one_line_keeps_its_meaning():
    picture = Picture.from_dot("digraph{rankdir=LR; x->y}")
    assert picture.source == "digraph {\nrankdir=LR; x->y\n}\n"
    assert coordinates(picture.source) == coordinates("digraph{rankdir=LR; x->y}")


def test_a_picture_can_be_added_to():
    picture = Picture.from_dot("digraph loss {\n\tx -> y\n}\n")
    picture.attr(rankdir="LR")
    picture.edge("y", "z")
    with picture.subgraph(name="cluster_a") as part:
        part.node("x")
    assert [n.name for n in coordinates(picture.source).nodes] == ["x", "y", "z"]


@pytest.mark.parametrize("dot", ["", "graph { a -- b }", "digraph { a", "digraph { a } x"])
def test_other_text_is_refused(dot):
    with pytest.raises(DrawingError, match=r"expected 'digraph NAME"):
        Picture.from_dot(dot)


@pytest.mark.parametrize("format", HEADS)
def test_formats(format):
    assert Picture.from_dot(CHAIN).pipe(format).startswith(HEADS[format])
    assert Picture.from_dot(CHAIN, format=format).pipe().startswith(HEADS[format])


def test_pipe_decodes():
    picture = Picture.from_dot(labelled('"x̄ = ∂"'))
    assert "x̄ = ∂" in picture.pipe("svg", encoding="utf-8")


def test_pipe_takes_renderers():
    picture = Picture.from_dot(CHAIN)
    assert picture.pipe("png", renderer="cairo", formatter="cairo").startswith(HEADS["png"])
    with pytest.raises(graphviz.RequiredArgumentError, match="without a renderer"):
        picture.pipe("png", formatter="gd")
    with pytest.raises(DrawingError, match="no picture format 'png:wood'"):
        picture.pipe("png", renderer="wood")


def test_neato_takes_positions_as_they_are():
    dot = 'digraph { a [pos="0,0"]; b [pos="300,0"]; a -> b }'
    document = Picture.from_dot(dot, engine="neato").pipe("plain", neato_no_op=True)
    assert document.startswith(b"graph 1 4.9167")
    with pytest.raises(DrawingError, match="expected engine='neato'"):
        Picture.from_dot(dot).pipe("svg", neato_no_op=2)


def test_notebooks_show_the_picture():
    picture = Picture.from_dot(CHAIN)
    bundle = picture._repr_mimebundle_()
    assert list(bundle) == ["image/svg+xml"]
    assert ET.fromstring(bundle["image/svg+xml"]).tag == "{http://www.w3.org/2000/svg}svg"
    bundle = picture._repr_mimebundle_(include=["image/png", "image/jpeg"])
    assert bundle["image/png"].startswith(HEADS["png"])
    assert bundle["image/jpeg"].startswith(HEADS["jpg"])


# --- files


def test_render_beside_the_source(tmp_path):
    picture = Picture.from_dot(CHAIN, filename="loss", directory=tmp_path)
    result = pathlib.Path(picture.render(format="svg"))
    assert result == tmp_path / "loss.gv.svg"
    assert result.read_bytes().startswith(HEADS["svg"])
    assert (tmp_path / "loss.gv").read_text() == CHAIN


def test_render_to_an_outfile(tmp_path):
    picture = Picture.from_dot(CHAIN)
    result = pathlib.Path(picture.render(outfile=tmp_path / "new" / "loss.PNG", cleanup=True))
    assert [p.name for p in result.parent.iterdir()] == ["loss.PNG"]
    assert result.read_bytes().startswith(HEADS["png"])
    picture.render(outfile=tmp_path / "loss", format="svg", cleanup=True)
    assert (tmp_path / "loss").read_bytes().startswith(HEADS["svg"])
    with pytest.raises(graphviz.FileExistsError, match="raise_if_result_exists"):
        picture.render(outfile=result, raise_if_result_exists=True)


def test_render_with_names_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = Picture.from_dot(CHAIN).render("a/b.dot", format="png", renderer="cairo")
    assert pathlib.Path(result) == pathlib.Path("a/b.dot.cairo.png")
    assert Picture("name").render(format="svg", directory="c") == str(pathlib.Path("c/name.gv.svg"))
    assert Picture.from_dot(CHAIN).save("d.gv") == "d.gv"


def test_render_does_not_overwrite_the_source(tmp_path):
    picture = Picture.from_dot(CHAIN, filename="x.gv", directory=tmp_path)
    with pytest.raises(ValueError, match="overwrite its own DOT text"):
        picture.render("x.svg", outfile="x.svg")
    picture.render("x.svg", outfile="x.svg", overwrite_source=True)
    assert (tmp_path / "x.svg").read_bytes().startswith(HEADS["svg"])


def test_a_broken_picture_leaves_no_file(tmp_path):
    picture = Picture.from_dot("digraph {\n\ta [label=<a & b>]\n}\n")
    for target in ("x.svg", "x.abc", "x"):
        with pytest.raises(DrawingError):
            picture.render(outfile=tmp_path / target)
    assert list(tmp_path.iterdir()) == []


def test_render_can_show(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(graphviz, "view", lambda path, quiet: shown.append((path.name, quiet)))
    Picture.from_dot(CHAIN).render(outfile=tmp_path / "x.svg", quiet_view=True)
    assert shown == [("x.svg", True)]


# --- mistakes


@pytest.mark.parametrize(
    ("dot", "message"),
    [
        ("digraph { a [label=<<B>x</I>>] }", "mismatched tag in line 1(.|\n)*in label of node a"),
        ("digraph { a [label=<x & y>] }", "not well-formed"),
        ("digraph { a [label=<<FOO>x</FOO>>] }", "Unknown HTML element <FOO>"),
        ("digraph { a -> ", "syntax error in line 1"),
        ('digraph { a [label="x] }', "scanning a quoted string"),
        ("hello", "syntax error in line 1 near 'hello'"),
        ("digraph { a\0 }", "syntax error"),
        ("", "there is no graph in the DOT text"),
    ],
)
def test_mistakes_in_the_text(dot, message, capfd):
    with pytest.raises(DrawingError, match=message):
        run_graphviz(dot, "svg")
    assert capfd.readouterr() == ("", "")
    assert b"<title>x</title>" in run_graphviz(CHAIN, "svg")  # nothing of it is left behind


def test_unknown_format_and_engine():
    with pytest.raises(DrawingError, match=r"no picture format 'doc': expected one of .*, svg,"):
        run_graphviz(CHAIN, "doc")
    with pytest.raises(DrawingError, match=r"no layout engine 'dt': expected one of circo, dot,"):
        run_graphviz(CHAIN, "svg", "dt")


def test_small_mistakes_are_warned_of(capfd):
    with pytest.warns(DrawingWarning, match="reddish is not a known color"):
        run_graphviz('digraph { a [label="Error: x" color=reddish] }', "svg")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Picture.from_dot("digraph { a [color=reddish] }").pipe("svg", quiet=True)
    assert capfd.readouterr() == ("", "")


def test_sizes_fixed_on_purpose_are_no_mistake():
    for dot in (
        "digraph { a [fixedsize=true width=0.1 label=long] }",
        'digraph { a [label=<<TABLE FIXEDSIZE="TRUE" WIDTH="5" HEIGHT="5">'
        "<TR><TD>long</TD></TR></TABLE>>] }",
        'digraph { a [label=<<TABLE><TR><TD FIXEDSIZE="TRUE" WIDTH="5" HEIGHT="5">'
        "long</TD></TR></TABLE>>] }",
    ):
        assert run_graphviz(dot, "svg").startswith(HEADS["svg"])


@given(st.lists(st.sampled_from(
    ["digraph {", "strict ", "subgraph cluster_a {", "}", "a", "b", "->", "--", " [", "]", "label=",
     "<<TABLE>", "<TR>", "<TD>", "x", "</TD></TR></TABLE>>", "<", ">", '"', "\\N", "shape=record ",
     "{|}", "rank=same;", ":n", "width=-1 ", "pos=", "1e999", "\0", "∂", "peripheries=99 ", "\n"]
)))  # fmt: skip
@example(["digraph {", "a", " [", "label=", "<<TABLE>", ">", "]", "}"])
def test_no_text_ends_the_process(tokens):
    with contextlib.suppress(DrawingError):
        assert run_graphviz("".join(tokens), "svg", quiet=True)


# --- the same everywhere


def test_threads_take_turns():
    expected = [run_graphviz(labelled(f'"{i}"'), "svg") for i in range(8)]
    wrong = []

    def draw(i: int) -> None:
        for _ in range(20):
            if run_graphviz(labelled(f'"{i}"'), "svg") != expected[i]:
                wrong.append(i)
            with pytest.raises(DrawingError, match=f"node n{i}"):
                run_graphviz(f"digraph {{ n{i} [label=<&>] }}", "svg")

    threads = [threading.Thread(target=draw, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("format", ["svg", "pdf", "png"])
def test_every_process_draws_the_same_bytes(format):
    code = f"""
import sys
from graphgrad.drawing.layout import run_graphviz
dot = 'digraph {{ x [label="x̄"]; subgraph cluster_a {{ y }} x -> y; x -> z; x -> z }}'
sys.stdout.buffer.write(run_graphviz(dot, {format!r}))
"""
    first = in_new_process(code, PYTHONHASHSEED="1")
    assert first == in_new_process(code, PYTHONHASHSEED="2", SOURCE_DATE_EPOCH="1700000000")
    assert first == run_graphviz(
        'digraph { x [label="x̄"]; subgraph cluster_a { y } x -> y; x -> z; x -> z }', format
    )


def test_resolution_of_bitmaps():
    width, height = png_size(run_graphviz(CHAIN, "png", dpi=96))
    wide, high = png_size(run_graphviz(CHAIN, "png"))
    assert abs(wide - 2 * width) <= 2
    assert abs(high - 2 * height) <= 2
    assert png_size(run_graphviz("digraph { dpi=96; " + CHAIN[10:], "png")) == (width, height)
    assert b'width="62pt"' in run_graphviz(CHAIN, "svg")


# --- fonts


NO_FONTS = "<fontconfig><dir>/nowhere</dir><cachedir>{}</cachedir></fontconfig>"
LINUX_ONLY = pytest.mark.skipif(sys.platform != "linux", reason="only Linux finds fonts this way")


@pytest.fixture
def no_fonts(tmp_path):
    """Environment of a process that finds no font."""
    (tmp_path / "fonts.conf").write_text(NO_FONTS.format(tmp_path))
    return {"FONTCONFIG_FILE": str(tmp_path / "fonts.conf")}


@LINUX_ONLY
def test_text_without_fonts_on_the_machine(no_fonts):
    pytest.importorskip("matplotlib")
    code = """
import sys
from graphgrad.drawing.layout import run_graphviz
draw = lambda c: run_graphviz(f'digraph { a [fontname="DejaVu Sans" label="%s"] }' % c, "png")
drawings = {draw(c) for c in "ix∂σΣ√ᵀ₁"} | {draw("x\u0304")}
assert len(drawings) == 9, len(drawings)  # empty boxes would look the same
""".replace("{ a", "{{ a").replace("] }'", "] }}'")
    in_new_process(code, **no_fonts)


@LINUX_ONLY
def test_boxes_instead_of_text_are_warned_of(no_fonts):
    code = """
import importlib.util, warnings
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "matplotlib" else find(name, *rest)
from graphgrad.drawing.layout import run_graphviz
run_graphviz("digraph { a }", "svg")
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    run_graphviz("digraph { a }", "png")
    run_graphviz("digraph { a }", "pdf")
assert [str(w.message)[:16] for w in caught] == ["there is no font"], caught
"""
    in_new_process(code, **no_fonts)


@LINUX_ONLY
def test_a_broken_font_configuration_prints_nothing(tmp_path):
    code = "from graphgrad.drawing.layout import svg; assert '>a</text>' in svg('digraph { a }')"
    in_new_process(code, FONTCONFIG_FILE=str(tmp_path / "missing.conf"))


# --- SVG for a page


def test_svg_is_one_element():
    element = svg('digraph { a [id=n1 class=op label="<b>&amp;</b> \\"--\\""]; a -> a }')
    assert element.startswith("<svg width=")
    assert element.endswith("</svg>")
    assert "<!" not in element
    assert "<?" not in element
    root = ET.fromstring(element)
    node = root.find(".//*[@id='n1']")
    assert node.get("class") == "node op"
    texts = [child.text for child in node if child.tag.endswith(("}title", "}text"))]
    assert texts == ["a", '<b>&</b> "--"']


def test_svg_has_a_name_for_screen_readers():
    root = ET.fromstring(svg(CHAIN, title='loss "<1>"'))
    assert root.get("role") == "group"
    assert root.get("aria-label") == 'loss "<1>"'


# --- coordinates


def test_coordinates():
    found = coordinates(
        'digraph { rankdir=LR; node [shape=box width=1 height=0.5 label=""]\n'
        "subgraph cluster_c { x }  x -> y [id=first]; x -> y [id=second dir=back]; y -> z }"
    )
    assert [n.name for n in found.nodes] == ["x", "y", "z"]
    x, y, z = found.nodes
    assert x.x < y.x < z.x < found.width
    assert (x.width, x.height) == (72, 36)
    assert y.y == z.y
    assert [(e.tail, e.head, e.id) for e in found.edges] == [
        ("x", "y", "first"), ("x", "y", "second"), ("y", "z", "")
    ]  # fmt: skip
    for edge in found.edges:
        xs = [point[0] for point in edge.points]
        assert xs == sorted(xs)
        assert all(0 <= py <= found.height for _, py in edge.points)


def test_y_grows_downwards():
    above, below = coordinates("digraph { a -> b }").nodes
    assert above.y < below.y


@pytest.mark.parametrize("name", ['a\\"b', "a b", "é", "a\tb", "node", "<x>", "a\x01b", "−x̄"])
def test_coordinates_of_odd_names(name):
    (node,) = coordinates(f'digraph {{ "{name}" [label=""] }}').nodes
    assert node.name == name.replace('\\"', '"')


def test_an_empty_graph_has_no_coordinates():
    found = coordinates("digraph { }")
    assert (found.nodes, found.edges) == ((), ())


# --- another Graphviz


@pytest.mark.skipif(sys.platform == "win32", reason="writes a shell script")
def test_graphviz_of_the_users_choice(tmp_path, monkeypatch):
    program = tmp_path / "dot"
    program.write_text('#!/bin/sh\necho "$@"; cat; echo "Warning: tired" >&2\n')
    program.chmod(0o755)
    monkeypatch.setenv("GRAPHGRAD_DOT", str(program))
    with pytest.warns(DrawingWarning, match="tired"):
        assert run_graphviz("digraph {}", "svg") == b"-Kdot -Tsvg\ndigraph {}"
    assert run_graphviz("", "png", "neato", quiet=True) == b"-Kneato -Tpng -Gdpi=192\n"
    program.write_text("#!/bin/sh\nexit 3\n")
    with pytest.raises(DrawingError, match="ended with status 3"):
        run_graphviz("", "svg")


def test_no_graphviz_at_all(monkeypatch):
    monkeypatch.setenv("GRAPHGRAD_DOT", "/nowhere/dot")
    with pytest.raises(MissingDependencyError, match="cannot run Graphviz as '/nowhere/dot'"):
        run_graphviz(CHAIN, "svg")
    monkeypatch.delenv("GRAPHGRAD_DOT")

    def absent() -> None:
        raise ImportError("No module named 'pygraphviz'")

    monkeypatch.setattr(engine, "bundled_graphviz", absent)
    monkeypatch.setattr(engine.shutil, "which", lambda program: None)
    engine._dot_if_no_wheel.cache_clear()
    with pytest.raises(MissingDependencyError, match="pip install pygraphviz"):
        run_graphviz(CHAIN, "svg")
    monkeypatch.setattr(engine.shutil, "which", lambda program: "/usr/bin/dot")
    assert engine._dot_if_no_wheel() == "/usr/bin/dot"
    engine._dot_if_no_wheel.cache_clear()


def test_importing_loads_no_library():
    code = (
        "import sys; import graphgrad.drawing.layout;"
        "assert not {'pygraphviz', 'matplotlib'} & set(sys.modules)"
    )
    in_new_process(code)
    assert layout.__doc__
