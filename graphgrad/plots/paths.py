"""The path of a descent on the surface of a loss of two parameters, and optimizers that race."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graphgrad.compiler.executor import compile
from graphgrad.errors import GraphError
from graphgrad.gradient import grad
from graphgrad.graph import Node
from graphgrad.nn.optimizers import SGD, optimizer_of
from graphgrad.plots.canvas import COLORS, LINES, figure, inform, plotted

__all__ = ["descent", "race", "trace"]


def trace(loss: Node, variables: Sequence[Node], optimizer: Any, steps: int) -> tuple[Any, Any]:
    """Return where an optimizer goes, and the losses there; the variables keep their values.

    Args:
        loss: a scalar node.
        variables: scalar variables; the path starts at their values.
        optimizer: a name, or one such as ``nn.Adam(0.1)``.
        steps: how many.

    Returns:
        Positions of shape (steps + 1, variables), and losses of shape (steps + 1,).

    Example:
        >>> import graphgrad as gg
        >>> from graphgrad import nn
        >>> x = gg.var("x", 1.0)
        >>> trace(x**2, [x], nn.SGD(0.25), 2)[0].ravel().tolist()
        [1.0, 0.5, 0.25]
    """
    if any(v.shape for v in variables):
        raise GraphError("a path is of scalar variables, such as gg.var('a', 1.0)")
    start = [v.value for v in variables]
    chosen = optimizer_of(optimizer)
    updates = chosen.updates(list(variables), grad(loss, list(variables)))
    kept = {v: v.value for v in updates}
    run = compile([loss], [], updates=updates, target="numpy")
    path, losses = [start], []
    for _ in range(steps):
        losses.append(float(run()[0]))
        path.append([v.value for v in variables])
    losses.append(float(loss.value))
    for v, value in kept.items():
        v.value = value
    return np.array(path, float), np.array(losses)


@plotted
def descent(
    loss: Node,
    variables: Sequence[Node],
    optimizer: Any = None,
    steps: int = 30,
    spans: Sequence[tuple[float, float]] | None = None,
    title: str = "gradient descent",
) -> Any:
    """Plot the path of a descent: on the curve of one variable, or on the surface of two.

    Args:
        loss: a scalar node.
        variables: one or two scalar variables; the path starts at their values.
        optimizer: by default ``nn.SGD(0.1)``.
        steps: how many.
        spans: (low, high) of each variable; by default where the path goes.
        title: over the plot.

    Returns:
        The matplotlib figure.

    Example:
        >>> import graphgrad as gg
        >>> from graphgrad import plots
        >>> a, b = gg.var("a", 2.0), gg.var("b", 1.0)
        >>> figure = plots.descent(a**2 + 5 * b**2, [a, b], steps=10)
        >>> figure.axes[0].get_xlabel(), len(figure.axes[0].lines[0].get_xdata())
        ('a', 11)
    """
    path, losses = trace(loss, variables, optimizer or SGD(0.1), steps)
    page = figure(7.2, 5.4)
    axes = page.subplots()
    if len(variables) == 1:
        _on_curve(axes, loss, variables[0], path[:, 0], losses, spans)
        inform(axes, title, _name(variables[0], 0), "loss")
        return page
    _surface(axes, loss, variables, _spans([path], spans))
    _walk(axes, path, COLORS[1], "-", "o")
    axes.legend(frameon=True, framealpha=0.9)
    inform(axes, title, _name(variables[0], 0), _name(variables[1], 1), lines=False)
    return page


@plotted
def race(
    loss: Node,
    variables: Sequence[Node],
    optimizers: Mapping[str, Any] | Sequence[Any],
    steps: int = 100,
    spans: Sequence[tuple[float, float]] | None = None,
    log: bool = True,
) -> Any:
    """Plot the paths of several optimizers on one surface, and their losses step by step.

    Args:
        loss: a scalar node.
        variables: two scalar variables; all paths start at their values.
        optimizers: by label, or a list of names and optimizers.
        steps: of each.
        spans: (low, high) of each variable; by default where the paths go.
        log: draw losses on a logarithmic scale.

    Returns:
        The matplotlib figure: paths on the left, losses on the right.

    Example:
        >>> import graphgrad as gg
        >>> from graphgrad import nn, plots
        >>> a, b = gg.var("a", 2.0), gg.var("b", 1.0)
        >>> figure = plots.race(a**2 + 9 * b**2, [a, b], [nn.SGD(0.05), nn.Adam(0.2)], steps=9)
        >>> [line.get_label() for line in figure.axes[1].lines]
        ['SGD', 'Adam']
    """
    if len(variables) != 2:
        raise GraphError(f"{len(variables)} variables; a race is run on a surface of 2")
    runs = {k: trace(loss, variables, o, steps) for k, o in _labelled(optimizers).items()}
    page = figure(13, 5.6)
    left, right = page.subplots(1, 2)
    _surface(left, loss, variables, _spans([path for path, _ in runs.values()], spans))
    for k, (name, (path, losses)) in enumerate(runs.items()):
        color, line = COLORS[k % 8], LINES[k % 8]
        _walk(left, path, color, line, None)
        right.plot(losses, color=color, linestyle=line, label=name)
    inform(left, "paths", _name(variables[0], 0), _name(variables[1], 1), lines=False)
    inform(right, "loss", "step", "loss")
    if log and all((losses > 0).all() for _, losses in runs.values()):
        right.set_yscale("log")
    right.legend()
    return page


def _labelled(optimizers: Any) -> dict[str, Any]:
    if isinstance(optimizers, Mapping):
        return dict(optimizers)
    return {o if isinstance(o, str) else type(o).__name__: o for o in optimizers}


def _name(variable: Node, k: int) -> str:
    return variable.name or f"parameter {k + 1}"


def _spans(paths: Sequence[Any], given: Any) -> list[tuple[float, float]]:
    """Return the part of the plane to draw: all paths, each only as far as it stays sensible."""
    if given is not None:
        return list(given)
    start = paths[0][0]
    points = np.concatenate(paths)
    points = points[np.isfinite(points).all(1)]
    reach = 4 * np.median(np.abs(points - start), 0) + 1e-3
    near = np.clip(points, start - reach, start + reach)
    low, high = near.min(0), near.max(0)
    size = np.maximum(high - low, 0.5 * (high - low).max())  # not thinner than half its length
    middle = (low + high) / 2
    return [(m - 0.7 * s, m + 0.7 * s) for m, s in zip(middle.tolist(), size.tolist())]


def _surface(axes: Any, loss: Node, variables: Sequence[Node], spans: Any) -> None:
    sides = [np.linspace(low, high, 61) for low, high in spans]
    f = compile([loss], list(variables), target="numpy")
    heights = np.array([[float(f(a, b)[0]) for a in sides[0]] for b in sides[1]])
    finite = heights[np.isfinite(heights)]
    # Levels that share the plane evenly show steep walls and flat valleys alike.
    levels = np.unique(np.quantile(finite, np.linspace(0, 1, 16)))
    if len(levels) > 1:
        axes.contourf(*sides, heights, levels, cmap=_greys(), norm=_by_rank(levels))
        axes.contour(*sides, heights, levels, colors="#8c8c8c", linewidths=0.8)
    axes.set_xlim(*spans[0])
    axes.set_ylim(*spans[1])


def _greys() -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("greys", ["#ffffff", "#c4c4c4"])


def _by_rank(levels: Any) -> Any:
    from matplotlib.colors import BoundaryNorm

    return BoundaryNorm(levels, 256)


def _walk(axes: Any, path: Any, color: str, line: Any, marker: str | None) -> None:
    dots = {"marker": marker, "markersize": 4.5, "markeredgecolor": "white"}
    axes.plot(*path.T, color=color, linestyle=line, markeredgewidth=0.6, **dots)
    axes.plot(*path[0], "s", color="black", markersize=8, label="start")
    axes.plot(*path[-1], "*", color=color, markersize=16, markeredgecolor="white", label="end")


def _on_curve(axes: Any, loss: Node, x: Node, path: Any, losses: Any, spans: Any) -> None:
    low, high = spans[0] if spans is not None else (path.min(), path.max())
    edge = 0.0 if spans is not None else 0.25 * (high - low) + 1e-3
    side = np.linspace(low - edge, high + edge, 301)
    f = compile([loss], [x], target="numpy")
    axes.plot(side, [float(f(v)[0]) for v in side], color="#8c8c8c", label="loss")
    axes.plot(path, losses, "o-", color=COLORS[1], linewidth=1.2, label="steps")
    axes.plot(path[0], losses[0], "s", color="black", markersize=8, label="start")
    axes.legend()
