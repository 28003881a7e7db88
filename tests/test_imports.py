"""The order of the house: who imports whom, what a bare import loads, what is not there."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
import types
from pathlib import Path

import pytest

import graphgrad as gg

ROOT = Path(gg.__file__).parent
ORDER = [
    "display", "errors", "locks", "lengths", "shapes", "dtypes", "context", "primitive",
    "operators", "graph", "ops", "functions", "parsing", "parser", "gradient", "recorder",
    "scalars", "samples", "networks", "explain", "drawing", "proof", "stepping", "compiler", "nn",
    "plots", "lessons", "cli", "__init__", "__main__",
]  # fmt: skip
"""A module imports only from those before it, or from its own package."""
WITHIN = {
    "ops": [
        "define", "shape", "arithmetic", "choices", "elementwise", "activation", "reduce", "linear",
        "index", "conv", "random",
    ],
}  # fmt: skip
"""The same inside a package; its `__init__` may import all of them."""
FROM_THE_FACE = {"lessons", "cli", "__main__"}
"""Who uses `graphgrad` as its users do."""
FILES = sorted(ROOT.rglob("*.py"))
HEAVY = {"scipy", "sympy", "networkx", "graphviz", "pygraphviz", "matplotlib", "numba", "nvmath",
         "rich", "prompt_toolkit", "IPython", "mpmath", "latex2mathml", "PIL",
         "anywidget"}  # fmt: skip

each_file = pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))


def module_of(path: Path) -> list[str]:
    """Return a file's dotted name below the package, as parts; packages by their own name."""
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    return parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts


def imported(path: Path) -> list[tuple[int, list[str]]]:
    """Return line and target of every import from the package, wherever in the file it stands."""
    found = []
    package = ["graphgrad", *path.relative_to(ROOT).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, a.name.split(".")) for a in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = base + (node.module.split(".") if node.module else [])
            found += [(node.lineno, submodule(base, a.name)) for a in node.names]
    return [(line, parts[1:] or ["__init__"]) for line, parts in found if parts[0] == "graphgrad"]


def submodule(base: list[str], name: str) -> list[str]:
    """Return ``base.name`` if that is a module of the package, else `base`."""
    folder = ROOT.joinpath(*base[1:], name)
    exists = folder.is_dir() or folder.with_suffix(".py").exists()
    return [*base, name] if base[:1] == ["graphgrad"] and exists else base


@each_file
def test_every_module_has_a_place_in_the_order(path: Path) -> None:
    top = module_of(path)[0]
    assert top in ORDER, f"graphgrad.{top} is new: place it in ORDER of tests/test_imports.py"


@each_file
def test_imports_point_backwards_only(path: Path) -> None:
    here = module_of(path)
    for line, target in imported(path):
        place = f"{path.relative_to(ROOT)}, line {line}: imports graphgrad.{'.'.join(target)}"
        if target == ["__init__"]:
            assert here[0] in FROM_THE_FACE, f"{place}: the face is for users; import the module"
        elif here[0] != target[0]:
            assert ORDER.index(target[0]) < ORDER.index(here[0]), f"{place}, which comes later"
        elif here[0] in WITHIN and len(here) > 1 and len(target) > 1:
            inside = WITHIN[here[0]]
            assert inside.index(target[1]) < inside.index(here[1]), f"{place}, which comes later"


def test_the_order_inside_a_package_is_complete() -> None:
    for package, inside in WITHIN.items():
        assert {p.stem for p in (ROOT / package).glob("*.py")} == {*inside, "__init__"}


def test_the_check_of_imports_sees_what_it_should() -> None:
    seen = imported(ROOT / "__init__.py")
    assert ["drawing", "figure"] in [target for _, target in seen]  # under TYPE_CHECKING
    assert ["errors"] in [target for _, target in seen]
    assert ["dtypes"] in [target for _, target in imported(ROOT / "graph.py")]
    assert module_of(ROOT / "ops" / "__init__.py") == ["ops"]
    assert module_of(ROOT / "__init__.py") == ["__init__"]


def test_a_bare_import_loads_numpy_only() -> None:
    code = "import sys, graphgrad; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert {"numpy", "graphgrad"} <= loaded
    assert not loaded & HEAVY


def test_no_module_bears_the_name_of_a_public_function() -> None:
    modules = {p.stem for p in FILES if p.parent == ROOT} | {p.name for p in ROOT.iterdir()}
    functions = {n for n in gg.__all__ if not isinstance(getattr(gg, n), types.ModuleType)}
    planned = {"compile", "draw", "parse", "play", "step", "tape", "verify"}
    assert not (functions | planned) & modules


@pytest.mark.parametrize("name", sorted(set(gg.__all__)))
def test_every_public_name_is_there_and_documented(name: str) -> None:
    thing = getattr(gg, name)
    assert name in dir(gg)
    if callable(thing):
        doc = inspect.getdoc(thing)
        assert doc
        assert doc.split("\n")[0].endswith((".", ":", "…")), f"first line of {name}: a sentence"


def test_a_name_that_is_not_public_is_said_to_be_missing() -> None:
    with pytest.raises(AttributeError, match="module 'graphgrad' has no attribute 'tensor'"):
        _ = gg.tensor


@each_file
def test_no_text_is_run_as_code_and_no_pickle_is_read(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"eval", "exec", "__import__"}, f"line {node.lineno}"
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            assert isinstance(node.value, ast.Constant), f"line {node.value.lineno}"
            assert node.value.value is False, f"line {node.value.lineno}"
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        assert not {n.split(".")[0] for n in names} & {"pickle", "marshal", "shelve", "dill"}


@each_file
def test_every_module_says_what_it_holds(path: Path) -> None:
    doc = ast.get_docstring(ast.parse(path.read_text("utf-8")))
    assert doc
    assert doc.split("\n")[0].endswith((".", ":")), "the first line is a sentence"
