"""Kernels shown: their records and times, the picture of a compiled graph, its table, the cache."""

from __future__ import annotations

import os
import re
import xml.etree.ElementTree as ET
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import networkx
import numpy as np
import pytest

import graphgrad as gg
from graphgrad import cli, nn
from graphgrad.compiler import cache, cpu, inspection, regions
from graphgrad.compiler.chart import chart
from graphgrad.compiler.fuse import fuse
from graphgrad.compiler.kernels import WIDTH
from graphgrad.compiler.memory import plan
from graphgrad.compiler.program import program
from graphgrad.compiler.source import write
from graphgrad.drawing.layout import run_graphviz
from graphgrad.errors import CompileError, GraphError
from graphgrad.explain.tables import columns

from . import goldens
from .test_compiler_ops import GROUPS, graphs

pytest.importorskip("numba")
pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def shared(monkeypatch):
    """Let even small work be shared among three threads."""
    monkeypatch.setattr(regions, "SHARED_WORK", 1)
    monkeypatch.setattr(cpu, "count", lambda: 3)


def regression(target="numba"):
    """Return loss and executor of a logistic regression's training step, and its data."""
    x, y = gg.var("x", shape=(8, 3)), gg.var("y", shape=(8,))
    w, b = gg.var("w", np.ones(3)), gg.var("b", 0.0)
    h = gg.sigmoid(x @ w + b).named("h")
    loss = gg.mean(gg.square(h - y)).named("loss")
    dw, db = gg.grad(loss, [w, b])
    updates = {w: w - 0.1 * dw, b: b - 0.1 * db}
    f = gg.compile([loss], [x, y], updates, target)
    return loss, f, (np.ones((8, 3)), np.zeros(8))


def network(batch=12, sizes=(5, 8, 7, 4)):
    """Return the training step of a network with Adam, as an executor."""
    rng = np.random.default_rng(0)
    x, y = gg.var("x", shape=(batch, sizes[0])), gg.var("y", shape=(batch, sizes[-1]))
    h, parameters = x, []
    for k in range(len(sizes) - 1):
        W, b = (gg.var(f"{s}{k}", rng.normal(size=n)) for s, n in
                (("W", sizes[k : k + 2]), ("b", sizes[k + 1])))  # fmt: skip
        parameters += [W, b]
        h = gg.tanh(h @ W + b)
    loss = gg.mean(gg.square(h - y)).named("loss")
    updates = nn.Adam(1e-3).updates(parameters, gg.grad(loss, parameters))
    return gg.compile([loss], [x, y], updates)


def ids(picture):
    """Return the operation's name by id, as the tooltips of a picture tell it."""
    found = re.findall(r'^\s*(op\d+) \[.*tooltip="(\w+): ', picture.source, re.MULTILINE)
    return dict(found)


# -- records -------------------------------------------------------------------------------------


def test_a_record_says_what_a_kernel_computes_reads_and_writes():
    x, w = gg.var("x", shape=(100, 3), dtype="float32"), gg.var("w", np.ones(3, "float32"))
    y = gg.exp(x * w).named("y")
    (k,) = gg.compile([y], [x]).kernels
    assert (k.number, k.kind, k.domain, k.threads) == (1, "loop", (100, 3), 1)
    assert [n.op for n in k.nodes] == ["mul", "exp"]
    assert k.bytes_read == 4 * (300 + 3)
    assert k.bytes_written == 4 * 300
    assert k.flops == 600
    assert k.seconds is None
    assert k.what == "loop 100×3"
    assert k.computes == "y, mul"


def test_a_view_reads_only_the_entries_it_reaches():
    x = gg.var("x", shape=(10, 10))
    (k,) = gg.compile([gg.exp(x[:, 0])], [x]).kernels
    assert k.bytes_read == k.bytes_written == 80


def test_a_gather_reads_the_rows_it_takes_not_the_table():
    table, rows = gg.var("table", shape=(1000, 4)), gg.var("rows", shape=(3,), dtype="int64")
    (k,) = gg.compile([gg.take(table, rows, axis=0)], [table, rows]).kernels
    assert k.kind == "gather"
    assert k.bytes_read == 8 * (3 * 4 + 3)


