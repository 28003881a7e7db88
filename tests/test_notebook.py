"""What notebooks show: mime bundles, the magic, and a notebook that nbclient executes."""

import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

import graphgrad as gg
from graphgrad import display
from graphgrad.errors import GradientError, GraphError

EXAMPLE = Path(__file__).parent.parent / "examples" / "notebook.ipynb"
SVG, HTML, TEXT = "image/svg+xml", "text/html", "text/plain"
WIDGET = "application/vnd.jupyter.widget-view+json"
HOSTILE = '</svg><script>alert("1")</script>&\x1b[31m\ud800'


def lesson():
    return gg.parse("u = x*w; y = u + b; loss = abs(4 - y)", x=2, w=3, b=1)


def chain(length):
    node = gg.var("x", 0.5)
    for _ in range(length):
        node = node * 1.0
    return node


def grouped(length):
    x = gg.var("x", 0.5)
    with gg.scope("deep"):
        y = chain(length)
    return x + y


# -- bundles -----------------------------------------------------------------------------------

DRAWN = {
    "lesson": lesson,
    "leaf": lambda: gg.var("x", 2.0),
    "constant": lambda: gg.const(3),
    "mask": lambda: gg.var("x", 2.0) > 1,
    "integers": lambda: gg.var("n", np.array([1, 2])) * 2,
    "array": lambda: gg.var("x", [1.0, 2.0]) * 2,
    "empty": lambda: gg.var("x", np.zeros((0, 3))) + 1,
    "not finite": lambda: gg.log(gg.var("x", 0.0)),
    "hostile": lambda: (gg.var(HOSTILE, 1.0) * 2).named(HOSTILE),
    "collapsed": lambda: grouped(400),
}
WRITTEN = {
    "no value": lambda: gg.var("x") * 2,
    "no value, hostile": lambda: gg.var(HOSTILE, shape=()) * 2,
    "long": lambda: chain(400),
    "huge": lambda: chain(20_000),
}


@pytest.mark.parametrize("name", DRAWN)
def test_a_node_with_values_shows_its_picture(name):
    shown = DRAWN[name]()._repr_mimebundle_(include=None, exclude=None)
    assert set(shown) == {TEXT, SVG}
    picture = ET.fromstring(shown[SVG])
    assert picture.get("aria-label").startswith("computational graph of ")
    assert "script" not in {e.tag.rpartition("}")[2] for e in picture.iter()}
    assert "max-width" in picture.get("style")


@pytest.mark.parametrize("name", WRITTEN)
def test_a_node_without_values_or_too_large_shows_text(name):
    shown = WRITTEN[name]()._repr_mimebundle_()
    assert set(shown) == {TEXT}
    assert shown[TEXT].startswith("<Node")
    assert shown[TEXT].encode("utf-8").isascii()


@pytest.mark.parametrize("make", [lambda y: y, gg.tape, lambda y: gg.tape(y).at()])
def test_showing_never_fails(make, monkeypatch):
    def fail(*_):
        raise RuntimeError("no picture today")

    monkeypatch.setattr("graphgrad.drawing.notebook.svg", fail)
    thing = make(lesson())
    assert thing._repr_mimebundle_() == {TEXT: repr(thing)}


