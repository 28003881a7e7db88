"""The works of `cpu.py` in the libraries a user would take instead, and by hand.

Nothing here imports graphgrad. Every function takes the name of a work and returns a function that
makes one step and returns the loss.
"""

from __future__ import annotations

import itertools

import numpy as np

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
    if work == "gmm":
        shapes = [(25,), (25, 10), (25, 55), (1000, 10)]
        return [rng.standard_normal(s) * (0.1 if s == (25, 55) else 1.0) for s in shapes]
    if work == "lstm":
        sequence = (rng.random((33, 14)) < 0.3).astype(float)
        return [rng.standard_normal(s) for s in [(4, 56), (3, 14), (4, 14)]] + [sequence]
    kernels = [normal(16, 1, 3, 3) * np.float32(0.2), np.zeros(16, np.float32)]
    kernels += [normal(32, 16, 3, 3) * np.float32(0.1), np.zeros(32, np.float32)]
    kernels += [normal(32 * 7 * 7, 10) * np.float32(0.02), np.zeros(10, np.float32)]
    return normal(64, 1, 28, 28), rng.integers(0, 10, 64), kernels


def softmax_loss(z, y):
    """Return the mean cross-entropy and its derivative by z."""
    z = z - z.max(1, keepdims=True)
    p = np.exp(z)
    p /= p.sum(1, keepdims=True)
    loss = -np.log(p[np.arange(len(y)), y]).mean()
    p[np.arange(len(y)), y] -= 1
    return loss, p / np.float32(len(y))


