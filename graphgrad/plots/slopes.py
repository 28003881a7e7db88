"""Activation functions, each beside its derivative."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphgrad.gradient import grad
from graphgrad.graph import var
from graphgrad.nn.activations import activation_function
from graphgrad.ops.reduce import sum as total
from graphgrad.plots.canvas import COLORS, grid, inform, plotted

__all__ = ["activations"]


@plotted
def activations(
    functions: Sequence[str | Callable[[Any], Any]] = ("sigmoid", "tanh", "relu"),
    low: float = -5.0,
    high: float = 5.0,
) -> Any:
    """Plot activation functions g with their derivatives g′, computed by the rule book.

    Args:
        functions: names of activations, or functions of a node, elementwise.
        low, high: the range of z.

    Returns:
        The matplotlib figure, a panel per function.

    Example:
        >>> from graphgrad import plots
        >>> figure = plots.activations(["sigmoid"])
        >>> g, slope = figure.axes[0].lines[-2:]
        >>> round(float(slope.get_ydata().max()), 3)
        0.25
    """
    page, all_axes = grid(len(functions), columns=3, width=4.4, height=3.9)
    for given, axes in zip(functions, all_axes):
        name = given if isinstance(given, str) else getattr(given, "__name__", "g")
        z = var("z", np.linspace(low, high, 801))
        y = activation_function(given)(z)
        slope = grad(total(y), z)
        axes.axhline(0, color="#999999", linewidth=0.8)
        axes.axvline(0, color="#999999", linewidth=0.8)
        axes.plot(z.value, y.value, color=COLORS[0], label="g(z)")
        axes.plot(z.value, _broken(slope.value), "--", color=COLORS[1], label="g′(z)")
        axes.set_xlim(low, high)
        axes.legend(loc="upper left")
        inform(axes, name.replace("_", " "), "z")
    return page


def _broken(slopes: Any) -> Any:
    """Return slopes with a gap at each jump, where a line would show what is not there."""
    steps = np.abs(np.diff(slopes))
    jump = steps > 0.2 * max(float(np.ptp(slopes)), 1e-12)
    return np.where(np.append(jump, False), np.nan, slopes)
