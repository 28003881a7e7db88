"""SciPy's BLAS, called from compiled code: where its routines stand, and how many threads it uses.

Kernels share a product among their own threads, each of which calls BLAS for its rows. So BLAS
itself must not start threads: two on every core would only wait for each other.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["address", "core", "is_older", "one_thread", "switches"]

WIDE = ("SkylakeX", "Cooperlake", "SapphireRapids")
"""OpenBLAS's names of processors for which it has kernels with AVX-512."""
NEEDED = ("avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl")
"""What they take for granted."""


def address(routine: str) -> int:
    """Return the address of a routine such as ``"sgemm"``."""
    from numba.extending import get_cython_function_address

    return int(get_cython_function_address("scipy.linalg.cython_blas", routine))


@functools.cache
def _library() -> Any:
    """Return the OpenBLAS that SciPy brings; None for another BLAS."""
    import scipy

    for path in (Path(scipy.__file__).parent.parent / "scipy.libs").glob("*openblas*"):
        with contextlib.suppress(OSError):
            return ctypes.CDLL(str(path))
    return None


def switches() -> tuple[Any, Any] | None:
    """Return OpenBLAS's functions that tell and set its threads; None for another BLAS."""
    with contextlib.suppress(AttributeError):
        library = _library()
        return library.scipy_openblas_get_num_threads, library.scipy_openblas_set_num_threads
    return None


def core() -> str:
    """Return which processor's kernels OpenBLAS takes, by its own name; "" for another BLAS.

    The variable OPENBLAS_CORETYPE of the environment may have chosen them.
    """
    with contextlib.suppress(AttributeError):
        tell = _library().scipy_openblas_get_corename
        tell.restype = ctypes.c_char_p
        return bytes(tell()).decode()
    return ""


def is_older(name: str) -> bool:
    """Return whether OpenBLAS's kernels leave out vectors that this processor has."""
    from llvmlite import binding

    features = binding.get_host_cpu_features()
    return name not in ("", *WIDE) and all(features.get(f) for f in NEEDED)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Keep SciPy's BLAS to the calling thread inside; where it cannot be told, do nothing."""
    found = switches()
    if found is None:
        yield
        return
    tell, set_ = found
    before = tell()
    if before != 1:
        set_(1)
    try:
        yield
    finally:
        if before != 1:
            set_(before)
