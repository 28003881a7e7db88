"""Small data sets to learn with: moons, circles, spirals, XOR, blobs, pass or fail, digits.

Each function returns ``(X, y)``: examples in rows, and their classes, in random order. The same
seed gives the same numbers. `split` sets examples aside for testing.
"""

from __future__ import annotations

import gzip
import math
from importlib import resources
from typing import Any

import numpy as np

from graphgrad.errors import GraphError, ShapeError

__all__ = ["blobs", "circles", "digits", "moons", "pass_fail", "spirals", "split", "xor"]

Arrays = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]


def moons(n: int = 200, noise: float = 0.1, seed: int = 0) -> Arrays:
    """Return two half circles that reach into each other, one class each.

    Args:
        n: number of examples, at least 2.
        noise: standard deviation of what is added to both coordinates.
        seed: of the random numbers.

    Returns:
        X of shape (n, 2), float64, and y of shape (n,), int64, 0 or 1.

    Example:
        >>> X, y = moons(6, noise=0)
        >>> X.shape, sorted(y.tolist())
        ((6, 2), [0, 0, 0, 1, 1, 1])
    """
    random, y = _start(n, 2, noise, seed)
    angle = math.pi * _even(random, y, 2)
    upper = np.stack([np.cos(angle), np.sin(angle)], 1)
    lower = np.stack([1 - np.cos(angle), 0.5 - np.sin(angle)], 1)
    return _noisy(random, np.where(y[:, None] == 0, upper, lower), y, noise)


def circles(n: int = 200, noise: float = 0.05, factor: float = 0.5, seed: int = 0) -> Arrays:
    """Return a circle (class 0) around another (class 1).

    Args:
        n: number of examples, at least 2.
        noise: standard deviation of what is added to both coordinates.
        factor: radius of the inner circle; the outer one has radius 1.
        seed: of the random numbers.

    Returns:
        X of shape (n, 2), float64, and y of shape (n,), int64, 0 or 1.

    Example:
        >>> X, y = circles(100, noise=0)
        >>> sorted(set(np.hypot(*X.T).round(6).tolist()))
        [0.5, 1.0]
    """
    random, y = _start(n, 2, noise, seed)
    angle = 2 * math.pi * random.random(n)
    radius = np.where(y == 0, 1.0, factor)
    return _noisy(random, radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1), y, noise)


def spirals(
    n: int = 300, noise: float = 0.03, classes: int = 2, turns: float = 1.5, seed: int = 0
) -> Arrays:
    """Return arms that wind around each other, one class each.

    Args:
        n: number of examples, at least one per class.
        noise: standard deviation of what is added to both coordinates.
        classes: number of arms.
        turns: how often an arm goes round.
        seed: of the random numbers.

    Returns:
        X of shape (n, 2), float64, within a circle of radius 1 but for the noise, and y of shape
        (n,), int64, 0 to classes − 1.

    Example:
        >>> X, y = spirals(9, classes=3)
        >>> X.shape, np.bincount(y).tolist()
        ((9, 2), [3, 3, 3])
    """
    random, y = _start(n, classes, noise, seed)
    along = 0.1 + 0.9 * _even(random, y, classes)
    angle = 2 * math.pi * (turns * along + y / classes)
    return _noisy(random, along[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1), y, noise)


