"""Generated modules on disk, so that a second process need not compile again.

A module's file is named by the hash of its text and never rewritten; the folder is named by the
versions that matter. Numba keeps its machine code beside it. Where no folder can be written, the
modules live in a temporary one, for this process only.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import importlib.util
import os
import shutil
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from graphgrad.errors import CompileError

__all__ = ["CacheWarning", "base", "compile_now", "folder", "load"]

ROOM = 16 << 20
"""Bytes that must be free where modules are kept: one with its machine code takes up to some MB."""
_lock = threading.Lock()
_said: set[Path] = set()
_temporary: list[tempfile.TemporaryDirectory[str]] = []


class CacheWarning(UserWarning):
    """The compile cache on disk cannot be used; compiled code lasts for this process only."""


def base() -> Path:
    """Return the folder of all versions' folders: the user's cache, or ``GRAPHGRAD_CACHE``."""
    place = os.environ.get("GRAPHGRAD_CACHE")
    return Path(place) if place else _user_cache() / "graphgrad"


def folder() -> Path:
    """Return the folder of generated modules for these versions; it need not exist."""
    import llvmlite
    import numba
    import numpy

    python = f"py{sys.version_info[0]}{sys.version_info[1]}"
    versions = f"{python}-numba{numba.__version__}-numpy{numpy.__version__}"
    return base() / f"{versions}-llvmlite{llvmlite.__version__}"


def _user_cache() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))


def load(text: str) -> ModuleType:
    """Return the module with this source text, from the cache folder or written into it.

    Raises:
        CompileError: when not even a temporary folder can be written.
    """
    name = name_of(text)
    with _lock:
        if name in sys.modules:
            return sys.modules[name]
        path = _written(name, text)
        try:
            return _imported(name, path)
        except Exception as problem:
            # Numba's or Python's own files beside ours may be damaged, or the disk full; without
            # them it compiles anew, and what is still wrong then is a real error.
            unkept = isinstance(problem, OSError) or "no locator available" in str(problem)
            files = [f for kind in ("nb?", "pyc") for f in path.parent.rglob(f"{name}*.{kind}")]
            if not files and not unkept:
                raise
            try:
                for file in files:
                    file.unlink(missing_ok=True)
            except OSError:
                unkept = True
            if unkept:
                path = _aside(name, text, problem)
                _forget_caches()
            return _imported(name, path)


def compile_now(function: Any, signature: str) -> None:
    """Compile a function of a generated module, also where its machine code cannot be kept."""
    with _vectorizing(False), contextlib.suppress(OSError):  # it is compiled, and then it is saved
        function.compile(signature)


def name_of(text: str) -> str:
    """Return the name of the module with this text."""
    return "gg_" + hashlib.sha256(text.encode()).hexdigest()[:32]


def _imported(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise CompileError(f"{path}: cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with _vectorizing():
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


@contextlib.contextmanager
def _vectorizing(wanted: bool = True) -> Iterator[None]:
    """Let LLVM pack straight-line code into vectors, which Numba leaves off by default."""
    import numba

    config: Any = numba.config
    before = config.SLP_VECTORIZE
    config.SLP_VECTORIZE = int(wanted)
    try:
        yield
    finally:
        config.SLP_VECTORIZE = before


def _written(name: str, text: str) -> Path:
    try:
        place = folder()
        path = _write(place, name, text)
        if shutil.disk_usage(place).free < ROOM:
            raise OSError(errno.ENOSPC, f"less than {ROOM >> 20} MB are free", str(place))
        return path
    except (OSError, RuntimeError) as problem:
        return _aside(name, text, problem)


def _forget_caches() -> None:
    """Let the functions that are loaded already keep nothing on disk from now on."""
    from numba.core.caching import NullCache

    for name, module in list(sys.modules.items()):
        if name.startswith("gg_"):
            for function in vars(module).values():
                if hasattr(function, "_cache"):
                    function._cache = NullCache()


def _aside(name: str, text: str, problem: Exception) -> Path:
    """Return a module's file in a temporary folder, and say why, once for each cache."""
    if base() not in _said:
        _said.add(base())
        warnings.warn(
            f"compile cache {problem}: compiling for this process only; set GRAPHGRAD_CACHE to a "
            f"folder that can be written",
            CacheWarning,
            stacklevel=6,
        )
    try:
        if not _temporary:
            _temporary.append(tempfile.TemporaryDirectory(prefix="graphgrad-"))
        return _write(Path(_temporary[0].name), name, text)
    except OSError as problem:
        raise CompileError(f"no folder for generated code can be written: {problem}") from None


def _write(place: Path, name: str, text: str) -> Path:
    """Write atomically, so that no process ever imports half a file; a wrong one is replaced."""
    path = place / f"{name}.py"
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if path.read_text("utf-8") == text:
            return path
    place.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=place, suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    return path