def test_a_node_that_became_several_is_named_by_each_of_their_kernels():
    loss, f, _ = regression()
    mine = [k for k in f.kernels if loss in k.nodes]
    assert [k.domain for k in mine] == [(8,), ()]  # the sum, and the division by 8


def test_records_know_the_variables_they_update():
    _, f, _ = regression()
    assert sorted(v.name for k in f.kernels for v in k.updates) == ["b", "w"]


def test_the_source_of_all_kernels_is_in_the_source():
    _, f, _ = regression()
    source = re.sub(r"^ +", "", f.source, flags=re.MULTILINE)
    for k in f.kernels:
        assert k.source.startswith(f"# kernel {k.number}: {k.kind} over {list(k.domain)}")
        assert re.sub(r"^ +", "", k.source, flags=re.MULTILINE) in source
    assert f.source.count("# kernel ") == len(f.kernels)


def test_records_are_in_the_order_of_running_with_groups_and_threads(shared):
    f = network()
    positions = [f.source.index(f"# kernel {k.number}: ") for k in f.kernels if k.threads == 3]
    assert positions == sorted(positions)
    assert {k.threads for k in f.kernels} == {1, 3}
    assert [k.group for k in f.kernels] == sorted(k.group for k in f.kernels)


@pytest.mark.parametrize("group", GROUPS, ids=lambda g: f"{g[0].name}-{g[-1].name}")
def test_every_operation_is_in_a_kernel_or_told_why_not(group):
    f = Written([y for _, y in graphs(group, "float64")])
    told = {n for k in f.kernels for n in k.nodes}
    c = chart(f, collapse=False, open=())
    for n in f._nodes:
        if n.size and not n.is_leaf:
            assert (n in told) != (n in c.state), n
    assert {k.number for k in f.kernels} == {d.kernel for d in c.dots} - {0}
    _check_flow(c)


class Written(inspection.Inspected):
    """A graph with its kernels' text, not compiled any further."""

    def __init__(self, outputs):
        self._outputs, self._updates = outputs, {}
        self._program = program(outputs, [], {})
        r = self._runtime = SimpleNamespace(fused=fuse(self._program))
        r.schedule = regions.schedule(self._program, r.fused, 1)
        stages = self._program, r.fused, r.schedule
        r.written = write(*stages, plan(*stages))
        r.names = r.written.names
        r.runs = partial(cpu.CpuRuntime.runs, r)


def _check_flow(c):
    """Assert that arrows lead from what is drawn to what is drawn, and never in a circle."""
    drawn = {item.key for item in (*c.boxes, *c.dots)} | {f"kernel{k}" for k in c.collapsed}
    graph = networkx.DiGraph(c.arrows.values())
    assert set(graph) <= drawn
    assert networkx.is_directed_acyclic_graph(graph)
    assert set(graph) >= {item.key for item in c.boxes if not c.outputs & {item.node}}


# -- times ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["numba", "numpy"])
def test_profile_times_every_kernel_and_changes_nothing(target):
    _, f, data = regression(target)
    before = [v.value for v in f._updates]
    found = f.profile(*data)
    assert len(found) == len(f.kernels)
    assert all(k.seconds >= 0 for k in found)
    assert found.seconds == sum(k.seconds for k in found) > 0
    assert f.kernels == found
    for v, old in zip(f._updates, before, strict=True):
        assert np.array_equal(v.value, old)


def test_profile_refuses_what_a_call_refuses():
    _, f, data = regression()
    with pytest.raises(CompileError, match="1 arrays given; expected 2"):
        f.profile(data[0])


# -- the table -----------------------------------------------------------------------------------


@pytest.mark.parametrize("timed", [False, True])
def test_the_table_fits_into_80_columns(timed):
    f = network()
    if timed:
        f.profile(np.ones((12, 5)), np.zeros((12, 4)))
    lines = str(f.kernels).split("\n")
    assert max(map(columns, lines)) <= WIDTH
    assert len(lines) == 2 + len(f.kernels)
    assert ("GB/s" in lines[1]) is timed
    assert any("…" in line for line in lines)  # what has no room is cut


