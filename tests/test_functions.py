"""Composites: stable at ±1000, with the values and gradients of SciPy, forms and loops."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import scipy.special
import scipy.stats

import graphgrad as gg
from graphgrad import functions
from graphgrad.errors import DtypeError, GraphError, ShapeError

from .checks import check_gradient

RNG = np.random.default_rng(0)
Z = RNG.normal(size=(4, 3))
ONE_HOT = np.eye(3)[[0, 2, 1, 1]]
LABELS = np.array([0, 2, 1, 1])
SIGNS = np.where(Z[:, 0] > 0, 1.0, -1.0)


# -- against SciPy and closed forms ----------------------------------------------------------------

SAME: dict[str, tuple[Any, Any]] = {
    "softmax": (gg.softmax(Z), scipy.special.softmax(Z, axis=-1)),
    "softmax, axis 0": (gg.softmax(Z, axis=0), scipy.special.softmax(Z, axis=0)),
    "log_softmax": (gg.log_softmax(Z), scipy.special.log_softmax(Z, axis=-1)),
    "variance": (gg.variance(Z), np.var(Z)),
    "variance, axis, ddof": (gg.variance(Z, 0, True, 1), np.var(Z, 0, keepdims=True, ddof=1)),
    "std": (gg.std(Z, axis=1), np.std(Z, axis=1)),
    "norm": (gg.norm(Z), np.linalg.norm(Z)),
    "norm, axis": (gg.norm(Z, axis=1, keepdims=True), np.linalg.norm(Z, axis=1, keepdims=True)),
    "expand_dims": (gg.expand_dims(Z, 1), Z[:, None]),
    "squeeze": (gg.squeeze(Z[:, None], -2), Z),
    "mse": (gg.mse(Z, ONE_HOT), np.mean((Z - ONE_HOT) ** 2)),
    "mae": (gg.mae(Z, ONE_HOT), np.mean(np.abs(Z - ONE_HOT))),
    "huber": (gg.huber(Z, ONE_HOT, 0.7), np.mean(scipy.special.huber(0.7, Z - ONE_HOT))),
    "hinge": (gg.hinge(Z[:, 1], SIGNS), np.mean(np.maximum(0, 1 - SIGNS * Z[:, 1]))),
    "binary_cross_entropy": (
        gg.binary_cross_entropy(scipy.special.expit(Z), ONE_HOT),
        np.mean(-scipy.special.log_expit(np.where(ONE_HOT == 1, Z, -Z))),
    ),
    "binary_cross_entropy_with_logits": (
        gg.binary_cross_entropy_with_logits(Z, ONE_HOT),
        np.mean(-scipy.special.log_expit(np.where(ONE_HOT == 1, Z, -Z))),
    ),
    "cross_entropy": (
        gg.cross_entropy(scipy.special.softmax(Z, -1), ONE_HOT),
        -np.mean(scipy.special.log_softmax(Z, -1)[range(4), LABELS]),
    ),
    "softmax_cross_entropy, classes": (
        gg.softmax_cross_entropy(Z, LABELS),
        -np.mean(scipy.special.log_softmax(Z, -1)[range(4), LABELS]),
    ),
    "softmax_cross_entropy, distributions": (
        gg.softmax_cross_entropy(Z, ONE_HOT * 0.75),
        np.mean(scipy.special.logsumexp(Z, -1) - 0.75 * Z[range(4), LABELS]),
    ),
    "softmax_cross_entropy, axis 0": (
        gg.softmax_cross_entropy(Z.T, LABELS, axis=0),
        -np.mean(scipy.special.log_softmax(Z, -1)[range(4), LABELS]),
    ),
    "one_hot": (gg.one_hot(LABELS, 3), ONE_HOT),
}


@pytest.mark.parametrize("name", SAME)
def test_values_on_plain_arrays(name: str) -> None:
    found, expected = SAME[name]
    assert not isinstance(found, gg.Node)
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-15)


GRADED: dict[str, Any] = {
    "softmax": gg.softmax,
    "log_softmax": lambda z: gg.log_softmax(z, axis=0),
    "variance": lambda z: gg.variance(z, axis=1, ddof=1),
    "std": gg.std,
    "norm": lambda z: gg.norm(z, axis=0),
    "expand_dims and squeeze": lambda z: gg.squeeze(gg.expand_dims(z, 1), 1),
    "mse": lambda z: gg.mse(z, ONE_HOT),
    "mse of two nodes": lambda z: gg.mse(z, gg.var("t", ONE_HOT)),
    "mae": lambda z: gg.mae(z, ONE_HOT),
    "huber": lambda z: gg.huber(z, ONE_HOT, 0.7),
    "hinge": lambda z: gg.hinge(z[:, 1], SIGNS),
    "binary_cross_entropy": lambda z: gg.binary_cross_entropy(gg.sigmoid(z), ONE_HOT),
    "with_logits": lambda z: gg.binary_cross_entropy_with_logits(z, ONE_HOT),
    "cross_entropy": lambda z: gg.cross_entropy(gg.softmax(z), ONE_HOT),
    "softmax_cross_entropy": lambda z: gg.softmax_cross_entropy(z, LABELS),
    "softmax_cross_entropy of a node": lambda z: gg.softmax_cross_entropy(
        z, gg.var("t", LABELS, dtype=int)
    ),
    "max_pool2d": lambda z: gg.max_pool2d(z, 2, stride=1),
    "avg_pool2d": lambda z: gg.avg_pool2d(z, (2, 3), stride=1, padding="same"),
}


@pytest.mark.parametrize("name", GRADED)
def test_nodes_have_the_value_of_arrays_and_the_gradient_of_the_complex_step(name: str) -> None:
    z = gg.var("z", Z)
    y = GRADED[name](z)
    check_gradient(y, z)
    check_gradient(gg.vjp(y, z, RNG.normal(size=y.shape)), z, rtol=1e-8)
    if name in SAME:
        np.testing.assert_allclose(y.value, GRADED[name](gg.const(Z)).value, rtol=1e-15)


@pytest.mark.parametrize("name", GRADED)
def test_float32_in_float32_out(name: str) -> None:
    z = gg.var("z", Z.astype(np.float32))
    y = GRADED[name](z)
    if "two nodes" not in name:
        assert y.dtype == np.float32
    y.sum().backward()
    assert z.grad.dtype == np.float32
    np.testing.assert_allclose(z.grad, _gradient64(name), rtol=1e-3, atol=1e-5)


def _gradient64(name: str) -> Any:
    z = gg.var("z", Z.astype(np.float32).astype(float))
    return gg.grad(GRADED[name](z).sum(), z).value


# -- large numbers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_softmax_and_its_losses_at_a_thousand(dtype: Any) -> None:
    z = gg.var("z", np.array([[1000.0, -1000.0, 0.0], [-1000.0, -1000.0, -1000.0]], dtype))
    soft = gg.softmax(z)
    rtol = 1000 * float(np.finfo(dtype).eps)  # one rounding of log Σ eᶻ, a number near 1000
    np.testing.assert_allclose(soft.value, [[1, 0, 0], [1 / 3] * 3], rtol=rtol)
    expected = [[0, -2000, -1000], [-math.log(3)] * 3]
    np.testing.assert_allclose(gg.log_softmax(z).value, expected, rtol=rtol)
    loss = gg.softmax_cross_entropy(z, [1, 0])
    assert loss.value == pytest.approx((2000 + math.log(3)) / 2, rel=rtol)
    expected = [[0.5, -0.5, 0], [-1 / 3, 1 / 6, 1 / 6]]
    np.testing.assert_allclose(gg.grad(loss, z).value, expected, rtol=rtol)
    jacobian = gg.jacobian(soft[1], z).value[:, 1]
    np.testing.assert_allclose(jacobian, np.eye(3) / 3 - 1 / 9, rtol=rtol)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_binary_cross_entropy_at_a_thousand(dtype: Any) -> None:
    z = gg.var("z", np.array([1000.0, -1000.0, 1000.0, -1000.0], dtype))
    loss = gg.binary_cross_entropy_with_logits(z, [1, 0, 0, 1])
    assert loss.value == 500.0
    np.testing.assert_array_equal(gg.grad(loss, z).value, [0, 0, 0.25, -0.25])
    p = gg.var("p", np.array([0.0, 1.0, 0.5], dtype))
    found = gg.binary_cross_entropy(p, [1, 0, 1])
    assert 10 < found.value < 20
    assert np.isfinite(gg.grad(found, p).value).all()


def test_activations_at_a_thousand() -> None:
    x = gg.var("x", [1000.0, -1000.0])
    for function, value, slope in [
        (gg.sigmoid, [1, 0], [0, 0]), (gg.log_sigmoid, [0, -1000], [0, 1]),
        (gg.softplus, [1000, 0], [1, 0]), (gg.silu, [1000, 0], [1, 0]),
        (gg.gelu, [1000, 0], [1, 0]), (gg.elu, [1000, -1], [1, 0]), (gg.tanh, [1, -1], [0, 0]),
    ]:  # fmt: skip
        y = function(x)
        np.testing.assert_array_equal(y.value, value, err_msg=y.op)
        np.testing.assert_array_equal(gg.grad(y.sum(), x).value, slope, err_msg=y.op)


def test_small_numbers_keep_their_digits() -> None:
    tiny = np.array([1e-12, 1e-20])
    np.testing.assert_allclose(gg.expm1(tiny), tiny, rtol=1e-12)
    np.testing.assert_allclose(gg.log1p(tiny), tiny, rtol=1e-12)
    assert gg.sigmoid(-40.0) == pytest.approx(math.exp(-40), rel=1e-14)
    assert gg.softplus(-40.0) == pytest.approx(math.exp(-40), rel=1e-14)


# -- points of convention --------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3,), (2, 3), ()])
def test_the_norm_has_gradient_zero_at_zero(shape: Any) -> None:
    x = gg.var("x", np.zeros(shape))
    y = gg.norm(x)
    assert y.value == 0.0
    np.testing.assert_array_equal(gg.grad(y, x).value, np.zeros(shape))
    y.backward()
    np.testing.assert_array_equal(x.grad, np.zeros(shape))


def test_the_norm_of_one_zero_row_among_others() -> None:
    x = gg.var("x", [[0.0, 0.0], [3.0, 4.0]])
    y = gg.norm(x, axis=1)
    assert y.value.tolist() == [0.0, 5.0]
    expected = [[0.0, 0.0], [0.6, 0.8]]
    np.testing.assert_allclose(gg.grad(y.sum(), x).value, expected, rtol=1e-15)


def test_huber_is_smooth_at_delta_and_mae_has_slope_zero_at_zero() -> None:
    e = gg.var("e", [-3.0, -1.0, 0.0, 0.5, 1.0, 2.0])
    assert gg.grad(gg.huber(e, np.zeros(6)) * 6, e).value == pytest.approx([-1, -1, 0, 0.5, 1, 1])
    assert gg.grad(gg.mae(e, np.zeros(6)) * 6, e).value == pytest.approx([-1, -1, 0, 1, 1, 1])


def test_ties_share_the_gradient() -> None:
    x = gg.var("x", [[1.0, 5.0], [5.0, 5.0]])
    third = 1 / 3
    assert gg.grad(gg.max(x), x).value.tolist() == [[0.0, third], [third, third]]
    assert gg.grad(gg.max_pool2d(x, 2).sum(), x).value.tolist() == [[0.0, third], [third, third]]
    assert gg.grad(gg.min(x, axis=0).sum(), x).value.tolist() == [[1.0, 0.5], [0.0, 0.5]]


def test_reductions_over_nothing() -> None:
    x = gg.var("x", np.zeros((0, 3)))
    assert gg.sum(x, axis=0).value.tolist() == [0.0] * 3
    assert gg.prod(x, axis=0).value.tolist() == [1.0] * 3
    assert gg.logsumexp(x, axis=0).value.tolist() == [-math.inf] * 3
    assert np.isnan(gg.mean(x, axis=0).value).all()
    for function in (gg.max, gg.min, gg.argmax):
        with pytest.raises(ShapeError, match="has no entries along axis"):
            function(x, axis=0)
    for function in (gg.sum, gg.prod, gg.logsumexp, gg.mean):
        assert gg.grad(function(x, axis=0).sum(), x).shape == (0, 3)


def test_the_gradient_of_a_product_with_zeros() -> None:
    for row in ([0.0, 2.0, 3.0, 4.0], [0.0, 0.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0], [5.0]):
        x = gg.var("x", row)
        expected = [np.prod(row[:k] + row[k + 1 :]) for k in range(len(row))]
        assert gg.grad(gg.prod(x), x).value.tolist() == expected
    x = gg.var("x", [0.0, 0.0, 3.0, 4.0])
    assert gg.hessian(gg.prod(x), x).value[0].tolist() == [0.0, 12.0, 0.0, 0.0]


def test_logsumexp_of_integers_and_infinities() -> None:
    assert gg.logsumexp(gg.var("k", [1, 2], dtype=int)).value == pytest.approx(2.3132616875182226)
    assert gg.logsumexp(np.array([-math.inf, 0.0])) == 0.0
    assert gg.logsumexp(np.array([math.inf, 0.0])) == math.inf
    with np.errstate(divide="ignore"):
        assert gg.logsumexp(np.array([-math.inf, -math.inf])) == -math.inf


# -- pooling and convolution -----------------------------------------------------------------------


def naive_conv(x: Any, w: Any, stride: Any, pads: Any) -> Any:
    x = np.pad(x, ((0, 0), (0, 0), *pads))
    rows, columns = ((n - k) // s + 1 for n, k, s in zip(x.shape[2:], w.shape[2:], stride))
    y = np.zeros((x.shape[0], w.shape[0], rows, columns))
    for n, k, i, j in np.ndindex(y.shape):
        for c, p, q in np.ndindex(w.shape[1:]):
            y[n, k, i, j] += x[n, c, i * stride[0] + p, j * stride[1] + q] * w[k, c, p, q]
    return y


@pytest.mark.parametrize(
    ("stride", "padding", "pads"),
    [
        (1, 0, ((0, 0), (0, 0))), (1, "valid", ((0, 0), (0, 0))), (2, 1, ((1, 1), (1, 1))),
        ((2, 1), (0, 2), ((0, 0), (2, 2))), (1, "same", ((1, 1), (0, 1))),
        (2, "same", ((0, 1), (0, 0))), (3, ((2, 0), (0, 1)), ((2, 0), (0, 1))),
    ],
)  # fmt: skip
def test_conv2d_is_the_naive_loop(stride: Any, padding: Any, pads: Any) -> None:
    x, w = RNG.normal(size=(2, 3, 6, 5)), RNG.normal(size=(4, 3, 3, 2))
    if (stride, padding) == (2, "same"):
        pads = ((0, 1), (0, 1))  # 3 outputs of 3 at stride 2 need 7 rows; of 2, 6 columns
    steps = stride if isinstance(stride, tuple) else (stride, stride)
    expected = naive_conv(x, w, steps, pads)
    y = gg.conv2d(gg.var("x", x), gg.var("w", w), stride, padding)
    assert y.shape == expected.shape
    np.testing.assert_allclose(y.value, expected, rtol=1e-12, atol=1e-13)
    check_gradient(y, y.inputs)


@pytest.mark.parametrize("padding", [0, 1, "same"])
@pytest.mark.parametrize(("size", "stride"), [(2, None), ((3, 2), 1), (2, (1, 3))])
def test_pooling_is_the_naive_loop(size: Any, stride: Any, padding: Any) -> None:
    x = RNG.normal(size=(2, 1, 5, 6))
    for function, reduce, border in [
        (gg.max_pool2d, np.max, -np.inf),
        (gg.avg_pool2d, np.mean, 0.0),
    ]:
        y = function(gg.var("x", x), size, stride, padding)
        kernel = size if isinstance(size, tuple) else (size, size)
        steps = (stride if isinstance(stride, tuple) else (stride, stride)) if stride else kernel
        pads = (
            naive_same(x.shape[2:], kernel, steps) if padding == "same" else ((padding,) * 2,) * 2
        )
        padded = np.pad(x, ((0, 0), (0, 0), *pads), constant_values=border)
        for n, c, i, j in np.ndindex(y.shape):
            rows = slice(i * steps[0], i * steps[0] + kernel[0])
            columns = slice(j * steps[1], j * steps[1] + kernel[1])
            expected = reduce(padded[n, c, rows, columns])
            assert y.value[n, c, i, j] == pytest.approx(expected, rel=1e-13)


def naive_same(image: Any, kernel: Any, steps: Any) -> Any:
    """Return the smallest padding that gives ceil(n / s) windows, the odd one at the end."""
    found = []
    for n, k, s in zip(image, kernel, steps, strict=True):
        total = next(t for t in itertools.count() if (n + t - k) // s + 1 == -(-n // s))
        found.append((total // 2, total - total // 2))
    return tuple(found)


# -- dropout and random numbers --------------------------------------------------------------------


def test_dropout_keeps_the_mean_and_is_a_function_of_its_counter() -> None:
    step = gg.var("step", 0, dtype=int)
    x = gg.var("x", np.ones(20_000))
    y = gg.dropout(x, 0.3, step, seed=5)
    first = y.value
    assert set(np.unique(first)) == {0.0, 1 / 0.7}
    assert first.mean() == pytest.approx(1.0, abs=4 * math.sqrt(0.3 / 0.7 / 20_000))
    step.value = 1
    assert (y.value != first).mean() == pytest.approx(2 * 0.3 * 0.7, abs=0.02)
    step.value = 0
    np.testing.assert_array_equal(y.value, first)
    np.testing.assert_array_equal(gg.dropout(x, 0.3, 0, seed=5).value, first)
    assert (gg.dropout(x, 0.3, 0, seed=6).value != first).any()
    np.testing.assert_array_equal(gg.grad(y.sum(), x).value, first)  # the mask, scaled
    np.testing.assert_array_equal(gg.dropout(x, 0.0, step).value, x.value)


def test_normal_numbers_are_normal() -> None:
    z = gg.random_normal(0, (20_000,), seed=3)
    assert scipy.stats.kstest(z, "norm").pvalue > 0.01
    assert np.isfinite(gg.random_normal(1, (1000,), dtype="float32")).all()
    step = gg.var("step", 0, dtype=int)
    np.testing.assert_array_equal(gg.random_normal(step, (20_000,), seed=3).value, z)


# -- one_hot and errors ----------------------------------------------------------------------------


def test_one_hot_of_many_shapes() -> None:
    assert gg.one_hot([[0], [1]], 2).tolist() == [[[1.0, 0.0]], [[0.0, 1.0]]]
    assert gg.one_hot(np.array(1), 3, dtype="float32").dtype == np.float32
    k = gg.var("k", [2, 0], dtype=int)
    rows = gg.one_hot(k, 3)
    assert rows.value.tolist() == [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    k.value = [1, 1]
    assert rows.value.tolist() == [[0.0, 1.0, 0.0]] * 2


def test_errors_say_what_was_wrong() -> None:
    p, z = gg.var("p", [1.0, 2.0]), gg.var("z", Z)
    real = gg.var("y", [0.0] * z.shape[0])
    integers = "expected the numbers of the classes as integers: for a variable, dtype='int64'"
    for call, error, text in [
        (lambda: gg.one_hot([0.5], 3), DtypeError, "one_hot: indices are float64; expected"),
        (lambda: gg.one_hot([True], 3), DtypeError, "indices are bool"),
        (lambda: gg.one_hot([0, 3], 3), ShapeError, r"must lie in range\(3\), got \[0, 3\]"),
        (lambda: gg.one_hot([-1], 3), ShapeError, r"must lie in range\(3\)"),
        (lambda: gg.dropout(p, 1.0, 0), GraphError, r"dropout: rate 1.0; expected a number in"),
        (lambda: gg.squeeze(z, 0), ShapeError, r"axis 0 of shape \(4, 3\) has size 4, not 1"),
        (lambda: gg.squeeze(z, 2), ShapeError, "axis 2 is out of range for 2 dimensions"),
        (lambda: gg.mse(p, [[1.0], [2.0]]), ShapeError, "would spread predictions of shape"),
        (lambda: gg.softmax_cross_entropy(z, [[0.0]]), ShapeError, "fit neither classes nor"),
        (lambda: gg.softmax_cross_entropy(z, real), DtypeError, integers),
        (lambda: gg.softmax(gg.var("s", 1.0)), ShapeError, "axis -1 is out of range for 0"),
        (lambda: gg.clip(p, 1, 0), GraphError, "clip: low=1.0 is above high=0.0"),
        (lambda: gg.clip(p, p, 1), DtypeError, "low=.*: expected a real number; a setting is"),
        (lambda: gg.power(p, p), DtypeError, "power: the exponent is a number; for a node use"),
        (lambda: gg.leaky_relu(p, "a"), DtypeError, "alpha='a': expected a real number"),
        (lambda: gg.argmax(z, axis=(0, 1)), ShapeError, r"argmax over axis \(0, 1\): expected"),
        (lambda: gg.sum(z, axis=(0, -2)), ShapeError, "names an axis twice"),
        (lambda: gg.sum(z, axis="a"), ShapeError, "axis 'a': expected an integer"),
        (lambda: gg.reshape(z, (5, -1)), ShapeError, "12 entries do not divide"),
        (lambda: gg.broadcast_to(z, (-1, 3)), ShapeError, "sizes must not be negative"),
        (lambda: gg.stack([]), ShapeError, "stack: expected at least one part"),
        (lambda: gg.stack([p, z]), ShapeError, "cannot be stacked: they differ"),
        (lambda: gg.concatenate([]), ShapeError, "expected at least one part"),
        (lambda: gg.concatenate([gg.var("s", 1.0)]), ShapeError, "use stack"),
        (lambda: gg.concatenate([p, z]), ShapeError, r"\(2,\) and \(4, 3\) cannot be joined"),
        (lambda: gg.pad(p, -1), ShapeError, "pad widths -1: expected integers of at least 0"),
        (lambda: gg.pad(p, ((1, 2), (3, 4))), ShapeError, "one .before, after. per axis"),
        (lambda: gg.pad(gg.const([1]), 1, 0.5), DtypeError, "value 0.5 does not fit int64"),
        (lambda: gg.max_pool2d(gg.const([[1]]), 1, padding=1), DtypeError, "-inf does not fit"),
        (lambda: gg.unslice(p, 0, (3,)), ShapeError, r"\(2,\) does not fill \[0\]"),
        (lambda: gg.conv2d(z, z), ShapeError, "conv2d: the image has shape"),
        (lambda: gg.windows(z, 5), ShapeError, "a window of 5 does not fit into an axis of 4"),
        (lambda: gg.windows(z, 0), ShapeError, "size=0: expected an int or two ints of at least"),
        (lambda: gg.outer(p, z), ShapeError, "outer takes two vectors"),
        (lambda: gg.matmul(z, 2.0), ShapeError, r"@ needs at least one dimension each; use \*"),
    ]:
        with pytest.raises(error, match=text):
            call()


def test_every_composite_has_an_example_and_makes_no_primitive() -> None:
    for name in functions.__all__:
        function = getattr(functions, name)
        assert "Example:" in function.__doc__, name
        assert name == "pow" or name not in gg.PRIMITIVES
