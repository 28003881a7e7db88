"""Convolution of images and the two products its derivatives need; windows and their transpose.

Images are (N, C, H, W): examples, channels, rows, columns; kernels (K, C, kh, kw). As in every
deep learning library "convolution" does not flip the kernel (it is a cross-correlation). The
three products are bilinear, and the derivative of each is made of the other two, to any order.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from graphgrad import dtypes, shapes
from graphgrad.errors import ShapeError
from graphgrad.ops.define import case, structured
from graphgrad.ops.reduce import sum
from graphgrad.ops.shape import pad, reshape, transpose
from graphgrad.primitive import Primitive

__all__ = ["conv2d", "conv2d_input", "conv2d_kernel", "fold", "windows"]

Pair = tuple[int, int]


def pair(name: str, value: Any, least: int = 1) -> Pair:
    """Return an int or a pair of ints as a pair of ints of at least `least`."""
    try:
        given = (value, value) if hasattr(value, "__index__") else value
        two = tuple(operator.index(v) for v in given)
    except TypeError:
        two = ()
    if len(two) != 2 or min(two) < least:
        raise ShapeError(f"{name}={value!r}: expected an int or two ints of at least {least}")
    return two


def borders(padding: Any, size: Pair, stride: Pair, image: Pair) -> tuple[Pair, Pair]:
    """Return padding as ((top, bottom), (left, right)).

    "valid" is none; "same" gives ceil(length / stride) outputs, the odd one after the image.
    """
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding == "same":
        whole = [
            max((-(-n // s) - 1) * s + k - n, 0)
            for n, s, k in zip(image, stride, size, strict=True)
        ]
        return tuple((t // 2, t - t // 2) for t in whole)  # type: ignore[return-value]
    if isinstance(padding, str):
        raise ShapeError(f"padding={padding!r}: expected 'same', 'valid', an int or pairs of ints")
    if isinstance(padding, tuple | list) and any(isinstance(p, tuple | list) for p in padding):
        if len(padding) != 2:
            raise ShapeError(f"padding={padding!r}: expected two (before, after) pairs")
        return pair("padding", padding[0], 0), pair("padding", padding[1], 0)
    rows, columns = pair("padding", padding, 0)
    return (rows, rows), (columns, columns)


def _image(x: shapes.Shape, what: str) -> None:
    if len(x) != 4:
        raise ShapeError(f"{what} has shape {x}; expected four axes (see the docstring)")


def _shape_of(x: Any) -> shapes.Shape:
    return x.shape if hasattr(x, "shape") else np.shape(x)


def _padded(x: Any, padding: tuple[Pair, Pair]) -> Any:
    if padding == ((0, 0), (0, 0)):
        return x
    return np.pad(x, ((0, 0),) * (x.ndim - 2) + padding)


def _view(x: Any, size: Pair, stride: Pair) -> Any:
    view = np.lib.stride_tricks.sliding_window_view(x, size, axis=(-2, -1))
    return view[..., :: stride[0], :: stride[1], :, :]


def _fold(columns: Any, stride: Pair, image: Pair) -> Any:
    """Add windows (..., oh, ow, kh, kw) back to where they came from in an image."""
    oh, ow, kh, kw = columns.shape[-4:]
    out = np.zeros(columns.shape[:-4] + image, columns.dtype)
    for p in range(kh):
        for q in range(kw):
            rows = slice(p, p + stride[0] * oh, stride[0])
            cols = slice(q, q + stride[1] * ow, stride[1])
            out[..., rows, cols] += columns[..., p, q]
    return out


def _outputs(image: shapes.Shape, size: Pair, stride: Pair, padding: Any) -> shapes.Shape:
    return tuple(
        shapes.windows(n, k, s, p)
        for n, k, s, p in zip(image[-2:], size, stride, padding, strict=True)
    )


def _windows(x: Any, size: Any, stride: Any = None) -> Any:
    kernel = pair("size", size)
    step = kernel if stride is None else pair("stride", stride)
    return (x,), {"size": kernel, "stride": step}


def _windows_shape(x: shapes.Shape, size: Pair, stride: Pair) -> shapes.Shape:
    if len(x) < 2:
        raise ShapeError(f"shape {x}: windows need at least two axes")
    return x[:-2] + _outputs(x, size, stride, ((0, 0), (0, 0))) + size


windows = structured(
    "windows",
    doc="""Return all windows of the last two axes, side by side.

    Args:
        x: shape (..., H, W).
        size: of a window, an int or (kh, kw).
        stride: between windows, an int or a pair; by default the size, so that none overlap.

    Returns:
        Shape (..., oh, ow, kh, kw).

    Example:
        >>> import graphgrad as gg
        >>> gg.windows(gg.var("x", shape=(1, 4, 4)), 2).shape
        (1, 2, 2, 2, 2)
    """,
    prepare=_windows,
    forward=lambda x, size, stride: _view(x, size, stride),
    shape=_windows_shape,
    kind="move",
    vjp=[lambda g, y, x, size, stride: fold(g, x.shape[-2:], stride)],
    linear="each",
    lower=lambda x, size, stride: _side_by_side(x, size, stride),
    text="windows(#1)",
    latex=r"\operatorname{windows}\left(#1\right)",
    cases=[case((1, 4, 5), size=2), case((3, 5), size=(2, 3), stride=1), case((4, 4), 2, 3)],
)


def _tiles(image: shapes.Shape, size: Pair, stride: Pair) -> bool:
    """Return whether windows cover an image side by side."""
    return size == stride and all(n % k == 0 for n, k in zip(image, size, strict=True))


def _side_by_side(x: Any, size: Pair, stride: Pair) -> Any:
    n, (height, width) = len(x.shape) - 2, x.shape[-2:]
    if not _tiles(x.shape[-2:], size, stride):
        return None
    cut = reshape(x, (*x.shape[:-2], height // size[0], size[0], width // size[1], size[1]))
    return transpose(cut, (*range(n), n, n + 2, n + 1, n + 3))


def _put_together(x: Any, image: Pair, stride: Pair) -> Any:
    if not _tiles(image, x.shape[-2:], stride):
        return None
    n = len(x.shape) - 4
    return reshape(transpose(x, (*range(n), n, n + 2, n + 1, n + 3)), (*x.shape[:-4], *image))


def _fold_prepare(x: Any, image: Any, stride: Any) -> Any:
    return (x,), {"image": pair("image", image), "stride": pair("stride", stride)}


def _fold_shape(x: shapes.Shape, image: Pair, stride: Pair) -> shapes.Shape:
    if len(x) < 4 or _outputs(image, x[-2:], stride, ((0, 0), (0, 0))) != x[-4:-2]:  # type: ignore[arg-type]
        raise ShapeError(f"shape {x} does not hold the windows of an image {image}")
    return x[:-4] + image


fold: Primitive = structured(
    "fold",
    doc="""Return windows added back to where they came from: the transpose of `windows`.

    Args:
        x: shape (..., oh, ow, kh, kw).
        image: the size (H, W) of the result's last two axes.
        stride: between windows, an int or a pair.

    Example:
        >>> import graphgrad as gg
        >>> gg.fold(gg.var("g", shape=(2, 2, 2, 2)), (4, 4), 2).shape
        (4, 4)
    """,
    prepare=_fold_prepare,
    forward=lambda x, image, stride: _fold(np.asarray(x), stride, image),
    shape=_fold_shape,
    kind="move",
    vjp=[lambda g, y, x, image, stride: windows(g, x.shape[-2:], stride)],
    linear="each",
    lower=lambda x, image, stride: _put_together(x, image, stride),
    text="fold(#1)",
    latex=r"\operatorname{fold}\left(#1\right)",
    cases=[
        case((2, 2, 2, 2), image=(4, 4), stride=2),
        case((1, 2, 3, 2, 2), image=(3, 4), stride=1),
    ],
)


def _conv(x: Any, kernel: Any, stride: Any = 1, padding: Any = 0) -> Any:
    image, taps = _shape_of(x), _shape_of(kernel)
    _image(image, "conv2d: the image")
    _image(taps, "conv2d: the kernel")
    step = pair("stride", stride)
    around = borders(padding, taps[2:], step, image[2:])  # type: ignore[arg-type]
    return (x, kernel), {"stride": step, "padding": around}


def _conv_shape(x: shapes.Shape, w: shapes.Shape, stride: Pair, padding: Any) -> shapes.Shape:
    if x[1] != w[1]:
        raise ShapeError(f"the image has {x[1]} channels, the kernel expects {w[1]}")
    return (x[0], w[0], *_outputs(x, w[2:], stride, padding))  # type: ignore[arg-type]


def _conv_forward(x: Any, w: Any, stride: Pair, padding: Any) -> Any:
    view = _view(_padded(x, padding), w.shape[2:], stride)
    return np.tensordot(view, w, ((1, 4, 5), (1, 2, 3))).transpose(0, 3, 1, 2)


def _input_forward(g: Any, w: Any, stride: Pair, padding: Any, image: Pair) -> Any:
    columns = np.tensordot(g, w, ((1,), (0,))).transpose(0, 3, 1, 2, 4, 5)
    (top, bottom), (left, right) = padding
    whole = _fold(columns, stride, (image[0] + top + bottom, image[1] + left + right))
    return whole[..., top : top + image[0], left : left + image[1]]


def _kernel_forward(x: Any, g: Any, stride: Pair, padding: Any, size: Pair) -> Any:
    view = _view(_padded(x, padding), size, stride)[:, :, : g.shape[2], : g.shape[3]]
    return np.tensordot(g, view, ((0, 2, 3), (0, 2, 3)))


def _bordered(x: Any, padding: tuple[Pair, Pair]) -> Any:
    return x if padding == ((0, 0), (0, 0)) else pad(x, ((0, 0), (0, 0), *padding))


def _columns(x: Any, size: Pair, stride: Pair, padding: Any, outputs: Any) -> Any:
    """Return each image's windows as columns, (N, C·kh·kw, oh·ow): the "im2col" matrices."""
    view = windows(_bordered(x, padding), size, stride)[:, :, : outputs[0], : outputs[1]]
    columns = transpose(view, (0, 1, 4, 5, 2, 3))
    return reshape(columns, (x.shape[0], -1, outputs[0] * outputs[1]))


