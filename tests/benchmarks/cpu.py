"""Compiled training steps beside what a user would take instead, in one run, on the same numbers.

    python tests/benchmarks/cpu.py [moons digits mnist chain cnn] [--json]

Works: moons 2-16-16-1, batch 100, binary cross-entropy from logits, SGD; digits 64-100-100-10,
batch 32, and mnist 784-512-512-10, batch 128, softmax cross-entropy, Adam; chain Σ tanh x·σ(x) +
exp(−x²), value and gradient, 10⁶ numbers; cnn 28×28, conv16-pool-conv32-pool-dense10, batch 64,
SGD. All in float32, two threads; Adam's rate is 1e-6, so that no run drifts to loss 0, where
everybody would time subnormal numbers. Peers that are not installed are left out. Each has a
process of its own, in turns, graphgrad, peer, graphgrad, peer …; figures are medians, ratios of
medians. Threads wait for each other by spinning, so another busy process spoils every figure.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "2")

import numpy as np

import graphgrad as gg

MLP = {
    "moons": ([2, 16, 16, 1], 100, "sgd"),
    "digits": ([64, 100, 100, 10], 32, "adam"),
    "mnist": ([784, 512, 512, 10], 128, "adam"),
}
RATE = 1e-6


def data(work):
    """Return inputs, targets and parameters of a work."""
    rng = np.random.default_rng(0)

    def normal(*shape):
        return rng.standard_normal(shape).astype(np.float32)

    if work in MLP:
        sizes, batch, _ = MLP[work]
        x = normal(batch, sizes[0])
        y = rng.integers(0, max(sizes[-1], 2), batch)
        weights = [
            p
            for a, b in itertools.pairwise(sizes)
            for p in (normal(a, b) * np.float32(np.sqrt(2 / a)), np.zeros(b, np.float32))
        ]
        return x, y.astype(np.float32) if sizes[-1] == 1 else y, weights
    if work == "chain":
        return normal(1_000_000), None, []
    kernels = [normal(16, 1, 3, 3) * np.float32(0.2), np.zeros(16, np.float32)]
    kernels += [normal(32, 16, 3, 3) * np.float32(0.1), np.zeros(32, np.float32)]
    kernels += [normal(32 * 7 * 7, 10) * np.float32(0.02), np.zeros(10, np.float32)]
    return normal(64, 1, 28, 28), rng.integers(0, 10, 64), kernels


# -- graphgrad ---------------------------------------------------------------------------------


def adam(parameters, gradients):
    """Return Adam's updates as nodes (Kingma and Ba 2015)."""
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


# -- peers -------------------------------------------------------------------------------------


