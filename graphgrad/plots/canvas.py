"""The paper all plots are drawn on: sizes and colours for a lecture room, and no global state.

matplotlib is loaded when the first plot is made. Figures are made without pyplot, so nothing opens
a window, nothing has to be closed, and a machine without a screen will do.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from graphgrad.errors import GraphError, MissingDependencyError

__all__ = ["COLORS", "LINES", "figure", "grid", "inform", "plotted"]

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8f6300", "#33003f", "#56b4e9", "#e69f00")
"""Apart for readers with any colour vision: six by Okabe and Ito 2008, and two dark ones."""
LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (8, 3)))
"""Line styles that go with the colours, so that black and white print tells them apart, too."""
MARKERS = "osD^vPX*"
STYLE = {
    "font.size": 13,
    "axes.titlesize": 14,
    "axes.titleweight": "bold",
    "axes.labelsize": 13,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "lines.linewidth": 2.2,
    "legend.frameon": False,
    "grid.color": "#d9d9d9",
    "figure.dpi": 120,
    "savefig.dpi": 120,
}

F = TypeVar("F", bound=Callable[..., Any])


def matplotlib() -> Any:
    """Return the library.

    Raises:
        MissingDependencyError: when it is not installed.
    """
    try:
        import matplotlib
    except ImportError:
        raise MissingDependencyError(
            "plots need matplotlib, which is not installed: pip install 'graphgrad[plot]'"
        ) from None
    return matplotlib


def plotted(function: F) -> F:
    """Let a function make its figure in the house's style, whatever the user's settings."""

    @functools.wraps(function)
    def inner(*args: Any, **settings: Any) -> Any:
        library = matplotlib()
        with library.rc_context({**library.rcParamsDefault, **STYLE, "backend": "agg"}):
            result = function(*args, **settings)
            if hasattr(result, "draw_without_rendering"):
                # Ticks are made when first drawn, in the style of that moment.
                result.draw_without_rendering()
            return result

    return inner  # type: ignore[return-value]


def figure(width: float = 8.0, height: float = 5.0) -> Any:
    """Return an empty figure of so many inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def grid(count: int, columns: int = 3, width: float = 4.2, height: float = 3.6) -> Any:
    """Return a figure and `count` axes on it, row by row, each of so many inches."""
    columns = min(columns, count)
    rows = math.ceil(count / columns)
    page = figure(max(width * columns, 5.0), height * rows)
    axes = page.subplots(rows, columns, squeeze=False).ravel()
    for empty in axes[count:]:
        empty.remove()
    return page, list(axes[:count])


def inform(axes: Any, title: str = "", x: str = "", y: str = "", lines: bool = True) -> Any:
    """Write title and labels, as plain text: a dollar sign in a name starts no formula."""
    for write, text in ((axes.set_title, title), (axes.set_xlabel, x), (axes.set_ylabel, y)):
        write(text.replace("$", r"\$"))
    axes.grid(lines)
    return axes


def numbers(what: str, given: Any, ndim: int) -> Any:
    """Return an array of floats with so many axes.

    Raises:
        GraphError: when it has another number of axes, or holds something else.
    """
    try:
        array = np.asarray(given, float)
    except (TypeError, ValueError):
        raise GraphError(f"{what}: expected numbers, got {given!r:.60}") from None
    if array.ndim != ndim:
        raise GraphError(f"{what}: shape {array.shape}; expected {ndim} axes")
    return array
