"""Small inputs of the tests' own for ADBench's objectives, drawn from a seed.

`PROBLEMS` lists them: the inputs to differentiate towards, the graph, and the same in NumPy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from . import ba, gmm, hand, lstm, reference


class Problem(NamedTuple):
    """One objective on one set of inputs: `graph(*nodes)` and `numpy(*arrays)` must agree."""

    name: str
    inputs: dict[str, Any]
    graph: Callable[..., Any]
    numpy: Callable[..., Any]
    analytic: bool = True  # whether `numpy` takes complex numbers


def mixture(sign: int) -> Problem:
    """Return a mixture of 3 Gaussians in 3 dimensions, 6 points."""
    r = np.random.default_rng(1)
    k, d, n = 3, 3, 6
    inputs = {
        "alphas": r.normal(size=k),
        "means": r.normal(size=(k, d)),
        "icf": 0.5 * r.normal(size=(k, d * (d + 1) // 2)),
    }
    fixed = (r.normal(size=(n, d)), 0.8, 2, sign)
    return Problem(
        f"gmm {sign:+d}",
        inputs,
        lambda *v: gmm.objective(*v, *fixed),
        lambda *v: reference.gmm(*v, *fixed),
        analytic=False,
    )


def bundle(still: bool = False) -> Problem:
    """Return 4 observations; the first camera is not turned at all when `still`."""
    r = np.random.default_rng(2)
    n = 4
    cam = np.concatenate([
        r.normal(size=(n, 3)), r.normal(size=(n, 3)), 5 + r.random((n, 1)),
        r.normal(size=(n, 2)), 0.1 * r.normal(size=(n, 2)),
    ], axis=1)  # fmt: skip
    if still:
        cam[0, :3] = 0
    inputs = {"cam": cam, "X": r.normal(size=(n, 3)), "w": r.random(n)}
    feature = r.normal(size=(n, 2))
    return Problem(
        "ba, one still" if still else "ba",
        inputs,
        lambda *v: ba.reprojection_error(*v, feature),
        lambda *v: reference.ba(*v, feature),
    )


def hand_model(r: np.random.Generator, vertices: int = 9) -> hand.Model:
    """Return a hand with the benchmark's bones, few vertices, and random shape."""
    base = np.tile(np.eye(4), (hand.BONES, 1, 1))
    base[:, :3] += 0.3 * r.normal(size=(hand.BONES, 3, 4))
    weights = r.random((vertices, hand.BONES)) * (r.random((vertices, hand.BONES)) < 0.3)
    return hand.Model(
        parents=np.array([-1, *(0 if b % 4 == 1 else b - 1 for b in range(1, hand.BONES))]),
        base_relatives=base,
        inverse_base_absolutes=np.linalg.inv(base),
        base_positions=np.concatenate([r.normal(size=(vertices, 3)), np.ones((vertices, 1))], 1),
        weights=weights,
        triangles=np.array([r.permutation(vertices)[:3] for _ in range(5)]),
    )


def simple_hand() -> Problem:
    """Return 3 points paired with vertices."""
    r = np.random.default_rng(3)
    fixed = (hand_model(r), r.normal(size=(3, 3)), np.array([0, 4, 8]))
    return Problem(
        "hand, simple",
        {"theta": 0.5 * r.normal(size=26)},
        lambda theta: hand.simple(theta, *fixed),
        lambda theta: reference.hand_simple(theta, *fixed),
    )


def complicated_hand() -> Problem:
    """Return 3 points paired with places in triangles."""
    r = np.random.default_rng(4)
    fixed = (hand_model(r), r.normal(size=(3, 3)), np.array([0, 4, 2]))
    return Problem(
        "hand, complicated",
        {"theta": 0.5 * r.normal(size=26), "us": r.random((3, 2))},
        lambda theta, us: hand.complicated(theta, us, *fixed),
        lambda theta, us: reference.hand_complicated(theta, us, *fixed),
    )


def text(layers: int = 2, bits: int = 3, characters: int = 5) -> Problem:
    """Return a text of random bits."""
    r = np.random.default_rng(5)
    inputs = {
        "main": r.normal(size=(2 * layers, 4 * bits)),
        "extra": r.normal(size=(3, bits)),
        "state": r.normal(size=(2 * layers, bits)),
    }
    sequence = r.integers(0, 2, (characters, bits)).astype(float)
    return Problem(
        "lstm",
        inputs,
        lambda *v: lstm.objective(*v, sequence),
        lambda *v: reference.lstm(*v, sequence),
    )


PROBLEMS = [
    mixture(1),
    mixture(-1),
    bundle(),
    bundle(still=True),
    simple_hand(),
    complicated_hand(),
    text(),
]
