"""The landscape of a network's loss around its weights, as a map and in relief."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphgrad.errors import GraphError
from graphgrad.plots.canvas import COLORS, figure, inform, plotted
from graphgrad.plots.directions import WeightPath, filter_normalized, principal, projected, share
from graphgrad.plots.networks import loss_of_weights

__all__ = ["landscape"]


@plotted
def landscape(
    model: Any,
    X: Any,
    y: Any,
    path: Any = None,
    *,
    directions: str = "auto",
    span: float = 1.0,
    resolution: int = 41,
    seed: int = 0,
    title: str = "",
) -> Any:
    """Plot the loss over a plane through the weights of a trained network.

    Args:
        model: a compiled network.
        X, y: the examples the loss is of; some hundreds will do.
        path: a `WeightPath` that was a callback of `fit`; its projection on the plane is drawn.
        directions: "path": the two in which the path moves most; "random": two that are
            filter-normalized, which show how sharp the minimum is, but next to nothing of the path
            (both Li et al. 2018, arXiv:1712.09913). "auto" is "path" where there is one.
        span: how far the picture goes, in units of random directions; with a path, as far as
            the path needs.
        resolution: points per side.
        seed: of the random directions.
        title: over the plot.

    Returns:
        The matplotlib figure: contours on the left, the surface on the right.

    Example:
        >>> from graphgrad import nn, plots
        >>> X, y = nn.datasets.moons(40)
        >>> model = nn.Sequential([nn.Dense(4, "tanh"), nn.Dense(1, "sigmoid")])
        >>> model.compile("adam", "binary_crossentropy", target="numpy")
        >>> path = plots.WeightPath()
        >>> _ = model.fit(X, y, epochs=3, verbose=0, callbacks=[path])
        >>> figure = plots.landscape(model, X, y, path, resolution=5)
        >>> [axes.name for axes in figure.axes[:2]]
        ['rectilinear', '3d']
    """
    center = model.get_weights()
    points = list(path.weights if isinstance(path, WeightPath) else path or [])
    if directions == "auto":
        directions = "path" if len(points) > 2 else "random"
    if directions == "path" and points:
        plane = principal(points, center)
    elif directions == "random":
        random = np.random.default_rng(seed)
        plane = [filter_normalized(center, random) for _ in range(2)]
    else:
        raise GraphError(f"directions {directions!r}: expected 'random', or 'path' with a path")
    walked = projected([*points, center], center, plane)
    sides = _sides(walked, span if directions == "random" else 0.0, resolution)
    height = _height(model, X, y, center, plane)
    heights = np.array([[height(a, b) for a in sides[0]] for b in sides[1]])
    on_path = np.array([height(a, b) for a, b in walked])
    shares = [share(points, center, [one]) for one in plane] if points else []
    labels = _labels("main" if directions == "path" else "random", shares)
    return _drawn(sides, heights, walked, on_path, labels, title)


def _labels(kind: str, shares: Sequence[float]) -> list[str]:
    """Return what stands at the axes: which direction, and how much of the path is along it."""
    told = [f" ({s:.2g}% of the path)" if s < 10 else f" ({s:.0f}% of the path)"
            for s in (100 * s for s in shares)] or ["", ""]  # fmt: skip
    return [f"{kind} direction {k + 1}{text}" for k, text in enumerate(told)]


def _height(model: Any, X: Any, y: Any, center: Any, directions: Any) -> Callable[..., float]:
    loss = loss_of_weights(model, X, y)

    def height(a: float, b: float) -> float:
        return loss([w + a * u + b * v for w, u, v in zip(center, *directions)])

    return height


def _sides(walked: Any, span: float, resolution: int) -> list[Any]:
    low = np.minimum(walked.min(0), -span)
    high = np.maximum(walked.max(0), span)
    size = max(float((high - low).max()), 1e-6)
    edge = np.where(span, 0.0, 0.15 * size)
    return [np.linspace(a - edge, b + edge, resolution) for a, b in zip(low, high)]


def _drawn(
    sides: Any, heights: Any, walked: Any, on_path: Any, labels: Sequence[str], title: str
) -> Any:
    page = figure(13, 5.8)
    left = page.add_subplot(1, 2, 1)
    right = page.add_subplot(1, 2, 2, projection="3d", computed_zorder=False)
    finite = heights[np.isfinite(heights)]
    steep = bool(finite.min() > 0 and finite.max() > 50 * finite.min())
    what = "log₁₀ loss" if steep else "loss"
    if steep:
        heights, on_path = np.log10(heights), np.log10(on_path)
    filled = _map(left, sides, heights)
    page.colorbar(filled, ax=left, label=what)
    _relief(right, sides, heights, what)
    # A little above the surface, or the surface would hide half the line's width.
    lifted = on_path + 0.01 * float(np.nanmax(heights) - np.nanmin(heights))
    _walk(left, walked[:-1].T, walked[-1])
    _walk(right, [*walked[:-1].T, lifted[:-1]], [*walked[-1], lifted[-1]])
    inform(left, title, labels[0], labels[1], lines=False)
    left.legend(loc="upper right", frameon=True, framealpha=0.9)
    return page


def _map(axes: Any, sides: Any, heights: Any) -> Any:
    from matplotlib.ticker import MaxNLocator

    low, high = np.nanmin(heights), np.nanmax(heights)
    levels = MaxNLocator(20).tick_values(low, high if high > low else low + 1)
    filled = axes.contourf(*sides, heights, levels, cmap="viridis")
    axes.contour(
        *sides, heights, levels, colors="white", linewidths=0.5, alpha=0.6, linestyles="solid"
    )
    return filled


def _relief(axes: Any, sides: Any, heights: Any, what: str) -> None:
    grid = np.meshgrid(*sides)
    axes.plot_surface(*grid, heights, cmap="viridis", rcount=60, ccount=60, linewidth=0, alpha=0.9)
    inform(axes, "", "direction 1", "direction 2")
    axes.set_zlabel(what)
    for axis, pad in ((axes.xaxis, 7), (axes.yaxis, 7), (axes.zaxis, 10)):
        axis.labelpad = pad
    axes.view_init(elev=38, azim=-60)
    axes.set_box_aspect(None, zoom=0.84)
    axes.tick_params(labelsize=10)
    axes.locator_params(nbins=5)


def _walk(axes: Any, path: Any, end: Any) -> None:
    """Draw a path and the trained network, in a plane or in space."""
    if len(path[0]):
        axes.plot(*path, color="white", linewidth=4, zorder=9, solid_capstyle="round")
        axes.plot(
            *path, "o-", color=COLORS[1], markersize=4, linewidth=2, zorder=10,
            label="path of training",
        )  # fmt: skip
    axes.plot(
        *([x] for x in end), "*", color=COLORS[1], markersize=17, markeredgecolor="white",
        zorder=11, label="trained network",
    )  # fmt: skip