def test_the_table_tells_of_a_kernel():
    x = gg.var("x", shape=(100,))
    f = gg.compile([gg.sum(gg.exp(x)).named("total")], [x])
    assert str(f.kernels).split("\n") == [
        "1 kernel on 1 thread, 808 B read and written",
        "     kernel    computes    threads  moved  flop",
        "  1  loop 100  total, exp        1  808 B   200",
    ]
    assert "<td>total, exp</td>" in f.kernels._repr_mimebundle_()["text/html"]


# -- the picture ---------------------------------------------------------------------------------

CASES = {
    "kernels": {},
    "kernels-collapsed": {"collapse": True, "open": "kernel 2", "theme": "dark", "rankdir": "TB"},
}


@pytest.mark.parametrize("name", CASES)
def test_golden_dot(name):
    source = gg.draw(regression()[1], **CASES[name]).source
    goldens.compare(f"{name}.dot", source)


@pytest.mark.parametrize("target", ["numba", "numpy"])
def test_nodes_keep_the_ids_of_the_picture_of_the_graph(target):
    loss, f, (x, y) = regression(target)
    for v, value in zip(f.inputs, (x, y), strict=True):
        v.value = value
    plain = ids(gg.draw(loss))
    assert plain.items() <= ids(gg.draw(f)).items()
    assert len(plain) == 6


def test_nodes_stand_in_the_kernels_that_compute_them():
    loss, f, _ = regression()
    c = chart(f, None, ())
    at = {n: k for k, n in enumerate(f._nodes)}
    where = {item.key: item.kernel for item in c.dots}
    for k in f.kernels:
        for n in k.nodes:
            assert k.number in (where[f"op{at[n]}"], where.get(f"op{at[n]}k{k.number}"))
    h = next(n for n in f._nodes if n.name == "h")
    box = {item.node: item for item in c.boxes}
    assert box[h].kernel  # a register of its loop
    assert box[loss].kernel == 0  # in memory


def test_folded_nodes_and_views_are_outside_of_kernels():
    x = gg.var("x", shape=(3, 4))
    view, folded = x.T, gg.const(2.0) * 3
    f = gg.compile([gg.exp(view) * folded + 0], [x])
    c = chart(f, None, ())
    states = {n.op: state for n, state in c.state.items()}
    assert states == {"transpose": "view", "mul": "folded", "add": "folded"}
    source = gg.draw(f).source
    assert "a view: nothing is copied" in source
    assert "folded away: nothing to compute" in source
    assert "dashed: in no kernel" in source


def test_a_node_done_in_two_kernels_reads_in_each_what_that_one_needs():
    x, w = gg.var("x", shape=(4, 1, 8, 8)), gg.var("w", np.ones((2, 1, 3, 3)))
    y = gg.conv2d(x, w)
    f = Written([gg.exp(y)])
    c = chart(f, None, ())
    at = {n: k for k, n in enumerate(f._nodes)}
    first, main = (item.key for item in c.dots if item.node is y)  # windows, then products
    assert main == f"op{at[y]}"
    ends = set(c.arrows.values())
    assert {(f"n{at[x]}", first), (f"n{at[w]}", main), (first, main)} <= ends
    assert not {(f"n{at[x]}", main), (f"n{at[w]}", first)} & ends
    assert c.arrows[f"e{at[y]}_0"] == (f"n{at[x]}", first)
    assert y in {box.node for box in c.boxes}  # its numbers are seen in another shape
    _check_flow(c)


def test_both_arrows_of_a_square_are_drawn():
    x = gg.var("x", shape=(3,))
    y = gg.exp(x)
    c = chart(Written([y * y]), None, ())
    assert [key for key in c.arrows if key.startswith("e")] == ["e1_0", "e2_0", "e2_1"]


def test_what_is_computed_once_is_drawn_once():
    x = gg.var("x", shape=(3,))
    f = gg.compile([gg.exp(x) + gg.exp(x)], [x])
    assert sorted(ids(gg.draw(f)).values()) == ["add", "exp"]


def test_a_large_step_is_drawn_kernel_by_kernel():
    f = network()
    c = chart(f, None, ())
    assert c.collapsed == {k.number for k in f.kernels}
    assert not c.dots
    assert {box.node.name for box in c.boxes if box.node.is_leaf} >= {"x", "y", "W0", "b2"}
    assert "m" not in {box.node.name for box in c.boxes}  # only its own kernel has to do with it
    _check_flow(c)
    assert len(c.boxes) < 60


