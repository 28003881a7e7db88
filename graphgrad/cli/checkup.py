"""What graphgrad finds on this machine: one small function for each part, none of which raises.

A part is found, found with something to say, or missing; of what is not as it should be, `cost`
says what a user loses, and `remedy` what to do.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import metadata
from typing import Any

__all__ = ["Finding", "checkup"]

BROWSERS = (
    "chromium", "chromium-browser", "google-chrome", "firefox", "microsoft-edge", "msedge",
    "brave-browser", "xdg-open", "open",
)  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """What was found of one part.

    Attributes:
        part: its name.
        state: "ok", "limited" or "missing".
        found: its version and what else is worth knowing; why, if it is missing.
        cost: what a user loses; empty when all is well.
        remedy: what to do about it.
        core: whether graphgrad is broken without it.
    """

    part: str
    state: str
    found: str
    cost: str = ""
    remedy: str = ""
    core: bool = False


def checkup() -> list[Finding]:
    """Return what was found of each part."""
    parts: list[tuple[str, Callable[[], Finding], str]] = [
        ("Python", _python, ""),
        ("NumPy", lambda: _library("NumPy", "numpy"), "everything"),
        ("SymPy", lambda: _library("SymPy", "sympy"), "proofs (gg.verify) and derivations"),
        ("Numba", lambda: _library("Numba", "numba"), "compiled kernels: training is slow"),
        ("threads", _threads, "kernels on several processors"),
        ("BLAS", _blas, "fast products of large matrices"),
        ("compile cache", _cache, "compiled code of earlier processes: each compiles anew"),
        ("Graphviz", _graphviz, "pictures (gg.draw)"),
        ("fonts", _fonts, "text in PNG and PDF: it is drawn as boxes; SVG is right"),
        ("browser", _browser, "opening the player (gg.play) by itself"),
        ("terminal", lambda: _library("terminal", "prompt_toolkit"), "the stepper's prompt"),
        ("notebook", lambda: _extra("notebook", "anywidget"), "stepping in notebooks"),
        ("plots", lambda: _extra("plot", "matplotlib", "plots"), "gg.plots"),
        ("CUDA kernels", _cuda_compiler, "target='cuda'"),
        ("GPU", _gpu, "target='cuda'"),
        ("cuBLAS", _cublas, "as much speed of large products on a GPU; math='tf32' and 'bf16'"),
    ]
    return [_safe(name, look, cost) for name, look, cost in parts]


CORE = {"Python", "NumPy", "SymPy", "Numba"}


def _safe(name: str, look: Callable[[], Finding], cost: str) -> Finding:
    try:
        found = look()
    except Exception as problem:  # a broken library raises whatever it likes
        from graphgrad.compiler.cuda.device import readable

        text = f"{type(problem).__name__}: {readable(problem)}"
        found = Finding(name, "missing", text, remedy=_install(problem))
    found = replace(found, part=name, core=name in CORE)
    return found if found.state == "ok" or found.cost else replace(found, cost=cost)


def _install(problem: Exception) -> str:
    name = getattr(problem, "name", None) if isinstance(problem, ImportError) else None
    return f"pip install {name.partition('.')[0]}" if name else ""


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return str(getattr(importlib.import_module(name), "__version__", "of unknown version"))


def _library(part: str, module: str) -> Finding:
    importlib.import_module(module)
    return Finding(part, "ok", _version(module))


def _extra(extra: str, module: str, part: str = "") -> Finding:
    try:
        return _library(part or extra, module)
    except ImportError:
        remedy = f"pip install 'graphgrad[{extra}]'"
        return Finding(part or extra, "missing", f"{module} is not installed", remedy=remedy)


def _python() -> Finding:
    found = f"{platform.python_version()}, {platform.system()} {platform.machine()}"
    return Finding("Python", "ok", found)


def _threads() -> Finding:
    from graphgrad.compiler import threads

    count, processors = threads.count(), os.cpu_count() or 1
    own = "a pool of graphgrad's own" if "serve" in threads.SOURCE else "Numba's threads"
    found = f"{count} of {processors} processors, {own}"
    if count == 1 and processors > 1:
        remedy = "unset OMP_NUM_THREADS and NUMBA_NUM_THREADS"
        return Finding("threads", "limited", found, remedy=remedy)
    return Finding("threads", "ok", found)


def _blas() -> Finding:
    import scipy

    from graphgrad.compiler.blas import address, core, is_older, switches

    address("sgemm")
    config: Any = scipy.__config__
    known = config.CONFIG.get("Build Dependencies", {}).get("blas", {})
    found = f"{known.get('name', 'BLAS')} {known.get('version', '')}".strip()
    found = f"{found} of SciPy {scipy.__version__}"
    if switches() is None:
        cost = "some speed: its own threads get in the way of graphgrad's"
        return Finding("BLAS", "limited", found, cost, "set OPENBLAS_NUM_THREADS=1 or the like")
    kernels = core()
    found = f"{found}, kernels for {kernels}" if kernels else found
    if is_older(kernels):
        chosen = os.environ.get("OPENBLAS_CORETYPE")
        cost = "up to half the speed of large products: this processor has AVX-512"
        remedy = "unset OPENBLAS_CORETYPE" if chosen else "set OPENBLAS_CORETYPE=SkylakeX"
        return Finding("BLAS", "limited", found, cost, remedy)
    return Finding("BLAS", "ok", found)


def _cache() -> Finding:
    from graphgrad.compiler.cache import folder

    place = folder()
    there = next(p for p in (place, *place.parents) if p.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        remedy = "set GRAPHGRAD_CACHE to a folder that can be written"
        return Finding("compile cache", "missing", f"{place} cannot be written", remedy=remedy)
    return Finding("compile cache", "ok", str(place))


def _graphviz() -> Finding:
    from graphgrad.drawing.bundled import bundled_graphviz

    try:
        bundled_graphviz()
    except Exception:
        program = shutil.which("dot")
        if program:
            return Finding("Graphviz", "ok", f"the system's, {program}")
        raise
    return Finding("Graphviz", "ok", f"bundled with pygraphviz {_version('pygraphviz')}")


def _fonts() -> Finding:
    from graphgrad.drawing.bundled import bundled_graphviz, dejavu

    if not bundled_graphviz().has_fonts:
        remedy = "install a font (fonts-dejavu), or pip install matplotlib"
        return Finding("fonts", "missing", "none on this machine", remedy=remedy)
    return Finding("fonts", "ok", "DejaVu of matplotlib" if dejavu() else "the system's")


def _browser() -> Finding:
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program or sys.platform in ("win32", "darwin"):
        return Finding("browser", "ok", program or "the system's")
    remedy = "save the player, gg.play(…).save('page.html'), and open it elsewhere"
    return Finding("browser", "missing", "none on the search path", remedy=remedy)


def _cuda_compiler() -> Finding:
    """Compile a small kernel: that tells whether the toolkit is there and fits."""
    from graphgrad.compiler.cuda.device import load, quiet, readable, simulated
    from graphgrad.errors import MissingDependencyError

    part, remedy = "CUDA kernels", "pip install 'graphgrad[cuda]'"
    try:
        cuda = load()
    except MissingDependencyError as problem:
        return Finding(part, "missing", _reason(str(problem)), remedy=remedy)
    try:
        name = f"numba-cuda {metadata.version('numba-cuda')}"
    except metadata.PackageNotFoundError:
        name = "Numba's own"
    if simulated():
        return Finding(part, "ok", f"{name}, as its simulator (NUMBA_ENABLE_CUDASIM=1)")
    from numba import float32, void

    def kernel(x: Any) -> None:
        x[0] = x[0] + 1

    try:
        with quiet():
            cuda.compile_ptx(kernel, void(float32[::1]), cc=(9, 0))
    except Exception as problem:
        found = f"{name} finds no CUDA toolkit ({readable(problem)})"
        return Finding(part, "missing", found, remedy=remedy)
    toolkit = ".".join(map(str, cuda.cudadrv.runtime.runtime.get_version()))
    found = f"{name} with CUDA's toolkit {toolkit}"
    if name == "Numba's own":
        return Finding(part, "limited", found, "CUDA graphs: launches are made one by one", remedy)
    return Finding(part, "ok", found)


def _gpu() -> Finding:
    from graphgrad.compiler.cuda.device import load, problem, simulated

    if simulated():
        return Finding("GPU", "limited", "Numba's simulator", "speed: it is for tests only")
    sentence = problem()
    if sentence:
        remedy = "target='numba' needs none; a GPU needs NVIDIA's driver"
        return Finding("GPU", "missing", _reason(sentence), remedy=remedy)
    cuda = load()
    gpu = cuda.get_current_device()
    free, total = cuda.current_context().get_memory_info()
    driver = ".".join(map(str, cuda.cudadrv.driver.driver.get_version()))
    name = gpu.name.decode() if isinstance(gpu.name, bytes) else gpu.name
    capability = ".".join(map(str, gpu.compute_capability))
    return Finding(
        "GPU", "ok",
        f"{name}, compute capability {capability}, {free / 1e9:.1f} of {total / 1e9:.1f} GB free, "
        f"driver for CUDA {driver}",
    )  # fmt: skip


def _cublas() -> Finding:
    from graphgrad.compiler.cuda.cublas import bindings

    try:
        version = bindings().get_version()
    except ImportError as problem:
        there = importlib.util.find_spec("nvmath")  # then it is the driver
        remedy = "see GPU" if there else "pip install 'graphgrad[cublas]'"
        return Finding("cuBLAS", "missing", _reason(str(problem)), remedy=remedy)
    number = f"{version // 10000}.{version // 100 % 100}.{version % 100}"
    return Finding("cuBLAS", "ok", f"{number}, nvmath-python {_version('nvmath-python')}")


def _reason(sentence: str) -> str:
    """Return what stands in the brackets of an error's sentence."""
    return sentence.partition("(")[2].rpartition(");")[0] or sentence
