"""What a network learned to look for: its kernels, and the maps they make of an image."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from graphgrad.errors import GraphError
from graphgrad.plots.canvas import figure, plotted
from graphgrad.plots.networks import outputs_of

__all__ = ["activation_maps", "kernels"]


@plotted
def kernels(
    model: Any, layer: str | None = None, shape: tuple[int, int] | None = None, most: int = 16
) -> Any:
    """Plot the learned kernels of a layer: orange for positive numbers, purple for negative.

    Args:
        model: a network.
        layer: name of a Conv2D or Dense; by default the first there is.
        shape: for a Dense whose inputs are the pixels of an image, rows and columns.
        most: draw at most so many.

    Returns:
        The matplotlib figure. A kernel of several channels is a row of pictures, one per channel.

    Example:
        >>> from graphgrad import nn, plots
        >>> model = nn.Sequential([nn.Conv2D(4, 3, input_shape=(8, 8, 1))])
        >>> [axes.get_title() for axes in plots.kernels(model).axes[:4]]
        ['1', '2', '3', '4']
    """
    chosen = _layer(model, layer)
    pictures = _pictures(chosen, shape)[:most]
    count, channels = len(pictures), min(pictures.shape[1], 16)
    columns = min(count, 8) if channels == 1 else channels
    rows = math.ceil(count / columns) if channels == 1 else count
    page = figure(max(1.15 * columns + 1.2, 4.5), 1.25 * rows + 1.0)
    limit = float(np.abs(pictures).max()) or 1.0
    panels = page.subplots(rows, columns, squeeze=False)
    for axes in panels.ravel():
        axes.set_axis_off()
    flat = panels.ravel() if channels == 1 else [row[c] for row in panels for c in range(channels)]
    drawn = None
    for k, axes in zip(range(count * channels), flat):
        filter_, channel = divmod(k, channels)
        picture = pictures[filter_, channel]
        drawn = axes.imshow(picture, cmap="PuOr_r", vmin=-limit, vmax=limit)
        if channels == 1 or channel == 0:
            axes.set_title(str(filter_ + 1), fontsize=10)
    page.suptitle(f"{chosen.name}: kernels", fontweight="bold", fontsize=14)
    page.colorbar(drawn, ax=panels, shrink=0.8, format="%.2g", ticks=[-limit, 0, limit])
    return page


@plotted
def activation_maps(model: Any, image: Any, most: int = 8) -> Any:
    """Plot what each layer of a network of images makes of one image.

    Args:
        model: a network whose layers give images, such as Conv2D and pooling.
        image: one example, of the shape that the network takes, without the batch's axis.
        most: maps per layer.

    Returns:
        The matplotlib figure: the image in the first row, then a row of maps per layer; each row
        has its own scale from its least to its largest value, dark to bright.

    Example:
        >>> from graphgrad import nn, plots
        >>> X, y = nn.datasets.digits()
        >>> model = nn.Sequential([nn.Conv2D(4, 3, input_shape=(8, 8, 1)), nn.MaxPooling2D()])
        >>> len(plots.activation_maps(model, X[0]).axes)
        9
    """
    picture = np.asarray(image, float)
    layers = [(k, v) for k, v in outputs_of(model, picture[None]) if v.ndim == 4]
    if not layers:
        raise GraphError("no layer of this network gives images: there are no maps to show")
    first = picture[None] if picture.ndim == 2 else _channels_first(layers[0][0], picture)
    rows = [("image", first)]
    rows += [(str(k.name), _channels_first(k, v[0])) for k, v in layers]
    columns = min(most, max(len(maps) for _, maps in rows))
    page = figure(1.35 * columns + 1.8, 1.5 * len(rows) + 0.2)
    panels = page.add_gridspec(len(rows), columns)
    for r, (name, maps) in enumerate(rows):
        low, high = float(maps.min()), float(maps.max())
        for c, picture in enumerate(maps[:most]):
            axes = page.add_subplot(panels[r, c])
            axes.imshow(picture, cmap="viridis" if r else "gray_r", vmin=low, vmax=high)
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
            if c == 0:
                axes.set_ylabel(name, rotation=0, ha="right", va="center", labelpad=8)
    return page


def _layer(model: Any, name: str | None) -> Any:
    if name is not None:
        return model.get_layer(name)
    found = [k for k in model.layers if getattr(k, "kernel", None) is not None]
    if not found:
        raise GraphError("this network has no kernels yet: it needs a Conv2D or a Dense, and the "
                         "shape of its input")  # fmt: skip
    return found[0]


def _pictures(layer: Any, shape: tuple[int, int] | None) -> Any:
    """Return the kernels as (count, channels, rows, columns)."""
    kernel = getattr(layer, "kernel", None)
    if kernel is None:
        raise GraphError(f"layer {layer.name!r} has no kernel; choose a Conv2D or a Dense")
    values = np.asarray(kernel.value)
    if values.ndim == 4:
        return values
    if shape is None or math.prod(shape) != values.shape[0]:
        raise GraphError(
            f"layer {layer.name!r} has {values.shape[0]} inputs; say the shape of the image that "
            f"they are the pixels of, shape=(rows, columns)"
        )
    return values.T.reshape(-1, 1, *shape)


def _channels_first(layer: Any, image: Any) -> Any:
    last = getattr(layer, "data_format", "channels_last") == "channels_last"
    return np.moveaxis(image, -1, 0) if last else image