def test_kernels_can_be_opened_and_collapsed_by_name():
    f = network()
    some = f.kernels[3].number
    c = chart(f, None, f"kernel {some}")
    assert {d.kernel for d in c.dots} == {some}
    _check_flow(c)
    c = chart(f, [f"kernel {some}"], ())
    assert c.collapsed == {some}
    _check_flow(c)
    with pytest.raises(GraphError, match="no kernel 'kernel 99' in this compiled graph; it has 'k"):
        gg.draw(f, open="kernel 99")


def test_an_open_kernel_shows_what_is_folded_for_it():
    _, f, _ = regression()
    c = chart(f, True, "kernel 2")
    folded = [item.node.op for item in c.dots if not item.kernel]
    assert folded == ["reshape", "broadcast_to", "div"]  # the gradient of the mean
    _check_flow(c)


def test_groups_that_threads_share_are_clusters_around_kernels(shared):
    f = network()
    source = gg.draw(f, collapse=False).source
    group = next(k.group for k in f.kernels if k.threads == 3)
    assert f"subgraph cluster_group{group} {{" in source
    assert f'label="group {group} · 3 threads"' in source
    assert "3 threads · " in source
    _check_flow(chart(f, False, ()))


def test_times_are_in_the_picture_once_they_are_known():
    _, f, data = regression()
    assert not re.search(r"[\d.]+ [nµm]s", gg.draw(f).source)
    labels = re.findall(r'label="kernel [^"]*"', gg.draw(f, profile=data).source)
    assert len(labels) == len(f.kernels)
    assert all(re.search(r" · [\d.e+-]+ ([nµm]?s)", text) for text in labels)
    assert gg.draw(f).source == gg.draw(f).source


def test_kernels_tell_their_source_in_svg():
    _, f, _ = regression()
    svg = gg.draw(f).pipe("svg", encoding="utf-8")
    titles = [a.get("{http://www.w3.org/1999/xlink}title", "") for a in ET.fromstring(svg).iter()]
    told = [t.replace("\u00a0", " ") for t in titles if t.startswith("#\u00a0kernel")]
    # once over the kernel, once over its title
    sources = [k.source for k in sorted(f.kernels, key=lambda k: k.number)]
    assert sorted(told) == sorted(2 * sources)


def test_names_are_text_whatever_they_are():
    x = gg.var('<b>"\\N\n', shape=(3,))
    y = gg.exp(x).named("</td>&\x1b[31m")
    for collapse in (False, True):
        source = gg.draw(gg.compile([y * 2, y], [x]), collapse=collapse).source
        ET.fromstring(run_graphviz(source, "svg"))
        assert "\x1b" not in source
        assert "&lt;/td&gt;" in source


def test_ends_that_are_leaves_or_empty_are_drawn():
    x, w = gg.var("x", shape=(3,)), gg.var("w", np.zeros(3))
    empty = gg.exp(gg.var("none", shape=(0,)))
    f = gg.compile([x, x.reshape((3, 1)), empty], [x, empty.inputs[0]], {w: x})
    assert f.kernels == ()
    assert str(f.kernels).startswith("0 kernels on 1 thread")
    for collapse in (False, True):
        ET.fromstring(gg.draw(f, collapse=collapse).pipe("svg"))


@pytest.mark.parametrize("option", [{"phase": "backward"}, {"step": 1}, {"inputs": [1]}])
def test_a_compiled_graph_has_no_passes(option):
    with pytest.raises(GraphError, match="has kernels, no passes and steps: leave out phase"):
        gg.draw(regression()[1], **option)


def test_only_compiled_graphs_are_profiled():
    with pytest.raises(GraphError, match="profile=… is for compiled graphs"):
        gg.draw(gg.var("x", 1.0) * 2, profile=[])


def test_looks_are_checked():
    with pytest.raises(GraphError, match="theme 'pink': expected"):
        gg.draw(regression()[1], theme="pink")
    with pytest.raises(GraphError, match="rankdir 'UP': expected"):
        gg.draw(regression()[1], rankdir="UP")


