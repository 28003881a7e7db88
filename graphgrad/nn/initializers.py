"""First values of parameters: uniform, normal, constant. Numbers from seed and counter only.

``fan_in`` and ``fan_out`` are the numbers of signals that come into a unit and go out of one: for
a dense layer its inputs and units, for a convolution these times the entries of a kernel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphgrad.functions import random_normal
from graphgrad.nn.naming import Configurable, choose
from graphgrad.ops.random import random_uniform
from graphgrad.shapes import Shape

__all__ = [
    "Constant", "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "Initializer", "Ones",
    "RandomNormal", "RandomUniform", "Zeros",
]  # fmt: skip


class Initializer(Configurable):
    """What gives a parameter its first value: ``initializer(shape, fans, seed)``."""

    def __call__(self, shape: Shape, fans: tuple[int, int], seed: int) -> Any:
        """Return an array of `shape`; `fans` are fan_in and fan_out."""
        raise NotImplementedError


@dataclass(eq=False, repr=False)
class Constant(Initializer):
    """The same number everywhere."""

    value: float = 0.0

    def __call__(self, shape: Shape, fans: tuple[int, int], seed: int) -> Any:
        """Return an array full of the number."""
        return np.full(shape, self.value)


class Zeros(Initializer):
    """Zeros: for biases."""

    def __call__(self, shape: Shape, fans: tuple[int, int], seed: int) -> Any:
        """Return zeros."""
        return np.zeros(shape)


class Ones(Initializer):
    """Ones: for scales."""

    def __call__(self, shape: Shape, fans: tuple[int, int], seed: int) -> Any:
        """Return ones."""
        return np.ones(shape)


@dataclass(eq=False, repr=False)
class RandomNormal(Initializer):
    """Numbers from N(mean, stddev²)."""

    mean: float = 0.0
    stddev: float = 0.05

    def __call__(self, shape: Shape, fans: tuple[int, int], seed: int) -> Any:
        """Return normal numbers."""
        return self.mean + self.stddev * random_normal(0, shape, seed)


@dataclass(eq=False, repr=False)
class RandomUniform(Initializer):
    """Numbers uniform in [minval, maxval)."""

    minval: float = -0.05
    maxval: float = 0.05

    def __call__(self, shape: Shape, fans: tuple[int, int], seed: int) -> Any:
        """Return uniform numbers."""
        return self.minval + (self.maxval - self.minval) * random_uniform(0, shape, seed)


class _Scaled(Initializer):
    """Numbers with mean 0 and a variance that depends on the fans."""

    normal = False

    def variance(self, fan_in: int, fan_out: int) -> float:
        """Return the variance of each number."""
        raise NotImplementedError

    def __call__(self, shape: Shape, fans: tuple[int, int], seed: int) -> Any:
        """Return numbers of that variance, normal or uniform."""
        spread = math.sqrt(self.variance(*fans))
        if self.normal:
            return spread * random_normal(0, shape, seed)
        limit = math.sqrt(3) * spread
        return limit * (2 * random_uniform(0, shape, seed) - 1)


class GlorotUniform(_Scaled):
    """Uniform, variance 2 / (fan_in + fan_out) (Glorot and Bengio 2010): the default."""

    def variance(self, fan_in: int, fan_out: int) -> float:
        """Return 2 / (fan_in + fan_out)."""
        return 2 / max(fan_in + fan_out, 1)


class GlorotNormal(GlorotUniform):
    """Normal, variance 2 / (fan_in + fan_out) (Glorot and Bengio 2010)."""

    normal = True


class HeUniform(_Scaled):
    """Uniform, variance 2 / fan_in (He, Zhang, Ren and Sun 2015): for ReLU."""

    def variance(self, fan_in: int, fan_out: int) -> float:
        """Return 2 / fan_in."""
        return 2 / max(fan_in, 1)


class HeNormal(HeUniform):
    """Normal, variance 2 / fan_in (He, Zhang, Ren and Sun 2015): for ReLU."""

    normal = True


NAMES = {
    "zeros": Zeros, "ones": Ones, "constant": Constant, "random_normal": RandomNormal,
    "normal": RandomNormal, "random_uniform": RandomUniform, "uniform": RandomUniform,
    "glorot_uniform": GlorotUniform, "glorot_normal": GlorotNormal, "he_uniform": HeUniform,
    "he_normal": HeNormal,
}  # fmt: skip


def initializer(given: Any) -> Any:
    """Return the initializer a word stands for; objects pass unchanged."""
    return choose(given, NAMES, "initializer")
