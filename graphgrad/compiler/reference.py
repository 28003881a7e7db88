"""The NumPy target: the simplified graph, node by node. Slow, plain, and what others must match."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphgrad.compiler.feeding import Feed
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
        self.source = "".join(
            f"{names[n]} = {fill(_template(n), '', [names[x] for x in n.inputs])}\n"
            for n in self._steps
        )

    def set(self, variable: Node, value: Any) -> None:
        """Keep a variable's value."""
        self._states[variable] = value

    def get(self, variable: Node) -> Any:
        """Return a variable's value."""
        return self._states[variable]

    def run(self, inputs: Sequence[Any]) -> list[Any]:
        """Compute all nodes once and return the outputs."""
        known = {**self._constants, **self._states}
        known.update(zip(self.program.inputs, inputs, strict=True))
        with np.errstate(all="ignore"):
            for n in self._steps:
                value = n.primitive.forward(*[known[x] for x in n.inputs], **n.settings)
                known[n] = value if value.dtype is n.dtype else value.astype(n.dtype)
        for v, new in self.program.updates.items():
            self._states[v] = np.array(known[new])[()]
        self._known = known
        return [np.array(known[n]) for n in self.program.outputs]

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
        """Return the numbers of a node from the last run, or None."""
        return self._known.get(node)


def _template(node: Node) -> str:
    return operation_template(node.primitive, len(node.inputs), node.settings)
