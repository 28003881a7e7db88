"""Compiled training steps beside what a user would take instead, in one run, on the same numbers.

    python tests/benchmarks/cpu.py [moons neurons digits mnist chain cnn gmm lstm] [--json]
                                   [--peers NAME,NAME] [--python pytensor=PATH] [--turns 3]

Works: moons 2-16-16-1, batch 100, binary cross-entropy from logits, SGD, and the same network
drawn neuron by neuron; digits 64-100-100-10, batch 32, and mnist 784-512-512-10, batch 128,
softmax cross-entropy, Adam; chain Σ tanh x·σ(x) + exp(−x²), value and gradient, 10⁶ numbers; cnn
28×28, conv16-pool-conv32-pool-dense10, batch 64, SGD: all in float32. Value and gradient of
ADBench's GMM (d = 10, K = 25, n = 1000) and LSTM (2 layers of 14, 32 characters) in float64. Two
threads. Adam's rate is 1e-6, so that no run drifts to loss 0, where everybody would time subnormal
numbers. micrograd has no log, so its loss is a hinge.

Peers that are not installed, or cannot do a work, are left out; `--python` names another
interpreter for one that needs versions of its own. Each has a process of its own, in turns;
figures are medians, ratios of medians. Threads wait for each other by spinning, so another busy
process spoils every figure. mnist also tells the time of its matrix products alone, by NumPy.

Variables of the environment that tell OpenBLAS to take the processor for another one are left out,
for all: on a processor with AVX-512 they can halve the speed of products.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "2")

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
from measure import about, show
from peers import MLP, PEERS, RATE, data

DISGUISES = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
WORKS = ["moons", "neurons", "digits", "mnist", "chain", "cnn", "gmm", "lstm"]


# -- graphgrad ---------------------------------------------------------------------------------


def adam(parameters, gradients):
    """Return Adam's updates as nodes (Kingma and Ba 2015)."""
    import graphgrad as gg

    t = gg.var("t", np.float32(0))
    now = t + 1
    one = gg.const(np.float32(1))
    rate = RATE * gg.sqrt(one - 0.999**now) / (one - 0.9**now)
    updates = {t: now}
    for w, d in zip(parameters, gradients, strict=True):
        m, v = (gg.var(n, np.zeros(w.shape, np.float32)) for n in ("m", "v"))
        m1, v1 = 0.9 * m + 0.1 * d, 0.999 * v + 0.001 * gg.square(d)
        updates |= {m: m1, v: v1, w: w - rate * m1 / (gg.sqrt(v1) + 1e-8)}
    return updates


def graphgrad_step(work):
    """Return a training step, compiled."""
    import graphgrad as gg

    if work == "neurons":
        return neurons()
    if work in ("gmm", "lstm"):
        return objective(work)
    x, y, start = data(work)
    X = gg.var("X", shape=x.shape, dtype="float32")
    if work == "chain":
        total = gg.sum(gg.tanh(X) * gg.sigmoid(X) + gg.exp(-gg.square(X)))
        f = gg.compile([total, gg.grad(total, X)], [X])
        return lambda: f(x)[0]
    P = [gg.var(f"p{k}", p) for k, p in enumerate(start)]
    Y = gg.var("Y", shape=y.shape, dtype=y.dtype)
    if work == "cnn":
        h = X
        for k, b in ((P[0], P[1]), (P[2], P[3])):
            h = gg.relu(gg.conv2d(h, k, padding=1) + b.reshape(-1, 1, 1))
            h = gg.max_pool2d(h, 2)
        z = h.reshape(x.shape[0], -1) @ P[4] + P[5]
    else:
        h = X
        for W, b in zip(P[0::2], P[1::2], strict=True):
            z = h @ W + b
            h = gg.relu(z)
    if work == "moons":
        loss = gg.binary_cross_entropy_with_logits(z[:, 0], Y)
    else:
        loss = gg.softmax_cross_entropy(z, Y)
    gradients = gg.grad(loss, P)
    plain = {p: p - 0.01 * d for p, d in zip(P, gradients, strict=True)}
    updates = adam(P, gradients) if work in ("digits", "mnist") else plain
    f = gg.compile([loss], [X, Y], updates)
    return lambda: f(x, y)[0]


def neurons():
    """Return the step of moons' network, drawn neuron by neuron of single numbers."""
    import graphgrad as gg

    x, y, start = data("moons")
    inputs = [gg.var(n, np.float32(0)) for n in ("x1", "x2", "y")]
    parameters, h = [], inputs[:2]
    for k in range(0, 6, 2):
        W, b = start[k], start[k + 1]
        out = []
        for j in range(W.shape[1]):
            parameters.append(z := gg.var(f"b{k}_{j}", b[j]))
            for i, value in enumerate(h):
                parameters.append(gg.var(f"w{k}_{i}_{j}", W[i, j]))
                z = z + value * parameters[-1]
            out.append(gg.relu(z) if k < 4 else z)
        h = out
    loss = gg.binary_cross_entropy_with_logits(h[0], inputs[2])
    losses, variables = gg.over_samples(loss, inputs, len(x))
    mean = gg.mean(losses)
    gradients = gg.grad(mean, parameters)
    updates = {p: p - 0.01 * d for p, d in zip(parameters, gradients, strict=True)}
    f = gg.compile([mean], variables, updates)
    columns = [x[:, 0].copy(), x[:, 1].copy(), y]
    return lambda: f(*columns)[0]


