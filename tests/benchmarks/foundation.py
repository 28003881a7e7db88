"""The graph and its gradients, timed: python tests/benchmarks/foundation.py [PART ...] [--json].

Parts: import (of graphgrad, beyond NumPy), command (one picture from the command line), network
(a training step of a 2-16-16-1 network of scalars, against micrograd), chain (a million
operations in a row), dot (ten thousand nodes to DOT text). Run by hand; nothing is asserted
but that the compared programs compute the same.
"""

from __future__ import annotations

import gc
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from measure import Row, by_turns, resident, run, seconds

import graphgrad as gg

IMPORTS = """
import time; start = time.perf_counter(); import numpy
middle = time.perf_counter(); import graphgrad
print(middle - start, time.perf_counter() - middle)
"""
DRAW = ["abs(4 - (x*w + b))", "x=2", "w=3", "b=1", "--phase", "backward", "-o", "loss.svg"]
CHAIN = 1_000_000


def as_installed(folder: str) -> dict[str, str]:
    """Return the environment of a user: byte code is kept, here in a folder of its own."""
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": folder}


def imports(turns: int = 15) -> list[Row]:
    """Time ``import numpy`` and then ``import graphgrad``, each pair in a fresh interpreter."""
    pairs = []
    with tempfile.TemporaryDirectory() as folder:
        call = partial(subprocess.run, env=as_installed(folder), capture_output=True, check=True)
        call([sys.executable, "-c", IMPORTS])  # compiles
        for _ in range(turns):
            shown = call([sys.executable, "-c", IMPORTS]).stdout
            pairs.append([float(word) for word in shown.split()])
    numpy, ours = (statistics.median(column) for column in zip(*pairs))
    return [{"what": "import", "numpy_s": numpy, "graphgrad_beyond_s": ours, "turns": turns}]


def command(turns: int = 9) -> list[Row]:
    """Time ``graphgrad draw``, by turns with an interpreter that only imports NumPy."""
    beside = Path(sys.executable).with_name("graphgrad")
    program = str(beside) if beside.exists() else shutil.which("graphgrad")
    if program is None:
        return [{"what": "the command graphgrad is not installed"}]
    with tempfile.TemporaryDirectory() as folder:
        call = partial(
            subprocess.run, cwd=folder, env=as_installed(folder), capture_output=True, check=True
        )
        draw = partial(call, [program, "draw", *DRAW])
        bare = partial(call, [sys.executable, "-c", "import numpy"])
        try:
            draw()
        except subprocess.CalledProcessError as problem:
            last = problem.stderr.decode().strip().splitlines()[-1:]
            return [{"what": f"graphgrad draw failed: {' '.join(last)}"}]
        size = (Path(folder) / "loss.svg").stat().st_size
        took = by_turns(draw, bare, turns)
        return [{"what": "graphgrad draw / import numpy", **took, "svg_bytes": size}]


# -- the network -------------------------------------------------------------------------------


class Network:
    """A 2-16-16-1 network of scalar nodes, with micrograd's hinge loss and its parameters."""

    def __init__(self, theirs: object, x: np.ndarray, y: np.ndarray) -> None:
        self.x, self.y = x.tolist(), y.tolist()
        self.layers = [
            [([gg.var("w", w.data) for w in n.w], gg.var("b", n.b.data)) for n in layer.neurons]
            for layer in theirs.layers
        ]
        self.parameters = [p for layer in self.layers for w, b in layer for p in (*w, b)]
        self.kept: gg.Node | None = None

    def score(self, point: list[float]) -> gg.Node:
        """Return the network's output for one point."""
        signals = [gg.const(number) for number in point]
        for layer in self.layers:
            signals = [sum((w * x for w, x in zip(ws, signals)), b) for ws, b in layer]
            if layer is not self.layers[-1]:
                signals = [gg.relu(z) for z in signals]
        return signals[0]

    def loss(self) -> gg.Node:
        """Return mean max(0, 1 − y ŷ) as a new graph."""
        margins = [gg.relu(1 + -y * self.score(point)) for point, y in zip(self.x, self.y)]
        return sum(margins) * (1 / len(margins))

    def descend(self, loss: gg.Node) -> None:
        """Make one step of gradient descent."""
        loss.backward()
        for p in self.parameters:
            p.value = p.value - 0.01 * p.grad

    def rebuilt(self) -> None:
        """Do what micrograd does: a new graph for every step."""
        self.descend(self.loss())

    def reused(self) -> None:
        """Keep the graph and compute it afresh."""
        if self.kept is None:
            self.kept = self.loss()
        self.descend(self.kept)


class Peer:
    """The same step in micrograd."""

    def __init__(self, x: np.ndarray, y: np.ndarray) -> None:
        from micrograd.nn import MLP

        self.x, self.y, self.net = x.tolist(), y.tolist(), MLP(2, [16, 16, 1])

    def loss(self) -> object:
        """Return mean max(0, 1 − y ŷ)."""
        from micrograd.engine import Value

        scores = [self.net(list(map(Value, point))) for point in self.x]
        margins = [(1 + -y * s).relu() for y, s in zip(self.y, scores)]
        return sum(margins) * (1 / len(margins))

    def step(self) -> None:
        """Make one step of gradient descent on a new graph."""
        loss = self.loss()
        self.net.zero_grad()
        loss.backward()
        for p in self.net.parameters():
            p.data -= 0.01 * p.grad


