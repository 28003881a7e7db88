"""Numba's CUDA simulator, made fast enough for tests, and its shared memory safe among threads."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest


@contextlib.contextmanager
def simulator() -> Iterator[None]:
    """Run kernels in the simulator inside.

    The simulator's own thread polls the others all the time, so they are let to change places
    often. Then two of them may each make the same shared array anew: here one at a time may.
    """
    from numba.cuda.simulator import kernelapi

    lock = threading.Lock()

    def array(self: Any, shape: Any, dtype: Any) -> Any:
        frame = sys._getframe(1)
        line = frame.f_code.co_filename, frame.f_lineno
        with lock:
            if line not in self._allocations:
                self._allocations[line] = np.empty(shape, dtype)
            return self._allocations[line]

    before = sys.getswitchinterval()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernelapi.FakeCUDAShared, "array", array)
        sys.setswitchinterval(2e-5)
        yield
        sys.setswitchinterval(before)