def xor(n: int = 4, noise: float = 0.0, seed: int = 0) -> Arrays:
    """Return the corners of the unit square and whether their coordinates differ.

    Args:
        n: number of examples; the corners take turns, the first four in order.
        noise: standard deviation of what is added to both coordinates.
        seed: of the random numbers.

    Returns:
        X of shape (n, 2), float64, and y of shape (n,), int64, 0 or 1.

    Example:
        >>> X, y = xor()
        >>> X.tolist(), y.tolist()
        ([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [0, 1, 1, 0])
    """
    random, _ = _start(n, 1, noise, seed)
    corner = np.arange(n) % 4
    X = np.stack([corner // 2, corner % 2], 1)
    return X + noise * random.standard_normal(X.shape), np.bitwise_xor(*X.T).astype(np.int64)


def blobs(
    n: int = 300, classes: int = 3, features: int = 2, spread: float = 1.0, seed: int = 0
) -> Arrays:
    """Return round clouds, one class each, with centres drawn from [−6, 6].

    Args:
        n: number of examples, at least one per class.
        classes: number of clouds.
        features: number of coordinates.
        spread: standard deviation of a cloud.
        seed: of the random numbers.

    Returns:
        X of shape (n, features), float64, and y of shape (n,), int64, 0 to classes − 1.

    Example:
        >>> X, y = blobs(10, classes=2, features=5)
        >>> X.shape, np.bincount(y).tolist()
        ((10, 5), [5, 5])
    """
    random, y = _start(n, classes, spread, seed)
    centres = random.uniform(-6, 6, (classes, features))
    return _noisy(random, centres[y], y, spread)


def pass_fail(n: int = 200, noise: float = 0.5, seed: int = 0) -> Arrays:
    """Return the students of lesson 14: who passes the class?

    Passing takes lectures and project, and neither alone: a student passes when
    lectures · (hours + 2) is above 22, but for the noise.

    Args:
        n: number of students.
        noise: how far chance moves a student, in lectures and in hours.
        seed: of the random numbers.

    Returns:
        X of shape (n, 2), float64: lectures attended, 0 to 10, and hours spent on the final
        project, 0 to 12; y of shape (n,), int64: 1 for pass, 0 for fail.

    Example:
        >>> X, y = pass_fail(200)
        >>> X[y == 1].mean(0) > X[y == 0].mean(0)
        array([ True,  True])
    """
    random, _ = _start(n, 1, noise, seed)
    lectures, hours = random.integers(0, 11, n), random.uniform(0, 12, n).round(1)
    moved = random.normal(0, noise, (2, n))
    passes = (lectures + moved[0]) * (hours + moved[1] + 2) > 22
    return np.stack([lectures, hours], 1).astype(float), passes.astype(np.int64)


def digits() -> Arrays:
    """Return 1797 handwritten digits, 8×8 pixels: UCI's optical digits, really written by people.

    E. Alpaydin and C. Kaynak 1998, UCI Machine Learning Repository, doi:10.24432/C50P49, licensed
    under CC BY 4.0; cite their "Cascading classifiers", Kybernetika 34(4), 369–374. The order is
    that of the repository, where one writer follows another: `split` mixes them.

    Returns:
        X of shape (1797, 8, 8), float64, from 0 (paper) to 1 (ink), and y of shape (1797,),
        int64, 0 to 9.

    Example:
        >>> X, y = digits()
        >>> X.shape, y[:10].tolist()
        ((1797, 8, 8), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    """
    file = resources.files("graphgrad") / "nn" / "data" / "digits.npy.gz"
    with file.open("rb") as packed, gzip.open(packed) as opened:
        table = np.load(opened, allow_pickle=False)
    return table[:, :64].reshape(-1, 8, 8) / 16, table[:, 64].astype(np.int64)


def split(X: Any, y: Any, test: float = 0.2, seed: int = 0) -> tuple[Any, Any, Any, Any]:
    """Return the examples in two random parts, each class shared as evenly as it goes.

    Args:
        X: examples in rows.
        y: as many targets; numbers that are not whole count as one class.
        test: share of the second part, between 0 and 1.
        seed: of the random order.

    Returns:
        ``X_train, X_test, y_train, y_test``.

    Example:
        >>> X_train, X_test, y_train, y_test = split(*digits(), test=0.25)
        >>> len(X_train), len(X_test), np.bincount(y_test).tolist()
        (1348, 449, [45, 45, 44, 46, 45, 46, 45, 45, 43, 45])
    """
    X, y = np.asarray(X), np.asarray(y)
    if len(X) != len(y):
        raise ShapeError(f"split: {len(X)} examples but {len(y)} targets; expected as many")
    if not 0 < test < 1:
        raise GraphError(f"split: test={test!r}; expected a share between 0 and 1")
    order = np.random.default_rng(seed).permutation(len(X))
    if y.ndim == 1 and y.dtype.kind in "iubU":
        order = order[np.argsort(y[order], kind="stable")]
    # Where the running total of the share passes a whole number an example is set aside, so each
    # stretch of the order, which is to say each class, gives its share to within one.
    aside = np.diff(np.floor(np.arange(len(X) + 1) * test + 0.5)) > 0
    mixed = np.random.default_rng([seed, 1]).permutation
    train, tested = mixed(order[~aside]), mixed(order[aside])
    return X[train], X[tested], y[train], y[tested]


def _start(n: int, classes: int, noise: float, seed: int) -> tuple[np.random.Generator, Any]:
    if n < classes:
        raise GraphError(f"n={n}: expected at least {classes}, one example per class")
    if not noise >= 0:
        raise GraphError(f"noise {noise!r}: expected 0 or a positive number")
    random = np.random.default_rng(seed)
    return random, random.permutation(np.arange(n) % classes)


def _even(random: np.random.Generator, y: Any, classes: int) -> Any:
    """Return numbers from 0 to 1, evenly spaced within each class, in random order."""
    place = np.empty(len(y))
    for k in range(classes):
        place[y == k] = random.permutation(np.linspace(0, 1, np.count_nonzero(y == k)))
    return place


def _noisy(random: np.random.Generator, X: Any, y: Any, noise: float) -> Arrays:
    return X + noise * random.standard_normal(X.shape), y