def network(turns: int = 9) -> list[Row]:
    """Time loss, backward and update on 100 points, by turns with micrograd; and their memory."""
    try:
        import micrograd  # noqa: F401
    except ImportError:
        return [{"what": "micrograd is not installed"}]
    r = np.random.default_rng(0)
    x, y = r.normal(size=(100, 2)), np.sign(r.normal(size=100))
    peer = Peer(x, y)
    ours, kept = Network(peer.net, x, y), Network(peer.net, x, y)
    check(ours, peer)
    rebuilt = by_turns(ours.rebuilt, peer.step, turns)
    reused = by_turns(kept.reused, peer.step, turns)
    return [
        {"what": "graphgrad, a new graph each step / micrograd", **rebuilt},
        {"what": "graphgrad, one graph kept / micrograd", **reused},
        memory(ours, peer),
    ]


def check(ours: Network, peer: Peer) -> None:
    """Make sure that both compute the same loss and the same gradients."""
    mine, theirs = ours.loss(), peer.loss()
    mine.backward()
    theirs.backward()
    np.testing.assert_allclose(mine.value, theirs.data, rtol=1e-12)
    both = zip(ours.parameters, peer.net.parameters())
    np.testing.assert_allclose(*zip(*((p.grad, q.grad) for p, q in both)), rtol=1e-9, atol=1e-14)


def memory(ours: Network, peer: Peer) -> Row:
    """Return what one node costs after a backward pass, by the allocations of Python and NumPy."""
    nodes = len(gg.ancestors(ours.loss()))
    # micrograd wraps the factors -y and the 1 of each margin in nodes as we do: as many nodes.
    cost = {"graphgrad": allocated(ours.loss) / nodes, "micrograd": allocated(peer.loss) / nodes}
    return {"what": "bytes per node", **cost, "nodes": nodes}


def allocated(make: Callable[[], Any]) -> int:
    """Return the bytes that a loss and its backward pass leave behind while it is kept."""
    gc.collect()
    tracemalloc.start()
    loss = make()
    loss.backward()
    gc.collect()
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return size


# -- size --------------------------------------------------------------------------------------

SIZE = """
import json, sys
sys.path.insert(0, {here!r})
from foundation import chain_once
print(json.dumps(chain_once({length})))
"""


def chain(turns: int = 3) -> list[Row]:
    """Time a chain of a million operations, each time in a fresh process; medians."""
    code = SIZE.format(here=str(Path(__file__).parent), length=CHAIN)
    found = []
    for _ in range(turns):
        shown = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        found.append(json.loads(shown.stdout))
    middle = {key: statistics.median(row[key] for row in found) for key in found[0]}
    return [{"what": f"chain of {CHAIN:,} operations", **middle, "turns": turns}]


def chain_once(length: int) -> Row:
    """Build, evaluate and differentiate y ← y·w and y ← y + b by turns."""
    w, b = gg.var("w", 1.0 - 1e-6), gg.var("b", 1e-6)
    made: list[gg.Node] = []

    def build() -> None:
        y = gg.var("x", 0.5)
        for _ in range(length // 2):
            y = y * w + b
        made.append(y)

    row: Row = {}
    start = resident()
    row["build_s"] = seconds(build)
    row["bytes_per_node_built"] = (resident() - start) / length
    y = made[0]
    row["evaluate_s"] = seconds(lambda: y.value)
    row["backward_s"] = seconds(y.backward)
    row["bytes_per_node_after_backward"] = (resident() - start) / length
    row["grad_s"] = seconds(lambda: made.extend(gg.grad(y, [w, b])))
    row["grad_nodes"] = len(gg.ancestors(made[1:])) - length
    n = length // 2  # y = wⁿ x + b (wⁿ − 1)/(w − 1)
    np.testing.assert_allclose(b.grad, (w.value**n - 1) / (w.value - 1), rtol=1e-8)
    np.testing.assert_allclose(made[2].value, b.grad, rtol=1e-12)
    return row


def dot(turns: int = 5, count: int = 10_000) -> list[Row]:
    """Time DOT text of ten thousand nodes, forward and backward."""
    try:
        gg.draw  # noqa: B018
    except ImportError as problem:
        return [{"what": f"gg.draw is not there: {problem}"}]
    x, w = gg.var("x", 0.5), gg.var("w", 0.999)
    y = x
    while len(gg.ancestors(y)) < count:
        for _ in range(500):
            y = gg.tanh(y * w) + x
    nodes, rows = len(gg.ancestors(y)), []
    for phase in ("forward", "backward"):
        draw = partial(source, y, phase)
        took = statistics.median(seconds(draw) for _ in range(turns))
        what = f"DOT of {nodes} nodes, {phase}"
        rows.append({"what": what, "s": took, "characters": len(draw()), "turns": turns})
    return rows


def source(y: gg.Node, phase: str) -> str:
    """Return the DOT text of a whole graph, no group collapsed."""
    return gg.draw(y, phase=phase, collapse=()).source


PARTS = {"import": imports, "command": command, "network": network, "chain": chain, "dot": dot}

if __name__ == "__main__":
    run(PARTS, ["graphgrad", "numpy", "micrograd", "graphviz"])
