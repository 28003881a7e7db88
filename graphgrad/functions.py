"""Composites: functions that existing primitives express, so they need no rule of their own.

Softmax, variance, norms, pooling, dropout, and the building blocks of losses, all stable for
logits of ±1000. Each makes its nodes in a scope of its own name, so a picture can collapse it.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from graphgrad import dtypes, shapes
from graphgrad.context import scope
from graphgrad.errors import DtypeError, GraphError, ShapeError
from graphgrad.graph import Node, as_value
from graphgrad.ops.activation import relu, softplus
from graphgrad.ops.arithmetic import abs as absolute
from graphgrad.ops.arithmetic import pow, sqrt, square
from graphgrad.ops.choices import clip, equal, where
from graphgrad.ops.conv import borders, pair, windows
from graphgrad.ops.elementwise import cos, exp, log
from graphgrad.ops.index import index
from graphgrad.ops.random import random_uniform
from graphgrad.ops.reduce import logsumexp, mean
from graphgrad.ops.reduce import max as largest
from graphgrad.ops.reduce import sum as total
from graphgrad.ops.shape import cast, pad, reshape

__all__ = [
    "avg_pool2d", "binary_cross_entropy", "binary_cross_entropy_with_logits", "cross_entropy",
    "dropout", "expand_dims", "hinge", "huber", "index", "log_softmax", "mae", "max_pool2d", "mse",
    "norm", "one_hot", "pow", "random_normal", "softmax", "softmax_cross_entropy", "squeeze", "std",
    "variance",
]  # fmt: skip

F = TypeVar("F", bound=Callable[..., Any])


def _scoped(function: F) -> F:
    """Make the nodes of a composite in a scope that bears its name."""

    @functools.wraps(function)
    def inner(*args: Any, **settings: Any) -> Any:
        with scope(function.__name__):
            return function(*args, **settings)

    return inner  # type: ignore[return-value]


def _ndim(x: Any) -> int:
    return len(x.shape) if hasattr(x, "shape") else np.ndim(x)


@_scoped
def softmax(x: Any, axis: int = -1) -> Any:
    """Return exp(x) / Σ exp(x) along an axis, without overflow.

    Args:
        x: logits, a node or array of at least one axis.
        axis: along which the results sum to 1.

    Example:
        >>> import graphgrad as gg
        >>> gg.softmax(gg.var("x", [1000.0, 0.0, -1000.0])).value.tolist()
        [1.0, 0.0, 0.0]
    """
    return exp(x - logsumexp(x, axis, keepdims=True))


@_scoped
def log_softmax(x: Any, axis: int = -1) -> Any:
    """Return log softmax(x) = x − log Σ eˣ along an axis.

    Args:
        x: logits, a node or array of at least one axis.
        axis: along which the exponentials of the results sum to 1.

    Example:
        >>> import graphgrad as gg
        >>> gg.log_softmax(gg.var("x", [0.0, -1000.0])).value.tolist()
        [0.0, -1000.0]
    """
    return x - logsumexp(x, axis, keepdims=True)


@_scoped
def variance(x: Any, axis: Any = None, keepdims: bool = False, ddof: int = 0) -> Any:
    """Return the mean squared distance from the mean over `axis`.

    Args:
        x: node or array.
        axis: an int, a tuple of ints, or None for all axes.
        keepdims: keep the reduced axes with size 1.
        ddof: divide by n − ddof (1 gives the unbiased sample variance).

    Example:
        >>> import graphgrad as gg
        >>> gg.variance(gg.var("x", [1, 3])).value
        1.0
    """
    shape = x.shape if hasattr(x, "shape") else np.shape(x)
    n = shapes.size(tuple(shape[k] for k in shapes.axes(axis, len(shape))))
    centered = square(x - mean(x, axis, keepdims=True))
    if ddof == 0:
        return mean(centered, axis, keepdims)
    return total(centered, axis, keepdims) / (n - ddof)


@_scoped
def std(x: Any, axis: Any = None, keepdims: bool = False, ddof: int = 0) -> Any:
    """Return the square root of `variance`; its derivative is infinite where the variance is 0.

    Example:
        >>> import graphgrad as gg
        >>> gg.std(gg.var("x", [1, 3])).value
        1.0
    """
    return sqrt(variance(x, axis, keepdims, ddof))


@_scoped
def norm(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return the Euclidean norm over `axis`; its gradient at the zero vector is 0.

    Args:
        x: node or array.
        axis: an int, a tuple of ints, or None for all axes.
        keepdims: keep the reduced axes with size 1.

    Example:
        >>> import graphgrad as gg
        >>> gg.norm(gg.var("x", [3, 4])).value
        5.0
    """
    squares = total(square(x), axis, keepdims)
    zero = equal(squares, 0)
    # The inner choice keeps 1/√0 out of the derivative, which the outer one alone would not.
    return where(zero, 0.0, sqrt(where(zero, 1.0, squares)))


