"""The one way to CUDA: loading it, and saying what is missing.

Everything is imported when first asked for, so that no other part of graphgrad notices an absent
or broken toolkit. With ``NUMBA_ENABLE_CUDASIM=1`` Numba's simulator stands for the device; it runs
a Python thread per CUDA thread, so work is cut into very small blocks there (`Cut`).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from graphgrad.errors import CompileError, MissingDependencyError

__all__ = [
    "HARDWARE",
    "SIMULATED",
    "WAY_OUT",
    "Cut",
    "device",
    "load",
    "problem",
    "readable",
    "simulated",
]

WAY_OUT = "use target='numba', which needs no GPU"


@dataclass(frozen=True)
class Cut:
    """Into how many threads and blocks work is cut.

    Attributes:
        threads: of a block.
        blocks: of a kernel whose threads take several entries each.
        enough: blocks that keep the whole device busy; sums are split until there are so many.
        side: threads along each side of a tile of a matrix product; side² are a block.
        largest: the most results that a thread of a product has along each side of its tile.
        deep: entries along the inner axis that a product loads at a time.
        simulated: whether the code is for Numba's simulator.
    """

    threads: int = 256
    blocks: int = 1056
    enough: int = 264
    side: int = 16
    largest: int = 8
    deep: int = 8
    simulated: bool = False


HARDWARE = Cut()
SIMULATED = Cut(threads=4, blocks=2, enough=2, side=2, largest=4, deep=4, simulated=True)


def simulated() -> bool:
    """Return whether Numba's simulator is asked for."""
    return os.environ.get("NUMBA_ENABLE_CUDASIM", "0") not in ("", "0")


def load() -> Any:
    """Return Numba's module `cuda`.

    Raises:
        MissingDependencyError: when it cannot be imported.
    """
    try:
        with quiet():
            from numba import cuda

            if not simulated():
                _with_new_numpy()
    except Exception as found:  # broken toolkits raise whatever they like
        raise MissingDependencyError(
            f"target 'cuda': Numba's CUDA part cannot be loaded ({readable(found)}); "
            f"pip install 'graphgrad[cuda]', or {WAY_OUT}"
        ) from None
    return cuda


def _with_new_numpy() -> None:
    """Load what numba-cuda 0.30.4 loads late: it asks NumPy for what NumPy 2.5 no longer has."""
    import importlib

    import numpy as np

    if not hasattr(np, "row_stack"):
        numpy: Any = np
        numpy.row_stack = np.vstack
        try:
            importlib.import_module("numba.cuda.np.arrayobj")
        except ModuleNotFoundError:  # Numba's own CUDA part has no such module
            pass
        finally:
            del numpy.row_stack


def readable(found: BaseException) -> str:
    """Return an exception as one line of at most 160 characters.

    Example:
        >>> readable(OSError("Error at init:\\n\\nNo driver.\\nInstall one.\\n:"))
        'Error at init: No driver. Install one.'
    """
    lines = [line.strip() for line in str(found).splitlines() if line.strip(" :")]
    text = " ".join(lines) or type(found).__name__
    return text if len(text) <= 160 else text[:159] + "…"


def problem() -> str | None:
    """Return why no CUDA device can be used, as one sentence; None when one can."""
    try:
        cuda = load()
    except MissingDependencyError as found:
        return str(found)
    if simulated():
        return None
    try:
        cuda.current_context()
        import numpy as np

        cuda.to_device(np.zeros(1)).copy_to_host()
    except Exception as found:
        none = isinstance(found, IndexError)  # so much for an empty list of devices
        reason = "the driver has none" if none else readable(found)
        return (
            f"target 'cuda': no NVIDIA device can be used ({reason}); install NVIDIA's driver on "
            f"a machine with a GPU, or {WAY_OUT}"
        )
    return None


def device() -> Any:
    """Return Numba's module `cuda`, with a device that works.

    Raises:
        MissingDependencyError: when the CUDA part of Numba is missing or broken.
        CompileError: when there is no device, or no driver that fits.
    """
    cuda = load()
    sentence = problem()
    if sentence:
        raise CompileError(sentence)
    return cuda


def address(array: Any) -> int:
    """Return where a device array begins, as the number that libraries of C are given."""
    place = getattr(array, "device_ctypes_pointer", None)  # the simulator's arrays are NumPy's
    return int(array.ctypes.data if place is None else place.value)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep Numba from warning of small grids, and of what in itself is getting old."""
    import warnings

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*under-utilization.*")
        for kind in (DeprecationWarning, PendingDeprecationWarning, FutureWarning):
            warnings.simplefilter("ignore", kind)
        yield