def torch_step(work):
    """Return the same step in PyTorch, eager."""
    import torch
    from torch.nn import functional as F  # noqa: N812 (its usual name)

    torch.set_num_threads(2)
    x, y, start = data(work)
    X = torch.tensor(x)
    if work == "chain":
        X.requires_grad_()

        def chain():
            X.grad = None
            total = (torch.tanh(X) * torch.sigmoid(X) + torch.exp(-X * X)).sum()
            total.backward()
            return total.item()

        return chain
    P = [torch.tensor(p).requires_grad_() for p in start]
    Y = torch.tensor(y)
    fused = work in ("digits", "mnist")
    optimizer = torch.optim.Adam(P, lr=RATE, fused=True) if fused else torch.optim.SGD(P, lr=0.01)

    def forward():
        h = X
        if work == "cnn":
            for k, b in ((P[0], P[1]), (P[2], P[3])):
                h = F.max_pool2d(torch.relu(F.conv2d(h, k, b, padding=1)), 2)
            return F.cross_entropy(h.flatten(1) @ P[4] + P[5], Y)
        for W, b in zip(P[0:-2:2], P[1:-2:2], strict=True):
            h = torch.relu(h @ W + b)
        z = h @ P[-2] + P[-1]
        if work == "moons":
            return F.binary_cross_entropy_with_logits(z[:, 0], Y)
        return F.cross_entropy(z, Y)

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = forward()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def jax_step(work):
    """Return the same step in JAX, jitted."""
    import jax
    import jax.numpy as jnp

    x, y, start = data(work)
    if work == "chain":
        f = jax.jit(
            jax.value_and_grad(
                lambda a: (jnp.tanh(a) * jax.nn.sigmoid(a) + jnp.exp(-a * a)).sum()
            )
        )
        a = jnp.asarray(x)
        return lambda: jax.block_until_ready(f(a))[0]
    X, Y, state = jnp.asarray(x), jnp.asarray(y), [[jnp.asarray(p) for p in start]]

    def loss_of(P):
        h = X
        if work == "cnn":
            for k, b in ((P[0], P[1]), (P[2], P[3])):
                h = jax.lax.conv_general_dilated(h, k, (1, 1), "SAME") + b[:, None, None]
                h = jax.nn.relu(h)
                h = jax.lax.reduce_window(
                    h, -jnp.inf, jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID"
                )
            z = h.reshape(h.shape[0], -1) @ P[4] + P[5]
        else:
            for W, b in zip(P[0:-2:2], P[1:-2:2], strict=True):
                h = jax.nn.relu(h @ W + b)
            z = h @ P[-2] + P[-1]
        if work == "moons":
            z = z[:, 0]
            return (jnp.maximum(z, 0) - z * Y + jnp.log1p(jnp.exp(-abs(z)))).mean()
        return -(jax.nn.one_hot(Y, 10) * jax.nn.log_softmax(z)).sum(1).mean()

    if work in ("digits", "mnist"):
        zeros = [jnp.zeros_like(p) for p in state[0]]
        full = [(jnp.float32(0), state[0], zeros, zeros)]

        @jax.jit
        def update(t, P, M, V):
            loss, G = jax.value_and_grad(loss_of)(P)
            t = t + 1
            M = [0.9 * m + 0.1 * g for m, g in zip(M, G, strict=True)]
            V = [0.999 * v + 0.001 * g * g for v, g in zip(V, G, strict=True)]
            rate = RATE * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
            P = [p - rate * m / (jnp.sqrt(v) + 1e-8) for p, m, v in zip(P, M, V, strict=True)]
            return loss, (t, P, M, V)

        def step():
            loss, full[0] = update(*full[0])
            return loss.block_until_ready()

        return step

    @jax.jit
    def sgd(P):
        loss, G = jax.value_and_grad(loss_of)(P)
        return loss, [p - 0.01 * g for p, g in zip(P, G, strict=True)]

    def plain_step():
        loss, state[0] = sgd(state[0])
        return loss.block_until_ready()

    return plain_step


PEERS = {"torch eager": torch_step, "jax.jit": jax_step}


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
    return {"step": statistics.median(times), "first": first, "loss": loss}


def compare(work, turns):
    """Return the medians of all who take part, a process each, in turns.

    Each has a process of its own, since the idle threads of one would spin on the other's cores.
    """
    found = {name: [] for name in ("graphgrad", *PEERS)}
    for _ in range(turns):
        for name, rows in found.items():
            command = [sys.executable, __file__, "--one", name, work]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode == 0:
                rows.append(json.loads(done.stdout))
    found = {name: rows for name, rows in found.items() if rows}
    step = {n: statistics.median(r["step"] for r in rows) for n, rows in found.items()}
    return {
        "work": work,
        "step_us": {n: round(t * 1e6, 1) for n, t in step.items()},
        "times_faster": {n: round(t / step["graphgrad"], 2) for n, t in step.items()},
        "first_call_s": {n: [round(r["first"], 2) for r in rows] for n, rows in found.items()},
        "first_loss": {n: round(rows[0]["loss"], 5) for n, rows in found.items()},
    }


def main():
    """Run the works named on the command line, all by default."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("works", nargs="*", default=[])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--one", metavar="NAME", help="measure only this one, in this process")
    arguments = parser.parse_args()
    if arguments.one:
        sys.stdout.write(json.dumps(measure(arguments.works[0], arguments.one)))
        return
    for work in arguments.works or [*MLP, "chain", "cnn"]:
        row = compare(work, arguments.turns)
        if arguments.json:
            sys.stdout.write(json.dumps(row) + "\n")
        else:
            sys.stdout.write(f"{work}\n")
            for key in ("step_us", "times_faster", "first_call_s", "first_loss"):
                sys.stdout.write(f"  {key}: {row[key]}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
