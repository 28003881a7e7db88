"""Gaussian mixture: the log-likelihood of points, with a Wishart prior on the precisions.

Each component k has an inverse covariance QᵀQ with Q = L + diag(exp q), L strictly lower
triangular, so that no constraint is left on the parameters (section 4.1 of the ADBench paper).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.special import multigammaln

import graphgrad as gg


def objective(
    alphas: Any, means: Any, icf: Any, x: Any, gamma: float, m: int, sign: int = 1
) -> Any:
    """Return the log-likelihood plus ``sign`` times what ADBench adds for the prior.

    Args:
        alphas: logits of the weights, shape (k,).
        means: shape (k, d).
        icf: q, then the columns of L below the diagonal, shape (k, d (d + 1) / 2).
        x: points, shape (n, d).
        gamma, m: the prior's parameters.
        sign: 1 as ADBench codes it; -1 for the prior's true sign.
    """
    n, d = x.shape
    q = icf[:, :d]
    centered = gg.expand_dims(x.T, 0) - gg.expand_dims(means, -1)  # (k, d, n)
    whitened = lower(icf[:, d:], d) @ centered + gg.expand_dims(gg.exp(q), -1) * centered
    weights = alphas + gg.sum(q, axis=1)
    logits = gg.expand_dims(weights, -1) - 0.5 * gg.sum(gg.square(whitened), axis=1)  # (k, n)
    fit = gg.sum(gg.logsumexp(logits, axis=0)) - n * gg.logsumexp(alphas)
    return fit - 0.5 * n * d * math.log(2 * math.pi) + sign * prior(icf, d, gamma, m)


def lower(entries: Any, d: int) -> Any:
    """Return strictly lower triangular matrices, (k, d, d), from their columns, (k, d(d-1)/2)."""
    columns, rows = np.triu_indices(d, 1)
    flat = gg.scatter_add(entries, rows * d + columns, d * d, axis=1)
    return gg.reshape(flat, (-1, d, d))


def prior(icf: Any, d: int, gamma: float, m: int) -> Any:
    """Return ½γ² Σ|Q|² − m Σq − k C, with C the constant of the Wishart density."""
    q, below = icf[:, :d], icf[:, d:]
    squares = gg.sum(gg.square(gg.exp(q))) + gg.sum(gg.square(below))
    dof = d + m + 1
    constant = dof * d * (math.log(gamma) - 0.5 * math.log(2)) - multigammaln(0.5 * dof, d)
    return 0.5 * gamma**2 * squares - m * gg.sum(q) - icf.shape[0] * float(constant)
