"""How activations and gradients are spread, layer by layer: dead units, vanishing gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphgrad.plots.canvas import COLORS, figure, inform, plotted
from graphgrad.plots.networks import gradients_of, outputs_of

__all__ = ["histograms"]

SILENT = {"dropout", "flatten", "reshape"}
"""Layers that only pass on what they get."""


@plotted
def histograms(model: Any, X: Any, y: Any, bins: int = 60) -> Any:
    """Plot how the activations of each layer and the gradients of its weights are spread.

    Args:
        model: a compiled network.
        X, y: the examples; some hundreds will do.
        bins: of a histogram.

    Returns:
        The matplotlib figure, a row per layer: its outputs on the left; on the right the sizes of
        the loss's derivatives with respect to its weights, on one logarithmic scale for all
        layers, so that gradients that vanish are seen to.

    Example:
        >>> from graphgrad import nn, plots
        >>> X, y = nn.datasets.moons(40)
        >>> model = nn.Sequential([nn.Dense(4, "relu"), nn.Dense(1, "sigmoid")])
        >>> model.compile("adam", "binary_crossentropy", target="numpy")
        >>> [axes.get_title() for axes in plots.histograms(model, X, y).axes[::2]]
        ['dense: outputs', 'dense_1: outputs']
    """
    outputs = [(k, v) for k, v in outputs_of(model, X) if k.kind not in SILENT]
    gradients = {k: _sizes(found) for k, found in gradients_of(model, X, y)}
    page = figure(11, 2.5 * len(outputs) + 0.6)
    panels = page.subplots(len(outputs), 2, squeeze=False)
    span = _span(list(gradients.values()))
    for (layer, values), (left, right) in zip(outputs, panels):
        _activations(left, str(layer.name), np.ravel(values), bins)
        _gradients(right, str(layer.name), gradients.get(layer), span, bins)
    panels[-1, 0].set_xlabel("output")
    panels[-1, 1].set_xlabel("log₁₀ |gradient|")
    return page


def _sizes(gradients: list[Any]) -> Any:
    return np.abs(np.concatenate([np.ravel(g) for g in gradients]))


def _span(sizes: list[Any]) -> tuple[float, float]:
    """Return the range of log₁₀ of all sizes, 12 powers of ten at most."""
    found = np.concatenate([*sizes, np.zeros(0)])
    found = found[(found > 0) & np.isfinite(found)]
    if not found.size:
        return -1.0, 1.0
    high = float(np.log10(found.max()))
    return max(float(np.log10(found.min())), high - 12), high + 1e-6


def _activations(axes: Any, name: str, values: Any, bins: int) -> None:
    axes.hist(values, bins, color=COLORS[0], weights=np.full(values.size, 1 / values.size))
    zero = float(np.mean(values == 0))
    _note(axes, f"mean {values.mean():.3g}\nσ {values.std():.3g}"
                + (f"\n{zero:.0%} are 0" if zero >= 0.005 else ""))  # fmt: skip
    inform(axes, f"{name}: outputs", y="share")


def _gradients(axes: Any, name: str, sizes: Any, span: tuple[float, float], bins: int) -> None:
    if sizes is None:
        axes.set_axis_off()
        return
    shown = np.log10(sizes[sizes > 0])
    axes.hist(
        np.clip(shown, *span), bins, range=span, color=COLORS[1],
        weights=np.full(shown.size, 1 / sizes.size),
    )  # fmt: skip
    zero = float(np.mean(sizes == 0))
    middle = f"median {np.median(sizes):.1e}"
    _note(axes, middle + (f"\n{zero:.0%} are 0" if zero >= 0.005 else ""), left=True)
    inform(axes, f"{name}: gradients")
    axes.set_xlim(*span)


def _note(axes: Any, text: str, left: bool = False) -> None:
    axes.margins(y=0.3)
    axes.annotate(
        text, (0.02 if left else 0.98, 0.96), xycoords="axes fraction",
        ha="left" if left else "right", va="top", fontsize=11,
        bbox={"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 2},
    )  # fmt: skip