def numpy_step(work):
    """Return the step written by hand."""
    x, y, parameters = data(work)
    if work == "chain":

        def chain():
            t, e = np.tanh(x), np.exp(-x * x)
            s = 1 / (1 + np.exp(-x))
            total = (t * s + e).sum()
            _ = (1 - t * t) * s + t * s * (1 - s) - 2 * x * e
            return total

        return chain
    adam = MLP[work][2] == "adam"
    state = [(np.zeros_like(p), np.zeros_like(p)) for p in parameters]
    clock = [0]

    def step():
        hidden = [x]
        for k in range(0, len(parameters) - 2, 2):
            hidden.append(np.maximum(hidden[-1] @ parameters[k] + parameters[k + 1], 0))
        z = hidden[-1] @ parameters[-2] + parameters[-1]
        if work == "moons":
            v = z[:, 0]
            loss = (np.maximum(v, 0) - v * y + np.log1p(np.exp(-abs(v)))).mean()
            g = ((1 / (1 + np.exp(-v)) - y) / np.float32(len(y)))[:, None]
        else:
            loss, g = softmax_loss(z, y)
        gradients = []
        for k in range(len(parameters) - 2, -1, -2):
            h = hidden[k // 2]
            gradients += [g.sum(0), h.T @ g]
            if k:
                g = (g @ parameters[k].T) * (h > 0)
        clock[0] += 1
        t = clock[0]
        for p, (m, v), d in zip(parameters, state, gradients[::-1], strict=True):
            if not adam:
                p -= np.float32(0.01) * d
                continue
            m += np.float32(0.1) * (d - m)
            v += np.float32(0.001) * (d * d - v)
            rate = np.float32(RATE * np.sqrt(1 - 0.999**t) / (1 - 0.9**t))
            p -= rate * m / (np.sqrt(v) + np.float32(1e-8))
        return loss

    return step


def micrograd_step(work):
    """Return the step of a network of single numbers in micrograd."""
    from micrograd.nn import MLP as Network  # noqa: N811 (another of that name is here)

    if work != "neurons":
        raise NotImplementedError
    x, y, _ = data("moons")
    network = Network(2, [16, 16, 1])

    def step():
        outputs = [network([float(v) for v in row]) for row in x]
        total = sum(
            ((1 + (-z).exp()).log() if hasattr(z, "exp") else (1 + -2 * (t - 0.5) * z).relu())
            for z, t in zip(outputs, y.tolist(), strict=True)
        )
        loss = total * (1.0 / len(x))
        network.zero_grad()
        loss.backward()
        for p in network.parameters():
            p.data -= 0.01 * p.grad
        return loss.data

    return step


def pytensor_step(work):
    """Return the step in PyTensor, compiled by Numba."""
    import pytensor
    import pytensor.tensor as pt

    x, y, start = data(work)
    if work == "chain":
        X = pytensor.shared(x)
        total = (pt.tanh(X) * pt.sigmoid(X) + pt.exp(-X * X)).sum()
        f = pytensor.function([], [total, pt.grad(total, X)], mode="NUMBA")
        return lambda: f()[0]
    if work not in MLP:
        raise NotImplementedError
    X, P = pytensor.shared(x), [pytensor.shared(p) for p in start]
    h = X
    for W, b in zip(P[0:-2:2], P[1:-2:2], strict=True):
        h = pt.maximum(h @ W + b, np.float32(0))
    z = h @ P[-2] + P[-1]
    if work == "moons":
        v, Y = z[:, 0], pytensor.shared(y)
        loss = (pt.maximum(v, np.float32(0)) - v * Y + pt.log1p(pt.exp(-abs(v)))).mean()
    else:
        Y = pytensor.shared(np.eye(start[-1].shape[0], dtype=np.float32)[y])
        loss = -(Y * pt.special.log_softmax(z, axis=1)).sum(1).mean()
    updates = []
    if MLP[work][2] == "adam":
        t = pytensor.shared(np.float32(0))
        now = t + np.float32(1)
        updates.append((t, now))
        rate = np.float32(RATE) * pt.sqrt(1 - np.float32(0.999) ** now)
        rate = rate / (1 - np.float32(0.9) ** now)
    for p, d in zip(P, pt.grad(loss, P), strict=True):
        if MLP[work][2] != "adam":
            updates.append((p, p - np.float32(0.01) * d))
            continue
        m, v = (pytensor.shared(np.zeros_like(p.get_value())) for _ in range(2))
        m1 = np.float32(0.9) * m + np.float32(0.1) * d
        v1 = np.float32(0.999) * v + np.float32(0.001) * d * d
        updates += [(m, m1), (v, v1), (p, p - rate * m1 / (pt.sqrt(v1) + np.float32(1e-8)))]
    f = pytensor.function([], loss, updates=updates, mode="NUMBA")
    return lambda: f()


def torch_step(work, compiled=False):
    """Return the step in PyTorch, eager or with the loss compiled."""
    import torch
    from torch.nn import functional as F  # noqa: N812 (its usual name)

    torch.set_num_threads(2)
    ready = torch.compile if compiled else lambda f: f
    if work in ("gmm", "lstm"):
        objective, variables = torch_objective(work)
        for v in variables:
            v.requires_grad_()
        objective = ready(objective)

        def value_and_gradient():
            for v in variables:
                v.grad = None
            value = objective()
            value.backward()
            return value.item()

        return value_and_gradient
    if work == "neurons":
        raise NotImplementedError
    x, y, start = data(work)
    X = torch.tensor(x)
    if work == "chain":
        X.requires_grad_()
        f = ready(lambda: (torch.tanh(X) * torch.sigmoid(X) + torch.exp(-X * X)).sum())

        def chain():
            X.grad = None
            total = f()
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

    loss_of = ready(forward)

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def jax_step(work):
    """Return the step in JAX, jitted."""
    import jax
    import jax.numpy as jnp

    if work in ("gmm", "lstm"):
        objective, variables = jax_objective(work)
        both = jax.jit(jax.value_and_grad(objective))
        return lambda: jax.block_until_ready(both(variables))[0]
    if work == "neurons":
        raise NotImplementedError
    x, y, start = data(work)
    if work == "chain":
        f = jax.jit(
            jax.value_and_grad(lambda a: (jnp.tanh(a) * jax.nn.sigmoid(a) + jnp.exp(-a * a)).sum())
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


def wishart(k, d):
    """Return what ADBench's prior subtracts: k times a constant, for γ = 1 and m = 0."""
    from scipy.special import multigammaln

    dof = d + 1
    return k * (-0.5 * dof * d * np.log(2) - float(multigammaln(0.5 * dof, d)))


def torch_objective(work):
    """Return an objective of ADBench in PyTorch, and its variables."""
    import torch

    arrays = [torch.tensor(a) for a in data(work)]
    if work == "gmm":
        alphas, means, icf, x = arrays
        (n, d), k = x.shape, len(alphas)
        columns, rows = np.triu_indices(d, 1)
        constant = wishart(k, d)
        at = (torch.arange(k)[:, None], torch.tensor(rows)[None], torch.tensor(columns)[None])

        def gmm():
            q = icf[:, :d]
            lower = torch.zeros(k, d, d, dtype=torch.float64).index_put(at, icf[:, d:])
            centered = x.T[None] - means[:, :, None]
            whitened = lower @ centered + torch.exp(q)[:, :, None] * centered
            logits = (alphas + q.sum(1))[:, None] - 0.5 * (whitened**2).sum(1)
            prior = 0.5 * ((torch.exp(q) ** 2).sum() + (icf[:, d:] ** 2).sum())
            fit = torch.logsumexp(logits, 0).sum() - n * torch.logsumexp(alphas, 0)
            return fit - 0.5 * n * d * np.log(2 * np.pi) + prior - constant

        return gmm, arrays[:3]
    main, extra, start, sequence = arrays

    def lstm():
        state, terms, b = list(start), [], sequence.shape[1]
        for now, following in itertools.pairwise(sequence):
            signal = now * extra[0]
            for k in range(2):
                hidden, memory = state[2 * k], state[2 * k + 1]
                gates = torch.cat([signal, hidden, signal, hidden]) * main[2 * k] + main[2 * k + 1]
                forget, take_in, give_out = torch.sigmoid(gates[: 3 * b]).reshape(3, b)
                memory = memory * forget + take_in * torch.tanh(gates[3 * b :])
                signal = give_out * torch.tanh(memory)
                state[2 * k], state[2 * k + 1] = signal, memory
            y = signal * extra[1] + extra[2]
            terms.append((following * (y - torch.log(2 + torch.exp(y).sum()))).sum())
        return -torch.stack(terms).sum() / (len(terms) * b)

    return lstm, [main, extra]


def jax_objective(work):
    """Return the same in JAX, as a function of its variables."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    arrays = [jnp.asarray(a) for a in data(work)]
    if work == "gmm":
        x = arrays[3]
        n, d = x.shape
        columns, rows = np.triu_indices(d, 1)
        constant = wishart(25, d)

        def gmm(variables):
            alphas, means, icf = variables
            q = icf[:, :d]
            lower = jnp.zeros((len(alphas), d, d)).at[:, rows, columns].set(icf[:, d:])
            centered = x.T[None] - means[:, :, None]
            whitened = lower @ centered + jnp.exp(q)[:, :, None] * centered
            logits = (alphas + q.sum(1))[:, None] - 0.5 * (whitened**2).sum(1)
            prior = 0.5 * ((jnp.exp(q) ** 2).sum() + (icf[:, d:] ** 2).sum())
            fit = jax.nn.logsumexp(logits, 0).sum() - n * jax.nn.logsumexp(alphas)
            return fit - 0.5 * n * d * np.log(2 * np.pi) + prior - constant

        return gmm, arrays[:3]
    start, sequence = arrays[2:]

    def lstm(variables):
        main, extra = variables
        b = sequence.shape[1]

        def step(state, pair):
            now, following = pair
            signal, new = now * extra[0], []
            for k in range(2):
                hidden, memory = state[2 * k], state[2 * k + 1]
                gates = jnp.concatenate([signal, hidden, signal, hidden]) * main[2 * k]
                gates = gates + main[2 * k + 1]
                forget, take_in, give_out = jax.nn.sigmoid(gates[: 3 * b]).reshape(3, b)
                memory = memory * forget + take_in * jnp.tanh(gates[3 * b :])
                signal = give_out * jnp.tanh(memory)
                new += [signal, memory]
            y = signal * extra[1] + extra[2]
            return jnp.stack(new), (following * (y - jnp.log(2 + jnp.exp(y).sum()))).sum()

        _, terms = jax.lax.scan(step, start, (sequence[:-1], sequence[1:]))
        return -terms.sum() / (len(terms) * b)

    return lstm, arrays[:2]


PEERS = {
    "torch eager": torch_step,
    "torch.compile": lambda work: torch_step(work, compiled=True),
    "jax.jit": jax_step,
    "pytensor": pytensor_step,
    "numpy": numpy_step,
    "micrograd": micrograd_step,
}
