"""The four objectives again, in plain NumPy and SciPy: one point at a time, as in a textbook.

Written apart from the graphs and by other formulas where there are some: SciPy's densities for
the mixture (`gmm`, real numbers only), the matrix exponential for rotations. `ba`, `hand_simple`,
`hand_complicated` and `lstm` also take complex numbers, so that `complex_step` differentiates
them to the last digit (Squire and Trapp 1998, SIAM Review 40, 110).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.linalg import expm
from scipy.special import log_softmax, logsumexp
from scipy.stats import multivariate_normal, wishart

STEP = 1e-30


def complex_step(function: Callable[[Any], Any], x: Any) -> Any:
    """Return the Jacobian of an analytic function, of shape ``function(x).shape + x.shape``."""
    columns = []
    for at in np.ndindex(x.shape):
        moved = x.astype(complex)
        moved[at] += STEP * 1j
        columns.append(np.imag(function(moved)) / STEP)
    return np.stack(columns, axis=-1).reshape((*np.shape(columns[0]), *x.shape))


# -- Gaussian mixture --------------------------------------------------------------------------


def gmm(alphas: Any, means: Any, icf: Any, x: Any, gamma: float, m: int, sign: int) -> float:
    """Return Σ log Σ_k π_k N(x; μ_k, (QᵀQ)⁻¹), minus sign · Σ log Wishart(QᵀQ; d+m+1, γ⁻² I)."""
    d = x.shape[1]
    prior = wishart(d + m + 1, np.eye(d) / gamma**2)
    fit = logsumexp(component_logs(alphas, means, icf, x), axis=0).sum()
    return float(fit - sign * sum(map(prior.logpdf, precisions(icf, d))))


def component_logs(alphas: Any, means: Any, icf: Any, x: Any) -> Any:
    """Return log π_k + log N(x_i; μ_k, (QᵀQ)⁻¹), shape (k, n)."""
    return np.array([
        log_pi + multivariate_normal(mean, np.linalg.inv(p)).logpdf(x)
        for log_pi, mean, p in zip(log_softmax(alphas), means, precisions(icf, x.shape[1]))
    ])  # fmt: skip


def precisions(icf: Any, d: int) -> list[Any]:
    """Return QᵀQ for each component."""
    return [q.T @ q for q in (_factor(row, d) for row in icf)]


def _factor(row: Any, d: int) -> Any:
    q = np.diag(np.exp(row[:d]))
    rest = iter(row[d:])
    for column in range(d):
        for below in range(column + 1, d):
            q[below, column] = next(rest)
    return q


# -- bundle adjustment -------------------------------------------------------------------------


def ba(cam: Any, point: Any, weight: Any, feature: Any) -> Any:
    """Return the reprojection errors, (n, 2)."""
    return np.array([_ba_one(*row) for row in zip(cam, point, weight, feature)])


def _ba_one(cam: Any, point: Any, weight: Any, feature: Any) -> Any:
    p = _turn(cam[0:3]) @ (point - cam[3:6])
    q = p[:2] / p[2]
    r2 = q @ q
    return weight * (cam[6] * q * (1 + cam[9] * r2 + cam[10] * r2**2) + cam[7:9] - feature)


def _turn(r: Any) -> Any:
    zero = 0 * r[0]
    return expm(np.array([[zero, -r[2], r[1]], [r[2], zero, -r[0]], [-r[1], r[0], zero]]))


# -- hand --------------------------------------------------------------------------------------

AXES = np.eye(3)


def hand_simple(theta: Any, model: Any, points: Any, correspondences: Any) -> Any:
    """Return points − vertices, (n, 3)."""
    posed = _posed(theta, model)
    return np.array([p - posed[k] for p, k in zip(points, correspondences)])


def hand_complicated(theta: Any, us: Any, model: Any, points: Any, correspondences: Any) -> Any:
    """Return points − places in triangles, (n, 3)."""
    posed = _posed(theta, model)
    rows = []
    for p, u, k in zip(points, us, correspondences):
        a, b, c = (posed[j] for j in model.triangles[k])
        rows.append(p - (u[0] * a + u[1] * b + (1 - u[0] - u[1]) * c))
    return np.array(rows)


def _posed(theta: Any, model: Any) -> Any:
    frames: list[Any] = []
    for bone, parent in enumerate(model.parents):
        local = np.eye(4, dtype=theta.dtype)
        local[:3, :3] = _joint(theta, bone)
        up = frames[parent] if parent >= 0 else np.eye(4)
        frames.append(up @ model.base_relatives[bone] @ local)
    turn, posed = _turn(theta[0:3]), []
    for position, weights in zip(model.base_positions, model.weights):
        pulls = zip(weights, frames, model.inverse_base_absolutes)
        place = sum(w * (frame @ (rest @ position)) for w, frame, rest in pulls)
        posed.append(turn @ place[:3] + theta[3:6])
    return posed


def _joint(theta: Any, bone: int) -> Any:
    """Return a bone's turn. Bone 0 is the wrist; then five fingers of four bones; the forearm."""
    finger, place = divmod(bone - 1, 4)
    if finger not in range(5) or place == 0:
        return np.eye(3)
    flexion = theta[6 + 4 * finger + (0, 0, 2, 3)[place]]
    abduction = theta[7 + 4 * finger] if place == 1 else 0.0
    return _turn(abduction * AXES[2]) @ _turn(flexion * AXES[0])


# -- LSTM --------------------------------------------------------------------------------------


def lstm(main: Any, extra: Any, state: Any, sequence: Any) -> Any:
    """Return minus the mean log-probability, with ADBench's log(2 + Σ eʸ)."""
    bits = sequence.shape[1]
    hidden, memory = list(state[0::2]), list(state[1::2])
    total = 0.0
    for now, following in pairwise(sequence):
        signal = now * extra[0]
        for k in range(len(hidden)):
            weight, bias = main[2 * k].reshape(4, bits), main[2 * k + 1].reshape(4, bits)
            forget = _sigmoid(weight[0] * signal + bias[0])
            take_in = _sigmoid(weight[1] * hidden[k] + bias[1])
            give_out = _sigmoid(weight[2] * signal + bias[2])
            memory[k] = memory[k] * forget + take_in * np.tanh(weight[3] * hidden[k] + bias[3])
            signal = hidden[k] = give_out * np.tanh(memory[k])
        y = signal * extra[1] + extra[2]
        total = total + (following * (y - np.log(2 + np.exp(y).sum()))).sum()
    return -total / ((len(sequence) - 1) * bits)


def _sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))
