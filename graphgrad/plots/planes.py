"""What a network says of every point of a plane: decision boundaries, also while it learns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from graphgrad.errors import GraphError
from graphgrad.nn.callbacks import Callback
from graphgrad.plots.canvas import COLORS, MARKERS, figure, grid, inform, numbers, plotted

__all__ = ["BoundaryFilm", "decision_boundary"]


class Plane:
    """Examples in a plane, a grid of points around them, and how both are drawn."""

    def __init__(self, X: Any, y: Any, names: Any, resolution: int) -> None:
        self.X = numbers("X", X, 2)
        if self.X.shape[1] != 2:
            raise GraphError(f"X: {self.X.shape[1]} features; a boundary is drawn of 2")
        y = np.asarray(y)
        self.y = y.argmax(1) if y.ndim == 2 and y.shape[1] > 1 else y.reshape(len(y))
        if len(self.y) != len(self.X):
            raise GraphError(f"y: {len(self.y)} classes for {len(self.X)} examples")
        self.names = list(names)
        low, high = self.X.min(0), self.X.max(0)
        edge = 0.08 * np.where(high > low, high - low, 1)
        self.sides = [np.linspace(a, b, resolution) for a, b in zip(low - edge, high + edge)]
        self.points = np.stack(np.meshgrid(*self.sides), -1).reshape(-1, 2)

    def asked(self, model: Any) -> Any:
        """Return what a model says of each point: shape (points, outputs)."""
        predict = getattr(model, "predict", model)
        found = np.asarray(predict(self.points.astype(np.float32)), float)
        return found.reshape(len(self.points), -1)

    def draw(self, axes: Any, outputs: Any, title: str, large: bool) -> None:
        """Draw outputs as colours, where the decision changes as lines, and the examples."""
        rows = len(self.sides[1])
        if outputs.shape[1] == 1:
            shades = self._of_two(axes, outputs.reshape(rows, -1))
            if large:
                axes.figure.colorbar(shades, ax=axes, label="probability of class 1")
        else:
            self._of_many(axes, outputs.reshape(rows, -1, outputs.shape[1]))
        size, edge = (32, 0.7) if large else (16, 0.4)
        for k in np.unique(self.y).astype(int):
            axes.scatter(
                *self.X[self.y == k].T, s=size, color=COLORS[k % 8], marker=MARKERS[k % 8],
                edgecolor="white", linewidth=edge, label=f"class {k}",
            )  # fmt: skip
        inform(axes, title, self.names[0], self.names[1], lines=False)

    def _of_two(self, axes: Any, probability: Any) -> Any:
        from matplotlib.colors import LinearSegmentedColormap

        colors = LinearSegmentedColormap.from_list("two", ["#7fb8d9", "#ffffff", "#eaaf80"])
        shades = axes.imshow(
            probability, origin="lower", extent=self._extent(), aspect="auto", cmap=colors,
            vmin=0, vmax=1, interpolation="bilinear",
        )  # fmt: skip
        if probability.min() < 0.5 < probability.max():
            axes.contour(*self.sides, probability, [0.5], colors="#222222", linewidths=2)
        return shades

    def _of_many(self, axes: Any, outputs: Any) -> None:
        from matplotlib.colors import to_rgb

        best, classes = outputs.argmax(-1), outputs.shape[-1]
        palette = np.array([to_rgb(COLORS[k % 8]) for k in range(classes)])
        share = outputs.max(-1, keepdims=True)
        tint = 0.5 * np.clip((share - 1 / classes) / (1 - 1 / classes), 0, 1) + 0.05
        axes.imshow(
            1 - tint * (1 - palette[best]), origin="lower", extent=self._extent(), aspect="auto"
        )
        for k in np.unique(best)[:-1]:
            margin = outputs[..., k] - np.delete(outputs, k, -1).max(-1)
            axes.contour(*self.sides, margin, [0], colors="#222222", linewidths=1.6)

    def _extent(self) -> list[float]:
        return [side[end] for side in self.sides for end in (0, -1)]


@plotted
def decision_boundary(
    model: Any, X: Any, y: Any, names: Any = ("x₁", "x₂"), title: str = "", resolution: int = 200
) -> Any:
    """Plot what a classifier of two features says of each point, and the examples on it.

    Args:
        model: a network with one output, the probability of class 1, or one per class; or a
            function from points of shape (n, 2) to such outputs.
        X: examples, shape (n, 2).
        y: their classes, 0, 1, …, shape (n,); or one-hot.
        names: of the two features.
        title: over the plot.
        resolution: points per side.

    Returns:
        The matplotlib figure.

    Example:
        >>> from graphgrad import nn, plots
        >>> X, y = nn.datasets.moons(50)
        >>> figure = plots.decision_boundary(lambda x: x[:, 0] > 0.5, X, y, resolution=20)
        >>> figure.axes[0].get_xlabel(), len(figure.axes[0].collections)
        ('x₁', 3)
    """
    plane = Plane(X, y, names, resolution)
    page = figure(7.2, 5.4)
    axes = page.subplots()
    plane.draw(axes, plane.asked(model), title, large=True)
    page.legend(loc="outside lower center", ncols=5)
    return page


class BoundaryFilm(Callback):
    """A callback for `fit` that watches the decision boundary move.

    Args:
        X, y, names: as in `decision_boundary`.
        every: epochs between frames.
        resolution: points per side.

    Attributes:
        epochs: of the frames; 0 is before training.

    Example:
        >>> from graphgrad import nn, plots
        >>> film = plots.BoundaryFilm(*nn.datasets.xor(), every=10)
        >>> film.add(lambda x: x[:, 0], epoch=0)
        >>> film.add(lambda x: x[:, 0] + x[:, 1] - 2 * x[:, 0] * x[:, 1], epoch=10)
        >>> [axes.get_title() for axes in film.figure().axes]
        ['before training', 'epoch 10']
    """

    def __init__(
        self, X: Any, y: Any, every: int = 1, names: Any = ("x₁", "x₂"), resolution: int = 100
    ) -> None:
        self._plane, self._every = Plane(X, y, names, resolution), every
        self._frames: list[Any] = []
        self.epochs: list[int] = []

    def on_epoch_begin(self, epoch: int) -> None:
        """Take a frame of the network as it begins."""
        if not self.epochs:
            self.add(self.model, 0)

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Take a frame, if it is time for one."""
        if (epoch + 1) % self._every == 0:
            self.add(self.model, epoch + 1)

    def add(self, model: Any, epoch: int) -> None:
        """Take a frame."""
        self._frames.append(self._plane.asked(model))
        self.epochs.append(epoch)

    @plotted
    def figure(self, most: int = 6) -> Any:
        """Return a matplotlib figure of at most so many frames, from the first to the last."""
        self._some()
        chosen = np.unique(np.linspace(0, len(self.epochs) - 1, most).round().astype(int))
        page, all_axes = grid(len(chosen), columns=3)
        for k, axes in zip(chosen, all_axes):
            self._plane.draw(axes, self._frames[k], self._title(k), large=False)
        return page

    @plotted
    def save(self, path: str | Path, seconds: float = 0.25) -> None:
        """Write all frames as an animated picture, .gif, .png or .webp.

        Args:
            path: of the file.
            seconds: between frames.
        """
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from PIL import Image

        self._some()
        pictures = []
        for k, outputs in enumerate(self._frames):
            page = figure(6.4, 5.0)
            canvas: Any = FigureCanvasAgg(page)
            self._plane.draw(page.subplots(), outputs, self._title(k), large=False)
            canvas.draw()
            pictures.append(Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB"))
        time = [int(1000 * seconds)] * (len(pictures) - 1) + [1500]
        pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=time, loop=0)

    def _some(self) -> None:
        if not self.epochs:
            raise GraphError("no frames: give the film to fit as a callback first")

    def _title(self, k: int) -> str:
        return f"epoch {self.epochs[k]}" if self.epochs[k] else "before training"