def one_hot(indices: Any, depth: int, dtype: Any = float) -> Any:
    """Return rows that are 1 at the given positions and 0 elsewhere.

    Args:
        indices: integers of any shape (...), an array or an int64 node, in range(depth).
        depth: the length of a row.
        dtype: of the result.

    Returns:
        Shape (..., depth).

    Example:
        >>> import graphgrad as gg
        >>> gg.one_hot([0, 2], 3).tolist()
        [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    if not hasattr(depth, "__index__"):
        raise DtypeError(f"one_hot: depth={depth!r}; expected a whole number")
    positions = indices if isinstance(indices, Node) else np.asarray(indices)
    if positions.dtype.kind not in "iu":
        raise DtypeError(f"one_hot: indices are {positions.dtype}; expected integers")
    known = np.empty(0) if isinstance(positions, Node) else positions
    if known.size and (known.min() < 0 or known.max() >= depth):
        raise ShapeError(f"one_hot: indices must lie in range({depth}), got {known.tolist()}")
    return cast(equal(expand_dims(positions, -1), np.arange(depth)), dtype)


def expand_dims(x: Any, axis: int) -> Any:
    """Return x with a new axis of size 1 at `axis`.

    Example:
        >>> import graphgrad as gg
        >>> gg.expand_dims(gg.var("x", shape=(3,)), -1).shape
        (3, 1)
    """
    k = shapes.one_axis(axis, _ndim(x) + 1)
    return reshape(x, (*x.shape[:k], 1, *x.shape[k:]))


def squeeze(x: Any, axis: int) -> Any:
    """Return x without an axis of size 1.

    Raises:
        ShapeError: when the axis has another size.

    Example:
        >>> import graphgrad as gg
        >>> gg.squeeze(gg.var("x", shape=(3, 1)), -1).shape
        (3,)
    """
    k = shapes.one_axis(axis, _ndim(x))
    if x.shape[k] != 1:
        raise ShapeError(f"squeeze: axis {axis} of shape {x.shape} has size {x.shape[k]}, not 1")
    return reshape(x, x.shape[:k] + x.shape[k + 1 :])


def _pool(x: Any, size: Any, stride: Any, padding: Any, value: float, reduction: Any) -> Any:
    kernel = pair("size", size)
    step = kernel if stride is None else pair("stride", stride)
    around = borders(padding, kernel, step, x.shape[-2:])
    if any(p for side in around for p in side):
        x = pad(x, ((0, 0),) * (_ndim(x) - 2) + around, value)
    return reduction(windows(x, kernel, step), axis=(-2, -1))


@_scoped
def max_pool2d(x: Any, size: Any = 2, stride: Any = None, padding: Any = 0) -> Any:
    """Return the largest entry of every window; ties share the gradient equally.

    Args:
        x: shape (..., H, W).
        size: of a window, an int or (kh, kw).
        stride: an int or a pair; by default the size.
        padding: as in `conv2d`, with −∞ in the border.

    Example:
        >>> import graphgrad as gg
        >>> gg.max_pool2d(gg.var("x", [[1, 2], [3, 4]]), 2).value.tolist()
        [[4.0]]
    """
    return _pool(x, size, stride, padding, -math.inf, largest)


@_scoped
def avg_pool2d(x: Any, size: Any = 2, stride: Any = None, padding: Any = 0) -> Any:
    """Return the mean of every window; zeros in the border count.

    Args:
        x: shape (..., H, W).
        size: of a window, an int or (kh, kw).
        stride: an int or a pair; by default the size.
        padding: as in `conv2d`.

    Example:
        >>> import graphgrad as gg
        >>> gg.avg_pool2d(gg.var("x", [[1, 2], [3, 4]]), 2).value.tolist()
        [[2.5]]
    """
    return _pool(x, size, stride, padding, 0.0, mean)


@_scoped
def dropout(x: Any, rate: float, counter: Any, seed: int = 0) -> Any:
    """Return x with a random share of its entries set to 0 and the others scaled up.

    Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov 2014, JMLR 15, in the "inverted"
    form: kept entries are divided by 1 − rate, so the mean stays and prediction needs no change.

    Args:
        x: node.
        rate: the share to drop, in [0, 1).
        counter: an int64 scalar; each value gives another mask.
        seed: give each layer its own.

    Example:
        >>> import graphgrad as gg
        >>> step = gg.var("step", 0, dtype=int)
        >>> sorted(set(gg.dropout(gg.var("x", [1.0] * 50), 0.5, step).value.tolist()))
        [0.0, 2.0]
    """
    if not 0 <= rate < 1:
        raise GraphError(f"dropout: rate {rate!r}; expected a number in [0, 1)")
    drawn = random_uniform(counter, x.shape, seed, x.dtype)
    return x * (cast(drawn >= rate, x.dtype) / (1 - rate))


@_scoped
def random_normal(counter: Any, shape: Any = (), seed: int = 0, dtype: Any = float) -> Any:
    """Return numbers drawn from N(0, 1), a pure function of counter and seed.

    Box and Muller 1958, Annals of Mathematical Statistics 29: √(−2 log u) cos 2πv.

    Args:
        counter, shape, seed, dtype: as in `random_uniform`; seed 2k and 2k+1 are used.

    Example:
        >>> import graphgrad as gg
        >>> gg.random_normal(0, (3,)).shape
        (3,)
    """
    u = random_uniform(counter, shape, 2 * seed, dtype)
    v = random_uniform(counter, shape, 2 * seed + 1, dtype)
    return sqrt(-2 * log(1 - u)) * cos(2 * math.pi * v)


# -- losses ------------------------------------------------------------------------------------


@_scoped
def mse(prediction: Any, target: Any) -> Any:
    """Return the mean squared error, mean (ŷ − y)², over all entries.

    Example:
        >>> import graphgrad as gg
        >>> gg.mse(gg.var("p", [1, 2]), [0, 4]).value
        2.5
    """
    return mean(square(prediction - _like(target, prediction)))


@_scoped
def mae(prediction: Any, target: Any) -> Any:
    """Return the mean absolute error, mean |ŷ − y|, over all entries.

    Example:
        >>> import graphgrad as gg
        >>> gg.mae(gg.var("p", [1, 2]), [0, 4]).value
        1.5
    """
    return mean(absolute(prediction - _like(target, prediction)))


@_scoped
def huber(prediction: Any, target: Any, delta: float = 1.0) -> Any:
    """Return the mean Huber loss: ½e² for |e| ≤ δ, else δ(|e| − ½δ) (Huber 1964).

    Example:
        >>> import graphgrad as gg
        >>> gg.huber(gg.var("p", [0.5, 3.0]), [0.0, 0.0]).value
        1.3125
    """
    error = absolute(prediction - _like(target, prediction))
    inside = clip(error, 0.0, delta)
    return mean(inside * (error - 0.5 * inside))


@_scoped
def hinge(prediction: Any, target: Any) -> Any:
    """Return the mean hinge loss, mean max(0, 1 − y ŷ), for targets of −1 and 1.

    Example:
        >>> import graphgrad as gg
        >>> gg.hinge(gg.var("p", [0.5, -2.0]), [1, -1]).value
        0.25
    """
    return mean(relu(1 - _like(target, prediction) * prediction))


@_scoped
def binary_cross_entropy(probability: Any, target: Any) -> Any:
    """Return mean −y log ŷ − (1 − y) log(1 − ŷ) of probabilities.

    Probabilities are kept 1e-12 (1e-7 for float32) away from 0 and 1, so the loss stays finite;
    from logits use `binary_cross_entropy_with_logits`, which needs no such limit.

    Args:
        probability: in [0, 1].
        target: in [0, 1], of a shape that broadcasts.

    Example:
        >>> import graphgrad as gg
        >>> round(gg.binary_cross_entropy(gg.var("p", 0.45), 1.0).value, 6)
        0.798508
    """
    y = _like(target, probability)
    tiny = 1e-7 if getattr(probability, "dtype", None) == np.float32 else 1e-12
    p = clip(probability, tiny, 1 - tiny)
    return mean(-y * log(p) - (1 - y) * log(1 - p))


@_scoped
def binary_cross_entropy_with_logits(logits: Any, target: Any) -> Any:
    """Return the mean binary cross-entropy of σ(z): mean softplus(z) − y z.

    Args:
        logits: any real numbers.
        target: in [0, 1], of a shape that broadcasts.

    Example:
        >>> import graphgrad as gg
        >>> gg.binary_cross_entropy_with_logits(gg.var("z", [1000.0, -1000.0]), [0, 0]).value
        500.0
    """
    return mean(softplus(logits) - _like(target, logits) * logits)


@_scoped
def cross_entropy(probability: Any, target: Any, axis: int = -1) -> Any:
    """Return mean −Σ y log ŷ of probabilities against distributions along `axis`.

    Example:
        >>> import graphgrad as gg
        >>> round(gg.cross_entropy(gg.var("p", [0.25, 0.75]), [0, 1]).value, 6)
        0.287682
    """
    tiny = 1e-7 if getattr(probability, "dtype", None) == np.float32 else 1e-12
    p = clip(probability, tiny, 1.0)
    return mean(-total(_like(target, probability) * log(p), axis))


@_scoped
def softmax_cross_entropy(logits: Any, target: Any, axis: int = -1) -> Any:
    """Return the mean cross-entropy of softmax(z): mean log Σ eᶻ − Σ y z along `axis`.

    Args:
        logits: any real numbers, shape (..., K).
        target: integers of shape (...), the classes; or distributions of the logits' shape.
        axis: along which the classes stand.

    Example:
        >>> import graphgrad as gg
        >>> z = gg.var("z", [[1000.0, 0.0], [0.0, 0.0]])
        >>> round(gg.softmax_cross_entropy(z, [0, 1]).value, 6)
        0.346574
    """
    y = target if isinstance(target, Node) else np.asarray(target)
    if y.dtype.kind in "iu" and len(y.shape) == _ndim(logits) - 1:
        k = shapes.one_axis(axis, _ndim(logits))
        y = one_hot(y, logits.shape[k], logits.dtype)
        if k != _ndim(logits) - 1:
            order = list(range(_ndim(logits) - 1))
            order.insert(k, _ndim(logits) - 1)
            y = y.transpose(order)
    else:
        if y.dtype.kind == "f" and len(y.shape) == _ndim(logits) - 1 and len(y.shape):
            raise DtypeError(
                f"softmax_cross_entropy: targets of shape {y.shape} are {y.dtype}; expected the "
                f"numbers of the classes as integers: for a variable, dtype='int64'"
            )
        y = _like(y, logits)
        if y.shape != logits.shape:
            raise ShapeError(
                f"softmax_cross_entropy: targets of shape {y.shape} fit neither classes nor "
                f"distributions for logits of shape {logits.shape}"
            )
    picked = total(y * logits, axis)
    return mean(logsumexp(logits, axis) - picked)


def _like(target: Any, prediction: Any) -> Any:
    """Return plain targets in the floating type of the prediction, and of a shape that fits it."""
    kind = getattr(prediction, "dtype", dtypes.FLOAT64)
    if not isinstance(target, Node):
        target = as_value(target, kind if kind.kind == "f" else None, "targets")
    shape = getattr(prediction, "shape", ())
    if shapes.broadcast(target.shape, shape) != shape:
        raise ShapeError(
            f"targets of shape {target.shape} would spread predictions of shape {shape}; "
            f"reshape one of them"
        )
    return target