def test_nothing_is_drawn_before_it_is_shown():
    code = (
        "import sys, graphgrad as gg; gg.tape(gg.var('x', 2.0) * 3).at(); "
        "print('graphviz' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_value_that_is_set_shows_in_the_next_picture():
    x = gg.var("x", shape=())
    y = x * 2
    assert SVG not in y._repr_mimebundle_()
    x.value = 21
    assert ">42<" in y._repr_mimebundle_()[SVG]


def test_a_tape_shows_its_backward_pass_where_it_has_one():
    shown = gg.tape(lesson())._repr_mimebundle_()
    assert "backward pass" in shown[SVG]
    assert shown[TEXT] == "<Tape of 'loss': 8 nodes>"
    assert "forward pass" in gg.tape(gg.var("x", [1.0, 2.0]) * 2)._repr_mimebundle_()[SVG]
    assert SVG not in gg.tape(chain(20_000))._repr_mimebundle_()


def test_a_tape_at_a_step_shows_that_moment():
    tape = gg.tape(lesson())
    moment = tape.at("backward", 3)
    assert str(moment) == "backward, step 3 of 6:   u\u0304 ← y\u0304 · ∂y/∂u = 1 · 1 = 1"
    assert moment.made is tape.backward[2]
    assert repr(moment) == "<Moment of 'loss': backward, step 3 of 6>"
    shown = moment._repr_mimebundle_()
    assert shown[TEXT] == str(moment)
    assert "backward, step 3 of 6" in "".join(ET.fromstring(shown[SVG]).itertext())
    assert tape.at(step=-1) == tape.at("backward", 6)
    assert tape.at("forward", 0).made is None
    assert tape.at().made is None


@pytest.mark.parametrize(
    "at", [("sideways", 1), ("backward", 7), ("forward", -6), ("forward", 1.0)]
)
def test_a_moment_that_is_not_there_is_refused(at):
    with pytest.raises(GraphError, match=r"expected|has steps 0 to"):
        gg.tape(lesson()).at(*at)


def test_a_pass_that_is_not_there_is_refused():
    with pytest.raises(GradientError, match="no backward pass"):
        gg.tape(gg.var("x", 2.0) > 1).at("backward", 0)


REPORTS = {
    "ledger": lambda: (lambda root: gg.ledger(root, gg.ancestors(root)[0]))(lesson()),
    "certificate": lambda: gg.certificate(gg.log(gg.var("x<y", 0.0))),
    "mistakes": lambda: gg.mistakes(lesson()),
    "wrong run": lambda: next(iter(gg.mistakes(lesson()))),
}


@pytest.mark.parametrize("name", REPORTS)
def test_reports_show_their_text_escaped(name):
    thing = REPORTS[name]()
    shown = thing._repr_mimebundle_(include=None, exclude=None)
    assert shown[TEXT] == str(thing)
    assert shown[HTML]
    assert "x<y" not in shown[HTML]


def test_text_that_cannot_be_sent_is_written_as_escapes():
    shown = display.text_bundle("a\ud800 <b>")
    assert shown[TEXT] == "a\\ud800 <b>"
    assert "&lt;b&gt;" in shown[HTML]


# -- the magic ---------------------------------------------------------------------------------


@pytest.fixture(name="shell")
def a_shell(monkeypatch):
    """An IPython shell with the extension; what it displays is collected in `shown`."""
    pytest.importorskip("IPython", reason="IPython is not installed")
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    settings = Config()
    settings.HistoryManager.enabled = False
    shell = InteractiveShell(config=settings)
    shell.shown = []
    monkeypatch.setattr("IPython.display.display", shell.shown.append)
    shell.extension_manager.load_extension("graphgrad")
    yield shell
    shell.extension_manager.unload_extension("graphgrad")
    assert "graphgrad" not in shell.magics_manager.magics["cell"]


def test_a_cell_is_shown_and_kept_under_its_last_name(shell):
    shell.user_ns |= {"b": 1, "x": 7.0}
    options = "--phase backward x=2 w=3 --step -1"
    shell.run_cell_magic("graphgrad", options, "y = x*w + b\nz = 4 - y")
    assert shell.user_ns["z"].value == -3.0
    assert "y" not in shell.user_ns
    assert [str(m)[:22] for m in shell.shown] == ["backward, step 5 of 5:"]


def test_a_cell_without_a_name_is_only_shown(shell):
    before = set(shell.user_ns)
    shell.run_cell_magic("graphgrad", "x=2", "x**2")
    assert len(shell.shown) == 1
    assert set(shell.user_ns) == before


def test_arrays_come_from_the_line_or_from_the_notebook(shell):
    shell.user_ns["W"] = np.array([[1.0, 2.0], [3.0, 4.0]])
    shell.run_cell_magic("graphgrad", 'v="[1, 1]"', "s = sum(W @ v)")
    assert shell.user_ns["s"].value == 10.0
    shell.run_cell_magic("graphgrad", "--expand v=[1,1]", "s = sum(W @ v)")
    assert {n.shape for n in gg.ancestors(shell.user_ns["s"])} == {()}


def test_the_player_is_shown_when_asked_for(shell):
    shell.run_cell_magic("graphgrad", "--play x=2", "x*x")
    assert repr(shell.shown[0]) == "<Player of 'x·x': steps 1 forward, 2 backward>"


def test_a_line_gives_its_graph(shell):
    shell.user_ns |= {"x": 3, "pi": 3}
    node = shell.run_line_magic("graphgrad", "x*pi")
    assert node.value == pytest.approx(3 * np.pi)
    shell.run_cell("loss = %graphgrad (x - 1)**2").raise_error()
    assert shell.user_ns["loss"].value == 4.0


REFUSED = {
    "no value": ("", "x*w", "no value for x, w: add x=… w=…"),
    "a node": ("x=1", "x*node", "node in this notebook is of type Node"),
    "text": ("x=1", "x*word", "word in this notebook is of type str"),
    "grammar": ("x=1", "x.real", "not in the grammar"),
    "code": ("", "__import__('os')", "one underscore at most"),
    "interpolation": ("", "{1 + 1}", "not in the grammar"),
    "option": ("--speed 3", "x", "unrecognized arguments"),
    "step": ("--step two x=1", "x", "invalid int value"),
    "no such step": ("--step 9 x=1", "y = 2*x", "has steps 0 to 1"),
    "phase": ("--phase sideways x=1", "x", "invalid choice"),
    "quotes": ('x="1', "x", "No closing quotation"),
    "twice": ("x=1 x=2", "x", "x is given twice"),
    "both": ("--play --step 1 x=1", "x", "drop --phase and --step"),
    "no gradient": ("--phase backward x=[1,2]", "2*x", "reduce it to a scalar"),
    "a value": ("x=[1,", "x", "x=[1,"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_said_in_one_message(shell, name, capsys):
    line, cell, message = REFUSED[name]
    shell.user_ns |= {"node": gg.var("x", 1.0), "word": "seven"}
    done = shell.run_cell(f"%%graphgrad {line}\n{cell}\n")
    told = "".join(capsys.readouterr())
    assert not done.success
    assert message in told
    assert told.startswith("UsageError: ")
    assert "Traceback" not in told
    assert shell.shown == []


# -- whole notebooks ---------------------------------------------------------------------------


@pytest.fixture(name="executed", scope="module")
def the_example_executed():
    """The example, run from its first cell to its last in a kernel of this Python."""
    for name in ("nbclient", "nbformat", "ipykernel", "anywidget"):
        pytest.importorskip(name, reason=f"{name} is not installed")
    code = (
        "import sys, nbformat, nbclient\n"
        "book = nbformat.read(sys.argv[1], 4)\n"
        "nbclient.NotebookClient(book, kernel_name='python3', timeout=300).execute()\n"
        "sys.stdout.write(nbformat.writes(book))\n"
    )
    done = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", code, EXAMPLE], capture_output=True, encoding="utf-8"
    )
    if "NoSuchKernel" in done.stderr:
        pytest.skip("Jupyter knows no kernel python3")
    assert done.returncode == 0, done.stderr
    import nbformat

    return nbformat.reads(done.stdout, 4)


def test_the_example_is_stored_without_outputs():
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
    book = nbformat.read(EXAMPLE, 4)
    nbformat.validate(book)
    cells = [c for c in book.cells if c.cell_type == "code"]
    assert all(not c.outputs and c.execution_count is None for c in cells)


def kinds(book, start):
    """Return the mime types of what the cell that begins so shows last."""
    (cell,) = [c for c in book.cells if c.source.startswith(start)]
    return set(cell.outputs[-1].data)


def test_every_output_of_the_example_is_of_its_kind(executed):
    assert kinds(executed, "%%graphgrad x=2") == {TEXT, SVG}
    assert kinds(executed, "tape =") == {TEXT, SVG}
    assert kinds(executed, "step =") == {TEXT, SVG}
    assert kinds(executed, "x, w, b =") == {TEXT, HTML}
    assert kinds(executed, "gg.certificate") == {TEXT, HTML}
    assert kinds(executed, "gg.play") == {TEXT, HTML}
    assert kinds(executed, "moves =") == {TEXT, HTML, WIDGET}
    last = executed.cells[-1].outputs[-1].data[TEXT]
    assert last.startswith("(7, 'backward, step 2 of 6:")


def test_an_exported_notebook_has_the_player_and_the_pictures(executed):
    nbconvert = pytest.importorskip("nbconvert", reason="nbconvert is not installed")
    book = executed.copy()
    book.metadata = {k: v for k, v in book.metadata.items() if k != "widgets"}
    page, _ = nbconvert.HTMLExporter().from_notebook_node(book)
    assert page.count("<iframe") == 1
    assert 'sandbox="allow-scripts"' in page
    assert page.count('src="data:image/svg+xml') == 4
    assert "<figcaption>forward, start: the leaves have their values" in page  # the stepper
