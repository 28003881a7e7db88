"""Plots: curves of training, activations, decision boundaries, paths and landscapes of losses.

Each function returns a matplotlib figure; ``figure.savefig("name.png")`` writes it. They need the
extra ``plot``, ``pip install 'graphgrad[plot]'``, and no screen.
"""

from __future__ import annotations

from graphgrad.plots.learning import curves
from graphgrad.plots.paths import descent, race, trace
from graphgrad.plots.planes import BoundaryFilm, decision_boundary
from graphgrad.plots.slopes import activations

__all__ = [
    "BoundaryFilm", "activations", "curves", "decision_boundary", "descent", "race", "trace",
]  # fmt: skip