def _conv_as_product(x: Any, w: Any, stride: Pair, padding: Any) -> Any:
    n, k, oh, ow = _conv_shape(x.shape, w.shape, stride, padding)
    columns = _columns(x, w.shape[2:], stride, padding, (oh, ow))
    return reshape(reshape(w, (k, -1)) @ columns, (n, k, oh, ow))


def _kernel_as_product(x: Any, g: Any, stride: Pair, padding: Any, size: Pair) -> Any:
    columns = _columns(x, size, stride, padding, g.shape[2:])
    rows = reshape(g, (g.shape[0], g.shape[1], -1))
    return reshape(sum(rows @ transpose(columns, (0, 2, 1)), 0), (g.shape[1], x.shape[1], *size))


def _input_as_product(g: Any, w: Any, stride: Pair, padding: Any, image: Pair) -> Any:
    n, k, oh, ow = g.shape
    (top, bottom), (left, right) = padding
    across = transpose(reshape(w, (k, -1)))
    columns = reshape(across @ reshape(g, (n, k, -1)), (n, *w.shape[1:], oh, ow))
    whole = (image[0] + top + bottom, image[1] + left + right)
    covered = ((oh - 1) * stride[0] + w.shape[2], (ow - 1) * stride[1] + w.shape[3])
    out = fold(transpose(columns, (0, 1, 4, 5, 2, 3)), covered, stride)
    short = ((0, whole[0] - covered[0]), (0, whole[1] - covered[1]))
    out = _bordered(out, short)
    return out[..., top : top + image[0], left : left + image[1]]


