"""The last rows of a report: the whole derivative towards each variable, and the value itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import sympy as sp

from graphgrad.errors import GraphError
from graphgrad.explain.names import pretty
from graphgrad.explain.latex import latex_name
from graphgrad.explain.numbers import number, shape_text
from graphgrad.graph import Node, ancestors, refresh
from graphgrad.ops.define import Elementwise
from graphgrad.proof.bridge import expressions, tree_size
from graphgrad.proof.budget import Budget, attempt
from graphgrad.proof.domains import Condition, conditions
from graphgrad.proof.entries import boxed, run
from graphgrad.proof.numeric import Comparison, compare_gradient
from graphgrad.proof.partials import CHECKED, PROVED, UNDECIDED, WRONG, Proof, prove_partial
from graphgrad.proof.precise import PRECISE, OutsideError, number_of
from graphgrad.proof.report import Row
from graphgrad.proof.structures import proof_of
from graphgrad.proof.texts import latex, shortened, text
from graphgrad.proof.whole import MOST_WORK, Whole
from graphgrad.proof.wording import EVERYWHERE, MASKED, TIED, Words, digits

__all__ = ["Endings"]

SHORT = 60
"""Operations of a whole derivative that is worth printing."""
LISTED = 3
CLOSE = 1e-9


class Endings:
    """The rows of one graph that speak of the whole of it."""

    def __init__(self, y: Node, words: Words, budget: Budget):
        self.y, self.words, self.budget = y, words, budget
        self.order = ancestors(y)
        self.whole = Whole(y, budget)
        self.name = words.names[y]
        self._domains = self._conditions()

    def rows(self) -> Iterator[Row]:
        """Yield a row per variable, then the one about the value."""
        start = time.perf_counter()
        for x, proof in self.whole.prove():
            yield self._leaf(x, proof, time.perf_counter() - start)
            start = time.perf_counter()
        value = self._value()
        if value is not None:
            yield value
