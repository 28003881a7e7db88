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

__all__ = ["address", "one_thread"]


def address(routine: str) -> int:
    """Return the address of a routine such as ``"sgemm"``."""
    from numba.extending import get_cython_function_address

    return int(get_cython_function_address("scipy.linalg.cython_blas", routine))


@functools.cache
def _switches() -> tuple[Any, Any] | None:
    """Return OpenBLAS's functions that tell and set its threads; None for another BLAS."""
    import scipy

    for path in (Path(scipy.__file__).parent.parent / "scipy.libs").glob("*openblas*"):
        with contextlib.suppress(OSError, AttributeError):
            library = ctypes.CDLL(str(path))
            return (
                library.scipy_openblas_get_num_threads,
                library.scipy_openblas_set_num_threads,
            )
    return None


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Keep SciPy's BLAS to the calling thread inside; where it cannot be told, do nothing."""
    switches = _switches()
    if switches is None:
        yield
        return
    tell, set_ = switches
    before = tell()
    if before != 1:
        set_(1)
    try:
        yield
    finally:
        if before != 1:
            set_(before)