def _input_as_windows(g: Any, w: Any, stride: Pair, padding: Any, image: Pair) -> Any:
    """Return the same as a convolution of g in a border with the kernel turned by half a turn.

    It has kh·kw·K numbers in each window instead of kh·kw·C in each that is added back, and nothing
    is added back. None where windows do not begin at every pixel, or reach beyond such a border.
    """
    around = tuple(
        (k - 1 - before, n - outputs + before)
        for n, outputs, k, (before, _) in zip(image, g.shape[2:], w.shape[2:], padding, strict=True)
    )
    if stride != (1, 1) or min(min(side) for side in around) < 0:
        return None
    turned = transpose(w[:, :, ::-1, ::-1], (1, 0, 2, 3))
    return _conv_as_product(g, turned, stride, around)


conv2d = structured(
    "conv2d",
    doc="""Return the convolution of images with kernels (no flip, as in all deep learning).

    y[n, k, i, j] = Σ x[n, c, i·s + p, j·s + q] · kernel[k, c, p, q] over c, p, q.

    Args:
        x: images, shape (N, C, H, W).
        kernel: shape (K, C, kh, kw).
        stride: an int or (rows, columns).
        padding: zeros around the image: an int, (rows, columns), two (before, after) pairs,
            "valid" (none) or "same" (as many outputs as inputs at stride 1).

    Returns:
        Shape (N, K, oh, ow).

    Raises:
        ShapeError: when the channels differ or the kernel does not fit.

    Example:
        >>> import graphgrad as gg
        >>> x, w = gg.var("x", shape=(1, 3, 8, 8)), gg.var("w", shape=(16, 3, 3, 3))
        >>> gg.conv2d(x, w, padding="same").shape
        (1, 16, 8, 8)
    """,
    prepare=_conv,
    forward=_conv_forward,
    shape=_conv_shape,
    kind="conv",
    vjp=[
        lambda g, y, x, w, stride, padding: conv2d_input(g, w, stride, padding, x.shape[2:]),
        lambda g, y, x, w, stride, padding: conv2d_kernel(x, g, stride, padding, w.shape[2:]),
    ],
    dtype=dtypes.arithmetic,
    linear="each",
    text="#1 ⋆ #2",
    latex=r"#1 \star #2",
    precedence=2,
    symbol="⋆",
    lower=lambda x, w, stride, padding: _conv_as_product(x, w, stride, padding),
    cases=[
        case((2, 2, 5, 4), (3, 2, 3, 2)),
        case((1, 1, 5, 5), (1, 1, 3, 3), stride=2, padding=1),
        case((1, 2, 6, 5), (2, 2, 2, 3), stride=(2, 1), padding="same"),
        case((1, 1, 4, 4), (1, 1, 2, 2), stride=3, padding=((0, 1), (1, 0))),
    ],
)


