"""The NumPy target: the simplified graph, node by node. Slow, plain, and what others must match."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graphgrad.compiler.feeding import Feed
from graphgrad.compiler.fuse import Fused, Kernel
from graphgrad.compiler.origins import Run
from graphgrad.compiler.program import Program
from graphgrad.explain.formulas import fill, operation_template
from graphgrad.explain.names import node_names
from graphgrad.graph import Node

__all__ = ["NumpyRuntime"]


class NumpyRuntime:
    """One program run by NumPy; `source` lists its steps."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._states: dict[Node, Any] = {}
        self._steps = [n for n in program.order if not n.is_leaf]
        self._constants = {n: n._value for n in program.order if n.op == "constant"}
        names = node_names(program.order)
        self.names = names
        self._lines = [
            f"{names[n]} = {fill(_template(n), '', [names[x] for x in n.inputs])}\n"
            for n in self._steps
        ]
        self.source = "".join(self._lines)
        kernels = [Kernel(n.primitive.kind, n.shape, [n]) for n in self._steps]
        kernel_of = dict(zip(self._steps, kernels))
        self.fused = Fused(kernels, list(program.order), {}, kernel_of)

    def set(self, variable: Node, value: Any) -> None:
        """Keep a variable's value."""
        self._states[variable] = value

    def get(self, variable: Node) -> Any:
        """Return a variable's value."""
        return self._states[variable]

    def run(self, inputs: Sequence[Any]) -> list[Any]:
        """Compute all nodes once and return the outputs."""
        known = self._given(inputs)
        with np.errstate(all="ignore"):
            for n in self._steps:
                known[n] = _computed(n, known)
        for v, new in self.program.updates.items():
            self._states[v] = np.array(known[new])[()]
        return [np.array(known[n]) for n in self.program.outputs]

    def _given(self, inputs: Sequence[Any]) -> dict[Node, Any]:
        known = {**self._constants, **self._states}
        known.update(zip(self.program.inputs, inputs, strict=True))
        return known

    def runs(self) -> list[Run]:
        """Return the nodes in order, each a kernel of its own."""
        pairs = zip(self.fused.kernels, self._lines, strict=True)
        return [Run(k, number, number, 1, line) for number, (k, line) in enumerate(pairs, 1)]

    def profile(self, inputs: Sequence[Any], seconds: float = 0.3) -> list[float]:
        """Return the seconds that NumPy takes for each node, the median of many runs."""
        found: list[list[float]] = []
        end = time.perf_counter() + seconds
        while len(found) < 5 or (time.perf_counter() < end and len(found) < 1000):
            known, row = self._given(inputs), []
            with np.errstate(all="ignore"):
                for n in self._steps:
                    begin = time.perf_counter()
                    known[n] = _computed(n, known)
                    row.append(time.perf_counter() - begin)
            found.append(row)
        return [float(t) for t in np.median(found, axis=0)]

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


def _computed(node: Node, known: Mapping[Node, Any]) -> Any:
    value = node.primitive.forward(*[known[x] for x in node.inputs], **node.settings)
    return value if value.dtype is node.dtype else value.astype(node.dtype)


def _template(node: Node) -> str:
    return operation_template(node.primitive, len(node.inputs), node.settings)