def objective(work):
    """Return value and gradient of an objective of ADBench."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    import graphgrad as gg
    from tests.adbench import gmm, lstm

    arrays = data(work)
    variables = [gg.var(f"v{k}", a) for k, a in enumerate(arrays[: 3 if work == "gmm" else 2])]
    if work == "gmm":
        value = gmm.objective(*variables, gg.const(arrays[3]), 1.0, 0)
    else:
        value = lstm.objective(*variables, gg.const(arrays[2]), gg.const(arrays[3]))
    f = gg.compile([value, *gg.grad(value, variables)], variables)
    given = arrays[: len(variables)]
    return lambda: f(*given)[0]


# -- measuring ---------------------------------------------------------------------------------


def measure(work, name, seconds=1.0):
    """Return what one of them takes, in this process."""
    begin = time.perf_counter()
    step = {"graphgrad": graphgrad_step, **PEERS}[name](work)
    loss = float(step())
    first = time.perf_counter() - begin
    begin = time.perf_counter()
    step()
    count = max(1, int(seconds / 10 / max(time.perf_counter() - begin, 1e-7)))
    times = []
    for _ in range(10):
        begin = time.perf_counter()
        for _ in range(count):
            step()
        times.append((time.perf_counter() - begin) / count)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"step": statistics.median(times), "first": first, "loss": loss, "MB": memory}


def products():
    """Return the seconds of mnist's matrix products alone, by NumPy."""
    sizes, batch, _ = MLP["mnist"]
    pairs = []
    for a, b in itertools.pairwise(sizes):
        pairs += [((batch, a), (a, b)), ((a, batch), (batch, b))]
        pairs += [((batch, b), (b, a))] if a != sizes[0] else []
    given = [(np.ones(a, np.float32), np.ones(b, np.float32)) for a, b in pairs]
    results = [np.empty((a.shape[0], b.shape[1]), np.float32) for a, b in given]
    times = []
    for _ in range(50):
        begin = time.perf_counter()
        for (a, b), c in zip(given, results, strict=True):
            np.matmul(a, b, out=c)
        times.append(time.perf_counter() - begin)
    return {"step": statistics.median(times), "first": 0.0, "loss": 0.0, "MB": 0.0}


def compare(work, turns, names, pythons):
    """Return the medians of all who take part, a process each, in turns.

    Each has a process of its own, since the idle threads of one would spin on the other's cores.
    """
    found = {name: [] for name in ("graphgrad", *names)}
    environment = {k: v for k, v in os.environ.items() if k not in DISGUISES}
    if work == "mnist":
        found["products alone"] = []
    for _ in range(turns):
        for name, rows in found.items():
            python = pythons.get(name, sys.executable)
            command = [python, __file__, "--one", name, work]
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, env=environment
            )
            if done.returncode == 0:
                rows.append(json.loads(done.stdout.splitlines()[-1]))
    found = {name: rows for name, rows in found.items() if rows}
    step = {n: statistics.median(r["step"] for r in rows) for n, rows in found.items()}
    return {
        "work": work,
        "step_us": {n: round(t * 1e6, 1) for n, t in step.items()},
        "times_faster": {n: round(t / step["graphgrad"], 2) for n, t in step.items()},
        "first_call_s": {n: [round(r["first"], 2) for r in rows] for n, rows in found.items()},
        "first_loss": {n: round(rows[0]["loss"], 5) for n, rows in found.items()},
        "process_MB": {n: round(max(r["MB"] for r in rows)) for n, rows in found.items()},
    }


def main():
    """Run the works named on the command line, all by default."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("works", nargs="*", default=[])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--python", action="append", default=[], metavar="NAME=PATH")
    parser.add_argument("--one", metavar="NAME", help="measure only this one, in this process")
    arguments = parser.parse_args()
    if arguments.one:
        (work,) = arguments.works
        alone = arguments.one == "products alone"
        sys.stdout.write(json.dumps(products() if alone else measure(work, arguments.one)) + "\n")
        return
    names = [n for n in arguments.peers.split(",") if n in PEERS]
    pythons = dict(pair.split("=", 1) for pair in arguments.python)
    if not arguments.json:
        show(about(["graphgrad", "numpy", "numba", "torch", "jax"]))
    for work in arguments.works or WORKS:
        row = compare(work, arguments.turns, names, pythons)
        if arguments.json:
            sys.stdout.write(json.dumps(row) + "\n")
        else:
            sys.stdout.write(f"{work}\n")
            for key in list(row)[1:]:
                sys.stdout.write(f"  {key}: {row[key]}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