def _input(g: Any, kernel: Any, stride: Any, padding: Any, image: Any) -> Any:
    size = pair("image", image)
    step = pair("stride", stride)
    around = borders(padding, _shape_of(kernel)[2:], step, size)  # type: ignore[arg-type]
    return (g, kernel), {"stride": step, "padding": around, "image": size}


def _input_shape(
    g: shapes.Shape, w: shapes.Shape, stride: Pair, padding: Any, image: Pair
) -> shapes.Shape:
    _image(g, "the first input")
    _image(w, "the kernel")
    x = (g[0], w[1], *image)
    if _conv_shape(x, w, stride, padding) != g:
        raise ShapeError(f"shape {g} is not what conv2d makes of {x} and {w}")
    return x


conv2d_input: Primitive = structured(
    "conv2d_input",
    doc="""Return the transpose of `conv2d` in its image, also called transposed convolution.

    Args:
        g: shape (N, K, oh, ow), as conv2d gives.
        kernel: shape (K, C, kh, kw).
        stride, padding: as in `conv2d`.
        image: the size (H, W) of the result.

    Returns:
        Shape (N, C, H, W).

    Example:
        >>> import graphgrad as gg
        >>> g, w = gg.var("g", shape=(1, 2, 3, 3)), gg.var("w", shape=(2, 1, 2, 2))
        >>> gg.conv2d_input(g, w, 1, 0, (4, 4)).shape
        (1, 1, 4, 4)
    """,
    prepare=_input,
    forward=_input_forward,
    shape=_input_shape,
    kind="conv",
    vjp=[
        lambda g, y, u, w, stride, padding, image: conv2d(g, w, stride, padding),
        lambda g, y, u, w, stride, padding, image: conv2d_kernel(
            g, u, stride, padding, w.shape[2:]
        ),
    ],
    dtype=dtypes.arithmetic,
    linear="each",
    text="#1 ⋆ᵀ #2",
    latex=r"#1 \star^{\top} #2",
    precedence=2,
    symbol="⋆ᵀ",
    lower=lambda g, w, stride, padding, image: _input_as_product(g, w, stride, padding, image),
    lower_gpu=lambda g, w, stride, padding, image: _input_as_windows(g, w, stride, padding, image),
    cases=[
        case((1, 2, 2, 2), (2, 1, 2, 3), stride=1, padding=0, image=(3, 4)),
        case((1, 1, 3, 3), (1, 2, 3, 3), stride=2, padding=1, image=(5, 6)),
    ],
)


