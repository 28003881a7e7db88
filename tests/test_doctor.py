"""`graphgrad doctor`: what is found, what is told of what is not, and the exit status."""

from __future__ import annotations

import importlib.abc
import json
import sys

import numba
import pytest
from llvmlite import binding

from graphgrad.cli import checkup, main
from graphgrad.compiler import blas


def parts(capsys, status=0):
    """Return what ``graphgrad doctor --json`` says of each part."""
    assert main(["doctor", "--json"]) == status
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is (status == 0)
    return {p["part"]: p for p in report["parts"]}


def test_every_part_is_told_and_what_is_missing_costs_something(capsys):
    found = parts(capsys)
    assert {
        "Python",
        "NumPy",
        "Numba",
        "threads",
        "BLAS",
        "Graphviz",
        "fonts",
        "GPU",
        "cuBLAS",
    } <= set(found)
    for p in found.values():
        assert p["state"] in ("ok", "limited", "missing")
        assert p["found"]
        assert bool(p["cost"]) == (p["state"] != "ok"), p


def test_the_table_names_what_is_missing_and_the_remedy(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "anywidget", None)
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert "without it there is no" in said
    assert "stepping in notebooks" in said
    assert "graphgrad[notebook]" in said


@pytest.mark.parametrize(
    ("module", "part", "status", "text"),
    [
        ("sympy", "SymPy", 1, "import of sympy halted"),
        ("numba", "Numba", 1, "import of numba halted"),
        ("scipy", "BLAS", 0, "scipy"),
        ("numba.cuda", "CUDA kernels", 0, "numba.cuda halted"),
        ("nvmath", "cuBLAS", 0, "nvmath"),
    ],
)
def test_a_broken_library_is_told_and_crashes_nothing(
    module, part, status, text, capsys, monkeypatch
):
    monkeypatch.setitem(sys.modules, module, None)
    found = parts(capsys, status)[part]
    assert found["state"] == "missing"
    assert text in found["found"]
    assert found["cost"]


def test_a_library_that_raises_anything_is_told(monkeypatch):
    monkeypatch.setattr(checkup, "_gpu", lambda: 1 / 0)
    found = {f.part: f for f in checkup.checkup()}["GPU"]
    assert (found.state, found.found) == ("missing", "ZeroDivisionError: division by zero")
    assert found.cost == "target='cuda'"


def test_a_cuda_part_that_raises_anything_is_told_with_the_remedy(capsys, monkeypatch):
    class Broken(importlib.abc.MetaPathFinder):
        def find_spec(self, name, path, target=None):
            if name == "numba.cuda":
                raise RuntimeError("libnvvm.so: undefined symbol:\n nvvmVersion")

    for name in [m for m in sys.modules if m.split(".")[:2] == ["numba", "cuda"]]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(numba, "cuda", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    found = parts(capsys)
    kernels = found["CUDA kernels"]
    assert kernels["state"] == found["GPU"]["state"] == "missing"
    assert kernels["found"] == "libnvvm.so: undefined symbol: nvvmVersion"
    assert kernels["cost"] == "target='cuda'"
    assert kernels["remedy"] == "pip install 'graphgrad[cuda]'"


def test_a_cache_that_cannot_be_written_is_told(capsys, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GRAPHGRAD_CACHE", str(tmp_path / "file" / "cache"))
    cache = parts(capsys)["compile cache"]
    assert cache["state"] == "missing"
    assert "cannot be written" in cache["found"]
    assert "GRAPHGRAD_CACHE" in cache["remedy"]
    assert "compiles anew" in cache["cost"]


@pytest.mark.parametrize(
    ("kernels", "chosen", "state", "remedy"),
    [
        ("Haswell", "Haswell", "limited", "unset OPENBLAS_CORETYPE"),
        ("Zen", None, "limited", "set OPENBLAS_CORETYPE=SkylakeX"),
        ("SkylakeX", None, "ok", ""),
        ("SkylakeX", "SkylakeX", "ok", ""),
        ("", None, "ok", ""),
    ],
)
def test_a_blas_older_than_the_processor_is_told(
    kernels, chosen, state, remedy, capsys, monkeypatch
):
    monkeypatch.setattr(blas, "switches", lambda: (int, int))
    monkeypatch.setattr(blas, "core", lambda: kernels)
    monkeypatch.setattr(binding, "get_host_cpu_features", lambda: dict.fromkeys(blas.NEEDED, True))
    monkeypatch.delenv("OPENBLAS_CORETYPE", raising=False)
    if chosen:
        monkeypatch.setenv("OPENBLAS_CORETYPE", chosen)
    found = parts(capsys)["BLAS"]
    assert (found["state"], found["remedy"]) == (state, remedy)
    assert (f"kernels for {kernels}" in found["found"]) == bool(kernels)
    monkeypatch.setattr(binding, "get_host_cpu_features", lambda: {"avx2": True})
    assert parts(capsys)["BLAS"]["state"] == "ok"


def test_the_blas_in_use_says_what_it_is():
    if blas.switches() is None:
        pytest.skip("SciPy's BLAS is no OpenBLAS here")
    assert blas.core().isidentifier()
