"""The Numba target: kernels compiled for this processor, buffers in arenas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphgrad.compiler.blas import address, one_thread
from graphgrad.compiler.cache import load
from graphgrad.compiler.feeding import Feed
from graphgrad.compiler.fuse import Fused, fuse
from graphgrad.compiler.helpers import HEADER
from graphgrad.compiler.memory import Plan, plan
from graphgrad.compiler.program import Program
from graphgrad.compiler.source import write
from graphgrad.compiler.text import ARENAS
from graphgrad.graph import Node

__all__ = ["CpuRuntime"]


class CpuRuntime:
    """One compiled program with its memory.

    Attributes:
        source: the kernels' text.
        fused, plan: what the text was made from.
    """

    def __init__(self, program: Program, math: str) -> None:
        self.program = program
        self.fused: Fused = fuse(program)
        self.plan: Plan = plan(program, self.fused)
        self.source = write(program, self.fused, self.plan, math, threads())
        self._arenas = [_aligned(self.plan.sizes.get(dtype, 0), dtype) for dtype in ARENAS]
        self._step = load(HEADER + self.source).step
        self._calls_blas = "gemm(" in self.source
        self._blas = (address("sgemm"), address("dgemm"))
        by_type = dict(zip(ARENAS, self._arenas, strict=True))
        self._seen = {
            n: by_type[n.dtype][at : at + n.size].reshape(n.shape)
            for n, at in self.plan.start.items()
        }
        for n in self.fused.stored:
            if n.op == "constant":
                self._seen[n][...] = n._value
        self._outputs = [self._window(n) for n in program.outputs]
        roots = [self.fused.view(n).root for n in program.outputs]
        self._before = [k for k, root in enumerate(roots) if root in program.updates]

    def _window(self, node: Node) -> Any:
        """Return an output as an array onto its buffer, or the position of the input it is."""
        view = self.fused.view(node)
        if view.root in self.program.inputs:
            return view
        base = self._seen[view.root].reshape(-1)[view.offset :]
        strides = [s * node.dtype.itemsize for s in view.strides]
        return np.lib.stride_tricks.as_strided(base, node.shape, strides, writeable=False)

    def set(self, variable: Node, value: Any) -> None:
        """Copy a value into a variable's buffer, if any kernel reads or writes it."""
        if variable in self._seen:
            self._seen[variable][...] = value

    def get(self, variable: Node) -> Any:
        """Return a copy of a variable's buffer."""
        return self._seen[variable].copy()[()]

    def run(self, inputs: Sequence[Any]) -> list[Any]:
        """Run all kernels once and return copies of the outputs."""
        arrays = [x.reshape(-1) for x in inputs]
        old = {k: self._outputs[k].copy() for k in self._before}
        if self._calls_blas:
            with one_thread():
                self._step(*self._arenas, *self._blas, *arrays)
        else:
            self._step(*self._arenas, *self._blas, *arrays)
        found = []
        for k, out in enumerate(self._outputs):
            if k in old:
                found.append(old[k])
                continue
            if isinstance(out, np.ndarray):
                found.append(out.copy())
                continue
            x = inputs[self.program.inputs.index(out.root)].reshape(-1)[out.offset :]
            strides = [s * x.itemsize for s in out.strides]
            found.append(np.lib.stride_tricks.as_strided(x, out.shape, strides).copy())
        return found

    def epoch(self, feed: Feed) -> list[Any]:
        """Run once per batch and return the outputs of all steps, one below the other."""
        found = [
            self.run([feed.batch(k, s) for k in range(len(feed.data))]) for s in range(feed.steps)
        ]
        return [
            np.array([outputs[k] for outputs in found]).reshape(feed.steps, *n.shape)
            .astype(n.dtype, copy=False)
            for k, n in enumerate(self.program.outputs)
        ]  # fmt: skip

    def value(self, node: Node) -> Any:
        """Return the current numbers of a node that has a buffer of its own, or None."""
        return self._seen[node].copy() if node in self._seen else None


def _aligned(count: int, dtype: Any) -> Any:
    """Return zeros that start at a multiple of 64 bytes."""
    extra = 64 // dtype.itemsize
    memory = np.zeros(max(count, 1) + extra, dtype)
    skip = -memory.__array_interface__["data"][0] % 64 // dtype.itemsize
    return memory[skip : skip + max(count, 1)]


def threads() -> int:
    """Return how many threads kernels are shared among: those Numba may use, at most eight.

    More would not find room in the 64 bytes that a total has for the threads' shares.
    """
    import numba

    return min(int(numba.get_num_threads()), 8)
