"""Layers of images: Conv2D, MaxPooling2D, AveragePooling2D.

Images are (rows, columns, channels) as in Keras, or (channels, rows, columns) with
``data_format="channels_first"``. The kernel of a convolution is (filters, channels, rows, columns).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphgrad.errors import NetworkError, ShapeError
from graphgrad.functions import avg_pool2d, max_pool2d
from graphgrad.graph import Node
from graphgrad.nn.activations import activation_function
from graphgrad.nn.core import count
from graphgrad.nn.layer import Layer
from graphgrad.nn.parts import Run
from graphgrad.ops.conv import conv2d, pair
from graphgrad.ops.shape import transpose

__all__ = ["AveragePooling2D", "Conv2D", "MaxPooling2D"]

FORMATS = ("channels_last", "channels_first")


def _checked(layer: Layer, data_format: Any, padding: Any) -> None:
    """Raise `NetworkError` for a format or a padding that there is not."""
    if data_format not in FORMATS:
        raise NetworkError(f"data_format={data_format!r}: expected {' or '.join(FORMATS)}")
    if padding not in ("valid", "same"):
        raise NetworkError(f"{layer.label}: padding={padding!r}; expected 'valid' or 'same'")


def _channels(layer: Layer, shape: Any, data_format: str) -> int:
    """Return the number of channels of an image's shape."""
    if isinstance(shape, list) or len(shape) != 3:
        last = data_format == "channels_last"
        axes = "(rows, columns, channels)" if last else "(channels, rows, columns)"
        raise ShapeError(f"an image has shape {shape}; expected {axes}")
    return int(shape[-1 if data_format == "channels_last" else 0])


def _channels_first(x: Node, data_format: str, function: Callable[[Node], Node]) -> Node:
    """Return function(x) for a function of (batch, channels, rows, columns)."""
    if data_format == "channels_first":
        return function(x)
    return transpose(function(transpose(x, (0, 3, 1, 2))), (0, 2, 3, 1))


@dataclass(eq=False, repr=False)
class Conv2D(Layer):
    """A convolution with trained kernels: activation(x ⋆ W + b).

    Args:
        filters: number of kernels, and of channels that come out.
        kernel_size: an int or (rows, columns).
        strides: between windows, an int or a pair.
        padding: "valid" (none) or "same" (as many outputs as inputs at stride 1).
        activation: a name, a function of nodes, or None.
        use_bias: whether there is a b.
        kernel_initializer, bias_initializer: how W and b start.
        kernel_regularizer, bias_regularizer: penalties on W and b.
        data_format: "channels_last" or "channels_first".

    Example:
        >>> from graphgrad import nn
        >>> layer = nn.Conv2D(4, 3, activation="relu", input_shape=(8, 8, 1))
        >>> nn.Sequential([layer]).outputs[0].shape
        (6, 6, 4)
    """

    filters: int
    kernel_size: Any
    strides: Any = (1, 1)
    padding: str = "valid"
    activation: Any = None
    use_bias: bool = True
    kernel_initializer: Any = "glorot_uniform"
    bias_initializer: Any = "zeros"
    kernel_regularizer: Any = None
    bias_regularizer: Any = None
    data_format: str = "channels_last"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.filters = count("filters", self.filters)
        self.kernel_size = pair("kernel_size", self.kernel_size)
        self.strides = pair("strides", self.strides)
        _checked(self, self.data_format, self.padding)
        self._function = activation_function(self.activation)

    def build(self, shape: Any) -> None:
        """Make W, shape (filters, channels, rows, columns), and b."""
        channels = _channels(self, shape, self.data_format)
        window = self.kernel_size[0] * self.kernel_size[1]
        self.kernel = self.add_weight(
            "W", (self.filters, channels, *self.kernel_size), self.kernel_initializer,
            regularizer=self.kernel_regularizer, fans=(channels * window, self.filters * window),
        )  # fmt: skip
        if self.use_bias:
            self.bias = self.add_weight(
                "b", (self.filters,), self.bias_initializer, regularizer=self.bias_regularizer
            )

    def call(self, x: Node, run: Run) -> Node:
        """Return the images' maps."""
        z = _channels_first(
            x, self.data_format,
            lambda image: conv2d(image, self.kernel, self.strides, self.padding),
        )  # fmt: skip
        if self.use_bias:
            last = self.data_format == "channels_last"
            z = z + (self.bias if last else self.bias.reshape(-1, 1, 1))
        return self._function(z.named("z"))


@dataclass(eq=False, repr=False)
class _Pooling(Layer):
    """The largest entry, or the mean, of every window."""

    pool_size: Any = (2, 2)
    strides: Any = None
    padding: str = "valid"
    data_format: str = "channels_last"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.pool_size = pair("pool_size", self.pool_size)
        self.strides = None if self.strides is None else pair("strides", self.strides)
        _checked(self, self.data_format, self.padding)

    def build(self, shape: Any) -> None:
        """Check that the input is an image."""
        _channels(self, shape, self.data_format)

    def call(self, x: Node, run: Run) -> Node:
        """Return the smaller images."""
        return _channels_first(x, self.data_format, self.pooled)

    def pooled(self, x: Node) -> Node:
        """Return the result for (batch, channels, rows, columns)."""
        raise NotImplementedError


@dataclass(eq=False, repr=False)
class MaxPooling2D(_Pooling):
    """The largest entry of every window.

    Args:
        pool_size: of a window, an int or (rows, columns).
        strides: between windows; by default the size.
        padding: "valid" or "same".
        data_format: "channels_last" or "channels_first".
    """

    def pooled(self, x: Node) -> Node:
        """Return the result for (batch, channels, rows, columns)."""
        return max_pool2d(x, self.pool_size, self.strides, self.padding)


@dataclass(eq=False, repr=False)
class AveragePooling2D(_Pooling):
    """The mean of every window; rows and columns that "same" adds do not count.

    Args:
        pool_size: of a window, an int or (rows, columns).
        strides: between windows; by default the size.
        padding: "valid" or "same".
        data_format: "channels_last" or "channels_first".
    """

    def pooled(self, x: Node) -> Node:
        """Return the result for (batch, channels, rows, columns)."""
        found = avg_pool2d(x, self.pool_size, self.strides, self.padding)
        if self.padding == "valid":
            return found
        ones = np.ones((1, 1, *x.shape[2:]), x.dtype)
        share = avg_pool2d(ones, self.pool_size, self.strides, self.padding)
        return found / np.asarray(share, x.dtype)