def _kernel(x: Any, g: Any, stride: Any, padding: Any, size: Any) -> Any:
    taps = pair("size", size)
    step = pair("stride", stride)
    around = borders(padding, taps, step, _shape_of(x)[2:])  # type: ignore[arg-type]
    return (x, g), {"stride": step, "padding": around, "size": taps}


def _kernel_shape(
    x: shapes.Shape, g: shapes.Shape, stride: Pair, padding: Any, size: Pair
) -> shapes.Shape:
    _image(x, "the image")
    _image(g, "the second input")
    w = (g[1], x[1], *size)
    if _conv_shape(x, w, stride, padding) != g:
        raise ShapeError(f"shape {g} is not what conv2d makes of {x} and {w}")
    return w


conv2d_kernel: Primitive = structured(
    "conv2d_kernel",
    doc="""Return the transpose of `conv2d` in its kernel.

    Args:
        x: images, shape (N, C, H, W).
        g: shape (N, K, oh, ow), as conv2d gives.
        stride, padding: as in `conv2d`.
        size: the size (kh, kw) of the kernel.

    Returns:
        Shape (K, C, kh, kw).

    Example:
        >>> import graphgrad as gg
        >>> x, g = gg.var("x", shape=(1, 1, 4, 4)), gg.var("g", shape=(1, 2, 3, 3))
        >>> gg.conv2d_kernel(x, g, 1, 0, (2, 2)).shape
        (2, 1, 2, 2)
    """,
    prepare=_kernel,
    forward=_kernel_forward,
    shape=_kernel_shape,
    kind="conv",
    vjp=[
        lambda g, y, x, u, stride, padding, size: conv2d_input(u, g, stride, padding, x.shape[2:]),
        lambda g, y, x, u, stride, padding, size: conv2d(x, g, stride, padding),
    ],
    dtype=dtypes.arithmetic,
    linear="each",
    text="#1 ⋆ₖ #2",
    latex=r"#1 \star_{k} #2",
    precedence=2,
    symbol="⋆ₖ",
    lower=lambda x, g, stride, padding, size: _kernel_as_product(x, g, stride, padding, size),
    cases=[
        case((1, 2, 3, 4), (1, 2, 2, 2), stride=1, padding=0, size=(2, 3)),
        case((2, 1, 5, 6), (2, 1, 3, 3), stride=2, padding=1, size=(3, 3)),
    ],
)