def test_a_notebook_shows_the_picture_and_of_many_kernels_the_table(monkeypatch):
    _, f, _ = regression()
    shown = f._repr_mimebundle_()
    assert "kernel 1 · loop" in shown["image/svg+xml"]
    assert shown["text/plain"].startswith("<Executor(x, y)")
    monkeypatch.setattr(inspection, "MOST_SHOWN", 2)
    assert "5 kernels" in f._repr_mimebundle_()["text/plain"]


# -- the cache on disk ---------------------------------------------------------------------------


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("GRAPHGRAD_CACHE", str(tmp_path / "kept"))
    return tmp_path / "kept"


def filled(folder, modules=2):
    """Put modules, machine code, a draft and somebody else's file into a folder."""
    inner = folder / "__pycache__"
    inner.mkdir(parents=True)
    for k in range(modules):
        (folder / f"gg_{k:032x}.py").write_text("x" * 1000)
        (inner / f"gg_{k:032x}.epoch-9.py311.nbi").write_text("x" * 500)
    (folder / "tmpabcd_012.tmp").write_text("x")
    (folder / "mine.py").write_text("mine")


def test_cache_tells_when_there_is_nothing(place, capsys):
    assert cli.main(["cache"]) == 0
    assert capsys.readouterr().out == f"nothing is cached in {place}\n"
    assert not place.exists()


def test_cache_lists_versions(place, capsys):
    filled(cache.folder())
    filled(place / "py39-numba0.50.0-numpy1.20.0-llvmlite0.40.0", 1)
    assert cli.main(["cache"]) == 0
    first, head, mine, old = capsys.readouterr().out.rstrip().split("\n")
    assert first == str(place)
    assert head.split() == ["versions", "modules", "size"]
    assert mine.split()[1:] == ["2", "3", "kB", "in", "use"]
    assert old.split()[1:] == ["1", "1.5", "kB", "other", "versions"]


def test_clear_removes_only_what_graphgrad_made(place, capsys):
    here = cache.folder()
    filled(here)
    (place / "py39-numba1-numpy1-llvmlite1").mkdir()
    (place / "other").mkdir()
    (place / "other" / f"gg_{0:032x}.py").write_text("not in a folder of versions")
    assert cli.main(["cache", "--clear"]) == 0
    assert capsys.readouterr().out.endswith("removed 5 files, 3 kB\n")
    left = sorted(p.name for p in place.rglob("*") if p.is_file())
    assert left == [f"gg_{0:032x}.py", "mine.py"]
    assert sorted(p.name for p in place.iterdir()) == sorted([here.name, "other"])


def test_what_was_cleared_is_compiled_anew(place, capsys):
    x = gg.var("x", shape=(7,))
    assert gg.compile([gg.exp(x) * 17], [x])(np.zeros(7))[0][0] == 17.0
    assert cli.main(["cache", "--clear"]) == 0
    assert not cache.folder().exists()
    assert gg.compile([gg.exp(x) * 19], [x])(np.zeros(7))[0][0] == 19.0


def test_cache_says_what_cannot_be_read(place, capsys):
    place.write_text("a file, no folder")
    assert cli.main(["cache"]) == 1
    assert capsys.readouterr().err == (
        f"graphgrad: the cache {place} cannot be read: Not a directory\n"
    )


def test_clear_says_what_cannot_be_removed(place, capsys, monkeypatch):
    filled(cache.folder(), 4)

    def refuse(path, missing_ok=False):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "unlink", refuse)
    assert cli.main(["cache", "--clear"]) == 1
    lines = capsys.readouterr().err.split("\n")
    assert lines[0] == "graphgrad: not all could be removed:"
    assert re.fullmatch(r"  .*: Permission denied", lines[1])
    assert lines[-2] == "  … and 4 more"


def test_cache_says_which_folder_it_may_not_look_into(place, capsys, monkeypatch):
    filled(cache.folder())
    real = os.scandir

    def refuse(path):
        if Path(path).name == "__pycache__":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert cli.main(["cache"]) == 0
    assert "cannot be read" in capsys.readouterr().out
    assert cli.main(["cache", "--clear"]) == 1
    assert "__pycache__: Permission denied" in capsys.readouterr().err
