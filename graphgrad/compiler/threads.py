"""Threads that share the parts of a group of kernels.

Where the operating system has futexes (Linux) this is a pool of our own: whoever is running takes
the next part, and the caller never waits for a thread that has not begun. So a busy machine costs
little, while a pool that waits for all its threads can lose a time slice of the scheduler (some
milliseconds) at every barrier. An idle thread looks for work for a short while, then sleeps.
Elsewhere Numba's own threads are used.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
import threading
from types import ModuleType
from typing import Any

import numpy as np

__all__ = ["SOURCE", "count", "pool"]

MOST = 64
"""Threads at most."""
_FUTEX = {"x86_64": 202, "aarch64": 98}.get(platform.machine())
_LINUX = sys.platform == "linux" and _FUTEX is not None

_POOL = f'''\
# a block of shared numbers, each in a cache line of its own
TICKET, DONE, JOB, WORD, ASLEEP, BUSY, SYSTEM = 0, 8, 16, 24, 32, 40, 48


@intrinsic
def fetch_add(typing, block, at, more):
    """Add to a shared number and return what it was, in one step that no thread can split."""
    def build(context, builder, signature, args):
        return builder.atomic_rmw("add", builder.gep(args[0], [args[1]]), args[2], "seq_cst")
    return types.int64(block, types.intp, types.int64), build


@intrinsic
def swap(typing, block, at, value):
    """Set a shared number and return what it was."""
    def build(context, builder, signature, args):
        return builder.atomic_rmw("xchg", builder.gep(args[0], [args[1]]), args[2], "seq_cst")
    return types.int64(block, types.intp, types.int64), build


@intrinsic
def pause(typing):
    """Tell the processor that this thread is waiting in a loop."""
    def build(context, builder, signature, args):
        name = "llvm.x86.sse2.pause"
        kind = cgutils.ir.FunctionType(cgutils.ir.VoidType(), [])
        if {platform.machine() == "x86_64"}:
            builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [])
        return context.get_dummy_value()
    return types.void(), build


@intrinsic
def system(typing, function, number, a, b, c):
    """Make a system call, by the address of the C library's `syscall`."""
    def build(context, builder, signature, args):
        word = context.get_value_type(types.int64)
        kind = cgutils.ir.FunctionType(word, [word] * 7)
        zero = word(0)
        return builder.call(
            builder.inttoptr(args[0], kind.as_pointer()), [*args[1:], zero, zero, zero])
    return types.int64(*[types.int64] * 5), build


@njit(cache=True)
def take_parts(block):
    """Run parts of the job until none is left."""
    while True:
        # generation, number of parts and next part are one number, so they always fit together
        ticket = fetch_add(block, TICKET, 1)
        part, parts = ticket & 0xFFFF, (ticket >> 16) & 0xFFFF
        if part >= parts:
            return
        call(block[JOB], block[JOB + 1], part, block[JOB + 2])
        fetch_add(block, DONE, 1)


@njit(cache=True)
def spread(pool, function, which, parts, table):
    """Let all threads run the parts of a group, and return when all are done."""
    block = memory(pool, 64, int64)
    if pool == 0 or swap(block, BUSY, 1) != 0:
        for part in range(parts):
            call(function, which, part, table)
        return
    block[JOB], block[JOB + 1], block[JOB + 2] = function, which, table
    swap(block, DONE, 0)
    generation = (block[WORD] + 1) & 0x3FFFFFFF
    swap(block, TICKET, (generation << 32) | (parts << 16))
    swap(block, WORD, generation)
    if fetch_add(block, ASLEEP, 0) > 0:
        place = pool + 8*WORD
        system(block[SYSTEM], {_FUTEX}, place, 129, 1 << 20)  # FUTEX_WAKE, private
    take_parts(block)
    waited = 0
    while fetch_add(block, DONE, 0) < parts:
        waited += 1
        if waited > 2000:
            system(block[SYSTEM], block[SYSTEM + 1], 0, 0, 0)  # let others run
        else:
            pause()
    swap(block, BUSY, 0)


@njit("void(int64)", nogil=True, cache=True)
def serve(pool):
    """Wait for jobs and take part in them, for ever: what a thread of the pool does."""
    block = memory(pool, 64, int64)
    seen = -1
    idle = 0
    while True:
        now = fetch_add(block, WORD, 0)
        if now != seen:
            seen = now
            take_parts(block)
            idle = 0
        elif idle < 4000:
            idle += 1
            pause()
        else:
            fetch_add(block, ASLEEP, 1)
            system(block[SYSTEM], {_FUTEX}, pool + 8*WORD, 128, seen)  # FUTEX_WAIT, private
            fetch_add(block, ASLEEP, -1)
            idle = 0


'''

_NUMBA = '''\
@njit(error_model="numpy", parallel=True, cache=True)
def spread(pool, function, which, parts, table):
    """Let all threads run the parts of a group, and return when all are done."""
    for part in prange(parts):
        call(function, which, part, table)


'''

SOURCE = _POOL if _LINUX else _NUMBA
"""The part of the helpers' module that shares work among threads."""
_lock = threading.Lock()
_pool: list[Any] = []


def count() -> int:
    """Return how many threads work is shared among: those Numba may use.

    NUMBA_NUM_THREADS and OMP_NUM_THREADS set it, and it is never more than the processors this
    process may use.
    """
    import numba

    wanted = int(numba.get_num_threads())
    if limit := os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]:
        wanted = min(wanted, int(limit)) if limit.isdigit() and int(limit) else wanted
    if hasattr(os, "sched_getaffinity"):
        wanted = min(wanted, len(os.sched_getaffinity(0)))
    return max(1, min(wanted, MOST))


def pool(helpers: ModuleType, threads: int) -> int:
    """Return the address of the pool's shared numbers; its threads are started by the first call.

    A pool belongs to one process: in a fork, which has none of its parent's threads, it is made
    anew. 0 means that there is no pool: then the caller runs all parts, or Numba shares them.
    """
    if not _LINUX or threads == 1:
        return 0
    with _lock:
        if not _pool or _pool[0] != os.getpid():
            block = np.zeros(64 + 8, np.int64)
            begin = block.__array_interface__["data"][0]
            begin += -begin % 64
            offset = (begin - block.__array_interface__["data"][0]) // 8
            library = ctypes.CDLL(None)
            block[offset + 48] = ctypes.cast(library.syscall, ctypes.c_void_p).value or 0
            block[offset + 49] = {"x86_64": 24, "aarch64": 124}[platform.machine()]  # sched_yield
            _pool[:] = [os.getpid(), block, begin, 1]
        while _pool[3] < threads:
            thread = threading.Thread(
                target=helpers.serve, args=(_pool[2],), name="graphgrad", daemon=True
            )
            thread.start()
            _pool[3] += 1
        return int(_pool[2])
