"""Plots: curves of training, activations, decision boundaries, paths and landscapes of losses.

Each function returns a matplotlib figure; ``figure.savefig("name.png")`` writes it. They need the
extra ``plot``, ``pip install 'graphgrad[plot]'``, and no screen.

>>> from graphgrad import plots
>>> figure = plots.curves({"loss": [0.9, 0.5, 0.4], "val_loss": [1.0, 0.7, 0.8]})
>>> figure.savefig("curves.png")  # doctest: +SKIP
"""

from __future__ import annotations

from graphgrad.plots.directions import WeightPath
from graphgrad.plots.filters import activation_maps, kernels
from graphgrad.plots.insides import histograms
from graphgrad.plots.learning import curves
from graphgrad.plots.paths import descent, race, trace
from graphgrad.plots.planes import BoundaryFilm, decision_boundary
from graphgrad.plots.slopes import activations
from graphgrad.plots.surfaces import landscape

__all__ = [
    "BoundaryFilm", "WeightPath", "activation_maps", "activations", "curves",
    "decision_boundary", "descent", "histograms", "kernels", "landscape", "race", "trace",
]  # fmt: skip
